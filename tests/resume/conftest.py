"""The small planted variant, built in one go and built with five kills."""

import json
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from workflow.project import Project, wait

TARGETS = (  # of every stage something, and few of the figures, which are drawn alike
    "results/tiny/variant.json",
    "results/tiny/fig5.pdf",
    "results/tiny/fig14.pdf",
    "results/tiny/table1.md",
    "results/tiny/attributions/subset.parquet",
    "results/tiny/attributions/test.parquet",
    "results/tiny/explore/views.safetensors",
)
SPLIT = "results/encoders/tiny/class_token/planted_tiny/train"


class Kill(NamedTuple):
    """SIGKILL to one job, to snakemake alone, or to everything, while a rule is at work and a path exists."""

    mode: str
    rule: str  # "" is any
    path: str  # a pattern


STATE = "results/encoders/tiny/.checkpoint.safetensors.partial-*/state.pt"
TRAINING = Kill("everything", "train_clip", STATE)
EMBEDDING = Kill("job", "embed_images", f"{SPLIT}/.part-0-of-1.zarr.partial-*/progress.json")
LEFT_OVER = Kill("snakemake", "train_sae", "results/tiny/sae/.sae.safetensors.partial-*")
MINING = Kill("everything", "", "results/tiny/expectations.parquet")
DRAWING = Kill("job", "", "results/tiny/fig14.pdf")


class Chunks(NamedTuple):
    """The chunks of a part at some moment."""

    finished: dict[int, tuple[int, int]]  # number -> (inode, date) of its file
    begun: int


class Killed(NamedTuple):
    """The variant after all kills and restarts, and what was seen meanwhile."""

    project: Project
    chunks: Chunks  # of the embedding when its job was killed
    left_over: int  # the process that a killed snakemake left
    refused: str  # what the next run said of it


def chunks(part: Path, finished: int) -> Chunks:
    """The first `finished` chunks of a part, and how many there are."""
    about = {int(path.parent.name): path.stat() for path in part.glob("x/c/*/0")}
    return Chunks({n: (about[n].st_ino, about[n].st_mtime_ns) for n in range(finished)}, len(about))


def run_until(project: Project, kill: Kill) -> Chunks | None:
    """Run, kill at the moment that is asked for, unlock. Returns the chunks of a killed embedding.

    The job of the moment is stopped first, so that it is still at work when it is killed; one that a
    killed snakemake leaves stays stopped.
    """
    process = project.start(*TARGETS)

    def due() -> bool:
        assert process.poll() is None, (project.folder / "output.txt").read_text()
        return any(project.folder.glob(kill.path)) and bool(project.jobs(kill.rule))

    wait(due, f"{kill.rule} at {kill.path}", every=0.02)
    jobs, seen = project.jobs(kill.rule), None
    project.signal(signal.SIGSTOP, jobs)
    if kill is EMBEDDING:
        (state,) = project.folder.glob(kill.path)
        seen = chunks(state.parent, len(json.loads(state.read_text())["hashes"]))
    if kill.mode == "job":
        project.signal(signal.SIGCONT, jobs[1:])
    project.kill(process, kill.mode, jobs)
    project.build(*TARGETS, "--unlock")
    return seen


@pytest.fixture(scope="session")
def whole(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Built in one go."""
    return Project.built(pytestconfig.cache.mkdir("built"), tmp_path_factory.mktemp("whole") / "project")


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Killed five times, and restarted each time as the README says."""
    project = Project(tmp_path_factory.mktemp("killed") / "project")
    run_until(project, TRAINING)
    seen = run_until(project, EMBEDDING)
    run_until(project, LEFT_OVER)
    left_over = project.jobs()[0]
    refused = project.run(*TARGETS)
    project.signal(signal.SIGTERM, [left_over])
    project.signal(signal.SIGCONT, [left_over])
    wait(lambda: not project.jobs(), "the job to end")
    run_until(project, MINING)
    run_until(project, DRAWING)
    project.build(*TARGETS)
    assert seen
    return Killed(project, seen, left_over, refused.stdout + refused.stderr)
