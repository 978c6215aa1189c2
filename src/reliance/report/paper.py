"""Stage `paper`: every number that the paper's text states, beside what this variant gives.

The difference is given in combined errors, (here - paper) / sqrt(error_here^2 + error_paper^2), where both
are known. `same` says whether the variant is of the model and the data that the paper's number is of; for
others it is what the paper saw elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.audits.schema import INCREASED, NONE, PLAIN, ROBUST
from reliance.base.artifacts import Stamp, derived_stamp, write_meta
from reliance.base.means import mean_and_error
from reliance.base.stamps import read_stamp
from reliance.base.writing import atomic
from reliance.concepts.concepts import correlation, named
from reliance.explore.tables import Tables
from reliance.robustness.summary import FOUND, differences

KIND, SCHEMA = "paper", 1
L14, B16, LESIONS = ("vit_l14",), ("vit_b16",), ("whylesion",)
MODELS = ("vit_b32", "vit_b16", "vit_l14", "vit_h14")
MELANOMA = "melanoma"  # what the positive class of the paper's audit is called
NO_ERROR = float("nan")
OWN_SAE = "the paper's SAE was not published: other latents, other counts"
BY_EYE = "the paper's cases were sorted by hand; kinds here are suggestions until they are reviewed"


class Value(NamedTuple):
    """A number and its standard error; nan where there is none."""

    value: float
    error: float = NO_ERROR


NOTHING = Value(float("nan"))


class Stated(NamedTuple):
    """A number in the paper's text."""

    words: str
    where: str  # section, figure or table
    paper: Value
    variants: Sequence[str]  # it is of
    caveat: str
    here: Callable[[Tables], Value]


class OfComponents(NamedTuple):
    """Tables of a variant with an SAE."""

    components: Path
    pca: Path


class OfAudit(NamedTuple):
    """Tables of an audited variant."""

    audit: Path
    audit_accuracies: Path


def paper(
    *,
    variant: str,
    robustness: Path,
    failures: Path,
    csv: Path,
    of_sae: OfComponents | None = None,
    of_audit: OfAudit | None = None,
) -> Stamp:
    """Write the paper's numbers beside those of a variant (CSV); `here` is empty where it has none."""
    given = {"robustness": robustness, "failures": failures}
    given |= of_sae._asdict() if of_sae else {}
    given |= of_audit._asdict() if of_audit else {}
    study = Tables(given, variant)
    frame = compared(study)
    with atomic(csv) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    ids = {name: read_stamp(path).id for name, path in given.items()}
    stamp = derived_stamp(KIND, SCHEMA, {"variant": variant}, ids)
    write_meta(csv, stamp)
    return stamp


def compared(study: Tables) -> pd.DataFrame:
    """A row per stated number; columns as in the file."""
    rows = []
    for stated in STATED:
        here = stated.here(study)
        combined = np.hypot(stated.paper.error, here.error)
        known = np.isfinite(combined) and combined > 0
        rows.append(
            {
                "statement": stated.words,
                "where": stated.where,
                "same": "yes" if study.variant in stated.variants else "no",
                "paper": stated.paper.value,
                "paper_error": stated.paper.error,
                "here": here.value,
                "here_error": here.error,
                "difference_in_errors": (here.value - stated.paper.value) / combined if known else np.nan,
                "caveat": stated.caveat,
            }
        )
    return pd.DataFrame(rows)


def _analysable(study: Tables) -> Value:
    return Value(float(len(named(study.components)))) if study.has("components") else NOTHING


def _clarity(study: Tables) -> Value:
    if not study.has("components"):
        return NOTHING
    found = correlation(study.components, "top20_mean")
    return Value(found.r, (found.high - found.low) / (2 * 1.959964))


def _labels(table: str) -> Callable[[Tables], Value]:
    def count(study: Tables) -> Value:
        return Value(float(named(getattr(study, table))["label"].nunique())) if study.has(table) else NOTHING

    return count


def _cases(kind: str | None) -> Callable[[Tables], Value]:
    def count(study: Tables) -> Value:
        kinds = study.failures["kind"]
        return Value(float(len(kinds) if kind is None else (kinds == kind).sum()))

    return count


def _artefacts(study: Tables) -> Value:
    found = study.robustness
    count = found.loc[found["source"] == "neuhaus", "failure_id"].nunique()
    return Value(float(count)) if count else NOTHING  # none: the list was not given


def _change(kind: str, prompts: str) -> Callable[[Tables], Value]:
    """A cell of Table 1: the change of the spurious AUC against the short name, over found cases."""

    def mean(study: Tables) -> Value:
        table = differences(study.robustness, prompts, "short")
        own = table[(table["section"] == FOUND) & (table["kind"] == kind)]["difference"].to_numpy()
        value, error, _ = mean_and_error(own)
        return Value(value, error)

    return mean


def _of_audit(function: Callable[[Mapping[str, Any], pd.DataFrame], Value]) -> Callable[[Tables], Value]:
    def value(study: Tables) -> Value:
        """Of an audit of a classifier of melanomas; the paper audited no other."""
        if not study.has("audit") or MELANOMA not in str(study.audit["names"][0]).lower():
            return NOTHING
        return function(study.audit, study.audit_accuracies)

    return value


