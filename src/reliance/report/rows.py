"""The tables of the page: failure cases with what they are about, hidden concepts, strongest components."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.failure_kinds import FAILURE_KINDS
from reliance.explore.tables import Tables
from reliance.naming.stability import said
from reliance.report.markup import Grid


def case_rows(study: Tables, failures: pd.DataFrame) -> Grid:
    """One row per failure case: whose prompt is fooled, by images of what, through which component.

    failures : some of the study's. The areas are those of the short prompt, of the enriched one and of the
    linear probe.
    """
    robustness = study.robustness
    mined = robustness[robustness["source"].isin(failures["source"])]
    keys = zip(mined["failure_id"], mined["probe"], strict=True)
    area = dict(zip(keys, mined["spurious_auc"].to_numpy(np.float64), strict=True))
    names, rows = case_names(study), []
    for _, case in failures.sort_values("score", ascending=False, na_position="last").iterrows():
        prompt, by, latent = names.of(case)
        rows.append(
            [
                prompt,
                FAILURE_KINDS[str(case["kind"])].singular + (" (reviewed)" * (case["reviewed"] == "yes")),
                by,
                latent,
                str(len(names.images(case))),
                _rate(case["q_value"]),
                *(_area(area, str(case["failure_id"]), probe) for probe in ("short", "both", "linear")),
            ]
        )
    columns = ["prompt", "kind", "fooled by images of", "through latent", "images", "false discovery rate"]
    return Grid([*columns, "spurious AUC: short name", "full name in templates", "linear probe"], rows)


class CaseNames(NamedTuple):
    """What cases are about, in words."""

    name: pd.Series  # short name by class_id
    label: pd.Series  # by component
    fooled: Mapping[str, pd.Series]  # failure_id -> class_id of each of its images

    def of(self, case: pd.Series) -> tuple[str, str, str]:
        """Of a row of the failure cases: the prompt, what its images are of, and the latent."""
        by = commonest(self.images(case).map(self.name))
        class_id, component = case["class_id"], case["component"]
        latent = f"#{component} {self.label.get(component, '')}".strip()
        return str(self.name.get(class_id, class_id)), by, latent

    def images(self, case: pd.Series) -> pd.Series:
        """class_id of each image of a case."""
        return self.fooled.get(str(case["failure_id"]), pd.Series(dtype=float))


def case_names(study: Tables) -> CaseNames:
    """The names that belong to the cases of a study."""
    index = study.index[["split", "image_id", "class_id"]]
    shown = study.failure_samples.merge(index, on=["split", "image_id"], how="left")
    return CaseNames(
        study.class_names.set_index("class_id")["short_name"],
        study.mined_components.set_index("component")["name"],
        {str(key): part for key, part in shown.groupby("failure_id")["class_id"]},
    )


def commonest(names: pd.Series, count: int = 3) -> str:
    """The most frequent names with their shares."""
    known = names.dropna()
    if known.empty:
        return "unlabelled images"
    shares = known.value_counts()
    parts = [f"{name} {n / len(names):.0%}" for name, n in shares.head(count).items()]
    more = len(shares) - count
    return ", ".join(parts) + (f", {more} more" if more > 0 else "")


def hidden_rows(hidden: pd.DataFrame, classes: pd.DataFrame, limit: int) -> Grid:
    """The hidden concepts of Eq. 7 and those by activation alone, the most relevant first."""
    name = classes.set_index("class_id")["short_name"]
    flagged = hidden[hidden["by_relevance"] | hidden["by_activation"]]
    flagged = flagged.sort_values(["share", "component"], ascending=[False, True])
    rows = [
        [
            f"#{c.component}",
            str(c.band),
            f"{c.clarity:.2f}",
            f"{c.activation:.2f}",
            f"{c.alignment:+.3f}",
            str(c.nearest),
            str(c.label),
            str(name.get(c.class_id, "")),
            f"{c.share:.1%}",
            " and ".join(
                word
                for word, flag in (("relevance", c.by_relevance), ("activation", c.by_activation))
                if flag
            ),
        ]
        for c in flagged.head(limit).itertuples()
    ]
    columns = ["component", "clarity band", "clarity", "activation", "alignment", "with", "its label"]
    columns += ["drives most", "share of its output", "found by"]
    return Grid(columns, rows, max(0, len(flagged) - limit))


def _sure(label: str, confidence: float, rival: str) -> str:
    return said(label, confidence, rival) or ("" if np.isnan(confidence) else f"{confidence:.0%}")


def component_rows(components: pd.DataFrame, stability: pd.DataFrame, limit: int) -> Grid:
    """The named components that fire most strongly. stability : NAME_STABILITY, how sure names are."""
    components = components.merge(stability[["component", "confidence", "rival"]], on="component", how="left")
    named = components[components["label"] != ""].sort_values(
        ["top20_mean", "component"], ascending=[False, True]
    )
    told = named.head(limit)[["label", "confidence", "rival"]].to_numpy(object)
    rows = [
        [
            f"#{c.component}",
            str(c.name),
            _sure(*sure),
            str(c.runner_up),
            f"{c.alignment:+.3f}",
            f"{c.clarity:.2f}",
            f"{c.top20_mean:.2f}",
            str(c.n_active),
            f"{c.firing_rate:.2%}",
        ]
        for c, sure in zip(named.head(limit).itertuples(), told, strict=True)
    ]
    columns = ["component", "name", "sure", "second name", "alignment", "clarity"]
    return Grid([*columns, "activation (top 20)", "images", "firing rate"], rows, max(0, len(named) - limit))


def truth_rows(truth: Mapping[str, Any]) -> Grid:
    """Recall and precision of the listed cases against what was planted, and of the whole ranked list."""
    record = truth["all"]
    parts = {
        "all kinds": record,
        **{FAILURE_KINDS[kind].singular: part for kind, part in record["kinds"].items()},
    }
    rows = [
        [
            name,
            _ratio(part["found"], part["testable"], part["recall"]),
            _ratio(part["true"], part["listed"], part["precision"]),
        ]
        for name, part in parts.items()
    ]
    rows += [[words, "", part] for words, part in _ranked(truth["ranked"])]
    return Grid(["kind", "recall: plants found", "precision: cases that are planted"], rows)


def _ranked(ranked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(words, precision) of the ranked list of all candidates."""
    rows = []
    for n in (1, 2, 3):
        part = ranked[f"precision_at_{n}"]
        words = f"the strongest {n} of a class" if n > 1 else "the strongest of a class"
        rows.append((words, _ratio(part["true"], part["listed"], part["precision"])))
    average = ranked["average_precision"]
    said = "none" if average is None else f"{average:.3f} ({ranked['true']} of {ranked['candidates']} true)"
    return [*rows, ("average precision over all candidates", said)]


