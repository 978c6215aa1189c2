"""Stage `report`: one self-contained page per variant, and its findings as a table of their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from reliance.audits.doubts import doubts
from reliance.audits.findings import findings as audit_findings
from reliance.base.artifacts import (
    Stamp,
    derived_stamp,
    hash_file,
    write_meta,
)
from reliance.base.claims import HELD, VERDICTS, Finding
from reliance.base.stamps import read_stamp
from reliance.base.writing import atomic
from reliance.concepts.findings import BASES, clarity_findings
from reliance.concepts.findings import findings as interpretability_findings
from reliance.config.stages import AuditSettings
from reliance.explore.tables import Tables
from reliance.failures.case_list import CHANCE
from reliance.faithfulness.findings import findings as faithfulness_findings
from reliance.figures.table import BY_NAME, sections
from reliance.report import provenance, rows
from reliance.report.audits import headline
from reliance.report.claims import count, verdicts, write_findings
from reliance.report.data import known_of_data
from reliance.report.markup import Grid, data_uri, markdown, picture, read_grid
from reliance.report.names import names_doubts
from reliance.report.opening import opening, strong
from reliance.robustness.findings import findings as robustness_findings

KIND, SCHEMA = "report", 2
ROWS = 200  # rows of a table that the page shows
BY_DEFAULT = AuditSettings.model_fields["intervention"].default.model_dump()
NOT_ASKED = (
    "More and less red is the change that is made by default (audit.intervention): a shortcut of another "
    "kind does not show in it."
)
GALLERIES = ("cases", "hidden concepts")  # what figures of pictures are drawn from
PAPER_COLUMNS = {
    "statement": "number",
    "where": "where",
    "paper": "the paper saw",
    "paper_error": "± (paper)",
    "here": "here",
    "here_error": "± (here)",
    "difference_in_errors": "difference in errors",
    "same": "same setting",
    "caveat": "to be known",
}
TEMPLATE = Path(__file__).with_name("page.html.j2")


class Exhibit(NamedTuple):
    """One figure or table of the paper, as it stands on the page."""

    name: str  # fig5
    title: str  # Figure 5
    image: str  # data URI; "" for a table
    gallery: bool  # pictures, which take all the width there is
    caption: str  # HTML
    numbers: Grid
    csv: str  # data URI
    csv_name: str


class Sheets(NamedTuple):
    """The figures of the page."""

    figures: Sequence[Path]  # PNG
    captions: Sequence[Path]  # Markdown of each
    numbers: Sequence[Path]  # CSV of each, and last that of Table 1
    table1: Path  # with its caption, Markdown


class Everyone(NamedTuple):
    """Tables that every variant has; cases are those of the variant that mined them."""

    robustness: Path
    failures: Path
    failure_samples: Path
    mined_components: Path
    classes: Path
    excluded: Path
    weights: Path
    checked: Path  # what the variant needs and its data set has not
    text: Path  # prompts of the classes
    zero_shot: Path  # how often they win
    paper: Path  # the numbers of the paper's text beside the variant's


class OfSae(NamedTuple):
    """Tables that a variant with an SAE has."""

    components: Path
    neurons: Path
    pca: Path
    random: Path
    untrained: Path
    tested: Path  # components on the test split
    alignments: Path
    hidden: Path
    name_stability: Path
    faithfulness: Path
    quality: Path


class OfAudit(NamedTuple):
    """Tables of a variant whose probe is audited."""

    audit: Path
    audit_accuracies: Path
    audit_relevances: Path


class About(NamedTuple):
    """What the page says of the variant itself."""

    variant: str
    mined_by: str  # the variant whose cases are shown
    configuration: Mapping[str, Any]  # shown as it is
    prompt_set: str = "short"  # which prompts cases are mined for
    random_weights: bool = False
    note: str = ""  # what is to be known of the encoder
    left_out: Sequence[str] = ()  # figures that do not apply, for want of an SAE


class Jobs(NamedTuple):
    """Whose times are listed, and what was typed to have them run."""

    benchmarks: str = ""  # folder of job times
    owners: Sequence[str] = ()  # the variant, encoders and data sets
    command: str = ""  # "": it is not known


NO_JOBS = Jobs()
ORDER = (*Everyone._fields[:4], "index", *Everyone._fields[4:], *OfSae._fields, "truth", *OfAudit._fields)


def report(
    *,
    sheets: Sheets,
    tables: Everyone,
    index: Path,
    html: Path,
    findings: Path,
    about: About,
    of_sae: OfSae | None = None,
    of_audit: OfAudit | None = None,
    truth: Path | None = None,
    jobs: Jobs = NO_JOBS,
    template: Path = TEMPLATE,
) -> None:
    """Write the page of a variant (HTML) and its findings (JSON).

    Parameters
    ----------
    template : Jinja template of the page.
    truth : the score against planted truth, if the data is planted and the variant mines.

    Raises RelianceError for an artifact that is not what it should be.
    """
    given = {"index": index, **({"truth": truth} if truth else {})}
    given |= tables._asdict()
    given |= of_sae._asdict() if of_sae else {}
    given |= of_audit._asdict() if of_audit else {}
    study = Tables(given, about.variant)
    provenance.check_figures(study, sheets.figures)
    sources = [*(study.path(name) for name in ORDER if name in given), *sheets.figures]
    found, site = all_findings(study), about.configuration["variant"]["site"]
    values = {
        "variant": about.variant,
        "mined_by": about.mined_by,
        "random_weights": about.random_weights,
        "note": about.note,
        "known": known_of_data(study),
        **audit_shown(study, about.configuration["audit"]),
        "names_doubts": names_doubts(study, about.configuration["variant"], about.prompt_set),
        "left_out": list(about.left_out),
        **provenance.commands(jobs.command, about.variant),
        "opening": opening(study, about.configuration["sae"], about.prompt_set, about.mined_by, site),
        **tables_shown(study),
        **truth_shown(study),
        "found": {topic: verdicts(part) for topic, part in found.items()},
        "chance": CHANCE,
        **paper_shown(study.path("paper")),
        "counts": {word: count(found, holds) for holds, word in VERDICTS.items()},
        "sections": exhibits(sheets),
        "configuration": Grid(["key", "value"], provenance.settings_rows(about.configuration)),
        "artifacts": provenance.artifacts(sources),
        "versions": provenance.versions(),
        "times": provenance.times(Path(jobs.benchmarks), jobs.owners),
    }
    ids = {str(path): read_stamp(path).id for path in sources}
    told = {"variant": about.variant, "configuration": about.configuration, "template": hash_file(template)}
    stamp = derived_stamp(KIND, SCHEMA, told, ids)
    write_page(template, values, html, stamp)
    write_findings(findings, found, stamp)


def all_findings(study: Tables) -> dict[str, list[Finding]]:
    """What the paper found, by topic, held against this variant's numbers."""
    found = {}
    if study.has("audit"):
        found["Case study"] = audit_findings(study.audit_accuracies, study.audit_relevances, study.audit)
    found["Failure modes"] = robustness_findings(study.robustness)
    if study.has("components"):
        found["Faithfulness"] = faithfulness_findings(study.faithfulness)
        others = {name: study.basis(name) for name in BASES}
        compared = interpretability_findings(study.components, others, study.alignments)
        found["Interpretability"] = [*compared, *clarity_findings(study.tested)]
    return found


