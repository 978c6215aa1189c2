"""The atlas of a made variant: time, memory, bytes of the first view and of the whole.

    python benchmarks/atlas.py                                             # small
    python benchmarks/atlas.py --m 30000 --images 200000 --classes 1000 --cases 300 --pictures 1000
    python benchmarks/atlas.py --m 15000 --images 200000 --classes 1000 --cases 300 --pictures 1000

Goals on 2 cores at m = 30,000: 10 minutes, at most 3 MB for the first view and 500 MB in all, linear in m.
Pictures are JPEGs of 500 x 375 pixels, each of which stands for many images. The first view is the page with
its script and style, data/core.js, and the chunks and sheets of the first rows of the list.
"""

import tempfile
import time
from pathlib import Path

import browsed
import stages
from clock import alone, machine, parser, table
from made import World
from reliance.attribution.inputs import Computing
from reliance.explore.atlas.build import Browsed, atlas

FIRST = ("index.html", "atlas.js", "atlas.css", "data/core.js", "data/units/0.js")
SHEETS = 4  # that the faces of the first 16 units lie in, at most


def build(files: Browsed, folder: Path, root: Path, threads: int) -> float:
    """Seconds of the stage."""
    start = time.perf_counter()
    page, manifest = folder / "index.html", folder / "atlas.json"
    atlas(
        files, page=page, manifest=manifest, about=browsed.about(root), computing=Computing(threads=threads)
    )
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    """Build, and print what it took."""
    options = parser(
        __doc__, images=4000, classes=20, d=768, p=512, m=1000, k=32, cases=30, pictures=100
    ).parse_args(arguments)
    world = World(options.images, options.classes, options.d, options.p, options.m, options.k)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = browsed.write_images(folder / "images", options.pictures, (500, 375))
        files = browsed.write_browsed(folder, stages.write(world, folder), pictures, options.cases)
        cost = alone(build, files, folder / "atlas", folder / "images", options.threads)
        sizes = {
            str(p.relative_to(folder / "atlas")): p.stat().st_size
            for p in (folder / "atlas").rglob("*")
            if p.is_file()
        }
    first = sum(sizes[name] for name in FIRST) + sum(
        sorted(n for f, n in sizes.items() if f.endswith("webp"))[-SHEETS:]
    )
    parts = {
        part: sum(n for name, n in sizes.items() if name.startswith(part))
        for part in ("data/core", "data/", "sheets/")
    }
    print(machine(options))
    rows = [
        ("units, images", f"{options.m:,}, {options.images:,}"),
        ("seconds, wall", f"{cost.wall:.1f}"),
        ("seconds, CPU", f"{cost.cpu:.1f}"),
    ]
    rows += [
        ("peak GiB", f"{cost.peak:.2f}"),
        ("first view MB", f"{first / 1e6:.2f}"),
        ("in all MB", f"{sum(sizes.values()) / 1e6:.1f}"),
    ]
    rows += [(f"of these {name} MB", f"{n / 1e6:.2f}") for name, n in parts.items()] + [
        ("files", f"{len(sizes):,}")
    ]
    table(rows)


if __name__ == "__main__":
    main()
