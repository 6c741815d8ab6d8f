"""How much of the room for records in work a topic may take, where there are several. Pure; Kafka thread only.

The rule is that of shared buffers in switches (dynamic thresholds, Choudhury and Hahne): a topic may have three times
what is left over. One topic alone comes to three quarters of the budget, two to three sevenths each, and however many
take what they may, something is left for the next. Below its least share a topic is never stopped for the others' sake,
even where a large fetch went over the budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge.flow import Room

_TIMES_LEFT: Final = 3
_LEAST_PART: Final = 8
"""The least shares of all topics together are this part of the budget."""


def topics_matter(room: Room) -> bool:
    """Whether any topic can have too much: as much as one may have alone. Cheap: it is asked before each poll."""
    return (_TIMES_LEFT + 1) * room.used() >= _TIMES_LEFT * room.budget_bytes


def share(room: Room, topics: int) -> int:
    """Bytes that each of so many topics may have in work at present."""
    left = room.budget_bytes - room.used()
    return max(_TIMES_LEFT * left, room.budget_bytes // (_LEAST_PART * topics))


def over(room: Room, topics: set[str]) -> set[str]:
    """Those of the topics that have their share or more; none where there is only one."""
    if len(topics) < 2 or not topics_matter(room):
        return set()
    limit = share(room, len(topics))
    return {topic for topic in topics if room.used_by(topic) >= limit}


def eased(room: Room, crowded: Iterable[str], topics: int) -> set[str]:
    """Those of the stopped topics to be read again: at half of their share, or where there are no others any more."""
    if topics < 2:
        return set(crowded)
    alone = _TIMES_LEFT * room.budget_bytes // (_TIMES_LEFT + 1)
    limit = min(share(room, topics), alone)
    return {topic for topic in crowded if 2 * room.used_by(topic) <= limit}
