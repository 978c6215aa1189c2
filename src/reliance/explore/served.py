"""What the local page asks of a study: numbers of `explore`, and what becomes of an image without units."""

import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.explore.answers import Explanation
from reliance.explore.attribute import cosines
from reliance.explore.briefs import plain
from reliance.explore.explain import explained
from reliance.explore.model import ENCODER, LABELLER
from reliance.explore.picture import STORED, Picture, see, stored
from reliance.explore.prompts import Asked, ask, main_set
from reliance.explore.study import Study
from reliance.figures.thumbnails import square

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
        """Outputs with units at 0: x loses a_j v_j of each, the error stays as it was. Exact, in float64."""
        seen, study = picture.seen, self.study
        gone = np.isin(seen.component, np.array(list(off), np.int64))
        lost = seen.activation[gone].astype(np.float64) @ study.sae.decoder_weight[seen.component[gone]]
        texts = study.prompts(main_set(study))
        whole = seen.x.astype(np.float64)
        rest = study.rest(seen)
        before, after = (cosines(x, rest, texts.vectors) for x in (whole, whole - lost))
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
        y = cosines(whole - lost, rest, np.stack([prompt.vector for prompt in asked]))
        return Switched(y.tolist(), rows)

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
        y = cosines(picture.seen.x.astype(np.float64), self.study.rest(picture.seen), texts.vectors)
        return int(texts.class_ids[y.argmax()])

    def _picture(self, key: str) -> Picture:
        if key in self._images:
            return self._images[key]
        if match := STORED.fullmatch(key):
            return stored(self.study, match["split"], int(match["image_id"]))
        raise _refused("image", repr(key), "one that was handed over not long ago, or for example test:12")


def _again(error: RelianceError, file: Path) -> RelianceError:
    """The error without the name of the file that the image was in for a moment."""
    said = [str(part).replace(str(file), "the image") for part in error.args]
    where, rule, found, allowed, next_step = said
    return RelianceError(where, rule, found=found, allowed=allowed, next_step=next_step)


def _refused(where: str, found: str, allowed: str) -> RelianceError:
    return RelianceError(
        where, "the page asks for what is there", found=found, allowed=allowed, next_step="choose another one"
    )
