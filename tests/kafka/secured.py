"""A broker as a careful team runs it: TLS, SASL, and nothing allowed that no rule allows."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from tests.brokers.node import SASL_PASSWORD, SASL_USER, Node, free_ports
from tests.brokers.real import RealKafka

CA_FILE: Final = Path(__file__).parents[1] / "suprsend" / "data" / "ca.pem"
_PEM: Final = Path(__file__).with_name("data") / "broker.pem"
_ANSWER_SECONDS: Final = 120.0
_JAAS: Final = "org.apache.kafka.common.security.{}.{}LoginModule required"


@dataclass
class SecuredNode(Node):
    """Besides the plain listener of the tests' own clients one with TLS and SASL: PLAIN, or OAUTHBEARER."""

    tls_port: int = 0

    def prepare(self) -> None:
        (self.tls_port,) = free_ports(1)
        super().prepare()

    def _properties(self) -> dict[str, str]:
        usual = super()._properties()
        tls = f"TLS://127.0.0.1:{self.tls_port}"
        plain = f'{_JAAS.format("plain", "Plain")} user_{SASL_USER}="{SASL_PASSWORD}";'
        bearer = f'{_JAAS.format("oauthbearer", "OAuthBearer")} unsecuredLoginStringClaim_sub="broker";'
        return {
            **usual,
            "listeners": f"{usual['listeners']},{tls}",
            "advertised.listeners": f"{usual['advertised.listeners']},{tls}",
            "listener.security.protocol.map": f"{usual['listener.security.protocol.map']},TLS:SASL_SSL",
            "allow.everyone.if.no.acl.found": "false",
            "listener.name.tls.sasl.enabled.mechanisms": "PLAIN,OAUTHBEARER",
            "listener.name.tls.plain.sasl.jaas.config": plain,
            "listener.name.tls.oauthbearer.sasl.jaas.config": bearer,
            "listener.name.tls.ssl.keystore.type": "PEM",
            "listener.name.tls.ssl.keystore.location": str(_PEM),
        }


def tls_address(kafka: RealKafka) -> str:
    """Where the listener with TLS is."""
    (node,) = kafka.nodes
    assert isinstance(node, SecuredNode)
    return f"127.0.0.1:{node.tls_port}"


def by_password() -> dict[str, Any]:
    """The section `kafka.security` for TLS and a password."""
    sasl = {"mechanism": "PLAIN", "username": SASL_USER, "password": SASL_PASSWORD}
    return {"protocol": "sasl_ssl", "ca_file": str(CA_FILE), "sasl": sasl}


def by_token(endpoint: str) -> dict[str, Any]:
    """The same for a token of OpenID Connect."""
    oauth = {"token_endpoint": endpoint, "client_id": SASL_USER, "client_secret": "secret-of-the-client"}
    return {"protocol": "sasl_ssl", "ca_file": str(CA_FILE), "sasl": {"mechanism": "OAUTHBEARER"}, "oauth": oauth}


def may(operation: str, kind: ResourceType, name: str) -> AclBinding:
    """A right of the bridge's user."""
    user, permit = f"User:{SASL_USER}", AclPermissionType.ALLOW
    return AclBinding(kind, name, ResourcePatternType.LITERAL, user, "*", AclOperation[operation.upper()], permit)


def give(kafka: RealKafka, rights: Iterable[AclBinding]) -> None:
    for future in kafka.admin.create_acls(list(rights)).values():
        future.result(_ANSWER_SECONDS)


def take(kafka: RealKafka, rights: Iterable[AclBinding]) -> None:
    for future in kafka.admin.delete_acls([_filter(right) for right in rights]).values():
        future.result(_ANSWER_SECONDS)


def _filter(right: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        right.restype,
        right.name,
        right.resource_pattern_type,
        right.principal,
        right.host,
        right.operation,
        right.permission_type,
    )


class _Tokens(BaseHTTPRequestHandler):
    """Gives whoever asks a token that is not signed: a broker of the tests believes it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        now = int(time.time())
        claims = {"sub": SASL_USER, "iat": now, "exp": now + 3_600}
        token = ".".join([_part({"alg": "none"}), _part(claims), ""])
        body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3_600}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@contextmanager
def token_endpoint() -> Iterator[str]:
    """A place that gives tokens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
    finally:
        server.shutdown()
        server.server_close()
