"""Groups of images on the page of repairs: accuracy of each, and the attribute that a case's images share."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reliance.repair.group_data import is_attribute
from reliance.report.markup import Grid

WORST = 5  # groups of each attribute that are shown
Scores = Mapping[str, Any]  # what `repair.group_data.score_groups` writes


def group_grid(scores: Scores, names: Mapping[int, str], few: int) -> Grid:
    """Of each attribute: accuracy of all images, and of the worst groups of `few` images or more."""
    rows = []
    for attribute, found in scores["attributes"].items():
        if not _told(found):
            continue
        rows.append(
            [attribute, "all", "", f"{found['images']:,}", *_pair(found, "mean_before", "mean_after")]
        )
        large = [group for group in found["groups"] if group["images"] >= few]
        for group in sorted(large, key=_worst)[:WORST]:
            label = names.get(group["class_id"], str(group["class_id"]))
            said = [attribute, label, group["value"], f"{group['images']:,}"]
            rows.append([*said, *_pair(group, "before", "after")])
        last = [attribute, "worst group", "", "", *_pair(found, "worst_before", "worst_after")]
        rows += [last] if found["worst_before"] is not None else []
    return Grid(["attribute", "class", "value", "images", "accuracy", "mended"], rows)


def attribute_grid(scores: Scores, cases: pd.DataFrame, names: Mapping[int, str]) -> Grid:
    """Of each case the value that most of its images share, beyond images of other classes.

    cases : CASES.
    """
    by_case = {case["case_id"]: case for case in scores["cases"]}
    rows = []
    for case in cases.to_dict("records"):
        found = by_case[case["case_id"]]
        what = [case["case_id"], names.get(case["class_id"], ""), case["kind"], case["name"] or "no name"]
        said = ["no value sets them apart", "", ""]
        if found["attribute"]:
            said = [f"{found['attribute']}: {found['value']}"]
            said += [f"{found[key]:.0%}" for key in ("share", "elsewhere")]
        rows.append([*what, str(found["images"]), *said])
    columns = ["case", "class", "kind", "stands out", "images", "they share", "of them", "of others"]
    return Grid(columns, rows)


def _told(found: Mapping[str, Any]) -> bool:
    """Whether something is an attribute of images, and no id."""
    return is_attribute([group["value"] for group in found["groups"]])


def _worst(group: Mapping[str, Any]) -> tuple[float, int]:
    """Order of groups, the worst first, before or after."""
    return min(group["before"], group["after"]), -group["images"]


def _pair(found: Mapping[str, Any], before: str, after: str) -> list[str]:
    return [f"{found[key]:.3f}" if found[key] is not None else "" for key in (before, after)]
