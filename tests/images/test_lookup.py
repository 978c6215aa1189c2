"""Which class is meant: never another one than the one that is written."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from reliance.base.errors import RelianceError
from reliance.config.stages import AuditSettings
from reliance.images.lookup import class_ids


def classes(folders, short=None):
    folders = sorted(folders)  # as text, as an index does
    return pd.DataFrame({"class_id": range(len(folders)), "folder": folders, "short_name": short or folders})


TWELVE, FOUR = classes(map(str, range(12))), classes("1234")
PADDED = classes(["003", "005", "007", "008", "009", "010", "011", "012", "015"])
ANSWERS = classes(["maybe", "no", "yes"])


def found(table, written):
    """Folders that a list, written in YAML, names."""
    ids = class_ids(Path("classes.parquet"), table, yaml.safe_load(written), "audit.positive")
    return table.loc[table["class_id"].isin(ids), "folder"].tolist()


@pytest.mark.parametrize(
    ("table", "written", "named"),
    [
        (TWELVE, "[10]", ("10: the id of 8 (8, id 10)", "10 (10, id 2)", '"8" or "10"')),
        (TWELVE, "[2]", ("2: the id of 10 (10, id 2)", "2 (2, id 4)", '"10" or "2"')),
        (PADDED, "[010]", ("8: the id of 015 (015, id 8)", "008 (008, id 3), 010 (010, id 5)", '"015"')),
        (FOUR, "[3]", ("3: the id of 4 (4, id 3)", "3 (3, id 2)", '"4" or "3"')),
        (FOUR, "[4]", ("4: what 4 (4, id 3) can be called", "", '"4"')),
        (classes("ab", ["1", "b"]), "[1]", ("1: the id of b (b, id 1)", "a (1, id 0)", '"b" or "a"')),
        (ANSWERS, "[yes]", ("True", "", "quote")),
        (ANSWERS, "[off]", ("False", "", "quote")),
        (ANSWERS, "[1.0]", ("1.0", "", "quote")),
        (PADDED, '["8"]', ("8: the id of 015", "008 (008, id 3)", '"015"')),
    ],
)  # fmt: skip
def test_what_can_be_two_classes_is_refused_naming_both(table, written, named):
    with pytest.raises(RelianceError) as caught:
        found(table, written)
    assert caught.value.where == "audit.positive"
    assert named[0] in caught.value.found and named[1] in caught.value.found
    assert named[2] in caught.value.next_step


@pytest.mark.parametrize(
    ("table", "written", "folders"),
    [
        (TWELVE, '["10"]', ["10"]),
        (TWELVE, "[0]", ["0"]),
        (TWELVE, "[1, '2']", ["1", "2"]),
        (PADDED, "['010']", ["010"]),
        (FOUR, "['3', '4']", ["3", "4"]),
        (ANSWERS, "['yes', 1]", ["no", "yes"]),
        (classes(["n01", "n02"]), "[1]", ["n02"]),
    ],
)
def test_what_is_one_class(table, written, folders):
    assert found(table, written) == folders


@pytest.mark.parametrize("side", ["positive", "negative"])
@pytest.mark.parametrize("written", ["[yes]", "[cat, off]", "[1.5]", "[2020-01-01]", "[null]"])
def test_the_configuration_refuses_what_yaml_made_of_a_name(side, written):
    sides = {"positive": ["dog"], side: yaml.safe_load(written)}
    with pytest.raises(ValidationError, match=f"{side}" if "null" in written else "quotes"):
        AuditSettings(**sides)
