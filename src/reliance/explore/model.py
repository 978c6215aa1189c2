"""The models behind a variant, loaded where a question needs one: for a text nobody stored, or a new image.

A new image goes through what its stored neighbours went through: the same decoding, preprocessing, site,
precision and rounding of the store, and the SAE's own way to encode. open_clip is imported here and nowhere
else in this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reliance.base.artifacts import check_same, hash_file
from reliance.base.entry import imported
from reliance.base.errors import RelianceError
from reliance.config.sites import SITES
from reliance.explore.attribute import Seen
from reliance.explore.shelf import Shelf
from reliance.units.sae.kinds import KINDS

if TYPE_CHECKING:
    from PIL import Image

    from reliance.encoders.model import Clip

ENCODER, LABELLER = "weights", "labeller_weights"  # names of files of a variant


class Models:
    """The encoder and the labeller of a variant, each loaded once, when it is needed."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._loaded: dict[str, tuple[Clip, Any]] = {}

    def texts(self, which: str, prompts: Sequence[str]) -> np.ndarray:
        """Unit text vectors float32 [n, p] of some texts, by the encoder or the labeller."""
        from reliance.encoders.text import encode_prompts

        clip, tokenizer = self._model(which)
        return encode_prompts(clip.model, tokenizer, prompts)

    def image(self, image: Image.Image, max_pixels: int = 200_000_000) -> Seen:
        """A new image as the units of the variant see it. Raises RelianceError if it is too thin."""
        x = self.site_vector(image, max_pixels)
        return self.code(x)

    def size(self, which: str) -> int:
        """Pixels that the longer side of an image has when a model looks at it."""
        from reliance.encoders.model import read_weights

        size = read_weights(self._shelf.path(which))[0].preprocess["size"]
        return int(size if isinstance(size, int) else max(size))

    def site_vector(self, image: Image.Image, max_pixels: int = 200_000_000) -> np.ndarray:
        """x float32 [d] of an RGB image at the variant's site, rounded as the store rounds."""
        import torch

        from reliance.encoders.vision import forward
        from reliance.images.crop import cropped
        from reliance.images.decode import Unreadable

        self._shelf.closed("another image is read")
        clip, _ = self._model(ENCODER)
        params = self._shelf.embeddings(self._any_split()).stamp.params
        site = imported(f"{SITES[params['site']].module}:SITE")
        try:
            pixels = cropped(image, clip.weights.preprocess, max_pixels)
        except Unreadable as error:
            raise unusable("image", str(error)) from error
        batch = torch.from_numpy(pixels[None].copy()).permute(0, 3, 1, 2)
        with forward(clip, site, params["precision"]) as run:
            x = run(batch).wait()[0][0]
        rounded: np.ndarray = x.astype(params["dtype"]).astype(np.float32)
        return rounded

    def code(self, x: np.ndarray) -> Seen:
        """The active units of a site vector, as the pipeline encodes and stores them."""
        from reliance.codes.encode import encode_rows, encoder_for
        from reliance.units.sae.apply import Applied
        from reliance.units.sae.sparse import on_device

        shelf = self._shelf
        sae, kind = shelf.sae, str(shelf.about.get("sae", {}).get("kind", "top_k"))
        encoder = encoder_for(shelf.path("sae"), sae, KINDS[kind].encoders)
        applied = Applied(encoder, on_device(sae.arrays, "cpu"), sae.k, sae.input_norm)
        values, indices = encode_rows(x[None], applied)
        active = values[0] != 0
        return Seen(x, indices[0][active], values[0][active].astype(np.float32))

    def _any_split(self) -> str:
        return next((s for s in ("test", "train") if self._shelf.has("embeddings", s)), "test")

    def _model(self, which: str) -> tuple[Clip, Any]:
        if which not in self._loaded:
            self._loaded[which] = load(self._shelf, which)
        return self._loaded[which]


def load(shelf: Shelf, which: str) -> tuple[Clip, Any]:
    """The encoder or labeller of a variant with its tokenizer, on the CPU.

    Raises RelianceError if its weights are gone, changed, or not those that the embeddings are from.
    """
    import torch

    from reliance.encoders import model as models

    record, stamp = models.read_weights(shelf.path(which))
    if which == ENCODER and shelf.has("head"):
        shelf.same_weights(shelf.path(which), stamp.id)
    if record.random:
        model = models.build_random(record.config, record.seed)
    else:
        file = shelf.placed(record.path)
        _check(record.encoder, file, record.sha256)
        model = models.build(record.config)
        state = models.fitting_state(model, str(file), record.encoder)
        models.refuse_not_finite(state, record)
        model.load_state_dict(state, strict=True)
    model.float().eval().requires_grad_(False)
    clip = models.Clip(model, torch.device("cpu"), record, stamp)
    return clip, models.load_tokenizer(record)


def unusable(where: str | Path, reason: str) -> RelianceError:
    """The error for an image that cannot be explained."""
    return RelianceError(
        where,
        "an image that is explained can be decoded",
        found=reason,
        allowed="JPEG, PNG, WebP, BMP, GIF, TIFF or PPM, of at most as many pixels as the pipeline reads",
        next_step="convert it, or name another file",
    )


def _check(encoder: str, file: Path, sha256: str) -> None:
    found = hash_file(file) if file.is_file() else "no such file"
    check = (f"encoders.{encoder}: {file}", found), (f"weights.json of {encoder}", sha256)
    if found == "no such file":
        raise RelianceError(
            check[0][0],
            "a new text or image needs the weights of the model",
            found=found,
            allowed=f"the file with sha256 {sha256}",
            next_step="run from where the pipeline ran, or restore the file; stored images and the "
            "prompts of classes are explained without it",
        )
    check_same("weights", *check)
