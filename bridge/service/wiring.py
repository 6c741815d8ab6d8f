"""From settings and files to parts: the one place that knows both. The compiler of rules is imported when it is needed:
what a start needs first does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.delivery.policy import Backoff, BrakeLimits, Policy, StormLimits
from bridge.findings import FindingsError, has_errors
from bridge.flow import Judge, MappingContext
from bridge.secrets import Secret, SecretError
from bridge.settings.delivery import DeliverySettings
from bridge.settings.model import Settings
from bridge.suprsend.answers import AnswerRule, make_judge
from bridge.suprsend.endpoint import Endpoint
from bridge.suprsend.signing import Credentials, bearer_source, hmac_source

if TYPE_CHECKING:
    from bridge.rules.map.mapping import CompiledMapping
    from bridge.rules.model import RuleSet

MIB: Final = 1024**2
DEFAULT_MEMORY: Final = 64 * MIB
LEAST_MEMORY: Final = 8 * MIB
BESIDE_RECORDS: Final = 112 * MIB
"""What the process takes beside the records in work: the interpreter, librdkafka's queues, connections."""
_NO_LIMIT: Final = 1 << 60
"""Version 1 of cgroups writes a number like this where there is no limit."""


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


def budget_of(limit: int | None) -> int:
    """Bytes for records in work under a memory limit: 64 MiB, or what the limit leaves, but 8 MiB at least."""
    return DEFAULT_MEMORY if limit is None else max(LEAST_MEMORY, min(DEFAULT_MEMORY, limit - BESIDE_RECORDS))


def cgroup_limit(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """The smallest memory limit that holds for this process, in bytes; None where there is none to be seen."""
    limits = [_number_in(folder / "memory.max") for folder in _groups(root, own)]
    limits.append(_number_in(root / "memory" / "memory.limit_in_bytes"))
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _groups(root: Path, own: Path) -> list[Path]:
    """The group of the process and those above it, which hold as well."""
    path = ""
    with suppress(OSError, UnicodeDecodeError):
        lines = own.read_text("utf-8").splitlines()
        path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")
    folder = root / path.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _number_in(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(file.read_text("utf-8").strip())
    return None


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


class RulesError(FindingsError):
    """The rules cannot be used; says everything that is wrong with them."""


def usable_rules(path: Path, topics: Sequence[str]) -> RuleSet:
    """Load the rules of a directory and look at them as `suprsend-bridge check` does.

    Raises `RulesError` if there is an error in them; warnings do not stop it.
    """
    from bridge.rules.lint.check import check_rules
    from bridge.rules.read.load import load_rules

    loaded = load_rules(path)
    findings = [*loaded.findings]
    if not has_errors(findings):
        findings += check_rules(loaded.rules, topics)
    if has_errors(findings):
        raise RulesError(findings, loaded.sources)
    return loaded.rules


def mapping_of(rules: RuleSet, context: MappingContext) -> CompiledMapping:
    """Compile rules for one process."""
    from bridge.rules.map.mapping import compile_mapping

    return compile_mapping(rules, context)


class WorkspaceGuard:
    """Credentials for each attempt, always of one workspace. Raises what `source` raises at first, then nothing.

    A key that is rotated within the workspace takes effect at once; another workspace's is never used.
    """

    def __init__(self, source: Callable[[], Credentials]) -> None:
        self._source = source
        self._own = source()

    @property
    def env(self) -> str:
        """The workspace's key or UID, as events name it."""
        return self._own.env

    def __call__(self) -> Credentials:
        """The credentials as they are now."""
        found = self._source()
        if found.env == self._own.env:
            self._own = found
        return self._own

    def other(self) -> str | None:
        """The workspace that the secrets name now, where that is another one."""
        found = self._source().env
        return None if found == self._own.env else found
