"""What a fault does to an answer: a spoilt answer that is sent in the usual way, or a script for the connection."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from random import Random
from time import time
from typing import Any, Final, Literal, NamedTuple

from bridge.jsontext import JSONDecodeError, dumps, loads
from bridge.sandbox.answers import JSON, ApiAnswer, Refusal, refused
from bridge.sandbox.faults import spec

Script = Iterator[bytes | float]
"""Bytes to write and seconds to wait, in turn; when it ends the connection is closed."""

_DRIP_SECONDS: Final = 0.05
_RUBBISH: Final[tuple[object, ...]] = (
    None,
    0,
    "accepted",
    [],
    {},
    {"status": "success", "status_code": "two hundred"},
    {"status": "pending", "message_id": "x", "status_code": 202},
    {"status": ["success"], "status_code": None},
    {"status": "error", "status_code": 202, "error": "none"},
    {"status_code": {"of": 202}},
)


class Act(NamedTuple):
    """What is sent. `status` is 0 where no status line is."""

    status: int
    answer: ApiAnswer | None = None
    script: Script | None = None
    reset: bool = False


def applies(fault: spec.AnyFault) -> bool:
    """Whether the events of a call struck by it are taken."""
    if isinstance(fault, spec.Delay | spec.DisconnectAfter):
        return True
    if isinstance(fault, spec.DisconnectBefore | spec.Redirect):
        return False
    return fault.apply


def act(fault: spec.AnyFault, answer: ApiAnswer, random: Random) -> Act:
    """What to send in place of the true answer."""
    return _ACTS[type(fault)](fault, answer, random)


def head(answer: ApiAnswer, length: int | None, more: bytes = b"") -> bytes:
    """Status line and headers with a Content-Length of our choice; None for a chunked body."""
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Content-Type: {answer.content_type}", size, "Connection: close"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n" + more + b"\r\n"


def _status(fault: spec.StatusFault, true: ApiAnswer, _random: Random) -> Act:
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        seconds = f"{fault.retry_after:.0f}"
        date = formatdate(time() + fault.retry_after, usegmt=True)
        headers["Retry-After"] = seconds if fault.retry_after_as == "seconds" else date
    if "body" not in fault.model_fields_set:
        body, kind = refused(Refusal(fault.status, fault.type, fault.message)).body, JSON
    elif isinstance(fault.body, str):
        body, kind = fault.body.encode(), "text/html" if fault.body.lstrip().startswith("<") else "text/plain"
    else:
        body, kind = dumps(fault.body), JSON
    kind = next((headers.pop(name) for name in list(headers) if name.lower() == "content-type"), kind)
    return _plain(ApiAnswer(fault.status, body, kind, headers, true.counts))


def _delay(_fault: spec.Delay, true: ApiAnswer, _random: Random) -> Act:
    return _plain(true)


def _hang(fault: spec.Hang, _true: ApiAnswer, _random: Random) -> Act:
    return Act(0, script=iter((fault.seconds,)))


def _drip(fault: spec.Drip, true: ApiAnswer, _random: Random) -> Act:
    size = max(1, int(fault.bytes_per_second * _DRIP_SECONDS))
    return Act(true.status, script=_dripping(true, size, size / fault.bytes_per_second))


def _dripping(true: ApiAnswer, size: int, pause: float) -> Script:
    yield head(true, len(true.body))
    for at in range(0, len(true.body), size):
        yield pause
        yield true.body[at : at + size]


def _truncate(fault: spec.Truncate, true: ApiAnswer, _random: Random) -> Act:
    kept = min(int(len(true.body) * fault.keep), max(0, len(true.body) - 1))
    return Act(true.status, script=iter((head(true, len(true.body)) + true.body[:kept],)), reset=fault.reset)


def _wrong_length(fault: spec.WrongLength, true: ApiAnswer, _random: Random) -> Act:
    length = max(0, len(true.body) + fault.by)
    return Act(true.status, script=iter((head(true, length) + true.body, 3600.0 if fault.by > 0 else 0.0)))


def _non_json(fault: spec.NonJson, true: ApiAnswer, _random: Random) -> Act:
    status = true.status if fault.status is None else fault.status
    return _plain(true._replace(status=status, body=fault.body.encode(), content_type=fault.content_type))


def _wrong_count(fault: spec.WrongCount, true: ApiAnswer, _random: Random) -> Act:
    def change(records: list[object]) -> list[object]:
        if fault.by < 0:
            return records[: max(0, len(records) + fault.by)]
        return records + [{"status": "success", "message_id": "sandbox-surplus", "status_code": 202}] * fault.by

    return _plain(_with_records(true, change))


def _summary(fault: spec.SummaryFault, true: ApiAnswer, _random: Random) -> Act:
    try:
        records = loads(true.body)["records"]
    except (JSONDecodeError, KeyError, TypeError):
        return _plain(true)
    failed = [
        {"record": event, "error": record["error"]["message"], "code": record["status_code"]}
        for record, (_, event) in zip(records, true.pieces, strict=True)
        if record["status"] != "success"
    ]
    success, failure = len(records) - len(failed) + fault.miscount, len(failed)
    status = "success" if not failure else "partial" if success else "fail"
    counts = {"status": status, "total": success + failure, "success": success, "failure": failure}
    return _plain(true._replace(body=dumps({**counts, "failed_records": failed, "warnings": []})))


def _malformed(fault: spec.MalformedRecords, true: ApiAnswer, random: Random) -> Act:
    def change(records: list[object]) -> list[object]:
        return [random.choice(_RUBBISH) if random.random() < fault.share else record for record in records]

    return _plain(_with_records(true, change))


def _before(fault: spec.DisconnectBefore, _true: ApiAnswer, _random: Random) -> Act:
    return Act(0, script=iter(()), reset=fault.reset)


def _after(fault: spec.DisconnectAfter, true: ApiAnswer, _random: Random) -> Act:
    sent = (head(true, len(true.body)) + true.body)[: fault.after_bytes]
    return Act(true.status if sent else 0, script=iter((sent,)), reset=fault.reset)


def _bomb(fault: spec.CompressedBomb, true: ApiAnswer, _random: Random) -> Act:
    headers = {**true.headers, "Content-Encoding": fault.encoding}
    return _plain(true._replace(body=bomb(fault.megabytes, fault.encoding), headers=headers))


def _endless(fault: spec.Endless, true: ApiAnswer, _random: Random) -> Act:
    return Act(true.status, script=_going_on(true, fault.megabytes * 16))


def _going_on(true: ApiAnswer, chunks: int) -> Script:
    yield head(true, None)
    for _ in range(chunks):
        yield b"10000\r\n" + b" " * 0x10000 + b"\r\n"


def _huge_headers(fault: spec.HugeHeaders, true: ApiAnswer, _random: Random) -> Act:
    size = max(1, fault.bytes // fault.lines)
    more = b"".join(b"X-Filler-%d: %b\r\n" % (line, b"x" * size) for line in range(fault.lines))
    return Act(true.status, script=iter((head(true, len(true.body), more) + true.body,)))


def _not_http(_fault: spec.NotHttp, _true: ApiAnswer, _random: Random) -> Act:
    return Act(0, script=iter((b"\x16\x03\x01 this is not HTTP\r\n\r\n\x00\xff",)))


def _redirect(fault: spec.Redirect, true: ApiAnswer, _random: Random) -> Act:
    return _plain(ApiAnswer(fault.status, b"", "text/plain", {"Location": fault.location}, true.counts))


def _plain(answer: ApiAnswer) -> Act:
    return Act(answer.status, answer)


def _with_records(true: ApiAnswer, change: Callable[[list[object]], list[object]]) -> ApiAnswer:
    """The answer with other records; an answer that has none stays as it is."""
    try:
        said = loads(true.body)
    except JSONDecodeError:
        return true
    if not isinstance(said, dict) or not isinstance(said.get("records"), list):
        return true
    return true._replace(body=dumps({**said, "records": change(said["records"])}))


_ACTS: Final[dict[type[Any], Callable[[Any, ApiAnswer, Random], Act]]] = {
    spec.StatusFault: _status,
    spec.Delay: _delay,
    spec.Hang: _hang,
    spec.Drip: _drip,
    spec.Truncate: _truncate,
    spec.WrongLength: _wrong_length,
    spec.NonJson: _non_json,
    spec.WrongCount: _wrong_count,
    spec.SummaryFault: _summary,
    spec.MalformedRecords: _malformed,
    spec.DisconnectBefore: _before,
    spec.DisconnectAfter: _after,
    spec.CompressedBomb: _bomb,
    spec.Endless: _endless,
    spec.HugeHeaders: _huge_headers,
    spec.NotHttp: _not_http,
    spec.Redirect: _redirect,
}


_MEGABYTE: Final = b" " * (1024 * 1024)


@lru_cache(maxsize=2)
def bomb(megabytes: int, encoding: Literal["gzip", "deflate"]) -> bytes:
    """So many megabytes of spaces, compressed about a thousandfold; a valid stream to its last byte.

    One megabyte is compressed once and its blocks are repeated: quick and small to make, whatever the size.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(_MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    end = b"\x03\x00"
    check = zlib.crc32 if encoding == "gzip" else zlib.adler32
    total = check(b"")
    for _ in range(megabytes):
        total = check(_MEGABYTE, total)
    if encoding == "gzip":
        size = (megabytes << 20) & 0xFFFFFFFF
        tail = total.to_bytes(4, "little") + size.to_bytes(4, "little")
        return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + block * megabytes + end + tail
    return b"\x78\xda" + block * megabytes + end + total.to_bytes(4, "big")
