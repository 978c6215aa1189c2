"""What was tried against the failure cases of a variant, as a table; and the mended classifier, written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from reliance.base.artifacts import read_table
from reliance.base.commands import build
from reliance.base.errors import RelianceError
from reliance.explore.prompts import main_set
from reliance.explore.study import Study, open_study
from reliance.repair.export import Repaired, Sets, Tried, export_repair
from reliance.repair.schema import REPAIRS

FOLDER = "repair"  # of a variant, where stages of repair write


class Mended(NamedTuple):
    """Rows of the table of repairs, and the files that were written."""

    rows: list[dict[str, Any]]
    files: list[Path]


def mend(folder: Path, case: str | None = None, to: Path | None = None) -> Mended:
    """Read what was tried (for one case, or all) and write the export of it into `to`.

    Without `to`, that of all is the pipeline's own, in repaired/, and that of one case a folder in it.

    Raises RelianceError for a folder that is no variant, one whose repairs were not tried, or no such case.
    """
    study = open_study(folder)
    tried = Tried(folder / FOLDER / "repairs.parquet", folder / FOLDER / "repairs.safetensors")
    if not tried.repairs.is_file():
        raise RelianceError(
            tried.repairs,
            "repairs are tried before they are shown",
            found="no such file",
            allowed="the table of repairs of a variant with an SAE",
            next_step="make it: "
            + build(f"{folder.as_posix()}/repaired/classifier.safetensors", options=study.options),
        )
    home = to or folder / "repaired" / (case or "")
    written = Repaired(*(home / name for name in ("classifier.safetensors", "prompts.yaml", "edits.json")))
    _export(study, tried, written, case)
    frame = read_table(tried.repairs, REPAIRS).frame
    frame = frame if case is None else frame[frame["case_id"] == case]
    names = {int(c): study.class_label(int(c)) for c in frame["class_id"].unique()}
    rows = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    return Mended([{**row, "class": names[row["class_id"]]} for row in rows], [*written])


def mend_lines(found: Mended) -> Iterator[str]:
    """The table as text, a line per case and kind of repair; * is what is recommended."""
    yield f"{'case':22}{'repair':11}{'spurious AUC':>16}{'valid AUC':>16}{'accuracy':>16}  choice"
    last = ""
    for row in found.rows:
        if row["case_id"] != last:
            last = row["case_id"]
            yield f"{last}: {row['class']}, {row['kind']}"
        numbers = "".join(
            f"{row[f'before_{name}']:8.3f} ->{row[f'after_{name}']:5.3f}"
            for name in ("spurious", "valid", "top1")
        )
        yield f"{'*' if row['recommended'] else '':>21} {row['repair']:11}{numbers}  {row['choice']}"
    cases = {row["case_id"] for row in found.rows}
    done = {row["case_id"] for row in found.rows if row["recommended"]}
    yield f"{len(done)} of {len(cases)} cases have a repair that does the job; written: " + ", ".join(
        map(str, found.files)
    )


def _export(study: Study, tried: Tried, written: Repaired, case: str | None) -> None:
    own = tried.repairs.parent / "own_prompts.parquet"
    sets = {name: study.path("texts", name) for name in ("short", "templated", "extended", "both")}
    export_repair(
        tried=tried,
        sets=Sets(study.path("texts", main_set(study)), **sets, own=own if own.is_file() else None),
        classes=study.path("classes"),
        index=study.path("index"),
        embeddings=study.path("embeddings", "train"),
        repaired=written,
        only=case,
    )