def truth_misses(truth: Mapping[str, Any], classes: pd.DataFrame, failures: pd.DataFrame) -> list[str]:
    """In words: plants that could have been found and were not, and cases that nobody planted."""
    name = classes.set_index("class_id")["short_name"]
    prompts = failures.set_index("failure_id")
    missed = [
        f"{FAILURE_KINDS[p['mode']].singular} of “{name.get(p['class_id'], '?')}” "
        f"({p['confident']} confident distractors)"
        for p in truth["plants"]
        if p["testable"] and not p["found_at"] and p["mode"] in FAILURE_KINDS
    ]
    extra = [
        f"“{name.get(c['class_id'], '?')}” through #{prompts['component'].get(c['failure_id'], '?')}"
        for c in truth["cases"]
        if c["verdict"] == "unplanted"
    ]
    lines = [f"Planted and not found: {'; '.join(missed) or 'none'}."]
    return [*lines, f"Found and not planted: {'; '.join(extra) or 'none'}."]


def _ratio(part: int, whole: int, value: float | None) -> str:
    return "none" if value is None else f"{value:.3f} ({part} of {whole})"


def _area(areas: dict[tuple[str, str], float], failure_id: str, probe: str) -> str:
    value = areas.get((failure_id, probe), np.nan)
    return "" if np.isnan(value) else f"{value:.3f}"


def _rate(q_value: float) -> str:
    return "" if np.isnan(q_value) else "<0.001" if q_value < 0.001 else f"{q_value:.3f}"
