"""Settings → librdkafka's configuration: what may be passed through, security, and what each protocol forbids."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

from bridge.kafka.config import ConfigError, LogThrottle, clients_of, consumer_conf
from bridge.settings.passthrough import ALLOWED, refused_key
from tests.kafka.desk import settings

VALUES = ("1000", "60000", "1", "true", "gzip", "any", "use_all_dns_ips", "", "100000000")


def accepts(name: str, client: type, value: str) -> bool:
    try:
        client({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0, name: value})
    except KafkaException as error:
        return "No such configuration property" not in str(error)
    return True


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_every_allowed_setting_exists(name: str) -> None:
    """What the table lets through is known to librdkafka, and is not refused."""
    client = Producer if ALLOWED[name].clients == "producer" else Consumer
    assert any(accepts(name, client, value) for value in VALUES)
    assert refused_key(name, "consumer") is None or refused_key(name, "classic") is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("enable.auto.commit", "cannot be changed"),
        ("auto.offset.reset", "use `kafka.start_from"),
        ("group.id", "use `kafka.group_id`"),
        ("plugin.library.paths", "loads code"),
        ("enable.ssl.certificate.verification", "not allowed"),
        ("sasl.oauthbearer.config", "use `kafka.security.oauth`"),
        ("isolation.level", "rolled back"),
        ("no.such.thing", "is not among the settings"),
    ],
)
def test_what_could_break_a_promise_is_refused_by_name(name: str, says: str) -> None:
    """A setting that is ours, dangerous or unknown is refused with what to do instead."""
    assert says in (refused_key(name) or "")


def test_what_the_group_protocol_forbids_is_refused() -> None:
    """Session settings belong to the classic protocol, the remote assignor to the other."""
    assert refused_key("session.timeout.ms") is None
    assert "classic protocol" in (refused_key("session.timeout.ms", "consumer") or "")
    assert "group_protocol: consumer" in (refused_key("group.remote.assignor", "classic") or "")


def test_the_table_is_read_without_kafkas_client() -> None:
    """The settings are checked without loading confluent_kafka."""
    code = "import sys, bridge.settings.passthrough; sys.exit('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SECURITIES: dict[str, dict[str, Any]] = {
    "plain": {
        "protocol": "sasl_ssl",
        "sasl": {"mechanism": "PLAIN", "username": "u", "password": "hidden"},
    },
    "scram": {
        "protocol": "sasl_plaintext",
        "sasl": {"mechanism": "SCRAM-SHA-512", "username": "u", "password": "hidden"},
    },
    "oauth": {
        "protocol": "sasl_ssl",
        "sasl": {"mechanism": "OAUTHBEARER"},
        "oauth": {
            "token_endpoint": "https://login.example.com/token",
            "client_id": "c",
            "client_secret": "hidden",
            "scope": "kafka",
            "extensions": {"logicalCluster": "lkc-1"},
        },
    },
    "tls": {"protocol": "ssl"},
}


@pytest.mark.parametrize("security", sorted(SECURITIES))
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_librdkafka_takes_every_way_of_authentication(security: str, protocol: str) -> None:
    """TLS, PLAIN, SCRAM and OAUTHBEARER make clients under both group protocols, and no secret is in the repr."""
    made = clients_of(
        settings("127.0.0.1:1", ["t"], "g", group_protocol=protocol, security=SECURITIES[security], instance_id="i")
    )
    quiet = {"log_level": 0}
    Consumer({**made.consumer(), **quiet})
    assert made.producer is not None
    Producer({**made.producer(), **quiet})
    assert "hidden" not in repr(made)


def test_a_member_hears_of_a_rebalance_within_a_quarter_of_a_second() -> None:
    """Until then the brokers hold back everybody's commits. The settings may say otherwise; under KIP-848 brokers decide."""
    made = clients_of(settings("a:1", ["t"], "g")).consumer()
    chosen = clients_of(settings("a:1", ["t"], "g", properties={"heartbeat.interval.ms": 2_000})).consumer()
    other = clients_of(settings("a:1", ["t"], "g", group_protocol="consumer")).consumer()
    name = "heartbeat.interval.ms"
    assert (made[name], str(chosen[name]), name in other) == (250, "2000", False)


