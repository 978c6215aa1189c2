"""Schemas of what attribution writes, apart from the code that writes it, so that readers need no torch."""

from reliance.base.artifacts import TableSpec

ATTRIBUTIONS = TableSpec(
    "attributions",
    1,
    (
        ("image_id", "int64"),
        ("class_id", "int32"),
        ("component", "int32"),
        ("activation", "float32"),
        ("act_x_grad", "float32"),
        ("ablation", "float32"),
        ("logit_lens", "float32"),
    ),
)
OUTPUTS = TableSpec(
    "outputs",
    1,
    (
        ("image_id", "int64"),
        ("class_id", "int32"),
        ("y", "float32"),  # of the image's own class
    ),
)
