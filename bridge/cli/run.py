"""`bridge run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.failure import USAGE, Failure


def command(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", envvar="BRIDGE_CONFIG", help="The settings file; without it, the environment alone."
        ),
    ] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")] = None,
) -> int:
    """Run the bridge.

    Example: bridge run --config config/bridge.yaml
    """
    from bridge.kafka.config import ConfigError
    from bridge.observe.admin import AdminError
    from bridge.observe.logs import LEVELS, Logs
    from bridge.observe.redact import Redactor
    from bridge.running import run
    from bridge.secrets import SecretError
    from bridge.settings.load import load_settings
    from bridge.suprsend.answers import AnswerRuleError
    from bridge.suprsend.endpoint import EndpointError
    from bridge.suprsend.signing import CredentialsError

    settings = load_settings(config, os.environ)
    level = log_level or settings.logs.level
    if level not in LEVELS:
        message = f"--log-level {level}: write debug, info, warning or error"
        raise Failure(message)
    logs = Logs(level=level, form=settings.logs.format, redactor=Redactor())
    logs.capture_libraries()
    try:
        return run(settings, logs)
    except (ConfigError, AdminError, SecretError, AnswerRuleError, EndpointError, CredentialsError) as error:
        raise Failure(str(error), USAGE) from None
    finally:
        logs.close()
