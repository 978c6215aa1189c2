"""How much a job has before it: what its memory and minutes are estimated from."""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.config.sae import SaeImport, SaeTraining
from reliance.plan.paths import INDEX, Wildcards, at
from reliance.plan.plan import Plan
from reliance.units.sae.formats.source import files_of

# Where nothing is known yet: ImageNet's numbers, so that a job asks for too much rather than for too little.
ASSUMED = {"train": 1_281_167, "test": 50_000, "cases": 10_000}
ASSUMED_CLASSES = 1000
ASSUMED_LATENTS = 65536  # of an imported SAE


class Size(NamedTuple):
    """Numbers that a job's need grows with; 0 where its output does not depend on them."""

    train: int  # images of the data set's splits
    test: int
    images: int  # of what this job reads: its part of a split
    classes: int
    latents: int
    gpu: bool = False  # whether jobs may use one


def size_of(plan: Plan, w: Wildcards) -> Size:
    """Size of a job, from its wildcards."""
    v = plan.variant(w.variant) if w.variant else None
    name = v.dataset if v else w.dataset
    if not name:
        return Size(0, 0, 0, 0, 0, plan.gpu)
    split = (w.split or ("train" if w.attributed == "subset" else "test")).partition("@")[0]
    images = math.ceil(_images(plan, name, split) / int(w.parts or 1))
    train, test = (_images(plan, name, split) for split in ("train", "test"))
    return Size(train, test, images, _classes(plan, name), _latents(v.sae) if v and v.sae else 0, plan.gpu)


def _latents(sae: SaeTraining | SaeImport) -> int:
    """Latents of an SAE; of an imported one, what its file would hold at a width of 1024."""
    if isinstance(sae, SaeTraining):
        return sae.m
    try:
        size = max(path.stat().st_size for path in files_of(sae.path))
    except (OSError, RelianceError):
        return ASSUMED_LATENTS
    return size // (2 * 4 * 1024)


def _images(plan: Plan, name: str, split: str) -> int:
    """Images of a split: counted in the index if there is one, else estimated from the configuration."""
    found = _counted(Path(plan.placed(at(INDEX, dataset=name))))
    if found:
        return found.get(split, 0)
    if plan.is_external(name):
        return ASSUMED["cases"]
    d = plan.dataset(name)
    drawn = {"train": d.planted.train_per_class, "test": d.planted.test_per_class} if d.planted else {}
    each = [n for n in (drawn.get(split), d.per_class) if n]
    return min(each) * _classes(plan, name) if each else ASSUMED[split]


def _classes(plan: Plan, name: str) -> int:
    """Classes of a data set as far as the configuration tells."""
    planted = None if plan.is_external(name) else plan.dataset(name).planted
    return planted.classes if planted else ASSUMED_CLASSES


def _counted(index: Path) -> dict[str, int]:
    """Images per split in an index, if there is one already that can be read."""
    return _counts(index, index.stat().st_mtime_ns) if index.exists() else {}


@cache
def _counts(path: Path, changed: int) -> dict[str, int]:
    """The same; nothing from one that cannot be read, of which the next job will complain."""
    from reliance.images.slices import counted

    try:
        return counted(path)
    except (OSError, ValueError, KeyError):
        return {}
