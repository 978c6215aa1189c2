"""Plausible faithfulness tables."""

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp, write_json, write_table
from reliance.faithfulness.schema import (
    DROPPED,
    ERROR_TERMS,
    FAITHFULNESS,
    GREEDY,
    LOCAL_DELETION,
    LOCAL_INSERTION,
    METHODS,
    PROTOCOLS,
    SUMMARY,
    SUMMARY_SCHEMA,
    UNRESTRICTED,
)
from reliance.faithfulness.summary import CURVE

RATES = dict(zip((*METHODS, GREEDY), (0.09, 0.088, 0.095, 0.07, 0.04, 0.03, 0.01, 0.1), strict=True))


def curves_table(seed=0, y=0.25, steps=4, subsets=3, images=5, rate=1.0, classes=2):
    """Curves that fall (or rise) at a rate per method; negative y and flat curves are possible.

    `images` per class and subset.
    """
    rng = np.random.default_rng(seed)
    step, cells = np.arange(steps + 1), classes * subsets
    frames = []
    for error_term in ERROR_TERMS:
        for protocol in PROTOCOLS:
            local = protocol in (LOCAL_DELETION, LOCAL_INSERTION)
            for method in (*METHODS, GREEDY) if local else METHODS:
                for restricted in (True, False) if local and method in UNRESTRICTED else (local,):
                    slower = 1 if restricted or not local else 0.5
                    left = np.exp(-RATES[method] * rate * step * slower)
                    level = (1.1 - left if protocol == LOCAL_INSERTION else left) * y
                    shift = rng.normal(0, 0.002, (cells, 1)) * rate + 0.01 * (error_term == DROPPED)
                    columns = {
                        **dict(zip(CURVE, (protocol, method, error_term, restricted), strict=True)),
                        "step": np.tile(step, cells),
                        "class_id": np.repeat(np.arange(cells) // subsets, steps + 1),
                        "subset": np.repeat(np.arange(cells) % subsets, steps + 1),
                        "n": images,
                        "y": (level + shift).ravel(),
                        "y_std": 0.04 if images > 1 else np.nan,
                    }
                    frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def write_curves(folder, frames, *, mean_active=60.0, completeness=(0.0066, 0.032)):
    """Write tables with their summaries: {variant: frame} -> (paths of tables, paths of summaries)."""
    tables, summaries = [], []
    for name, frame in frames.items():
        tables.append(folder / name / "faithfulness.parquet")
        summaries.append(folder / name / "faithfulness.json")
        inputs = {"codes": f"codes of {name}"}
        write_table(tables[-1], frame, FAITHFULNESS, {}, inputs)
        cells = frame.drop_duplicates(["class_id", "subset"])
        record = {
            "images": int(cells["n"].sum()),
            "classes": cells["class_id"].nunique(),
            "steps": int(frame["step"].max()) if len(frame) else 4,
            "subsets": cells["subset"].nunique(),
            "reference": 500,
            "k": 64,
            "mean_active": mean_active,
            "path_steps": 10,
            "completeness": dict(zip(ERROR_TERMS, completeness, strict=True)),
            "beta_error": 0.008,
        }
        write_json(summaries[-1], record, derived_stamp(SUMMARY, SUMMARY_SCHEMA, {}, inputs))
    return {"faithfulness": tables, "summary": summaries}
