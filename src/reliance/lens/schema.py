"""Tables of the lens against what was drawn: planted data has them, pages and findings read them."""

import pandas as pd

from reliance.base.artifacts import TableSpec

LENS_TRUTH = TableSpec(
    "lens_truth",
    1,
    (
        ("component", "int32"),
        ("images", "int32"),
        ("factor", "string"),  # object:spade, word:sale, background:waves; "" without images
        ("share", "float32"),  # of its images; nan without any
        ("base", "float32"),  # of all images
        ("things", "int32"),
        ("named", "bool"),  # whether the label by its images says the factor
        ("worded", "bool"),  # whether its largest positive word does
    ),
)
MAPS = TableSpec(
    "lens_maps",
    1,
    (
        ("of", "string"),  # latent | prompt
        ("about", "string"),  # object | word | background
        ("method", "string"),
        ("unit", "int32"),  # component, or class
        ("image_id", "int64"),
        ("mass", "float32"),  # nan for a map without anything positive
        ("pointing", "bool"),
        ("area", "float32"),
    ),
)


SEGMENTS = TableSpec(
    "lens_segments",
    1,
    (
        ("method", "string"),
        ("image_id", "int64"),
        ("accuracy", "float32"),  # of pixels; nan where the mask is empty
        ("iou", "float32"),  # mean of inside and outside
        ("precision", "float32"),  # average precision of pixels
    ),
)

ATTACKS = TableSpec(
    "lens_attacks",
    1,
    (
        ("shown_id", "int32"),  # class on the pictures
        ("target_id", "int32"),
        ("way", "string"),  # how the words were found: neurons | indirect | similar | random | nothing
        ("background", "string"),
        ("word", "string"),
        ("pictures", "int32"),
        ("success", "float64"),  # share on which the target wins
        ("margin", "float64"),  # mean of y of the target minus y of the class on the pictures
    ),
)

ATTRIBUTE_TRUTH = TableSpec(
    "lens_attribute_truth",
    1,
    (
        ("kind", "string"),  # object | word | background
        ("images", "int32"),  # that show one
        ("said", "float64"),  # share of them with a word that names it
        ("chance", "float64"),  # the same with the words of another image
    ),
)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Means by what the maps are of and about, and by method; n is how many maps."""
    grouped = scores.groupby(["of", "about", "method"], sort=False)
    found = grouped.agg(
        mass=("mass", "mean"), pointing=("pointing", "mean"), area=("area", "mean"), n=("mass", "size")
    )
    return found.reset_index()
