"""The same images as folders, parquet files, tar shards and ZIP archives."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ("cat", "dog", "owl")
SEED = [1]  # of the order in which images lie in containers
HOW = ("parquet", "packed", "webdataset", "zip")
LAYOUT = {
    "folder": "folder",
    "parquet": "parquet",
    "packed": "parquet",
    "webdataset": "webdataset",
    "zip": "zip",
}


def photographs(root: Path, splits: tuple[str, ...] = ("train", "test"), each: int = 5) -> Path:
    """JPEGs and PNGs of noise, one of them broken; below `root`."""
    rng = np.random.default_rng(0)
    for split in splits:
        for label in CLASSES:
            for i in range(each):
                kind = "jpg" if i % 2 else "png"
                path = root / split / label / f"{label}_{i}.{kind}"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 255, (40 + i, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path, "JPEG" if kind == "jpg" else "PNG")
    broken = root / "train/dog/dog_1.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    return root


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def pack(how: str, root: Path, to: Path) -> Path:
    """The images below `root`, held in another way below `to`; in no order of theirs."""
    to.mkdir(parents=True, exist_ok=True)
    {"webdataset": shards, "zip": zips}.get(how, lambda r, t: tables(r, t, how == "packed"))(root, to)
    return to


def shuffled(paths: list[Path]) -> list[Path]:
    return [paths[i] for i in np.random.default_rng(SEED[0]).permutation(len(paths))]


def of_splits(root: Path) -> dict[str, list[Path]]:
    """Split or "" -> its images."""
    splits = [name for name in ("train", "test") if (root / name).is_dir()]
    return {name: shuffled(files(root / name)) for name in splits} or {"": shuffled(files(root))}


def tables(root: Path, to: Path, packed: bool) -> None:
    """As the package datasets writes them: numbers with names, rows in groups."""
    names = json.dumps({"info": {"features": {"label": {"names": list(CLASSES), "_type": "ClassLabel"}}}})
    for split, paths in of_splits(root).items():
        for n, part in enumerate((paths[::2], paths[1::2])):
            images = [{"bytes": p.read_bytes(), "path": p.name} for p in part]
            labels = pa.array([CLASSES.index(p.parent.name) for p in part], pa.int64())
            table = pa.table({"image": images, "label": labels}).replace_schema_metadata(
                {"huggingface": names}
            )
            name = f"{split or 'data'}-{n:05}-of-00002.parquet"
            pq.write_table(table, to / name, row_group_size=4, compression="snappy" if packed else "none")


def shards(root: Path, to: Path) -> None:
    """Images with their classes in .cls, in one half, and in .json, in the other."""
    for split, paths in of_splits(root).items():
        for n, part in enumerate((paths[::2], paths[1::2])):
            with tarfile.open(to / f"photos-{split or 'all'}-{n:06}.tar", "w") as archive:
                for path in part:
                    told = (".json", json.dumps({"label": path.parent.name}).encode())
                    if n == 0:
                        told = (".cls", path.parent.name.encode())
                    for suffix, content in ((path.suffix, path.read_bytes()), told):
                        add(archive, path.stem + suffix, content)


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def zips(root: Path, to: Path) -> None:
    """One archive with a folder around everything; every second image is packed."""
    with zipfile.ZipFile(to / "photos.zip", "w") as archive:
        for n, path in enumerate(shuffled(files(root))):
            method = zipfile.ZIP_DEFLATED if n % 2 else zipfile.ZIP_STORED
            archive.write(path, f"photos/{path.relative_to(root)}", method)
