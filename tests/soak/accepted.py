"""What the API accepted, by idempotency key: the sandbox's list in columns, fit for millions."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple


class Repeated(NamedTuple):
    """A key that came more than once."""

    last_ms: int
    identical: int
    different: int
    bytes_differ: bool


class Accepted:
    """Keys in the order of their first acceptance; a key's place in it is its row."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """`entries` are as the sandbox shows them, in the order of first acceptance."""
        self._rows: dict[str, int] = {}
        self.first_ms = array("q")
        self.repeated: dict[int, Repeated] = {}
        for entry in entries:
            row = self._rows[entry["key"]] = len(self.first_ms)
            self.first_ms.append(entry["first_ms"])
            if entry["count"] > 1:
                self.repeated[row] = Repeated(
                    entry["last_ms"], entry["identical"], entry["different"], entry["bytes_differ"]
                )

    def __len__(self) -> int:
        return len(self.first_ms)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def row(self, key: str) -> int | None:
        """Where it stands in the order of first acceptance; None where it was never accepted."""
        return self._rows.get(key)

    def unmarked(self, marks: bytearray) -> Iterator[str]:
        """The keys whose rows have no mark."""
        return (key for key, row in self._rows.items() if not marks[row])
