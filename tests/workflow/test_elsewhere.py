"""The pipeline runs from any folder, in a folder of any name, and as part of another workflow."""

import subprocess
import sys
from pathlib import Path

import pytest

from .project import ENVIRONMENT, Project

ODD = "my {project} of ü"  # spaces, braces, umlauts
CASES = "results/datasets/planted_tiny/planted.tsv"
DESCRIPTION = "results/tiny/variant.json"
OUTER = """
configfile: "mine.yaml"

module reliance:
    snakefile: {snakefile!r}
    config: config
    {prefix}

use rule * from reliance as reliance_*

rule everything:
    default_target: True
    input: {targets}
"""


@pytest.fixture
def odd(tmp_path: Path) -> Project:
    """A working copy in a folder whose name means something to patterns."""
    return Project(tmp_path / ODD)


def snakemake(folder: Path, *arguments: str) -> str:
    """What a run in a folder said, which must end well."""
    command = [str(Path(sys.executable).parent / "snakemake"), "--cores", "1", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_from_another_folder(odd: Project, tmp_path: Path) -> None:
    """One real job of each kind: it draws, lists and describes there, and leaves the project as it was."""
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    arguments = ("-s", str(odd.folder / "workflow/Snakefile"), "--directory", str(elsewhere))
    config = ("--configfile", str(odd.folder / "config/tiny.yaml"))
    small = ("--config", "datasets={planted_tiny: {planted: {train_per_class: 2, test_per_class: 1}}}")
    snakemake(tmp_path, *arguments, CASES, DESCRIPTION, *config, *small)
    for path in (CASES, f"{CASES}.meta.json", DESCRIPTION):
        assert (elsewhere / path).stat().st_size > 0
    assert (elsewhere / "results/logs/planted_cases/planted_tiny.log").is_file()
    assert not (odd.folder / "results").exists()
    again = snakemake(tmp_path, *arguments, CASES, DESCRIPTION, *config, *small)
    assert "Nothing to be done" in again


def test_in_a_folder_of_any_name(odd: Project) -> None:
    assert {"fig3", "report", "describe_variant"} <= odd.planned(
        targets=("results/tiny/report.html", DESCRIPTION)
    )


@pytest.mark.parametrize("prefix", ["", "below/"])
def test_as_a_module_of_another_workflow(odd: Project, tmp_path: Path, prefix: str) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    targets = ", ".join(repr(f"{prefix}{path}") for path in ("results/tiny/fig3.pdf", DESCRIPTION))
    text = OUTER.format(
        snakefile=str(odd.folder / "workflow/Snakefile"),
        prefix=f"prefix: {prefix!r}" if prefix else "",
        targets=targets,
    )
    (outer / "Snakefile").write_text(text)
    (outer / "mine.yaml").write_text((odd.folder / "config/tiny.yaml").read_text())
    said = snakemake(outer, "--dry-run", "--printshellcmds")
    assert "reliance_faithfulness" in said and "Drawing Fig. 3 of tiny" in said
    snakemake(outer, f"{prefix}{DESCRIPTION}")
    description = (outer / f"{prefix}{DESCRIPTION}").read_text()
    assert '"tiny/components.parquet"' in description  # relative to the results, so that these can be moved


def test_paths_of_a_user_are_no_patterns(odd: Project, tmp_path: Path) -> None:
    root = tmp_path / "my {data} é/pictures"
    for split in ("train", "test"):
        (root / split / "a").mkdir(parents=True)
        (root / split / "a/1.png").touch()
    (root / "names.csv").write_text("folder,short_name,full_name\na,a,an a\n")
    (root / "words.txt").write_text("bell\nwhistle\n")
    config = f"""
vocabularies: {{mine: "{root}/words.txt"}}
encoders: {{plain: {{architecture: ViT-B-32, weights: random}}}}
datasets: {{mine: {{layout: folder, root: "{root}", vocabulary: mine}}}}
variants:
  mine: {{encoder: plain, dataset: mine, labeller: plain, sae: {{preset: planted}}}}
"""
    (tmp_path / "mine {1}.yaml").write_text(config)
    odd.config = str(tmp_path / "mine {1}.yaml")
    planned = odd.planned(targets=("results/mine/report.html",))
    assert {"index_images", "embed_images", "embed_vocabulary", "fig12"} <= planned
