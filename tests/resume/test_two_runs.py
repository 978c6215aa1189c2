"""Two runs at once in one results folder: the second is told what to do, and nothing is spoilt."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from workflow.project import Project, wait

TARGETS = ("results/tiny/attributions/test.parquet", "results/tiny/top_samples.parquet")


@pytest.fixture
def project(whole: Project, tmp_path: Path) -> Project:
    """The codes, and what follows from them, are to be made again."""
    copied = whole.copy(tmp_path / "project")
    shutil.rmtree(copied.folder / "results/tiny/codes")
    for target in TARGETS:
        (copied.folder / target).unlink()
    return copied


def at_work(project: Project, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    """A run that stands still while it encodes, and the process that encodes."""
    first = project.start(*TARGETS, *options)
    lock = project.folder / "results/tiny/codes/test/.part-0-of-1.zarr.lock"
    wait(lambda: (lock.exists() and lock.read_text()) or first.poll() is not None, "it to encode", every=0.02)
    number = int(lock.read_text().split()[1])
    project.signal(signal.SIGSTOP, [number])
    return first, number


def test_a_second_run_is_refused(whole: Project, project: Project) -> None:
    first, job = at_work(project)
    second = project.run(*TARGETS)
    project.signal(signal.SIGCONT, [job])
    assert second.returncode != 0
    assert "cannot be locked" in second.stderr and "--unlock" in second.stderr
    assert first.wait() == 0
    assert whole.differences(project) == []


def test_a_second_run_without_locks_spoils_nothing(whole: Project, project: Project) -> None:
    first, job = at_work(project, "--nolock")
    second = project.run(*TARGETS, "--nolock")
    project.signal(signal.SIGCONT, [job])
    assert second.returncode != 0
    assert f"process {job} on" in second.stderr and "wait until it ends" in second.stderr
    assert first.wait() == 0, (project.folder / "output.txt").read_text()
    project.build(*TARGETS)
    assert whole.differences(project) == []


def test_two_runs_without_locks_at_the_same_time(whole: Project, project: Project) -> None:
    runs = [project.start(*TARGETS, "--nolock") for _ in range(2)]
    for run in runs:
        run.wait()
    project.build(*TARGETS)
    assert whole.differences(project) == []
