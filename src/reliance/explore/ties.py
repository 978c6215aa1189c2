"""Which files of a variant come from the same thing: held against each other before a table is handed out."""

from typing import NamedTuple


class Tie(NamedTuple):
    """Two files of a variant that come from the same thing."""

    name: str
    source: str  # the input of `name`
    other: str
    through: str = ""  # the input of `other`; none: `other` itself is the source


TIES = (
    Tie("top_samples", "codes", "components", "codes"),
    Tie("hidden", "components", "components"),
    Tie("name_stability", "components", "components"),
    Tie("neurons", "vocabulary", "components", "vocabulary"),
    Tie("pca", "vocabulary", "components", "vocabulary"),
    Tie("random", "vocabulary", "components", "vocabulary"),
    Tie("untrained", "vocabulary", "components", "vocabulary"),
    Tie("alignments", "vocabulary", "components", "vocabulary"),
    Tie("failures", "components", "mined_components"),
    Tie("failures", "outliers", "outliers"),
    Tie("failure_samples", "failures", "failures"),
    Tie("outliers", "expectations", "expectations"),
    Tie("effects", "expectations", "expectations"),
    Tie("outlier_samples", "outliers", "outliers"),
    Tie("audit", "accuracies", "audit_accuracies"),
    Tie("audit", "probe", "audit_relevances", "probe"),
)
