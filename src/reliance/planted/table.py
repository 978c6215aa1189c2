"""The truth table: what is on every labelled picture, and which plants it is a distractor of."""

import pandas as pd

from reliance.base.artifacts import TableSpec
from reliance.planted.scenes import Scenes
from reliance.planted.scoring import planted_images
from reliance.planted.world import World, folder

TRUTH = TableSpec(
    "truth",
    1,
    (
        ("split", "string"),
        ("image_id", "int64"),
        ("path", "string"),
        ("object", "string"),
        ("word", "string"),
        ("background", "string"),
        ("band", "bool"),
        ("plant_id", "string"),
        ("mode", "string"),
    ),
)
PLANTS = ("plants", 1)  # kind and schema version of plants.json


def truth_rows(world: World, rows: Scenes, split: str) -> pd.DataFrame:
    """A row of TRUTH per labelled picture, in the order of the index.

    plant_id and mode name all plants that the picture is a distractor of, separated by blanks.
    """
    subjects = rows.subject.tolist()
    number = pd.Series(subjects).groupby(subjects).cumcount()
    frame = pd.DataFrame(
        {
            "split": split,
            "image_id": range(len(subjects)),
            "path": [picture_path(world, split, s, n) for s, n in zip(subjects, number, strict=True)],
            "object": [world.things[i].name for i in subjects],
            "word": [world.words[i] if i >= 0 else "" for i in rows.word.tolist()],
            "background": [world.backgrounds[i] for i in rows.background.tolist()],
            "band": rows.band,
        }
    )
    plants = [plant._asdict() for plant in world.plants]
    modes = {plant.plant_id: plant.mode for plant in world.plants}
    owners: list[list[str]] = [[] for _ in subjects]
    for plant_id, ids in planted_images(frame, plants).items():
        for image_id in ids:
            owners[image_id].append(plant_id)
    plant_ids = [" ".join(names) for names in owners]
    return frame.assign(plant_id=plant_ids, mode=[" ".join(modes[n] for n in names) for names in owners])


def picture_path(world: World, split: str, class_id: int, number: int) -> str:
    """Path of a labelled picture below the root; paths sort in the order of (class, number)."""
    return f"{split}/{folder(world, class_id)}/{number:05d}.png"
