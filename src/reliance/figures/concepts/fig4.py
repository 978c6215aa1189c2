"""Fig. 4: how clear the components of an SAE are, how many concepts they cover, how well names fit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reliance.base.artifacts import check_same, derived_stamp, read_table
from reliance.base.claims import Finding
from reliance.base.errors import RelianceError
from reliance.concepts.concepts import (
    correlation,
    low_share,
    median_clarity,
    named,
    shared_concepts,
    unique_concepts,
    with_clarity,
)
from reliance.concepts.findings import findings, size_findings
from reliance.concepts.schema import ALIGNMENTS
from reliance.figures import style
from reliance.figures.captions import compose, counted, number, span, spread
from reliance.figures.concepts.bars import Bar, Histogram
from reliance.figures.concepts.examples import Example, examples
from reliance.figures.concepts.page import Page, draw_components
from reliance.figures.concepts.scatter import Cloud
from reliance.figures.gallery import look
from reliance.figures.sheet import Sheet, Shown
from reliance.figures.thumbnails import AS_STORED, DATASET, Pictured, Reading
from reliance.naming.table import COMPONENTS

SCHEMA, BINS = 1, 30
BASES = ("neurons", "pca", "random", "untrained", "sae")
JUDGED = (
    "What the paper found, held against these numbers (counts as they are; the correlation with its 95 % "
    "interval by Fisher's transformation):"
)
COLUMNS = ["panel", "variant", "series", "component", "activation", "clarity", "r", "r_low", "r_high"]
COLUMNS += ["spearman", "low_share", "n_components", "n_unique", "rarefied", "n_all", "n_only"]
COLUMNS += ["bin_start", "bin_end", "count", "median", "median_clarity"]
COLUMNS += ["label", "fits", "alignment", "place", "image_id", "path", "drawn"]


def fig4(
    *,
    components: Sequence[Path],
    neurons: Sequence[Path],
    pca: Sequence[Path],
    random: Sequence[Path],
    untrained: Sequence[Path],
    alignments: Sequence[Path],
    shown: Shown,
    sheet: Sheet,
    top_samples: Path | None = None,
    index: Path | None = None,
    dataset_root: str = "",
    reading: Reading = AS_STORED,
) -> None:
    """Draw Fig. 4: clarity against activation, unique concepts per basis, and alignments.

    Parameters
    ----------
    components, neurons, pca, random, untrained : tables of components of the SAE, of the neurons, of the
        principal axes, and of two controls, random directions and an SAE before its training, on the train
        split, one per variant.
    alignments : alignments of classes with their own names, one per variant.
    shown : the variants, in the order of the tables. sheet : where the figure goes.
    top_samples, index, dataset_root, reading : strongest images of the SAE's components, of which some are
        shown if there is one variant.

    Raises RelianceError if the tables were named from different vocabularies, or all images are gone.
    """
    others = {"neurons": neurons, "pca": pca, "random": random, "untrained": untrained}
    paths = {"sae": components, **others, "classes": alignments}
    frames, ids = _read(paths, shown.variants)
    heading = shown.heading
    pictured: list[Example] = []
    numbers = numbers_of(frames)
    params: dict[str, Any] = {"heading": heading, "skipped": list(shown.skipped)}
    if top_samples is not None and index is not None and len(components) == 1:
        album = Pictured([DATASET], [index], [dataset_root])
        pictured, rows, more = examples(components[0], top_samples, album, reading)
        rows = rows.assign(panel="c", variant=shown.variants[0], series="example").reindex(columns=COLUMNS)
        numbers, ids = pd.concat([numbers, rows], ignore_index=True), {**ids, **more}
        params |= {"drawn": rows["drawn"].to_list(), **reading._asdict()}
    with look():
        sheet.write(
            draw_components(page_of(frames)._replace(examples=pictured), shown.variants, heading),
            numbers,
            derived_stamp("fig4", SCHEMA, params, ids),
            _words(frames, shown, pictured),
        )


Frames = Mapping[str, Mapping[str, pd.DataFrame]]  # variant -> one of BASES or "classes" -> table


def page_of(frames: Frames) -> Page:
    """What is drawn."""
    several, concepts, edges = len(frames) > 1, concepts_of(frames), _edges(frames)
    clouds, histograms = [], []
    for variant, tables in frames.items():
        title, points = variant if several else "", with_clarity(tables["sae"], "top20_mean")
        x, y = points["top20_mean"].to_numpy(np.float64), points["clarity"].to_numpy(np.float64)
        r = correlation(tables["sae"], "top20_mean").r
        words = ", ".join(filter(None, [title, f"r = {number(r)}" if len(x) else ""]))
        note = f"{counted(len(x), 'component')}; {100 * low_share(x, y):.0f} % low in both" if len(x) else ""
        clouds.append(Cloud(words, note, x, y, "mean activation, top 20"))
        best, classes = _alignments(tables)
        note = f"median {number(_median(best))}, classes {number(_median(classes))}"
        histograms.append(Histogram(title, note, best, classes, edges))
    bars = [
        [_bar(*row) for row in part[["series", "n_unique", "rarefied", "n_components"]].to_numpy()]
        for _, part in concepts.groupby("variant", sort=False)
    ]
    own = concepts[concepts["series"] == "sae"]
    some = own["n_unique"] - own["n_only"] - own["n_all"]
    shared = np.stack([own["n_all"], some, own["n_only"]], axis=1) if several else np.zeros((1, 3))
    return Page(clouds, bars, shared, histograms)


def concepts_of(frames: Frames) -> pd.DataFrame:
    """Unique concepts per variant and basis, rarefied to the fewest components of all, and shared ones.

    Columns: variant, series, n_components, n_unique, rarefied (nan without components), median_clarity, and
    for series sae of several variants n_all, n_only.
    """
    tables = {(v, b): named(tables[b]) for v, tables in frames.items() for b in BASES}
    index = {f"{v}/{b}": (v, b) for v, b in tables}
    full = {key: tables[at] for key, at in index.items() if len(tables[at])}
    counted = unique_concepts(full).set_index("name").reindex(list(index))
    counted[["n_components", "n_unique"]] = counted[["n_components", "n_unique"]].fillna(0).astype(int)
    counted["variant"], counted["series"] = [v for v, _ in tables], [b for _, b in tables]
    counted["median_clarity"] = [median_clarity(table) for table in tables.values()]
    shared = shared_concepts({v: tables[v, "sae"] for v in frames}).assign(series="sae")
    shared = shared.rename(columns={"name": "variant"})[["variant", "series", "n_all", "n_only"]]
    if len(frames) == 1:
        shared[["n_all", "n_only"]] = np.nan
    return counted.reset_index(drop=True).merge(shared, on=["variant", "series"], how="left")


def numbers_of(frames: Frames) -> pd.DataFrame:
    """Every number of the figure: rows per panel a, b, c; a has a row per variant and one per component."""
    parts, edges = [concepts_of(frames).assign(panel="b")], _edges(frames)
    for variant, tables in frames.items():
        points = with_clarity(tables["sae"], "top20_mean").rename(columns={"top20_mean": "activation"})
        found = correlation(tables["sae"], "top20_mean")
        row = {"r": found.r, "r_low": found.low, "r_high": found.high, "spearman": found.spearman}
        row |= {"n_components": found.n, "low_share": _low_share(points)}
        parts.append(pd.DataFrame([{"panel": "a", "variant": variant, "series": "sae"} | row]))
        kept = points[["component", "activation", "clarity"]]
        parts.append(kept.assign(panel="a", variant=variant, series="sae"))
        for series, values in zip(("sae", "classes"), _alignments(tables), strict=True):
            counts, _ = np.histogram(values, edges)
            bins = pd.DataFrame({"bin_start": edges[:-1], "bin_end": edges[1:], "count": counts})
            bins = bins.assign(n_components=len(values), median=_median(values))
            parts.append(bins.assign(panel="c", variant=variant, series=series))
    table = pd.concat([part.reindex(columns=COLUMNS) for part in parts], ignore_index=True)
    return table.sort_values("panel", kind="stable", ignore_index=True)


def _bar(series: str, unique: int, rarefied: float, components: int) -> Bar:
    return Bar(style.BASES[series], unique, rarefied, f"{unique:,} of {components:,}")


def _read(paths: Mapping[str, Sequence[Path]], variants: Sequence[str]) -> tuple[Frames, dict[str, str]]:
    frames: dict[str, dict[str, pd.DataFrame]] = {}
    ids, vocabularies = {}, {}
    for i, variant in enumerate(variants):
        frames[variant] = {}
        vocabulary = None
        for name, all_paths in paths.items():
            table = read_table(all_paths[i], ALIGNMENTS if name == "classes" else COMPONENTS)
            own = (all_paths[i], table.stamp.inputs["vocabulary"])
            vocabulary = vocabulary or own
            check_same("vocabulary", own, vocabulary)
            frames[variant][name] = table.frame
            ids[f"{variant}.{name}"] = table.stamp.id
        vocabularies[variant] = vocabulary[1] if vocabulary else ""
    _check_one_vocabulary(vocabularies, paths["sae"])
    return frames, ids


def _check_one_vocabulary(vocabularies: Mapping[str, str], paths: Sequence[Path]) -> None:
    """Labels can be counted together only if they were chosen from the same names by the same labeller."""
    first, *others = vocabularies
    for other, path in zip(others, paths[1:], strict=True):
        if vocabularies[other] != vocabularies[first]:
            raise RelianceError(
                path,
                "the components of all variants of this figure are named from one vocabulary by one labeller",
                found=f"{other} has another vocabulary, or labeller, than {first}",
                allowed="variants on one data set, with the same labeller",
                next_step="give them the same labeller and data set, or take one out of the comparison",
            )


def _words(frames: Frames, shown: Shown, pictured: Sequence[Example]) -> str:
    tables, concepts = list(frames.values()), concepts_of(frames)
    fewest = (
        int(concepts.loc[concepts["n_components"] > 0, "n_components"].min())
        if concepts["n_components"].any()
        else 0
    )
    firing = [int((t["sae"]["n_active"] > 0).sum()) for t in tables]
    clear = [len(with_clarity(t["sae"], "top20_mean")) for t in tables]
    low = [100 * _low_share(with_clarity(t["sae"], "top20_mean")) for t in tables]
    content = [
        "a) Clarity of a component, the mean cosine between the labeller's embeddings of its strongest train "
        "images, against its mean activation on the 20 of largest activation, zeros included: "
        f"{span(clear)} components that fire often enough, of {span([len(t['sae']) for t in tables])} "
        f"({span(firing)} ever fire). Dashed: the middle of both ranges; {spread(low, '.0f')} % of the "
        "components are below both.",
        "b) Different labels of neurons, principal axes, two controls (directions at right angles, turned at "
        "random, and the SAE before its training) and components of the SAE (of how many with a label) on "
        f"the train split; mark: labels expected among {fewest:,} of them drawn at random. "
        f"Median clarity: {_clarities(concepts)}.",
        "c) Alignment of components with their best label, and of the mean test image of a class with the "
        f"class's own name ({span([len(t['classes']) for t in tables])} classes); dashed: medians. "
        + (_PICTURED if pictured else _ELSEWHERE),
    ]
    if len(frames) > 1:
        content.insert(2, "Right: labels of the SAE that all, some or no other of the models shown have.")
    judged = [f for v, t in frames.items() for f in _findings(v if len(frames) > 1 else "", t)]
    judged += size_findings({v: t["sae"] for v, t in frames.items()}, shown.sizes)
    return compose(
        "Figure 4", "Components of SAEs in CLIP", shown.heading, content, JUDGED, judged, shown.skipped
    )


_ELSEWHERE = "Pictures of components that names fit poorly are in Figs. 10 and 11."
_PICTURED = (
    "Below: the strongest train images of the components at the 5th, 50th and 95th percentile of alignment; "
    "components that matter and that names fit poorly are in Figs. 10 and 11."
)


def _clarities(concepts: pd.DataFrame) -> str:
    """Median clarity by basis, over the variants shown."""
    parts = []
    for basis in BASES:
        found = concepts.loc[concepts["series"] == basis, "median_clarity"].dropna()
        parts.append(f"{style.BASES[basis].label} {spread(list(found), '.2f') if len(found) else 'unknown'}")
    return ", ".join(parts)


def _findings(variant: str, tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    found = findings(tables["sae"], {b: tables[b] for b in BASES if b != "sae"}, tables["classes"])
    return [f._replace(numbers=f"for {variant} {f.numbers}") for f in found] if variant else found


def _alignments(tables: Mapping[str, pd.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Best alignments of components [n] and alignments of classes [C]."""
    best, classes = (
        f["alignment"].dropna().to_numpy(np.float64) for f in (named(tables["sae"]), tables["classes"])
    )
    return best, classes


def _edges(frames: Frames) -> np.ndarray:
    """Bins for all histograms."""
    values = np.concatenate([v for tables in frames.values() for v in _alignments(tables)])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    spare = max(0.02 * (high - low), 0.01)
    return np.linspace(low - spare, high + spare, BINS + 1)


def _low_share(points: pd.DataFrame) -> float:
    activation = points["activation" if "activation" in points else "top20_mean"]
    return low_share(activation.to_numpy(np.float64), points["clarity"].to_numpy(np.float64))


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan
