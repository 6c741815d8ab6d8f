"""Sets up the log: JSON lines for machines, colours for a terminal; limited, redacted, and never in anybody's way.

Of too many lines of one kind the first of each stretch are written, the others counted. The last warnings and errors are
kept by kind, for `/status` and the page. A thread of its own writes, so that an output that stalls stalls nobody else.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast

import structlog
from structlog.typing import FilteringBoundLogger

from bridge import jsontext
from bridge.observe.redact import Redactor
from bridge.observe.snapshot import ErrorView

Format = Literal["auto", "json", "console"]
Facts = MutableMapping[str, Any]
LEVELS: Mapping[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
UNLIMITED = frozenset({"admin_action", "started", "stopping", "stopped", "stalled", "left_out"})
"""Events of which every line counts."""


class Logs:
    """The log of a process. `logger` may be used by any thread; a call never waits for the output.

    `secrets` gives the secrets known at present, to be masked wherever they turn up. `descriptor` is where lines go.
    """

    def __init__(
        self,
        *,
        level: str = "info",
        form: Format = "auto",
        redactor: Redactor | None = None,
        descriptor: int | None = None,
        limiter: Limiter | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        self._redactor = redactor or Redactor()
        self._limiter = limiter or Limiter()
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._left_out = 0
        self._errors = LastErrors()
        self._writer = LogWriter(descriptor)
        self._render = _renderer(form, descriptor)
        self.level = level
        self._least = LEVELS[level]
        self.logger = cast(
            "FilteringBoundLogger",
            structlog.wrap_logger(
                _LogSink(self._writer),
                processors=[self._process],
                wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
            ),
        )

    def set_level(self, level: str) -> None:
        """Log from this level on; any thread. Raises `KeyError` for an unknown level."""
        self._least = LEVELS[level]
        self.level = level

    def left_out(self) -> dict[str, int]:
        """Lines not written so far, by why: too many of their `rate`, or a full `queue`."""
        return {"rate": self._left_out, "queue": self._writer.dropped}

    def last_errors(self) -> tuple[ErrorView, ...]:
        """What was logged last as a warning or worse, by kind, whether a line of it was written or left out."""
        return self._errors.views()

    def capture_libraries(self) -> None:
        """Send what libraries log by the standard library (warnings and worse) the same way."""
        handler = _Forward(self.logger)
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(logging.WARNING)

    def close(self) -> None:
        """Tell what was left out last, and write what is queued, for at most two seconds."""
        with self._lock:
            ended = self._limiter.ended(self._monotonic(), all_of_them=True)
        self._tell(ended)
        self._writer.close()

    def _process(self, _: Any, method: str, facts: Facts) -> bytes:
        """The whole way of one line; whatever is in it, the caller sees no exception but structlog's `DropEvent`."""
        level = LEVELS.get(method, 20)
        if level >= LEVELS["warning"]:
            self._keep(facts)
        if level < self._least:
            raise structlog.DropEvent
        kind = str(facts.get("event", ""))
        with self._lock:
            now = self._monotonic()
            ended = self._limiter.ended(now)
            allowed = kind in UNLIMITED or self._limiter.allow(kind, now)
            self._left_out += not allowed
        self._tell(ended)
        if not allowed:
            raise structlog.DropEvent
        return self._line(method, facts)

    def _keep(self, facts: Mapping[str, Any]) -> None:
        try:
            told = {key: value for key, value in _with_trace(facts).items() if key != "stacks"}
            self._errors.note(self._clock(), self._redactor.facts(told))
        except Exception:  # noqa: BLE001 - the line itself says that it cannot be shown
            return

    def _line(self, level: str, facts: Mapping[str, Any]) -> bytes:
        try:
            shown = self._redactor.facts(_with_trace(facts))
            moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
            event = shown.pop("event", "")
            head = {"time": moment.replace("+00:00", "Z"), "level": level, "event": event}
            return self._render({**head, **shown})
        except Exception as error:  # noqa: BLE001 - a line that cannot be written must not harm the one who wrote it
            return b'{"level":"error","event":"unexpected","message":"a log line could not be made: %s"}\n' % (
                type(error).__name__.encode()
            )

    def _tell(self, ended: Sequence[LeftOut]) -> None:
        for kind, count, seconds in ended:
            facts = {"event": "left_out", "kind": kind, "count": count, "seconds": round(seconds, 1)}
            self._writer.put(self._line("warning", facts))


class _LogSink:
    """Where structlog hands the finished line to."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def msg(self, line: bytes) -> None:
        self._writer.put(line)

    debug = info = warning = error = critical = exception = log = msg


class _Forward(logging.Handler):
    """The standard library's log records, as lines of ours."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        self._logger.log(level, "library", name=record.name, message=record.getMessage(), exc_info=record.exc_info)


