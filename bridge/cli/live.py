"""The remote half of `suprsend-bridge check --live`: what Kafka and SuprSend say to the settings, as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.findings import Finding

if TYPE_CHECKING:
    from bridge.kafka.errors import Trouble
    from bridge.settings.model import Settings

__all__ = ["LIVE_CODES", "live_findings"]

LIVE_CODES: Final = {
    "L001": ("Kafka would hold the bridge.", "Do what the message says; the bridge goes on by itself then."),
    "L003": ("Kafka forbids what the bridge can do without.", "Do what the message says, or live without it."),
    "L002": ("SuprSend would hold the bridge.", "Do what the message says; the bridge goes on by itself then."),
}
_NOTHING: Final = b"[]"
"""A call without events: it must be signed like any other, and there is nobody whom it could notify.

A server that knows us takes it or calls it an empty body (2xx, or SuprSend's own error); one that does not says 401 or 403.
"""


def live_findings(settings: Settings, path: str) -> list[Finding]:
    """Ask both sides; blocks for as long as their time limits. Raises what settings raise that make no client."""
    from bridge.kafka.tools.preflight import look_at

    troubles = look_at(settings.kafka, named=settings.delivery.namespace is not None)
    found = [_of_kafka(trouble, path) for trouble in troubles]
    problem = _suprsend_problem(settings)
    if problem is not None:
        found.append(Finding("L002", "error", path, 0, 0, 0, f"suprsend: {problem}"))
    return found


def _of_kafka(trouble: Trouble, path: str) -> Finding:
    """A finding; a warning for what the bridge can do without."""
    if trouble.kind == "optional":
        return Finding("L003", "warning", path, 0, 0, 0, f"kafka: {trouble.text}")
    return Finding("L001", "error", path, 0, 0, 0, f"kafka: {trouble.text}")


def _suprsend_problem(settings: Settings) -> str | None:
    from bridge.asking.ask import call
    from bridge.flow import Verdict
    from bridge.service.wiring import credentials_of, endpoint_of, judge_of
    from bridge.suprsend.answers import is_foreign

    reply = call(endpoint_of(settings), credentials_of(settings), _NOTHING)
    judged = judge_of(settings)(reply, 1)
    taken = 200 <= reply.status <= 299 and reply.error is None and not is_foreign(reply.body, 1)
    if taken or judged.whole is Verdict.INVALID:
        return None
    return f"{settings.suprsend.base_url}: {judged.message or 'no more is said'}"
