"""The rooms of the house: imports point one way only, and nothing grows too large."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
LAYERS = (
    ("base",),
    ("config", "running"),
    ("images", "encoders"),
    ("tails", "units"),
    ("codes", "naming", "attribution"),
    ("faithfulness", "failures", "robustness", "concepts", "audits", "lens", "repair", "matching"),
    ("figures", "explore", "report"),
    ("planted",),  # imported by none but its own stages and the plan
    ("plan",),
    ("", "__main__"),  # the front door
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MOST_PARAMETERS, MOST_LINES = 12, 300


def modules() -> dict[str, Path]:
    """Dotted names of all modules of ours."""
    found = {}
    for path in sorted((SRC / "reliance").rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def room(module: str) -> str:
    """The package of a module, or the name of a module at the top; "" is the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports(name: str) -> Iterator[str]:
    """Modules of ours that a module imports anywhere in it, also for annotations only."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            targets = [full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names]
        else:
            continue
        yield from (target for target in targets if target in MODULES)


IMPORTS = {name: set(imports(name)) - {name} for name in MODULES}


def test_every_room_has_its_place() -> None:
    assert {room(name) for name in MODULES} <= set(LEVEL)


def test_imports_between_rooms_point_down() -> None:
    upward = {
        (name, other)
        for name, others in IMPORTS.items()
        for other in others
        if room(name) != room(other) and room(other) and LEVEL[room(other)] > LEVEL[room(name)]
    }
    assert not upward


def test_the_planted_world_is_imported_by_its_own_stages_only() -> None:
    found = {n for n, others in IMPORTS.items() for other in others if room(other) == "planted"}
    assert {room(name) for name in found} <= {"planted", "plan"}


def test_there_are_no_circles() -> None:
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above[above.index(name) :], name])
        if name not in done:
            for other in sorted(IMPORTS[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_rooms_of_one_layer_form_no_circle() -> None:
    """Rooms side by side may use each other, but one way only."""
    pairs = {(room(n), room(o)) for n, others in IMPORTS.items() for o in others if room(n) != room(o)}
    both = {tuple(sorted(pair)) for pair in pairs if pair[::-1] in pairs and "" not in pair}
    assert not both


def test_functions_have_few_parameters() -> None:
    found = set()
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                a = node.args
                if len([*a.posonlyargs, *a.args, *a.kwonlyargs]) > MOST_PARAMETERS:
                    found.add(f"{name}:{node.name}")
    assert not found


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_short_and_say_what_they_are(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert ast.get_docstring(TREES[name])
