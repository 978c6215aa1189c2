"""What a question to a variant costs from the start of the command: seconds, and the peak of its memory.

    python benchmarks/asking.py                                  # small: 20,000 images, 2,000 units
    python benchmarks/asking.py --images 1281167 --units 30000   # ImageNet's size (goal: 5 s, 2 GiB each)
    python benchmarks/asking.py --results results --variant demo # a variant that is there (goal: 3 s)

A made variant has the files of a real one with made numbers in them. Site vectors and image embeddings lie in
files that are mostly holes, so that 7 GB take little room: some rows have numbers, all files their full size.
With --folder it is kept there, and used again.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from clock import machine, parser, table
from reliance.base.artifacts import STAMP_KEY, content_stamp, derived_stamp, hash_arrays, write_table
from reliance.base.rows import SCHEMA, part_range, write_manifest
from reliance.base.tensors import write_tensors
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.encoders.head import Head, save_head
from reliance.encoders.text import TEXT
from reliance.explore.describe import describe_variant
from reliance.explore.indexing import (
    BINS,
    EFFECTS,
    REFERENCES,
    SERVED,
    VIEWS,
    VIEWS_SCHEMA,
    Views,
    effects_frame,
    reference_frame,
    served_frame,
)
from reliance.failures.case_list import COLUMNS, FAILURE_SAMPLES, write_failures
from reliance.failures.schema import EXPECTATIONS
from reliance.images.tables import CLASSES, INDEX
from reliance.naming.table import COMPONENTS
from reliance.units.sae.files import Sae, save_sae

D, P, LABELLER, CHUNK = 1024, 768, 512, 2048
WEIGHTS = "w" * 64
COMMAND = [sys.executable, "-m", "reliance"]
SOURCE = str(Path(__file__).resolve().parents[1] / "src")  # of this clone, installed or not
CHILD = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)
"""


