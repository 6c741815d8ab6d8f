"""`suprsend-bridge sandbox`: a local SuprSend."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.failure import Failure
from bridge.cli.main import run
from bridge.sandbox.api import VARIANTS, unknown_variants
from bridge.sandbox.workspaces import EXAMPLE, Workspace
from bridge.suprsend.limits import CEILING_EVENT_BYTES, DEFAULT_EVENT_BYTES, MAX_BODY_BYTES, env_problem

DEFAULT_PORT = 8787


def command(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = DEFAULT_PORT,
    workspace_key: Annotated[str, typer.Option(help="Workspace key (HMAC).")] = EXAMPLE.key,
    workspace_secret: Annotated[str, typer.Option(help="Workspace secret (HMAC).")] = EXAMPLE.secret,
    api_key: Annotated[str, typer.Option(help="API key (Bearer).")] = EXAMPLE.api_key,
    workspace_uid: Annotated[str, typer.Option(help="Workspace UID: the events' env with an API key.")] = EXAMPLE.uid,
    seed: Annotated[int, typer.Option(help="Seed of the faults: the same seed, the same faults.")] = 1,
    max_event_bytes: Annotated[
        int, typer.Option(min=1, max=CEILING_EVENT_BYTES, help="Largest event; documented, the SDKs allow 819200.")
    ] = DEFAULT_EVENT_BYTES,
    max_body_bytes: Annotated[
        int, typer.Option(min=2, max=16_000_000, help="Largest body of a call.")
    ] = MAX_BODY_BYTES,
    window: Annotated[float, typer.Option(min=0, help="Seconds for which an idempotency key counts.")] = 86_400,
    max_skew: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds by which a signed Date may be off; any Date is taken unless this is set."),
    ] = None,
    variants: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="Answer in other ways, where SuprSend's are unknown: "
            + "; ".join(f"{name} ({says})" for name, says in VARIANTS.items())
            + ".",
        ),
    ] = "",
    port_file: Annotated[Path | None, typer.Option(help="Write the port here when ready.")] = None,
    until_stdin_ends: Annotated[bool, typer.Option("--until-stdin-ends", hidden=True)] = False,
) -> None:
    """A local SuprSend: the event API with real authentication and limits, and faults on demand.

    Look at it in a browser, read what it accepted under /_sandbox/, post faults to /_sandbox/faults. It keeps all
    in memory and stops on Ctrl-C.

    Example: suprsend-bridge sandbox --port 8787
    """
    from bridge.sandbox.api import SandboxLimits
    from bridge.sandbox.server import SandboxConfig, serve

    for option, value in (("--workspace-key", workspace_key), ("--workspace-uid", workspace_uid)):
        if env_problem(value) or ":" in value:
            raise Failure(f"{option}: give at least 20 visible ASCII characters without a colon")
    if not workspace_secret or not api_key:
        raise Failure("--workspace-secret and --api-key: give some text, or leave the option out")
    chosen = frozenset(filter(None, variants.split(",")))
    if unknown_variants(chosen):
        raise Failure(f"--variants: there is no {unknown_variants(chosen)[0]!r}; there are: {', '.join(VARIANTS)}")
    config = SandboxConfig(
        host=host,
        port=port,
        workspace=Workspace(workspace_key, workspace_secret, api_key, workspace_uid),
        limits=SandboxLimits(event_bytes=max_event_bytes, body_bytes=max_body_bytes),
        seed=seed,
        window_seconds=window,
        max_skew_seconds=max_skew,
        variants=chosen,
    )
    example = f" (workspace key {EXAMPLE.key}, secret {EXAMPLE.secret})" if config.workspace == EXAMPLE else ""
    try:
        serve(
            config,
            lambda url: _say(f"SuprSend sandbox ready at {url}{example}"),
            port_file,
            until_stdin_ends=until_stdin_ends,
        )
    except OSError as error:
        raise Failure(_explain(error, host, port, port_file)) from None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _explain(error: OSError, host: str, port: int, port_file: Path | None) -> str:
    import errno

    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what listens there, or give another --port (0 for any free one)"
    if error.filename is not None and port_file is not None:
        return f"cannot write --port-file {port_file}: {error.strerror}"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


def main() -> None:
    """`python -m bridge.cli.sandbox`: the same command, for whoever starts it as a process."""
    sys.exit(run(["sandbox", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
