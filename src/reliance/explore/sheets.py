"""An answer laid out once, in blocks of rows with words, a bar and pictures: for terminal, page, figure."""

from typing import Any, NamedTuple

import numpy as np

from reliance.explore.briefs import Brief
from reliance.explore.cards import CaseCard, ClassCard
from reliance.explore.cells import fooling, number, percent, serving, sure
from reliance.explore.explain import Answer, Explained, UnitEffect
from reliance.explore.search import Found, Hit, ImageHit
from reliance.explore.unit import Name, Near, Unit
from reliance.naming.stability import said

Shown = tuple[str, int]  # an image: (split, image_id); split "" is the image that was handed over
WHERE = "where"  # in the place of a split: a map over an image, by its number


class Row(NamedTuple):
    """A line of a block."""

    cells: list[str]
    bar: float | None = None  # from -1 to 1
    pictures: list[Shown] = []  # noqa: RUF012 - never changed


class Block(NamedTuple):
    """A part of an answer."""

    title: str
    lead: list[str] = []  # noqa: RUF012 - sentences
    columns: list[str] = []  # noqa: RUF012 - of the rows' cells; the first two name the row
    rows: list[Row] = []  # noqa: RUF012
    pictures: list[tuple[Shown, str]] = []  # noqa: RUF012 - images with a caption each


class Sheet(NamedTuple):
    """An answer."""

    title: str
    lead: list[str]
    blocks: list[Block]
    notes: list[str]
    places: tuple[Any, ...] = ()  # maps over an image (where.Place), which blocks name as (WHERE, number)


def of_explanation(found: Explained, top: int) -> Sheet:
    """An image explained: a block per prompt."""
    picture = found.picture
    whose = f"{picture.title} for {', '.join(repr(answer.prompt) for answer in found.answers)}"
    if found.against:
        whose += f" against {found.against!r}"
    return Sheet(
        f"{found.variant}: {whose}",
        [picture.path] if picture.path else [],
        [_of_prompt(found, answer, top) for answer in found.answers],
        [*_legend(found), *found.notes],
    )


def _of_prompt(found: Explained, answer: Answer, top: int) -> Block:
    shown = answer.units[:top]
    most = max((abs(effect.ablation) for effect in shown), default=0.0) or 1.0
    less = f"y({answer.prompt}) - y({found.against})" if found.against else "y"
    lead = [f"{less} = {number(answer.y, 4)}{_usual(answer)}"]
    rest = f"without all {len(answer.units)} active units {less} is {number(answer.without, 4)}"
    lead.append(f"{rest}, of the SAE's error and the biases; of the biases alone {number(answer.bias, 4)}")
    if not found.against:
        lead.append("y is a cosine: effects and what is left are no parts that add up to it")
    if len(answer.units) > len(shown):
        lead.append(f"{len(answer.units) - len(shown)} more active units are not shown")
    columns = ["unit", "name", "sure", "effect", "share", "act x grad", "activation", "z", "alignment"]
    rows = [_of_effect(effect, found.about.get(effect.component), most) for effect in shown]
    title = repr(answer.prompt) + (f" (class {answer.class_id})" if answer.class_id >= 0 else "")
    return Block(title, lead, [*columns, "clarity", "serves", "case"], rows, [])


def _usual(answer: Answer) -> str:
    if not np.isfinite(answer.y_mean):
        return ""
    return f"; images of the class have {number(answer.y_mean, 3)} +- {number(answer.y_std, 3)}"


def _of_effect(effect: UnitEffect, about: Brief | None, most: float) -> Row:
    z = number(effect.z, 1) + (" unseen" if effect.unseen else "") if np.isfinite(effect.z) else ""
    known = (
        [number(about.alignment, 2), number(about.clarity, 2), serving(about.serves)] if about else [""] * 3
    )
    cases = about.cases if about else []
    own = [case for case in cases if case.failure_id == effect.case]  # of this prompt: the others less so
    cells = [
        str(effect.component),
        about.name if about else "",
        sure(about) if about else "",
        number(effect.ablation, 4, sign=True),
        percent(effect.share),
        number(effect.act_x_grad, 4, sign=True),
        number(effect.activation, 2),
        z,
        *known,
        fooling(own or cases) or effect.case,
    ]
    return Row(cells, effect.ablation / most, [("train", i) for i in about.examples] if about else [])


