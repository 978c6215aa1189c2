"""Commands that are told have the configuration of the run before them."""

import pytest

from reliance.base.commands import build, configured


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("", ""),
        ("snakemake --cores 2 results/demo/report.html", ""),
        ("snakemake --cores 2 a.html --configfile mine.yaml", "--configfile mine.yaml"),
        ("snakemake a.html --configfile mine.yaml ../head.yaml -n", "--configfile mine.yaml ../head.yaml"),
        ("snakemake --configfile=mine.yaml a.html --cores 2", "--configfile=mine.yaml"),
        (
            "snakemake --config 'variants={pets: {audit: {positive: [cat]}}}' a=1 --cores 2 -C 'b=x y'",
            "--config 'variants={pets: {audit: {positive: [cat]}}}' a=1 -C 'b=x y'",
        ),
    ],
)
def test_the_configuration_of_a_command(command: str, options: str) -> None:
    assert configured(command) == options


def test_targets_stand_before_what_would_swallow_them() -> None:
    told = build("results/my pets/fig5.pdf", options="--configfile mine.yaml")
    assert told == "snakemake --cores 2 'results/my pets/fig5.pdf' --configfile mine.yaml"
    assert build() == "snakemake --cores 2"
