"""The table of figures: one row makes a figure's rule, its comparison, its place on the page and in the docs.

A new figure is one module with its function, and one row here. Rows stand as the page shows them.
"""

import re
import sys
from collections.abc import Iterable
from typing import Literal, NamedTuple


class Row(NamedTuple):
    """One figure or table of a variant, and of a comparison of several if it compares."""

    name: str  # of the rule, and of the files
    entry: str  # "package.module:function"
    title: str
    section: str  # of the page
    category: str  # of Snakemake's report
    reads: str  # what it is drawn from: a group of inputs and settings, in plan/figures.py
    about: str  # one line for the documentation
    of: Literal["cases", "sae", "audit", "lens", "masks", "misleading", "repair"] = "sae"  # which have it
    shows: str = ""  # the table of the page that it shows, by its name there
    compares: bool = False  # whether several variants stand side by side in results/compare/
    table: bool = False  # text and numbers (Markdown, CSV) rather than a figure
    alone: bool = True  # whether a variant has it by itself; else only comparisons do

    @property
    def heading(self) -> str:
        """Its title in full."""
        return self.title.replace("Fig.", "Figure")


_CASES, _SAE, INSIDE = "Pictures of the cases", "Interpretability", "Inside the encoder"
_MENDED = "reliance.figures.repair"
_INSIDE: tuple[tuple[str, str, Literal["lens", "masks", "misleading"], str], ...] = (
    ("selectivity", "lens", "lens", "accuracy without a block's neurons where they are significant, or not"),
    ("direction", "neurons of the lens", "lens", "share of a neuron's effects along one direction; polysemy"),
    ("layers", "lens", "lens", "accuracy without effects of each block's neurons, and along one direction"),
    ("words", "lens", "lens", "accuracy with directions written as m words"),
    ("segmentation", "segmentations", "masks", "segmentation of the class that wins, by neurons and others"),
    ("pictures", "segmented pictures", "masks", "some pictures, their masks, and the heat of each method"),
    ("adversarial", "misleading pictures", "misleading", "how often pictures with misleading words succeed"),
)

