"""Files that are asked for and that no stage makes are told, with what there is."""

import pytest

from reliance.base.errors import RelianceError
from reliance.plan.stages import STAGES
from reliance.plan.targets import check_targets


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cores", "2"],
        ["results/demo/fig5.pdf", "results/demo/report.html"],
        ["results/demo.n20/components/neurons/train.parquet"],
        ["results/compare/paper/fig5.pdf", "-n"],
        ["results/encoders/demo/class_token/planted/train@red_more/manifest.json"],
        ["results/unknown/fig5.pdf"],  # that there is no such variant is told elsewhere
        ["results/x.txt", "elsewhere/demo/fig99.pdf", "--config", "a=results/b"],
        ["--report", "results/mine/report.zip"],
    ],
)
def test_what_a_stage_makes_and_what_is_no_target_are_left_alone(arguments):
    check_targets(arguments, STAGES)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("results/demo/fig99.pdf", "did you mean 'fig9.pdf'"),
        ("results/demo/reprot.html", "did you mean 'report.html'"),
        ("results/compare/demo/fig3.pdf", "fig5.pdf"),
        ("results/demo/fig9.svg", "did you mean 'fig9"),
        ("results/demo/zzzz.bin", "docs/figures.md"),
    ],
)
def test_unknown_names_are_told_with_what_is_near(path, hint):
    with pytest.raises(RelianceError) as caught:
        check_targets(["--cores", "2", path], STAGES)
    assert caught.value.where == path
    assert hint in str(caught.value)
