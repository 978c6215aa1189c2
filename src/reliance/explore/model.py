"""The models behind a variant, loaded where a question needs one: for a text nobody stored, or a new image.

A new image goes through what its stored neighbours went through: the same decoding, preprocessing, site,
precision and rounding of the store, and the SAE's own way to encode. open_clip is imported here and nowhere
else in this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reliance.base.artifacts import check_same, hash_file
from reliance.base.entry import imported
from reliance.base.errors import RelianceError
from reliance.config.sites import SITES, block_of, kind_of
from reliance.explore.attribute import Seen
from reliance.explore.lookup import images_of
from reliance.explore.shelf import Shelf
from reliance.units.sae.kinds import KINDS

if TYPE_CHECKING:
    from PIL import Image

    from reliance.encoders.model import Clip
    from reliance.encoders.stored import Embeddings
    from reliance.explore.behind import Network
    from reliance.units.sae.apply import Applied

ENCODER, LABELLER = "weights", "labeller_weights"  # names of files of a variant


class _Read(NamedTuple):
    """What the encoder makes of a new image."""

    x: np.ndarray  # at the variant's site, in the dtype of the store [d]
    z: np.ndarray | None  # image embedding float32 [p], where it is no function of x
    pixels: np.ndarray  # uint8 [h, w, 3]


class Models:
    """The encoder and the labeller of a variant, each loaded once, when it is needed."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._loaded: dict[str, tuple[Clip, Any]] = {}
        self._behind: tuple[Seen, Network] | None = None  # of the last image

    def texts(self, which: str, prompts: Sequence[str]) -> np.ndarray:
        """Unit text vectors float32 [n, p] of some texts, by the encoder or the labeller."""
        from reliance.encoders.text import encode_prompts

        clip, tokenizer = self._model(which)
        return encode_prompts(clip.model, tokenizer, prompts)

    def image(self, image: Image.Image, max_pixels: int = 200_000_000) -> Seen:
        """A new image as the units of the variant see it. Raises RelianceError if it is too thin."""
        read = self._read(image, max_pixels)
        return self.code(read.x.astype(np.float32))._replace(pixels=read.pixels)

    def on_patches(self, seen: Seen, component: int) -> np.ndarray:
        """Activations of a unit on the patches of an image, float32 [rows, columns]."""
        from reliance.encoders.sites.patches import grid_of
        from reliance.explore.behind import spread

        found = spread(self.behind(seen), self._shelf.sae, np.array([component]))
        shaped: np.ndarray = found[0].reshape(grid_of(self._model(ENCODER)[0]))
        return shaped

    def spread_over(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        """All patches of an image in one row [P d], and what one of each active unit adds there [k, P d]."""
        from reliance.explore.behind import spread

        network, sae = self.behind(seen), self._shelf.sae
        share = spread(network, sae, seen.component) / seen.activation[:, None]
        each = share[:, :, None] * sae.decoder_weight[seen.component][:, None]
        return network.patches.numpy().reshape(-1), each.reshape(len(each), -1)

    def embedding(self, image: Image.Image, max_pixels: int = 200_000_000) -> np.ndarray:
        """The image embedding float32 [p] of a new image, not normalised, as those of a split are stored."""
        read = self._read(image, max_pixels)
        if read.z is not None:
            return read.z
        from reliance.encoders.sites.site import image_embeddings

        head = self._site.head(self._model(ENCODER)[0])
        found: np.ndarray = image_embeddings(read.x[None], head, np.ones(1, bool))[0]
        return found

    def behind(self, seen: Seen) -> Network:
        """The blocks behind the variant's site, for one image. Raises RelianceError if its file is gone."""
        if self._behind is None or self._behind[0] is not seen:
            from reliance.explore import behind

            pixels = behind.of(seen.pixels) if seen.pixels is not None else self._again(seen)
            site = self._stored.site
            self._behind = seen, behind.Network(self._model(ENCODER)[0], site, pixels)
        return self._behind[1]

    @property
    def encoder(self) -> Clip:
        """The variant's encoder."""
        return self._model(ENCODER)[0]

    @property
    def site(self) -> str:
        """Where the variant reads it."""
        return self._stored.site

    def pixels(self, seen: Seen) -> Any:
        """What the encoder saw of an image, uint8 [1, 3, h, w]. Raises RelianceError if its file is gone."""
        if seen.pixels is None:
            return self._again(seen)(np.zeros(1, np.int64))
        from reliance.explore import behind

        return behind.of(seen.pixels)(np.zeros(1, np.int64))

    def _again(self, seen: Seen) -> Any:
        """Pixels of a stored image."""
        from reliance.explore.behind import again

        shelf = self._shelf
        if seen.place is None:
            raise ValueError("an image is stored, or its pixels are at hand")
        row = images_of(shelf.path("index"), seen.place[0], [seen.place[1]]).iloc[0]
        stamp = shelf.embeddings(seen.place[0]).stamp
        return again(row, shelf.root or Path(), stamp, self._model(ENCODER)[0])

    def size(self, which: str) -> int:
        """Pixels that the longer side of an image has when a model looks at it."""
        from reliance.encoders.model import read_weights

        size = read_weights(self._shelf.path(which))[0].preprocess["size"]
        return int(size if isinstance(size, int) else max(size))

    def cropped(self, image: Image.Image, max_pixels: int = 200_000_000) -> np.ndarray:
        """What the encoder sees of a new image, uint8 [h, w, 3]. Raises RelianceError if it is too thin."""
        from reliance.images.crop import cropped
        from reliance.images.decode import Unreadable

        try:
            found: np.ndarray = cropped(image, self.encoder.weights.preprocess, max_pixels)
        except Unreadable as error:
            raise unusable("image", str(error)) from error
        return found

    def _read(self, image: Image.Image, max_pixels: int) -> _Read:
        """An RGB image at the variant's site, x in the dtype of the store."""
        import torch

        from reliance.encoders.vision import forward

        clip, _ = self._model(ENCODER)
        params, pixels = self._stored.stamp.params, self.cropped(image, max_pixels)
        batch = torch.from_numpy(pixels[None].copy()).permute(0, 3, 1, 2)
        with forward(clip, self._site, params["precision"]) as run:
            x, *z = run(batch).wait()
        return _Read(x[0].astype(params["dtype"]), z[0][0] if z else None, pixels)

    def code(self, x: np.ndarray) -> Seen:
        """The active units of a site vector [d], or of patches [P, d], as the pipeline encodes them."""
        from reliance.codes.encode import encode_rows, encoder_for
        from reliance.units.sae.apply import Applied
        from reliance.units.sae.sparse import on_device

        shelf = self._shelf
        sae, kind = shelf.sae, str(shelf.about.get("sae", {}).get("kind", "top_k"))
        encoder = encoder_for(shelf.path("sae"), sae, KINDS[kind].encoders)
        applied = Applied(encoder, on_device(sae.arrays, "cpu"), sae.k, sae.input_norm)
        if x.ndim == 2:
            return _pooled(x, applied, shelf)
        values, indices = encode_rows(x[None], applied)
        active = values[0] != 0
        return Seen(x, indices[0][active], values[0][active].astype(np.float32))

    @property
    def _stored(self) -> Embeddings:
        """Embeddings of a split: new images are treated as those were."""
        split = next((s for s in ("test", "train") if self._shelf.has("embeddings", s)), "test")
        return self._shelf.embeddings(split)

    @property
    def _site(self) -> Any:
        name = self._stored.site
        module = SITES[kind_of(name)].module
        block = block_of(name)
        return imported(f"{module}:SITE") if block is None else imported(f"{module}:site_at")(block)

    def _model(self, which: str) -> tuple[Clip, Any]:
        if which not in self._loaded:
            self._loaded[which] = load(self._shelf, which)
        return self._loaded[which]


def _pooled(patches: np.ndarray, sae: Applied, shelf: Shelf) -> Seen:
    """An image by its patches [P, d]; x is their mean."""
    import torch

    from reliance.units.sae.pooled import pooled

    split = next(split for split in ("test", "train") if shelf.has("codes", split))
    codes = shelf.codes(split)
    code = pooled(torch.from_numpy(patches)[None], sae, codes.k, codes.stamp.params["pooling"])
    values = code.values[0].half().float().numpy()
    active = values > 0
    return Seen(patches.mean(0), code.indices[0].numpy()[active], values[active])


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
