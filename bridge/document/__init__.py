"""YAML with places: text → nodes that know where they stand, and every mistake of the text as a finding. Pure but for `read`.

Rules, tests of rules and settings are all read by this. Nothing is typed implicitly: what a plain scalar means is
decided by one small table (`scalars.py`), and what another YAML reader could take for something else is an error.

The only room with yaml; imports `findings` alone. `rules`, `settings` and commands import it, by the names below. Begin with
`nodes.py`, then `composer.py`.
"""

from __future__ import annotations

from bridge.document.codes import CODES, LARGEST
from bridge.document.composer import compose, read
from bridge.document.nodes import (
    Document,
    EntryNode,
    ListNode,
    MappingNode,
    Place,
    Plain,
    Scalar,
    Source,
    Style,
    YamlNode,
)

__all__ = [
    "CODES",
    "LARGEST",
    "Document",
    "EntryNode",
    "ListNode",
    "MappingNode",
    "Place",
    "Plain",
    "Scalar",
    "Source",
    "Style",
    "YamlNode",
    "compose",
    "read",
]
