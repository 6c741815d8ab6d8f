"""One bridge of a row: a process that may be started in surroundings of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.road.bridge_process import START, BridgeProcess


class Member(BridgeProcess):
    """`wrap` is a command that is given the bridge's own as its last arguments and must end by `exec`ing it."""

    def __init__(
        self,
        folder: Path,
        chosen: Mapping[str, Any],
        *,
        name: str,
        wrap: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, chosen, name=name)
        self._wrap = tuple(wrap)
        self._env = dict(env or {})

    def start(self) -> Self:
        """Start, or start again."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._wrap, *START, "run", "--config", str(self.settings_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._env},
            )
        return self


def shell(script: str) -> tuple[str, ...]:
    """A wrapping command made of a line of shell, after which the bridge itself takes the process over."""
    return ("sh", "-c", f'{script} && exec "$@"', "sh")
