#!/usr/bin/env bash
# Builds the image without a daemon, and looks at it: scripts/deploy/image.sh [TAG]
#
# BASE          the base image (default: that of the Dockerfile). Where it cannot be pulled, a stand-in is made of
#               Debian's packages and a Python 3.13 (PYTHON313: its prefix): that shows the steps, not the base.
# Needs buildah and mmdebstrap (scripts/setup/tools.sh image).
#
# Called by `make image` and `scripts/deploy/test.sh`.
set -euo pipefail
cd "$(dirname "$0")/../.."

tag=${1:-localhost/suprsend-kafka-bridge:dev}
base=${BASE:-docker.io/library/python:3.13-slim}
certificates=/etc/ssl/certs/ca-certificates.crt
most_mb=80
most_ms=1000
export STORAGE_DRIVER=${STORAGE_DRIVER:-overlay} BUILDAH_ISOLATION=chroot

python_prefix() {
    local found
    found=${PYTHON313:-$(PYENV_VERSION=3.13.0 python3.13 -c 'import sys; print(sys.base_prefix)' 2>/dev/null || true)}
    [[ -x $found/bin/python3.13 ]] || { echo "no Python 3.13 found: set PYTHON313 to its prefix" >&2; exit 2; }
    printf '%s\n' "$found"
}

stand_in() { # makes the base image where it cannot be pulled
    local python work container root
    python=$(python_prefix)
    work=$(mktemp -d)
    mmdebstrap --quiet --variant=minbase \
        --include=ca-certificates,netbase,tzdata,libssl3,libffi8,libsqlite3-0,libreadline8,libncursesw6,liblzma5,libbz2-1.0,libuuid1,zlib1g,libexpat1 \
        bookworm "$work/rootfs.tar" /etc/apt/sources.list.d/debian.sources
    container=$(buildah from scratch)
    buildah add -q "$container" "$work/rootfs.tar" / >/dev/null
    root=$(buildah mount "$container")
    tar -C "$python" --exclude='lib/python3.*/test' --exclude=__pycache__ --exclude='*.a' -cf - . |
        tar -C "$root/usr/local" -xf -
    find "$root"/usr/local/lib/python3.*/site-packages -mindepth 1 -maxdepth 1 ! -name 'pip*' -exec rm -rf {} +
    ln -sf python3.13 "$root/usr/local/bin/python"
    ln -sf python3.13 "$root/usr/local/bin/python3"
    chroot "$root" ldconfig
    buildah umount "$container" >/dev/null
    buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 \
        --cmd python3 "$container"
    buildah commit -q "$container" "$base" >/dev/null
    buildah rm "$container" >/dev/null
    rm -rf "$work"
}

build() {
    local mounts=(-v "$certificates:$certificates:ro") pull=(--pull)
    [[ -e /etc/pip.conf ]] && mounts+=(-v /etc/pip.conf:/etc/pip.conf:ro)
    buildah inspect --type image "$base" >/dev/null 2>&1 || timeout 60 buildah pull -q "$base" >/dev/null 2>&1 || stand_in
    pull=(--pull-never)
    buildah bud --quiet --format docker --layers=false --isolation chroot --network host "${pull[@]}" "${mounts[@]}" \
        --build-arg BASE="$base" --build-arg REVISION="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
        -t "$tag" . >/dev/null
}

in_image() { # in_image COMMAND…: as the image's user
    buildah run --isolation chroot "$container" -- "$@"
}

check() {
    local container root size
    container=$(buildah from --pull-never "$tag")
    # shellcheck disable=SC2064 # the container's name of now
    trap "buildah rm $container >/dev/null 2>&1 || true" EXIT
    root=$(buildah mount "$container")
    size=$(find "$root/opt/bridge" "$root"/usr/local/lib/python3.*/ \( -path "$root/opt/*" -o -name '*.pyc' \) -type f -printf '%s\n' |
        awk '{ bytes += $1 } END { print int(bytes / 1000000 + 0.5) }')
    echo "our layers: $size MB (at most $most_mb)"
    ((size <= most_mb)) || exit 1
    [[ $(in_image python -c 'import os; print(os.getuid())') == 10001 ]] || { echo "it runs as root" >&2; exit 1; }
    local name
    for name in pip pip3 apt apt-get dpkg gcc cc make; do
        if compgen -G "$root/*bin/$name" || compgen -G "$root/usr/*bin/$name" || compgen -G "$root/usr/local/bin/$name" ||
            compgen -G "$root/opt/bridge/bin/$name"; then
            echo "$name is in the image" >&2
            exit 1
        fi
    done
    in_image python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("pip") is not None)' || exit 1
    in_image suprsend-bridge --version
    python3 -c 'import json, sys; made = json.load(open(sys.argv[1])); print("SBOM:", len(made["components"]), "components")' \
        "$root/opt/bridge/sbom.cdx.json"
    "$(dirname "$(scripts/setup/tools.sh --bin)")/venv-sbom/bin/python" - "$root/opt/bridge/sbom.cdx.json" <<'PYTHON'
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

with open(sys.argv[1], encoding="utf-8") as file:
    sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read()))
PYTHON
    runs
}

cpu_ms() { # cpu_ms PID: milliseconds of CPU that a process has used
    local stat
    read -r -a stat <<<"$(sed 's/.*) //' "/proc/$1/stat")"
    echo $(((stat[11] + stat[12]) * 1000 / $(getconf CLK_TCK)))
}

runs() { # the container's own command, as its user: alive without a broker, and gone on SIGTERM
    local port pid started now cpu log
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    log=$(mktemp)
    buildah run --isolation chroot --user 10001:10001 \
        -v "$PWD/deploy/compose/bridge.yaml:/etc/bridge/bridge.yaml:ro" -v "$PWD/config/rules:/etc/bridge/rules:ro" \
        --env BRIDGE_ADMIN__PORT="$port" --env BRIDGE_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:1 \
        --env BRIDGE_SUPRSEND__WORKSPACE_KEY=sandbox-workspace-key-01 \
        --env BRIDGE_SUPRSEND__WORKSPACE_SECRET=sandbox-workspace-secret-01 \
        "$container" -- suprsend-bridge run --config /etc/bridge/bridge.yaml >"$log" 2>&1 &
    pid=$!
    started=$(date +%s%N)
    until curl -sf -o /dev/null "http://127.0.0.1:$port/livez"; do
        now=$(date +%s%N)
        if ((now - started > 20000000000)) || ! kill -0 "$pid" 2>/dev/null; then
            cat "$log" >&2
            exit 1
        fi
        sleep 0.02
    done
    now=$(date +%s%N)
    cpu=$(cpu_ms "$(pgrep -n -u 10001 -x suprsend-bridge)")
    echo "alive after $(((now - started) / 1000000)) ms, of which its CPU took $cpu ms (at most $most_ms)"
    ((cpu <= most_ms)) || exit 1 # the clock on the wall says as much of the machine's other work
    curl -s "http://127.0.0.1:$port/readyz"
    curl -sf -o /dev/null "http://127.0.0.1:$port/metrics" || exit 1
    kill -TERM "$(pgrep -n -u 10001 -x suprsend-bridge)"
    if ! wait "$pid"; then
        cat "$log" >&2
        exit 1
    fi
    echo "ended by SIGTERM with code 0"
    rm -f "$log"
}

build
check
