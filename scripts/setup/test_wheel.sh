#!/usr/bin/env bash
# Runs the tests against the built wheel in dist/: scripts/setup/test_wheel.sh [PYTEST ARGUMENTS]
# The package of this tree is kept out of sight: the tests, and what they read, are copied beside the wheel's venv.
#
# Called by `make test`.
set -euo pipefail
cd "$(dirname "$0")/../.."
wheel=$(ls dist/*.whl)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
export UV_PYTHON_DOWNLOADS=never

.venv/bin/python -m venv --without-pip "$room/.venv"
install=(.venv/bin/uv pip install --quiet --python "$room/.venv/bin/python")
[ -x .venv/bin/uv ] || install=(.venv/bin/python -m pip --python "$room/.venv/bin/python" install --quiet)
"${install[@]}" --require-hashes -r requirements/dev.lock
"${install[@]}" --no-deps "$wheel"

git ls-files -z --cached --others --exclude-standard | grep -zv '^bridge/' | tar -c --null -T - | tar -x -C "$room"
cd "$room"
.venv/bin/python - <<'PY'
import bridge, sys
assert "site-packages" in bridge.__file__, f"not the wheel: {bridge.__file__}"
print(f"testing {bridge.__file__} with Python {sys.version.split()[0]}")
PY
.venv/bin/python -m pytest "$@"
