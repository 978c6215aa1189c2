"""The page of a comparison's dictionaries: the recommendation with its reasons, the table, the front.

The recommendation is the best mean rank over the columns that every trained dictionary has; the page says in
which of them it leads, and in which it is last. Where failures were planted it also says which dictionary
finds them best, which need not be the same one. Dictionaries that nobody trained are shown, and not ranked.
"""

import html
from typing import NamedTuple

import numpy as np
import pandas as pd

CLOSE = 0.5  # ranks that differ by less say little
TRUTH = ("purity", "recall", "precision")  # of planted data only: they judge a recommendation, and make none


class Column(NamedTuple):
    """A column of the table."""

    title: str
    about: str
    more: bool | None  # whether more is better, or less; None: neither, and it is not ranked
    form: str = ".3f"


COLUMNS = {
    "latents": Column("latents", "size of the dictionary", None, ",.0f"),
    "l0": Column("active", "mean active latents per image", False, ".1f"),
    "explained_variance": Column(
        "explained", "share of the variance of held-out images that is reconstructed", True
    ),
    "kept": Column("kept", "zero-shot accuracy of the reconstruction, by that of the model itself", True),
    "silent": Column("silent", "share of latents that fire on no training image", False),
    "clarity": Column("clarity", "how alike the strongest images are, mean over latents with a name", True),
    "monosemanticity": Column(
        "alike", "monosemanticity score over all images that a latent fires on, mean over latents", True
    ),
    "concepts": Column("concepts", "different names; of the vocabulary, words in use", True, ",.0f"),
    "sure": Column("names sure", "mean confidence of the names, over halves of images and vocabulary", True),
    "absorption": Column(
        "absorbed",
        "share of a class's images that its main latent leaves to one that fires on little else",
        False,
    ),
    "faithful": Column(
        "faithful", "share of the output that goes while the most relevant latents are deleted", True
    ),
    "found_again": Column(
        "stable", "share of the dictionaries compared here in which a latent is found again", True
    ),
    "universal": Column("universal", "share of the other models in which a latent is found again", True),
    "purity": Column(
        "pure", "share of a latent's activation that falls on its one planted thing, mean over latents", True
    ),
    "recall": Column("recall", "share of planted failures that were found", True),
    "precision": Column("precision", "share of found failures that were planted", True),
}


def ranks(frame: pd.DataFrame) -> pd.Series:
    """Mean rank of each row over the ranked columns in which all have a value; 1 is the best.

    Columns of TRUTH do not count, so that planted data get the recommendation that real data would.
    """
    ranked = [n for n, c in COLUMNS.items() if c.more is not None and n not in TRUTH and n in frame]
    columns = [n for n in ranked if frame[n].notna().all()]
    each = [frame[n].rank(ascending=not COLUMNS[n].more, method="average") for n in columns]
    return pd.concat(each, axis=1).mean(axis=1)


def recommendation(frame: pd.DataFrame) -> str:
    """Which of the trained dictionaries to take, and why."""
    rank = ranks(frame).to_numpy()
    place = int(rank.argmin())
    leads, last = [], []
    for name, column in COLUMNS.items():
        values = frame[name].to_numpy(float) if name in frame else np.array([])
        if column.more is None or name in TRUTH or np.isnan(values).any() or len(set(values)) < 2:
            continue
        best, worst = (values.max(), values.min()) if column.more else (values.min(), values.max())
        told = f"{column.title} ({values[place]:{column.form}})"
        leads += [told] if values[place] == best else []
        last += [told] if values[place] == worst else []
    row = frame.iloc[place]
    text = f"{row['variant']} ({row['kind']}) has the best mean rank, {rank.min():.2f} of {len(frame)}"
    text += f": it leads in {', '.join(leads)}" if leads else ", without leading anywhere"
    text += f", and is last in {', '.join(last)}." if last else "."
    near = [n for i, n in enumerate(frame["variant"]) if i != place and rank[i] - rank[place] < CLOSE]
    return text + (f" Close to it: {', '.join(near)}." if near else "")


