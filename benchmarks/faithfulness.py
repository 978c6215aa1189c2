"""Time and memory of the stage `faithfulness` at the paper's size, on made embeddings.

    python benchmarks/faithfulness.py --scale 1

Artifacts of 100 classes x 50 images (d 1024, p 768, 30,000 random latents, 64 active) are written to a
temporary folder and the stage runs in a process of its own. The reference is one curve of local deletion
by full evaluations of the head, in float32 and in batches; the difference of the two is printed too.
--scale makes everything but k and the steps smaller. Linux and macOS.
"""

import argparse
import json
import logging
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from reliance.attribution.inputs import Computing, Explained
from reliance.base.artifacts import write_table
from reliance.base.rows import Layout, PartRange, PartWriter, write_manifest
from reliance.encoders.head import Head, project, save_head
from reliance.encoders.text import TEXT
from reliance.faithfulness.orderings import best_active
from reliance.faithfulness.table import faithfulness
from reliance.images.tables import INDEX
from reliance.tails.head_tail import HeadTail
from reliance.units.sae.files import Sae, save_sae

STEPS, CURVES = 10, 68  # per image: (2 x 10 local, 2 x 7 by class) x 2 error terms; random ones are means
WEIGHTS = "0" * 64


class Made:
    """A labelled split that a random SAE explains up to some noise."""

    def __init__(self, options: argparse.Namespace) -> None:
        g = np.random.default_rng(0)
        self.classes, self.per_class = options.classes, options.per_class
        d, p, m, k = options.d, options.p, options.m, options.k
        n = self.classes * self.per_class
        self.decoder = g.standard_normal((m, d), dtype=np.float32)
        self.decoder /= np.linalg.norm(self.decoder, axis=1, keepdims=True)
        self.bias = g.standard_normal(d, dtype=np.float32)
        scale, offset, proj = (g.standard_normal(s, dtype=np.float32) for s in (d, d, (d, p)))
        self.head = Head(1 + 0.2 * scale, 0.1 * offset, proj / np.float32(np.sqrt(d)), 1e-5)
        self.indices = np.stack([g.choice(m, k, replace=False) for _ in range(n)])
        self.values = -np.sort(-g.exponential(2, (n, k)), axis=1).astype(np.float16)
        self.label = np.repeat(np.arange(self.classes), self.per_class)
        self.x = np.stack([a @ self.decoder[j] for a, j in zip(self.values, self.indices, strict=True)])
        self.x = (self.x + self.bias + g.standard_normal((n, d))).astype(np.float16)
        means = [self.x[self.label == c].mean(axis=0, dtype=np.float32) for c in range(self.classes)]
        text = project(np.stack(means), self.head) + g.standard_normal((self.classes, p))
        self.text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)

    def write(self, folder: Path) -> dict[str, Path]:
        """All artifacts that the stage reads."""
        paths = {n: folder / f"{n}.parquet" for n in ("index", "text")}
        paths |= {n: folder / f"{n}.safetensors" for n in ("sae", "head")}
        images = {"split": "test", "image_id": range(len(self.x)), "path": "", "class_id": self.label}
        index = write_table(paths["index"], pd.DataFrame(images | {"bytes": 1}), INDEX, {}, {}).id
        inputs = {"index": index, "weights": WEIGHTS}
        valid = np.ones(len(self.x), bool)
        paths["embeddings"], embeddings = self._parts(
            folder, "embeddings", {"x": self.x, "valid": valid}, inputs
        )
        m = len(self.decoder)
        k = self.values.shape[1]
        sae = Sae(self.decoder, np.zeros(m, np.float32), self.decoder, self.bias, k)
        inputs = {"sae": save_sae(paths["sae"], sae, {}, {"encoder": WEIGHTS}).id, "embeddings": embeddings}
        arrays = {"values": self.values, "indices": self.indices.astype(np.uint16)}
        paths["codes"], _ = self._parts(folder, "codes", arrays, inputs)
        save_head(paths["head"], self.head, WEIGHTS)
        ids = range(self.classes)
        rows = {"prompt_id": ids, "class_id": ids, "prompts": [[""]] * self.classes}
        frame = pd.DataFrame(rows | {"embedding": list(self.text)})
        write_table(paths["text"], frame, TEXT, {}, {"weights": WEIGHTS})
        return paths

    def _parts(self, folder: Path, kind: str, arrays: dict, inputs: dict[str, str]) -> tuple[Path, str]:
        rows = PartRange(0, len(self.x))
        layouts = {name: Layout(a.shape[1:], a.dtype.str) for name, a in arrays.items()}
        params = {"split": "test", "m": len(self.decoder)}
        path = folder / kind / "part.zarr"
        writer = PartWriter(path, kind, rows, layouts, params, inputs, chunk_rows=len(self.x))
        writer.append(arrays)
        writer.finish()
        return folder / kind / "manifest.json", write_manifest(
            folder / kind / "manifest.json", [path], kind
        ).id


