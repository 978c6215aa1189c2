"""Tables of the lens against what was drawn, masked or generated; pages and findings read them."""

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

RECALLS = tuple(range(5, 101, 5))  # percent
CURVE = tuple(f"precision_at_{recall}" for recall in RECALLS)
SEGMENTS = TableSpec(
    "lens_segments",
    2,
    (
        ("method", "string"),
        ("image_id", "int64"),
        ("accuracy", "float32"),  # of pixels; this and what follows is nan where the mask is empty or all
        ("iou", "float32"),  # mean of inside and outside
        ("precision", "float32"),  # average precision of pixels
        ("area", "float32"),  # the mask's share of the picture
        *((name, "float32") for name in CURVE),  # precision of pixels where recall reaches 5, 10, ... %
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

GENERATED = TableSpec(
    "lens_generated",
    1,
    (
        ("way", "string"),  # how the words of the captions were found, as in ATTACKS
        ("shown_id", "int32"),  # class that the images should show
        ("target_id", "int32"),  # class that the model should prefer
        ("shown", "string"),
        ("target", "string"),
        ("pictures", "int32"),
        ("wins", "int32"),  # on which the target's output is larger than that of the class shown
        ("success", "float64"),  # share of them
        ("low", "float64"),  # 95 % interval by Wilson
        ("high", "float64"),
        ("margin", "float64"),  # mean of y of the target minus y of the class that is shown
    ),
)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Means by what the maps are of and about, and by method; n is how many maps."""
    grouped = scores.groupby(["of", "about", "method"], sort=False)
    found = grouped.agg(
        mass=("mass", "mean"), pointing=("pointing", "mean"), area=("area", "mean"), n=("mass", "size")
    )
    return found.reset_index()
