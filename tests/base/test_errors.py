"""The five-part error: what it prints, and that it survives a trip between processes."""

import copy
import pickle

import pytest

from reliance.base.errors import RelianceError, make_again


def error(**parts: object) -> RelianceError:
    given = {"where": "a.yaml", "rule": "a rule", "found": 3, "allowed": "4", "next_step": "do", **parts}
    where, rule = given.pop("where"), given.pop("rule")
    return RelianceError(where, rule, **given)  # type: ignore[arg-type]


def test_five_parts() -> None:
    assert str(error()) == "a.yaml: a rule\n  found:   3\n  allowed: 4\n  next:    do"


@pytest.mark.parametrize(
    ("found", "text"), [("x", "x"), (None, "None"), ([1, "a"], "[1, 'a']"), (1.0, "1.0")]
)
def test_values_are_shown_as_they_are_written(found: object, text: str) -> None:
    assert error(found=found).found == text


def test_long_values_are_cut() -> None:
    assert error(found="x" * 1000).found == "x" * 300 + "... (1000 characters)"
    assert error(found="x" * 300).found == "x" * 300


def test_a_value_is_shown_however_large_or_deep_it_is() -> None:
    deep: object = "x"
    for _ in range(10_000):
        deep = [deep, deep]
    inside: dict[str, object] = {}
    inside["itself"] = inside
    for found in (deep, inside, 10**5000, -(10**5000), {10**5000: deep}, object(), range(10**9)):
        assert 0 < len(error(found=found).found) < 400
    assert len(str(error(where="k" * 100_000))) < 1000


@pytest.mark.parametrize("found", ["", " ", "\n"])
def test_what_is_blank_stands_in_quotes(found: str) -> None:
    assert error(found=found).found == repr(found)


def test_nothing_can_write_to_the_terminal_behind_our_back() -> None:
    bad = "\x1b[2J\r\ud800\u202e"
    shown = str(error(where=bad, rule=bad, found=bad, allowed=bad, next_step=bad))
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert shown.count("\\x1b[2J\\r\\ud800\\u202e") == 5
    assert shown.encode()


def test_what_is_found_stays_on_one_line_and_the_next_step_may_have_more() -> None:
    shown = str(error(where="a\nb", found="c\nd", next_step="one\n  two"))
    assert shown.splitlines()[0] == "a\\nb: a rule"
    assert shown.splitlines()[-2:] == ["  next:    one", "  two"]


@pytest.mark.parametrize("trip", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_it_survives_a_trip_between_processes(trip) -> None:  # type: ignore[no-untyped-def]
    for sent in (error(), error(found="x" * 1000)):
        back = trip(trip(sent))
        assert type(back) is RelianceError
        assert (str(back), vars(back)) == (str(sent), vars(sent))


@pytest.mark.parametrize(
    ("path", "with_parts", "command"),
    [
        (
            "results/tiny/sae/sae.safetensors",
            True,
            "snakemake --cores 2 --force results/tiny/sae/sae.safetensors",
        ),
        ("results/a/b/manifest.json", False, "snakemake --cores 2 --force results/a/b/manifest.json"),
        (
            "results/a/b/manifest.json",
            True,
            "rm -r results/a/b && snakemake --cores 2 results/a/b/manifest.json",
        ),
        ("results/a b/t.parquet", False, "snakemake --cores 2 --force 'results/a b/t.parquet'"),
    ],
)
def test_an_artifact_is_made_again_with_one_command(path: str, with_parts: bool, command: str) -> None:
    assert f"`{command}`" in make_again(path, with_parts=with_parts)


def test_an_artifact_of_another_run_is_not_made_here() -> None:
    assert "snakemake" not in make_again("/shared/results/t.parquet")
