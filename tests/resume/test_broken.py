"""Broken artifacts in the built project: the run that reads one ends in an error that names its repair."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.project import ENVIRONMENT, Project

from .broken import BROKEN, Broken

PARTS = re.compile(
    r"^(ERROR |WARNING )?(?P<where>\S+): .*\n"
    r"  found:   (?P<found>.*)\n  allowed: .*\n  next:    (?P<next>.*)",
    flags=re.M,
)
REPAIRED = (
    "zarr chunk truncated",
    "SAE of another encoder",
    "probe with a flipped bit",
    "parquet without a column",
)
READING = ("SAE of another encoder", "parquet without a column")  # only noticed by who reads them
EMBEDDED = "results/encoders/tiny/class_token/planted_tiny/test/manifest.json"
OWN_MOUNTS = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
needs_mounts = pytest.mark.skipif(not OWN_MOUNTS, reason="only root, or a container that may, mounts disks")


def said_of(text: str, where: str) -> re.Match[str]:
    """The error in five parts about a file."""
    error = next((found for found in PARTS.finditer(text) if found["where"] == where), None)
    assert error, text
    return error


def command_of(error: re.Match[str]) -> str:
    """The one command that it names."""
    (command,) = re.findall(r"`(.*?)`", error["next"])
    return command


def carry_out(project: Project, command: str) -> None:
    """A command of an error, with the configuration of this run, as it says."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        f"{command} --configfile {project.config}",
        shell=True,
        cwd=project.folder,
        env={**ENVIRONMENT, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def project(whole: Project, tmp_path: Path) -> Project:
    return whole.copy(tmp_path / "project")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_artifact_is_named_with_its_repair(whole: Project, project: Project, name: str) -> None:
    broken: Broken = BROKEN[name]
    broken.spoil(project.folder / broken.path)
    done = project.run(broken.target, "--force")
    assert done.returncode != 0
    error = said_of(done.stdout + done.stderr, broken.path)
    assert broken.found in error["found"]
    assert "Traceback" not in done.stdout + done.stderr
    assert command_of(error) == f"snakemake --cores 2 --force {broken.path}"
    if name in REPAIRED:
        carry_out(project, command_of(error))
        project.build(broken.target)
        assert whole.differences(project) == []
        assert project.verify().returncode == 0


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in READING])
def test_verify_names_it_too(project: Project, name: str) -> None:
    broken: Broken = BROKEN[name]
    broken.spoil(project.folder / broken.path)
    done = project.verify()
    assert done.returncode == 1
    assert broken.path in command_of(said_of(done.stderr, broken.path))


@pytest.mark.parametrize("gone", [True, False], ids=["removed", "replaced"])
def test_an_image_that_is_not_the_indexed_one(project: Project, gone: bool) -> None:
    image = sorted((project.folder / "results/datasets/planted_tiny/images/test").rglob("*.png"))[7]
    if gone:
        image.unlink()
    else:
        shutil.copy(sorted(image.parent.iterdir())[0], image)
    shutil.rmtree((project.folder / EMBEDDED).parent)
    done = project.run(EMBEDDED)
    assert done.returncode != 0
    error = said_of(done.stdout + done.stderr, str(image.relative_to(project.folder)))
    assert "run the same command again" in error["next"] and "--forcerun index_images" in error["next"]
    project.build(EMBEDDED, "--forcerun", "index_images")


@needs_mounts
def test_a_disk_that_fills_up(whole: Project, project: Project) -> None:
    target = Path("results/tiny/attributions/test.parquet")
    done = mounted(project, f"mount -t tmpfs -o size=16k none {target.parent}", str(target))
    assert done.returncode != 0
    error = said_of(done.stdout + done.stderr, str(target))
    assert "No space left on device" in error["found"]
    assert "make room" in error["next"] and "run the same command again" in error["next"]
    # Below the mount the old table is still there; of what the job writes elsewhere nothing is.
    project.build(str(target), "results/tiny/outputs/test.parquet")
    assert whole.differences(project) == []


@needs_mounts
@pytest.mark.parametrize("there", [True, False], ids=["a new file", "a file to be replaced"])
def test_a_results_folder_that_is_read_only(project: Project, there: bool) -> None:
    target = "results/tiny/fig5.pdf" if there else "results/tiny.n5/fig5.pdf"
    lock = "mount --bind results results && mount -o remount,bind,ro results"
    done = mounted(project, lock, target, "--force")
    assert done.returncode != 0
    said = said_of(done.stdout + done.stderr, str(project.folder / "results"))
    assert "read-only" in said["found"] and "rsync -a" in said["next"]
    assert "Traceback" not in done.stdout + done.stderr


def mounted(project: Project, prepare: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run that alone sees a disk mounted."""
    shell = ["unshare", "--mount", "sh", "-c", f'{prepare} && exec "$@"', "sh"]
    command = [*shell, *project.command(*arguments)]
    return subprocess.run(
        command, cwd=project.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
