#!/usr/bin/env bash
# A real kube-apiserver with etcd, for what only the server can judge: admission, PodSecurity, RBAC, helm install.
#
#   scripts/deploy/apiserver.sh build BINARY VERSION      builds kube-apiserver from its Go module (minutes)
#   scripts/deploy/apiserver.sh start DIRECTORY BINARY    starts both on localhost; DIRECTORY/kubeconfig leads to them
#   scripts/deploy/apiserver.sh stop DIRECTORY
#
# There are no controllers: no pod runs, and `helm install --wait` cannot end.
#
# Called by `scripts/deploy/chart_server.sh` and `scripts/setup/tools.sh`.
set -euo pipefail

build() {
    local out=$1 version=$2 work source flags=k8s.io/component-base/version
    work=$(mktemp -d)
    cd "$work"
    source=$(go mod download -json "k8s.io/kubernetes@v$version" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
    {
        printf 'module server\n\n%s\n\nrequire k8s.io/kubernetes v%s\nreplace (\n' \
            "$(grep -m1 '^go ' "$source/go.mod")" "$version"
        grep -oE 'k8s\.io/[a-z0-9-]+ => \./staging' "$source/go.mod" |
            awk -v version="v0.${version#1.}" '{print "\t" $1 " => " $1 " " version}' | sort -u
        printf ')\n'
    } >go.mod
    cat >main.go <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
GO
    GOFLAGS="-p=1 ${GOFLAGS:-} -mod=mod" nice -n 19 go mod tidy
    GOFLAGS="-p=1 ${GOFLAGS:-}" nice -n 19 go build \
        -ldflags "-s -w -X $flags.gitVersion=v$version -X $flags.gitMajor=1 -X $flags.gitMinor=$(cut -d. -f2 <<<"$version")" \
        -o "$out" .
    cd / && rm -rf "$work"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    local directory=$1 binary=$2 client peer port token try
    mkdir -p "$directory"
    cd "$directory"
    client=$(free_port) peer=$(free_port) port=$(free_port)
    openssl genrsa -out sa.key 2048 2>/dev/null
    openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
    token=$(openssl rand -hex 16)
    printf '%s,admin,1,system:masters\n' "$token" >tokens.csv
    etcd --data-dir etcd --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
        --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "default=http://127.0.0.1:$peer" >etcd.log 2>&1 &
    echo $! >etcd.pid
    "$binary" --etcd-servers "http://127.0.0.1:$client" --secure-port "$port" --bind-address 127.0.0.1 --cert-dir certs \
        --service-account-key-file sa.pub --service-account-signing-key-file sa.key \
        --service-account-issuer https://kubernetes.default.svc --token-auth-file tokens.csv --authorization-mode RBAC \
        --service-cluster-ip-range 10.0.0.0/24 --disable-admission-plugins ServiceAccount >server.log 2>&1 &
    echo $! >server.pid
    for try in $(seq 300); do
        curl -skf --noproxy '*' "https://127.0.0.1:$port/readyz" >/dev/null && break
        [[ $try == 300 ]] && { echo "kube-apiserver is not ready after 30 s: $directory/server.log" >&2; exit 1; }
        sleep 0.1
    done
    cat >kubeconfig <<KUBECONFIG
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://127.0.0.1:$port", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: local, context: {cluster: local, user: admin}}]
current-context: local
KUBECONFIG
}

stop() { # the server first, and not gently: without etcd it would wait a minute
    local name pid
    for name in server etcd; do
        [[ -e $1/$name.pid ]] || continue
        pid=$(cat "$1/$name.pid")
        kill -KILL "$pid" 2>/dev/null || true
    done
}

case ${1:-} in
build | start | stop) "$@" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