def finder(frame: pd.DataFrame) -> int | None:
    """Place of the dictionary with the best mean of recall and precision; of equal ones the best rank.

    None where nothing was planted, or one of the dictionaries has no such number.
    """
    if not {"recall", "precision"} <= set(frame) or frame[["recall", "precision"]].isna().any(axis=None):
        return None
    found = frame["recall"].to_numpy(float) + frame["precision"].to_numpy(float)
    return int(np.lexsort((ranks(frame).to_numpy(), -found))[0])


def found_best(frame: pd.DataFrame) -> str:
    """Which of the trained dictionaries finds what was planted best in this run; "" without any."""
    place = finder(frame)
    if place is None or len(frame) < 2:
        return ""
    row = frame.iloc[place]
    others = frame.drop(frame.index[place])
    rest = f"recall {others['recall'].mean():.2f} and precision {others['precision'].mean():.2f}"
    return (
        f"In this run planted failures are found best with {row['variant']} ({row['kind']}): "
        f"recall {row['recall']:.2f}, precision {row['precision']:.2f}; the mean of the others is {rest}."
    )


def page_of(frame: pd.DataFrame) -> str:
    """The page."""
    trained = frame[frame["trained"]]
    rank = ranks(trained)
    shown = {n: c for n, c in COLUMNS.items() if frame[n].notna().any()}
    head = "".join(f"<th title='{html.escape(c.about)}'>{html.escape(c.title)}</th>" for c in shown.values())
    body = []
    for place, row in zip(frame.index, frame.to_dict("records"), strict=True):
        cells = "".join(_cell(trained, name, row[name], row["trained"]) for name in shown)
        names = f"<th>{html.escape(str(row['variant']))}</th><td>{html.escape(str(row['kind']))}</td>"
        last = f"{rank.loc[place]:.2f}" if row["trained"] else "–"
        body.append(f"<tr{'' if row['trained'] else ' class=other'}>{names}{cells}<td>{last}</td></tr>")
    notes = "".join(
        f"<li><b>{html.escape(c.title)}</b>: {html.escape(c.about)}"
        f"{'' if c.more is None else ' (more is better)' if c.more else ' (less is better)'}</li>"
        for c in shown.values()
    )
    return _PAGE.format(
        recommendation=html.escape(recommendation(trained)),
        finder=f"<p>{html.escape(said)}</p>" if (said := found_best(trained)) else "",
        head=f"<th>variant</th><th>kind</th>{head}<th title='mean rank'>rank</th>",
        body="".join(body),
        notes=notes,
        others="" if frame["trained"].all() else _OTHERS,
        front=_front(frame),
    )


def _cell(trained: pd.DataFrame, name: str, value: float, ranked: bool) -> str:
    column = COLUMNS[name]
    best = None if column.more is None else trained[name].max() if column.more else trained[name].min()
    text = "–" if value is None or pd.isna(value) else format(value, column.form)
    return f"<td{' class=best' if ranked and value == best else ''}>{text}</td>"


def on_front(l0: np.ndarray, explained: np.ndarray) -> np.ndarray:
    """Whether nothing else explains more with as few active latents, bool [n]."""
    fewer = (l0[None, :] <= l0[:, None]) & (explained[None, :] > explained[:, None])
    same = (l0[None, :] < l0[:, None]) & (explained[None, :] >= explained[:, None])
    result: np.ndarray = np.logical_not((fewer | same).any(axis=1))
    return result


