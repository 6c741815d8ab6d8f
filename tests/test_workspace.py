"""A process keeps to its workspace while its secrets change."""

from __future__ import annotations

from bridge.service.wiring import WorkspaceGuard
from bridge.suprsend.signing import Hmac

OWN, OTHER = "a-workspace-key-of-20-chars", "another-workspace-of-20-chars"


def test_a_rotated_secret_takes_effect_and_another_workspace_does_not() -> None:
    """The secret may change in place; with another key the last credentials of the own workspace stay."""
    now = [Hmac(OWN, "one")]
    it = WorkspaceGuard(lambda: now[0])
    assert (it.env, it(), it.other()) == (OWN, Hmac(OWN, "one"), None)
    now[0] = Hmac(OWN, "two")
    assert it() == Hmac(OWN, "two")
    now[0] = Hmac(OTHER, "three")
    assert it() == Hmac(OWN, "two")
    assert (it.env, it.other()) == (OWN, OTHER)
    now[0] = Hmac(OWN, "four")
    assert it() == Hmac(OWN, "four")
    assert it.other() is None
