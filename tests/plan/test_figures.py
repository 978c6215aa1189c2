"""The table of figures: what follows from a row, and that the rows fit the page, the report and the docs."""

from pathlib import Path

import pytest

from reliance.base.errors import RelianceError
from reliance.figures.table import BY_NAME, FIGURES, markdown, numbered, sections
from reliance.plan.figures import GROUPS, compared, figure, figures_of
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan

ROOT = Path(__file__).parents[2]
SHOWN = {"robustness", "failures", "faithfulness", "components", "tested", "hidden", "audit", "lens"}


@pytest.mark.parametrize("row", FIGURES, ids=lambda row: row.name)
def test_a_row_is_consistent(row):
    assert row.entry.rpartition(".")[2] == f"{row.name}:{row.name}"
    assert row.reads in GROUPS
    assert row.shows in SHOWN or not row.alone
    assert (ROOT / f"workflow/report/{row.name}.rst").is_file(), "else the caption is of the common form"
    stages = [*([figure(row)] if row.alone else []), *([compared(row)] if row.compares else [])]
    assert stages
    assert all(stage.group == "figures" and stage.listed for stage in stages)


def test_the_page_has_its_sections_in_order():
    assert sections() == {
        "Case study": ["fig6", "fig15"],
        "Pictures of the cases": ["fig12", "fig13"],
        "Failure modes": ["fig5", "fig14", "table1"],
        "Faithfulness": ["fig3", "fig3b", "fig7", "fig8"],
        "Interpretability": ["fig4", "fig9", "fig10", "fig11"],
        "Inside the encoder": [
            *("lens_selectivity", "lens_direction", "lens_layers", "lens_words"),
            *("lens_segmentation", "lens_pictures", "lens_adversarial"),
        ],
    }
    assert [row.name for row in numbered(FIGURES)][:4] == ["table1", "fig3", "fig3b", "fig4"]
    assert BY_NAME["fig5"].heading == "Figure 5"


@pytest.mark.parametrize(
    ("variant", "numbers"),
    [
        ("tiny", (3, "3b", 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)),
        ("vit_b32_laion2b", (5, 12, 13, 14)),
        ("demo_lesions", (3, "3b", 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)),
    ],
)
def test_a_variant_has_the_figures_that_apply(plan: Plan, variant, numbers):
    assert figures_of(plan, variant) == [f"fig{number}" for number in numbers]


def test_only_a_variant_with_a_lens_has_its_figures(plan: Plan):
    assert figures_of(plan, "tiny_deep")[-7:] == sections()["Inside the encoder"]
    row = BY_NAME["lens_words"]
    found = figure(row).inputs(plan, Wildcards(variant="tiny_deep"))
    assert found["accuracies"][2] == "results/tiny_deep/lens/block2/accuracy.parquet"
    with pytest.raises(RelianceError, match="section lens"):
        figure(row).inputs(plan, Wildcards(variant="tiny"))


def test_a_comparison_leaves_out_what_has_no_sae_where_one_is_needed(plan: Plan):
    w = Wildcards(comparison="paper")
    of_latents, of_cases = compared(BY_NAME["fig4"]), compared(BY_NAME["fig5"])
    left_out = ["vit_b32_datacomp_m", "vit_b32_laion400m", "vit_b32_laion2b"]
    assert of_latents.settings(plan, w)["skipped"] == left_out
    assert len(of_latents.inputs(plan, w)["components"]) == 5
    assert "skipped" not in of_cases.settings(plan, w)
    assert len(of_cases.inputs(plan, w)["robustness"]) == 8
    assert of_cases.outputs["caption"] == "results/compare/{comparison}/fig5.caption.md"


def test_the_documentation_lists_every_figure():
    text = (ROOT / "docs/figures.md").read_text()
    assert markdown() in text, "write it again: python -m reliance.figures.table > docs/figures.md"
