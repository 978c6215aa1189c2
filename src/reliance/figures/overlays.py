"""A map of values laid over an image: warm where they add, cold where they take away, on grey."""

import numpy as np

WARM, COLD = np.array([230, 90, 20], np.float32), np.array([20, 110, 200], np.float32)
STRENGTH = 0.75  # of the colour where a map is largest


def laid_over(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [h, w] over an image uint8 [h, w, 3], each as strong as its share of the largest.

    The image is grey below, so that all colours are those of the map; uint8 [h, w, 3].
    """
    largest = float(np.abs(values).max()) or 1.0
    share = (STRENGTH * np.abs(values) / largest)[..., None]
    grey = image.astype(np.float32).mean(2, keepdims=True).repeat(3, 2)
    colour = np.where(values[..., None] >= 0, WARM, COLD)
    mixed: np.ndarray = (grey * (1 - share) + colour * share).round().clip(0, 255).astype(np.uint8)
    return mixed
