"""A variant, opened: its tables, its arrays, and what can be asked of them.

    study = reliance.open("results/demo")
    study.explain("photo.jpg", ["scissors", "a written word"])
    study.component(326)
    study.find("a written word; a watermark")

Answers are small objects with `table()`, `figure()` and `record()` (plain JSON values), and show themselves
in a notebook. Nothing is computed but what an image or text that was handed over needs; the rest is looked
up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reliance.explore import cards, explain, maps, search, unit
from reliance.explore.answers import Cases, Classes, Explanation, Images, Search, UnitCard
from reliance.explore.attribute import Rest, Seen, Standing
from reliance.explore.describe import read_description
from reliance.explore.mapped import UnitMap
from reliance.explore.model import Models
from reliance.explore.picture import ImageLike
from reliance.explore.prompts import ask
from reliance.explore.search import Filters
from reliance.explore.shelf import Shelf

if TYPE_CHECKING:
    from reliance.explore.explain import Explained
    from reliance.explore.inside import Described, NeuronCard
    from reliance.explore.where import Place


MAPPED, EXAMPLES = 3, 7  # units of a prompt, and images of a unit, that have a map


class Study(Shelf):
    """A variant: the tables and arrays of a Shelf, and questions. Errors are RelianceErrors."""

    @cached_property
    def models(self) -> Models:
        """Its encoder and labeller, loaded when a question needs them."""
        return Models(self)

    def rest(self, seen: Seen) -> Rest:
        """What stands behind the site, for one image; its pixels are needed where that is whole blocks."""
        return super().rest(seen) if self.closed else self.models.behind(seen)

    def standing(self, seen: Seen) -> Standing:
        """Where an image stands before the rest of the model; of patches, all of them stand there."""
        if self.closed or not self.patches:
            return super().standing(seen)
        x, directions = self.models.spread_over(seen)
        offset = np.tile(self.sae.offset, len(x) // len(self.sae.offset))
        return Standing(seen._replace(x=x), directions, offset, self.models.behind(seen))

    def map(self, component: int, image: ImageLike) -> UnitMap:
        """How strongly a unit fires on every patch of an image, at a site with patches."""
        return UnitMap(self, maps.unit_map(self, self.models, component, image))

    def explain(
        self,
        image: ImageLike,
        prompts: str | int | Sequence[str | int],
        against: str | int | None = None,
        top: int = 10,
        contrast: bool = False,
        where: bool = False,
    ) -> Explanation:
        """What every active unit of an image adds to its output for each prompt.

        image : a path, a PIL image, an array uint8 [h, w, 3], or (split, image_id).
        prompts : texts, or class_ids. against : explain the difference to the output for this prompt.
        contrast : explain the difference to the mean of all classes' prompts.
        where : with maps of the prompts, and of the units that add most, over the image.
        """
        asked = [prompts] if isinstance(prompts, str | int) else list(prompts)
        found = explain.explain(self, self.models, image, asked, against, top, contrast)
        return Explanation(self, found, top, self._where(found, asked) if where else ())

    def _where(self, found: Explained, asked: Sequence[str | int]) -> list[Place]:
        """Maps of the prompts of an explanation, and of the units that add most to each."""
        from reliance.explore import where
        from reliance.lens.unit_maps import unmapped

        seen, texts = found.picture.seen, ask(self, self.models, asked)
        names, vectors = [text.text for text in texts], np.stack([text.vector for text in texts])
        units = [effect.component for answer in found.answers for effect in answer.units[:MAPPED]]
        shown = where.of_prompts(self.models, seen, names, vectors)
        if why := unmapped(self.models.site, self.sae):
            found.notes.append(f"units have no map here ({why}): prompts only")
            return shown
        return shown + where.of_units(self, self.models, seen, list(dict.fromkeys(units)))

    def component(
        self,
        component: int,
        examples: int = 20,
        split: str = "train",
        pooling: str | None = None,
        where: bool = False,
    ) -> UnitCard:
        """One unit: examples, names, how it fires, what it drives and fools, what is near it.

        where : with maps of the unit over its strongest images.
        """
        card = unit.unit(self, component, examples, split, pooling)
        if not where:
            return UnitCard(self, card)
        from reliance.explore.where import of_units

        shown = [self.seen(split, image_id) for image_id, _ in card.examples[:EXAMPLES]]
        places = [of_units(self, self.models, seen, [component])[0] for seen in shown]
        named = zip(places, card.examples, strict=False)
        return UnitCard(self, card, [place._replace(caption=f"{split}:{i}") for place, (i, _) in named])

    def neuron(self, block: int, neuron: int, examples: int = 20) -> NeuronCard:
        """One neuron of an MLP: words, images, heads and latents; of variants with a section `lens`.

        block : counted from 0, or as the section names it.
        """
        from reliance.explore.inside import NeuronCard
        from reliance.explore.neuron import neuron as card

        return NeuronCard(self, card(self, block, neuron, examples))

    def attributes(self, image: ImageLike) -> Described:
        """The words of the neurons that are significant on an image; of variants with a section `lens`."""
        from reliance.explore.inside import Described, attributes_of

        return Described(self, attributes_of(self, self.models, image))

    def find(
        self,
        text: str = "",
        *,
        least: bool = False,
        top: int = 10,
        filters: Filters = Filters(),  # noqa: B008
    ) -> Search:
        """Units that look like texts, which ";" separates; without a text by their own names."""
        texts = [part.strip() for part in text.split(";")]
        texts = [part for part in texts if part] or [""]
        return Search(self, search.find_units(self, self.models, texts, filters, least=least, top=top), least)

    def images(
        self,
        text: str | int | None = None,
        image: ImageLike | None = None,
        split: str = "test",
        top: int = 20,
    ) -> Images:
        """Images of a split whose embedding is nearest to a text or to an image."""
        return Images(self, search.find_images(self, self.models, text, image, split, top))

    def cases(self, kind: str | None = None, images: int = 6) -> Cases:
        """The failure cases, of one kind or all."""
        return Cases(self, cards.case_cards(self, kind, images=images))

    def classes(self, class_id: int | None = None) -> Classes:
        """All classes by name, or what one class is expected to rely on, and what fools it."""
        found = cards.class_cards(self) if class_id is None else [cards.class_card(self, class_id)]
        return Classes(self, found)


def open_study(folder: str | Path) -> Study:
    """Open the folder of a variant, wherever its folder of results lies now.

    Raises RelianceError if it is no such folder.
    """
    home = Path(folder)
    variant, files, about = read_description(home)
    return Study(files, variant, home.parent, about)
