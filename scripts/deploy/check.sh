#!/usr/bin/env bash
# What can be checked of the deployment with packages of apt and pip alone; quick, and part of CI.
# The rest (Helm, image, a real API server, a browser) is in scripts/deploy/test.sh.
#
# Called by `.ci/run` and `scripts/deploy/test.sh`.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/setup/tools.sh quick
bin=$(scripts/setup/tools.sh --bin)
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf -- '-- %s\n' "$*"; }

say "Dockerfile"
"$bin/hadolint" Dockerfile

say "workflow, issue forms, compose.yaml"
schema() { "$bin/check-jsonschema" --builtin-schema "vendor.$1" "${@:2}" >"$work/schema" || { cat "$work/schema"; exit 1; }; }
schema github-workflows .github/workflows/*.yml
schema github-issue-config .github/ISSUE_TEMPLATE/config.yml
schema github-issue-forms .github/ISSUE_TEMPLATE/{bug,question}.yml
schema compose-spec compose.yaml

say "scripts"
for script in scripts/*/*.sh deploy/compose/*.sh; do
    bash -n "$script"
done
shellcheck scripts/*/*.sh deploy/compose/*.sh .ci/run

say "alerts: syntax, and which fire when"
promtool check rules helm/files/alerts.yaml >"$work/rules" || { cat "$work/rules"; exit 1; }
cp helm/files/alerts.yaml deploy/prometheus/prometheus.yaml "$work" # side by side, as compose.yaml has them
promtool check config "$work/prometheus.yaml" >"$work/config" || { cat "$work/config"; exit 1; }
promtool test rules deploy/prometheus/alerts_test.yaml

say "dashboard: every expression"
"$python" -m scripts.deploy.dashboard_rules >"$work/dashboard.yaml"
promtool check rules "$work/dashboard.yaml"
