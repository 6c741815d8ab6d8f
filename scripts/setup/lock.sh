#!/usr/bin/env bash
# Resolves the dependencies of pyproject.toml into hash-checked lock files: scripts/setup/lock.sh UV [--upgrade]
# One resolution for every platform and Python from 3.11 on; what is locked already stays unless --upgrade is given.
#
# Called by `make lock`.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=${1:?usage: scripts/setup/lock.sh UV [--upgrade]}
shift
compile=("$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes
    --no-header --no-emit-index-url "$@")
"${compile[@]}" pyproject.toml -o requirements/runtime.lock >/dev/null
"${compile[@]}" pyproject.toml --group dev -c requirements/runtime.lock -o requirements/dev.lock >/dev/null
# What the image builds the wheel with.
grep -oE 'hatchling==[0-9.]+' pyproject.toml | head -1 |
    "${compile[@]}" --no-annotate - -o requirements/build.lock >/dev/null
# The resolver itself, as it is; `make setup` installs with it.
"$uv" --version | sed -E 's/^uv ([^ ]+).*/uv==\1/' |
    "${compile[@]}" --no-annotate - -o requirements/uv.lock >/dev/null
