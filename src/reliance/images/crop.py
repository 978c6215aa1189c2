"""One decoded image as an encoder gets it, for an image that is handed over and not listed in an index."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from reliance.images.decode import Images, Reading


def cropped(image: Image.Image, preprocess: Mapping[str, Any], max_pixels: int) -> np.ndarray:
    """Pixels uint8 [h, w, 3] of an RGB image, resized and cropped; raises Unreadable if it is too thin."""
    images = Images((), Reading("", max_pixels=max_pixels), preprocess)
    images._check_shape(*image.size)
    return np.array(images._crop(image))
