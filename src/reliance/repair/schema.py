"""Schemas of what is written on the way from failure to repair; readers need no torch."""

from reliance.base.artifacts import TableSpec

FAMILIES = TableSpec(
    "families",
    1,
    (("family", "int32"), ("level", "int32"), ("unit", "int32")),  # m + family is its number in mining
)
CONFIDENT = TableSpec(
    "confident",
    1,
    (("class_id", "int32"), ("image_id", "int64"), ("y", "float32")),  # of other classes, above the line
)
CASES = TableSpec(
    "family_cases",
    2,
    (
        ("case_id", "string"),
        ("rank", "int32"),  # within the class, 1 is the strongest
        ("part", "int32"),  # of a case that was split by its images; 0: whole
        ("kind", "string"),
        ("class_id", "int32"),
        ("component", "int32"),  # the unit or family that stands out; from m on a family
        ("level", "int32"),  # of the family; -1: a unit
        ("name", "string"),
        ("score", "float64"),
        ("q_value", "float64"),
        ("as_active", "int64"),  # images of other classes with it as active as the flagged (`repair.hits`)
        ("hit_rate", "float64"),  # of these, those above the line; of the whole case
        ("usual", "float64"),  # of all images of other classes
        ("images", "int64"),
        ("classes", "strings"),  # what most of its images are, with shares
        ("words", "strings"),  # what the labeller sees in them more than in others
    ),
)
CARRIERS = TableSpec(
    "case_carriers",
    1,
    (
        ("case_id", "string"),
        ("unit", "int32"),
        ("label", "string"),
        ("share", "float64"),  # of the relevance of all carriers on the images of the case
        ("own", "bool"),  # of the unit or family that stands out; else of one that the case absorbed
    ),
)
CASE_IMAGES = TableSpec("case_images", 1, (("case_id", "string"), ("image_id", "int64")))
PROOF = TableSpec(
    "case_proof",
    1,
    (
        ("case_id", "string"),
        ("images", "int64"),  # distractors
        ("fall", "float64"),  # of y on them without the carriers
        ("fall_error", "float64"),
        ("random_fall", "float64"),  # without other units of as much relevance
        ("random_error", "float64"),
        ("length_fall", "float64"),  # after a change as long along random units
        ("length_error", "float64"),
        ("matched", "float64"),  # relevance of the random units, as a share of the carriers'
        ("own_fall", "float64"),  # on the class's own images
        ("own_error", "float64"),
        ("leave", "float64"),  # share of the distractors that fall below the line of high confidence
        ("random_leave", "float64"),
        ("spurious_before", "float64"),
        ("spurious_after", "float64"),
        ("spurious_error", "float64"),  # of the difference, paired
        ("valid_before", "float64"),
        ("valid_after", "float64"),
        ("valid_error", "float64"),
        ("accuracy_before", "float64"),  # zero-shot, all classes
        ("accuracy_after", "float64"),
        ("accuracy_error", "float64"),
        ("verdict", "string"),  # yes | partly | no
    ),
)
COVERAGE = TableSpec(
    "coverage",
    3,
    (
        ("class_id", "int32"),
        ("confident", "int64"),  # images of other classes above the line
        ("listed", "int64"),  # of these, images of listed cases
        ("explained", "int64"),  # listed, or below the line without the carriers of a listed case
        ("by_chance", "float64"),  # below the line without as many other units
        ("alike", "int64"),  # of those that are not explained, images that look like a listed case's
        ("alike_below", "float64"),  # of as many images just below the line, those that look so
        ("shared", "int64"),  # of the rest, images that show what the class itself relies on
    ),
)
# an image of a case; below the line without a case's carriers; like a case's images; of a shared feature
WAYS = ("listed", "removed", "alike", "shared")
LEFT = "unexplained"
ACCOUNTED = TableSpec(
    "accounted",
    1,
    (
        ("class_id", "int32"),
        ("image_id", "int64"),  # of another class, above the line
        ("how", "string"),  # one of WAYS, or LEFT
    ),
)
SHARED = TableSpec(
    "shared",
    1,
    (
        ("class_id", "int32"),
        ("rank", "int32"),  # within the class, 1 explains most images
        ("component", "int32"),  # from m on a family
        ("name", "string"),
        ("images", "int64"),  # of other classes, at or below the line without it
        ("own", "float64"),  # share of the class's own images that it fires on
        ("usual", "float64"),  # of all images
        ("p_value", "float64"),  # of firing on so many, times units, families and features of a class
        ("by_chance", "float64"),  # of the images, those as low without another active unit
        ("classes", "strings"),
        ("words", "strings"),
        ("examples", "strings"),  # image_ids, the most typical first
    ),
)
UNEXPLAINED = TableSpec(
    "unexplained",
    2,
    (
        ("class_id", "int32"),
        ("cluster", "int32"),  # 0 is the largest
        ("images", "int64"),
        ("classes", "strings"),
        ("words", "strings"),
        ("examples", "strings"),  # image_ids, the most typical first
    ),
)
VECTORS = ("repair_vectors", 1)  # kind and schema version of what repairs put in place of prompts
REPAIRS = TableSpec(
    "repairs",
    1,
    (
        ("case_id", "string"),
        ("kind", "string"),
        ("class_id", "int32"),
        ("repair", "string"),  # words | contrast | text_edit | unit_edit | probe
        ("choice", "string"),  # what was learned: which words, how strong
        ("edit", "string"),  # the same for programs: JSON
        *(
            (f"{side}_{name}", "float64")
            for side in ("before", "after")
            for name in ("spurious", "valid", "class_top1", "top1")
        ),
        ("spurious_error", "float64"),  # of the differences, paired over the images of the judging half
        ("valid_error", "float64"),
        ("class_top1_error", "float64"),
        ("top1_error", "float64"),
        ("learned", "bool"),  # whether it halves the gap within its bounds where it was learned
        ("halves", "bool"),  # whether it halves the gap on the judging half
        ("harms", "bool"),  # whether accuracy or valid AUC is lost there, see `trials.harms`
        ("recommended", "bool"),
    ),
)
