"""Where every artifact lies, as patterns: `{variant}` and the like stand for names.

`at` fills a pattern in; a stage's outputs are the patterns themselves.
"""

from collections.abc import Sequence
from typing import NamedTuple

from reliance.config.sites import SITES

DATASET = "results/datasets/{dataset}"
INDEX = f"{DATASET}/index.parquet"
CLASSES = f"{DATASET}/classes.parquet"
GROUPS = f"{DATASET}/groups.parquet"
IMAGES = f"{DATASET}/images"  # what is drawn for a planted data set, and what is known of it
ATTRIBUTES = f"{DATASET}/attributes.csv"  # planted data only: what a user gives as datasets.X.groups
TRUTH_TABLE = f"{DATASET}/truth.parquet"
NAMES = f"{DATASET}/names.csv"
PLANTS = f"{DATASET}/plants.json"
VOCABULARY = f"{DATASET}/vocabulary.txt"
CAPTION_NAMES = f"{DATASET}/captions.txt"  # what captions often name
PLANTED = f"{DATASET}/planted.tsv"
PLANTED_SAMPLES = f"{DATASET}/planted_samples.parquet"
CASES = f"{DATASET}/cases.tsv"  # cases found elsewhere
CASES_SAMPLES = f"{DATASET}/cases_samples.parquet"

ENCODER = "results/encoders/{encoder}"
WEIGHTS = f"{ENCODER}/weights.json"
CHECKPOINT = f"{ENCODER}/checkpoint.safetensors"
HALFWAY = f"{ENCODER}/halfway.safetensors"
TRAINING = f"{ENCODER}/training.parquet"

TEXT = f"{ENCODER}/{{dataset}}/text/{{prompt_set}}.parquet"

READ = f"{ENCODER}/{{site}}"  # at a site: what is read there, and what is learned from its image embeddings
HEAD = f"{READ}/head.safetensors"
EMBEDDED = f"{READ}/{{dataset}}"
PART = "part-{part}-of-{parts}.zarr"
EMBEDDINGS = f"{EMBEDDED}/{{split}}/manifest.json"
EMBEDDINGS_PART = f"{EMBEDDED}/{{split}}/{PART}"
EXCLUDED = f"{EMBEDDED}/excluded.parquet"
PROBE = f"{EMBEDDED}/probe.safetensors"
ZERO_SHOT = f"{EMBEDDED}/zero_shot.json"
ALIGNMENTS = f"{EMBEDDED}/alignments.parquet"

