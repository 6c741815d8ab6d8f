"""`suprsend-bridge check`: everything that `suprsend-bridge run` would find out before its first poll, and what it could not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import typer

from bridge.cli.asking import Asking
from bridge.cli.failure import FOUND, USAGE, Failure
from bridge.findings import Finding, has_errors, render

if TYPE_CHECKING:
    from bridge.kafka.errors import Trouble
    from bridge.rules.model import RuleSet
    from bridge.settings.model import Settings

CONFIG = Path("config/bridge.yaml")
"""The settings that are looked at where none are named."""


def command(
    path: Annotated[
        Path | None, typer.Argument(help="A directory of rules, or one rule file. Without it: that of the settings.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The settings file. Without PATH: config/bridge.yaml.")
    ] = None,
    *,
    live: Annotated[bool, typer.Option("--live", help="Ask Kafka and SuprSend, too.")] = False,
    ask_suprsend: Annotated[
        str | None,
        typer.Option(
            metavar="USER_ID",
            help="With --live: ask SuprSend what its documentation leaves open, as the user USER_ID: a person of yours, "
            "in a workspace that is not production. Says first what it will do.",
        ),
    ] = None,
    ask_file: Annotated[
        Path | None, typer.Option(help="Where the answers go, as JSON lines without secrets and ids.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask SuprSend without a question first.")] = False,
    form: Annotated[
        Literal["text", "json", "github"], typer.Option("--format", help="For people, programs, or pull requests.")
    ] = "text",
) -> int:
    """Find the mistakes in settings and rules, before they are deployed.

    Exit code: 0 nothing wrong (perhaps warnings), 1 a mistake was found, 2 wrong settings or usage. Nothing is
    connected to without --live, which sends SuprSend one signed call without events: it notifies nobody.
    --ask-suprsend makes some thirty calls with events that no workflow listens to, and shows what was expected
    beside what was seen; exit code 1 where they differ.

    Example: suprsend-bridge check config/rules
    """
    asking = Asking(ask_suprsend, ask_file, yes=yes) if ask_suprsend is not None else None
    if asking is not None:
        asking.refuse(live=live, form=form)
    for named in (path, config):
        if named is not None and not named.exists():
            raise Failure(f"{named}: there is no such file or directory")
    seen = _settings(path, config, live=live)
    rules = _rules(path or seen.rules_path, seen.topics)
    findings = [*seen.findings, *rules.findings]
    findings += _machine(seen.settings, seen.name) if seen.settings is not None else []
    if live and seen.settings is not None and not has_errors(findings):
        findings += live_findings(seen.settings, seen.name)
    typer.echo(render(findings, form, {**seen.sources, **rules.sources}), nl=False)
    if form == "text":
        typer.echo(_summary(findings, rules.rules, live=live and seen.settings is not None))
    # Kafka's troubles are none of it, and what SuprSend says to a call without events is among the questions.
    wrong = has_errors(finding for finding in findings if finding.code[0] == "S" or finding in seen.findings)
    if asking is not None and seen.settings is not None and not wrong:
        return asking.ask(seen.settings)
    if wrong:
        return USAGE
    return FOUND if has_errors(findings) else 0


class _ReadSettings(NamedTuple):
    """What the settings say. `settings` is None where they are wrong, or none are looked at."""

    settings: Settings | None
    name: str
    rules_path: Path
    topics: tuple[str, ...] | None
    findings: list[Finding]
    sources: dict[str, str]


class _ReadRules(NamedTuple):
    rules: RuleSet
    findings: list[Finding]
    sources: dict[str, str]


def _settings(path: Path | None, config: Path | None, *, live: bool) -> _ReadSettings:
    """Read the settings, where they are named or nothing else is."""
    environ = os.environ
    named = config or (Path(environ["BRIDGE_CONFIG"]) if environ.get("BRIDGE_CONFIG") and path is None else None)
    if named is None and (path is None or live) and CONFIG.is_file():
        named = CONFIG
    if named is None and path is not None and not live:
        return _ReadSettings(None, "", path, None, [], {})
    if named is None and not any(name.startswith("BRIDGE_KAFKA__") for name in environ):
        raise Failure(
            "there is nothing to check here: name a directory of rules (`suprsend-bridge check config/rules`) "
            "or the settings (`suprsend-bridge check --config config/bridge.yaml`)"
        )
    return _read_settings(named)


def _read_settings(named: Path | None) -> _ReadSettings:
    from bridge.settings.load import SettingsError, load_settings

    name = "settings" if named is None else str(named)
    notes: list[Finding] = []
    try:
        settings = load_settings(named, os.environ, notes=notes)
    except SettingsError as error:
        sources = {path: text for path, text in error.sources.items() if path}
        path, topics = _peeked(named)
        return _ReadSettings(None, name, path, topics, error.findings, sources)
    topics = tuple(settings.kafka.topics)
    return _ReadSettings(settings, name, Path(settings.rules.path), topics, notes, {})


def _peeked(named: Path | None) -> tuple[Path, tuple[str, ...] | None]:
    """The rules and topics that wrong settings name, so that all mistakes are found at once."""
    from bridge.document import ListNode, MappingNode, Scalar, read

    base = Path() if named is None else named.parent
    root = None if named is None else read(named).root
    if not isinstance(root, MappingNode):
        return base / "rules", None
    rules, kafka = root.get("rules"), root.get("kafka")
    path = rules.get("path") if isinstance(rules, MappingNode) else None
    listed = kafka.get("topics") if isinstance(kafka, MappingNode) else None
    topics = None
    if isinstance(listed, ListNode) and all(isinstance(topic, Scalar) for topic in listed):
        topics = tuple(topic.text for topic in listed if isinstance(topic, Scalar))
    return base / (path.text if isinstance(path, Scalar) and path.text else "rules"), topics


def _rules(path: Path, topics: tuple[str, ...] | None) -> _ReadRules:
    from bridge.rules.lint.check import check_rules
    from bridge.rules.read.load import load_rules

    loaded = load_rules(path)
    return _ReadRules(loaded.rules, [*loaded.findings, *check_rules(loaded.rules, topics)], loaded.sources)


def _machine(settings: Settings, name: str) -> list[Finding]:
    """What only trying tells: keys that cannot be keys, settings that librdkafka refuses, filters that are none."""
    from bridge.kafka.config import ConfigError, clients_of
    from bridge.rules.name_patterns import NamePatternError, recipient_filter
    from bridge.secrets import SecretError
    from bridge.service.wiring import credentials_of, endpoint_of, judge_of
    from bridge.suprsend.answers import AnswerRuleError
    from bridge.suprsend.endpoint import EndpointError
    from bridge.suprsend.signing import CredentialsError

    found = []
    for attempt in (
        lambda: credentials_of(settings)().env,
        lambda: endpoint_of(settings).ca_bundle(),
        lambda: judge_of(settings),
        lambda: clients_of(settings.kafka),
        lambda: recipient_filter(settings.delivery.only_recipients),
    ):
        try:
            attempt()
        except (SecretError, CredentialsError, EndpointError, AnswerRuleError, ConfigError, NamePatternError) as error:
            found.append(Finding("S004", "error", name, 0, 0, 0, str(error), getattr(error, "hint", None)))
    return found + _trusted(settings, name)


def _trusted(settings: Settings, name: str) -> list[Finding]:
    """What is wrong with the certificates that are trusted where no `ca_file` is set."""
    from bridge.pem import authorities_problem
    from bridge.service.wiring import endpoint_of
    from bridge.suprsend.endpoint import EndpointError

    try:
        bundle = endpoint_of(settings).ca_bundle() if settings.suprsend.ca_file is None else None
    except EndpointError:
        return []
    problem = authorities_problem(Path(bundle)) if bundle is not None else None
    if problem is None:
        return []
    return [Finding("S007", "error", name, 0, 0, 0, f"the trusted certificates: the file {bundle!r} {problem.text}")]


def _summary(findings: list[Finding], rules: RuleSet, *, live: bool) -> str:
    from bridge.findings import in_order

    once = in_order(findings)
    errors = sum(finding.severity == "error" for finding in once)
    warnings = len(once) - errors
    looked = f"{_count(len(rules.rules), 'rule')} in {_count(len(rules.files), 'file')}"
    looked += ", Kafka and SuprSend reached" if live and not errors else ""
    if not once:
        return f"fine: {looked}"
    return f"{_count(errors, 'error')}, {_count(warnings, 'warning')}: {looked}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


LIVE_CODES: Final = {
    "L001": ("Kafka would hold the bridge.", "Do what the message says; the bridge goes on by itself then."),
    "L003": ("A right is missing; the bridge works without it.", "Do what the message says, or live without it."),
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
