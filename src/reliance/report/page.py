"""Stage `report`: one self-contained page per variant, and its findings as a table of their own."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from reliance.base.artifacts import (
    Stamp,
    derived_stamp,
    hash_file,
    read_json,
    read_table,
    write_meta,
)
from reliance.base.claims import HELD, VERDICTS, Finding
from reliance.base.writing import atomic
from reliance.concepts.findings import clarity_findings
from reliance.concepts.findings import findings as interpretability_findings
from reliance.concepts.schema import ALIGNMENTS, HIDDEN
from reliance.failures.files import read_failures, read_samples
from reliance.faithfulness.findings import findings as faithfulness_findings
from reliance.faithfulness.schema import FAITHFULNESS
from reliance.figures.table import BY_NAME
from reliance.figures.table import sections as by_section
from reliance.images.tables import CLASSES, EXCLUDED, INDEX
from reliance.naming.table import COMPONENTS
from reliance.report import provenance, rows
from reliance.report.audits import AuditTables, audit_findings, headline, read_audit
from reliance.report.claims import count, verdicts, write_findings
from reliance.report.markup import Grid, data_uri, markdown, picture, read_grid
from reliance.robustness.findings import findings as robustness_findings
from reliance.robustness.summary import read_results
from reliance.units.sae.files import QUALITY_KIND, QUALITY_SCHEMA

KIND, SCHEMA = "report", 1
ROWS = 200  # rows of a table that the page shows
TEMPLATE = Path(__file__).with_name("page.html.j2")


class Shown(NamedTuple):
    """One figure or table of the paper, as it stands on the page."""

    name: str  # fig5
    title: str  # Figure 5
    image: str  # data URI; "" for a table
    caption: str  # HTML
    numbers: Grid
    csv: str  # data URI
    csv_name: str


class Tables(NamedTuple):
    """What every variant has."""

    robustness: pd.DataFrame  # with the columns of `summary.read_results`
    failures: pd.DataFrame
    samples: pd.DataFrame
    gone: list[str]  # reviewed cases that are no longer listed
    mined: pd.DataFrame  # components of the variant that mined
    images: pd.DataFrame  # split, image_id, class_id
    classes: pd.DataFrame
    excluded: pd.DataFrame
    weights: dict[str, Any]


class SaeTables(NamedTuple):
    """What only a variant with an SAE has."""

    components: pd.DataFrame
    neurons: pd.DataFrame
    pca: pd.DataFrame
    tested: pd.DataFrame  # components on the test split
    alignments: pd.DataFrame
    hidden: pd.DataFrame
    curves: pd.DataFrame
    quality: dict[str, Any]


def report(
    *,
    figures: Sequence[Path],
    captions: Sequence[Path],
    numbers: Sequence[Path],
    table1: Path,
    robustness: Path,
    failures: Path,
    failure_samples: Path,
    mined_components: Path,
    index: Path,
    classes: Path,
    excluded: Path,
    weights: Path,
    html: Path,
    findings: Path,
    variant: str,
    mined_by: str,
    configuration: Mapping[str, Any],
    random_weights: bool = False,
    components: Path | None = None,
    neurons: Path | None = None,
    pca: Path | None = None,
    tested: Path | None = None,
    alignments: Path | None = None,
    hidden: Path | None = None,
    faithfulness: Path | None = None,
    quality: Path | None = None,
    truth: Path | None = None,
    audit: Path | None = None,
    audit_accuracies: Path | None = None,
    audit_relevances: Path | None = None,
    note: str = "",
    left_out: Sequence[str] = (),
    benchmarks: str = "",
    owners: Sequence[str] = (),
    template: Path = TEMPLATE,
) -> None:
    """Write the page of a variant (HTML) and its findings (JSON).

    Parameters
    ----------
    figures, captions, numbers : PNG, Markdown and CSV of each figure, and last in `numbers` that of Table 1.
    table1 : Table 1 with its caption, Markdown.
    failures, failure_samples, mined_components : cases of the variant `mined_by`, and its components.
    components to quality : all given for a variant with an SAE, none for one without; `tested` are the
        components on the test split.
    left_out : figures that do not apply, for want of an SAE. note : what is to be known of the encoder.
    truth : the score against planted truth, if the data is planted and the variant mines.
    audit to audit_relevances : all given for a variant whose probe is audited.
    configuration : settings of the variant, shown as they are.
    benchmarks, owners : folder of job times, and the variant, encoders and data sets whose jobs are listed.
    template : Jinja template of the page.

    Raises RelianceError for an artifact that is not what it should be.
    """
    common = [robustness, failures, failure_samples, mined_components, index, classes, excluded, weights]
    given = (components, neurons, pca, tested, alignments, hidden, faithfulness, quality)
    own = [path for path in given if path]
    about_probe = [path for path in (audit, audit_accuracies, audit_relevances) if path]
    sources = [*common, *own, *([truth] if truth else []), *about_probe, *figures]
    shown = {"robustness": robustness, "failures": failures, "faithfulness": faithfulness, "tested": tested}
    shown |= {"components": components, "hidden": hidden, "audit": audit}
    provenance.check_figures(shown, figures)
    tables, sae = read_tables(common, variant), read_sae(own) if own else None
    audited = read_audit(*about_probe) if about_probe else None
    found = all_findings(tables, sae, audited)
    values = {
        "variant": variant,
        "mined_by": mined_by,
        "random_weights": random_weights,
        "note": note,
        "audit": headline(audited) if audited else "",
        "left_out": list(left_out),
        **tables_shown(tables, sae),
        **truth_shown(truth, tables),
        "found": {topic: verdicts(part) for topic, part in found.items()},
        "counts": {word: count(found, holds) for holds, word in VERDICTS.items()},
        "sections": sections(figures, captions, numbers, table1),
        "configuration": Grid(["key", "value"], provenance.settings_rows(configuration)),
        "artifacts": provenance.artifacts(sources),
        "versions": provenance.versions(),
        "times": provenance.times(Path(benchmarks), owners),
    }
    ids = {str(path): provenance.read_stamp(path).id for path in sources}
    told = {"variant": variant, "configuration": configuration, "template": hash_file(template)}
    stamp = derived_stamp(KIND, SCHEMA, told, ids)
    write_page(template, values, html, stamp)
    write_findings(findings, found, stamp)


def read_tables(paths: Sequence[Path], variant: str) -> Tables:
    """Read what every variant has, from the paths in the order of `report`'s arguments."""
    robustness, failures, samples, mined, index, classes, excluded, weights = paths
    return Tables(
        read_results([robustness], [variant]).frame,
        read_failures(failures)[0],
        read_samples(samples)[0],
        json.loads(Path(f"{failures}.meta.json").read_text()).get("gone", []),
        read_table(mined, COMPONENTS).frame,
        read_table(index, INDEX, columns=["split", "image_id", "class_id"]).frame,
        read_table(classes, CLASSES).frame,
        read_table(excluded, EXCLUDED).frame,
        json.loads(weights.read_text()),
    )