VARIANT = "results/{variant}"
CHECKED = f"{VARIANT}/checked.json"  # against its data set
GUARDED = f"{VARIANT}/guarded.json"  # the same, before its SAE was first trained
SAE = f"{VARIANT}/sae/sae.safetensors"
SAE_HISTORY = f"{VARIANT}/sae/history.parquet"
SAE_QUALITY = f"{VARIANT}/sae/quality.json"
CODES = f"{VARIANT}/codes/{{split}}/manifest.json"
CODES_PART = f"{VARIANT}/codes/{{split}}/{PART}"
TOP_SAMPLES = f"{VARIANT}/top_samples.parquet"
COMPONENTS = f"{VARIANT}/components.parquet"
OTHER_COMPONENTS = f"{VARIANT}/components/{{basis}}/{{split}}.parquet"
JUDGED = f"{VARIANT}/dictionary/{{basis}}.json"
PURITY = f"{VARIANT}/dictionary/{{basis}}.purity.json"  # against planted truth
NAME_STABILITY = f"{VARIANT}/name_stability.parquet"
HIDDEN = f"{VARIANT}/hidden.parquet"
ATTRIBUTIONS = f"{VARIANT}/attributions/{{attributed}}.parquet"
OUTPUTS = f"{VARIANT}/outputs/{{attributed}}.parquet"
PREDICTIONS = f"{VARIANT}/predictions.parquet"
EXPECTATIONS = f"{VARIANT}/expectations.parquet"
OUTLIERS = f"{VARIANT}/outliers.parquet"
OUTLIER_SAMPLES = f"{VARIANT}/outlier_samples.parquet"
VIEWS = f"{VARIANT}/explore/views.safetensors"  # what questions look up
SERVED = f"{VARIANT}/explore/served.parquet"
EFFECTS = f"{VARIANT}/explore/effects.parquet"
REFERENCES = f"{VARIANT}/explore/references.parquet"
FAILURES = f"{VARIANT}/failures.tsv"
FAILURE_SAMPLES = f"{VARIANT}/failure_samples.parquet"
TRUTH = f"{VARIANT}/truth.json"
FAMILIES = f"{VARIANT}/repair/families.parquet"
FAMILY_OUTLIERS = f"{VARIANT}/repair/outliers.parquet"
FAMILY_SAMPLES = f"{VARIANT}/repair/outlier_samples.parquet"
CONFIDENT = f"{VARIANT}/repair/confident.parquet"
FAMILY_CASES = f"{VARIANT}/repair/cases.parquet"
CARRIERS = f"{VARIANT}/repair/carriers.parquet"
CASE_IMAGES = f"{VARIANT}/repair/case_images.parquet"
PROOF = f"{VARIANT}/repair/proof.parquet"
COVERAGE = f"{VARIANT}/repair/coverage.parquet"
ACCOUNTED = f"{VARIANT}/repair/accounted.parquet"  # how each image above the line is explained
SHARED = f"{VARIANT}/repair/shared.parquet"
UNEXPLAINED = f"{VARIANT}/repair/unexplained.parquet"
REPAIRS = f"{VARIANT}/repair/repairs.parquet"
REPAIR_VECTORS = f"{VARIANT}/repair/repairs.safetensors"
OWN_TEXT = f"{VARIANT}/repair/own_prompts.parquet"
GROUP_SCORES = f"{VARIANT}/repair/groups.json"
REPAIR_PAGE = f"{VARIANT}/repair.html"
REPAIRED = f"{VARIANT}/repaired/classifier.safetensors"
REPAIRED_PROMPTS = f"{VARIANT}/repaired/prompts.yaml"
REPAIRED_EDITS = f"{VARIANT}/repaired/edits.json"
ROBUSTNESS = f"{VARIANT}/robustness.parquet"
FAITHFULNESS = f"{VARIANT}/faithfulness.parquet"
FAITHFULNESS_SUMMARY = f"{VARIANT}/faithfulness.json"
BASIS_FAITHFULNESS = f"{VARIANT}/faithfulness/{{basis}}.parquet"
BASIS_FAITHFULNESS_SUMMARY = f"{VARIANT}/faithfulness/{{basis}}.json"
AUDIT = f"{VARIANT}/audit/audit.json"
AUDIT_SPLIT = f"{VARIANT}/audit/split.parquet"
AUDIT_PROBE = f"{VARIANT}/audit/probe.safetensors"
GIVEN_PROBE = f"{VARIANT}/audit/given.safetensors"  # a classifier of others, with a row for each class
AUDIT_CHOICE = f"{VARIANT}/audit/choice.json"
AUDIT_RELEVANCES = f"{VARIANT}/audit/relevances.parquet"
AUDIT_ACCURACIES = f"{VARIANT}/audit/accuracies.parquet"
PAGE = f"{VARIANT}/report.html"
PAPER = f"{VARIANT}/paper.csv"
FINDINGS = f"{VARIANT}/findings.json"
DESCRIPTION = f"{VARIANT}/variant.json"
ATLAS = f"{VARIANT}/atlas/index.html"
ATLAS_FILES = f"{VARIANT}/atlas/atlas.json"
LENS = f"{VARIANT}/lens/block{{block}}"  # of the neurons of a block
LENS_PART = f"{LENS}/{{split}}/{PART}"
LENS_COEFFICIENTS = f"{LENS}/{{split}}/manifest.json"
LENS_STRONGEST = f"{LENS}/strongest/part-{{part}}-of-{{parts}}.safetensors"
LENS_DIRECTIONS = f"{LENS}/directions.safetensors"
LENS_TOPS = f"{LENS}/tops.parquet"
LENS_WORDS = f"{LENS}/words.parquet"
LENS_NEURONS = f"{LENS}/neurons.parquet"
LENS_ACCURACY = f"{LENS}/accuracy.parquet"
LENS_TRUTH = f"{LENS}/truth.parquet"  # planted data only
LENS_MAPS = f"{VARIANT}/lens/maps.parquet"  # planted data only
LENS_MASKS = f"{VARIANT}/lens/masks.parquet"  # of a folder of masks
LENS_SEGMENTS = f"{VARIANT}/lens/segments.parquet"  # of planted data, or with a folder of masks
LENS_EXAMPLES = f"{VARIANT}/lens/segments.safetensors"  # pictures with the heat of every method
LENS_GENERATED = f"{VARIANT}/lens/generated.parquet"  # of a folder of generated images
LENS_ADVERSARIAL = f"{VARIANT}/lens/adversarial.parquet"  # words from one class to another, with captions
LENS_CAPTIONS = f"{VARIANT}/lens/captions.csv"  # for an image generator, with the folder of each
LENS_ATTACKS = f"{VARIANT}/lens/attacks.parquet"  # planted data only
LENS_ATTRIBUTES = f"{VARIANT}/lens/attributes.parquet"  # words of test images
LENS_ATTRIBUTE_TRUTH = f"{VARIANT}/lens/attribute_truth.parquet"  # planted data only
LENS_BRIDGE = f"{VARIANT}/lens/bridge.parquet"  # heads and neurons that write latents
LENS_HEADS = f"{VARIANT}/lens/heads.parquet"
LENS_CASES = f"{VARIANT}/lens/cases.parquet"  # what is left of failure cases without heads and neurons
LENS_PAGE = f"{VARIANT}/lens/report.html"
COMPARISON = "results/compare/{comparison}"
MATCHES = f"{COMPARISON}/matches.parquet"
STABILITY = f"{COMPARISON}/stability.parquet"
PERSISTENCE = f"{COMPARISON}/persistence.parquet"
DICTIONARIES = f"{COMPARISON}/dictionaries.html"
DICTIONARIES_TABLE = f"{COMPARISON}/dictionaries.csv"

