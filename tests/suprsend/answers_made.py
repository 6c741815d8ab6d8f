"""Seeded answers to a call of n events, good and bad, with what each of them truly says of each event."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple


class Made(NamedTuple):
    """A body, and for each event whether it clearly accepts it, or clearly refuses it for good."""

    body: bytes
    accepted: list[bool]
    refused: list[bool]


def good(dice: random.Random) -> dict[str, Any]:
    code: int | str = dice.choice((202, 202, 202, "202", 200))
    return {"status": "success", "message_id": f"m-{dice.random()}", "status_code": code}


def bad(dice: random.Random) -> dict[str, Any]:
    code = dice.choice((400, 404, "404", 413, 422))
    return {"status": "error", "status_code": code, "error": {"type": "not_found", "message": 'no "such" user'}}


def failed(dice: random.Random) -> dict[str, Any]:
    """A record that did not go well this time."""
    return bad(dice) | {"status_code": dice.choice((408, 425, 429, 500, 503))}


def broken(dice: random.Random) -> Any:
    """A record that says nothing reliable."""
    record = dice.choice((good, bad))(dice)
    spoil: list[Callable[[], Any]] = [
        lambda: None,
        lambda: [record],
        lambda: "success",
        dict,
        lambda: record | {"status": dice.choice(("SUCCESS", "ok", "", None, 1, ["success"], "pending"))},
        lambda: record | {"status": "success", "status_code": dice.choice((None, 0, 404, "x", True, [], 10**30, 302))},
        lambda: {name: value for name, value in record.items() if name != "status"},
        lambda: {name: value for name, value in good(dice).items() if name != "status_code"},
        lambda: good(dice) | {"error": {"message": "but"}},
    ]
    return dice.choice(spoil)()


_KINDS = (good, good, good, good, good, good, bad, failed, broken, broken)


def made(dice: random.Random, n: int) -> Made:
    """An answer for a call of n events: about half of them are as documented."""
    kinds = [good] * n if dice.random() < 0.3 else [dice.choice(_KINDS) for _ in range(n)]
    records = [kind(dice) for kind in kinds]
    truth = Made(b"", [kind is good for kind in kinds], [kind is bad for kind in kinds])
    silent = Made(b"", [False] * n, [False] * n)
    body: Any = {"status": "success", "records": records}
    way = dice.random()
    if way < 0.1:
        del records[dice.randrange(n)]
    elif way < 0.2:
        records.insert(dice.randrange(n + 1), good(dice))
    elif way < 0.25:
        body = dice.choice((records, None, 7, "x", {"records": None}, {"records": {"0": good(dice)}}, {"error": "x"}))
    if way < 0.25:
        truth = silent
    data = json.dumps(body, separators=dice.choice(((",", ":"), (", ", ": ")))).encode()
    if 0.25 <= way < 0.35:
        data, truth = data[: dice.randrange(len(data))], silent
    elif 0.35 <= way < 0.4:
        data, truth = _wrapped(dice, data), silent
    elif 0.4 <= way < 0.45 and all(truth.accepted):
        # A second `status` in one record: two readers would read two things.
        data, truth = data.replace(b'"status_code"', b'"status":"error","status_code"', 1), silent
    return truth._replace(body=data)


def _wrapped(dice: random.Random, data: bytes) -> bytes:
    """What a right answer looks like when something stands in the way."""
    return dice.choice((b"<html>" + data, b"OK", b"", gzip.compress(data), data + b"]", data * 2))
