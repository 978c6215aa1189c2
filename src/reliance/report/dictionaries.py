"""Stage `compare_dictionaries`: the SAEs of a comparison in one table, and which one to take.

Each row is a variant. The recommendation is the best mean rank over the columns that every variant has; the
page says in which of them it leads, and in which it is last.
"""

import html
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
from reliance.matching.matches import read_rows
from reliance.matching.monosemanticity import monosemanticity
from reliance.matching.schema import STABILITY
from reliance.naming.table import COMPONENTS
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA

SCHEMA = 1
TRUTH_KIND, TRUTH_SCHEMA = "truth_score", 2


class Column(NamedTuple):
    """A column of the table."""

    title: str
    about: str
    more: bool | None  # whether more is better, or less; None: neither, and it is not ranked
    form: str = ".3f"


COLUMNS = {
    "latents": Column("latents", "size of the dictionary", None, ",.0f"),
    "l0": Column("active", "mean active latents per image", False, ".1f"),
    "explained_variance": Column("explained", "share of the variance of held-out images", True),
    "silent": Column("silent", "share of latents that fire on no training image", False),
    "clarity": Column("clarity", "mean over the latents that have a name", True),
    "monosemanticity": Column("alike", "mean monosemanticity score of the latents", True),
    "concepts": Column("concepts", "different names", True, ",.0f"),
    "found_again": Column("stable", "share of latents found again in the others, of those that fire", True),
    "recall": Column("recall", "planted failures that were found", True),
    "precision": Column("precision", "found failures that were planted", True),
}


class Files(NamedTuple):
    """What is read of each variant, in one order."""

    qualities: Sequence[Path]
    components: Sequence[Path]
    codes: Sequence[Path]
    labels: Sequence[Path]  # the labeller's embeddings of the same images
    stability: Path
    truths: Sequence[Path] = ()  # of the variants `scored`


def compare_dictionaries(
    *,
    files: Files,
    variants: Sequence[str],
    kinds: Sequence[str],
    scored: Sequence[str],
    page: Path,
    csv: Path,
    images: int = 200_000,
) -> None:
    """Write the table (CSV) and the page (HTML).

    kinds : what to call the SAE of each variant. scored : variants whose failures are held against planted
    truth. images : at most so many are read for the monosemanticity score, evenly spaced.
    """
    stability, _ = read_table(files.stability, STABILITY)
    paired = zip(scored, files.truths, strict=True)
    truths = {name: read_json(path, TRUTH_KIND, TRUTH_SCHEMA)[0] for name, path in paired}
    rows = [
        {"variant": name, "kind": kinds[i], **_row(files, i, stability[stability["variant"] == name], images)}
        | _truth(truths.get(name))
        for i, name in enumerate(variants)
    ]
    frame = pd.DataFrame(rows)
    inputs = {f"{n}_{i}": read_stamp(p).id for n, ps in _listed(files) for i, p in enumerate(ps)}
    stamp = derived_stamp("dictionaries", SCHEMA, {"variants": [*variants], "images": images}, inputs)
    _write(csv, frame.to_csv(index=False, float_format="%.6g"), stamp)
    _write(page, page_of(frame), stamp)


def ranks(frame: pd.DataFrame) -> pd.Series:
    """Mean rank of each row over the ranked columns in which all have a value; 1 is the best."""
    columns = [n for n, c in COLUMNS.items() if c.more is not None and frame[n].notna().all()]
    each = [frame[n].rank(ascending=not COLUMNS[n].more, method="average") for n in columns]
    return pd.concat(each, axis=1).mean(axis=1)


def recommendation(frame: pd.DataFrame) -> str:
    """Which dictionary to take, and why."""
    rank = ranks(frame).to_numpy()
    place = int(rank.argmin())
    leads, last = [], []
    for name, column in COLUMNS.items():
        values = frame[name].to_numpy(float)
        if column.more is None or np.isnan(values).any() or len(set(values)) < 2:
            continue
        best, worst = (values.max(), values.min()) if column.more else (values.min(), values.max())
        leads += [column.title] if values[place] == best else []
        last += [column.title] if values[place] == worst else []
    row = frame.iloc[place]
    text = f"{row['variant']} ({row['kind']}) has the best mean rank, {rank.min():.2f} of {len(frame)}"
    text += f": it leads in {', '.join(leads)}" if leads else ", without leading anywhere"
    return text + (f", and is last in {', '.join(last)}." if last else ".")