def _with_trace(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    if not facts.get("exc_info"):
        return {key: value for key, value in facts.items() if key != "exc_info"}
    return structlog.processors.format_exc_info(None, "error", dict(facts))


def _renderer(form: Format, descriptor: int) -> Callable[[dict[str, Any]], bytes]:
    if form == "json" or (form == "auto" and not os.isatty(descriptor)):
        return lambda facts: jsontext.dumps(facts, default=str) + b"\n"
    console = structlog.dev.ConsoleRenderer(colors=True, timestamp_key="time", sort_keys=False)

    def render(facts: dict[str, Any]) -> bytes:
        shown = {**facts, "time": str(facts["time"])[11:23]}
        return (str(console(None, "info", shown)) + "\n").encode("utf-8", "replace")

    return render


MOST = 50
TEXT_CHARACTERS = 400
GOOD_NEWS = frozenset({"stall_over", "left_out", "payload"})
"""Warnings that tell of no error."""
WHICH = ("rule", "code", "reason", "kind", "name", "setting", "result")
"""Facts that tell two errors of one event apart."""
TEXTS = ("message", "detail", "findings", "refused", "fatal", "why", "exception")
"""Facts that say what is wrong, the first that is there."""


class LastErrors:
    """One entry for each kind of error, the newest first, with how often it came. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, ...], ErrorView] = OrderedDict()

    def note(self, at: float, facts: Mapping[str, Any]) -> None:
        """Take in one line of the log; `at` is in seconds since 1970."""
        event = str(facts.get("event", ""))
        if event in GOOD_NEWS:
            return
        which = [str(facts[name]) for name in WHICH if facts.get(name) not in (None, "")]
        key = (event, *which)
        with self._lock:
            before = self._seen.pop(key, None)
            times = before.times + 1 if before is not None else 1
            self._seen[key] = ErrorView(at, event, _place(facts), _message(facts, which), times)
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)

    def views(self) -> tuple[ErrorView, ...]:
        """At most `MOST`, the newest first."""
        with self._lock:
            return tuple(reversed(self._seen.values()))


def _place(facts: Mapping[str, Any]) -> str:
    """The coordinates: those of a record, of a call's events, or of what is held."""
    parts = [str(facts[name]) for name in ("topic", "partition", "offset") if facts.get(name) is not None]
    if parts:
        return ":".join(parts)
    spans = facts.get("spans") or ()
    return ", ".join(spans[:3]) + (" …" if len(spans) > 3 else "") if spans else str(facts.get("scope", ""))


def _message(facts: Mapping[str, Any], which: list[str]) -> str:
    said = next((str(facts[name]) for name in TEXTS if facts.get(name)), "")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    text = ": ".join([*dict.fromkeys(which), *([" / ".join(lines)] if lines else [])])
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"


class LeftOut(NamedTuple):
    """So many lines of a kind were not written since the stretch began."""

    kind: str
    lines: int
    seconds: float


class Limiter:
    """Lets `burst` lines of each kind through per stretch of `seconds`; the clock is passed in.

    Not safe for several threads at once: the caller holds a lock. Kinds are event names, so there are few.
    """

    def __init__(self, burst: int = 20, seconds: float = 10.0) -> None:
        self.burst = burst
        self.seconds = seconds
        self._since: dict[str, float] = {}
        self._seen: dict[str, int] = {}
        self._next_end = float("inf")

    def allow(self, kind: str, now: float) -> bool:
        """Whether to write a line of that kind."""
        if kind not in self._since:
            self._since[kind] = now
            self._next_end = min(self._next_end, now + self.seconds)
        seen = self._seen.get(kind, 0) + 1
        self._seen[kind] = seen
        return seen <= self.burst

    def ended(self, now: float, *, all_of_them: bool = False) -> list[LeftOut]:
        """End the stretches that are over (or all), and return what each left out. Cheap while none is over."""
        if now < self._next_end and not all_of_them:
            return []
        left_out = []
        for kind, since in list(self._since.items()):
            if now - since < self.seconds and not all_of_them:
                continue
            del self._since[kind]
            over = self._seen.pop(kind) - self.burst
            if over > 0:
                left_out.append(LeftOut(kind, over, now - since))
        self._next_end = min((since + self.seconds for since in self._since.values()), default=float("inf"))
        return left_out


QUEUE_LINES = 10_000
QUEUE_BYTES = 8 * 1024 * 1024


class LogWriter:
    """A bounded queue of lines and the thread that writes them to a file descriptor.

    `put` never waits: over the bound the line is dropped and counted. The descriptor is written to directly, so that
    no buffer's lock can hold up the end of the process.
    """

    def __init__(self, descriptor: int, *, lines: int = QUEUE_LINES, size: int = QUEUE_BYTES) -> None:
        self._descriptor = descriptor
        self._most_lines = lines
        self._most_bytes = size
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        self.dropped = 0
        """Lines not written since the queue was full or the output failed."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue one line, its end included; any thread, never waits for the output."""
        with self._changed:
            full = len(self._queue) >= self._most_lines or self._bytes + len(line) > self._most_bytes
            if full or self._closing:
                self.dropped += 1
                return
            self._queue.append(line)
            self._bytes += len(line)
            self._changed.notify()

    def close(self, seconds: float = 2.0) -> bool:
        """Write what is queued, for at most so long; False if the output did not take it all."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                lines = list(self._queue)
                self._queue.clear()
                self._bytes = 0
            if not self._write(b"".join(lines)):
                with self._changed:
                    self.dropped += len(lines)

    def _write(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                threading.Event().wait(0.05)
            except OSError:
                return False
        return True