def by_head(made: Made, rows: slice, positions: np.ndarray) -> np.ndarray:
    """One curve of local deletion [n, S + 1] by full evaluations of the head; positions [n, S]."""
    image = np.arange(len(positions))[:, None]
    a = made.values[rows][image, positions].astype(np.float32)
    gone = np.cumsum(a[..., None] * made.decoder[made.indices[rows][image, positions]], axis=1)
    x = made.x[rows].astype(np.float32)[:, None]
    z = project(np.concatenate([x, x - gone], axis=1), made.head)
    return np.einsum("nsp,np->ns", z, made.text[made.label[rows]]) / np.linalg.norm(z, axis=2)


def in_closed_form(made: Made, rows: slice) -> tuple[np.ndarray, np.ndarray, float]:
    """The same curve and its positions, ordered by act x grad, and the seconds of the curve alone."""
    tail = HeadTail(made.head, made.decoder, made.text, dtype=torch.float64)
    active, label = tail.activate(made.values[rows], made.indices[rows]), torch.as_tensor(made.label[rows])
    x = torch.as_tensor(made.x[rows], dtype=torch.float64)
    stretch = active.stretch(x - active.sum, x)
    scores = stretch.relevances(("act_x_grad",), label[:, None])["act_x_grad"][:, 0]
    positions = best_active(scores, active.values, STEPS)
    _, at = stretch.walks(label)
    at.curve(positions, -1)
    start = time.process_time()
    y = at.curve(positions, -1)
    return y.numpy(), positions.numpy(), time.process_time() - start


def stage(folder: Path, threads: int) -> None:
    """The stage, alone in this process."""
    logging.basicConfig(level=logging.WARNING)
    files = {name: folder / f"{name}.parquet" for name in ("index", "text")}
    files |= {name: folder / f"{name}.safetensors" for name in ("sae", "head")}
    files |= {name: folder / name / "manifest.json" for name in ("embeddings", "codes")}
    written = {"faithfulness": folder / "faithfulness.parquet", "summary": folder / "faithfulness.json"}
    options = {"split": "test", "steps": STEPS, "computing": Computing(threads=threads)}
    faithfulness(Explained(**files), **written, **options)
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss / (1 << 30 if sys.platform == "darwin" else 1 << 20)
    status = Path("/proc/self/status")
    if status.exists():  # there ru_maxrss may be that of the process it was started from
        peak = int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / (1 << 20)
    print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    sizes = {"classes": 100, "per-class": 50, "d": 1024, "p": 768, "m": 30000}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all sizes but k and steps")
    parser.add_argument("--stage", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        stage(options.stage, options.threads)
        return
    for name in (n.replace("-", "_") for n in sizes):
        setattr(options, name, max(4, round(options.scale * getattr(options, name))))
    torch.set_num_threads(options.threads)
    made = Made(options)
    with tempfile.TemporaryDirectory() as folder:
        made.write(Path(folder))
        start = time.perf_counter()
        arguments = ["--stage", folder, "--threads", str(options.threads)]
        command = [sys.executable, __file__, *arguments]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        wall = time.perf_counter() - start
    cpu, peak = json.loads(said).values()
    images = len(made.x)
    rows = slice(0, min(images, 200))
    y, positions, alone = in_closed_form(made, rows)
    start = time.process_time()
    expected = by_head(made, rows, positions)
    naive = (time.process_time() - start) / len(y)
    ours = cpu / images / CURVES
    print(f"{images} images, {CURVES} curves each: wall {wall:.1f} s, CPU {cpu:.1f} s, peak {peak:.2f} GiB")
    print(f"per image and curve: stage, everything included {ours * 1e6:8.1f} us")
    print(f"                     curve alone                {alone / len(y) * 1e6:8.1f} us")
    print(f"                     head at every step         {naive * 1e6:8.1f} us")
    print(f"head at every step / stage {naive / ours:6.1f}, / curve alone {naive * len(y) / alone:6.1f}")
    print(f"largest difference of the curves {np.abs(y - expected).max():.1e}")


if __name__ == "__main__":
    main()
