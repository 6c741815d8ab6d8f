"""The variables and the computed keys of the patterns behind `as`."""

from __future__ import annotations

from bridge.jq.syntax.nodes import ArrayPattern, Node, ObjectPattern, Pattern, VariablePattern


def pattern_names(pattern: Pattern) -> list[str]:
    """The variables of a pattern."""
    if isinstance(pattern, VariablePattern):
        return [pattern.name]
    if isinstance(pattern, ArrayPattern):
        return [name for item in pattern.items for name in pattern_names(item)]
    assert isinstance(pattern, ObjectPattern)
    names: list[str] = []
    for _, name, inner in pattern.entries:
        names += [name] if name is not None else []
        names += pattern_names(inner) if inner is not None else []
    return names


def pattern_keys(pattern: Pattern) -> list[Node]:
    """The keys of the objects in a pattern."""
    if isinstance(pattern, ArrayPattern):
        return [key for item in pattern.items for key in pattern_keys(item)]
    keys: list[Node] = []
    if isinstance(pattern, ObjectPattern):
        for key, _, inner in pattern.entries:
            keys.append(key)
            keys += pattern_keys(inner) if inner is not None else []
    return keys
