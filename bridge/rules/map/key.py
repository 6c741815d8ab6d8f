"""The idempotency key that a rule without its own gets, and the `$insert_id` that every event has.

Frozen by a golden test: another key for the same record would notify a person twice after an upgrade.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from hashlib import blake2b
from re import compile as pattern
from typing import Any, NamedTuple

__all__ = ["INSERT_ID_SHORTEST", "SCHEME", "KeyMaker", "derived_insert_id", "key_code", "key_maker", "key_parts"]

SCHEME = "k1"
HEAD = f"{SCHEME}::"
"""What stands before `partition:offset` where the topic is left out."""
INSERT_ID_SHORTEST = 36
"""Characters that SuprSend's schema wants in `$insert_id` at least (contract §3a); default keys have them."""

KeyMaker = Callable[[int, int, int, str, int], str]
"""`(partition, offset, timestamp in ms, distinct_id, n)` → key. Raises UnicodeEncodeError for a lone surrogate."""

_COORDINATES_LONGEST = 32
_DIGEST_BYTES = 14
_INSERT_ID_BYTES = 27
_READABLE = pattern(r"[A-Za-z0-9._-]+")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class KeyParts(NamedTuple):
    """What all default keys of one rule, topic and event name share."""

    begun: Callable[[], Any]
    """Gives a new BLAKE2b state that has read the constant part."""
    head: str
    """What stands before `partition:offset`."""
    longest: int
    """More characters than this in `partition:offset` leave the topic out: `HEAD` stands before it then."""


def key_parts(namespace: str, topic: str, rule: str, event: str) -> KeyParts:
    """Compute the constant parts of the default keys of one rule, topic and event name.

    A key is `k1:{topic}:{partition}:{offset}:{28 hexadecimal digits}`, 36 to 64 characters long; the topic is left
    out (its place stays, empty) where `topic:partition:offset` is over 32 characters. The digits are 112 bits of
    BLAKE2b over the scheme, namespace, topic, rule, event, partition, offset, timestamp, n and distinct_id: each of
    the texts before the last carries its length, so no two tuples give the same input.
    """
    covered = "".join(f"{len(part)}:{part}" for part in (SCHEME, namespace, topic, rule, event))
    begun = blake2b(covered.encode(), digest_size=_DIGEST_BYTES).copy
    shown = topic if _READABLE.fullmatch(topic) else ""
    return KeyParts(begun, f"{SCHEME}:{shown}:", _COORDINATES_LONGEST - len(shown) - 1)


def key_maker(namespace: str, topic: str, rule: str, event: str) -> KeyMaker:
    """Make the default keys of one rule, topic and event name."""
    begun, head, longest = key_parts(namespace, topic, rule, event)

    def make(partition: int, offset: int, timestamp: int, recipient: str, n: int) -> str:
        place = f"{partition}:{offset}"
        whole = begun()
        whole.update(f"{place}:{timestamp}:{n}:{recipient}".encode())
        return f"{head if len(place) <= longest else HEAD}{place}:{whole.hexdigest()}"

    return make


def key_code(parts: KeyParts, begun: str, place: str, n: str, recipient: str) -> tuple[str, ...]:
    """Write `key_maker`'s function out as lines of Python, without the call; the last one is the key as an expression.

    `begun`, `n` (or its digits) and `recipient` are Python names, `place` is the text `partition:offset` as an
    expression; `ts` is another name of the code around.
    """
    usual = f"f'{parts.head}{{place}}:{{whole.hexdigest()}}'"
    short = f"f'{HEAD}{{place}}:{{whole.hexdigest()}}'"
    count = n if n.isdecimal() else f"{{{n}}}"
    return (
        f"place = {place}",
        f"whole = {begun}()",
        f"whole.update(f'{{place}}:{{ts}}:{count}:{{{recipient}}}'.encode())",
        f"{usual} if len(place) <= {parts.longest} else {short}",
    )


def derived_insert_id(key: str) -> str:
    """Make the `$insert_id` of an event with a key of its own: 39 characters that depend on the key alone."""
    digest = blake2b(key.encode(), digest_size=_INSERT_ID_BYTES).digest()
    return f"i1:{b2a_base64(digest, newline=False).translate(_URL_SAFE).decode()}"
