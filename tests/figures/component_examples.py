"""Plausible tables of components and of alignments of classes."""

import numpy as np
import pandas as pd

from reliance.base.artifacts import write_table
from reliance.concepts.schema import ALIGNMENTS
from reliance.naming.table import COMPONENTS

VOCABULARY, CODES = "v" * 64, "c" * 64


def components_table(m=80, seed=0, words=12, dead=0.3, named=True):
    """Components of which some never fire; those that fire often have a clarity and a name."""
    rng = np.random.default_rng(seed)
    n_active = np.where(rng.random(m) < dead, 0, rng.integers(1, 400, m))
    strength = rng.gamma(2, 1.2, m) * (n_active > 0)
    known = (n_active >= 20) & named
    label = np.where(known, np.array([f"word {i}" for i in rng.integers(0, words, m)]), "")
    return pd.DataFrame(
        {
            "component": np.arange(m),
            "n_active": n_active,
            "firing_rate": n_active / 1000,
            "mean": strength * n_active / 1000,
            "max": 1.3 * strength,
            "top5_mean": 1.2 * strength,
            "top20_mean": strength,
            "clarity": np.where(known, np.clip(0.2 + 0.08 * strength + rng.normal(0, 0.05, m), 0, 1), np.nan),
            "label": label,
            "alignment": np.where(known, rng.normal(0.12, 0.05, m), np.nan),
            "runner_up": label,
        }
    )


def alignments_table(classes=20, seed=0):
    values = np.random.default_rng(seed).normal(0.2, 0.04, classes)
    return pd.DataFrame({"class_id": np.arange(classes), "n": 5, "alignment": values})


def write_components(path, frame, vocabulary=VOCABULARY):
    ids = {"vocabulary": vocabulary, "codes": CODES, "of": path.name}
    write_table(path, frame, COMPONENTS, {}, ids)
    return path


def write_bases(folder, variants):
    """Write the inputs of Fig. 4: {variant: (sae, neurons, pca, classes)} -> paths per input."""
    paths = {"components": [], "neurons": [], "pca": [], "random": [], "untrained": [], "alignments": []}
    for variant, (sae, neurons, pca, classes) in variants.items():
        tables = (sae, neurons, pca, neurons, pca, classes)  # the controls are as good as the bases
        for (name, found), frame in zip(paths.items(), tables, strict=True):
            path = folder / variant / f"{name}.parquet"
            if name == "alignments":
                write_table(path, frame, ALIGNMENTS, {}, {"vocabulary": VOCABULARY})
            else:
                write_components(path, frame)
            found.append(path)
    return paths


def bases(seed=0, m=80, **kwargs):
    """The four tables of one variant."""
    small = {**kwargs, "dead": 0.0}
    frames = [components_table(m, seed, **kwargs)]
    frames += [components_table(40, seed + i, **{"words": 8, **small}) for i in (1, 2)]
    return [*frames, alignments_table(seed=seed)]