FIGURES = (
    Row(
        "fig6",
        "reliance.figures.audits.fig6:fig6",
        "Fig. 6",
        "Case study",
        "Case study",
        reads="audited images",
        of="audit",
        shows="audit",
        about="what a linear probe relies on, and whether that is a shortcut: plain and repaired",
    ),
    Row(
        "fig15",
        "reliance.figures.audits.fig15:fig15",
        "Fig. 15",
        "Case study",
        "Case study",
        reads="audit",
        of="audit",
        shows="audit",
        about="how strong an augmentation makes a linear probe robust",
    ),
    Row(
        "fig12",
        "reliance.figures.failures.fig12:fig12",
        "Fig. 12",
        _CASES,
        "Robustness",
        reads="cases",
        of="cases",
        shows="failures",
        about="images that a prompt is mistaken for: polysemous words and compound nouns",
    ),
    Row(
        "fig13",
        "reliance.figures.failures.fig13:fig13",
        "Fig. 13",
        _CASES,
        "Robustness",
        reads="cases",
        of="cases",
        shows="failures",
        about="the same for typography, spurious correlations and others",
    ),
    Row(
        "fig5",
        "reliance.figures.robustness.fig5:fig5",
        "Fig. 5",
        "Failure modes",
        "Robustness",
        reads="robustness",
        of="cases",
        shows="robustness",
        compares=True,
        about="spurious and valid AUC per kind of failure: text prompts against a linear probe",
    ),
    Row(
        "fig14",
        "reliance.figures.robustness.fig14:fig14",
        "Fig. 14",
        "Failure modes",
        "Robustness",
        reads="robustness",
        of="cases",
        shows="robustness",
        compares=True,
        about="Fig. 5 in detail: every prompt set with its standard error",
    ),
    Row(
        "persisting",
        "reliance.figures.failures.persisting:persisting",
        "Failures across models",
        "Failure modes",
        "Robustness",
        reads="persistence",
        shows="failures",
        compares=True,
        alone=False,
        about="failures that persist from one model to another, and those that one has alone",
    ),
    Row(
        "table1",
        "reliance.figures.robustness.table1:table1",
        "Table 1",
        "Failure modes",
        "Robustness",
        reads="robustness",
        of="cases",
        shows="robustness",
        table=True,
        about="what richer prompts change, paired over cases",
    ),
    *(
        Row(n, f"{_MENDED}.{n}:{n}", title, "Failure modes", "Robustness", n, about, "repair", "failures")
        for n, title, about in (
            ("repairs", "Repairs", "five kinds of repair per failure, before and after, and what each costs"),
            ("coverage", "Coverage", "how many of all images mistaken for a class the failure cases explain"),
        )
    ),
    Row(
        "fig3",
        "reliance.figures.faithfulness.fig3:fig3",
        "Fig. 3",
        "Faithfulness",
        "Faithfulness",
        reads="curves",
        shows="faithfulness",
        about="deletion and insertion of the most relevant latents",
    ),
    Row(
        "fig3b",
        "reliance.figures.faithfulness.fig3b:fig3b",
        "Fig. 3b",
        "Faithfulness",
        "Faithfulness",
        reads="curves of bases",
        shows="faithfulness",
        about="the same for the latents of the SAE, principal axes and neurons side by side",
    ),
    Row(
        "fig7",
        "reliance.figures.faithfulness.fig7:fig7",
        "Fig. 7",
        "Faithfulness",
        "Faithfulness",
        reads="curves",
        shows="faithfulness",
        compares=True,
        about="Fig. 3 for all models, or one model in detail",
    ),
    Row(
        "fig8",
        "reliance.figures.faithfulness.fig8:fig8",
        "Fig. 8",
        "Faithfulness",
        "Faithfulness",
        reads="curves",
        shows="faithfulness",
        compares=True,
        about="deletion with a random reference set",
    ),
    Row(
        "fig4",
        "reliance.figures.concepts.fig4:fig4",
        "Fig. 4",
        _SAE,
        _SAE,
        reads="bases",
        shows="components",
        compares=True,
        about="clarity, unique concepts and alignments of components",
    ),
    Row(
        "overview",
        "reliance.figures.concepts.overview:overview",
        "Overview",
        _SAE,
        _SAE,
        reads="overview",
        compares=True,
        alone=False,
        about="clarity, concepts, alignment, faithfulness, failures: a row per variant, by layer, size, ...",
    ),
    Row(
        "fig9",
        "reliance.figures.concepts.fig9:fig9",
        "Fig. 9",
        _SAE,
        _SAE,
        reads="tested components",
        shows="tested",
        compares=True,
        about="clarity of components against how strongly and how often they fire",
    ),
    *(
        Row(
            f"fig{n}",
            f"reliance.figures.concepts.fig{n}:fig{n}",
            f"Fig. {n}",
            _SAE,
            _SAE,
            reads="hidden concepts",
            shows="hidden",
            about=f"components that {what} and that no name describes, by clarity",
        )
        for n, what in ((10, "are strong"), (11, "drive a class"))
    ),
    *(
        Row(
            f"lens_{name}",
            f"reliance.figures.lens.lens_{name}:lens_{name}",
            f"Lens: {name}",
            INSIDE,
            INSIDE,
            reads=reads,
            of=of,
            shows="lens",
            about=about,
        )
        for name, reads, of, about in _INSIDE
    ),
)
BY_NAME = {row.name: row for row in FIGURES}


def sections() -> dict[str, list[str]]:
    """The figures and tables of every section of a variant's page, in its order."""
    found: dict[str, list[str]] = {}
    for row in FIGURES:
        if row.alone and row.of != "repair":  # these have a page of their own
            found.setdefault(row.section, []).append(row.name)
    return found


def numbered(rows: Iterable[Row]) -> list[Row]:
    """Rows in the order of their numbers, those without one last."""
    return sorted(
        rows, key=lambda row: [int(n) if n.isdigit() else 0 for n in re.findall(r"\d+", row.name)] or [99]
    )


def markdown() -> str:
    """The documentation of all figures."""
    lines = [
        "# Figures and tables",
        "",
        "Each lies in `results/{variant}/`, with a preview (PNG), the numbers behind it (CSV), its caption;",
        "those that compare several variants lie in `results/compare/{comparison}/` too (`only`: only",
        "there). Written by `python -m reliance.figures.table > docs/figures.md` from the table of figures.",
        "",
        "| | shows | of | compares |",
        "|---|---|---|---|",
    ]
    of = {"cases": "every variant", "sae": "variants with an SAE", "audit": "variants with an audit"}
    of["repair"] = "variants with an SAE, by name"
    of["lens"] = "variants with a lens"
    of["masks"] = "with a lens, on planted data or with `lens.masks`"
    of["misleading"] = "with a lens, on planted data or with `lens.generated`"
    for row in numbered(FIGURES):
        file = f"{row.name}.md" if row.table else f"{row.name}.pdf"
        lines.append(f"| `{file}` | {row.about} | {of[row.of]} | {_compares(row)} |")
    return "\n".join(lines) + "\n"


def _compares(row: Row) -> str:
    return ("yes" if row.alone else "only") if row.compares else ""


if __name__ == "__main__":
    sys.stdout.write(markdown())
