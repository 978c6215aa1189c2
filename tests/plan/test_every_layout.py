"""Pairs of image and text in every layout, from their folder to a page: the same files, byte by byte.

Stages run as the plan says, in this process. With RELIANCE_PHOTOS the images are photographs of that folder.
"""

import csv
import importlib
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from tests.encoders.conftest import save_checkpoint
from tests.images import held

from reliance.base.artifacts import read_table
from reliance.config.resolve import load
from reliance.images.tables import INDEX
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan
from reliance.plan.stages import STAGES
from reliance.running.job import bundled

from .asked import merged

ROOT = Path(__file__).parents[2]
COUNTS = {"train": 24, "test": 6}
THINGS = ("red bicycle", "old tree", "cup of tea")
LAYOUTS = {
    "folder": "folder",
    "parquet": "parquet",
    "packed": "parquet",
    "webdataset": "webdataset",
    "zip": "zip",
}
WRITTEN = ("components.parquet", "top_samples.parquet", "fig9.png", "fig9.csv", "name_stability.parquet")


def pairs() -> dict[str, tuple[bytes, str]]:
    """SPLIT/NAME -> (bytes of an image, its caption); drawn, if there are no photographs."""
    photos = os.environ.get("RELIANCE_PHOTOS")
    found = iter(sorted(Path(photos).rglob("*.JPEG"))) if photos else iter(())
    rng, result = np.random.default_rng(0), {}
    for split, count in COUNTS.items():
        for i in range(count):
            if (photo := next(found, None)) is not None:
                content = photo.read_bytes()
            else:
                small = rng.integers(0, 255, (3, 3, 3), dtype=np.uint8)
                drawn = Image.fromarray(small).resize((40 + i, 36), Image.Resampling.BICUBIC)
                drawn.save(stream := pa.BufferOutputStream(), "JPEG")
                content = stream.getvalue().to_pybytes()
            result[f"{split}/{split}{i:02}.jpg"] = (content, f"A {THINGS[i % 3]}, number {i}")
    return result


def pack(how: str, images: dict[str, tuple[bytes, str]], root: Path) -> dict[str, Any]:
    """The pairs below a root; what a data set's configuration says of them beside it."""
    root.mkdir(parents=True)
    if how in ("folder", "zip"):
        table = root.with_suffix(".csv")
        with open(table, "w", newline="") as stream:
            csv.writer(stream).writerows([("image", "caption"), *((n, t) for n, (_, t) in images.items())])
        with zipfile.ZipFile(root / "all.zip", "w") if how == "zip" else open(os.devnull) as archive:
            for name, (content, _) in images.items():
                if how == "zip":
                    archive.writestr(name, content)  # type: ignore[union-attr]
                else:
                    (root / name).parent.mkdir(exist_ok=True)
                    (root / name).write_bytes(content)
        return {"captions": str(table)}
    for split in COUNTS:
        own = {n.partition("/")[2]: pair for n, pair in images.items() if n.startswith(split)}
        order = [list(own)[i] for i in np.random.default_rng(1).permutation(len(own))]
        if how == "webdataset":
            with tarfile.open(root / f"{split}-000000.tar", "w") as archive:
                for name in order:
                    held.add(archive, name, own[name][0])
                    held.add(archive, name.replace(".jpg", ".txt"), own[name][1].encode())
        else:
            rows = {
                "image": [{"bytes": own[n][0], "path": n} for n in order],
                "text": [own[n][1] for n in order],
            }
            kind = "snappy" if how == "packed" else "none"
            pq.write_table(
                pa.table(rows), root / f"{split}-00000-of-00001.parquet", row_group_size=5, compression=kind
            )
    return {}