def test_properties_go_to_the_client_that_they_are_for() -> None:
    """A consumer's setting does not reach the producer, and the other way round."""
    made = clients_of(
        settings("a:1", ["t"], "g", properties={"client.rack": "r", "compression.type": "zstd", "client.id": "me"})
    )
    assert made.producer is not None
    consumer, producer = made.consumer(), made.producer()
    assert (consumer["client.rack"], consumer["client.id"], producer["client.id"]) == ("r", "me", "me")
    assert producer["compression.type"] == "zstd"
    assert "compression.type" not in consumer
    assert "client.rack" not in producer


def test_letters_are_acknowledged_by_all_replicas() -> None:
    """The producer of dead letters waits for all of them and is idempotent, and no property changes that."""
    producer = clients_of(settings("a:1", ["t"], "g")).producer
    assert producer is not None
    assert (producer()["acks"], producer()["enable.idempotence"]) == ("all", True)
    for name, value in (("acks", "1"), ("enable.idempotence", "false")):
        with pytest.raises((ConfigError, ValueError)):
            clients_of(settings("a:1", ["t"], "g", properties={name: value}))


def test_a_changed_secret_is_read_again(tmp_path: Path) -> None:
    """Each configuration is made from the secret's file as it is then."""
    file = tmp_path / "password"
    file.write_text("one")
    sasl = {"mechanism": "PLAIN", "username": "u", "password_file": str(file)}
    made = clients_of(settings("a:1", ["t"], "g", security={"protocol": "sasl_ssl", "sasl": sasl}))
    assert made.consumer()["sasl.password"] == "one"
    file.write_text("second")
    assert made.consumer()["sasl.password"] == "second"


def test_range_replaces_assignments_as_a_whole() -> None:
    """Only the classic protocol with `range` is eager."""
    assert clients_of(settings("a:1", ["t"], "g", assignment="range")).eager
    assert not clients_of(settings("a:1", ["t"], "g")).eager
    assert not clients_of(settings("a:1", ["t"], "g", group_protocol="consumer")).eager


def test_the_same_log_line_is_written_now_and_then() -> None:
    """A broker that is away does not flood the log, and the number of lines kept back is said."""
    now = [0.0]
    throttle = LogThrottle(lambda: now[0])

    def line(what: str) -> logging.LogRecord:
        return logging.LogRecord("x", logging.ERROR, "", 0, "%s [%s] %s", ("FAIL", "consumer-1", what), None)

    assert [throttle.filter(line(what)) for what in "abc"] == [True, False, False]
    now[0] = 31.0
    last = line("d")
    assert throttle.filter(last)
    assert last.getMessage() == "FAIL [consumer-1] d (and 2 such lines before it)"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"properties": {"socket.timeout.ms": "soon"}}, "socket.timeout.ms"),
        ({"security": {"protocol": "ssl", "ca_file": "/nowhere/ca.pem"}}, "ssl.ca.location"),
        ({"properties": {"compression.type": "zip"}}, "zip"),
    ],
)
def test_what_librdkafka_refuses_is_said_before_anything_connects(more: dict[str, Any], says: str) -> None:
    """A wrong value or a file that is not there is one clear error when the settings are put to use."""
    with pytest.raises(ConfigError, match=re.escape(says)):
        clients_of(settings("a:1", ["t"], "g", **more))


@pytest.mark.parametrize("small", [False, True])
def test_the_queues_of_the_client_are_bounded(small: bool) -> None:
    """What librdkafka may hold beside the budget is a few megabytes, and a full queue is filled again at once."""
    conf = consumer_conf(settings("127.0.0.1:1", ["t"], "g"), small=small)
    assert int(conf["queued.max.messages.kbytes"]) <= 16_384  # type: ignore[arg-type]
    assert int(conf["queued.min.messages"]) <= 10_000  # type: ignore[arg-type]
    assert int(conf["fetch.max.bytes"]) <= 8 * 1024 * 1024  # type: ignore[arg-type]
    assert int(conf["fetch.queue.backoff.ms"]) == 5  # type: ignore[arg-type]
    assert conf["auto.offset.reset"] == "error"
    assert conf["enable.auto.commit"] is conf["enable.auto.offset.store"] is False
