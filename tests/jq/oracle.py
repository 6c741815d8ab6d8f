"""libjq as the oracle: many programs in one compile, in a child process with limits.

Run as a script, it answers requests of one JSON line each: `{"programs": […], "inputs": [JSON texts]}` gives, for each
program, the outputs for each input as one JSON text, or null where it failed; or `"compile"` where the program does
not compile.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from typing import Any

MEMORY = 2 << 30
SECONDS = 10
"""For one request; the answer is then `crash` for one of its programs."""
Answer = Any
"""For each program: a list with a text or null for each input, or the word `compile`, `crash`."""


def _serve() -> None:
    import jq

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        request = json.loads(line)
        signal.alarm(SECONDS)
        answers = _answers(jq, request["programs"], request["inputs"])
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


def _answers(jq: Any, programs: list[str], inputs: list[str]) -> list[Answer]:
    parts = [f"(try ([\n{program}\n] | tojson) catch null)" for program in programs]
    try:
        compiled = jq.compile(f"[{', '.join(parts)}]")
    except ValueError:
        if len(programs) == 1:
            return ["compile"]
        half = len(programs) // 2
        return _answers(jq, programs[:half], inputs) + _answers(jq, programs[half:], inputs)
    columns: list[list[str | None]] = []
    for text in inputs:
        try:
            columns.append(compiled.input_text(text).first())
        except ValueError:
            if len(programs) == 1:
                columns.append([None])
                continue
            half = len(programs) // 2
            one = _answers(jq, programs[:half], [text]) + _answers(jq, programs[half:], [text])
            columns.append([answer if isinstance(answer, str) else answer[0] for answer in one])
    return [[column[at] for column in columns] for at in range(len(programs))]


class Oracle:
    """Asks a child process; starts a new one when it dies."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def ask(self, programs: list[str], inputs: list[str]) -> list[Answer]:
        """What libjq makes of each program and input."""
        answer = self._try(programs, inputs)
        if answer is not None:
            return answer
        if len(programs) == 1:
            return ["crash"]
        half = len(programs) // 2
        return self.ask(programs[:half], inputs) + self.ask(programs[half:], inputs)

    def _try(self, programs: list[str], inputs: list[str]) -> list[Answer] | None:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps({"programs": programs, "inputs": inputs}) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            return None
        answer: list[Answer] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None


if __name__ == "__main__":
    _serve()
