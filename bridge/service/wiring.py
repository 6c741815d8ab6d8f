"""From settings to parts: the one place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from bridge.delivery.brake import BrakeLimits
from bridge.delivery.policy import Policy
from bridge.delivery.rate_control import Backoff
from bridge.delivery.storm import StormLimits
from bridge.flow import Judge, MappingContext
from bridge.secrets import Secret, SecretError
from bridge.service.memory import budget_of, cgroup_limit
from bridge.settings.delivery import DeliverySettings
from bridge.settings.model import Settings
from bridge.suprsend.answers import AnswerRule, make_judge
from bridge.suprsend.endpoint import Endpoint
from bridge.suprsend.signing import Credentials
from bridge.suprsend.sources import bearer_source, hmac_source


def policy_of(settings: Settings) -> Policy:
    """What delivery goes by."""
    chosen, tuning = settings.delivery, settings.tuning
    return Policy(
        ordering=chosen.ordering,
        strict_order=chosen.strict_order,
        linger=chosen.linger,
        batch_events=chosen.batch_events,
        batch_bytes=max(chosen.batch_bytes, settings.suprsend.max_event_bytes + 2),
        initial_in_flight=settings.initial_in_flight,
        max_in_flight=chosen.max_in_flight,
        progress_interval=tuning.commit_interval,
        progress_records=tuning.commit_records,
        span=tuning.span,
        rate_limit=chosen.rate_limit,
        backoff=Backoff(tuning.retry_base, tuning.retry_cap),
        retry_share=tuning.retry_budget,
        breaker_failures=tuning.breaker_failures,
        probe_interval=tuning.probe_interval,
        dedupe_window_ms=int(tuning.dedupe_window * 1000),
        dedupe_margin_ms=int(tuning.dedupe_margin * 1000),
        on_dedupe_expired=chosen.on_dedupe_expired,
        brake=BrakeLimits(chosen.brake.consecutive, chosen.brake.ratio, tuning.brake_window),
        storm=_storm_of(chosen),
        stuck_attempts=chosen.stuck.attempts,
        stuck_seconds=chosen.stuck.seconds,
        accepted_rewinds=frozenset(chosen.accept_rewind),
    )


def _storm_of(chosen: DeliverySettings) -> StormLimits | None:
    storm = chosen.storm
    return StormLimits(storm.events, int(storm.per * 1000), storm.action) if storm is not None else None


def memory_of(settings: Settings) -> int:
    """Bytes for records in work: what the settings say, or by default what a container's limit leaves."""
    return budget_of(cgroup_limit()) if settings.memory == "default" else settings.memory_bytes


def endpoint_of(settings: Settings) -> Endpoint:
    """The way to SuprSend. Raises `EndpointError`."""
    chosen = settings.suprsend
    return Endpoint(
        base_url=str(chosen.base_url),
        deadline=chosen.timeout,
        connect_timeout=settings.connect_timeout,
        max_connections=settings.delivery.max_in_flight,
        proxy=chosen.proxy.get_secret_value() if chosen.proxy else None,
        ca_file=str(chosen.ca_file) if chosen.ca_file else None,
        client_certificate=str(chosen.client_cert_file) if chosen.client_cert_file else None,
        client_key=str(chosen.client_key_file) if chosen.client_key_file else None,
    )


def judge_of(settings: Settings) -> Judge:
    """The table of answers, with the rows of the settings first. Raises `AnswerRuleError`."""
    return make_judge(
        tuple(AnswerRule(row.means, row.status, row.type, row.message, row.shape) for row in settings.suprsend.answers)
    )


def credentials_of(settings: Settings) -> Callable[[], Credentials]:
    """Who the bridge is to SuprSend, as its secrets are now; called for each attempt.

    The first call raises `SecretError` for a file that cannot be read, `CredentialsError` for what cannot be a key;
    later ones keep to what was right, while a file is away or half written.
    """
    chosen = settings.suprsend
    key, secret, token = chosen.key, chosen.secret, chosen.token
    if token is not None:
        return bearer_source(str(chosen.workspace_uid), token.read)
    assert key is not None
    assert secret is not None
    return hmac_source(key.read, secret.read)


def secrets_by_setting(settings: Settings) -> dict[str, Secret]:
    """Every secret that is given, by the setting that names its file."""
    sasl, oauth = settings.kafka.security.sasl, settings.kafka.security.oauth
    given = {
        "suprsend.workspace_key_file": settings.suprsend.key,
        "suprsend.workspace_secret_file": settings.suprsend.secret,
        "suprsend.api_key_file": settings.suprsend.token,
        "admin.token_file": settings.admin.secret,
        "kafka.security.key_password_file": settings.kafka.security.key_secret,
        "kafka.security.sasl.password_file": sasl.secret if sasl is not None else None,
        "kafka.security.oauth.client_secret_file": oauth.secret if oauth is not None else None,
    }
    return {name: secret for name, secret in given.items() if secret is not None}


def secrets_of(settings: Settings) -> Callable[[], Sequence[str]]:
    """Every secret of the settings as it is now, to be masked wherever it might turn up in a log.

    The workspace's key is no secret: it names the workspace.
    """
    found = secrets_by_setting(settings)
    secrets = tuple(secret for name, secret in found.items() if name != "suprsend.workspace_key_file")

    def now() -> Sequence[str]:
        texts = []
        for secret in secrets:
            with suppress(SecretError):
                texts.append(secret.read())
        return texts

    return now


def context_of(settings: Settings, env: str, namespace: str) -> MappingContext:
    """What compiled rules need to know of the process."""
    chosen = settings.delivery
    return MappingContext(
        env=env,
        namespace=chosen.namespace or namespace,
        max_event_bytes=settings.suprsend.max_event_bytes,
        only_recipients=chosen.only_recipients,
        max_age_ms=int(chosen.max_age * 1000) if chosen.max_age else None,
    )
