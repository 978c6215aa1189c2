"""Runs the pipeline with other seeds, each in a working folder of its own; what is finished there stays."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINKED = ("workflow", "rules", "scripts", "config", "envs", "src")


def build(folder: Path, targets: Sequence[str], config: Sequence[str], cores: int) -> Path:
    """Build `targets` with the entries of `config` replaced; returns the folder of results."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    snakemake = str(Path(sys.executable).parent / "snakemake")
    command = [snakemake, *targets, "--cores", str(cores), "--config", *config]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "results"
