"""Bytes → the text of a file, with what no YAML file may hold as findings."""

from __future__ import annotations

import codecs
import re
from itertools import islice

from bridge.document.codes import LARGEST
from bridge.document.nodes import Source
from bridge.findings import Finding, visible

__all__ = ["decode"]

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What YAML forbids, and the line separators that YAML takes for line ends and editors do not."""
_MOST_SHOWN = 20
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def decode(data: bytes | str, path: str) -> tuple[Source, list[Finding]]:
    """Decode a file; a byte order mark at the beginning is left out. With findings the text is for showing only."""
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        message = f"the file is larger than {LARGEST // (1024 * 1024)} MiB"
        return Source(path, ""), [Finding("Y004", "error", path, 0, 0, 0, message, "split it into several files")]
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    source = Source(path, text.removeprefix("\ufeff"))
    if isinstance(data, bytes):
        wrong = _wrong_bytes(data, source)
        if wrong is not None:
            return source, [wrong]
    return source, [_forbidden(source, match) for match in islice(_FORBIDDEN.finditer(source.text), _MOST_SHOWN)]


def _wrong_bytes(data: bytes, source: Source) -> Finding | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"the file is not UTF-8 text: byte 0x{data[error.start]:02X} cannot stand here"
        if data.startswith(_WIDE_BOMS):
            message = "the file is not UTF-8 text: it begins like UTF-16 or UTF-32"
        return source.finding("Y002", len(before), len(before) + 1, message, "save the file as UTF-8")
    return None


def _forbidden(source: Source, match: re.Match[str]) -> Finding:
    code = ord(match.group())
    written = f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"
    message = f"the character {visible(match.group())} (U+{code:04X}) cannot stand in a YAML file"
    hint = f'leave it out, or write it as {written} in double quotes: "{written}"'
    return source.finding("Y003", match.start(), match.end(), message, hint)
