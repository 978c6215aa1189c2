"""Pixels inside a page."""

import base64
import io

import numpy as np
from PIL import Image


def uri(pixels: np.ndarray) -> str:
    """An image uint8 [h, w, 3] as a PNG data URI."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
