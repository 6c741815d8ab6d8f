"""Makes `helm/values.schema.json`: what each value of the chart may be, the bridge's own settings included.

The settings' part is the settings' own schema, less what does not belong into values: secrets as text, and what the
chart sets itself.

Called by `make docs`.
"""

from __future__ import annotations

import copy
from typing import Any

from bridge.settings.reference import settings_schema

Json = dict[str, Any]

SECRETS = ("workspace_key", "workspace_secret", "api_key", "password", "client_secret", "key_password", "token")
SET_BY_CHART = {
    "AdminSettings": ("host", "port"),
    "RulesSettings": ("path",),
    "Kafka": ("instance_id",),
    "DeliverySettings": ("rate_limit",),
}

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 1}
FREE: Json = {"type": "object"}
TEXTS: Json = {"type": "object", "additionalProperties": {"type": "string"}}
NAME: Json = {"type": "string", "pattern": "^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"}
QUANTITIES: Json = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}


def listed(items: Json) -> Json:
    return {"type": "array", "items": items}


def section(description: str, required: tuple[str, ...] = (), more: Json | None = None, **properties: Json) -> Json:
    """An object with exactly these keys; `more` are those that Python keeps for itself."""
    made: Json = {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": {**properties, **(more or {})},
    }
    return {**made, "required": list(required)} if required else made


def said(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


def image() -> Json:
    return section(
        "The image; a digest wins over the tag.",
        repository={"type": "string", "minLength": 1},
        tag=TEXT,
        digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
        pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    )


def rules() -> Json:
    names = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.(yaml|yml|jq)$"
    files: Json = {"type": "object", "patternProperties": {names: TEXT}, "additionalProperties": False}
    return said(files, "Rule files: name → text.")


FILES: Json = {
    "type": "object",
    "description": "Setting that takes a path → key of the Secret.",
    "propertyNames": {"pattern": r"^[a-z_]+(\.[a-z_]+)*_file$"},
    "additionalProperties": {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"},
}


def secret(description: str) -> Json:
    return section(description, ("name",), name={**NAME, "minLength": 1}, files=FILES)


def autoscaling() -> Json:
    return section(
        "One KEDA ScaledObject on lag.",
        enabled=FLAG,
        minReplicas={"type": "integer", "minimum": 0},
        maxReplicas=COUNT,
        lagThreshold=COUNT,
        cooldownPeriod=COUNT,
        authenticationRef=NAME,
        metadata=TEXTS,
    )


def monitoring() -> Json:
    address = {"type": "string", "pattern": "^(https?://.+)?$"}
    return section(
        "Scraping, alerts, dashboard.",
        kind={"enum": ["none", "serviceMonitor", "podMonitor"]},
        interval={"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
        labels=TEXTS,
        rules=section("Alerts.", enabled=FLAG, labels=TEXTS, runbookUrl=address),
        dashboard=section("Dashboard.", enabled=FLAG, labels=TEXTS),
    )


def network_policy() -> Json:
    return section(
        "Who may reach the pods, and what they may reach.",
        more={"from": listed(FREE)},
        enabled=FLAG,
        extraPorts=listed({"type": "integer", "minimum": 1, "maximum": 65_535}),
        to=listed(FREE),
        extraEgress=listed(FREE),
    )


def pod() -> dict[str, Json]:
    """What becomes part of the pods as it is."""
    return {
        "commonLabels": said(TEXTS, "Labels of every object and pod."),
        "annotations": said(TEXTS, "Annotations of the Deployment or StatefulSet."),
        "podAnnotations": TEXTS,
        "podLabels": TEXTS,
        "nodeSelector": TEXTS,
        "tolerations": listed(FREE),
        "affinity": FREE,
        "priorityClassName": NAME,
        "topologySpreadConstraints": listed(FREE),
        "podSecurityContext": FREE,
        "extraPodSpec": section(
            "Further fields of the pods' spec.",
            dnsConfig=FREE,
            dnsPolicy={"enum": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
            hostAliases=listed(FREE),
            runtimeClassName=NAME,
            schedulerName=NAME,
        ),
        "extraEnv": listed(FREE),
        "extraEnvFrom": listed(FREE),
        "extraVolumes": listed(FREE),
        "extraVolumeMounts": listed(FREE),
    }


def root() -> Json:
    """The values without what they refer to."""
    return section(
        "Values of the chart",
        image=image(),
        imagePullSecrets=said(listed(FREE), "Secrets to pull the image with."),
        replicas=said({"type": "integer", "minimum": 0}, "Pods, unless autoscaling is enabled."),
        settings={"$ref": "#/$defs/Settings"},
        rateLimit=said({"type": ["number", "null"], "exclusiveMinimum": 0}, "Events a second for all pods together."),
        rules=rules(),
        existingRulesConfigMap=said(NAME, "A ConfigMap that has the rule files."),
        secret=secret("The Secret that is mounted as files."),
        extraSecrets=said(listed(secret("A further Secret that is mounted as files.")), "Further Secrets."),
        resources=section("Requests and limits.", requests=QUANTITIES, limits=QUANTITIES, claims=listed(FREE)),
        staticMembership=said(FLAG, "A StatefulSet whose pods keep their name in the group."),
        terminationGracePeriodSeconds=said({"type": "integer", "minimum": 16}, "Longer than the drain."),
        autoscaling=autoscaling(),
        monitoring=monitoring(),
        networkPolicy=network_policy(),
        podDisruptionBudget=section("Drains of nodes.", enabled=FLAG, maxUnavailable={"type": ["integer", "string"]}),
        serviceAccount=section("The account, without a token.", create=FLAG, name=NAME, annotations=TEXTS),
        check=section("`suprsend-bridge check` before each start.", enabled=FLAG),
        nameOverride=NAME,
        fullnameOverride=NAME,
        more={**pod(), "global": FREE},
    )


def values_schema() -> Json:
    """The whole schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root(),
        "required": ["settings", "secret"],
        "$defs": settings_definitions(),
    }


def settings_definitions() -> Json:
    """The settings' definitions without secrets as text and without what the chart sets."""
    schema = copy.deepcopy(settings_schema())
    definitions: Json = schema.pop("$defs")
    for name, definition in definitions.items():
        for key in (*SECRETS, *SET_BY_CHART.get(name, ())):
            definition.get("properties", {}).pop(key, None)
    definitions["Settings"] = {
        "type": "object",
        "description": "bridge.yaml; see docs/reference/settings.md.",
        "additionalProperties": False,
        "properties": schema["properties"],
        "required": ["kafka"],
    }
    return definitions
