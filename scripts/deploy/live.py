"""The services of compose.yaml as processes of this machine, on the same files: a look at all of it at work.

    python -m scripts.deploy.live [--seconds 90] [--shots DIRECTORY]

A real Kafka, the sandbox, the shop, the bridge, and Debian's Prometheus with the alerts. It fails when a query of the
dashboard finds nothing, when an alert fires, when a scrape does not add up, or when the page is broken (looked at with
the browser of scripts/setup/tools.sh, if --shots is given). Needs scripts/setup/tools.sh prometheus, and Java for Kafka.

Called by `scripts/deploy/test.sh` and `scripts/deploy/live_faults.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import yaml
from confluent_kafka import Producer

from scripts.deploy import ask_dashboard
from tests.brokers.node import free_ports
from tests.brokers.real import RealKafka

ROOT = Path(__file__).resolve().parents[2]
BRIDGE = Path(sys.executable).parent / "suprsend-bridge"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


@contextmanager
def process(name: str, command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is asked to end with the block, and made to 20 seconds later; its output goes to a file."""
    with (log / f"{name}.log").open("wb") as out:
        run = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment}, cwd=ROOT)
        try:
            yield run
        finally:
            run.terminate()
            try:
                run.wait(20)
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait(5)


def get(url: str) -> Any:
    """The JSON at an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def until(what: str, true: Callable[[], bool], seconds: float = 30) -> float:
    """Wait until something is true; how long it took. Raises `SystemExit` when it does not become true."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        try:
            if true():
                return time.monotonic() - start
        except OSError:
            pass
        time.sleep(0.05)
    message = f"not within {seconds:.0f} s: {what}"
    raise SystemExit(message)


def answers(url: str) -> Callable[[], bool]:
    def true() -> bool:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)

    return true


def keep_shop(bootstrap: str, shop: subprocess.Popen[str]) -> None:
    """Produce what the shop prints."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
    assert shop.stdout is not None
    for line in shop.stdout:
        topic, key, value = line.rstrip("\n").split("\t")
        producer.produce(topic, value.encode(), key.encode())
        producer.poll(0)
    producer.flush(10)


class Live:
    """Everything running. Addresses are of localhost."""

    def __init__(self, stack: ExitStack, folder: Path, *, scrape: str = "2s") -> None:
        self.folder = folder
        self.kafka = RealKafka.start(folder / "kafka")
        stack.callback(self.kafka.close)
        sandbox, admin, prometheus = free_ports(3)
        self.bridge = f"http://127.0.0.1:{admin}"
        self.prometheus = f"http://127.0.0.1:{prometheus}"
        self.sandbox = f"http://127.0.0.1:{sandbox}"
        self.sandbox_command = [str(BRIDGE), "sandbox", "--port", str(sandbox)]
        self.settings = yaml.safe_load((ROOT / "deploy/compose/bridge.yaml").read_text())["kafka"]
        for topic in (*self.settings["topics"], self.settings["dead_letter_topic"]):
            self.kafka.create_topic(topic, partitions=4)
        start = stack.enter_context
        self.sandbox_process = start(process("sandbox", self.sandbox_command, folder))
        until("the sandbox answers", answers(self.sandbox))
        environment = {
            **COMPOSE["bridge"]["environment"],
            "BRIDGE_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "BRIDGE_SUPRSEND__BASE_URL": self.sandbox + "/",
            "BRIDGE_ADMIN__HOST": "127.0.0.1",
            "BRIDGE_ADMIN__PORT": str(admin),
            "BRIDGE_RULES__PATH": str(ROOT / "config/rules"),
        }
        command = [str(BRIDGE), "run", "--config", "deploy/compose/bridge.yaml"]
        self.process = start(process("bridge", command, folder, **environment))
        self.until_alive = until("the bridge answers at /livez", answers(self.bridge + "/livez"))
        self.until_ready = until("the bridge is ready", answers(self.bridge + "/readyz"), 90)
        self._start_prometheus(start, admin, prometheus, scrape)
        shop = subprocess.Popen(
            ["bash", "deploy/compose/shop.sh", "--print"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PAUSE": "0.05"},
        )
        stack.callback(shop.kill)
        Thread(target=keep_shop, args=(self.kafka.bootstrap, shop), daemon=True).start()

    def _start_prometheus(self, start: Callable[[Any], Any], admin: int, port: int, scrape: str) -> None:
        folder = self.folder
        config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": scrape, "evaluation_interval": scrape}
        config["rule_files"] = [str(ROOT / "helm/files/alerts.yaml")]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{admin}"]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        start(
            process(
                "prometheus",
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                folder,
            )
        )
        until("Prometheus answers", answers(self.prometheus + "/-/ready"))

    def alerts(self, *states: str) -> list[str]:
        """Names of the alerts that are in one of these states now, a hold's with its reason."""
        found = set()
        for one in get(self.prometheus + "/api/v1/alerts")["data"]["alerts"]:
            if one["state"] in states:
                reason = one["labels"].get("reason") or one["labels"].get("kind")
                found.add(one["labels"]["alertname"] + (f" ({reason})" if reason else ""))
        return sorted(found)

    def query(self, expression: str) -> list[Any]:
        """The samples of an instant query."""
        query = urllib.parse.urlencode({"query": expression})
        return list(get(f"{self.prometheus}/api/v1/query?{query}")["data"]["result"])


UNACCOUNTED = (
    "max_over_time(abs(sum(bridge_records_consumed_total) - sum(bridge_records_finished_total)"
    " - sum(bridge_records_inflight))[10m:2s])"
)


def say(text: str) -> None:
    sys.stdout.write(f"-- {text}\n")
    sys.stdout.flush()


def main() -> int:
    """Exit code 1 when something is not as it should be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--shots")
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        live = Live(stack, Path(name))
        say(f"/livez answered after {live.until_alive:.2f} s, ready {live.until_ready:.2f} s later")
        time.sleep(options.seconds)
        subprocess.run([str(BRIDGE), "status", "--url", live.bridge], check=False)
        say("every query of the dashboard")
        bad += ask_dashboard.main([live.prometheus, "--empty-is-fine", *OFTEN_EMPTY])
        unaccounted = [float(sample["value"][1]) for sample in live.query(UNACCOUNTED)]
        say(f"unaccounted over all scrapes: {unaccounted}")
        firing = live.alerts("pending", "firing")
        say(f"alerts: {firing or 'none'}")
        bad += bool(firing) + (unaccounted != [0.0])
        if options.shots:
            python = subprocess.check_output(["scripts/setup/tools.sh", "--bin"], cwd=ROOT, text=True).strip()
            browser = Path(python).parent / "venv-browser/bin/python"
            bad += subprocess.run(
                [str(browser), "scripts/deploy/page_shots.py", live.bridge, options.shots], cwd=ROOT, check=False
            ).returncode
        live.process.terminate()
        say(f"SIGTERM: exit code {live.process.wait(30)}")
        if bad:
            sys.stdout.write((Path(name) / "bridge.log").read_text()[-4_000:])
    return 1 if bad else 0


OFTEN_EMPTY = ("Drain on revoke / p50", "Drain on revoke / p95", "Drain on revoke / p99")
"""Nothing was revoked: a quantile of nothing."""

if __name__ == "__main__":
    sys.exit(main())
