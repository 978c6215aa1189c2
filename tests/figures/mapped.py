"""A small model with an SAE behind an earlier block, and codes of patches, for galleries with maps."""

from types import SimpleNamespace

import numpy as np

from encoders.conftest import save_checkpoint, variant
from reliance.encoders.model import load_model
from reliance.encoders.weights import resolve_weights
from reliance.units.sae.files import Sae, save_sae

SITE = "block-2"


class Located:
    """Codes whose units are strongest on patch 0 of 4 of every image but some."""

    grid = (2, 2)

    def __init__(self, path, made="c" * 64, silent=()):
        self.path, self.stamp, self._silent = path, SimpleNamespace(id=made), list(silent)

    def places_of(self, images, components):
        return np.where(np.isin(images, self._silent), -1, 0)


def pictures_of(figure):
    """The thumbnails of a figure, in reading order."""
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def write_model(folder, m, encoder=""):
    """The files weights and sae; encoder : the id of the weights that the SAE says it is of."""
    weights, sae = folder / "weights.json", folder / "sae.safetensors"
    checkpoint = save_checkpoint(folder / "c.safetensors", variant(layers=3))
    resolve_weights(weights=weights, encoder="tiny", checkpoint=checkpoint)
    clip = load_model(weights)
    d = clip.model.visual.transformer.width
    rows = np.random.default_rng(0).normal(size=(m, d))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    made = Sae(rows, np.zeros(m, np.float32), rows, np.zeros(d, np.float32), 3)
    save_sae(sae, made, {"site": SITE}, {"encoder": encoder or clip.stamp.id})
    return {"weights": weights, "sae": sae}
