#!/usr/bin/env bash
# Holds the chart against a real kube-apiserver: server-side dry runs, the restricted Pod Security Standard, RBAC,
# install, upgrade and rollback. Needs scripts/setup/tools.sh helm apiserver, kubectl, and a Python with PyYAML ($PYTHON).
#
# Called by `scripts/deploy/test.sh`.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(scripts/setup/tools.sh --bin)
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
helm=$bin/helm

end() {
    scripts/deploy/apiserver.sh stop "$work/server" || true
    rm -rf "$work"
}
trap end EXIT

say() { printf -- '-- %s\n' "$*"; }

custom_resource() { # custom_resource GROUP VERSION KIND PLURAL: one whose fields are not looked into
    cat <<CRD
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $4.$1}
spec:
  group: $1
  scope: Namespaced
  names: {kind: $3, plural: $4, singular: ${4%s}}
  versions:
    - name: $2
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
CRD
}

say "starting a kube-apiserver"
scripts/deploy/apiserver.sh start "$work/server" "$bin/kube-apiserver"
export KUBECONFIG=$work/server/kubeconfig
kubectl version 2>/dev/null | grep Server

{
    custom_resource monitoring.coreos.com v1 ServiceMonitor servicemonitors
    custom_resource monitoring.coreos.com v1 PodMonitor podmonitors
    custom_resource monitoring.coreos.com v1 PrometheusRule prometheusrules
    custom_resource keda.sh v1alpha1 ScaledObject scaledobjects
} | kubectl apply -f - >/dev/null
kubectl create namespace notify >/dev/null
kubectl label namespace notify pod-security.kubernetes.io/enforce=restricted \
    pod-security.kubernetes.io/warn=restricted >/dev/null
kubectl create priorityclass notify-high --value=1000 >/dev/null 2>&1 || true

for values in helm/ci/*-values.yaml; do
    say "$values: server-side dry run, and its pod under the restricted standard"
    "$helm" template bridge helm --namespace notify --kube-version 1.37.0 -f "$values" >"$work/manifests.yaml"
    kubectl apply --dry-run=server --namespace notify -f "$work/manifests.yaml" 2>"$work/warnings" >/dev/null
    if grep -i warning "$work/warnings" | grep -v 'kubectl.kubernetes.io/last-applied'; then
        echo "the server warns" >&2
        exit 1
    fi
    "$python" scripts/deploy/pod_of.py <"$work/manifests.yaml" >"$work/pod.yaml"
    kubectl apply --dry-run=server -f "$work/pod.yaml" >/dev/null
    "$helm" install --dry-run=server check helm --namespace notify -f "$values" >/dev/null
done

say "a pod that asks for more is refused (so the standard is enforced)"
sed 's/runAsNonRoot: true/runAsNonRoot: false/' "$work/pod.yaml" >"$work/greedy.yaml"
if kubectl apply --dry-run=server -f "$work/greedy.yaml" >/dev/null 2>"$work/refusal"; then
    echo "it was admitted" >&2
    exit 1
fi
grep -o "violates PodSecurity \"restricted:latest\"" "$work/refusal" || { cat "$work/refusal" >&2; exit 1; }

say "install, upgrade, rollback"
"$helm" install bridge helm --namespace notify -f helm/ci/minimal-values.yaml >/dev/null
first=$(kubectl -n notify get deployment bridge-suprsend-kafka-bridge -o jsonpath='{.spec.template.metadata.annotations.checksum/settings}')
"$helm" upgrade bridge helm --namespace notify -f helm/ci/minimal-values.yaml --set settings.kafka.group_id=other >/dev/null
second=$(kubectl -n notify get deployment bridge-suprsend-kafka-bridge -o jsonpath='{.spec.template.metadata.annotations.checksum/settings}')
[[ $first != "$second" ]] || { echo "a change of the settings did not roll the pods" >&2; exit 1; }
"$helm" upgrade bridge helm --namespace notify -f helm/ci/full-values.yaml --set rules=null >/dev/null
kubectl -n notify get scaledobject,servicemonitor,prometheusrule -o name
"$helm" rollback bridge 1 --namespace notify >/dev/null
third=$(kubectl -n notify get deployment bridge-suprsend-kafka-bridge -o jsonpath='{.spec.template.metadata.annotations.checksum/settings}')
[[ $first == "$third" ]] || { echo "the rollback did not bring back the settings" >&2; exit 1; }
[[ -z $(kubectl -n notify get scaledobject -o name) ]] || { echo "the rollback left the autoscaler" >&2; exit 1; }

say "the quick start, as it stands in the docs"
ln -s "$PWD/helm" "$PWD/config" "$work/"
"$python" -m scripts.deploy.quick_start | sed 's/\bnotify\b/quick/g' >"$work/quick-start.sh"
(cd "$work" && PATH="$bin:$PATH" bash quick-start.sh)
kubectl -n quick get deployment bridge-suprsend-kafka-bridge -o jsonpath='{.spec.template.spec.containers[0].image}{"\n"}'

say "its account may do nothing"
account=system:serviceaccount:notify:bridge-suprsend-kafka-bridge
for what in "get secrets" "list pods" "create pods" "get configmaps"; do
    # shellcheck disable=SC2086 # verb and resource
    [[ $(kubectl auth can-i $what -n notify --as "$account") == no ]] || { echo "it may $what" >&2; exit 1; }
done
"$helm" uninstall bridge --namespace notify >/dev/null
say "all well"
