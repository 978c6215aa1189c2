"""What the local page asks of a study: numbers of `explore`, and what becomes of an image without units."""

from __future__ import annotations

import base64
import io
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.explore.answers import Explanation
from reliance.explore.attribute import cosines
from reliance.explore.briefs import briefs, plain
from reliance.explore.explain import explained
from reliance.explore.model import ENCODER, LABELLER
from reliance.explore.picture import STORED, Picture, see, stored
from reliance.explore.prompts import Asked, ask, main_set
from reliance.explore.study import Study
from reliance.figures.thumbnails import square

if TYPE_CHECKING:
    from reliance.explore.where import Place

KEPT = 16  # images that were handed over, the last ones
CLASSES = 5  # that are told before and after
SIDE = 224  # pixels of a picture that is shown
PROMPTS, FOUND = 8, 24  # asked at a time; listed of a search


class Switched(NamedTuple):
    """An image with some of its units off."""

    y: list[float]  # of the prompts
    classes: list[
        dict[str, Any]
    ]  # class_id, name, before, after: the best before or after, the best after first


class Desk:
    """A study, the images that were handed over, and one question at a time."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._images: OrderedDict[str, Picture] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def warm(self) -> None:
        """Load both models, so that nobody waits for them. Raises RelianceError if one cannot be used."""
        with self._lock:
            for which in (LABELLER, ENCODER):
                self.study.models.texts(which, ["a"])

    def take(self, content: bytes) -> dict[str, Any]:
        """Keep an image file that was handed over; its key. Raises RelianceError for what is no image."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "image")
            file.write_bytes(content)
            try:
                picture = see(self.study, self.study.models, file)
            except RelianceError as error:
                raise _again(error, file) from error
            self._count += 1
            key = f"new-{self._count}"
            full, small = picture.pixels, square(picture.pixels, SIDE)  # type: ignore[arg-type]
            self._images[key] = picture._replace(pixels=small)  # a decoded image may take 600 MB
            while len(self._images) > KEPT:
                self._images.popitem(last=False)
        return {"image": key, "width": full.width, "height": full.height}  # type: ignore[union-attr]

    def explain(self, key: str, prompts: Sequence[str] = (), off: Sequence[int] = ()) -> dict[str, Any]:
        """An image explained for prompts, as by `study.explain`, and its outputs with units switched off.

        Without a prompt that of the best class is taken.
        """
        if len(prompts) > PROMPTS:
            raise _refused("prompts", f"{len(prompts)}", f"at most {PROMPTS}")
        with self._lock:
            picture = self._picture(key)
            asked = ask(self.study, self.study.models, prompts or [self._best(picture)])
            many = len(picture.seen.component)
            found = Explanation(self.study, explained(self.study, picture, asked, None, max(many, 1)))
            return {**found.record(), "key": key, "switched": plain(self.switch(picture, asked, off))}

    def switch(self, picture: Picture, asked: Sequence[Asked], off: Sequence[int]) -> Switched:
        """Outputs with units at 0: x loses a_j v_j of each, the error stays as it was. Exact.

        Behind an earlier block the blocks after it run again, among the other tokens of the image.
        """
        study, stands = self.study, self.study.standing(picture.seen)
        texts = study.prompts(main_set(study))
        left = stands.without(np.array(list(off), np.int64))
        before, after = (cosines(x, stands.rest, texts.vectors) for x in (stands.seen.x, left))
        best = {int(i) for y in (before, after) for i in np.argsort(-y, kind="stable")[:CLASSES]}
        rows = [
            {
                "class_id": int(texts.class_ids[i]),
                "name": study.class_label(int(texts.class_ids[i])),
                "before": float(before[i]),
                "after": float(after[i]),
            }
            for i in sorted(best, key=lambda i: (-after[i], i))
        ]
        y = cosines(left, stands.rest, np.stack([prompt.vector for prompt in asked]))
        return Switched(y.tolist(), rows)

    def where(self, key: str, prompts: Sequence[str | int] = (), units: Sequence[int] = ()) -> dict[str, Any]:
        """Maps of prompts and of units over an image: one pass for all prompts, and one for all units.

        prompts : texts, or class_ids.

        Raises RelianceError for what has no map, or if the image's file is gone.
        """
        from reliance.explore import where

        if max(len(prompts), len(units)) > PROMPTS:
            found = f"{len(prompts)} prompts, {len(units)} units"
            raise _refused("maps", found, f"at most {PROMPTS} of each")
        study, places = self.study, []
        with self._lock:
            briefs(study, units, 0)  # refuses numbers that are no unit's
            seen = self._picture(key).seen
            if prompts:
                asked = ask(study, study.models, prompts)
                vectors = np.stack([prompt.vector for prompt in asked])
                places += where.of_prompts(study.models, seen, [prompt.text for prompt in asked], vectors)
            if units:
                places += where.of_units(study, study.models, seen, units)
        return {"maps": [_drawn(place) for place in places]}

    def find(self, text: str, split: str) -> dict[str, Any]:
        """Units and images for a text."""
        with self._lock:
            units = self.study.find(text, top=FOUND).record()
            images = self.study.images(text=text, split=split, top=FOUND).record() if text.strip() else {}
        return {"units": units["texts"], "images": images.get("images", [])}

    def picture(self, key: str) -> Image.Image:
        """The pixels of an image, a square of them. Raises RelianceError if they are gone."""
        with self._lock:
            pixels = self._picture(key).image()
        if pixels is None:
            raise _refused("image", "its file is gone, or cannot be decoded any more", "a file that is there")
        return square(pixels, SIDE)

    def _best(self, picture: Picture) -> int:
        """The class whose prompt has the largest output."""
        texts = self.study.prompts(main_set(self.study))
        stands = self.study.standing(picture.seen)
        y = cosines(stands.seen.x, stands.rest, texts.vectors)
        return int(texts.class_ids[y.argmax()])

    def _picture(self, key: str) -> Picture:
        if key in self._images:
            return self._images[key]
        if match := STORED.fullmatch(key):
            return stored(self.study, match["split"], int(match["image_id"]))
        raise _refused("image", repr(key), "one that was handed over not long ago, or for example test:12")


def _drawn(place: Place) -> dict[str, Any]:
    """A map as the page shows it."""
    picture = base64.b64encode(webp(place.picture)).decode()
    told = {"caption": place.caption, "total": place.total, "meaning": place.meaning}
    return {**told, "picture": f"data:image/webp;base64,{picture}"}


def webp(image: Image.Image) -> bytes:
    """A picture as a file."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=88)
    return stream.getvalue()


def _again(error: RelianceError, file: Path) -> RelianceError:
    """The error without the name of the file that the image was in for a moment."""
    said = [str(part).replace(str(file), "the image") for part in error.args]
    where, rule, found, allowed, next_step = said
    return RelianceError(where, rule, found=found, allowed=allowed, next_step=next_step)


def _refused(where: str, found: str, allowed: str) -> RelianceError:
    return RelianceError(
        where, "the page asks for what is there", found=found, allowed=allowed, next_step="choose another one"
    )
