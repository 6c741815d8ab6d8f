"""Writes what an environment is made of as a CycloneDX 1.6 document: every installed distribution, with its licence.

    python scripts/deploy/sbom.py > sbom.cdx.json     with the Python of that environment; needs nothing else

The document is the same for the same environment: no time and no random number is in it.

Called by `Dockerfile`.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from importlib.metadata import Distribution, distributions
from typing import Any

PRODUCT = "suprsend-kafka-bridge"
Json = dict[str, Any]


def document(found: list[Distribution], python: str) -> Json:
    """The whole document; the product is the subject, everything else its components."""
    components = sorted((component(one) for one in found), key=lambda one: str(one["bom-ref"]))
    subject = next((one for one in components if one["name"] == PRODUCT), {"type": "application", "name": PRODUCT})
    others = [one for one in components if one["name"] != PRODUCT]
    names = {str(one["name"]): str(one["bom-ref"]) for one in components}
    text = json.dumps([subject, others])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {
            "component": {**subject, "type": "application"},
            "properties": [{"name": "python", "value": python}],
        },
        "components": others,
        "dependencies": [{"ref": names[normal(one)], "dependsOn": needs(one, names)} for one in found],
    }


def normal(one: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()


def component(one: Distribution) -> Json:
    """One distribution: name, version, package URL, licence where it states one."""
    name = normal(one)
    meta: Any = one.metadata
    purl = f"pkg:pypi/{name}@{one.version}"
    made: Json = {"type": "library", "bom-ref": purl, "name": name, "version": one.version, "purl": purl}
    if meta.get("License-Expression"):
        made["licenses"] = [{"expression": meta["License-Expression"]}]
    elif meta.get("License") and len(meta["License"]) < 60:
        made["licenses"] = [{"license": {"name": meta["License"]}}]
    return made


def needs(one: Distribution, names: dict[str, str]) -> list[str]:
    """References to the installed distributions that this one requires."""
    required = {
        re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", text, maxsplit=1)[0]).lower() for text in one.requires or ()
    }
    return sorted(names[name] for name in required if name in names)


if __name__ == "__main__":
    version = ".".join(map(str, sys.version_info[:3]))
    json.dump(document(list(distributions()), version), sys.stdout, indent=1)
    sys.stdout.write("\n")
