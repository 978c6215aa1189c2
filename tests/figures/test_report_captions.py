"""Captions of the report are Jinja and reStructuredText: a mistake is only printed there, not raised."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils.core import publish_doctree
from jinja2 import Environment, StrictUndefined

REPORT = Path(__file__).parents[2] / "workflow" / "report"


def job(variants):
    return SimpleNamespace(params=SimpleNamespace(settings={"variants": variants}))


@pytest.mark.parametrize("variants", [["demo"], ["vit_b16.n20", "demo_early"]])
@pytest.mark.parametrize("name", ["fig3", "fig4", "fig5", "fig7", "fig8", "fig9", "fig14", "table1"])
def test_caption_renders_without_a_complaint(name, variants):
    template = Environment(undefined=StrictUndefined).from_string((REPORT / f"{name}.rst").read_text())
    text = template.render(snakemake=job(variants))
    stream = io.StringIO()
    document = publish_doctree(text, settings_overrides={"warning_stream": stream, "report_level": 1})
    assert stream.getvalue() == ""
    assert all(variant in document.astext() for variant in variants)
