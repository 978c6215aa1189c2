"""Every row of the table of figures names a function that its job can call."""

import importlib
import inspect

import pytest

from reliance.figures.sheet import Sheet, Shown
from reliance.figures.table import FIGURES


@pytest.mark.parametrize("row", FIGURES, ids=lambda row: row.name)
def test_a_row_names_a_function_with_a_sheet_and_few_parameters(row):
    module, name = row.entry.split(":")
    assert module.rsplit(".", 1)[1] == name == row.name
    function = getattr(importlib.import_module(module), name)
    kinds = {p.annotation for p in inspect.signature(function, eval_str=True).parameters.values()}
    assert {Shown} | (set() if row.table else {Sheet}) <= kinds
    assert len(kinds) <= 12
