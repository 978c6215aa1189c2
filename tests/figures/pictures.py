"""Small worlds on disk for the galleries: images, and the tables that name them."""

import numpy as np
import pandas as pd
from PIL import Image

from reliance.base.artifacts import derived_stamp, write_table
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.concepts.hidden import BANDS
from reliance.concepts.schema import HIDDEN
from reliance.failures.case_list import COLUMNS, FAILURE_SAMPLES, KIND, read_failures, write_failures
from reliance.failures.external import list_external
from reliance.failures.schema import OUTLIER_SAMPLES
from reliance.images.index import index_images
from reliance.images.tables import CLASSES, INDEX
from reliance.naming.table import COMPONENTS
from reliance.robustness.summary import ROBUSTNESS

LATENTS = 50
POOL = 24  # images of the data set
LIMITS = {
    "total_share": 0.4,
    "min_relevance": 0.03,
    "max_alignment": 0.1,
    "min_activation": 3.0,
    "bands": [0.4, 0.6],
}
HOSTILE = (
    "a very long name that goes on and on, well beyond the width of any cell, and even further than that",
    "$x^2$ and $\\frac{1}{2}$",
    "line\nbreak\tand\x1b[31m bell\x07",
    "\u202egnirts desrever",
    "טקסט בעברית ועוד הרבה מילים כדי שלא ייכנס",
    "z" + "\u0301\u0302" * 200 + "algo",
    "",
    "W" * 5000,
)