def _legend(found: Explained) -> list[str]:
    """What the columns mean."""
    lines = ["effect: y minus y without this unit, exact; share: of y; act x grad: its linearisation"]
    if any(np.isfinite(effect.z) for answer in found.answers for effect in answer.units):
        lines.append(
            "z: standard deviations above what images of the class usually have; above 3 is unexpected"
        )
    return lines


def of_unit(card: Unit) -> Sheet:
    """A unit on one card."""
    about = card.about
    lead = [
        f"alignment {number(about.alignment, 3)}, clarity {number(about.clarity, 3)}, fires on "
        f"{percent(about.firing_rate)} of the images, {number(about.top20_mean, 2)} on its strongest 20"
    ]
    if about.name and np.isfinite(about.confidence):
        toss = said(about.name, about.confidence, about.rival)
        holds = f"holds in {about.confidence:.0%} of draws of halves of its images and of the vocabulary"
        lead.append(f"its name {f'is {toss}' if toss else holds}")
    if about.cases:
        lead.append(f"stands behind the failure cases {fooling(about.cases)}")
    examples = [((card.split, image_id), number(value, 1)) for image_id, value in card.examples]
    blocks = [Block(f"Strongest images of {card.split}", [], [], [], examples)]
    if any(card.histogram):
        blocks.append(_of_histogram(card))
    lists = [
        ("Names, the best first", "alignment", card.names),
        ("Words that it pushes y towards", "B . t", card.words),
        ("Words that it pushes y away from", "B . t", card.against),
    ]
    blocks += [_of_names(title, what, names) for title, what, names in lists if names]
    if card.drives:
        most = max(abs(entry.share) for entry in card.drives)
        rows = [
            Row([str(s.class_id), s.name, percent(s.share), percent(s.rate)], s.share / most)
            for s in card.drives
        ]
        blocks.append(Block("Classes it serves", [], ["class", "name", "share of y", "fires on"], rows))
    near = (
        ("Nearest by decoder direction", "cosine", card.along),
        ("Fires on the same images", "share", card.beside),
    )
    blocks += [_of_near(title, what, units) for title, what, units in near if units]
    if card.elsewhere:
        columns = ["variant", "unit", "name", "correlation", "same"]
        rows = [
            Row(
                [e.variant, str(e.component), e.name, number(e.correlation, 3), _same(e.mutual, e.matched)],
                e.correlation,
            )
            for e in card.elsewhere
        ]
        same = ["the unit whose activations on the same images correlate most with its own"]
        blocks.append(Block("The same unit in other models", same, columns, rows))
    return Sheet(
        f"{card.variant}: unit {about.component}, {about.name or 'without a name'}", lead, blocks, card.notes
    )


def _same(mutual: bool, matched: bool) -> str:
    """Whether a unit elsewhere is the one that belongs to it."""
    return "each other's nearest" if mutual else "one to one" if matched else "nearest only"


def _of_histogram(card: Unit) -> Block:
    most = max(card.histogram)
    pairs = zip(card.histogram, card.edges, card.edges[1:], strict=False)
    rows = [Row([f"{number(a, 1)} to {number(b, 1)}", str(n)], n / most) for n, a, b in pairs]
    return Block("Activations where it fires, on train", [], ["activation", "images"], rows)


def _of_names(title: str, what: str, names: list[Name]) -> Block:
    most = max(abs(name.score) for name in names) or 1.0
    rows = [Row([name.text, number(name.score, 3, sign=True)], name.score / most) for name in names]
    return Block(title, [], ["name", what], rows)


def _of_near(title: str, what: str, units: list[Near]) -> Block:
    rows = [Row([str(u.component), u.name, number(u.score, 3), percent(u.usual)], u.score) for u in units]
    return Block(title, [], ["unit", "name", what, "of all images"], rows)


