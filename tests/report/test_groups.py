"""Groups of images on the page: the worst ones, and attributes apart from ids."""

import pandas as pd

from reliance.report.groups import attribute_grid, group_grid

NAMES = {0: "crane", 1: "heron"}


def group(class_id: int, value: str, images: int, before: float, after: float) -> dict:
    return {"class_id": class_id, "value": value, "images": images, "before": before, "after": after}


def scores() -> dict:
    background = {
        "groups": [
            group(0, "water", 30, 0.5, 0.75),
            group(0, "sky", 4, 0.0, 0.0),
            group(1, "sky", 40, 0.9, 0.9),
        ],
        "images": 74,
        "mean_before": 0.7,
        "mean_after": 0.8,
        "worst_before": 0.5,
        "worst_after": 0.75,
    }
    patients = {**background, "groups": [group(0, f"p{i}", 20, 0.1, 0.1) for i in range(100)]}
    shares = {"attribute": "background", "value": "water", "share": 0.9, "elsewhere": 0.1, "images": 20}
    none = {"attribute": "", "value": "", "share": 0.0, "elsewhere": 0.0, "images": 12}
    cases = [{"case_id": "a", **shares}, {"case_id": "b", **none}]
    return {"attributes": {"background": background, "patient": patients}, "cases": cases}


def test_the_worst_groups_are_of_attributes_and_of_enough_images() -> None:
    grid = group_grid(scores(), NAMES, few=10)
    assert grid.rows == [
        ["background", "all", "", "74", "0.700", "0.800"],
        ["background", "crane", "water", "30", "0.500", "0.750"],
        ["background", "heron", "sky", "40", "0.900", "0.900"],
        ["background", "worst group", "", "", "0.500", "0.750"],
    ]


def test_cases_say_what_attribute_their_images_share() -> None:
    cases = [{"case_id": c, "class_id": 0, "kind": "spurious", "name": "waves"} for c in "ab"]
    grid = attribute_grid(scores(), pd.DataFrame(cases), NAMES)
    known = ["crane", "spurious", "waves"]
    assert grid.rows == [
        ["a", *known, "20", "background: water", "90%", "10%"],
        ["b", *known, "12", "no value sets them apart", "", ""],
    ]
