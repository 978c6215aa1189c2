"""Stage `render_planted`: the labelled pictures of a drawn world, and everything that is known about them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from reliance.base.artifacts import derived_stamp, hash_arrays, write_json, write_table
from reliance.base.writing import atomic
from reliance.planted import drawn
from reliance.planted.table import PLANTS


def render_planted(
    *,
    images: Path,
    truth: Path,
    names: Path,
    plants: Path,
    vocabulary: Path | None = None,
    seed: int,
    train_per_class: int = 200,
    test_per_class: int = 50,
    world: str = "objects",
    **shape: Any,
) -> None:
    """Write the labelled pictures of a planted world and everything that is known about them.

    images : folder {train,test}/{class folder}/{number}.png, in the order of the index.
    truth : parquet TRUTH (a world may add columns), a row per picture, in the order of the index.
    names : names.csv with folder, short_name (ambiguous), full_name, definition.
    plants : JSON list of the planted failures (`Plant`), under "plants".
    vocabulary : optional text file, one name per line, for naming latents.
    world, shape : see `drawn.choose`.
    """
    chosen = drawn.choose(world, **shape)
    settings = {"seed": seed, **chosen.labelled_as, "train": train_per_class, "test": test_per_class}
    frames, content = [], {}
    with atomic(images) as root:
        for split, per_class in (("test", test_per_class), ("train", train_per_class)):
            labelled = chosen.labelled(seed, per_class, test=split == "test")
            frames.append(labelled.truth)
            content[split] = labelled.pixels
            _write_pngs(root, labelled.truth["path"], labelled.pixels)
    # with the pixels in its id, pictures that were redrawn by other code make another truth table
    params = {**settings, "pixels": hash_arrays(content)}
    stamp = write_table(truth, pd.concat(frames, ignore_index=True), chosen.truth, params, {})
    payload = {"plants": chosen.plants()}
    write_json(plants, payload, derived_stamp(*PLANTS, settings, {"truth": stamp.id}))
    _write_names(names, vocabulary, chosen)


def _write_pngs(root: Path, paths: pd.Series, pixels: np.ndarray) -> None:
    """One PNG per picture [n, 3, 48, 48], lightly compressed."""
    for folder in sorted({str(Path(path).parent) for path in paths}):
        (root / folder).mkdir(parents=True)
    for path, picture in zip(paths, pixels, strict=True):
        image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
        image.save(root / path, compress_level=1)


def _write_names(names: Path, vocabulary: Path | None, world: drawn.World) -> None:
    """names.csv and the vocabulary."""
    table = pd.DataFrame(world.names(), columns=["folder", "short_name", "full_name", "definition"])
    with atomic(names) as temporary:
        table.to_csv(temporary, index=False)
    if vocabulary is not None:
        with atomic(vocabulary) as temporary:
            temporary.write_text("\n".join(world.vocabulary()) + "\n")
