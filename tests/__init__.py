"""Tests of the bridge; the folders mirror the package."""
