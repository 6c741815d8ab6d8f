#!/usr/bin/env bash
# Every check of the deployment: scripts/deploy/test.sh [STEP…]. Without a daemon and without a cluster; the tools are
# installed on first use (Go tools take minutes then). Steps, in order: those of `all`.
#
# Called by `make test-deploy`.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(scripts/setup/tools.sh --bin)
cache=$(dirname "$bin")
python=${PYTHON:-.venv/bin/python}
shots=${SHOTS:-$(mktemp -d)}
kubernetes=1.33.0
all=(quick chart manifests server dashboard image live)

say() { printf '\n== %s\n' "$*"; }

step_quick() { scripts/deploy/check.sh; }

step_chart() {
    scripts/setup/tools.sh helm helm-unittest
    local values
    for values in helm/ci/*-values.yaml; do
        "$bin/helm" lint --strict --quiet --kube-version "$kubernetes" helm -f "$values"
    done
    "$bin/untt" helm
}

step_manifests() {
    scripts/setup/tools.sh python helm kubectl-validate
    local values work
    work=$(mktemp -d)
    for values in helm/ci/*-values.yaml; do
        "$bin/helm" template bridge helm --namespace notify --kube-version "$kubernetes" -f "$values" >"$work/all.yaml"
        "$bin/kubernetes-validate" --strict -k "${kubernetes%.*}" "$work/all.yaml" 2>&1 | grep -v "^INFO" >"$work/found" || true
        # Custom resources have no schema there; the real server's step looks at them.
        if grep -vE 'kind (ServiceMonitor|PodMonitor|PrometheusRule|ScaledObject)' "$work/found"; then
            exit 1
        fi
        "$python" -m scripts.deploy.rendered "$work/all.yaml" "$work/core.yaml"
        "$bin/kubectl-validate" --version 1.30 "$work/core.yaml"
    done
    rm -rf "$work"
}

step_server() {
    scripts/setup/tools.sh helm apiserver
    scripts/deploy/chart_server.sh
}

step_dashboard() {
    scripts/setup/tools.sh grafana promql
    "$python" -m scripts.deploy.dashboard_types >"$cache/grafana/check.ts"
    (cd "$cache/grafana" && node_modules/.bin/tsc --noEmit --skipLibCheck --strict --module nodenext \
        --moduleResolution nodenext check.ts)
    "$python" -m scripts.deploy.dashboard_rules | "$python" -c '
import json, subprocess, sys
for rule in json.load(sys.stdin)["groups"][0]["rules"]:
    subprocess.run([sys.argv[1], "--experimental", "promql", "format", rule["expr"]], check=True, stdout=subprocess.DEVNULL)
' "$bin/promql"
}

step_image() {
    scripts/setup/tools.sh image
    scripts/deploy/image.sh
}

step_live() {
    scripts/setup/tools.sh prometheus browser
    "$python" -m scripts.deploy.live --shots "$shots"
}

steps=("$@")
((${#steps[@]})) || steps=("${all[@]}")
for step in "${steps[@]}"; do
    declare -F "step_$step" >/dev/null || { echo "no step is called $step; there are: ${all[*]}" >&2; exit 2; }
    say "$step"
    "step_$step"
done
say "all well"
