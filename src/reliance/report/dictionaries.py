"""Stage `compare_dictionaries`: the dictionaries of a comparison in one table, and which one to take.

Each row is the SAE of a variant; below them stand, once per encoder and site, three dictionaries that nobody
trained: neurons, principal axes, the vocabulary. The page is in `dictionary_page`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import Stamp, derived_stamp, read_json, read_table, write_meta
from reliance.base.stamps import read_stamp
from reliance.base.writing import atomic
from reliance.codes.store import open_codes
from reliance.encoders.stored import Embeddings
from reliance.faithfulness.schema import FAITHFULNESS
from reliance.faithfulness.summary import curve, mean_y
from reliance.matching import judged
from reliance.matching.matches import read_rows
from reliance.matching.monosemanticity import monosemanticity
from reliance.matching.schema import STABILITY
from reliance.naming.stability import NAME_STABILITY
from reliance.naming.table import COMPONENTS
from reliance.report.dictionary_page import COLUMNS, page_of
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA

SCHEMA = 3
PURITY_KIND, PURITY_SCHEMA = "unit_purity", 1
TRUTH_KIND, TRUTH_SCHEMA = "truth_score", 2
DELETION = {"protocol": "local_deletion", "method": "act_x_grad", "error_term": "frozen"}


class Files(NamedTuple):
    """What is read of each variant, in one order; lists that need classes are empty without them."""

    qualities: Sequence[Path]
    components: Sequence[Path]
    codes: Sequence[Path]
    labels: Sequence[Path]  # the labeller's embeddings of the same images
    sure: Sequence[Path]  # how sure names are
    stability: Path
    truths: Sequence[Path] = ()  # of the variants `scored`
    judged: Sequence[Path] = ()
    curves: Sequence[Path] = ()  # deletion
    others: Sequence[Path] = ()  # of the dictionaries `bases`, judged
    other_components: Sequence[Path] = ()  # of those of them that are axes
    other_curves: Sequence[Path] = ()
    purities: Sequence[Path] = ()  # on planted data, of each variant
    other_purities: Sequence[Path] = ()  # and of `bases`


def compare_dictionaries(
    *,
    files: Files,
    variants: Sequence[str],
    kinds: Sequence[str],
    scored: Sequence[str],
    page: Path,
    csv: Path,
    bases: Sequence[Sequence[str]] = (),
    images: int = 200_000,
) -> None:
    """Write the table (CSV) and the page (HTML).

    kinds : what to call the SAE of each variant. scored : variants whose failures are held against planted
    truth. bases : (variant, basis) of the dictionaries that nobody trained. images : at most so many are read
    for the monosemanticity score, evenly spaced.
    """
    stability, _ = read_table(files.stability, STABILITY)
    paired = zip(scored, files.truths, strict=True)
    truths = {name: read_json(path, TRUTH_KIND, TRUTH_SCHEMA)[0] for name, path in paired}
    rows = [
        {"variant": name, "kind": kinds[i], "trained": True}
        | _row(files, i, stability[stability["variant"] == name], images)
        | _truth(truths.get(name))
        for i, name in enumerate(variants)
    ]
    frame = pd.DataFrame([*rows, *_others(files, bases)], columns=["variant", "kind", "trained", *COLUMNS])
    inputs = {f"{n}_{i}": read_stamp(p).id for n, ps in _listed(files) for i, p in enumerate(ps)}
    stamp = derived_stamp("dictionaries", SCHEMA, {"variants": [*variants], "images": images}, inputs)
    _write(csv, frame.to_csv(index=False, float_format="%.6g"), stamp)
    _write(page, page_of(frame), stamp)


def faithful(path: Path) -> float:
    """Share of the output that goes while the latents that matter most are deleted, mean over the steps."""
    frame, _ = read_table(path, FAITHFULNESS)
    for name, value in DELETION.items():
        frame = frame[frame[name] == value]
    frame = frame[frame["restrict_to_active"]]
    if frame.empty:
        return np.nan
    whole = curve(frame).set_index("step")["y"]
    return float(1 - mean_y(frame)["mean_y"].iloc[0] / whole.loc[0])


def _row(files: Files, i: int, stability: pd.DataFrame, images: int) -> dict[str, Any]:
    quality, _ = read_json(files.qualities[i], QUALITY_KIND, QUALITY_SCHEMA)
    components, _ = read_table(files.components[i], COMPONENTS)
    codes, labels = open_codes(files.codes[i]), Embeddings(files.labels[i])
    chosen = np.unique(np.linspace(0, codes.rows - 1, min(images, codes.rows)).astype(np.int64))
    scores = monosemanticity(read_rows(codes, chosen), labels.z_of(chosen))
    fires = set(components.loc[components["n_active"] > 0, "component"])
    again = stability[stability["component"].isin(fires)]
    found = {
        "l0": quality["l0"],
        "explained_variance": quality["explained_variance"],
        "monosemanticity": np.nanmean(scores) if np.isfinite(scores).any() else np.nan,
        "found_again": again["found_again"].mean(),
        "universal": again["universal"].mean(),
        "sure": read_table(files.sure[i], NAME_STABILITY)[0]["confidence"].mean(),
        **_of_components(components),
    }
    if files.judged:
        record, _ = read_json(files.judged[i], judged.KIND, judged.SCHEMA)
        found |= {name: record.get(name) for name in ("kept", "absorption")}
        found["faithful"] = faithful(files.curves[i])
    return found | _purity(files.purities, i)


def _purity(paths: Sequence[Path], i: int) -> dict[str, Any]:
    return {"purity": read_json(paths[i], PURITY_KIND, PURITY_SCHEMA)[0]["purity"]} if paths else {}


def _of_components(components: pd.DataFrame) -> dict[str, Any]:
    named = components["label"] != ""
    return {
        "latents": len(components),
        "silent": (components["n_active"] == 0).mean(),
        "clarity": components.loc[named, "clarity"].mean(),
        "concepts": components.loc[named, "label"].nunique(),
    }


def _others(files: Files, bases: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Rows of the dictionaries that nobody trained."""
    rows = []
    axes = iter(zip(files.other_components, files.other_curves, strict=True))
    for i, ((variant, basis), path) in enumerate(zip(bases, files.others, strict=True)):
        record, _ = read_json(path, judged.KIND, judged.SCHEMA)
        row = {name: record.get(name) for name in ("l0", "explained_variance", "kept", "absorption")}
        row |= {"latents": record["units"], "monosemanticity": record["monosemanticity"]}
        row |= _purity(files.other_purities, i)
        if basis == "vocabulary":
            row |= {"concepts": record["used"]}
        else:
            components, curves = next(axes)
            row |= _of_components(read_table(components, COMPONENTS)[0]) | {"faithful": faithful(curves)}
        rows.append({"variant": variant, "kind": basis, "trained": False, **row})
    return rows


def _truth(truth: dict[str, Any] | None) -> dict[str, float]:
    found = (truth or {}).get("all", {})
    return {name: found.get(name, np.nan) for name in ("recall", "precision")}


def _listed(files: Files) -> list[tuple[str, Sequence[Path]]]:
    return [(n, [value] if isinstance(value, Path) else value) for n, value in files._asdict().items()]


def _write(path: Path, text: str, stamp: Stamp) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_meta(path, stamp)
