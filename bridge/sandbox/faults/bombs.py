"""Small compressed bodies that unpack to very much."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final, Literal

_MEGABYTE: Final = b" " * (1024 * 1024)


@lru_cache(maxsize=2)
def bomb(megabytes: int, encoding: Literal["gzip", "deflate"]) -> bytes:
    """So many megabytes of spaces, compressed about a thousandfold; a valid stream to its last byte.

    One megabyte is compressed once and its blocks are repeated: quick and small to make, whatever the size.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(_MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    end = b"\x03\x00"
    check = zlib.crc32 if encoding == "gzip" else zlib.adler32
    total = check(b"")
    for _ in range(megabytes):
        total = check(_MEGABYTE, total)
    if encoding == "gzip":
        size = (megabytes << 20) & 0xFFFFFFFF
        tail = total.to_bytes(4, "little") + size.to_bytes(4, "little")
        return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + block * megabytes + end + tail
    return b"\x78\xda" + block * megabytes + end + total.to_bytes(4, "big")