def page_of(frame: pd.DataFrame) -> str:
    """The page."""
    rank = ranks(frame)
    shown = {name: column for name, column in COLUMNS.items() if frame[name].notna().any()}
    head = "".join(f"<th title='{html.escape(c.about)}'>{html.escape(c.title)}</th>" for c in shown.values())
    body = []
    for place, row in enumerate(frame.to_dict("records")):
        cells = "".join(_cell(frame, name, row[name]) for name in shown)
        names = f"<th>{html.escape(str(row['variant']))}</th><td>{html.escape(str(row['kind']))}</td>"
        body.append(f"<tr>{names}{cells}<td>{rank.iloc[place]:.2f}</td></tr>")
    notes = "".join(
        f"<li><b>{html.escape(c.title)}</b>: {html.escape(c.about)}"
        f"{'' if c.more is None else ' (more is better)' if c.more else ' (less is better)'}</li>"
        for c in shown.values()
    )
    return _PAGE.format(
        recommendation=html.escape(recommendation(frame)),
        head=f"<th>variant</th><th>kind</th>{head}<th title='mean rank'>rank</th>",
        body="".join(body),
        notes=notes,
        front=_front(frame),
    )


def _row(files: Files, i: int, stability: pd.DataFrame, images: int) -> dict[str, Any]:
    quality, _ = read_json(files.qualities[i], QUALITY_KIND, QUALITY_SCHEMA)
    components, _ = read_table(files.components[i], COMPONENTS)
    codes, labels = open_codes(files.codes[i]), Embeddings(files.labels[i])
    chosen = np.unique(np.linspace(0, codes.rows - 1, min(images, codes.rows)).astype(np.int64))
    scores = monosemanticity(read_rows(codes, chosen), labels.z_of(chosen))
    fires = set(components.loc[components["n_active"] > 0, "component"])
    named = components["label"] != ""
    return {
        "latents": len(components),
        "l0": quality["l0"],
        "explained_variance": quality["explained_variance"],
        "silent": (components["n_active"] == 0).mean(),
        "clarity": components.loc[named, "clarity"].mean(),
        "monosemanticity": np.nanmean(scores) if np.isfinite(scores).any() else np.nan,
        "concepts": components.loc[named, "label"].nunique(),
        "found_again": stability.loc[stability["component"].isin(fires), "found_again"].mean(),
    }


def _truth(truth: dict[str, Any] | None) -> dict[str, float]:
    found = (truth or {}).get("all", {})
    return {name: found.get(name, np.nan) for name in ("recall", "precision")}


def _listed(files: Files) -> list[tuple[str, Sequence[Path]]]:
    return [
        ("quality", files.qualities),
        ("components", files.components),
        ("codes", files.codes),
        ("labels", files.labels),
        ("truth", files.truths),
        ("stability", [files.stability]),
    ]


def _cell(frame: pd.DataFrame, name: str, value: float) -> str:
    column = COLUMNS[name]
    best = None if column.more is None else frame[name].max() if column.more else frame[name].min()
    text = "–" if pd.isna(value) else format(value, column.form)
    return f"<td{' class=best' if value == best else ''}>{text}</td>"


def _front(frame: pd.DataFrame) -> str:
    """Explained variance against active latents, as SVG: a front, not a point."""
    x, y = frame["l0"].to_numpy(float), frame["explained_variance"].to_numpy(float)
    across = (x - x.min()) / max(np.ptp(x), 1e-9) * 380 + 60
    up = 230 - (y - y.min()) / max(np.ptp(y), 1e-9) * 190
    points = "".join(
        f"<circle cx='{a:.1f}' cy='{b:.1f}' r='5'/>"
        f"<text x='{a + 8:.1f}' y='{b + 4:.1f}'>{html.escape(str(name))}</text>"
        for a, b, name in zip(across, up, frame["variant"], strict=True)
    )
    axes = "<path d='M40 20V250H640' fill='none' stroke='#888'/>"
    labels = (
        f"<text x='60' y='268'>{x.min():.1f}</text><text x='430' y='268'>{x.max():.1f} active latents</text>"
        f"<text x='2' y='234'>{y.min():.2f}</text><text x='2' y='44'>{y.max():.2f}</text>"
        "<text x='2' y='14'>explained variance</text>"
    )
    return f"<svg viewBox='0 0 660 275' role='img'>{axes}{labels}{points}</svg>"


def _write(path: Path, text: str, stamp: Stamp) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write_meta(path, stamp)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Dictionaries</title><style>
body{{font:15px/1.5 sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}}
table{{border-collapse:collapse;width:100%}}
th,td{{padding:.3em .6em;text-align:right;border-bottom:1px solid #ddd}}
th:first-child,td:nth-child(2){{text-align:left}} .best{{background:#dcecf7;font-weight:bold}}
svg{{max-width:660px;fill:#0072b2;font-size:12px}} text{{fill:#222}}
</style></head><body>
<h1>Dictionaries side by side</h1>
<p><b>Recommended:</b> {recommendation}</p>
<table><tr>{head}</tr>{body}</table>
<p>The best of each column is marked. Ranks weigh all columns alike that every variant has;
columns may disagree, and what matters depends on the audit.</p>
{front}
<ul>{notes}</ul>
</body></html>
"""
