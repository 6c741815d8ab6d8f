#!/usr/bin/env bash
# Makes the environment of development: scripts/setup/venv.sh DIRECTORY
# Everything is pinned by hash in requirements/dev.lock; the project itself goes in as a link to this tree.
# The interpreter: $PYTHON if set, else the first of python3, python3.14 … python3.11 that is new enough.
#
# Called by `make setup`.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${1:?usage: scripts/setup/venv.sh DIRECTORY}
oldest="3.11"

new_enough() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" && { echo "$PYTHON"; return; }
        echo "PYTHON=$PYTHON cannot be used: Python $oldest or later, with its venv module, is needed." >&2
        return 1
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        command -v "$name" >/dev/null && new_enough "$name" && { command -v "$name"; return; }
    done
    echo "Python $oldest or later is needed (with its venv module), and this machine has" \
        "$(python3 --version 2>/dev/null || echo none). Install one, or name it: make setup PYTHON=/path/to/python3" >&2
    return 1
}

if ! { [ -x "$venv/bin/python" ] && new_enough "$venv/bin/python"; }; then
    python=$(find_python)
    "$python" -m venv --clear "$venv"
fi

# uv is many times quicker than pip; where it has no wheel for the machine, pip does the same by itself.
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
if "${pip[@]}" --require-hashes -r requirements/uv.lock; then
    install=("$venv/bin/uv" pip install --quiet --python "$venv/bin/python")
else
    echo "uv cannot be installed here: going on with pip" >&2
    install=("${pip[@]}")
fi
"${install[@]}" --require-hashes -r requirements/dev.lock
"${install[@]}" --no-deps --no-build-isolation -e .
echo "ready: $("$venv/bin/suprsend-bridge" --version), $("$venv/bin/python" --version), in $venv"
