"""Images in a tar archive: `where` is "OFFSET+BYTES+CHECKSUM", of the data, and of the header before it."""

import zlib

from reliance.images.source import Held, check_size, not_listed, opened

BLOCK = 512


def place(header: bytes, offset: int, size: int) -> str:
    """Where an image lies, from the header [512] right before its data."""
    return f"{offset}+{size}+{zlib.crc32(header):08x}"


def read(at: Held, limit: int) -> bytes:
    """The bytes of an image. Raises RelianceError unless its header is the one that was indexed."""
    offset, size, checksum = at.where.split("+")
    check_size(int(size), limit)
    found = opened(at.container).read(int(offset) - BLOCK, BLOCK + int(size))
    if len(found) != BLOCK + int(size) or f"{zlib.crc32(found[:BLOCK]):08x}" != checksum:
        raise not_listed(at, "another file, or none, at its place", "the archive as it was indexed")
    return found[BLOCK:]
