"""Schemas of expectations and outliers, apart from the code that writes them: readers need no torch."""

from reliance.base.artifacts import TableSpec

EXPECTATIONS = TableSpec(
    "expectations",
    1,
    (
        ("class_id", "int32"),
        ("component", "int32"),
        ("n", "int64"),
        ("n_active", "int64"),
        ("mean", "float64"),
        ("std", "float64"),
        ("y_mean", "float64"),
        ("y_std", "float64"),
    ),
)
OUTLIERS = TableSpec(
    "outliers",
    2,
    (
        ("class_id", "int32"),
        ("component", "int32"),
        ("n_flagged", "int64"),
        ("n_highconf", "int64"),
        ("p0", "float64"),
        ("p_value", "float64"),
        ("q_value", "float64"),
        ("mean_z", "float64"),
        ("mean_relevance", "float64"),
        ("unseen_in_reference", "bool"),
    ),
)
OUTLIER_SAMPLES = TableSpec(
    "outlier_samples",
    1,
    (
        ("class_id", "int32"),
        ("component", "int32"),
        ("split", "string"),
        ("image_id", "int64"),
        ("y", "float32"),
        ("relevance", "float32"),
        ("z", "float32"),
    ),
)