def _accuracy(positive: bool, change: str) -> Callable[[Tables], Value]:
    def value(about: Mapping[str, Any], accuracies: pd.DataFrame) -> Value:
        own = accuracies[(accuracies["probe"] == PLAIN) & (accuracies["positive"] == positive)]
        row = own[own["change"] == change].iloc[0]
        return Value(100 * float(row["accuracy"]), 100 * float(row["sem"]))

    return _of_audit(value)


def _fall(probe: str) -> Callable[[Tables], Value]:
    def value(about: Mapping[str, Any], accuracies: pd.DataFrame) -> Value:
        found = about["drops"][probe]["positive"]
        return Value(100 * found["drop"], 100 * found["sem"])

    return _of_audit(value)


_MORE = "accuracy with more red, in %"
_RED = "of the sum of absolute mean relevances; the paper does not name its denominator"
_SEM = "the paper says that all its errors are below 2.4 %"
_TABLE1 = {  # templating, extended, both: mean and standard error
    "polysemous": ((0.020, 0.032), (0.135, 0.028), (0.151, 0.028)),
    "compound": ((-0.001, 0.022), (0.060, 0.020), (0.055, 0.021)),
    "typography": ((0.063, 0.033), (0.068, 0.038), (0.117, 0.033)),
    "spurious": ((-0.002, 0.011), (-0.001, 0.011), (-0.005, 0.012)),
}
_SETS = {"templated": "templating", "extended": "extended descriptions", "both": "both"}
_COUNTS = {"polysemous": 76, "compound": 78, "typography": 21, "spurious": 57}

STATED = (
    Stated("analysable latents", "5.2", Value(17455), L14, OWN_SAE, _analysable),
    Stated("correlation of clarity and activation", "5.2, Fig. 4a", Value(0.75), L14, OWN_SAE, _clarity),
    Stated("unique labels of the SAE", "5.2, Fig. 4b", Value(5363), L14, OWN_SAE, _labels("components")),
    Stated("unique labels of PCA, fewer than", "5.2, Fig. 4b", Value(500), L14, "a bound", _labels("pca")),
    Stated(
        "more unique labels in H/14 than in B/16, more than, in %",
        "5.2",
        Value(20),
        (),
        "of two models: see the comparison's Fig. 4",
        lambda study: NOTHING,
    ),
    Stated("failure cases, over", "5.3", Value(220), B16, BY_EYE, _cases(None)),
    *(
        Stated(f"cases: {kind}", "App. D.1", Value(n), B16, BY_EYE, _cases(kind))
        for kind, n in _COUNTS.items()
    ),
    Stated("artefacts of Neuhaus et al.", "5.3", Value(50), MODELS, "as listed there", _artefacts),
    *(
        Stated(
            f"change of spurious AUC by {words}: {kind}",
            "Table 1",
            Value(*cells[i]),
            MODELS,
            "the paper does not say of which model; other cases",
            _change(kind, prompts),
        )
        for kind, cells in _TABLE1.items()
        for i, (prompts, words) in enumerate(_SETS.items())
    ),
    Stated(
        "relevance of the first red component, in %",
        "5.4",
        Value(4.9),
        LESIONS,
        _RED,
        _of_audit(lambda about, _: Value(float(about["share"]))),
    ),
    Stated(
        "relevance of the second red component, in %",
        "5.4",
        Value(2.8),
        LESIONS,
        "here one component is audited: Fig. 6 has the others",
        lambda study: NOTHING,
    ),
    Stated("melanoma accuracy, in %", "5.4", Value(80.5, 2.4), LESIONS, _SEM, _accuracy(True, NONE)),
    Stated(
        "melanoma accuracy with more red, in %",
        "5.4",
        Value(59.9, 2.4),
        LESIONS,
        _SEM,
        _accuracy(True, INCREASED),
    ),
    Stated("non-melanoma accuracy, in %", "5.4", Value(68.1, 2.4), LESIONS, _SEM, _accuracy(False, NONE)),
    Stated(
        "non-melanoma accuracy with more red, in %",
        "5.4",
        Value(82.8, 2.4),
        LESIONS,
        _SEM,
        _accuracy(False, INCREASED),
    ),
    Stated(
        "fall of melanoma accuracy, plain probe, in %",
        "5.4",
        Value(20.6, 2.1),
        LESIONS,
        "of whylesion, images and probe are as in the paper as far as it says",
        _fall(PLAIN),
    ),
    Stated(
        "fall of melanoma accuracy, robust probe, in %",
        "5.4",
        Value(5.1, 2.0),
        LESIONS,
        "the paper's augmentation has the strength alpha = 0.5",
        _fall(ROBUST),
    ),
    Stated(
        "melanomas that the probe learns from",
        "App. E",
        Value(3629),
        LESIONS,
        "80 % of those that could be read",
        _of_audit(lambda about, _: Value(float(about["n_fit"][0]))),
    ),
)