def read_sae(paths: Sequence[Path]) -> SaeTables:
    """Read the files of a variant's SAE, from the paths in the order of SaeTables."""
    *tables, quality = paths
    specs = (*[COMPONENTS] * 4, ALIGNMENTS, HIDDEN, FAITHFULNESS)
    a, b, c, d, e, f, g = (read_table(path, spec).frame for path, spec in zip(tables, specs, strict=True))
    return SaeTables(a, b, c, d, e, f, g, read_json(quality, QUALITY_KIND, QUALITY_SCHEMA)[0])


def all_findings(
    tables: Tables, sae: SaeTables | None, audit: AuditTables | None = None
) -> dict[str, list[Finding]]:
    """What the paper found, by topic, held against this variant's numbers."""
    found = {"Case study": audit_findings(audit)} if audit else {}
    found["Failure modes"] = robustness_findings(tables.robustness)
    if sae:
        found["Faithfulness"] = faithfulness_findings(sae.curves)
        compared = (sae.components, sae.neurons, sae.pca, sae.alignments)
        found["Interpretability"] = [*interpretability_findings(*compared), *clarity_findings(sae.tested)]
    return found


def tables_shown(tables: Tables, sae: SaeTables | None) -> dict[str, Any]:
    """The page's own tables and facts."""
    kinds = tables.failures["kind"].value_counts()
    cases = rows.case_rows(
        tables.failures, tables.samples, tables.images, tables.classes, tables.mined, tables.robustness
    )
    return {
        "facts": facts(tables, sae),
        "kinds": {rows.KINDS[str(kind)]: int(n) for kind, n in kinds.items()},
        "gone": tables.gone,
        "cases": cases,
        "strongest": cases.rows[0] if cases.rows else None,
        "hidden": rows.hidden_rows(sae.hidden, tables.classes, ROWS) if sae else None,
        "components": rows.component_rows(sae.components, ROWS) if sae else None,
    }


