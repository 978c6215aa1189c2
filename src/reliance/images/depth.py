"""How many bits of a 16-bit grey image are used, where its file says it.

Microscopes and scanners write 12 or 10 bits into 16: divided by 65535, such an image is nearly black.
PNG says it in its chunk sBIT, TIFF in MaxSampleValue or in bits per sample below 16. PGM is scaled by Pillow.
"""

import logging

from PIL import Image

log = logging.getLogger(__name__)
_BITS, _LARGEST = 258, 281  # TIFF: BitsPerSample, MaxSampleValue
_said: list[float] = []  # one entry once it was said in this process


def largest(image: Image.Image, content: bytes) -> int | None:
    """The value that stands for white in a 16-bit grey image, None if its file does not say it."""
    if image.format == "PNG":
        bits = _significant_bits(content)
        return 2**bits - 1 if bits and bits < 16 else None
    tags = getattr(image, "tag_v2", {})
    for value in (_number(tags.get(_LARGEST)), 2 ** _number(tags.get(_BITS), 16) - 1):
        if 0 < value < 65535:
            return value
    return None


def warn_if_dark(brightest: float) -> None:
    """Log, once in a process, that an image uses few of the values that its file has."""
    if brightest < 4096 and not _said:
        _said.append(brightest)
        log.warning(
            "a 16-bit grey image is no brighter than %d of 65535, and its file does not say how many bits it "
            "uses: with 12 or fewer, it is read as nearly black; scale such images before they are indexed",
            brightest,
        )


def _significant_bits(content: bytes) -> int:
    """The first value of a PNG's chunk sBIT, which stands before the pixels; 0 without one."""
    place = 8
    while place + 8 <= len(content) and (kind := content[place + 4 : place + 8]) != b"IDAT":
        if kind == b"sBIT":
            return content[place + 8]
        place += 12 + int.from_bytes(content[place : place + 4])
    return 0


def _number(value: object, otherwise: int = 0) -> int:
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else otherwise