def audit_shown(study: Tables, settings: Mapping[str, Any] | str = "none") -> dict[str, Any]:
    """The outcome of the audit, and why it may say nothing, if there was one; settings : its section."""
    if not study.has("audit"):
        return {"audit": "", "audit_doubts": []}
    about, accuracies = study.audit, study.audit_accuracies
    said = headline(about, accuracies)
    if isinstance(settings, Mapping) and settings.get("intervention") == BY_DEFAULT:
        said += f" {NOT_ASKED}"
    return {"audit": said, "audit_doubts": doubts(accuracies, about).all}


def tables_shown(study: Tables) -> dict[str, Any]:
    """The page's own tables and facts."""
    own, sure = study.has("components"), strong(study.failures)
    return {
        "gone": study.gone,
        "cases": rows.case_rows(study, sure),
        "weak_cases": rows.case_rows(study, study.failures.drop(sure.index)),
        "hidden": rows.hidden_rows(study.hidden, study.class_names, ROWS) if own else None,
        "components": rows.component_rows(study.components, study.name_stability, ROWS) if own else None,
    }


def paper_shown(csv: Path) -> dict[str, Any]:
    """The paper's numbers beside those that the variant has; whether any is of this very model and data."""
    grid = read_grid(csv, ROWS)
    places = [grid.columns.index(name) for name in PAPER_COLUMNS]
    shown = [[_short(row[i]) for i in places] for row in grid.rows if row[grid.columns.index("here")]]
    same = any(row[grid.columns.index("same")] == "yes" for row in grid.rows)
    return {"paper": Grid([*PAPER_COLUMNS.values()], shown), "paper_same": same}


def _short(cell: str) -> str:
    """A number of a CSV to three digits, whole from a thousand on; words as they are."""
    try:
        value = float(cell)
    except ValueError:
        return cell
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def truth_shown(study: Tables) -> dict[str, Any]:
    """The score against planted truth, if there is one, and what was missed."""
    if not study.has("truth"):
        return {"truth": None, "misses": []}
    misses = rows.truth_misses(study.truth, study.class_names, study.failures)
    return {"truth": rows.truth_rows(study.truth), "misses": misses}


def exhibits(sheets: Sheets) -> dict[str, list[Exhibit]]:
    """The figures that were given, by section; without the findings, which the page has once."""
    shown = {"table1": _exhibit("table1", "", sheets.table1, sheets.numbers[-1])}
    for png, caption, csv in zip(sheets.figures, sheets.captions, sheets.numbers, strict=False):
        shown[png.stem] = _exhibit(png.stem, picture(png), caption, csv)
    found = {name: [shown[f] for f in listed if f in shown] for name, listed in sections().items()}
    return {name: part for name, part in found.items() if part}


def write_page(template: Path, values: Mapping[str, Any], html: Path, stamp: Stamp) -> None:
    """Fill the template; everything that is not marked as HTML is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(template.read_text(encoding="utf-8")).render(values)
    with atomic(html) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_meta(html, stamp)


def _exhibit(name: str, image: str, caption: Path, csv: Path) -> Exhibit:
    row = BY_NAME[name]
    words = markdown(caption.read_text(encoding="utf-8").split(HELD)[0])
    return Exhibit(
        name,
        row.heading,
        image,
        row.reads in GALLERIES,
        words,
        read_grid(csv, ROWS),
        data_uri(csv, "text/csv"),
        csv.name,
    )
