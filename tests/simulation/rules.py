"""The words of `tests.delivery.words` as rules, made for speed: what a record becomes is made once for each version."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

from bridge.flow import Event, Fault, Mapped, Mapper, Record, RuleInfo, RunMapper, Stage
from bridge.rules.map.key import KeyMaker, key_maker
from tests.by_record import by_record
from tests.delivery.words import ON_ERROR
from tests.simulation.records import Produced, Rec

Memo = dict[tuple[str, int, bool], dict[int, Mapped]]
"""What records became: by namespace, version and repaired, then by the record's serial number."""


@cache
def keys_of(namespace: str, topic: str) -> KeyMaker:
    """The real keys."""
    return key_maker(namespace, topic, "words", "said")


class SimRules:
    """A `Mapping`. `version` is part of each event's bytes, not of its key, as for real rules.

    `repaired` says whether `d` and `h` become events: what a reload with better rules does.
    """

    def __init__(self, memo: Memo, version: int = 1, namespace: str = "cluster", *, repaired: bool = False) -> None:
        self.version = version
        self.namespace = namespace
        self.repaired = repaired
        self._made = memo.setdefault((namespace, version, repaired), {})

    @property
    def rules_hash(self) -> str:
        return f"words-{self.version}"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        return (RuleInfo("words", ("t",), ("said",)),)

    def for_topic(self, topic: str) -> RunMapper:
        return by_record(self.mapper(topic))

    def mapper(self, topic: str) -> Mapper:
        """What one record becomes."""
        made = self._made
        find = made.get
        make = self._maker(topic)

        def mapper(record: Record) -> Mapped:
            rec = cast("Produced", record).rec
            found = find(rec.serial)
            if found is None:
                found = made[rec.serial] = make(rec)
            return found

        return mapper

    def _maker(self, topic: str) -> Callable[[Rec], Mapped]:
        version, repaired, namespace = self.version, self.repaired, self.namespace
        make_key = keys_of(namespace, topic)

        def event(rec: Rec, word: str, item: int) -> Event:
            stamp = rec.record.timestamp()[1]
            key = rec.made.get((namespace, item))
            if key is None:
                key = rec.made[namespace, item] = make_key(rec.partition, rec.offset, stamp, "someone", item)
            body = f'{{"$idempotency_key":"{key}","n":{rec.serial},"i":{item},"w":"{word}","v":{version}}}'
            expires = stamp + int(word[1:]) if word[0] == "t" else None
            return Event("words", "said", "someone", key, body.encode(), expires)

        def make(rec: Rec) -> Mapped:
            found: list[Event | Fault] = []
            for item, word in enumerate(rec.words):
                if word[0] in "et":
                    found.append(event(rec, word, item))
                elif repaired and word in "dh":
                    found.append(event(rec, "e", item))
                else:
                    found.append(Fault("words", Stage.MAP, "bad_word", f"word {item}", item, ON_ERROR[word[0]]))
            return tuple(found)

        return make
