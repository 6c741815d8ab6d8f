"""Sets up the log: JSON lines for machines, colours for a terminal; limited, redacted, and never in anybody's way."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger

from bridge import jsontext
from bridge.observe.errors import LastErrors
from bridge.observe.limiter import LeftOut, Limiter
from bridge.observe.redact import Redactor
from bridge.observe.snapshot import ErrorView
from bridge.observe.writer import Writer

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
        self._writer = Writer(descriptor)
        self._render = _renderer(form, descriptor)
        self.level = level
        self._least = LEVELS[level]
        self.logger = cast(
            "FilteringBoundLogger",
            structlog.wrap_logger(
                _Sink(self._writer),
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


class _Sink:
    """Where structlog hands the finished line to."""

    def __init__(self, writer: Writer) -> None:
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
