"""The command line: words for people, one JSON document for programs, errors in five parts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from explore.conftest import Built
from reliance import __version__
from reliance.__main__ import app

ROOT = Path(__file__).parents[1]


@pytest.fixture
def built(tmp_path):
    return Built(tmp_path / "results")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_version():
    assert run("--version").stdout == f"reliance {__version__}\n"


def test_variants_are_listed_with_what_is_built(built):
    done = run("variants", "--results", built.results)
    assert done.exit_code == 0
    assert done.stdout == "demo: toy on toy, with an SAE\n  11 of 17 files built\n"
    (built.home / "report.html").write_text("x")
    assert (
        f"12 of 17 files built, page {built.home / 'report.html'}"
        in run("variants", "--results", built.results).stdout
    )


def test_json_is_one_document(built):
    done = run("variants", "--results", built.results, "--json")
    (entry,) = json.loads(done.stdout)["variants"]
    assert (entry["variant"], entry["sae"], entry["built"]) == ("demo", True, 11)
    assert "codes.test" in entry["missing"] and "figures.fig5.pdf" in entry["missing"]
    done = run("verify", "demo", "--results", built.results, "--json")
    record = json.loads(done.stdout)
    assert record["broken"] == [] and str(built.home / "variant.json") in record["checked"]


def test_a_damaged_artifact_is_told_on_stderr(built):
    built.files["components"].write_bytes(b"PAR1")
    done = run("verify", "demo", "--results", built.results, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["broken"][0]["where"] == str(built.files["components"])
    assert "next:" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["variants"], ["verify", "demo"]])
def test_an_error_has_five_parts(tmp_path, command):
    done = run(*command, "--results", tmp_path / "nowhere", "--json")
    assert done.exit_code == 1
    assert done.stdout == ""
    for part in ("ERROR", "found:", "allowed:", "next:"):
        assert part in done.stderr


def test_the_module_is_the_command(built):
    done = subprocess.run(
        [sys.executable, "-m", "reliance", "verify", "demo", "--results", str(built.results)],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, "weights that it was made from are not here"
    assert "artifacts checked, whole, but" in done.stdout


def test_weights_that_do_not_work_are_told(built, monkeypatch):
    """Zero-shot accuracies as the page shows them; doubts on stderr and in the exit code."""
    from reliance.report import opening
    from reliance.report.markup import Grid

    found = opening.WeightsTold(
        Grid(["prompt", "top-1 (%)", "top-5 (%)"], [["short", "1.0", "5.0"]]), ["twins"], []
    )
    monkeypatch.setattr(opening, "weights_told", lambda study: found)
    done = run("check-weights", "demo", "--results", built.results)
    assert done.exit_code == 0 and "1.0" in done.stdout and "note: twins" in done.stdout
    monkeypatch.setattr(opening, "weights_told", lambda study: found._replace(doubts=["far below"]))
    done = run("check-weights", "demo", "--results", built.results, "--json")
    assert done.exit_code == 1 and "WARNING far below" in done.stderr
    assert json.loads(done.stdout)["doubts"] == ["far below"]
