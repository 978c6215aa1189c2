"""Stage `report_repair`: the page of how failures are proved and mended."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import check_same, derived_stamp, hash_file, read_json, read_table
from reliance.figures.thumbnails import DATASET, Album, Pictured, Reading
from reliance.images.tables import CLASSES
from reliance.repair.export import KIND as EXPORT
from reliance.repair.export import SCHEMA as EXPORT_SCHEMA
from reliance.repair.findings import findings
from reliance.repair.group_data import KIND as GROUP_SCORES
from reliance.repair.group_data import SCHEMA as GROUPS_SCHEMA
from reliance.repair.schema import CASE_IMAGES, CASES, COVERAGE, PROOF, REPAIRS, SHARED, UNEXPLAINED
from reliance.report.claims import verdicts
from reliance.report.groups import attribute_grid, group_grid
from reliance.report.markup import Grid, markdown, picture
from reliance.report.page import write_page
from reliance.report.unlabelled import Strip, side_by_side

KIND, SCHEMA = "report_repair", 2
SHOWN, CLUSTERS, IMAGES, SIDE = 40, 12, 12, 64  # cases and unexplained clusters with pictures, images, pixels
TEMPLATE = Path(__file__).with_name("repair.html.j2")


class Tables(NamedTuple):
    """What was found on the way from failure to repair."""

    cases: Path
    proof: Path
    coverage: Path
    shared: Path
    unexplained: Path
    repairs: Path
    edits: Path
    classes: Path
    case_images: Path
    groups: Path | None = None  # of data with attributes


class Drawn(NamedTuple):
    """The figures of the page, PNG, and their captions, Markdown."""

    figures: list[Path]
    captions: list[Path]


class About(NamedTuple):
    """What the page says of the variant."""

    variant: str
    dataset_root: str


def report_repair(
    *,
    index: Path,
    tables: Tables,
    drawn: Drawn,
    html: Path,
    about: About,
    reading: Reading,
    template: Path = TEMPLATE,
) -> None:
    """Write the page (HTML). Raises RelianceError if a table is not of the same cases as another one."""
    cases, proof = read_table(tables.cases, CASES), read_table(tables.proof, PROOF)
    tried, covered = read_table(tables.repairs, REPAIRS), read_table(tables.coverage, COVERAGE)
    shared, left = read_table(tables.shared, SHARED), read_table(tables.unexplained, UNEXPLAINED)
    pictured = read_table(tables.case_images, CASE_IMAGES)
    check_same("cases", (tables.case_images, pictured.stamp.inputs["cases"]), (tables.cases, cases.stamp.id))
    edits, _ = read_json(tables.edits, EXPORT, EXPORT_SCHEMA)
    for path, other in ((tables.proof, proof), (tables.repairs, tried), (tables.coverage, covered)):
        check_same("cases", (path, other.stamp.inputs["cases"]), (tables.cases, cases.stamp.id))
    for path, part in ((tables.shared, shared), (tables.unexplained, left)):
        check_same("coverage", (path, part.stamp.inputs["coverage"]), (tables.coverage, covered.stamp.id))
    table = read_table(tables.classes, CLASSES)
    names = dict(zip(table.frame["class_id"].tolist(), table.frame["short_name"], strict=True))
    grouped = read_json(tables.groups, GROUP_SCORES, GROUPS_SCHEMA) if tables.groups else None
    if grouped and tables.groups:
        check_same("cases", (tables.groups, grouped[1].inputs["cases"]), (tables.cases, cases.stamp.id))
    album = Album(Pictured([DATASET], [index], [about.dataset_root]), reading)
    largest = left.frame.sort_values(["images", "class_id"], ascending=[False, True]).head(CLUSTERS)
    total = covered.frame[["confident", "explained", "alike", "shared"]].sum()
    values = {
        "variant": about.variant,
        "judged": edits["judged"],
        "verdicts": proof.frame["verdict"].value_counts().to_dict(),
        "mended": int(tried.frame.groupby("case_id")["recommended"].any().sum()),
        "listed": len(cases.frame),
        "flags": cases.stamp.params["flags"],
        "hit_too_rarely": cases.stamp.params["hit_too_rarely"],
        "contrastive": cases.stamp.params["contrastive"],
        "confident": int(total["confident"]),
        "covered": (total / max(total["confident"], 1)).to_dict(),
        "shared": shared_grid(shared.frame, names),
        "cases": case_grid(cases.frame, proof.frame, names),
        "repairs": repair_grid(tried.frame, names),
        "groups": group_grid(grouped[0], names, int(grouped[1].params["few"])) if grouped else None,
        "attributes": (attribute_grid(grouped[0], cases.frame, names) if grouped else None),
        "found": verdicts(findings(tried.frame)),
        "images": [picture(path) for path in drawn.figures],
        "captions": [markdown(path.read_text(encoding="utf-8").split("\n\n")[0]) for path in drawn.captions],
        "pictured": strips(shown(cases.frame, pictured.frame), names, album),
        "strips": strips(largest, names, album),
    }
    ids = {name: t.stamp.id for name, t in (("cases", cases), ("proof", proof), ("repairs", tried))}
    told = {**about._asdict(), **reading._asdict(), "template": hash_file(template)}
    ids |= {"coverage": covered.stamp.id, "shared": shared.stamp.id, "unexplained": left.stamp.id}
    ids |= {"groups": grouped[1].id} if grouped else {}
    write_page(template, values, html, derived_stamp(KIND, SCHEMA, told, ids))


def case_grid(cases: pd.DataFrame, proof: pd.DataFrame, names: dict[int, str]) -> Grid:
    """A row per case: what it is, and whether its latents carry it."""
    columns = [
        "case",
        "class",
        "kind",
        "stands out",
        "hit rate",
        "images",
        "they are",
        "they show",
        "carried",
        "y falls by",
    ]
    columns += ["by chance", "as long a change", "on the class", "spurious AUC without"]
    rows = []
    for row in cases.merge(proof.drop(columns="images"), on="case_id").to_dict("records"):
        what = f"{'latent' if row['level'] < 0 else 'family'} {row['component']}: {row['name'] or 'no name'}"
        numbers = [f"{row[k]:.3f}" for k in ("fall", "random_fall", "length_fall", "own_fall")]
        auc = f"{row['spurious_before']:.3f} → {row['spurious_after']:.3f}"
        said = [row["case_id"], names.get(row["class_id"], ""), row["kind"], what]
        said += [f"{row['hit_rate']:.0%} of {row['as_active']}", str(row["images"])]
        rows.append(
            [*said, ", ".join(row["classes"]), ", ".join(row["words"]), row["verdict"], *numbers, auc]
        )
    return Grid(columns, rows)


def repair_grid(tried: pd.DataFrame, names: dict[int, str]) -> Grid:
    """A row per case and kind of repair; what is recommended says so."""
    columns = [
        "case",
        "class",
        "kind",
        "repair",
        "what",
        "spurious AUC",
        "valid AUC",
        "class top-1",
        "top-1",
        "",
    ]
    rows = []
    for row in tried.to_dict("records"):
        pairs = [
            f"{row[f'before_{n}']:.3f} → {row[f'after_{n}']:.3f} ± {row[f'{n}_error']:.3f}"
            for n in ("spurious", "valid", "class_top1", "top1")
        ]
        last = "recommended" if row["recommended"] else "harms" if row["harms"] else ""
        about = [row["case_id"], names.get(row["class_id"], ""), row["kind"], row["repair"].replace("_", " ")]
        rows.append([*about, row["choice"], *pairs, last])
    return Grid(columns, rows)


def shared_grid(shared: pd.DataFrame, names: dict[int, str]) -> Grid:
    """A row per class and feature that images of others share with it, those of most images first."""
    columns = [
        "class",
        "feature",
        "images",
        "they are",
        "they show",
        "fires on the class",
        "on all",
        "by chance",
    ]
    rows = []
    order = shared.sort_values(["images", "class_id", "rank"], ascending=[False, True, True])
    for row in order.to_dict("records"):
        shares = [f"{row[name]:.0%}" for name in ("own", "usual", "by_chance")]
        said = [names.get(row["class_id"], ""), f"{row['component']}: {row['name'] or 'no name'}"]
        rows.append([*said, str(row["images"]), ", ".join(row["classes"]), ", ".join(row["words"]), *shares])
    return Grid(columns, rows)


def shown(cases: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """The cases of most relevance in their order, with some of their images: columns of UNEXPLAINED.

    cases : CASES. images : CASE_IMAGES.
    """
    chosen = cases.loc[cases["score"].nlargest(SHOWN).index.sort_values()]
    of_case = images.groupby("case_id")["image_id"].agg(list).to_dict()
    own = [of_case[case_id] for case_id in chosen["case_id"]]
    examples = [[ids[i] for i in np.unique(np.linspace(0, len(ids) - 1, IMAGES).astype(int))] for ids in own]
    words = [[f"by {name or 'no name'}"] for name in chosen["name"]]
    return chosen.assign(examples=pd.Series(examples, chosen.index), words=pd.Series(words, chosen.index))


def strips(chosen: pd.DataFrame, names: dict[int, str], album: Album) -> list[Strip]:
    """Groups of images that are taken for a class, with pictures. chosen : columns of UNEXPLAINED."""
    found: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in chosen.to_dict("records")]
    wanted = [(i, int(j)) for i, row in enumerate(found) for j in row["examples"][:IMAGES]]
    if not wanted:
        return []
    frame = pd.DataFrame(wanted, columns=["cluster", "image_id"]).assign(dataset=DATASET, split="train")
    samples = album.find(frame)
    drawn = album.thumbnails(samples, SIDE)
    shown = []
    for i, row in enumerate(found):
        places = np.flatnonzero(samples["cluster"] == i)
        squares = [pixels for pixels in (drawn[p].pixels for p in places) if pixels is not None]
        words = ", ".join(row["words"]) or "no word"
        title = f"{names.get(row['class_id'], '?')}: {row['images']} images, {words}"
        shown.append(Strip(title, side_by_side(squares), ", ".join(row["classes"])))
    return shown