def make(plan: Plan, path: str) -> None:
    """A file of the results with all that it is made of, unless it is there."""
    if os.path.exists(path) or not path.startswith("results/"):
        return
    stage, names = next(found for stage in STAGES if (found := matched(plan, stage, path)))
    w = Wildcards(**names)
    files = stage.inputs(plan, w)
    waited = stage.after(plan, w) if stage.after else []
    for file in [
        *waited,
        *(f for value in files.values() for f in (value if isinstance(value, list) else [value])),
    ]:
        make(plan, file)
    filled = {
        k: [at(p, **names) for p in v] if isinstance(v, list) else at(v, **names)
        for k, v in stage.outputs.items()
    }
    for file in filled.values():
        Path(file[0] if isinstance(file, list) else file).parent.mkdir(parents=True, exist_ok=True)
    told = {**stage.settings(plan, w), **stage.untracked(plan, w)}
    keywords = {
        k: [Path(p) for p in v] if isinstance(v, list) else Path(v) for k, v in {**files, **filled}.items()
    }
    module, _, name = stage.entry.partition(":")
    function = getattr(importlib.import_module(module), name)
    function(**bundled(function, {**told, **keywords}))


def matched(plan: Plan, stage: Any, path: str) -> tuple[Any, dict[str, str]] | None:
    own = {**paths.CONSTRAINTS, **stage.constraints}
    if stage.variants:
        own["variant"] = stage.variants(plan)
    for pattern in (p for v in stage.outputs.values() for p in (v if isinstance(v, list) else [v])):
        text = re.sub(r"\\{(\w+)\\}", lambda m: f"(?P<{m[1]}>{own.get(m[1], '[^/]+')})", re.escape(pattern))
        if found := re.fullmatch(text, path):
            return stage, found.groupdict()
    return None


def plan_of(layout: str, told: dict[str, Any], root: Path) -> Plan:
    """One variant on the pairs below a root."""
    sae = {"preset": "planted", "m": 16, "k": 4, "batch_size": 8, "epochs": 2, "decay_at": [1]}
    own: dict[str, Any] = {
        "compute": {"device": "cpu", "threads": 1},
        "embedding": {"workers": 0},
        "naming": {"min_active": 2, "top_n": 3},
        "datasets": {"pairs": {"layout": layout, "root": str(root), "vocabulary": "captions", **told}},
        "variants": {"pairs": {"encoder": "tiny", "dataset": "pairs", "labeller": "tiny", "sae": sae}},
    }
    shipped = (yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("config", "tiny"))
    return Plan(load(merged(*shipped, own)))


def test_pairs_in_every_layout_end_in_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, made, own = pairs(), dict[str, dict[str, bytes]](), Path("results/pairs")
    checkpoint = Path(at(paths.CHECKPOINT, encoder="tiny"))
    given = save_checkpoint(tmp_path / "given.safetensors")
    for how, layout in LAYOUTS.items():
        told = pack(how, images, tmp_path / how / "images")
        monkeypatch.chdir(tmp_path / how)
        checkpoint.parent.mkdir(parents=True)
        shutil.copy(given, checkpoint)
        make(plan_of(layout, told, tmp_path / how / "images"), "results/pairs/report.html")
        page = (own / "report.html").read_text()
        assert "No classes." in page and page.count("data:image") > 3
        made[how] = {name: (own / name).read_bytes() for name in WRITTEN}
        made[how]["pictures"] = "".join(re.findall(r"data:image/[^\"]+", page)).encode()
        for pattern in (paths.EMBEDDINGS, paths.CODES, paths.CAPTION_NAMES):
            for split in COUNTS:
                names = {"encoder": "tiny", "site": "class_token", "dataset": "pairs", "variant": "pairs"}
                file = at(pattern, **names, split=split)
                made[how][file] = Path(file).read_bytes()
        made[how]["index"] = read_table(at(paths.INDEX, dataset="pairs"), INDEX).stamp.id.encode()
    said = made["folder"][at(paths.CAPTION_NAMES, dataset="pairs")].decode().split("\n")
    assert set(said) == {*THINGS, "number", ""}
    for how in LAYOUTS:
        for name, content in made["folder"].items():
            assert made[how][name] == content, f"{name} of {how}"
