"""The questions on the command line: words, one JSON document, files, errors in five parts."""

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from reliance.__main__ import app
from reliance.explore.commands import _numbers


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ask(asked, command, *arguments):
    return run(command, "demo", *arguments, "--results", asked.results)


COMMANDS = [
    ("explain", "train:1", "--prompt", "kite", "--class", "9"),
    ("explain", "train:1", "train:2", "--prompt", "kite", "--against", "jay", "--top", "2"),
    ("show", "14,20", "--images", "3"),
    ("find", "label one; label two", "--top", "3"),
    ("find", "", "--least"),
    ("images", "--text", "jay", "--split", "train"),
    ("cases",),
    ("classes",),
    ("classes", "9"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_answer_is_words_or_one_document(asked, command):
    words, document = ask(asked, *command), ask(asked, *command, "--json")
    assert (words.exit_code, document.exit_code) == (0, 0)
    assert words.stdout.startswith("demo: ")
    assert json.loads(document.stdout)["variant"] == "demo"
    assert document.stderr == ""


def test_files_are_written_beside_the_words(asked, tmp_path):
    png, html = tmp_path / "a.png", tmp_path / "sub" / "a.html"
    done = ask(asked, "explain", "train:1", "train:2", "--prompt", "kite", "--png", png, "--html", html)
    assert done.exit_code == 0
    with Image.open(tmp_path / "a-1.png") as picture:
        assert picture.format == "PNG"
    assert "<html" in (tmp_path / "sub" / "a-2.html").read_text()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("explain", "nowhere.png", "--prompt", "kite"), "no such file"),
        (("explain", "train:1"), "no prompt"),
        (("show", "x"), "numbers"),
        (("show", "99"), "0 to 29"),
        (("show", "1", "--pooling", "median"), "max, mean"),
        (("images", "--split", "train"), "neither"),
        (("images", "--text", "jay"), "snakemake --cores 2"),
        (("classes", "4"), "no 4"),
        (("cases", "--kind", "odd"), "typography"),
        (("cases", "--png", "a.jpg"), ".png, .pdf"),
    ],
)
def test_an_error_has_five_parts(asked, command, words):
    done = ask(asked, *command, "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert words in done.stderr
    for part in ("ERROR", "found:", "allowed:", "next:"):
        assert part in done.stderr


def test_numbers_of_units():
    assert _numbers(" 3, 14,") == [3, 14]
