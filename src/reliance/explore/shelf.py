"""The files of a variant as data: tables by name (`Tables`), arrays by split, rows that are looked up.

Everything is read when it is first asked for, checked against what it belongs to, and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reliance.attribution.prompts import Prompts, read_prompts
from reliance.attribution.schema import ATTRIBUTIONS
from reliance.base.artifacts import check_same, read_table
from reliance.base.commands import build
from reliance.base.errors import RESULTS, RelianceError
from reliance.base.stamps import read_stamp
from reliance.codes.store import Codes, open_codes
from reliance.config.sites import kind_of
from reliance.encoders.head import Head, load_head
from reliance.encoders.stored import Embeddings
from reliance.explore.attribute import Closed, Relevances, Rest, Seen, Standing, relevances
from reliance.explore.indexing import Views, read_views
from reliance.explore.tables import Tables
from reliance.naming.names import Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from reliance.units.sae.files import Sae


class Shelf(Tables):
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
        self.options = str(self.about.get("options", ""))
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
        class_id = self._class_of(image_id, split) if class_id is None else class_id
        text, seen = self.prompts(prompt_set), self.seen(split, image_id)
        place = np.flatnonzero(text.class_ids == class_id)
        if not len(place):
            where, known = self.path("classes"), few(self.class_names["class_id"])
            raise _no(f"class {class_id}", "a class is asked for by its class_id", where, known)
        found = self.attribute(seen, text.vectors[place])
        columns = {
            "component": seen.component,
            "activation": seen.activation,
            "act_x_grad": found.act_x_grad[0],
            "ablation": found.ablation[0],
        }
        labels = (
            self.components.set_index("component")["name"] if self.has("components") else pd.Series(dtype=str)
        )
        frame = pd.DataFrame(columns)
        frame.insert(1, "label", frame["component"].map(labels).fillna(""))
        frame = frame.sort_values("ablation", ascending=False, ignore_index=True)
        frame.attrs["y"] = float(found.y[0])
        return frame

    def seen(self, split: str, image_id: int) -> Seen:
        """A stored image: x and its active units. Raises RelianceError if there is none that was read."""
        parts = self._row(split, image_id)
        values, indices = self.codes(split).block(image_id, image_id + 1)
        x = parts.read("x", image_id, image_id + 1).astype(np.float32)
        if self.closed:
            self.same_weights(parts.path, parts.stamp.inputs["weights"])
        active = values[0] != 0
        return Seen(x[0], indices[0][active], values[0][active], (split, image_id))

    def embedding(self, split: str, image_id: int) -> np.ndarray:
        """z float32 [p] of a stored image. Raises RelianceError if there is none that was read."""
        found: np.ndarray = self._row(split, image_id).z(image_id, image_id + 1)[0]
        return found

    def _row(self, split: str, image_id: int) -> Embeddings:
        """The embeddings of a split that have a row for an image."""
        parts = self.embeddings(split)
        if 0 <= image_id < parts.rows and parts.read("valid", image_id, image_id + 1)[0]:
            return parts
        raise self._no_image(image_id, split, "an image that could be read")

    def attribute(self, seen: Seen, text: np.ndarray) -> Relevances:
        """What the active units of an image add to the outputs of text vectors [C, p]."""
        return relevances(*self.standing(seen), text)

    def standing(self, seen: Seen) -> Standing:
        """Where an image stands before the rest of the model, and how its units move it."""
        return Standing(seen, self.sae.decoder_weight[seen.component], self.sae.offset, self.rest(seen))

    def rest(self, seen: Seen) -> Rest:
        """What stands behind the site, for one image; here in closed form."""
        return Closed(self.head)

    @property
    def closed(self) -> bool:
        """Whether what stands behind the site has a closed form."""
        return self.can_have("head")

    @property
    def patches(self) -> bool:
        """Whether units are of the patches of images: then codes are pooled over them."""
        return kind_of(str(self.about.get("site", ""))) == "patches"

    @property
    def mines(self) -> bool:
        """Whether the failure cases are of this variant's own components."""
        return bool(self.about.get("failures_from") == self.variant or "failures_from" not in self.about)

    def class_label(self, class_id: int) -> str:
        """The short name of a class, "" if there is no such class."""
        return self._short_names.get(class_id, "")

    @cached_property
    def _short_names(self) -> dict[int, str]:
        table = self.class_names
        return dict(zip(table["class_id"].tolist(), table["short_name"], strict=True))

    @cached_property
    def views(self) -> Views:
        """What the labeller sees in every unit, and how strongly each fires how often."""
        found, stamp = read_views(self.path("views"))
        if self.has("components"):
            other = read_stamp(self.path("components"))
            check_same(
                "codes",
                (self.path("views"), stamp.inputs["codes"]),
                (self.path("components"), other.inputs["codes"]),
            )
        self._ids["labeller"] = stamp.inputs["weights"]
        return found

    @cached_property
    def names(self) -> Vocabulary:
        """What components can be called, as the labeller reads it."""
        return read_vocabulary(self.path("vocabulary"))[0]

    @cached_property
    def words(self) -> Vocabulary:
        """The same names as the encoder itself reads them."""
        found, stamp = read_vocabulary(self.path("words"))
        self.same_weights(self.path("words"), stamp.inputs["weights"])
        return found

    def same_expectations(self, made_from: str, found: str) -> None:
        """Raise RelianceError unless what was read off the table of expectations was read off this one."""
        sides = (self.path("references"), made_from), (self.path("expectations"), found)
        check_same("expectations", *sides)

    def same_weights(self, path: Path, weights: str) -> None:
        """Raise RelianceError unless an artifact is from the encoder of this variant's head."""
        _ = self.head
        check_same("encoder weights", (self.path("head"), self._ids["head_weights"]), (path, weights))

    def placed(self, path: str) -> Path:
        """A path as the jobs saw it, seen from here: what lies below the folder of results moves with it."""
        given = Path(path)
        inside = not given.is_absolute() and given.parts[:1] == (RESULTS,)
        return self.results.joinpath(*given.parts[1:]) if inside else given

    @property
    def root(self) -> Path | None:
        """The folder of the data set's images, if it is known."""
        found = self.about.get("dataset_root")
        return self.placed(str(found)) if found else None

    def missing(self, *names: str) -> str:
        """The one command that builds those of some files that the variant can have and has not; or ""."""
        targets = [self.target(name) for name in names if self.can_have(name) and not self.has(name)]
        return build(*targets, options=self.options) if targets else ""

    def _class_of(self, image_id: int, split: str) -> int:
        own = self.index[(self.index["split"] == split) & (self.index["image_id"] == image_id)]
        if own.empty:
            raise self._no_image(image_id, split, "an image")
        return int(own["class_id"].iloc[0])

    def _no_image(self, image_id: int, split: str, what: str) -> RelianceError:
        splits = self.index["split"].value_counts()
        allowed = ", ".join(f"{name}:0 to {name}:{n - 1}" for name, n in sorted(splits.items()))
        return _no(f"image {image_id} in {split}", f"{what} of a split", self.path("index"), allowed)

    def _once(self, name: str, key: str, read: Any) -> Any:
        return self.once(name, name, key, read)

    def once(self, what: str, name: str, key: str, read: Any) -> Any:
        """`what` is read from a file, as `read(path)` gives it, and kept."""
        if (what, key) not in self._opened:
            self._opened[what, key] = read(self.path(name, key))
        return self._opened[what, key]


def few(known: Sequence[object] | pd.Series, most: int = 8) -> str:
    """The first of some values, and how many more there are."""
    said = ", ".join(str(value) for value in list(known)[:most])
    return said + (f" and {len(known) - most} more" if len(known) > most else "")


def _no(found: str, rule: str, where: Path, allowed: str) -> RelianceError:
    return RelianceError(
        where, rule, found=f"no {found}", allowed=allowed, next_step="look it up in this table"
    )
