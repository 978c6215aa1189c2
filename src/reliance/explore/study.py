"""A variant, opened: its tables, its arrays, and what can be asked of them.

    study = reliance.open("results/demo")
    study.components.sort_values("top20_mean").tail()
    study.relevances(image_id=3, split="test", class_id=5)

Everything is read when it is first asked for, checked against what it belongs to, and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reliance.attribution.prompts import Prompts, read_prompts
from reliance.attribution.schema import ATTRIBUTIONS
from reliance.base.artifacts import check_same, read_table
from reliance.base.errors import RelianceError
from reliance.codes.store import Codes, open_codes
from reliance.encoders.head import Head, load_head
from reliance.encoders.stored import Embeddings
from reliance.explore.describe import read_description
from reliance.explore.tables import Tables

if TYPE_CHECKING:
    from reliance.units.sae.files import Sae


class Study(Tables):
    """A variant: tables as properties (see Tables), arrays by split or prompt set, relevances of an image.

    about : what else the description says: encoder, dataset, labeller, ...
    """

    def __init__(
        self,
        files: Mapping[str, Any],
        variant: str,
        results: Path = Path("results"),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(files, variant, results)
        self.about = dict(about or {})
        self._opened: dict[tuple[str, str], Any] = {}

    def __repr__(self) -> str:
        built = sum(self.has(name, key) for name, key in self.listed())
        return f"<Study {self.variant}: {built} of {len(self.listed())} files built>"

    @cached_property
    def sae(self) -> Sae:
        """The sparse autoencoder."""
        from reliance.units.sae.files import load_sae

        found, stamp = load_sae(self.path("sae"))
        self._ids["sae"] = stamp.id
        return found

    @cached_property
    def head(self) -> Head:
        """What stands between x and an image embedding."""
        found, stamp = load_head(self.path("head"))
        self._ids["head_weights"] = stamp.inputs["weights"]
        return found

    @cached_property
    def _ids(self) -> dict[str, str]:
        return {}

    def embeddings(self, split: str) -> Embeddings:
        """x and z of every image of a split, in blocks of rows."""
        found: Embeddings = self._once("embeddings", split, Embeddings)
        return found

    def codes(self, split: str) -> Codes:
        """Activations of the latents on a split. Raises RelianceError if they are of another SAE."""
        found: Codes = self._once("codes", split, open_codes)
        path, made = found.path, found.stamp.inputs
        if self.has("sae"):
            _ = self.sae
            check_same("SAE", (path, made["sae"]), (self.path("sae"), self._ids["sae"]))
        if self.has("embeddings", split):
            source = self.embeddings(split)
            check_same("embeddings", (path, made["embeddings"]), (source.path, source.stamp.id))
        return found

    def prompts(self, prompt_set: str = "short") -> Prompts:
        """Text vectors of the classes, one each."""
        found: Prompts = self._once("texts", prompt_set, read_prompts)
        return found

    def attributions(self, part: str) -> pd.DataFrame:
        """Relevances of active latents for each image's own class; `part` is "subset" or "test"."""
        found: pd.DataFrame = self._once(
            "attributions", part, lambda path: read_table(path, ATTRIBUTIONS).frame
        )
        return found

    def relevances(
        self, image_id: int, split: str = "test", class_id: int | None = None, prompt_set: str = "short"
    ) -> pd.DataFrame:
        """What every active latent adds to the output of one image for the prompt of a class.

        class_id : default, the image's own. Columns: component, label, activation, act_x_grad, ablation
        (float32), the largest ablation first; `attrs["y"]` is the output, the cosine with the prompt.
        Raises RelianceError if there is no such image or class, or the image could not be read.
        """
        from reliance.tails.head import attribute

        class_id = self._class_of(image_id, split) if class_id is None else class_id
        text, parts = self.prompts(prompt_set), self.embeddings(split)
        place = np.flatnonzero(text.class_ids == class_id)
        if not len(place):
            raise _no(f"class {class_id}", "a class is asked for by its class_id", self.path("classes"))
        if not (0 <= image_id < parts.rows and parts.read("valid", image_id, image_id + 1)[0]):
            raise _no(
                f"image {image_id}", f"an image of split {split!r} that could be read", self.path("index")
            )
        values, indices = self.codes(split).block(image_id, image_id + 1)
        x = parts.read("x", image_id, image_id + 1).astype(np.float32)
        vector = text.vectors[place[0]]
        _ = self.head
        ours = parts.path, parts.stamp.inputs["weights"]
        check_same("encoder weights", (self.path("head"), self._ids["head_weights"]), ours)
        found = attribute(x, values, indices, self.sae.decoder_weight, self.head, vector)
        active = values[0] > 0
        columns = {
            "component": indices[0][active],
            "activation": values[0][active],
            "act_x_grad": found.act_x_grad[0].numpy()[active],
            "ablation": found.ablation[0].numpy()[active],
        }
        labels = (
            self.components.set_index("component")["label"]
            if self.has("components")
            else pd.Series(dtype=str)
        )
        frame = pd.DataFrame(columns)
        frame.insert(1, "label", frame["component"].map(labels).fillna(""))
        frame = frame.sort_values("ablation", ascending=False, ignore_index=True)
        frame.attrs["y"] = float(found.y[0])
        return frame

    def _class_of(self, image_id: int, split: str) -> int:
        own = self.index[(self.index["split"] == split) & (self.index["image_id"] == image_id)]
        if own.empty:
            raise _no(f"image {image_id}", f"an image of split {split!r}", self.path("index"))
        return int(own["class_id"].iloc[0])

    def _once(self, name: str, key: str, read: Any) -> Any:
        if (name, key) not in self._opened:
            self._opened[name, key] = read(self.path(name, key))
        return self._opened[name, key]


def open_study(folder: str | Path) -> Study:
    """Open the folder of a variant, wherever its folder of results lies now.

    Raises RelianceError if it is no such folder.
    """
    home = Path(folder)
    variant, files, about = read_description(home)
    return Study(files, variant, home.parent, about)


def _no(found: str, rule: str, where: Path) -> RelianceError:
    return RelianceError(
        where, rule, found=f"no {found}", allowed="what is listed there", next_step="look it up in this table"
    )
