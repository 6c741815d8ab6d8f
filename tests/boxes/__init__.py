"""Proxies, firewalls and TLS ends as companies run them, started for one test: Debian's, by `scripts/setup/boxes.sh`."""
