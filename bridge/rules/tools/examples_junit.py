"""The results of tests as JUnit's XML, for CI. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from bridge.rules.tools.examples import Ran

__all__ = ["junit"]

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(suites: Sequence[tuple[str, Sequence[Ran]]]) -> str:
    """Write the results of files of tests, each with its path."""
    total = sum(len(ran) for _, ran in suites)
    failed = sum(bool(one.differences) for _, ran in suites for one in ran)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites tests="{total}" failures="{failed}">']
    for path, ran in suites:
        failures = sum(bool(one.differences) for one in ran)
        lines.append(f'  <testsuite name={_attribute(path)} tests="{len(ran)}" failures="{failures}">')
        lines += [_case(path, one) for one in ran]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _case(path: str, one: Ran) -> str:
    line = one.example.node.start.line
    head = f'    <testcase classname={_attribute(path)} name={_attribute(one.example.name)} file={_attribute(path)} line="{line}"'
    if not one.differences:
        return head + "/>"
    first = _attribute(one.differences[0])
    return f"{head}>\n      <failure message={first}>{_text(chr(10).join(one.differences))}</failure>\n    </testcase>"


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))
