"""After five kills nothing is different, and little was computed twice."""

import os

from workflow.project import Project

from .conftest import SPLIT, TARGETS, Killed, chunks


def test_every_artifact_is_that_of_an_uninterrupted_run(whole: Project, killed: Killed) -> None:
    whole_digests, here = whole.digests(), killed.project.digests()
    assert {name: whole_digests.get(name) for name in here} == here
    for suffix in (".pdf", ".png", ".csv", ".parquet", ".json", ".safetensors", ".tsv", ".md"):
        assert any(name.endswith(suffix) for name in here), suffix
    for name in ("tiny/fig5.pdf", "tiny/fig14.pdf", "tiny/codes/test/part-0-of-1.zarr/values/c/0/0"):
        assert name in here
    assert killed.project.planned(targets=TARGETS) == set()


def test_a_killed_embedding_loses_one_chunk_at_most(killed: Killed) -> None:
    finished, begun = killed.chunks
    assert 1 <= len(finished) <= begun <= len(finished) + 1
    assert chunks(killed.project.folder / SPLIT / "part-0-of-1.zarr", len(finished)).finished == finished


def test_a_killed_training_goes_on_at_its_savepoint(killed: Killed) -> None:
    log = (killed.project.folder / "results/logs/train_clip/tiny.log").read_text()
    assert "going on at step 200" in log


def test_the_next_run_names_the_job_that_a_killed_one_left(killed: Killed) -> None:
    assert f"process {killed.left_over} on {os.uname().nodename} is at work on it" in killed.refused
    assert "stop it with `kill` and its number" in killed.refused


def test_unfinished_work_is_cleared_away(killed: Killed) -> None:
    results = killed.project.folder / "results"
    left = [p for p in results.rglob(".*") if p.name != ".snakemake_timestamp"]
    assert left == []


def test_every_artifact_fits_its_checksum(killed: Killed) -> None:
    done = killed.project.verify()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all whole" in done.stdout
    assert "note:" not in done.stderr
