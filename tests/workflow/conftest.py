"""A copy of the project in which the pipeline has built the small planted variant once."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("workflow", "rules", "scripts", "config", "envs", "src")
FIGURES = tuple(f"fig{n}" for n in (3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14))
TARGETS = (
    "results/tiny/report.html",
    "results/tiny/attributions/subset.parquet",
    "results/tiny/attributions/test.parquet",
    "results/compare/tiny/fig4.pdf",
    "results/compare/tiny/fig5.pdf",
)


class Project:
    """A working copy of the project and the command line of a user in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))

    def copy(self, folder: Path) -> "Project":
        """The project with its results and what Snakemake knows of them."""
        shutil.copytree(self.folder, folder, symlinks=True)
        copied = object.__new__(Project)
        copied.folder = folder
        return copied

    def command(self, *arguments: str) -> list[str]:
        return [
            str(Path(sys.executable).parent / "snakemake"),
            *arguments,
            "--cores",
            "2",
            "--configfile",
            "config/tiny.yaml",
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, check=False, env=_env()
        )

    def start_and_kill(self, arguments: Sequence[str], until: str, limit: float = 120) -> None:
        """Start a run, and kill all its processes as soon as a path that matches `until` exists."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_env(),
        )
        deadline = time.monotonic() + limit
        while not any(self.folder.glob(until)) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def planned(self, *arguments: str, targets: Sequence[str] = TARGETS) -> set[str]:
        """Names of the rules a run would start."""
        done = self.run(*targets, "--dry-run", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        table = re.search(r"Job stats:\n.*?\n-+ +-+\n(.*?)\ntotal", done.stdout + done.stderr, flags=re.S)
        return {line.split()[0] for line in table[1].splitlines()} if table else set()


def _env() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small planted variant, built from nothing, with everything killed once in the middle."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.start_and_kill(TARGETS, until="results/encoders/*/.*partial*/*")
    unlocked = project.run("--unlock")
    assert unlocked.returncode == 0, unlocked.stderr
    done = project.run(*TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A working copy in which nothing was built."""
    return Project(tmp_path / "project")