def _front(frame: pd.DataFrame) -> str:
    """Explained variance against active latents of the trained ones, as SVG, with their front.

    Those that nobody trained explain so much less that the others would be one spot.
    """
    known = frame["l0"].notna() & frame["explained_variance"].notna()
    frame = frame[known & frame["trained"].to_numpy(bool)]
    if not len(frame):
        return ""
    x, y = frame["l0"].to_numpy(float), frame["explained_variance"].to_numpy(float)
    across = (x - x.min()) / max(np.ptp(x), 1e-9) * 340 + 60
    up = 310 - (y - y.min()) / max(np.ptp(y), 1e-9) * 270
    label, low = up.copy(), -np.inf
    for i in np.argsort(up, kind="stable"):  # labels keep apart
        low = label[i] = max(up[i], low + 14)
    best = np.flatnonzero(on_front(x, y))
    best = best[np.argsort(x[best], kind="stable")]
    line = " ".join(f"{across[i]:.1f},{up[i]:.1f}" for i in best)
    points = "".join(
        f"<path d='M{a:.1f} {b:.1f}L{max(a + 14, 430):.1f} {c:.1f}' class=lead />"
        f"<circle cx='{a:.1f}' cy='{b:.1f}' r='5' class='{'on' if i in set(best) else 'off'}'/>"
        f"<text x='{max(a + 18, 434):.1f}' y='{c + 4:.1f}'>{html.escape(str(name))}</text>"
        for i, (a, b, c, name) in enumerate(zip(across, up, label, frame["variant"], strict=True))
    )
    high = max(330.0, float(label.max()) + 14)
    axes = f"<path d='M40 20V{high:.0f}H640' fill='none' stroke='#888'/>"
    labels = (
        f"<text x='60' y='{high + 18:.0f}'>{x.min():.1f}</text>"
        f"<text x='360' y='{high + 18:.0f}'>{x.max():.1f} active latents</text>"
        f"<text x='2' y='{up.max() + 4:.0f}'>{y.min():.2f}</text><text x='2' y='44'>{y.max():.2f}</text>"
        "<text x='2' y='14'>explained variance</text>"
    )
    front = f"<polyline points='{line}' fill='none' stroke='#0072b2'/>"
    return f"<svg viewBox='0 0 660 {high + 26:.0f}' role='img'>{axes}{front}{labels}{points}</svg>"


_OTHERS = (
    "<p>Grey rows are dictionaries that nobody trained, with as many active units per image as the SAE of "
    "the variant: they show what training is good for, and are not ranked. Neurons and principal axes have "
    "two ends each, which count as units of their own. The vocabulary takes the image embedding apart into "
    "words, and what it explains is of that embedding.</p>"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Dictionaries</title><style>
body{{font:15px/1.5 sans-serif;max-width:1250px;margin:2em auto;padding:0 1em;color:#222}}
.wide{{overflow-x:auto}} table{{border-collapse:collapse;width:100%;font-size:14px}}
th,td{{padding:.3em .5em;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}}
th:first-child,td:nth-child(2),th:nth-child(2){{text-align:left}} .best{{background:#dcecf7;font-weight:bold}}
th:first-child{{position:sticky;left:0;background:#fff}} .other td,.other th{{color:#666}}
svg{{width:100%;min-width:600px;max-width:760px;font-size:12px}} text{{fill:#222}}
.on{{fill:#0072b2}} .off{{fill:#a3a3a3}}
.lead{{stroke:#ccc;fill:none}}
</style></head><body>
<h1>Dictionaries side by side</h1>
<p><b>Recommended:</b> {recommendation}</p>{finder}
<div class="wide" tabindex="0"><table><tr>{head}</tr>{body}</table></div>
<p>The best of each column is marked. Ranks weigh all columns alike that every trained dictionary has;
those about what was planted do not count, as data of your own have none. Columns may disagree, and what
matters depends on the audit; ranks of two seeds of one kind say how far chance goes. For finding failures the
rank is no guide: on six planted worlds that chose nothing, the best by rank found fewer than the default, and
JumpReLU as many or more.</p>
{others}
<h2>What is explained with how many active latents</h2>
<div class="wide" tabindex="0">{front}</div>
<p>The line joins those that none beats in both; what nobody trained stands in the table alone.</p>
<h2>Columns</h2>
<ul>{notes}</ul>
</body></html>
"""
