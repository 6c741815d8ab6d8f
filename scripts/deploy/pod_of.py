"""Prints the pod that the workload in rendered manifests would start, so that a server's admission can judge it.

    python scripts/deploy/pod_of.py < manifests.yaml

Called by `scripts/deploy/chart_server.sh`.
"""

from __future__ import annotations

import sys

import yaml


def main() -> None:
    """Read manifests from standard input, write one Pod."""
    documents = [one for one in yaml.safe_load_all(sys.stdin) if one]
    workload = next(one for one in documents if one["kind"] in ("Deployment", "StatefulSet"))
    template = workload["spec"]["template"]
    meta = {**template["metadata"], "name": "pod-of-the-workload", "namespace": workload["metadata"]["namespace"]}
    yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}, sys.stdout)


if __name__ == "__main__":
    main()