def draw_image(path, number, size=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    pixels = np.full((size, size + 4, 3), rng.integers(60, 250, 3), np.uint8)
    pixels[size // 4 : size // 2, size // 4 : -size // 4] = rng.integers(0, 200, 3)
    Image.fromarray(pixels).save(path)


def write_dataset(folder, names, count=POOL):
    """`count` images below folder/images; returns their index and classes."""
    paths = [f"train/x/{i:03}.png" for i in range(count)]
    for i, path in enumerate(paths):
        draw_image(folder / "images" / path, i)
    sizes = [(folder / "images" / path).stat().st_size for path in paths]
    index = pd.DataFrame(
        {"split": "train", "image_id": range(count), "path": paths, "class_id": 0, "bytes": sizes}
    )
    classes = pd.DataFrame({"class_id": range(len(names)), "short_name": names})
    classes = classes.assign(folder="f", full_name="n", definition="")
    write_table(folder / "index.parquet", index, INDEX, {}, {})
    write_table(folder / "classes.parquet", classes, CLASSES, {}, {})
    return {"index": folder / "index.parquet", "classes": folder / "classes.parquet"}


def write_components(folder, labels):
    frame = pd.DataFrame({"component": range(len(labels)), "label": labels, "runner_up": "", "n_active": 30})
    for name in ("firing_rate", "mean", "max", "top5_mean", "top20_mean", "clarity", "alignment"):
        frame[name] = 0.5
    path = folder / "components.parquet"
    return path, write_table(path, frame, COMPONENTS, {}, {"codes": "c" * 64, "vocabulary": "v" * 64}).id


def relevance_of(image_id):
    return (image_id * 7 % POOL) / 100


def write_cases(folder, mined, elsewhere=0, kind="spurious", names=None, labels=None, images_each=3):
    """Arguments of fig12 and fig13 but the outputs.

    mined : (kind, number of images) per case; case i is of class i and latent i and has score 10 + i.
    elsewhere : cases of an external list, of class 0, as folders of `images_each` images.
    """
    names = names or [f"class {i}" for i in range(max(len(mined), 1))]
    data = write_dataset(folder, names)
    components, components_id = write_components(folder, labels or [f"label {i}" for i in range(LATENTS)])
    cases = [
        (f"case{i}", 1, kind, "", i, "mined", i, 10.0 + i, 0.0, "no", "") for i, (kind, _) in enumerate(mined)
    ]
    rows = [(i, image) for i, (_, n) in enumerate(mined) for image in range(n)]
    flags = pd.DataFrame(rows, columns=["class_id", "image_id"]).astype("int64")
    samples = flags.assign(failure_id=[f"case{i}" for i, _ in rows], dataset="home", split="train")
    flags = flags.assign(component=flags["class_id"], split="train", y=0.5, z=4.0)
    flags["relevance"] = relevance_of(flags["image_id"])
    outliers = {"outliers": "o" * 64}
    write_table(folder / "outlier_samples.parquet", flags, OUTLIER_SAMPLES, {}, outliers)
    stamp = derived_stamp(KIND, 2, {"mined": mined}, {**outliers, "components": components_id})
    write_failures(folder / "failures.tsv", pd.DataFrame(cases, columns=list(COLUMNS)), stamp)
    write_table(folder / "samples.parquet", samples, FAILURE_SAMPLES, {}, {"failures": stamp.id})
    files = {
        "failures": folder / "failures.tsv",
        "failure_samples": folder / "samples.parquet",
        "outlier_samples": folder / "outlier_samples.parquet",
        "components": components,
        "classes": data["classes"],
        "robustness": folder / "robustness.parquet",
        "indexes": [data["index"]],
        "datasets": ["home"],
        "roots": [str(folder / "images")],
    }
    if elsewhere:
        _write_elsewhere(folder, files, elsewhere, kind, images_each)
    write_robustness(files)
    said = {"variants": ["demo"], "random_weights": [False], "prompt_set": "short", "mined_by": "demo"}
    return {**files, **said}


def _write_elsewhere(folder, files, cases, kind, images_each):
    root = folder / "elsewhere"
    for i in range(cases):
        for j in range(images_each):
            draw_image(root / f"0_shark_{i + 1}" / f"{j}.png", 1000 + 10 * i + j, size=30)
    index, unused = folder / "elsewhere.parquet", folder / "unused.parquet"
    index_images(index=index, classes=unused, root=str(root), layout="cases", classes_from=files["classes"])
    failures, samples = folder / "elsewhere.tsv", folder / "elsewhere_samples.parquet"
    list_external(
        index=index,
        classes=files["classes"],
        failures=failures,
        failure_samples=samples,
        dataset="far",
        source="neuhaus",
        kind=kind,
    )
    files["indexes"].append(index)
    files["datasets"].append("far")
    files["roots"].append(str(root))
    files |= {"external_failures": [failures], "external_samples": [samples]}


def write_robustness(files):
    """The benchmark of all lists: the AUC of case i is 0.5 + i / 100."""
    lists = [read_failures(path) for path in (files["failures"], *files.get("external_failures", ()))]
    cases = pd.concat([frame for frame, _ in lists], ignore_index=True)
    cases["spurious_auc"] = 0.5 + cases.index.to_numpy() / 100
    cases = cases.assign(
        discovered_on="demo", probe="short", valid_auc=0.9, spurious_se=0.1, valid_se=0.1, n_class=9
    )
    frame = cases.assign(n_distractors=9, n_other=9, spurious_ap=0.4)
    ids = {f"failures_{i}": stamp.id for i, (_, stamp) in enumerate(lists)}
    write_table(
        files["robustness"], frame, ROBUSTNESS, {"discovered_on": "demo", "probe_kind": "logistic"}, ids
    )


def write_hidden(folder, bands, flagged=None, names=("shark",), labels=None, images=6):
    """Arguments of fig10 and fig11 but the outputs: component i is in band i, of `images` images."""
    count = len(bands)
    flagged = [True] * count if flagged is None else flagged
    data = write_dataset(folder, list(names))
    labels = labels or [f"label {i}" for i in range(count)]
    components, components_id = write_components(folder, labels)
    alignment = [0.01 * (i + 1) if f else 0.5 + 0.01 * i for i, f in enumerate(flagged)]
    clarity = [dict(zip((*BANDS, ""), (0.8, 0.5, 0.1, np.nan), strict=True))[band] for band in bands]
    frame = pd.DataFrame({"component": range(count), "band": bands, "clarity": clarity, "label": labels})
    frame["nearest"] = frame["label"]
    frame = frame.assign(
        alignment=alignment, runner_up="", activation=5.0, class_id=0, relevance=0.02, n_classes=1
    )
    frame = frame.assign(
        share=[0.2 - 0.001 * i for i in range(count)], by_relevance=flagged, by_activation=flagged
    )
    write_table(folder / "hidden.parquet", frame, HIDDEN, LIMITS, {"components": components_id})
    rows = [(c, r, (3 * c + 5 * r) % POOL, 9.0 - r) for c in range(count) for r in range(images)]
    top = pd.DataFrame(rows, columns=["component", "rank", "image_id", "activation"])
    write_table(folder / "top.parquet", top, TOP_SAMPLES, {"count": 100}, {"codes": "c" * 64})
    return {
        "hidden": folder / "hidden.parquet",
        "components": components,
        "top_samples": folder / "top.parquet",
        **data,
        "dataset_root": str(folder / "images"),
        "variants": ["demo"],
        "random_weights": [False],
    }
