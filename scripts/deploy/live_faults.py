"""Makes each fault happen to a running bridge, and measures how long it takes until the alert that names it fires.

    python -m scripts.deploy.live_faults [FAULT…]

Everything of scripts/deploy/live.py, scraped every 15 seconds as in deploy/prometheus/prometheus.yaml, with the alerts
as they are. Each fault begins with a bridge that works. A row per fault is printed: alert, seconds until it fires,
what /livez and /readyz say then, the panel of the dashboard that shows it, and the other alerts that fire within a further
minute. Exit code 1 when the alert does not come within ten minutes, or another cause does, or no panel shows it.

Called by people, for the figures in `docs/reliability.md`.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from confluent_kafka import Consumer

from scripts.deploy.dashboard_rules import expressions
from scripts.deploy.live import Live, get, process, until
from scripts.deploy.stop_thread import let_go, stop_poll_thread


class Shown(NamedTuple):
    """A query of the dashboard, by panel and legend, and the series in which the fault is to be seen above a value."""

    query: str
    labels: dict[str, str]
    above: float = 0.0

    def by(self, live: Live) -> bool:
        """Whether the dashboard shows it now."""
        samples = live.query(expressions()[self.query])
        return any(
            self.labels.items() <= sample["metric"].items() and float(sample["value"][1]) > self.above
            for sample in samples
        )


class Fault(NamedTuple):
    """What happens, the alert that names it, what the probes must say meanwhile (200 or 503), and who shows it."""

    what: str
    make: Callable[[Live, ExitStack], object]
    alert: str
    live: int
    ready: int
    shown: Shown


def api_down(live: Live, _: ExitStack) -> None:
    live.sandbox_process.terminate()


def credentials_revoked(live: Live, stack: ExitStack) -> None:
    live.sandbox_process.terminate()
    live.sandbox_process.wait(20)
    command = [*live.sandbox_command, "--workspace-secret", "another-secret-of-the-workspace"]
    stack.enter_context(process("sandbox-2", command, live.folder))


def dead_letter_topic_deleted(live: Live, _: ExitStack) -> None:
    live.kafka.delete_topic(live.settings["dead_letter_topic"])


def broker_gone(live: Live, _: ExitStack) -> None:
    live.kafka.stop()


def poll_thread_blocked(live: Live, stack: ExitStack) -> None:
    thread = stop_poll_thread(live.process.pid, lambda: float(get(live.bridge + "/status")["poll_age"]))
    stack.callback(let_go, thread)


def poison_deploy(live: Live, _: ExitStack) -> None:
    bad = b'{"type":"order.placed","id":"bad","total":100,"customer":null}'
    live.kafka.produce("orders.v1", [bad] * 2_000)


def rebalance_storm(live: Live, stack: ExitStack) -> None:
    over = Event()

    def come_and_go() -> None:
        while not over.is_set():
            member = Consumer(
                {
                    "bootstrap.servers": live.kafka.bootstrap,
                    "group.id": live.settings["group_id"],
                    "partition.assignment.strategy": "cooperative-sticky",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "error",
                    "log_level": 0,
                }
            )
            member.subscribe(live.settings["topics"])
            end = time.monotonic() + 8
            while time.monotonic() < end and not over.is_set():
                member.poll(0.2)
            member.close()
            over.wait(4)

    thread = Thread(target=come_and_go)
    thread.start()
    stack.callback(thread.join, 30)
    stack.callback(over.set)


HOLDS = "Holds by reason / {{reason}}"
FAULTS: dict[str, Fault] = {
    "api": Fault("the API is down", api_down, "BridgeApiFailing", 200, 200, Shown("Circuit / __auto", {})),
    "credentials": Fault(
        "credentials revoked",
        credentials_revoked,
        "BridgeCredentialsRejected",
        200,
        503,
        Shown(HOLDS, {"reason": "setup"}),
    ),
    "dead-letters": Fault(
        "dead-letter topic deleted",
        dead_letter_topic_deleted,
        "BridgeDeadLetterTopicUnwritable",
        200,
        503,
        Shown(HOLDS, {"reason": "dead_letter_topic"}),
    ),
    "broker": Fault(
        "broker gone",
        broker_gone,
        "BridgeKafkaUnreachable (unreachable)",
        200,
        503,
        Shown("Trouble / {{kind}}", {"kind": "unreachable"}),
    ),
    "poll": Fault(
        "poll thread blocked",
        poll_thread_blocked,
        "BridgePollStuck",
        503,
        200,
        Shown("Since the last poll / {{instance}}", {}, 30.0),
    ),
    "poison": Fault(
        "a poison deploy", poison_deploy, "BridgeHeld (brake)", 200, 503, Shown(HOLDS, {"reason": "brake"})
    ),
    "storm": Fault(
        "a rebalance storm",
        rebalance_storm,
        "BridgeRebalanceStorm",
        200,
        200,
        Shown("Rebalances / {{event}}", {"event": "revoked"}),
    ),
}


def code(url: str) -> int:
    """The status that an address answers with; 0 for no answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def suffer(fault: Fault) -> bool:
    """Make one fault happen to a bridge of its own, and print its row; whether all was as it should be."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        live = Live(stack, Path(name), scrape="15s")
        until(
            "records are delivered", lambda: bool(get(live.bridge + "/status")["totals"]["finished"].get("delivered"))
        )
        time.sleep(60)
        before = live.alerts("pending", "firing")
        fault.make(live, stack)
        try:
            seconds = until(fault.alert, lambda: fault.alert in live.alerts("firing"), 600)
        except SystemExit:
            seconds = math.inf
        alive = code(live.bridge + "/livez")
        ready = code(live.bridge + "/readyz")
        shown = fault.shown.by(live)
        time.sleep(60)
        if fault.live == 503 and alive == 200:
            alive = code(live.bridge + "/livez")
        others = [alert for alert in live.alerts("firing") if alert != fault.alert]
        good = (
            seconds < math.inf and shown and not others and not before and (alive, ready) == (fault.live, fault.ready)
        )
        panel = f"*{fault.shown.query.split(' / ')[0]}*" if shown else "not seen"
        row = (fault.what, f"`{fault.alert}`", f"{seconds:.0f} s", alive, ready, panel, ", ".join(others) or "none")
        sys.stdout.write("| " + " | ".join(map(str, row)) + (" |\n" if good else " | <- not as it should be\n"))
        sys.stdout.flush()
        with suppress(OSError):
            Path(f"{tempfile.gettempdir()}/fault-{fault.alert.split()[0]}.log").write_bytes(
                (Path(name) / "bridge.log").read_bytes()
            )
        return good


def main(names: list[str]) -> int:
    """Exit code 1 when one of the faults was not seen as it should be."""
    seen = [suffer(FAULTS[name]) for name in names or FAULTS]
    return 0 if all(seen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
