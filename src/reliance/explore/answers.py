"""What a study answers: its data, a table of it, a picture of it, and the same for notebooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from reliance.explore import sheets
from reliance.explore.briefs import Brief, plain
from reliance.explore.cards import CaseCard, ClassCard
from reliance.explore.explain import Explained
from reliance.explore.picture import Picture
from reliance.explore.search import Found, ImageHit
from reliance.explore.sheets import Sheet
from reliance.explore.shelf import Shelf
from reliance.explore.unit import Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reliance.explore.where import Place


class Answer(ABC):
    """An answer. `data` is what it is made of; see the modules that make it."""

    def __init__(self, shelf: Shelf, data: Any, places: Sequence[Place] = ()) -> None:
        self.shelf, self.data, self.places = shelf, data, tuple(places)

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """The answer as a table."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """The answer as plain JSON values."""

    @abstractmethod
    def sheet(self) -> Sheet:
        """The answer laid out."""

    @property
    def picture(self) -> Picture | None:
        """The image that was asked about, if it was one."""
        return None

    def text(self) -> str:
        """The answer as lines of text."""
        from reliance.explore.words import text

        return text(self.sheet())

    def figure(self) -> Figure:
        """The answer as a picture."""
        from reliance.explore.pictures import figure

        return figure(self.shelf, self.sheet(), self.picture)

    def html(self, whole: bool = True) -> str:
        """The answer as a page of its own that loads nothing, or as a part of one."""
        from reliance.explore.pages import html

        return html(self.shelf, self.sheet(), self.picture, whole)

    def _repr_html_(self) -> str:
        return self.html(whole=False)

    def __repr__(self) -> str:
        return self.text()


class Explanation(Answer):
    """Of an image, for prompts."""

    data: Explained

    def __init__(self, shelf: Shelf, data: Explained, top: int = 10, places: Sequence[Place] = ()) -> None:
        super().__init__(shelf, data, places)
        self._top = top

    @property
    def picture(self) -> Picture | None:
        """The image that is explained."""
        return self.data.picture

    def sheet(self) -> Sheet:
        """A block per prompt."""
        return with_places(sheets.of_explanation(self.data, self._top), self.places)

    def table(self) -> pd.DataFrame:
        """One row per prompt and active unit, the largest effect on y first; `attrs["y"]` per prompt."""
        rows = [
            {"prompt": answer.prompt, **_unit(self.data.about.get(effect.component)), **effect._asdict()}
            for answer in self.data.answers
            for effect in answer.units
        ]
        columns = ["prompt", "component", "name", "activation", "act_x_grad", "ablation", "share", "z"]
        more = ["unseen", "case", "alignment", "clarity", "serves"]
        frame = pd.DataFrame(rows, columns=[*columns, *more])
        frame.attrs["y"] = {answer.prompt: answer.y for answer in self.data.answers}
        return frame

    def record(self) -> dict[str, Any]:
        """The image, and per prompt y, its active units, and what is left without them."""
        found, picture = self.data, self.data.picture
        image = {name: getattr(picture, name) for name in ("split", "image_id", "class_id", "path")}
        answers = []
        for answer in found.answers:
            units = [
                {**effect._asdict(), **_known(found.about.get(effect.component))} for effect in answer.units
            ]
            own = {"carried_by_no_unit": answer.carried_by_none, "units": units}
            answers.append({**answer._asdict(), **own})
        whole = {"variant": found.variant, "image": image, "against": found.against or None}
        record: dict[str, Any] = plain({**whole, "prompts": answers, "notes": found.notes})
        return record


class UnitCard(Answer):
    """Of one unit."""

    data: Unit

    def sheet(self) -> Sheet:
        """The card."""
        return with_places(sheets.of_unit(self.data), self.places)

    def table(self) -> pd.DataFrame:
        """Its strongest images."""
        rows = [(self.data.split, *pair) for pair in self.data.examples]
        return pd.DataFrame(rows, columns=["split", "image_id", "activation"])

    def record(self) -> dict[str, Any]:
        """Everything of its card."""
        record: dict[str, Any] = plain(self.data)
        return record


class Search(Answer):
    """Units for texts."""

    data: list[Found]

    def __init__(self, shelf: Shelf, data: list[Found], least: bool = False) -> None:
        super().__init__(shelf, data)
        self._least = least

    def sheet(self) -> Sheet:
        """A block per text."""
        return sheets.of_search(self.shelf.variant, self.data, self._least)

    def table(self) -> pd.DataFrame:
        """One row per text and unit; `found_by` is "look" (Eq. 2) or "name" (which has the text in it)."""
        rows = [
            {**_unit(hit.about), "text": found.text, "found_by": how, "component": hit.about.component}
            | {"alignment": hit.alignment}
            for found in self.data
            for how, hits in (("look", found.hits), ("name", found.named))
            for hit in hits
        ]
        columns = ["text", "found_by", "component", "alignment", "name", "clarity"]
        columns += ["activation", "firing_rate", "serves"]
        return pd.DataFrame(rows, columns=columns)

    def record(self) -> dict[str, Any]:
        """Per text the units that were found."""
        record: dict[str, Any] = plain({"variant": self.shelf.variant, "texts": self.data})
        return record


class Images(Answer):
    """Images for a text or an image."""

    data: list[ImageHit]

    def sheet(self) -> Sheet:
        """One block, or two."""
        return sheets.of_images(self.shelf.variant, self.data)

    def table(self) -> pd.DataFrame:
        """One row per image, the nearest first."""
        return pd.DataFrame(self.data, columns=list(ImageHit._fields))

    def record(self) -> dict[str, Any]:
        """The images that were found."""
        record: dict[str, Any] = plain({"variant": self.shelf.variant, "images": self.data})
        return record


class Cases(Answer):
    """Failure cases."""

    data: list[CaseCard]

    def sheet(self) -> Sheet:
        """One block, or two."""
        return sheets.of_cases(self.shelf.variant, self.data)

    def table(self) -> pd.DataFrame:
        """One row per case."""
        names = ["failure_id", "kind", "class_name", "component", "unit_name", "score", "q_value", "source"]
        names += ["reviewed", "note"]
        return pd.DataFrame([{n: getattr(card, n) for n in names} for card in self.data], columns=names)

    def record(self) -> dict[str, Any]:
        """The cases."""
        record: dict[str, Any] = plain({"variant": self.shelf.variant, "cases": self.data})
        return record


class Classes(Answer):
    """Classes, or one of them."""

    data: list[ClassCard]

    def sheet(self) -> Sheet:
        """One block, or two."""
        return sheets.of_classes(self.shelf.variant, self.data)

    def table(self) -> pd.DataFrame:
        """One row per class; of a single class, what it is expected to rely on."""
        if len(self.data) == 1 and self.data[0].expected:
            return pd.DataFrame(self.data[0].expected)
        rows = [
            (c.class_id, c.short_name, c.full_name, ", ".join(case.failure_id for case in c.cases))
            for c in self.data
        ]
        return pd.DataFrame(rows, columns=["class_id", "short_name", "full_name", "cases"])

    def record(self) -> dict[str, Any]:
        """The classes."""
        record: dict[str, Any] = plain({"variant": self.shelf.variant, "classes": self.data})
        return record


def _unit(about: Brief | None) -> dict[str, Any]:
    """A unit in a row of a table."""
    if about is None:
        return {}
    return {
        "name": about.name,
        "confidence": about.confidence,
        "alignment": about.alignment,
        "clarity": about.clarity,
        "activation": about.top20_mean,
        "firing_rate": about.firing_rate,
        "serves": ", ".join(served.name for served in about.serves),
    }


def _known(about: Brief | None) -> dict[str, Any]:
    if about is None:
        return {}
    return {name: value for name, value in about._asdict().items() if name != "component"}


def with_places(sheet: Sheet, places: Sequence[Place]) -> Sheet:
    """The sheet with a block of maps over an image; unchanged without any."""
    if not places:
        return sheet
    shown: list[tuple[sheets.Shown, str]] = [
        ((sheets.WHERE, i), place.caption) for i, place in enumerate(places)
    ]
    meanings = dict.fromkeys(place.meaning for place in places)
    blocks = [*sheet.blocks, sheets.Block("Where in the image", list(meanings), [], [], shown)]
    return sheet._replace(blocks=blocks, places=tuple(places))
