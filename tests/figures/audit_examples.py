"""Audits on disk for Figs. 6 and 15: made numbers, real images."""

import numpy as np
import pandas as pd

from reliance.audits.drops import verdict
from reliance.audits.schema import ACCURACIES, AUDIT_KIND, AUDIT_SCHEMA, RELEVANCES
from reliance.base.artifacts import derived_stamp, write_json, write_table
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.naming.table import COMPONENTS

from .pictures import write_dataset

LATENTS = 14
AUDITED = 3
PAPER = {  # accuracies of melanoma and of the rest, under red reduced, none and increased
    ("plain", 0.0): ([0.85, 0.805, 0.599], [0.60, 0.681, 0.828]),
    ("robust", 0.25): ([0.83, 0.795, 0.70], [0.63, 0.69, 0.79]),
    ("robust", 0.5): ([0.81, 0.79, 0.739], [0.66, 0.69, 0.75]),
    ("robust", 1.0): ([0.80, 0.785, 0.76], [0.67, 0.69, 0.72]),
}


def accuracies_of(values, changes=("reduced", "none", "increased"), n=(907, 2000)):
    rows = [
        (probe, alpha, change, positive, count, p, np.sqrt(p * (1 - p) / count), 0.01)
        for (probe, alpha), both in values.items()
        for positive, count, own in zip((True, False), n, both, strict=True)
        for change, p in zip(("reduced", "none", "increased"), own, strict=True)
        if change in changes
    ]
    return pd.DataFrame(rows, columns=[name for name, _ in ACCURACIES.columns])


def relevances_of(latents=LATENTS, seed=0):
    g = np.random.default_rng(seed)
    frames = []
    for probe in ("plain", "robust"):
        values = np.sort(g.normal(0.02, 0.05, latents))[::-1].copy()
        if probe == "robust":
            values[AUDITED] = -0.02
        for positive, sign in ((False, 1), (True, -1)):
            order = np.argsort(-sign * values, kind="stable")
            rank = np.empty(latents, int)
            rank[order] = np.arange(1, latents + 1)
            share = 100 * np.abs(values) / np.abs(values).sum()
            columns = {"component": range(latents), "positive": positive, "n": 4000}
            frame = pd.DataFrame({"probe": probe, **columns, "relevance": sign * values})
            frames.append(frame.assign(share=share, rank=rank))
    return pd.concat(frames)


def write_audit(folder, accuracies, *, label="red hue", names=("melanoma", "not melanoma"), **about):
    """All inputs of Fig. 6, by keyword."""
    paths = write_dataset(folder, ["x"])
    paths.pop("classes")
    files = ("relevances", "accuracies", "components", "top_samples")
    paths |= {name: folder / f"{name}.parquet" for name in files}
    frame = relevances_of()
    write_table(paths["relevances"], frame, RELEVANCES, {}, {"probe": "p" * 64, "codes": "c" * 64})
    stamp = write_table(paths["accuracies"], accuracies, ACCURACIES, {}, {"probe": "p" * 64})
    labels = [label if i == AUDITED else f"label number {i}" for i in range(LATENTS)]
    zeros = {name: 0 for name, _ in COMPONENTS.columns} | {"component": range(LATENTS), "runner_up": ""}
    named = pd.DataFrame({**zeros, "label": labels})
    write_table(paths["components"], named, COMPONENTS, {}, {"codes": "c" * 64})
    ranks = pd.DataFrame({"component": np.repeat(range(LATENTS), 6), "rank": np.tile(range(6), LATENTS)})
    top = ranks.assign(image_id=(5 * ranks["component"] + ranks["rank"]) % 24, activation=1.0)
    write_table(paths["top_samples"], top, TOP_SAMPLES, {}, {"codes": "c" * 64})
    said = {
        **{"component": AUDITED, "label": label, "rank": AUDITED + 1, "share": 4.9, "shift": 0.83},
        **{"considered": [{}] * 5, "names": list(names), "toward": "negative", "given": False, "alpha": 0.5},
        **{"low": 1.0, "high": 2.5, "n_low": 400, "n_high": 400, "length": 0.3, "n_fit": [3629, 4000]},
        "transforms": {
            "reduced": {"channel": "red", "delta": 0.2},
            "increased": {"channel": "red", "delta": -1.0},
        },
        **verdict(accuracies, 0.5),
        **about,
    }
    made = derived_stamp(AUDIT_KIND, AUDIT_SCHEMA, {}, {"accuracies": stamp.id, "probe": "p" * 64})
    write_json(folder / "audit.json", said, made)
    return {**paths, "audit": folder / "audit.json"}
