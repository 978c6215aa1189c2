"""Made tables for an atlas, beside made embeddings, codes and prompts; pictures are noise."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import clock  # noqa: F401 - finds src
from reliance.base.artifacts import derived_stamp, read_table, write_table
from reliance.codes.statistics import component_statistics
from reliance.codes.store import open_codes
from reliance.codes.top_samples import TOP_SAMPLES, strongest
from reliance.concepts.schema import ALIGNMENTS, HIDDEN
from reliance.explore.atlas.build import AboutAtlas, Browsed
from reliance.explore.indexing import EFFECTS, effects_frame, view_units
from reliance.failures.case_list import COLUMNS, FAILURE_SAMPLES, write_failures
from reliance.failures.schema import EXPECTATIONS, OUTLIER_SAMPLES, OUTLIERS
from reliance.images.tables import CLASSES, INDEX
from reliance.naming.table import COMPONENTS
from reliance.robustness.summary import ROBUSTNESS

KINDS = ("polysemous", "compound", "typography", "spurious")
WORDS = (
    "harbour",
    "<b>striped</b> cloth",
    "snow",
    "a 'quoted' sign",
    "café",
    "wheel",
    "written word",
    "fur & grass",
)


def write_images(folder: Path, files: int, size: tuple[int, int]) -> list[tuple[str, int]]:
    """(path, bytes) of some JPEGs."""
    folder.mkdir(parents=True, exist_ok=True)
    g, found = np.random.default_rng(0), []
    for i in range(files):
        coarse = Image.fromarray(g.integers(0, 256, (12, 16, 3), np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        pixels = np.asarray(coarse).astype(np.int16) + g.integers(-25, 25, (size[1], size[0], 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=88)
        found.append((f"{i}.jpg", (folder / f"{i}.jpg").stat().st_size))
    return found


def write_browsed(folder: Path, given: dict[str, Path], images: list[tuple[str, int]], cases: int) -> Browsed:
    """Every other table; the index is written anew with the images, one after the other and again.

    given : index, embeddings, codes, sae, head, text, as stages write them; the index keeps its id.
    """
    g = np.random.default_rng(1)
    index = read_table(given["index"], INDEX)
    place = np.arange(len(index.frame)) % len(images)
    frame = index.frame.assign(
        path=np.array([i[0] for i in images])[place], bytes=np.array([i[1] for i in images])[place]
    )
    write_table(given["index"], frame, INDEX, index.stamp.params, index.stamp.inputs)
    codes = open_codes(given["codes"])
    top = strongest(codes, 20, 16384)
    names = (
        "components",
        "tested",
        "top_samples",
        "hidden",
        "alignments",
        "expectations",
        "effects",
        "classes",
        "outliers",
    )
    paths = {n: folder / f"{n}.parquet" for n in (*names, "outlier_samples", "failure_samples", "robustness")}
    statistics = component_statistics(codes, top, 16384)
    table = pd.DataFrame({"component": np.arange(codes.m), **statistics._asdict()})
    named = table["n_active"].to_numpy() >= 3
    words = np.array([f"{w} {i}" if i else w for i in range(-(-codes.m // len(WORDS))) for w in WORDS])[
        : codes.m
    ]
    table["clarity"] = np.where(named, g.uniform(0.2, 0.9, codes.m), np.nan)
    table["label"], table["runner_up"] = np.where(named, words, ""), np.where(named, words[::-1], "")
    table["alignment"] = np.where(named, g.uniform(-0.1, 0.5, codes.m), np.nan)
    ids = {"codes": codes.stamp.id}
    components = write_table(paths["components"], table, COMPONENTS, {}, ids).id
    write_table(paths["tested"], table.assign(clarity=table["clarity"] - 0.02), COMPONENTS, {}, ids)
    write_table(paths["top_samples"], pd.DataFrame(top._asdict()), TOP_SAMPLES, {"count": 20}, ids)
    rows = {name: 0 if "int" in kind else 0.1 if "float" in kind else "" for name, kind in HIDDEN.columns}
    hidden = pd.DataFrame({**rows, "component": np.flatnonzero(named)}).assign(
        by_relevance=False, by_activation=False
    )
    hidden.loc[::9, "by_relevance"] = True
    write_table(paths["hidden"], hidden, HIDDEN, {}, {"components": components})
    _write_classes(paths, np.unique(frame["class_id"][frame["class_id"] >= 0]), codes.m, g)
    failures = _write_cases(folder, paths, frame, cases, components, np.flatnonzero(named), g)
    views = folder / "views.safetensors"
    view_units(
        codes=given["codes"], labels=given["embeddings"], top_samples=paths["top_samples"], views=views
    )
    fixed = {name: given[name] for name in ("index", "sae", "head", "text")}
    both = {name: [given[name]] * 2 for name in ("embeddings", "codes")}
    return Browsed(
        **paths,
        **fixed,
        **both,
        failures=failures,
        mined_components=paths["components"],
        views=views,
    )


def about(root: Path) -> AboutAtlas:
    """Of a made variant."""
    return AboutAtlas("made", "made", "made", "none", str(root))


def _write_classes(paths: dict[str, Path], class_ids: np.ndarray, m: int, g: np.random.Generator) -> None:
    names = {
        "folder": "f",
        "short_name": [f"class <i>{c}</i>" for c in class_ids],
        "full_name": "full",
        "definition": "",
    }
    write_table(paths["classes"], pd.DataFrame({"class_id": class_ids, **names}), CLASSES, {}, {})
    aligned = pd.DataFrame({"class_id": class_ids, "n": 9, "alignment": 0.2})
    write_table(paths["alignments"], aligned, ALIGNMENTS, {}, {})
    each = min(m, 200)
    pairs = pd.DataFrame({"class_id": np.repeat(class_ids, each)})
    pairs["component"] = np.concatenate([np.sort(g.choice(m, each, replace=False)) for _ in class_ids])
    pairs = pairs.assign(
        n=50, n_active=g.integers(1, 50, len(pairs)), mean=g.normal(0.002, 0.01, len(pairs)), std=0.01
    )
    whole = pd.DataFrame(
        {"class_id": class_ids, "component": -1, "n": 50, "n_active": 50, "y_mean": 0.3, "y_std": 0.05}
    )
    expected = pd.concat([whole, pairs]).sort_values(["class_id", "component"])
    made = write_table(paths["expectations"], expected, EXPECTATIONS, {}, {})
    write_table(paths["effects"], effects_frame(expected), EFFECTS, {}, {"expectations": made.id})


def _write_cases(
    folder: Path,
    paths: dict[str, Path],
    index: pd.DataFrame,
    cases: int,
    components: str,
    units: np.ndarray,
    g: np.random.Generator,
) -> Path:
    class_ids = np.unique(index["class_id"][index["class_id"] >= 0])
    pairs = pd.DataFrame(
        {"class_id": g.choice(class_ids, cases), "component": g.choice(units, cases, replace=False)}
    )
    pairs = pairs.sort_values(["class_id", "component"], ignore_index=True)
    flags = pairs.assign(
        n_flagged=30, n_highconf=99, p0=0.01, p_value=1e-6, q_value=1e-4, mean_z=9.0, mean_relevance=0.05
    )
    outliers = write_table(paths["outliers"], flags.assign(unseen_in_reference=False), OUTLIERS, {}, {}).id
    ids = [f"{c}-{u}-made" for c, u in zip(pairs["class_id"], pairs["component"], strict=True)]
    own = {
        "failure_id": ids,
        "kind": [KINDS[i % 4] for i in range(cases)],
        "score": 9 - np.arange(cases) / cases,
    }
    same = {"rank": 1, "mode": "", "source": "mined", "q_value": 1e-4, "reviewed": "no", "note": ""}
    listed = pairs.assign(**own, **same)[list(COLUMNS)]
    stamp = derived_stamp("failures", 2, {}, {"components": components, "outliers": outliers})
    write_failures(folder / "failures.tsv", listed, stamp)
    per = min(40, len(index) // 2)
    images = np.concatenate([np.sort(g.choice(len(index), per, replace=False)) for _ in ids])
    samples = {"failure_id": np.repeat(ids, per), "dataset": "made", "split": "train", "image_id": images}
    write_table(paths["failure_samples"], pd.DataFrame(samples), FAILURE_SAMPLES, {}, {"failures": stamp.id})
    flagged = pairs.loc[np.repeat(np.arange(cases), per)].assign(split="train", image_id=images, y=0.3, z=9.0)
    flagged["relevance"] = g.uniform(0.01, 0.2, len(flagged))
    write_table(paths["outlier_samples"], flagged, OUTLIER_SAMPLES, {}, {"outliers": outliers})
    numbers = {
        n: 0.7 if "auc" in n or "_se" in n else 9 for n, kind in ROBUSTNESS.columns if kind != "string"
    }
    scored = [
        {
            "failure_id": key,
            "kind": "spurious",
            "mode": "",
            "source": "mined",
            "discovered_on": "train",
            "probe": p,
            **numbers,
        }
        for key in ids
        for p in ("short", "templated", "extended", "both", "linear")
    ]
    write_table(paths["robustness"], pd.DataFrame(scored), ROBUSTNESS, {"probe_kind": "logistic"}, {})
    return folder / "failures.tsv"
