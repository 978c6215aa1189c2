"""Plausible faithfulness tables."""

import numpy as np
import pandas as pd

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
from reliance.identity import derived_stamp, write_json, write_table

RATES = dict(zip((*METHODS, GREEDY), (0.09, 0.088, 0.095, 0.07, 0.04, 0.03, 0.01, 0.1), strict=True))


def curves_table(seed=0, y=0.25, steps=4, subsets=3, images=5, rate=1.0):
    """Curves that fall (or rise) at a rate per method; negative y and flat curves are possible."""
    rng = np.random.default_rng(seed)
    rows = []
    for error_term in ERROR_TERMS:
        for protocol in PROTOCOLS:
            local = protocol in (LOCAL_DELETION, LOCAL_INSERTION)
            for method in (*METHODS, GREEDY) if local else METHODS:
                for restricted in (True, False) if local and method in UNRESTRICTED else (local,):
                    for subset in range(subsets):
                        shift = rng.normal(0, 0.002) * rate
                        for step in range(steps + 1):
                            left = np.exp(
                                -RATES[method] * rate * step * (1 if restricted or not local else 0.5)
                            )
                            value = (1.1 - left if protocol == LOCAL_INSERTION else left) * y + shift
                            value += 0.01 * (error_term == DROPPED)
                            spread = 0.04 if images > 1 else np.nan
                            key = (protocol, method, error_term, restricted)
                            rows.append((*key, step, subset, images, value, spread))
    return pd.DataFrame(rows, columns=[name for name, _ in FAITHFULNESS.columns])


def write_curves(folder, frames, *, classes=2, mean_active=60.0):
    """Write tables with their summaries: {variant: frame} -> (paths of tables, paths of summaries)."""
    tables, summaries = [], []
    for name, frame in frames.items():
        tables.append(folder / name / "faithfulness.parquet")
        summaries.append(folder / name / "faithfulness.json")
        inputs = {"codes": f"codes of {name}"}
        write_table(tables[-1], frame, FAITHFULNESS, {}, inputs)
        first = frame.drop_duplicates("subset") if len(frame) else frame
        record = {
            "images": int(first["n"].sum()),
            "classes": classes,
            "steps": int(frame["step"].max()) if len(frame) else 4,
            "subsets": len(first),
            "reference": 500,
            "k": 64,
            "mean_active": mean_active,
            "path_steps": 10,
            "completeness": {"frozen": 0.0066, "dropped": 0.032},
            "beta_error": 0.008,
        }
        write_json(summaries[-1], record, derived_stamp(SUMMARY, SUMMARY_SCHEMA, {}, inputs))
    return {"faithfulness": tables, "summary": summaries}