class Made:
    """A made variant of any size."""

    def __init__(self, results: Path, images: int, units: int, classes: int, k: int) -> None:
        self.results, self.home = results, results / "made"
        self.images, self.m, self.classes, self.k = images, units, classes, k
        self.test = max(classes, images // 25)
        self.g = np.random.default_rng(0)
        self.files: dict = {}
        self.home.mkdir(parents=True)
        for step in (self.index, self.arrays, self.texts, self.components, self.mined, self.views):
            start = time.perf_counter()
            step()
            print(f"made {step.__name__}: {time.perf_counter() - start:.1f} s", flush=True)
        about = {"encoder": "made", "dataset": "made", "failures_from": "made", "prompt_set": "short"}
        about |= {"sae": {"kind": "top_k", "m": units}, "dataset_root": str(results / "images")}
        file = self.home / "variant.json"
        describe_variant(description=file, variant="made", files=self.files, about=about)

    def path(self, name: str) -> Path:
        self.files[name] = self.home / f"{name}.parquet"
        return self.files[name]

    def unit(self, rows: int, width: int) -> np.ndarray:
        found = self.g.standard_normal((rows, width), np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def index(self) -> None:
        frames = []
        for split, count in (("test", self.test), ("train", self.images)):
            own = np.sort(np.arange(count) % self.classes)
            paths = [f"{split}/n{c:08d}/n{c:08d}_{i}.JPEG" for i, c in enumerate(own.tolist())]
            frames.append(
                pd.DataFrame({"split": split, "image_id": range(count), "class_id": own, "path": paths})
            )
        self.index_id = write_table(self.path("index"), pd.concat(frames).assign(bytes=1), INDEX, {}, {}).id
        names = [f"class {i}" for i in range(self.classes)]
        frame = pd.DataFrame({"class_id": range(self.classes), "short_name": names, "folder": names})
        write_table(self.path("classes"), frame.assign(full_name=names, definition=""), CLASSES, {}, {})

    def arrays(self) -> None:
        decoder = self.unit(self.m, D)
        sae = Sae(decoder, np.zeros(self.m, np.float32), decoder, np.zeros(D, np.float32), self.k)
        self.files["sae"] = self.home / "sae.safetensors"
        sae_id = save_sae(self.files["sae"], sae, {"site": "class_token"}, {"encoder": WEIGHTS}).id
        self.files["head"] = self.home / "head.safetensors"
        proj = self.g.standard_normal((D, P)).astype(np.float32) / 32
        save_head(
            self.files["head"], Head(np.ones(D, np.float32), np.zeros(D, np.float32), proj, 1e-5), WEIGHTS
        )
        self.files |= {"embeddings": {}, "codes": {}}
        for split, rows in (("train", self.images), ("test", self.test)):
            inputs = {"index": self.index_id, "weights": WEIGHTS}
            shapes = {"x": ((D,), "float16"), "embedding": ((P,), "float32"), "valid": ((), "bool")}
            params = {"split": split, "site": "class_token", "dtype": "float16", "precision": "fp32"}
            made = self.split("embeddings", split, rows, shapes, (params, inputs))
            self.files["embeddings"][split] = made[0]
            kind = "uint16" if self.m <= 65535 else "int32"
            shapes = {"values": ((self.k,), "float16"), "indices": ((self.k,), kind)}
            inputs = {"sae": sae_id, "embeddings": made[1], "index": self.index_id}
            made = self.split("codes", split, rows, shapes, ({"m": self.m, "k": self.k}, inputs))
            self.files["codes"][split] = made[0]
            self.codes_id = made[1] if split == "train" else self.codes_id

    def split(self, kind: str, split: str, rows: int, shapes: dict, about: tuple) -> tuple[Path, str]:
        """A split in parts whose files have their full size; (manifest, its id)."""
        import zarr

        folder, parts = self.home / kind / split, 16 if rows > 100_000 else 1
        chunk = CHUNK if kind == "embeddings" else 16384
        folders = []
        for i in range(parts):
            span = part_range(rows, parts, i)
            count = span.stop - span.start
            path = folder / f"part-{i}-of-{parts}.zarr"
            path.parent.mkdir(parents=True, exist_ok=True)
            group = zarr.open_group(path, mode="w")
            for name, (shape, dtype) in shapes.items():
                sizes = (min(chunk, count), *shape)
                with zarr.config.set({"array.write_empty_chunks": True}):
                    array = group.create_array(
                        name, shape=(count, *shape), dtype=dtype, chunks=sizes, compressors=None
                    )
                    self.fill(name, array, path / name, sizes)
            stamp = content_stamp(kind, SCHEMA, f"{i:064d}", *about)
            record = {"rows": list(span), "chunk_rows": chunk, "arrays": sorted(shapes), "excluded": []}
            group.attrs.update({STAMP_KEY: stamp._asdict(), **record})
            folders.append(path)
        return folder / "manifest.json", write_manifest(folder / "manifest.json", folders, kind).id

    def fill(self, name: str, array, folder: Path, sizes: tuple) -> None:
        if name == "valid":
            array[:] = True
        elif name in ("values", "indices"):  # the same block again and again: nobody looks
            block = self.code(name, (min(16384, array.shape[0]), self.k), array.dtype)
            for start in range(0, array.shape[0], len(block)):
                array[start : start + len(block)] = block[: array.shape[0] - start]
        else:
            length = int(np.prod(sizes)) * array.dtype.itemsize
            for i in range(array.cdata_shape[0]):
                chunk = folder.joinpath("c", str(i), *["0"] * (array.ndim - 1))
                chunk.parent.mkdir(parents=True, exist_ok=True)
                with open(chunk, "wb") as stream:
                    stream.truncate(length)
            array[:64] = self.g.standard_normal((min(64, array.shape[0]), *array.shape[1:])).astype(
                array.dtype
            )

    def code(self, name: str, shape: tuple, dtype) -> np.ndarray:
        if name == "values":
            return np.broadcast_to(np.linspace(2, 0.5, shape[1]), shape).astype(dtype)
        return self.g.integers(0, self.m, shape, dtype)

    def texts(self) -> None:
        words = min(21_842, 10 * self.m)
        names = ["", *(f"word {i}" for i in range(words - 1))]
        for name, width in (("vocabulary", LABELLER), ("words", P)):
            self.text(self.path(name), names, -1, width)
        short = self.home / "short.parquet"
        self.text(short, [f"class {i}" for i in range(self.classes)], np.arange(self.classes), P)
        self.files["texts"] = {"short": short}

    def text(self, path: Path, names: list, class_ids, width: int) -> None:
        frame = pd.DataFrame(
            {"prompt_id": range(len(names)), "embedding": list(self.unit(len(names), width))}
        )
        frame["prompts"] = [[name] for name in names]
        write_table(path, frame.assign(class_id=class_ids), TEXT, {}, {"weights": WEIGHTS})

    def components(self) -> None:
        m = self.m
        frame = pd.DataFrame({name: self.g.random(m) for name, _ in COMPONENTS.columns})
        frame = frame.assign(component=range(m), n_active=1000, runner_up="", top20_mean=3 * self.g.random(m))
        frame["label"] = [f"word {i % 20_000}" for i in range(m)]
        inputs = {"codes": self.codes_id}
        self.components_id = write_table(self.path("components"), frame, COMPONENTS, {}, inputs).id
        self.files["mined_components"] = self.files["components"]
        ranks = {"component": np.repeat(np.arange(m), 100), "rank": np.tile(np.arange(100), m)}
        top = pd.DataFrame({**ranks, "image_id": self.g.integers(0, self.images, 100 * m), "activation": 5.0})
        write_table(self.path("top_samples"), top, TOP_SAMPLES, {"count": 100}, inputs)

    def mined(self) -> None:
        each = min(self.m, 4000)
        component = np.sort(np.argsort(self.g.random((self.classes, self.m)))[:, :each], axis=1)
        n = self.images // self.classes
        pairs = pd.DataFrame(
            {"class_id": np.repeat(np.arange(self.classes), each), "component": component.ravel()}
        )
        pairs = pairs.assign(n=n, n_active=1 + self.g.integers(0, n, len(pairs)), y_mean=np.nan, y_std=np.nan)
        pairs["mean"], pairs["std"] = 0.01 * self.g.random(len(pairs)), 0.01
        whole = pd.DataFrame({"class_id": range(self.classes), "component": -1, "n": n, "n_active": n})
        frame = pd.concat([pairs, whole.assign(mean=np.nan, std=np.nan, y_mean=0.3, y_std=0.05)])
        frame = frame.sort_values(["class_id", "component"])
        params = {"relevance": "act_x_grad"}
        expected = write_table(self.path("expectations"), frame, EXPECTATIONS, params, {})
        inputs, exact = {"expectations": expected.id}, effects_frame(frame)
        write_table(self.path("effects"), exact, EFFECTS, {}, inputs, row_group=1 << 16)
        write_table(self.path("served"), served_frame(exact), SERVED, {}, inputs, row_group=1 << 16)
        classes = reference_frame(frame[frame["component"] < 0], pairs)
        write_table(self.path("references"), classes, REFERENCES, {}, inputs)
        row = {"rank": 1, "kind": "other", "mode": "", "source": "mined", "score": 1.0, "q_value": 0.1}
        cases = pd.DataFrame({"class_id": range(self.classes), "component": range(self.classes), **row})
        cases["failure_id"] = [f"{i}-{i}-made" for i in range(self.classes)]
        cases = cases.assign(reviewed="no", note="")[list(COLUMNS)]
        stamp = derived_stamp("failures", 2, {}, {"components": self.components_id})
        self.files["failures"] = self.home / "failures.tsv"
        write_failures(self.files["failures"], cases, stamp)
        samples = pd.DataFrame({"failure_id": np.repeat(cases["failure_id"], 50), "dataset": "made"})
        samples = samples.assign(split="train", image_id=self.g.integers(0, self.images, len(samples)))
        write_table(self.path("failure_samples"), samples, FAILURE_SAMPLES, {}, {"failures": stamp.id})

    def views(self) -> None:
        self.files["views"] = self.home / "views.safetensors"
        histogram = self.g.integers(0, 100, (self.m, BINS))
        found = Views(
            self.unit(self.m, LABELLER), np.full(self.m, 20), histogram, np.full(self.m, 5, np.float32)
        )
        params = {"content": hash_arrays(found._asdict())}
        stamp = derived_stamp(VIEWS, VIEWS_SCHEMA, params, {"codes": self.codes_id, "weights": WEIGHTS})
        write_tensors(self.files["views"], found._asdict(), {STAMP_KEY: stamp.to_json()})


def questions(image: str, prompt: str, word: str) -> list[list[str]]:
    return [
        ["explain", image, "--prompt", prompt],
        ["explain", image, "--prompt", prompt, "--html", "out.html", "--png", "out.png"],
        ["show", "3"],
        ["find", word],
        ["find", ""],
        ["images", "--text", prompt, "--split", "test"],
        ["cases"],
        ["classes", "1"],
    ]


def measure(results: Path, variant: str, asked: list[list[str]], rounds: int, folder: Path) -> list[tuple]:
    """Wall seconds (best of the rounds) and largest memory in GiB of each command."""
    rows: list[tuple] = [("question", "s", "GiB")]
    for command, *rest in asked:
        line = [*COMMAND, command, variant, *rest, "--json", "--results", str(results.resolve())]
        best, most = float("inf"), 0.0
        for _ in range(rounds):
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", CHILD, *line],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": SOURCE},
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            best = min(best, time.perf_counter() - start)
            if done.returncode:
                raise SystemExit(done.stderr)
            most = max(most, int(done.stderr.split()[-1]) / (1 << 20))
        rows.append((f"{command} {' '.join(rest)}", f"{best:.2f}", f"{most:.2f}"))
    return rows


def main() -> None:
    options = parser(__doc__, images=20_000, units=2000, classes=100, k=32)
    options.add_argument("--results", type=Path)
    options.add_argument("--variant", default="demo")
    options.add_argument("--folder", type=Path, help="where a made variant is kept")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = (chosen.folder or Path(name)).resolve()
        if chosen.results:
            results, variant, asked = (
                chosen.results,
                chosen.variant,
                questions("test:90", "scissors", "cow shape"),
            )
        else:
            results, variant = folder / "results", "made"
            if not (results / variant / "variant.json").exists():
                Made(results, chosen.images, chosen.units, chosen.classes, chosen.k)
            asked = questions("test:5", "class 7", "word 12")
        print(machine(chosen))
        table(measure(results, variant, asked, chosen.rounds, folder))


if __name__ == "__main__":
    main()
