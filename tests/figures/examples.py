"""Plausible benchmark tables."""

import numpy as np
import pandas as pd

from reliance.base.failure_kinds import PAPER_KINDS
from reliance.robustness.summary import PROBES, ROBUSTNESS

COLUMNS = [name for name, _ in ROBUSTNESS.columns]

# Mean spurious AUC per kind: short, templated, extended, both, linear.
LEVELS = {
    ("polysemous", ""): (0.75, 0.74, 0.92, 0.93, 0.89),
    ("compound", ""): (0.78, 0.80, 0.85, 0.87, 0.91),
    ("typography", ""): (0.56, 0.60, 0.92, 0.90, 0.93),
    ("spurious", ""): (0.87, 0.86, 0.87, 0.865, 0.93),
    ("spurious", "caption"): (0.87, 0.85, 0.87, 0.84, 0.96),
    ("spurious", "artefact"): (0.99, 0.99, 0.99, 0.99, 0.95),
}
ALL_KINDS = dict.fromkeys(PAPER_KINDS, 9)
PLANTS = {
    ("polysemous", "caption"): 8,
    ("compound", "caption"): 7,
    ("typography", "caption"): 7,
    ("spurious", "caption"): 7,
    ("spurious", "artefact"): 6,
}


def table_of(counts, planted=None, seed=0, shift=0.0, width=0.07):
    """A plausible benchmark: {kind: number of mined cases}, {(kind, mode): number of planted ones}."""
    rng = np.random.default_rng(seed)
    groups = [(("mined", k, ""), n) for k, n in counts.items()]
    groups += [(("planted", k, m), n) for (k, m), n in (planted or {}).items()]
    rows = []
    for (source, kind, mode), n in groups:
        levels = LEVELS.get((kind, mode), LEVELS.get((kind, ""), (0.8,) * 5))
        for i in range(n):
            difficulty = rng.normal(0, width)
            for probe, level in zip(PROBES, levels, strict=True):
                spurious = float(np.clip(level + shift + difficulty + rng.normal(0, 0.02), 0.02, 1))
                valid = float(np.clip(0.985 + shift / 10 + rng.normal(0, 0.008), 0, 1))
                origin = "demo" if source == "mined" else ""
                rows.append(
                    (
                        f"{kind}-{mode}{i}",
                        kind,
                        mode,
                        source,
                        origin,
                        probe,
                        spurious,
                        valid,
                        0.03,
                        0.004,
                        200,
                        40,
                        9,
                        spurious / 2,
                    )
                )
    return pd.DataFrame(rows, columns=COLUMNS)
