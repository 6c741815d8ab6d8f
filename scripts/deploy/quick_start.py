"""The commands of the quick start in Kubernetes, as they stand in the docs, less what a bare API server cannot do.

    python -m scripts.deploy.quick_start      prints a shell script, to be run in a copy of the tree

Left out are the lines that need a registry, a broker, or pods that run; the words in capitals are filled in.

Called by `scripts/deploy/chart_server.sh` and `tests/deploy/test_quick_start.py`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/deploy/kubernetes.md"
NEEDS_MORE = ("docker ", "kafka-topics.sh ", "kubectl -n notify rollout ", "kubectl -n notify exec ")
WORDS = {
    "REGISTRY": "registry.example.com/notify",
    "KAFKA:9092": "kafka-0.kafka:9092",
    "WORKSPACE-KEY": "a-workspace-key-of-20-chars",
    "WORKSPACE-SECRET": "a-secret-of-the-workspace",
}


def block() -> str:
    """The first block of commands of the page."""
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]  # type: ignore[no-any-return]


def commands() -> list[str]:
    """Each command with all its lines; a text that is given to one belongs to it."""
    found: list[str] = []
    open_text, goes_on = False, False
    for line in block().splitlines():
        if open_text or goes_on:
            found[-1] += "\n" + line
            open_text = open_text and line != "END"
        elif line and not line.startswith("#"):
            found.append(line)
            open_text = "<<'END'" in line
        goes_on = not open_text and line.endswith("\\")
    return found


def filled(text: str) -> str:
    """The text with the user's own in place of the words in capitals."""
    for word, own in WORDS.items():
        text = text.replace(word, own)
    return text


def values() -> str:
    """The values file that the quick start writes."""
    (text,) = [command for command in commands() if command.startswith("cat > values.yaml")]
    return filled(text.split("\n", 1)[1].rsplit("\nEND", 1)[0]) + "\n"


def main() -> None:
    """Print what can be run."""
    chosen = [command for command in commands() if not command.startswith(NEEDS_MORE)]
    sys.stdout.write(filled("set -euo pipefail\n" + "\n".join(chosen) + "\n"))


if __name__ == "__main__":
    main()
