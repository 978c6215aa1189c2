"""Results in a bucket of S3, on a server that the test starts; the images lie on the disk."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.encoders.conftest import save_checkpoint
from tests.workflow.project import Project

NEEDED = ("snakemake_storage_plugin_s3", "moto", "flask")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed: run `make test-s3`, which does it"
)
WANTED = ("results/pairs/components.parquet", "results/datasets/pairs/captions.txt")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of a server on this machine, with the bucket `mine`; its address is in the environment."""
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        found = boto3.client("s3", endpoint_url=url, **keys)
        found.create_bucket(Bucket="mine")
        yield found
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def project(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the project with a data set of pairs; the weights of its encoder are in the bucket."""
    made = Project(tmp_path / "project", "mine.yaml")
    rng, rows = np.random.default_rng(0), ["image,caption"]
    (tmp_path / "images").mkdir()
    for i in range(24):
        drawn = Image.fromarray(rng.integers(0, 255, (30, 30, 3), dtype=np.uint8))
        drawn.save(tmp_path / f"images/{i:02}.png")
        rows.append(f"{i:02}.png,a {('red car', 'old tree')[i % 2]}")
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    config = yaml.safe_load((made.folder / "config/tiny.yaml").read_text())
    sae = {"preset": "planted", "m": 16, "k": 4, "batch_size": 8, "epochs": 2, "decay_at": [1]}
    config |= {"compute": {"device": "cpu"}, "naming": {"min_active": 2, "top_n": 3}}
    config["datasets"]["pairs"] = {
        "layout": "folder", "root": str(tmp_path / "images"), "captions": str(tmp_path / "captions.csv"),
        "vocabulary": "captions", "parts": 2,
    }  # fmt: skip
    config["encoders"]["given"] = {"file": str(save_checkpoint(tmp_path / "given.safetensors"))}
    config["variants"]["pairs"] = {"encoder": "given", "dataset": "pairs", "labeller": "given", "sae": sae}
    (made.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    for name, value in (("ENDPOINT_URL", client.meta.endpoint_url), ("ACCESS_KEY", "a"), ("SECRET_KEY", "b")):
        monkeypatch.setitem(os.environ, f"SNAKEMAKE_STORAGE_S3_{name}", value)
    return made


def snakemake(project: Project, *arguments: str) -> str:
    command = project.command(*arguments, "--default-storage-provider", "s3")
    command += ["--default-storage-prefix", "s3://mine"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_results_live_in_a_bucket(project: Project, client: Any) -> None:
    snakemake(project, *WANTED)
    kept = {item["Key"] for item in client.list_objects_v2(Bucket="mine")["Contents"]}
    assert set(WANTED) <= kept
    assert any("part-1-of-2.zarr" in key for key in kept)
    assert not [key for key in kept if key.endswith(".png")]
    for folder in ("results", ".snakemake/storage"):  # another machine has neither
        shutil.rmtree(project.folder / folder, ignore_errors=True)
    assert "Nothing to be done" in snakemake(project, *WANTED)
    client.delete_object(Bucket="mine", Key="results/pairs/top_samples.parquet")
    said = snakemake(project, "results/pairs/top_samples.parquet", "--rerun-triggers", "mtime")
    assert "Collecting the strongest images" in said and "Encoding" not in said
