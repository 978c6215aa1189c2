import pytest
from typer.testing import CliRunner

from reliance.__main__ import app
from reliance.explore.mended import Mended, mend_lines


def row(case_id, repair, recommended):
    numbers = {
        f"{side}_{name}": 0.5 for side in ("before", "after") for name in ("spurious", "valid", "top1")
    }
    about = {
        "case_id": case_id,
        "repair": repair,
        "choice": "prompts both",
        "kind": "compound",
        "class": "kite",
    }
    return {**about, **numbers, "recommended": recommended}


def test_what_is_recommended_is_marked_and_cases_are_counted():
    rows = [row("2-1", "words", True), row("2-1", "probe", False), row("5-3", "words", False)]
    lines = list(mend_lines(Mended(rows, [])))
    assert [line.strip().startswith("*") for line in lines].count(True) == 1
    assert "1 of 2 cases have a repair" in lines[-1]


def test_repairs_that_were_not_tried_are_named_with_the_command(asked):
    home = asked.home
    done = CliRunner().invoke(app, ["repair", home.name, "--results", str(home.parent)])
    assert done.exit_code == 1 and "repaired/classifier.safetensors" in done.output


@pytest.mark.parametrize("given", [["--case"], ["--to"]])
def test_options_need_a_value(given):
    assert CliRunner().invoke(app, ["repair", "demo", *given]).exit_code == 2
