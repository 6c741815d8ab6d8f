"""Every documented limit and rule that one event must meet (contract §3, §4), as the server side checks them.

Written apart from the checks of the bridge's own client, so that neither hides a mistake of the other. Where the
documentation leaves a choice, the stricter reading is taken: better refused here than there.
"""

from __future__ import annotations

import re
from typing import Any, Final

from bridge.sandbox.answers import Refusal
from bridge.suprsend.limits import (
    MAX_DISTINCT_ID_CHARS,
    MAX_KEY_CHARS,
    MAX_TENANT_CHARS,
    MIN_EVENT_NAME_CHARS,
    MIN_INSERT_ID_CHARS,
    MIN_TIME_MS,
    SDK_EVENT_NAMES,
)

ATTACHMENT_BYTES: Final = 50 * 1024
"""A base64 attachment, measured as the text that is sent, must be under it (contract §3c)."""
SDK_KEYS: Final = frozenset({"$ss_sdk_version", "$attachments"})
"""What the official SDKs add to `properties` themselves (contract §3b)."""
INVALID: Final = "invalid_request"
TOO_LARGE: Final = "payload_too_large"

_TENANT = re.compile(r"[A-Za-z0-9_-]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def invalid(message: str) -> Refusal:
    """A refusal that is the caller's fault: 400."""
    return Refusal(400, INVALID, message)


RESERVED: Final = invalid("property keys must not start with $ or ss_")
LONG_ID: Final = invalid(f"distinct_id must be a string of at most {MAX_DISTINCT_ID_CHARS} characters")


def check_full(event: object, size: int, env: str, max_bytes: int) -> Refusal | None:
    """The body of v2: every field that the SDKs' schema requires; `env` must name the caller's workspace."""
    if not isinstance(event, dict):
        return invalid("each event must be a JSON object")
    insert_id = event.get("$insert_id")
    if type(insert_id) is not str or len(insert_id) < MIN_INSERT_ID_CHARS:
        return invalid(f"$insert_id must be a string of at least {MIN_INSERT_ID_CHARS} characters")
    time = event.get("$time")
    if type(time) is not int or time < MIN_TIME_MS:
        return invalid(f"$time must be an integer of milliseconds, at least {MIN_TIME_MS}")
    if event.get("env") != env:
        return invalid("env must be the key (HMAC) or the uid (API key) of the workspace that signs the call")
    if type(event.get("properties")) is not dict:
        return invalid('Request body contains an invalid value for the "properties" field')
    return _check_common(event, size, max_bytes)


def check_short(event: object, size: int, env: str, max_bytes: int) -> Refusal | None:
    """The body of `/event/`: only `event` and `distinct_id` are required; `env` may be absent, not wrong."""
    if not isinstance(event, dict):
        return invalid("each event must be a JSON object")
    if event.get("env", env) != env:
        return invalid("env must be the key (HMAC) or the uid (API key) of the workspace that signs the call")
    if type(event.get("properties", {})) is not dict:
        return invalid('Request body contains an invalid value for the "properties" field')
    return _check_common(event, size, max_bytes)


def _check_common(event: dict[str, Any], size: int, max_bytes: int) -> Refusal | None:
    name = event.get("event")
    recipient = event.get("distinct_id")
    if type(name) is not str or type(recipient) is not str or not recipient.strip():
        return invalid("error: must pass value for either event or distinct_id/anonymous_id, both as strings")
    if len(recipient) > MAX_DISTINCT_ID_CHARS:
        return LONG_ID
    first = name[:1]
    if first in "sS" or not first.isalpha() or len(name) < MIN_EVENT_NAME_CHARS:
        problem = _check_name(name)
        if problem is not None:
            return problem
    if size > max_bytes:
        return Refusal(413, TOO_LARGE, f"event is {size} bytes, must not be over {max_bytes}")
    key = event.get("$idempotency_key")
    if key is not None and (type(key) is not str or len(key) > MAX_KEY_CHARS):
        return invalid(f"$idempotency_key must be a string of at most {MAX_KEY_CHARS} characters")
    if "tenant_id" in event or "brand_id" in event:
        problem = _check_tenant(event, "tenant_id") or _check_tenant(event, "brand_id")
        if problem is not None:
            return problem
    properties = event.get("properties")
    return _check_properties(properties) if properties else None


def _check_name(name: str) -> Refusal | None:
    bare = name.strip()
    if len(bare) < MIN_EVENT_NAME_CHARS:
        return invalid(f"event must be a name of at least {MIN_EVENT_NAME_CHARS} characters")
    if bare not in SDK_EVENT_NAMES and (bare.startswith("$") or bare[:3].lower() == "ss_"):
        return invalid("event names starting with $ or ss_ are reserved by SuprSend")
    return None


def _check_tenant(event: dict[str, Any], field: str) -> Refusal | None:
    value = event.get(field)
    if value is None:
        return None
    if type(value) is not str or len(value) > MAX_TENANT_CHARS or _TENANT.fullmatch(value) is None:
        return invalid(f"{field} must be at most {MAX_TENANT_CHARS} letters, digits, _ or -")
    return None


def _check_properties(properties: dict[str, Any]) -> Refusal | None:
    names = "\n" + "\n".join(properties)
    if "\n$" not in names and "\nss_" not in names:
        return None
    for name in properties:
        if name.startswith(("$", "ss_")) and name not in SDK_KEYS:
            return RESERVED
    return _check_attachments(properties["$attachments"]) if "$attachments" in properties else None


def _check_attachments(attachments: object) -> Refusal | None:
    if not isinstance(attachments, list):
        return invalid("$attachments must be an array")
    for attachment in attachments:
        problem = _check_attachment(attachment)
        if problem is not None:
            return problem
    return None


def _check_attachment(attachment: object) -> Refusal | None:
    if not isinstance(attachment, dict):
        return invalid("each of $attachments must be an object")
    url, data = attachment.get("url"), attachment.get("data")
    if url is not None:
        fine = isinstance(url, str) and url.startswith(("http://", "https://")) and url.isprintable()
        return None if fine else invalid("an attachment's url must be a public http or https URL")
    if not isinstance(data, str) or not data or len(data) % 4 or _BASE64.fullmatch(data) is None:
        return invalid("an attachment needs a url, or data in base64")
    if len(data) >= ATTACHMENT_BYTES:
        return Refusal(
            413, TOO_LARGE, f"a base64 attachment must be under {ATTACHMENT_BYTES} bytes; send a url instead"
        )
    return None