def truth_shown(truth: Path | None, tables: Tables) -> dict[str, Any]:
    """The score against planted truth, if there is one, and what was missed."""
    if truth is None:
        return {"truth": None, "misses": []}
    record = json.loads(truth.read_text())
    misses = rows.truth_misses(record, tables.classes, tables.failures)
    return {"truth": rows.truth_rows(record), "misses": misses}


def facts(tables: Tables, sae: SaeTables | None) -> list[tuple[str, str]]:
    """What the page is about, in a few pairs of a name and a value."""
    counts = ", ".join(f"{n:,} {split}" for split, n in tables.images["split"].value_counts().items())
    unreadable = f", {len(tables.excluded)} unreadable" if len(tables.excluded) else ""
    encoder, architecture = tables.weights["encoder"], tables.weights["architecture"]
    listed = [
        ("images", f"{counts}{unreadable}, {len(tables.classes)} classes"),
        ("encoder", encoder if architecture == "from-file" else f"{encoder} ({architecture})"),
    ]
    if sae:
        named = int((sae.components["label"] != "").sum())
        measured = str(sae.quality["data"]).replace("_", " ")
        listed += [
            ("latents", f"{len(sae.components):,}, of which {named:,} fire often enough to be named"),
            ("active per image", f"{sae.quality['l0']:.1f}"),
            ("explained variance", f"{sae.quality['explained_variance']:.3f} on {measured} images"),
            ("cosine of reconstruction", f"{sae.quality['cosine']:.3f}"),
        ]
    return listed


def sections(
    figures: Sequence[Path], captions: Sequence[Path], numbers: Sequence[Path], table1: Path
) -> dict[str, list[Shown]]:
    """The figures that were given, by topic; without the findings, which the page has once."""
    shown = {"table1": _shown("table1", "", table1, numbers[-1])}
    for png, caption, csv in zip(figures, captions, numbers, strict=False):
        shown[png.stem] = _shown(png.stem, picture(png), caption, csv)
    topics = {
        topic: [shown[name] for name in names if name in shown] for topic, names in by_section().items()
    }
    return {topic: part for topic, part in topics.items() if part}


def write_page(template: Path, values: Mapping[str, Any], html: Path, stamp: Stamp) -> None:
    """Fill the template; everything that is not marked as HTML is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(template.read_text(encoding="utf-8")).render(values)
    with atomic(html) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_meta(html, stamp)


def _shown(name: str, image: str, caption: Path, csv: Path) -> Shown:
    words = markdown(caption.read_text(encoding="utf-8").split(HELD)[0])
    return Shown(
        name, BY_NAME[name].heading, image, words, read_grid(csv, ROWS), data_uri(csv, "text/csv"), csv.name
    )
