"""Galleries of failure cases by kind (Figs. 12 and 13): what text-image probing takes for a class."""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reliance.base.artifacts import derived_stamp
from reliance.base.failure_kinds import OWN_KINDS
from reliance.figures import style
from reliance.figures.failures.lists import Cases, ExternalLists, Lists, locate_cases, read_cases
from reliance.figures.gallery import Cell, Grid, Run, Section, draw_gallery, look
from reliance.figures.mapped import Source, with_maps
from reliance.figures.sheet import Sheet, Shown
from reliance.figures.thumbnails import AS_STORED, DRAWN, Album, Pictured, Reading, Thumbnail

SCHEMA = 1
PROBE = "short"  # the prompts whose spurious AUC is shown
ROWS = 2  # of thumbnails in a cell
SOURCES = {"mined": "mined", "neuhaus": "Neuhaus et al.", "user": "own list"}
COLUMNS = ["failure_id", "kind", "source", "class_id", "short_name", "number", "component", "label"]
COLUMNS += ["score", "spurious_auc", "n_images"]
IMAGE_COLUMNS = ["place", "dataset", "split", "image_id", "path", "relevance", "y", "z", "drawn"]
CONTENT = (
    "Each block shows images that are not of the class in quotes, but taken for it. Mined cases: images with "
    "a high output for its prompt in which the latent (#, with its label) stands out, the most relevant "
    "first; score: mean relevance times flagged images. Spurious AUC: area under the ROC curve that tells "
    "the images of the class from all images of the case by the output of {variant} for the short name "
    "(chance: 0.5)."
)


OUTLINED = "In images of mined cases the patch is outlined on which the latent is strongest."


class Subject(NamedTuple):
    """What a gallery is about."""

    number: int  # of the figure
    title: str
    kinds: tuple[str, ...]  # those that the paper does not have are left out if there is no such case


class Mined(NamedTuple):
    """How cases were mined; said in the caption."""

    mined_by: str  # variant
    prompt_set: str


class Counts(NamedTuple):
    """How many are shown at most."""

    cases_per_kind: int = 6
    images_per_case: int = 16


NO_LISTS, ALL = ExternalLists(), Counts()


