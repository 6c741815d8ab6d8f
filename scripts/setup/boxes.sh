#!/usr/bin/env bash
# Installs the boxes that stand between companies and the internet, for the tests that put them there: Debian's nginx,
# HAProxy, squid, tinyproxy and stunnel; and node, which runs the script of the status page. Quick when all is there; no
# service is started, now or at the next boot.
#
#   scripts/setup/boxes.sh
#
# Called by `make boxes` and `.ci/run`.
set -euo pipefail

packages=(nginx-core haproxy squid tinyproxy-bin stunnel4)
services=(nginx haproxy squid stunnel4)
policy=/usr/sbin/policy-rc.d

say() { printf '%s\n' "$*" >&2; }

missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *"ok installed" ]] || missing+=("$package")
done
# The status page's script is run by node; any that is there will do.
command -v node >/dev/null || missing+=(nodejs)
((${#missing[@]})) || exit 0

root=()
[[ $(id -u) == 0 ]] || root=(sudo)
say "installing the packages ${missing[*]}"
"${root[@]}" apt-get update -qq

# Debian starts a service when its package is installed, unless this file says 101: "action forbidden by policy".
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod +x "$policy"
    trap '"${root[@]}" rm -f "$policy"' EXIT
fi
DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
if [[ -d /run/systemd/system ]]; then
    "${root[@]}" systemctl disable --quiet "${services[@]}" 2>/dev/null || true
fi
