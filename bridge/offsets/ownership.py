"""Whose a commit is: whether its note was written for this commit, in this topic and this cluster. Pure.

Whatever carries a group's offsets to another place (MirrorMaker, a cloned group, a tool that copies a commit) carries the
notes with them, and what these call finished are other records there. What is unknown on either side claims nothing:
notes of earlier versions say nothing of where they were written, and brokers may not tell a topic's id.
"""

from __future__ import annotations

from enum import Enum, auto

from bridge.offsets.commit_metadata import Note, Origin


class Claim(Enum):
    """What a commit's note says of whose it is."""

    OURS = auto()
    NONE = auto()
    """There is no note: somebody else made the commit."""
    COMMIT = auto()
    """It was written for another offset."""
    TOPIC = auto()
    CLUSTER = auto()


FOREIGN = {
    Claim.COMMIT: "it was written for another offset",
    Claim.TOPIC: "it was written for another topic of that name",
    Claim.CLUSTER: "it was written in another cluster",
}
"""Why the note of a commit does not count, in words."""


def claim_of(note: Note | None, here: Origin) -> Claim:
    """Whose the commit is. A commit that was carried from another cluster seldom has its offset there, so that is first."""
    if note is None:
        return Claim.NONE
    if _differ(note.origin.cluster, here.cluster):
        return Claim.CLUSTER
    if not note.fits:
        return Claim.COMMIT
    return Claim.TOPIC if _differ(note.origin.topic, here.topic) else Claim.OURS


def _differ(one: int, other: int) -> bool:
    return bool(one and other) and one != other