def failure_gallery(
    subject: Subject,
    *,
    files: Cases,
    pictured: Pictured,
    mined: Mined,
    shown: Shown,
    sheet: Sheet,
    external: ExternalLists = NO_LISTS,
    counts: Counts = ALL,
    reading: Reading = AS_STORED,
    source: Source | None = None,
) -> None:
    """Draw the cases of some kinds, mined and from external lists, without planted ones.

    shown : the one variant whose benchmark is told. source : draw maps of the latents over images of mined
        cases; of the variant that mined.

    Raises RelianceError if artifacts do not belong together or the images of a data set are gone.
    """
    lists = read_cases(files, external, variant=shown.variants[0], probe=PROBE)
    album = Album(pictured, reading)
    present = set(lists.cases["kind"])
    kinds = [kind for kind in subject.kinds if kind not in OWN_KINDS or kind in present]
    cases = pd.concat([choose(lists.cases, kind, counts.cases_per_kind) for kind in kinds])
    found = locate_cases(cases, lists, album, counts.images_per_case)
    cases = cases.reset_index(drop=True)
    grid = Grid(beside=1, columns=2, across=max(1, -(-counts.images_per_case // ROWS)))
    pictures = album.thumbnails(found, grid.side)
    said = _content(lists, kinds, cases, pictures, shown, mined)
    if lists.codes:
        said += f" {OUTLINED}"
    ids = {**lists.ids, **album.ids}
    if source:
        mapping = with_maps(pictures, found, album, source)
        pictures, said, ids = mapping.pictures, f"{said} {mapping.meaning}", {**ids, **mapping.ids}
    params = {"heading": shown.heading, "caption": said, "images_per_case": counts.images_per_case}
    params |= {"drawn": [picture.drawn for picture in pictures], **reading._asdict()}
    params |= {"external_sources": list(external.external_sources)}
    with look():
        sections = [_section(kind, lists.cases, cases, found, pictures) for kind in kinds]
        sheet.write(
            draw_gallery(sections, grid, shown.heading),
            numbers_of(cases, found, pictures),
            derived_stamp(f"fig{subject.number}", SCHEMA, params, ids),
            f"**Figure {subject.number}. {subject.title}: {shown.heading}.** {said}",
        )


def choose(cases: pd.DataFrame, kind: str, most: int) -> pd.DataFrame:
    """The cases of a kind that are shown: mined ones by score, then those of external lists in their order.

    External cases get the places that mined ones leave, at least half of them (rounded down) if there
    are that many.
    """
    own = cases[cases["kind"] == kind]
    mined = own[~own["external"]].sort_values("score", ascending=False, kind="stable")
    external = own[own["external"]]
    places = min(len(external), max(most // 2, most - len(mined)))
    return pd.concat([mined[: most - places], external[:places]])


def numbers_of(shown: pd.DataFrame, found: pd.DataFrame, pictures: Sequence[Thumbnail]) -> pd.DataFrame:
    """One row per image that is shown, case by case, the first in reading order first."""
    images = found.assign(drawn=[picture.drawn for picture in pictures])
    images["place"] = images.groupby("case").cumcount() + 1
    cases = shown[COLUMNS].assign(case=range(len(shown)))
    return images.merge(cases, on="case")[[*COLUMNS, *IMAGE_COLUMNS]]


def _section(
    kind: str,
    cases: pd.DataFrame,
    shown: pd.DataFrame,
    found: pd.DataFrame,
    pictures: Sequence[Thumbnail],
) -> Section:
    look = style.FAILURES[kind]
    places = found.groupby("case").indices
    cells = [
        Cell(_lines(case), [pictures[i] for i in places.get(row, ())])
        for row, case in zip(shown.index, shown.to_dict("records"), strict=True)
        if case["kind"] == kind
    ]
    return Section(look.label, _count(cases, shown, kind), look.color, cells, "no case found")


def _lines(case: Mapping[Hashable, object]) -> list[list[Run]]:
    """What is said above the images of a case."""
    external = bool(case["external"])
    first = [
        Run(f"“{case['short_name']}”  ", bold=True, most=0.6),
        Run(f"#{case['number']}  "),
        Run(str(case["label"]), style.MUTED),
    ]
    score, auc = float(str(case["score"])), float(str(case["spurious_auc"]))
    facts = [] if np.isnan(score) else [f"score {score:.3g}"]
    facts += [f"spurious AUC {'not defined' if np.isnan(auc) else f'{auc:.2f}'}"]
    facts += [f"{case['n_images']} image{'' if case['n_images'] == 1 else 's'}"]
    source = SOURCES[str(case["source"])]
    second = [
        Run(source, style.INK if external else style.MUTED),
        Run(f" · {' · '.join(facts)}", style.MUTED),
    ]
    return [first, second]


def _count(cases: pd.DataFrame, shown: pd.DataFrame, kind: str) -> str:
    """How many cases there are and how many are shown, by source if there are several."""
    every, some = (frame.loc[frame["kind"] == kind, "source"] for frame in (cases, shown))
    if every.empty:
        return ""
    parts = []
    for source in dict.fromkeys(every):
        n, m = int((some == source).sum()), int((every == source).sum())
        name = f" {SOURCES[source]}" if every.nunique() > 1 else ""
        parts.append(f"{f'{n} of {m}' if n < m else m}{name}")
    return f"{', '.join(parts)} case{'' if len(every) == 1 else 's'}"


def _content(
    lists: Lists,
    kinds: Sequence[str],
    shown: pd.DataFrame,
    pictures: Sequence[Thumbnail],
    about: Shown,
    mined: Mined,
) -> str:
    """The caption after its title."""
    counts = [(style.FAILURES[k].label.lower(), _count(lists.cases, shown, k) or "no case") for k in kinds]
    said = [CONTENT.format(variant=about.variants[0])]
    said.append(f"Mined by {mined.mined_by} from its output for the prompts '{mined.prompt_set}'.")
    said.append(f"Shown: {'; '.join(f'{name}: {count}' for name, count in counts)}.")
    said.append(f"Reviewed by a person: {int((shown['reviewed'] == 'yes').sum())} of {len(shown)} cases.")
    cut = [kind for kind in kinds if (lists.cases["kind"] == kind).sum() > (shown["kind"] == kind).sum()]
    external = lists.cases[lists.cases["external"]]
    if cut:
        rule = "Of more cases than fit, the mined ones with the highest score are shown"
        half = ", and those of other lists, in their order, in at least half of the places"
        said.append(f"{rule}{half if external['kind'].isin(cut).any() else ''}.")
    if external["kind"].isin(kinds).any():
        names = ", ".join(SOURCES[source] for source in dict.fromkeys(external["source"]))
        said.append(
            f"Cases from elsewhere ({names}) stand after the mined ones, their images in the order of the "
            f"list; their numbers are above those of the latents, from #{lists.latents + 1}, and what their "
            "list notes of them stands in place of a label."
        )
    gone = sum(picture.drawn != DRAWN for picture in pictures)
    if gone:
        said.append(f"Empty frames: {gone} of {len(pictures)} images could not be drawn.")
    if about.skipped_lists:
        said.append(f"Lists without a folder or tables were skipped: {', '.join(about.skipped_lists)}.")
    return " ".join(said)
