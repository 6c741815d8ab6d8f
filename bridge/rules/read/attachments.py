"""`attachments` of a rule: a list, or one `${ }` that makes a list."""

from __future__ import annotations

from bridge.document import Mapping, Node, Scalar, Sequence
from bridge.rules.model import AttachmentRule, Computed, Fixed, Value
from bridge.rules.read.expressions import Expressions
from bridge.rules.read.fields import refuse_unknown
from bridge.rules.read.keys import ATTACHMENT
from bridge.suprsend.limits import attachment_url_problem

__all__ = ["read_attachments"]


def read_attachments(node: Node | None, compiler: Expressions) -> Computed | tuple[AttachmentRule, ...]:
    """Read `attachments`; what is wrong goes to the compiler's findings."""
    if node is None:
        return ()
    if isinstance(node, Sequence):
        items = (_read_item(f"attachments[{number}]", item, compiler) for number, item in enumerate(node))
        return tuple(item for item in items if item is not None)
    value = compiler.value("attachments", node) if isinstance(node, Scalar) else None
    if isinstance(value, Computed):
        return value
    if value is not None or not isinstance(node, Scalar):
        message = "attachments must be a list, or one ${ } that makes a list"
        hint = "write attachments: followed by `- url: …` lines, or attachments: '${ [.files[] | {url}] }'"
        compiler.findings.append(node.finding("R029", message, hint))
    return ()


def _read_item(field: str, node: Node, compiler: Expressions) -> AttachmentRule | None:
    if not isinstance(node, Mapping):
        hint = "write - url: https://…, and filename: below it"
        compiler.findings.append(node.finding("R029", "an attachment has a url and perhaps a filename", hint))
        return None
    refuse_unknown(compiler.findings, "an attachment", node, ATTACHMENT)
    url = node.get("url")
    if url is None:
        compiler.findings.append(node.finding("R029", "the attachment has no url", "add url: https://…"))
        return None
    before = len(compiler.findings)
    address = _text(f"{field}.url", url, compiler)
    if isinstance(address, Fixed) and len(compiler.findings) == before:
        problem = attachment_url_problem(str(address.value))
        if problem is not None:
            compiler.findings.append(url.finding("R029", problem))
    filename = node.get("filename")
    name = None if filename is None else _text(f"{field}.filename", filename, compiler)
    if filename is not None and isinstance(name, Fixed) and not str(name.value):
        compiler.findings.append(filename.finding("R029", "the filename is blank", "write one, or leave the key out"))
    ignore = _ignore(f"{field}.ignore_if_error", node.get("ignore_if_error"), compiler)
    return None if address is None else AttachmentRule(address, name, ignore)


def _text(field: str, node: Node, compiler: Expressions) -> Value | None:
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        compiler.findings.append(node.finding("R029", f"{field} must be text or one ${{ }}", "write it in quotes"))
        return None
    value = compiler.value(field, node, meant="error")
    return Fixed(str(value.value).strip()) if isinstance(value, Fixed) else value


def _ignore(field: str, node: Node | None, compiler: Expressions) -> Value | None:
    if node is None:
        return None
    value = compiler.value(field, node) if isinstance(node, Scalar) else None
    if isinstance(value, Computed) or (isinstance(value, Fixed) and isinstance(value.value, bool)):
        return value
    if value is not None or not isinstance(node, Scalar):
        hint = "write ignore_if_error: true"
        compiler.findings.append(node.finding("R029", f"{field} must be true, false or one ${{ }}", hint))
    return None
