"""The small planted variant on a real SLURM: a job cut by its time limit, one requeued, the node drained."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from workflow.project import Project, wait

from .cluster import NODE, Cluster, UnavailableError, ask

TARGETS = ("results/tiny/fig5.pdf", "results/tiny/table1.md")
PROFILE = (
    "--workflow-profile",
    "slurm",
    "--slurm-status-command",  # there is no accounting database
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "5",
    "--slurm-keep-successful-logs",
)
CHECKPOINT = "results/encoders/tiny/checkpoint.safetensors"
SAVEPOINT = "going on at step 200"


@contextmanager
def started(project: Project, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A run of Snakemake that does not outlive the block."""
    process = project.start(*arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Run:
    """The finished run and what was seen meanwhile."""

    def __init__(self, cluster: Cluster, project: Project) -> None:
        self.cluster, self.project = cluster, project
        self.output = project.folder / "output.txt"
        self.seen: dict[str, Any] = {}

    def carry_out(self) -> None:
        with started(self.project, *TARGETS, *PROFILE) as process:
            self._cut(process)
            self._drain(process)
            self.seen["returncode"] = process.wait(timeout=1200)
        self.seen["jobs"] = self.cluster.jobs()

    def _cut(self, process: "subprocess.Popen[bytes]") -> None:
        """At their savepoints, let one training hang until its time is over, and have the other requeued."""
        left = {"tiny", "tiny_labeller"}
        while left:
            self._until(lambda: any(map(self._saved, left)), "savepoints", process)
            for encoder in list(filter(self._saved, left)):
                (job,) = self.cluster.jobs(f"rule_train_clip_wildcards_{encoder}")
                if encoder == "tiny":
                    ask("scancel", "--signal=STOP", job["id"])
                    ask("scontrol", "update", f"JobId={job['id']}", "TimeLimit=1")  # in minutes
                else:
                    ask("scontrol", "requeue", job["id"])
                self.seen[encoder] = job
                left.remove(encoder)

    def _drain(self, process: "subprocess.Popen[bytes]") -> None:
        """Close the node for new jobs until the second attempt of the training waits for it."""
        ask("scontrol", "update", f"NodeName={NODE}", "State=DRAIN", "Reason=test")
        training = "rule_train_clip_wildcards_tiny"
        self._until(lambda: len(self.cluster.jobs(training)) == 2, "the second attempt", process)
        self.seen["cut"], self.seen["waiting"] = self.cluster.jobs(training)
        self.seen["drained"] = self.cluster.node()
        ask("scontrol", "update", f"NodeName={NODE}", "State=RESUME")

    def _until(self, condition: Callable[[], object], what: str, process: "subprocess.Popen[bytes]") -> None:
        """Wait until something holds, as long as the run goes on."""
        wait(lambda: condition() or process.poll() is not None, what, 400)
        assert process.poll() is None, self.output.read_text()

    def _saved(self, encoder: str) -> bool:
        folder = self.project.folder / "results/encoders" / encoder
        return any(folder.glob(".checkpoint.safetensors.partial-*/state.pt"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    try:
        cluster = Cluster()
    except UnavailableError as error:
        pytest.skip(str(error))
    try:
        cluster.start()
        found = Run(cluster, Project(tmp_path_factory.mktemp("slurm") / "project"))
        found.carry_out()
        yield found
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def local(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same without SLURM, and uncut: what the tests of the workflow built, if they ran before."""
    return Project.built(pytestconfig.cache.mkdir("built"), tmp_path_factory.mktemp("local") / "project")


def test_the_run_ends_well_with_stamped_results(run: Run) -> None:
    assert run.seen["returncode"] == 0, run.output.read_text()
    results = run.project.folder / "results/tiny"
    for path in (*TARGETS, "results/tiny/fig5.png", "results/tiny/fig5.csv"):
        assert (run.project.folder / path).stat().st_size > 0
    assert len(json.loads((results / "fig5.pdf.meta.json").read_text())["reliance"]["id"]) == 64
    for path in ("components.parquet", "expectations.parquet", "robustness.parquet"):
        assert len(json.loads(pq.read_schema(results / path).metadata[b"reliance"])["id"]) == 64


def test_every_job_went_through_slurm(run: Run) -> None:
    output, jobs = run.output.read_text(), run.seen["jobs"]
    assert {job["node"] for job in jobs} == {NODE}
    submitted = re.findall(r"submitted with SLURM jobid (\d+)", output)
    assert sorted(submitted, key=int) == [job["id"] for job in jobs]
    logs = {path.stem for path in (run.project.folder / "results/logs/slurm").rglob("*.log")}
    assert logs == set(submitted)
    done = [job["state"] for job in jobs if job["id"] != run.seen["cut"]["id"]]
    assert done == ["COMPLETED"] * len(done)


def test_small_jobs_went_together(run: Run) -> None:
    comments = [job["comment"] for job in run.seen["jobs"]]
    for group in ("images", "text", "gather", "codes", "figures"):
        assert any(comment.startswith(f"rule_{group}_") for comment in comments)
    assert len(comments) < run.output.read_text().count("Finished jobid")


def test_gpus_are_asked_for_where_the_rules_say(run: Run) -> None:
    with_gpu = {job["comment"] for job in run.seen["jobs"] if "gpu:1" in job["gpus"]}
    assert any(comment.startswith("rule_embed_images") for comment in with_gpu)
    assert not [job for job in run.seen["jobs"] if "train_clip" in job["comment"] and "gpu" in job["gpus"]]


def test_a_job_cut_by_its_time_limit_asks_for_more_and_goes_on_at_its_savepoint(run: Run) -> None:
    before, cut, again = run.seen["tiny"], run.seen["cut"], run.seen["waiting"]
    assert cut["state"] == "TIMEOUT"
    assert (before["limit"], cut["limit"], again["limit"]) == ("1:00:00", "1:00", "2:00:00")
    assert (before["memory"], again["memory"]) == ("4000M", "8000M")
    assert SAVEPOINT in (run.project.folder / "results/logs/train_clip/tiny.log").read_text()


def test_a_requeued_job_goes_on_at_its_savepoint(run: Run) -> None:
    ids = [
        job["id"] for job in run.seen["jobs"] if job["comment"] == "rule_train_clip_wildcards_tiny_labeller"
    ]
    assert ids == [run.seen["tiny_labeller"]["id"]]
    assert SAVEPOINT in (run.project.folder / "results/logs/train_clip/tiny_labeller.log").read_text()


def test_a_drained_node_only_delays(run: Run) -> None:
    assert run.seen["drained"] == "drained"
    assert run.seen["waiting"]["state"] == "PENDING"


def test_what_was_cut_is_what_an_uncut_local_run_makes(run: Run, local: Project) -> None:
    assert _stamp(local.folder / CHECKPOINT) == _stamp(run.project.folder / CHECKPOINT)


def test_nothing_is_left_to_do(run: Run) -> None:
    assert run.project.planned(targets=TARGETS) == set()
    assert run.project.planned("--workflow-profile", "slurm", targets=TARGETS) == set()


def _stamp(path: Path) -> str:
    with safe_open(path, "np") as file:
        return str(json.loads(file.metadata()["reliance"])["id"])
