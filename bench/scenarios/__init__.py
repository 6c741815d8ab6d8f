"""The scenarios by name: `python -m bench --scenario NAME`."""

from __future__ import annotations

from typing import Final

from bench.scenarios import grow, lasting, peers, sweeps, throughput, trouble
from bench.scenarios.scenario import Scenario

SCENARIOS: Final[dict[str, Scenario]] = {
    "throughput": Scenario("The floor and the bridge in turn", 1_000_000, throughput.run),
    "peers": Scenario("The same work by others", 500_000, peers.run),
    "replicas": Scenario("Two processes against one", 1_000_000, throughput.replicas),
    "memory": Scenario("Peak memory", 1_000_000, throughput.memory),
    "partitions": Scenario("CPU against partitions", 500_000, sweeps.partitions),
    "rules": Scenario("CPU against rules, each on a topic of its own", 500_000, sweeps.rules),
    "constants": Scenario("100 rules on one topic against one", 500_000, sweeps.constants),
    "lag": Scenario("CPU against the lag found at the start", 1_000_000, sweeps.lag),
    "idle": Scenario("CPU with nothing to do", 30, lasting.idle),
    "latency": Scenario("From produced to accepted at 1,000 records a second", 30_000, lasting.latency),
    "fan-out": Scenario("Records that become 1,000 large events each", 20, trouble.fan_out),
    "join": Scenario("A second process joins one with 2,000 partitions", 0, grow.join),
    "wide": Scenario("5,000 partitions beside a bare consumer, seconds each", 15, grow.wide),
    "rolling": Scenario("Four processes restarted in turn, records a second", grow.ROLLING_PER_SECOND, grow.rolling),
    "delay": Scenario("With 150 ms of delay at the API", 1_000_000, lasting.delay),
}