LOGS = "results/logs"
BENCHMARKS = "results/benchmarks"
OWN_PROMPTS = "config/prompts/{variant}.yaml"  # the same
REVIEW = "config/reviews/{variant}.tsv"  # written by a user, below the folder that snakemake is started in

CONSTRAINTS = {  # regular expressions of what may stand for a name
    "variant": r"(?!(compare|datasets|encoders|logs|benchmarks)/)[^/]+",
    "dataset": r"[^/]+",
    "encoder": r"[^/]+",
    "site": "|".join(place.pattern or name for name, place in SITES.items()),
    "comparison": r"[^/]+",
    "split": "train|test|cases",
    "part": r"\d+",
    "parts": r"\d+",
    "block": r"-?\d+",
}
CHANGED_SPLIT = r"(train|test|cases)(@[a-z0-9_]+)?"  # {split}@{transform}: images changed before embedding


class Wildcards(NamedTuple):
    """The names in the path of a job's output; "" for those it has not."""

    variant: str = ""
    dataset: str = ""
    encoder: str = ""
    site: str = ""
    comparison: str = ""
    split: str = ""
    part: str = ""
    parts: str = ""
    attributed: str = ""
    basis: str = ""
    block: str = ""


def at(pattern: str, **names: str) -> str:
    """The pattern with the names in their places."""
    return pattern.format(**names)


def each(pattern: str, names: Sequence[str], **others: str) -> list[str]:
    """The same file of several variants."""
    return [at(pattern, variant=name, **others) for name in names]


def beside(*patterns: str) -> tuple[str, ...]:
    """Where the stamps of files lie that cannot hold them themselves."""
    return tuple(f"{pattern}.meta.json" for pattern in patterns)


def sheet(folder: str, name: str) -> dict[str, str]:
    """The files of a figure: itself, a preview, the numbers behind it, its caption."""
    suffixes = {"pdf": "pdf", "png": "png", "csv": "csv", "caption": "caption.md"}
    return {part: f"{folder}/{name}.{suffix}" for part, suffix in suffixes.items()}


def base_name(name: str) -> str:
    """A variant's or data set's name without its rehearsal suffix."""
    return name.split(".n", maxsplit=1)[0]


def rehearsed(name: str) -> bool:
    """Whether a variant or data set is a rehearsal on its first images."""
    return base_name(name) != name
