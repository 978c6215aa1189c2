"""Names and imports of Python files, against Python's own compiler (symtable) as referee."""

import argparse
import ast
import dataclasses
import importlib.util
import inspect
import symtable
import tempfile
import types

import pytest

from reliance.running.syntax import FUNCTION, Module, Target, Uses, dump


def module(source: str, name: str = "pkg.mod", package: bool = False) -> Module:
    return Module(name, package, source, "mod.py")


def global_names(table: symtable.SymbolTable) -> set[str]:
    """Names that a scope or one inside it takes from its module."""
    own = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return own.union(*map(global_names, table.get_children()))


@pytest.mark.parametrize("source", [argparse, ast, dataclasses, inspect, tempfile, importlib.util, types])
def test_global_names_are_those_of_the_compiler(source: types.ModuleType) -> None:
    text = inspect.getsource(source)
    tables = {t.get_lineno(): t for t in symtable.symtable(text, "m", "exec").get_children()}
    mod = module(text)
    assert len(mod.body) > 5
    for node in mod.body:
        if not isinstance(node, (*FUNCTION, ast.ClassDef)):
            continue
        line = min(n.lineno for n in [node, *node.decorator_list])
        table = tables.get(line) or tables[node.lineno]
        found = {chain[0] for chain in Uses(mod, node).chains}
        assert global_names(table) <= found, node.name
        if isinstance(node, FUNCTION):  # defaults and decorators belong to the module
            allowed = {
                n.id
                for d in [*node.decorator_list, node.args]
                for n in ast.walk(d)
                if isinstance(n, ast.Name)
            }
            assert found - global_names(table) <= allowed, node.name


@pytest.mark.parametrize(
    ("line", "name", "package", "expected"),
    [
        ("import a.b", "p.m", False, {"a": Target("a")}),
        ("import a.b as c", "p.m", False, {"c": Target("a.b")}),
        ("from a.b import c as d", "p.m", False, {"d": Target("a.b", ("c",))}),
        ("from . import c", "p.m", False, {"c": Target("p", ("c",))}),
        ("from .b import c", "p.m", False, {"c": Target("p.b", ("c",))}),
        ("from ..b import c", "p.q.m", False, {"c": Target("p.b", ("c",))}),
        ("from . import c", "p", True, {"c": Target("p", ("c",))}),
        ("from .b import c", "p.q", True, {"c": Target("p.q.b", ("c",))}),
        ("from ..b import c", "p.q", True, {"c": Target("p.b", ("c",))}),
    ],
)
def test_imports(line: str, name: str, package: bool, expected: dict[str, Target]) -> None:
    found = module(line, name, package).imported
    assert found == {bound: (target,) for bound, target in expected.items()}


def test_a_name_with_two_origins_has_both() -> None:
    mod = module(
        "try:\n    from a import f\nexcept ImportError:\n    from b import f\ntry: import c\nexcept E: c = 1"
    )
    assert set(mod.imported["f"]) == {Target("a", ("f",)), Target("b", ("f",))}
    assert (mod.imported["c"], mod.defined["c"], mod.effects) == ((Target("c"),), [1], [0, 1])


def test_same_text_for_the_same_code_only() -> None:
    same = ["def f(a): return a+1", "def f( a ):\n  'doc'\n  # c\n  pass\n  return (a + 1)\n  'end'\n"]
    other = [
        "def f(a): return a+1.0",
        "def f(a): return a-1",
        "def f(a=1): return a+1",
        "def f(*a): return a+1",
    ]
    texts = [dump(ast.parse(text).body) for text in [*same, *other]]
    assert len(set(texts)) == len(other) + 1
    assert texts[0] == texts[1]


def test_values_that_compare_equal_differ() -> None:
    assert (
        len({dump(ast.parse(text)) for text in ("x=1", "x=1.0", "x=True", "x='1'", "x=b'1'", "x=None")}) == 6
    )


def test_annotations_count_only_where_they_act() -> None:
    def texts(source: str) -> str:
        mod = module(source)
        return "".join(mod.uses(i).text for i in range(len(mod.body)))

    idle = "def f(x: {0}, *y: {0}) -> {0}:\n    z: {0} = 1\n    return z\nX: {0} = 1\n"
    acting = [
        "class A:\n    x: {0} = 1\n",
        "@single\ndef f(x: {0}): pass\n",
        "class A:\n    @d\n    def f(x: {0}): pass\n",
    ]
    assert texts(idle.format("int")) == texts(idle.format("str"))
    for source in acting:
        assert texts(source.format("int")) != texts(source.format("str"))


def test_what_only_a_type_checker_runs_is_left_out() -> None:
    mod = module("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b\n")
    assert set(mod.imported) == {"TYPE_CHECKING", "b"}
