"""SuprSend's limits and names: one home for each number, and small pure checks (contract §2c, §3 and §4).

A check returns None, or one sentence that says what is wrong and what to write instead. It never quotes the value,
which may be a person's data. Checks take the value as it is sent: trim white space first.
"""

from __future__ import annotations

from re import compile as pattern
from typing import Final
from urllib.parse import urlsplit

DEFAULT_EVENT_BYTES: Final = 102_400
"""The documented size of one event with its attachments, in bytes of its JSON (UTF-8)."""

CEILING_EVENT_BYTES: Final = 819_200
"""What the official SDKs allow for one event; no setting goes beyond it."""

MAX_BATCH_EVENTS: Final = 100
MAX_BODY_BYTES: Final = 819_200
"""The body of one bulk call as it is sent, brackets and commas included."""

MIN_TIME_MS: Final = 1_640_995_200_000
"""2022-01-01T00:00:00Z: the schema's minimum of `$time`."""

MIN_INSERT_ID_CHARS: Final = 36
MIN_ENV_CHARS: Final = 20
MIN_EVENT_NAME_CHARS: Final = 2
MAX_KEY_CHARS: Final = 255
MAX_DISTINCT_ID_CHARS: Final = 255
MAX_TENANT_CHARS: Final = 64
MAX_DEPTH: Final = 200
"""How deep properties may nest; SuprSend documents no limit, JSON readers have one."""

SDK_EVENT_NAMES: Final = frozenset(
    {
        "$identify",
        "$notification_delivered",
        "$notification_dismiss",
        "$notification_clicked",
        "$app_launched",
        "$user_login",
        "$user_logout",
    }
)
"""Reserved names that the official SDKs let their callers send."""

ATTACHMENTS: Final = "$attachments"
"""The property that holds attachments; only the bridge writes it."""

URL_SCHEMES: Final = ("https://", "http://")


def reserved(name: str) -> bool:
    """Whether a name begins like those that SuprSend keeps for itself: `$`, or `ss_` in any case (contract §3b)."""
    return name[:1] == "$" or name[:3].lower() == "ss_"


def event_name_problem(name: str, *, allow_sdk_names: bool = False) -> str | None:
    """Check an event name; `allow_sdk_names` lets the names in `SDK_EVENT_NAMES` through."""
    if len(name) < MIN_EVENT_NAME_CHARS:
        return "the event name is missing or has one character; write the trigger name of a workflow, at least two long"
    if name != name.strip():
        return "the event name has white space at an end; remove it"
    if reserved(name) and not (allow_sdk_names and name in SDK_EVENT_NAMES):
        return "the event name begins with `$` or `ss_`, which SuprSend keeps for itself; choose another name"
    return _text_problem("event name", name)


def distinct_id_problem(distinct_id: str) -> str | None:
    """Check the id of the recipient."""
    if not distinct_id:
        return "the distinct_id is missing or blank; write the id under which SuprSend knows the person"
    if distinct_id != distinct_id.strip():
        return "the distinct_id has white space at an end; remove it"
    if len(distinct_id) > MAX_DISTINCT_ID_CHARS:
        return f"the distinct_id has {len(distinct_id)} characters; SuprSend takes at most {MAX_DISTINCT_ID_CHARS}"
    return _text_problem("distinct_id", distinct_id)


def key_problem(key: str) -> str | None:
    """Check an idempotency key (contract §6)."""
    if not key:
        return "the idempotency key is blank; write one that names this notification, or leave it out"
    if len(key) > MAX_KEY_CHARS:
        return f"the idempotency key has {len(key)} characters; SuprSend takes at most {MAX_KEY_CHARS}"
    if key != key.strip():
        return "the idempotency key has white space at an end, which SuprSend trims; remove it"
    return _text_problem("idempotency key", key)


def tenant_problem(tenant: str) -> str | None:
    """Check a tenant id; whether the tenant exists only SuprSend knows."""
    if not tenant:
        return "the tenant_id is blank; write the id of a tenant, or leave it out for the default one"
    if len(tenant) > MAX_TENANT_CHARS:
        return f"the tenant_id has {len(tenant)} characters; SuprSend takes at most {MAX_TENANT_CHARS}"
    if tenant != tenant.strip():
        return "the tenant_id has white space at an end; remove it"
    return _text_problem("tenant_id", tenant)


def property_key_problem(key: str) -> str | None:
    """Check a key of the first level of `properties` (contract §3b)."""
    if reserved(key):
        return "a property key begins with `$` or `ss_`, which SuprSend keeps for itself; rename it"
    return _text_problem("property key", key)


def env_problem(env: str) -> str | None:
    """Check the workspace key (HMAC) or workspace UID (Bearer) that goes into each event's `env`."""
    if len(env) < MIN_ENV_CHARS:
        return (
            f"the workspace key or UID has {len(env)} characters where SuprSend's have at least {MIN_ENV_CHARS}; "
            "copy it from the dashboard (Settings, API keys)"
        )
    if not env.isascii() or not env.isprintable() or " " in env:
        return "the workspace key or UID has a space, a line break or a character beyond ASCII; copy it again"
    return None


_CONTROL: Final = pattern("[\x00-\x1f]")


def attachment_url_problem(url: str) -> str | None:
    """Check the URL of an attachment; that it is public only SuprSend can tell."""
    if not url.startswith(URL_SCHEMES):
        return "the attachment's url must begin with https:// or http://; local files are never sent, publish them"
    if url != url.strip() or _CONTROL.search(url):
        return "the attachment's url has white space at an end or a control character; remove it"
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        return "the attachment's url names no host; write it as https://host/path"
    return _text_problem("attachment's url", url)


def event_bytes_problem(size: int, limit: int = DEFAULT_EVENT_BYTES) -> str | None:
    """Check the size of one event's JSON in bytes against a limit."""
    if size > limit:
        return f"the event has {size} bytes, the limit is {limit}; send fewer or shorter properties"
    return None


def event_limit_problem(limit: int) -> str | None:
    """Check the setting of the largest event."""
    if not 1 <= limit <= CEILING_EVENT_BYTES:
        return f"the largest event must be between 1 and {CEILING_EVENT_BYTES} bytes, not {limit}"
    return None


def time_ms(timestamp_ms: int) -> int:
    """The `$time` for a timestamp in milliseconds: itself, or the schema's minimum when missing or older."""
    return max(timestamp_ms, MIN_TIME_MS)


def _text_problem(what: str, text: str) -> str | None:
    """Text that has no UTF-8 form (half of a surrogate pair) cannot be sent."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"the {what} holds half of a surrogate pair, which is no valid Unicode; send whole characters"
    return None