def of_search(variant: str, found: list[Found], least: bool) -> Sheet:
    """Units for texts."""
    blocks = []
    for entry in found:
        what = repr(entry.text) if entry.text else "the vocabulary"
        if entry.named:
            blocks.append(Block(f"Units with {what} in their name", [], _HITS, _of_hits(entry.named)))
        title = f"Units that look {'least' if least else 'most'} like {what}"
        blocks.append(Block(title, [], _HITS, _of_hits(entry.hits)))
    return Sheet(
        f"{variant}: search",
        [],
        blocks,
        ["alignment: with the text, or with the name that has it in it, by the labeller (Eq. 2)"],
    )


_HITS = ["unit", "name", "sure", "alignment", "clarity", "activation", "fires on", "serves", "case"]


def _of_hits(hits: list[Hit]) -> list[Row]:
    return [
        Row(
            [
                str(hit.about.component),
                hit.about.name,
                sure(hit.about),
                number(hit.alignment, 3, sign=True),
                number(hit.about.clarity, 2),
                number(hit.about.top20_mean, 2),
                percent(hit.about.firing_rate),
                serving(hit.about.serves),
                fooling(hit.about.cases),
            ],
            float(np.clip(hit.alignment, -1, 1)),
            [("train", i) for i in hit.about.examples],
        )
        for hit in hits
    ]


def of_images(variant: str, found: list[ImageHit]) -> Sheet:
    """Images for a text or an image."""
    shown = [((hit.split, hit.image_id), f"{number(hit.score, 3)} {hit.class_name}") for hit in found]
    rows = [Row([f"{h.split}:{h.image_id}", h.class_name, number(h.score, 4), h.path]) for h in found]
    block = Block("Nearest images", [], ["image", "class", "cosine", "path"], rows, shown)
    return Sheet(f"{variant}: images", [], [block], [])


def of_cases(variant: str, found: list[CaseCard]) -> Sheet:
    """Failure cases."""
    columns = ["case", "prompt", "kind", "unit", "name", "images", "score", "reviewed", "note"]
    rows = [
        Row(
            [
                card.failure_id,
                card.class_name,
                card.kind,
                str(card.component),
                card.unit_name,
                card.source,
                number(card.score, 2),
                card.reviewed,
                card.note,
            ],
            None,
            [(split, image_id) for _, split, image_id in card.images],
        )
        for card in found
    ]
    columns[5] = "source"
    return Sheet(
        f"{variant}: {len(found)} failure cases", [], [Block("Failure cases", [], columns, rows)], []
    )


def of_classes(variant: str, found: list[ClassCard]) -> Sheet:
    """Classes, or what one relies on."""
    if len(found) != 1:
        rows = [Row([str(c.class_id), c.short_name, c.full_name, fooling(c.cases)]) for c in found]
        block = Block("Classes", [], ["class", "name", "full name", "cases"], rows)
        return Sheet(f"{variant}: {len(found)} classes", [], [block], [])
    (card,) = found
    lead = (
        [f"y of its {card.n} images: {number(card.y_mean, 3)} +- {number(card.y_std, 3)}"] if card.n else []
    )
    expected = [
        Row(
            [str(e.component), e.name, percent(e.share), number(e.effect, 4), percent(e.rate)],
            float(np.clip(e.share, -1, 1)),
        )
        for e in card.expected
    ]
    unexpected = [
        Row([str(u.component), u.name, str(u.n_flagged), number(u.mean_relevance, 4), number(u.mean_z, 1)])
        for u in card.unexpected
    ]
    blocks = [
        Block(
            "Expected: what it relies on", [], ["unit", "name", "share of y", "effect", "fires on"], expected
        ),
        Block("Not expected: what fools it", [], ["unit", "name", "images", "mean", "mean z"], unexpected),
    ]
    if card.cases:
        lead.append(f"failure cases: {fooling(card.cases)}")
    return Sheet(f"{variant}: class {card.class_id}, {card.short_name}", lead, blocks, [])
