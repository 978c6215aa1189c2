"""Images per second of reading, and of reading and decoding, by what the images lie in.

    python benchmarks/layouts.py                                   # 200 made photographs of 20 classes
    python benchmarks/layouts.py --images 5000 --folder PHOTOGRAPHS

The same JPEGs as files, in tar shards, in a stored ZIP archive, in an uncompressed parquet file, and in one
that is compressed in groups of 100 rows; shuffled there, as data sets are, and read in the order of the
index, by class, in one process. Files were just written: they come from memory, so that what is compared is
the work of the layouts, not the disk. Goal: the speed of files or better, but for compressed parquet.
"""

import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clock import machine, parser, table
from embedding import draw
from reliance.images.decode import Images, Reading
from reliance.images.index import index_images
from reliance.images.source import located, read_image
from reliance.images.tables import SplitRows, read_split

PREPROCESS = {
    "size": 224, "mean": [0.5] * 3, "std": [0.2] * 3, "interpolation": "bicubic", "resize_mode": "shortest",
    "fill_color": 0,
}  # fmt: skip
GROUP = 100
LAYOUTS = {"files": "folder", "shards": "webdataset", "zip": "zip", "parquet": "parquet", "packed": "parquet"}


def made(folder: Path, count: int, photographs: Path | None) -> list[Path]:
    """Images as files, in classes of a tenth, at most 50."""
    (folder / "drawn").mkdir()
    if photographs:
        found = sorted(p for p in photographs.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))[:count]
    else:
        found = [folder / "drawn" / name for name in draw(folder / "drawn", count)]
    each = max(2, min(50, count // 10))
    paths = []
    for i, path in enumerate(found):
        new = folder / "files" / f"{i // each:03}" / f"{i:06}.jpg"
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(path.read_bytes())
        paths.append(new)
    return paths


def pack(folder: Path, paths: Sequence[Path]) -> None:
    """The same images, shuffled, in all other layouts."""
    order = np.random.default_rng(0).permutation(len(paths))
    shuffled = [paths[i] for i in order]
    for name in LAYOUTS:
        (folder / name).mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(shuffled), 1000)):
        with tarfile.open(folder / f"shards/{number:06}.tar", "w") as shard:
            for path in shuffled[start : start + 1000]:
                shard.add(path, f"{path.parent.name}/{path.name}")
    with zipfile.ZipFile(folder / "zip/all.zip", "w") as archive:
        for path in shuffled:
            archive.write(path, f"{path.parent.name}/{path.name}")
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in shuffled]
    rows = pa.table({"image": images, "label": [path.parent.name for path in shuffled]})
    for name, compression in (("parquet", "none"), ("packed", "snappy")):
        pq.write_table(rows, folder / name / "all.parquet", row_group_size=GROUP, compression=compression)


def listed(folder: Path, name: str) -> tuple[SplitRows, float]:
    """The training images of a layout, and the seconds it took to list it."""
    out = {key: folder / f"{name}.{key}.parquet" for key in ("index", "classes")}
    began = time.perf_counter()
    index_images(**out, root=str(folder / name), layout=LAYOUTS[name])
    return read_split(out["index"], "train"), time.perf_counter() - began


def rates(root: Path, rows: SplitRows, rounds: int) -> tuple[float, float]:
    """Images per second: read, and read and decoded for an encoder."""
    images = Images(rows.paths, Reading(str(root)), PREPROCESS, rows.sizes, rows.places)
    ways = (
        lambda i: read_image(located(root, rows.paths[i], rows.places[i]), 1 << 30),
        lambda i: images[i],
    )
    found = []
    for way in ways:
        spent = []
        for _ in range(rounds):
            began = time.perf_counter()
            for i in range(len(images)):
                way(i)
            spent.append(time.perf_counter() - began)
        found.append(len(images) / median(spent))
    return found[0], found[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options_of = parser(str(__doc__), images=200)
    options_of.add_argument("--folder", type=Path)
    options = options_of.parse_args(arguments)
    print(machine(options))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pack(folder, made(folder, options.images, options.folder))
        lines = []
        for layout in LAYOUTS:
            rows, spent = listed(folder, layout)
            read, decoded = rates(folder / layout, rows, options.rounds)
            lines.append([layout, f"{spent:.2f}", f"{read:.0f}", f"{decoded:.1f}"])
    table([["layout", "listed in s", "read per s", "read and decoded per s"], *lines])


if __name__ == "__main__":
    main()
