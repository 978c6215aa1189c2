"""Images in a ZIP archive: `where` is "HEADER+PACKED+BYTES+CHECKSUM+METHOD", as its directory says."""

import struct
import zlib

from reliance.images.source import Held, Unreadable, check_size, not_listed, opened

STORED, DEFLATED = 0, 8
LOCAL = struct.Struct("<4s5H3I2H")  # header before the data of a member


def read(at: Held, limit: int) -> bytes:
    """The bytes of an image; no more are unpacked than the archive promised.

    Raises Unreadable if they are damaged, and RelianceError if no member begins there.
    """
    start, packed, size, checksum, method = map(int, at.where.split("+"))
    check_size(size, limit)
    file = opened(at.container)
    header = file.read(start, LOCAL.size)
    if len(header) != LOCAL.size or header[:4] != b"PK\3\4":
        raise not_listed(at, "no member of a ZIP archive at its place", "the archive as it was indexed")
    *_, name, extra = LOCAL.unpack(header)
    data = file.read(start + LOCAL.size + name + extra, packed)
    if method == DEFLATED:
        data = _inflated(data, size)
    if len(data) != size or zlib.crc32(data) != checksum:
        raise Unreadable("damaged: not the bytes and the checksum that its archive lists")
    return data


def _inflated(data: bytes, size: int) -> bytes:
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = unpack.decompress(data, size + 1)  # one more would say that there are more
    except zlib.error as error:
        raise Unreadable(f"damaged: {error}") from None
    return found
