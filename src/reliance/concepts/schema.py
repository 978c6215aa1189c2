"""Schemas of this room's tables, apart from the code that writes them."""

from reliance.base.artifacts import TableSpec

ALIGNMENTS = TableSpec(
    "alignment_baseline",
    1,
    (
        ("class_id", "int32"),  # every one with images
        ("n", "int64"),  # its readable images
        ("alignment", "float32"),  # of their mean embedding with the name of the class
    ),
)
HIDDEN = TableSpec(
    "hidden",
    3,
    (
        ("component", "int32"),  # every one that has a name
        ("band", "string"),  # of clarity: "clear", "middle", "diffuse"; "" without a clarity
        ("clarity", "float32"),
        ("activation", "float32"),  # mean over the 20 images where it is strongest
        ("alignment", "float32"),  # with `nearest`
        ("nearest", "string"),  # the best of the names it was held against: its label if none were asked for
        ("label", "string"),
        ("runner_up", "string"),
        ("class_id", "int32"),  # the class with the largest share; -1 if no share is positive
        ("relevance", "float64"),  # mean exact effect over the images of that class, zeros counted
        ("share", "float64"),  # relevance / mean output of the class
        ("n_classes", "int32"),  # classes with a share that counts
        ("by_relevance", "bool"),  # relevant and poorly aligned
        ("by_activation", "bool"),  # strong and poorly aligned
    ),
)
