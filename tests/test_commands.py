"""Commands that pages and messages print: the target stands where Snakemake takes it for one."""

import re
from pathlib import Path

import pytest

from reliance.base.errors import run_again

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "config/*", "src/**/*.py", "src/**/*.j2", "rules/*", "workflow/*")
    for path in ROOT.glob(pattern)
    if path.is_file()
)
# Options of Snakemake that take several values, and so every target behind them.
GREEDY = ("--forcerun", "--configfile", "--config", "--rerun-triggers", "--until")


def swallowed(text: str) -> list[str]:
    """Targets behind an option that takes them for its own values, in the commands of a text."""
    found = []
    for command in re.findall(r"snakemake (?:[^`\n]|\n(?=\s*--))*", text):
        for option in GREEDY:
            behind = command.partition(f"{option} ")[2].split(" --")[0].split()
            found += [word for word in behind[1:] if word.startswith(("results/", "TARGET", "<target>"))]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_target_is_taken_for_something_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert swallowed(text) == []
    assert not re.search(r"--forcerun \w+ (<target>|\.\.\.)", text)


def test_what_is_looked_for() -> None:
    assert swallowed("`snakemake --forcerun index_images results/a/report.html`") == ["results/a/report.html"]
    assert swallowed("`snakemake TARGET --configfile mine.yaml --forcerun index_images`") == []
    assert run_again("x").startswith("run `snakemake --cores 2 TARGET --forcerun x`")
