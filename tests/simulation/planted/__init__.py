"""Bugs to plant, one at a time: each is what somebody could write, and each has to be found."""

from tests.simulation.planted import answers, commits, holding, operating, pacing, pausing, reading, sending, starting
from tests.simulation.planted.table import PLANTED, SHOWN, Shown

__all__ = [
    "PLANTED",
    "SHOWN",
    "Shown",
    "answers",
    "commits",
    "holding",
    "operating",
    "pacing",
    "pausing",
    "reading",
    "sending",
    "starting",
]
