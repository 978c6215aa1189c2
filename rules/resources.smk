# Memory and time of a job, from the size of its data. A job that failed or ran out of time asks for more.
import math
from typing import NamedTuple

# Where nothing is known yet: ImageNet's numbers, so that a job asks for too much rather than for too little.
ASSUMED = {"train": 1_281_167, "test": 50_000, "cases": 10_000}
ASSUMED_CLASSES = 1000


class Size(NamedTuple):
    """How much a job has before it; 0 where its output does not depend on it."""

    train: int  # images of the data set's splits
    test: int
    images: int  # of what this job reads: its part of a split
    classes: int
    latents: int


def memory(need):
    """`mem_mb` of a rule: a number, or a function of its Size. A second attempt gets twice as much."""
    return lambda wildcards, attempt: math.ceil(attempt * (need(size(wildcards)) if callable(need) else need))


minutes = memory  # `runtime` grows in the same way


def size(w):
    """Size of a job, from its wildcards."""
    v = variant(w.variant) if "variant" in w.keys() else None
    name = v.dataset if v else w.get("dataset")
    if name is None:
        return Size(0, 0, 0, 0, 0)
    split = w.get("split", "train" if w.get("attributed") == "subset" else "test").partition("@")[0]
    images = math.ceil(images_of(name, split) / int(w.get("parts", 1)))
    latents = v.sae.m if v and v.sae else 0
    return Size(images_of(name, "train"), images_of(name, "test"), images, classes_of(name), latents)


def images_of(name, split):
    """Images of a split: counted in the index if there is one, else estimated from the configuration."""
    path = Path(index(name))
    counted = counts(path, path.stat().st_mtime_ns) if path.exists() else {}
    if counted:
        return counted.get(split, 0)
    if is_external(name):
        return ASSUMED["cases"]
    d = dataset(name)
    drawn_of = {"train": d.planted.train_per_class, "test": d.planted.test_per_class} if d.planted else {}
    each = [n for n in (drawn_of.get(split), d.per_class) if n]
    return min(each) * classes_of(name) if each else ASSUMED[split]


def classes_of(name):
    """Classes of a data set as far as the configuration tells."""
    planted = None if is_external(name) else dataset(name).planted
    return planted.classes if planted else ASSUMED_CLASSES


@functools.lru_cache(maxsize=None)
def counts(path, changed):
    """Images per split in an index; nothing from one that cannot be read, of which the next job will complain."""
    from pyarrow import parquet

    try:
        column = parquet.read_table(path, columns=["split"]).column("split")
    except (OSError, ValueError, KeyError):
        return {}
    return {entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()}
