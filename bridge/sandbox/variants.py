"""Other ways in which SuprSend may answer, where its documentation leaves open how (contract §10)."""

from __future__ import annotations

from typing import Final

__all__ = ["VARIANTS", "unknown"]

VARIANTS: Final = {
    "duplicate-error": "a key that was used is answered with an error entry (409)",
    "bulk-refused-whole": "one bad event refuses the whole bulk call (400)",
    "refusal-uses-key": "a refused event uses up its key",
    "ids-free": "a distinct_id of more than 255 characters is taken",
    "no-tenants": "an event with a tenant_id is refused: no tenant is known (404)",
    "properties-free": "property keys may begin with $ and ss_",
    "short-body": "the v2 addresses take the short body of the REST reference, too",
}
"""Names, for `--variants`, and what is another way with each."""


def unknown(names: frozenset[str]) -> list[str]:
    """Those that are no variants."""
    return sorted(names - VARIANTS.keys())
