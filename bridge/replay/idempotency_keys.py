"""The idempotency keys of replayed events, and events under another key. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from bridge.flow import Event
from bridge.jsontext import dumps
from bridge.replay.letter import Letter
from bridge.rules.map.key import INSERT_ID_SHORTEST, SCHEME, derived_insert_id

__all__ = ["key_of", "refused", "rekeyed", "renewed"]

_LONGEST: Final = 250
"""Of a key that is not hashed before its `.rN`, where that has three digits."""
_MOST_CHARS: Final = 255
_STEP: Final = 1_000
"""More than the replays of any letter (`--most`), so that no two items and replays share a number."""
_DIGEST_BYTES: Final = 24
_REFUSED: Final = frozenset({"invalid", "too_large"})
_DEFAULT_LONGEST: Final = 64


def refused(letter: Letter) -> bool:
    """Whether SuprSend refused the event for good: nobody knows whether its key is used up (contract §6)."""
    return letter.stage == "deliver" and letter.cause in _REFUSED


def key_of(letter: Letter, event: Event, *, shared: bool) -> str:
    """The key that an event of a letter is sent with.

    A new one where SuprSend refused it; else the one it had, since it was never applied or SuprSend still knows it.
    What failed before it had one gets a new one where today's may be what another event of the record was sent with: an
    item of a fan-out, and everything where the record's events share a key (`shared`).
    """
    if refused(letter) or (letter.key is None and letter.base_key is not None):
        return renewed(letter.base_key or letter.key or event.key, letter.replays + 1)
    kept = letter.key or letter.item_key
    if kept is not None:
        return kept
    if letter.item is None and not shared:
        return event.key
    return renewed(event.key, _STEP * ((letter.item or 0) + 1) + letter.replays + 1)


def renewed(key: str, times: int) -> str:
    """`<key>.rN`; a key over 250 characters is hashed first, or a shorter one where it would come out over 255."""
    if len(key) > _LONGEST or len(f"{key}.r{times}") > _MOST_CHARS:
        key = "h1:" + blake2b(key.encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{key}.r{times}"


def rekeyed(event: Event, key: str) -> Event:
    """The same event under another key. Not a byte of it changes but the key and the `$insert_id` made from it."""
    if key == event.key:
        return event
    old = b',"$idempotency_key":' + dumps(event.key)
    head, _, rest = event.body.partition(b",")
    at = rest.rindex(old)
    body = b'{"$insert_id":' + dumps(_insert_id(key)) + b"," + rest[:at] + b',"$idempotency_key":' + dumps(key)
    assert head.startswith(b'{"$insert_id":')
    return event._replace(key=key, body=body + rest[at + len(old) :])


def _insert_id(key: str) -> str:
    default = key.startswith(SCHEME + ":") and INSERT_ID_SHORTEST <= len(key) <= _DEFAULT_LONGEST
    return key if default else derived_insert_id(key)
