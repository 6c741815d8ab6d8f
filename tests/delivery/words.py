"""Rules for tests: a record's value is a few words, each of which becomes one event or one fault.

| word | becomes |
|---|---|
| `e…` | an event, its body holds the word (a stand-in for the API can refuse it by that) |
| `t…` | the same, and nobody wants it any more `N` ms after the record's timestamp (`t5000`) |
| `d` `s` `h` `o` | a fault that is dead-lettered, skipped, halts, is dropped |

No word, or no value: no rule wants it. The keys are the real ones of `bridge.rules`.
"""

from __future__ import annotations

from bridge.flow import Event, Fault, Mapped, Mapper, OnError, Record, RuleInfo, RunMapper, Stage
from bridge.rules.map.key import key_maker
from tests.by_record import by_record

ON_ERROR: dict[str, OnError] = {"d": "dead_letter", "s": "skip", "h": "halt", "o": "drop"}


class WordRules:
    """A `Mapping`. `version` is part of each event's bytes, not of its key, as for real rules."""

    def __init__(self, version: int = 1, namespace: str = "cluster", *, mended: bool = False) -> None:
        self.version = version
        self.namespace = namespace
        self.mended = mended
        """Whether `d` and `h` become events: what a reload with better rules does."""

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
        make_key = key_maker(self.namespace, topic, "words", "said")
        version = self.version

        def event(record: Record, word: str, item: int) -> Event:
            stamp = record.timestamp()[1]
            key = make_key(record.partition(), record.offset(), stamp, "someone", item)
            body = f'{{"$idempotency_key":"{key}","p":{record.partition()},"o":{record.offset()},"i":{item},"w":"{word}","v":{version}}}'
            expires = stamp + int(word[1:]) if word[0] == "t" else None
            return Event("words", "said", "someone", key, body.encode(), expires)

        def mapper(record: Record) -> Mapped:
            value = record.value()
            if not value:
                return ()
            made: list[Event | Fault] = []
            for item, word in enumerate(value.decode().split()):
                if word[0] in "et":
                    made.append(event(record, word, item))
                elif self.mended and word in "dh":
                    made.append(event(record, "e", item))
                else:
                    made.append(Fault("words", Stage.MAP, "bad_word", f"word {item}", item, ON_ERROR[word[0]]))
            return made

        return mapper
