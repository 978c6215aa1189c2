"""Schemas of what the audit of a probe writes, apart from the code that computes it."""

from reliance.base.artifacts import TableSpec

PLAIN, ROBUST = "plain", "robust"
REDUCED, NONE, INCREASED = "reduced", "none", "increased"
CHANGES = (REDUCED, NONE, INCREASED)

AUDIT_SPLIT = TableSpec(
    "audit_split",
    1,
    (
        ("split", "string"),
        ("image_id", "int64"),
        ("positive", "bool"),  # of the class that is told from the others
        ("fit", "bool"),  # the probe learns from it; else it may be tested on it
        ("group", "string"),  # patient or lesion; "" if images are not grouped
    ),
)
RELEVANCES = TableSpec(
    "audit_relevances",
    1,
    (
        ("probe", "string"),  # plain | robust
        ("component", "int32"),
        ("positive", "bool"),  # class whose images are averaged, and towards which relevance counts
        ("n", "int64"),  # images
        ("relevance", "float64"),  # mean over all n, in units of the log-odds
        ("share", "float64"),  # percent of the sum of absolute means over all components
        ("rank", "int32"),  # by relevance, the largest has 1
    ),
)
ACCURACIES = TableSpec(
    "audit_accuracies",
    1,
    (
        ("probe", "string"),  # plain | robust
        ("alpha", "float64"),  # strength of the augmentation; 0 for plain
        ("change", "string"),  # of the images: none | increased (the transform) | reduced (its opposite)
        ("positive", "bool"),
        ("n", "int64"),
        ("accuracy", "float64"),
        ("sem", "float64"),
        ("paired_sem", "float64"),  # of the fall from change "none", over the same images; nan for "none"
    ),
)
PROBE_KIND, PROBE_SCHEMA = "audit_probe", 1
CHOICE_KIND, CHOICE_SCHEMA = "audit_choice", 1
AUDIT_KIND, AUDIT_SCHEMA = "audit", 1
