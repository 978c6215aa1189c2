"""Which edits of a package change the fingerprints of a script that uses it, and which do not."""

import importlib
import random
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliance.base.errors import RelianceError
from reliance.running import fingerprint
from reliance.running.fingerprint import code_key, file_fingerprints, fingerprints, reachable_modules

SRC = Path(__file__).parents[2] / "src"
PACKAGE = {
    "pkg/__init__.py": '"""The package."""\n',
    "pkg/a.py": '''
"""Docstring."""
import os
from pkg.b import helper, unused
from .deep import Shape
import pkg.c as c

LIMIT = 3
OTHER: int = 4
TABLE = {"x": helper}

def f(x: int, scale=LIMIT) -> int:
    """Doc."""
    # comment
    return helper(x) * scale

def g(x):
    return unused(x) + OTHER

def h(x):
    return Shape(x).area() + c.power(x)
''',
    "pkg/b.py": """
BASE = 2
SPARE = 5
def helper(x):
    return _inner(x) + BASE
def _inner(x):
    return x
def unused(x):
    return SPARE
""",
    "pkg/c.py": """
def power(x):
    return x ** EXPONENT
EXPONENT = 2
def lazy(x):
    from pkg.late import work
    return work(x)
""",
    "pkg/late.py": "def work(x):\n    return x\n\ndef idle(x):\n    return x\n",
    "pkg/deep/__init__.py": "from pkg.deep.shapes import Shape, Other\n",
    "pkg/deep/shapes.py": """
class Base:
    def area(self):
        return self.x
class Shape(Base):
    def __init__(self, x):
        self.x = x
class Other:
    pass
""",
}


class Code:
    """A package and a script on disk, and what an edit does to the fingerprints."""

    def __init__(self, folder: Path, files: dict[str, str], script: str) -> None:
        self.src, self.script = folder / "src", folder / "scripts" / "job.py"
        for name, text in files.items():
            self.write(name, text)
        self.script.parent.mkdir(parents=True, exist_ok=True)
        self.script.write_text(script)

    def write(self, name: str, text: str) -> None:
        path = self.src / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def prints(self) -> dict[str, str]:
        return fingerprints(self.script, self.src)

    def changed_by(self, name: str, old: str, new: str) -> set[str]:
        """Modules whose value an edit changes; the edit is undone."""
        path = self.src / name
        before, text = self.prints(), path.read_text()
        assert text.count(old) == 1, "the edit must be one"
        path.write_text(text.replace(old, new))
        after = self.prints()
        path.write_text(text)
        assert self.prints() == before
        keys = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        return {(after.get(key) or before[key]).split("@")[0] for key in keys}


def code(folder: Path, script: str, **more: str) -> Code:
    files = PACKAGE | {f"pkg/{name}.py": text for name, text in more.items()}
    return Code(folder, files, script)


def test_keys_and_values(tmp_path: Path) -> None:
    found = code(tmp_path, "from pkg.a import h\nh(1)\n").prints()
    assert list(found) == ["code_script", "code_pkg_a", "code_pkg_c", "code_pkg_deep_shapes"]
    names = [value.split("@")[0] for value in found.values()]
    assert names == ["job", "pkg.a", "pkg.c", "pkg.deep.shapes"]
    assert all(len(value.split("@")[1]) == 12 for value in found.values())


def test_modules_whose_names_give_one_key_both_stay(tmp_path: Path) -> None:
    job = code(tmp_path, "import pkg.d_e, pkg.d.e\npkg.d_e.x, pkg.d.e.x\n", d_e="x = 1\n")
    job.write("pkg/d/__init__.py", "")
    job.write("pkg/d/e.py", "x = 1\n")
    assert {"pkg.d_e", "pkg.d.e"} <= {value.split("@")[0] for value in job.prints().values()}


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("pkg/a.py", "helper(x) * scale", "helper(x) + scale", {"pkg.a"}),  # the function itself
        ("pkg/a.py", "scale=LIMIT", "scale=7", {"pkg.a"}),  # a default
        ("pkg/a.py", "LIMIT = 3", "LIMIT = 4", {"pkg.a"}),  # a constant in a default
        ("pkg/b.py", "BASE = 2", "BASE = 3", {"pkg.b"}),  # a constant in a function it calls
        ("pkg/b.py", "    return x", "    return -x", {"pkg.b"}),  # a function two calls away
        ("pkg/a.py", "from pkg.b import helper", "from pkg.b import unused as helper", {"pkg.a", "pkg.b"}),
        ("pkg/b.py", "SPARE = 5", "SPARE = 6", set()),
        ("pkg/a.py", "unused(x) + OTHER", "0", set()),
        ("pkg/a.py", "OTHER: int = 4", "OTHER: int = 5", set()),
        ("pkg/a.py", 'TABLE = {"x": helper}', "TABLE = {}", set()),
        ("pkg/deep/shapes.py", "self.x = x", "self.x = 2 * x", set()),
        ("pkg/a.py", '"""Docstring."""', '"""Another."""', set()),
        ("pkg/a.py", '    """Doc."""\n', "", set()),
        ("pkg/a.py", "# comment", "# other comment", set()),
        ("pkg/a.py", "helper(x) * scale", "(helper( x )\n        *scale)", set()),
        ("pkg/a.py", "LIMIT = 3", "LIMIT: int = 3", {"pkg.a"}),  # another statement
        ("pkg/a.py", "x: int, scale", "x: float, scale", set()),  # an annotation
        ("pkg/a.py", "import os", "import os, sys", set()),
    ],
)
def test_an_edit_changes_what_it_reaches(
    tmp_path: Path, name: str, old: str, new: str, changed: set[str]
) -> None:
    job = code(tmp_path, "from pkg.a import f\nf(1)\n")
    assert job.changed_by(name, old, new) == changed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("self.x = x", "self.x = 2 * x", {"pkg.deep.shapes"}),
        ("return self.x", "return 0", {"pkg.deep.shapes"}),  # the base class
        ("class Other:\n    pass", "class Other:\n    y = 1", set()),
    ],
)
def test_a_class_counts_whole_through_a_re_export(
    tmp_path: Path, old: str, new: str, changed: set[str]
) -> None:
    job = code(tmp_path, "from pkg.a import h\nh(1)\n")
    assert job.changed_by("pkg/deep/shapes.py", old, new) == changed
    assert job.changed_by("pkg/c.py", "EXPONENT = 2", "EXPONENT = 3") == {"pkg.c"}
    assert job.changed_by("pkg/c.py", "return work(x)", "return 1") == set()


@pytest.mark.parametrize(
    "script",
    [
        "from pkg.late import work\nwork(1)",
        "import pkg.late as m\nm.work(1)",
        "import pkg.late\npkg.late.work(1)",
        "from pkg import late\nlate.work(1)",
        "from pkg import late as m\nmap(m.work, [1])",
        "from pkg.c import lazy\nlazy(1)",
        "def main():\n    import pkg.late as m\n    return m.work(1)\nmain()",
        "def main():\n    from pkg import late\n    return (lambda: late.work(1))()\nmain()",
        "def main():\n    import pkg.late\n    class A:\n        x = pkg.late.work(1)\nmain()",
        "def f():\n    import pkg.late as m\n    def go():\n        nonlocal m\n        m = m.work\nf()",
        "try:\n    from pkg.late import work\nexcept ImportError:\n    work = None\nwork(1)",
        "if __name__ == '__main__':\n    from pkg.late import work\n    work(1)",
        "from pkg.relative import use\nuse()",
        "from pkg.relative import Lazy\nLazy",
        "from pkg.sub import through\nthrough.work(1)",
        "from pkg.sub.inside import deeper\ndeeper()",
        "import pkg.alias as a\na.again(1)",
        "import pkg.sub as s\ns.through.work(1)",
    ],
)
def test_ways_to_import(tmp_path: Path, script: str) -> None:
    job = code(
        tmp_path,
        script,
        relative="from .late import work as w\ndef use(): return w(1)\n"
        "class Lazy:\n    def method(self):\n        from . import late\n        return late.work(1)\n",
        alias="from pkg.late import work\nagain = work\n",
    )
    job.write("pkg/sub/__init__.py", "from .. import late as through\n")
    job.write("pkg/sub/inside.py", "def deeper():\n    from ..late import work\n    return work(1)\n")
    assert "pkg.late" in reachable_modules(job.script, job.src)
    edits = ("def work(x):\n    return x", "def work(x):\n    return -x"), ("def idle(x):", "def idle(x, y):")
    assert [job.changed_by("pkg/late.py", *edit) for edit in edits] == [{"pkg.late"}, set()]


@pytest.mark.parametrize(
    "use",
    ["getattr(late, name)", "print(late)", "late.__dict__", "other = late", "vars(late)", "late.unknown"],
)
def test_a_module_that_is_handed_around_counts_whole(tmp_path: Path, use: str) -> None:
    job = code(tmp_path, f"from pkg import late\nname = 'work'\n{use}\n")
    assert job.changed_by("pkg/late.py", "def idle(x):", "def idle(x, y):") == {"pkg.late"}


def test_a_package_that_is_handed_around_counts_with_what_it_re_exports(tmp_path: Path) -> None:
    job = code(tmp_path, "from pkg import deep\ngetattr(deep, name)\n")
    assert job.changed_by("pkg/deep/shapes.py", "pass", "y = 1") == {"pkg.deep.shapes"}


def test_a_re_exported_name_hides_the_module_of_that_name(tmp_path: Path) -> None:
    job = code(tmp_path, "import pkg.sub\npkg.sub.work(1)\nfrom pkg.sub import work\nwork(1)\n")
    job.write("pkg/sub/__init__.py", "from pkg.sub.work import work\n")
    job.write("pkg/sub/work.py", "def work(x): return x\ndef idle(x): return 3\n")
    assert job.changed_by("pkg/sub/work.py", "return 3", "return 4") == set()
    assert job.changed_by("pkg/sub/work.py", "return x", "return 4") == {"pkg.sub.work"}


@pytest.mark.parametrize(
    "line", ["import pkg.loud.quiet", "from pkg.loud import quiet", "from pkg.loud.quiet import x"]
)
def test_importing_a_module_runs_its_packages_and_itself(tmp_path: Path, line: str) -> None:
    job = code(tmp_path, f"{line}\n")
    job.write("pkg/loud/__init__.py", "print(1)\n")
    job.write("pkg/loud/quiet.py", "print(2)\nx = 1\n")
    assert reachable_modules(job.script, job.src) == {"pkg.loud", "pkg.loud.quiet"}


def test_a_module_that_looks_itself_up_counts_whole(tmp_path: Path) -> None:
    job = code(
        tmp_path, "from pkg.own import f\nf()\n", own="def f(): return globals()['g']\ndef g(): return 1\n"
    )
    assert job.changed_by("pkg/own.py", "return 1", "return 2") == {"pkg.own"}


@pytest.mark.parametrize(
    "effect",
    [
        "print(setting())",
        "STORE['x'] = setting()",
        "STORE.x = setting()",
        "for _ in range(2): setting()",
        "with setting(): pass",
        "assert setting()",
        "if setting(): y = 1",
        "y = setting()\nif y: y += 1",
        "@register\ndef listed(): return setting()",
        "@register(name='x')\nclass Listed:\n    y = setting()",
    ],
)
def test_statements_with_effects_count_when_their_module_is_only_imported(
    tmp_path: Path, effect: str
) -> None:
    text = (
        f"STORE = {{}}\ndef register(f): return f\ndef setting(): return 1\ndef idle(): return 3\n{effect}\n"
    )
    job = code(
        tmp_path, "from pkg.first import f\nf()\n", first="import pkg.noisy\ndef f(): pass\n", noisy=text
    )
    assert job.changed_by("pkg/noisy.py", "return 1", "return 2") == {"pkg.noisy"}
    assert job.changed_by("pkg/noisy.py", "return 3", "return 4") == set()
    job.write("pkg/first.py", "def unused():\n    import pkg.noisy\ndef f(): pass\n")
    assert reachable_modules(job.script, job.src) == {"pkg.first"}


def test_statements_without_effects_do_not_count_when_their_module_is_only_imported(tmp_path: Path) -> None:
    quiet = "import functools\nX = 1\nY: int = X\nA, (B, *C) = 1, (2, 3)\nX += 1\n"
    quiet += "@functools.cache\ndef f(): return 1\nif TYPE_CHECKING:\n    import nothing\n"
    job = code(tmp_path, "import pkg.quiet\n", quiet=quiet + "if __name__ == '__main__':\n    print(f())\n")
    assert reachable_modules(job.script, job.src) == set()


def test_names_of_inner_scopes_are_not_the_module_s(tmp_path: Path) -> None:
    scopes = """
def a(): return 1
def b(): return 1
def c(): return 1
def d(): return 1
def e(): return 1
def outside(): return 1
def f(a, *, b=2, **c):
    total = [d for d in a]
    for e in a: total += e
    return g(outside=total, x=lambda a: a + b)
def g(**values):
    def a(): return values
    return a
"""
    job = code(tmp_path, "from pkg.scopes import f\nf([])\n", scopes=scopes)
    for name in ("a", "b", "c", "d", "e", "outside"):
        assert (
            job.changed_by("pkg/scopes.py", f"\ndef {name}(): return 1", f"\ndef {name}(): return 2") == set()
        )


def test_names_of_the_module_are_seen_from_inner_scopes(tmp_path: Path) -> None:
    scopes = """
def a(): return 1
def b(): return 1
def c(): return 1
def d(): return 1
def e(): return 1
def k(): return 1
def n(): return 1
def o(): return 1
def p(): return 1
def f(x, y=lambda: b()):
    global k
    k = 3
    a = [a() for a in x if a]
    class A:
        c = 1
        def method(self): return c()
    match x:
        case [d, *_] if e(): pass
        case {"q": 1, **n} if n(): pass
    return {q: d for q in a for r in p() if o()} | inner()
def inner():
    return (lambda d: d)(d), a()
"""
    job = code(tmp_path, "from pkg.scopes import f\nf([])\n", scopes=scopes)
    for name in "abcdekop":
        edit = f"\ndef {name}(): return 1", f"\ndef {name}(): return 2"
        assert job.changed_by("pkg/scopes.py", *edit) == {"pkg.scopes"}, name
    assert job.changed_by("pkg/scopes.py", "\ndef n(): return 1", "\ndef n(): return 2") == set()


def test_circles_end(tmp_path: Path) -> None:
    job = code(
        tmp_path,
        "from pkg.one import f\nf(1)\n",
        one="from pkg.two import g, lost\ndef f(x): return g(x) + f(x - 1) + lost\n",
        two="import pkg.one\nfrom pkg.one import lost\ndef g(x): return pkg.one.f(x)\n",
    )
    assert reachable_modules(job.script, job.src) == {"pkg.one", "pkg.two"}
    assert job.changed_by("pkg/two.py", "return pkg.one.f(x)", "return 0") == {"pkg.two"}


def test_what_an_imported_name_stands_for_counts(tmp_path: Path) -> None:
    text = "import numpy as np\nfrom math import sin as wave\ndef f(x): return wave(np.sum(x))\n"
    job = code(tmp_path, "from pkg.m import f\nf(1)\n", m=text)
    assert job.changed_by("pkg/m.py", "numpy", "cupy") == {"pkg.m"}
    assert job.changed_by("pkg/m.py", "sin", "cos") == {"pkg.m"}
    job.script.write_text("from pkg import deep\ndeep.Shape(1)\n")
    edit = "import Shape, Other", "import Shape as Other, Other as Shape"
    assert "job" in job.changed_by("pkg/deep/__init__.py", *edit)
    job.write("pkg/m.py", "from pkg.deep import Shape\ndef f(x): return Shape(x)\n")
    job.script.write_text("from pkg.m import f\nf(1)\n")
    assert "pkg.m" in job.changed_by("pkg/deep/__init__.py", *edit)


def test_functions_may_move_within_their_module(tmp_path: Path) -> None:
    two = ["def f(x):\n    return g(x)\n", "def g(x):\n    return x\n"]
    job = code(tmp_path, "from pkg.m import f\nf(1)\n", m="\n".join(two))
    before = job.prints()
    job.write("pkg/m.py", "\n".join(reversed(two)))
    assert job.prints() == before


@pytest.mark.parametrize("line", ["from pkg.b import *", "from pkg.nothing import f", "import pkg.a.f"])
def test_imports_that_cannot_be_followed_are_refused(tmp_path: Path, line: str) -> None:
    job = code(tmp_path, "from pkg.bad import f\nf(1)\n", bad=f"{line}\ndef f(x): return x\n")
    with pytest.raises(RelianceError, match=r"pkg/bad\.py"):
        job.prints()


def test_other_packages_may_be_imported_with_a_star(tmp_path: Path) -> None:
    job = code(tmp_path, "from os.path import *\nfrom pkg.late import work\n")
    assert list(job.prints()) == ["code_script"]


def test_code_key_is_one_hash_of_all(tmp_path: Path) -> None:
    job = code(tmp_path, "from pkg.a import f\nf(1)\n")
    key = code_key(job.prints())
    assert len(key) == 16
    job.write("pkg/b.py", PACKAGE["pkg/b.py"].replace("SPARE = 5", "SPARE = 6"))
    assert code_key(job.prints()) == key
    job.write("pkg/b.py", PACKAGE["pkg/b.py"].replace("BASE = 2", "BASE = 6"))
    assert code_key(job.prints()) != key
    job.write("pkg/b.py", PACKAGE["pkg/b.py"])
    job.script.write_text("from pkg.a import f\nf(2)\n")
    assert code_key(job.prints()) != key


CALLER = "from importlib import import_module\nfrom pkg.late import work\nwork(import_module)\n"


def test_an_entry_counts_as_if_the_script_imported_and_called_it(tmp_path: Path) -> None:
    job = code(tmp_path, CALLER)
    found = fingerprints(job.script, job.src, "pkg.a:h")
    assert list(found) == ["code_script", "code_pkg_a", "code_pkg_c", "code_pkg_deep_shapes", "code_pkg_late"]
    assert found["code_script"].startswith("pkg.a:h@")
    job.script.write_text("from pkg.a import h\nh(1)\n")
    imported = job.prints()
    assert {key: found[key] for key in imported if key != "code_script"} == {
        key: value for key, value in imported.items() if key != "code_script"
    }


def test_kinds_behind_one_registry_of_strings_do_not_reach_each_other(tmp_path: Path) -> None:
    """A new kind, or an edited one, changes only jobs whose entry it is."""
    registry = 'KINDS = {"one": "pkg.one:train", "two": "pkg.two:train"}\n'
    kinds = {
        name: f"from pkg.b import helper\ndef train(x): return helper(x), '{name}'\n"
        for name in ("one", "two")
    }
    job = code(tmp_path, CALLER, kinds=registry, **kinds)

    def prints() -> dict[str, dict[str, str]]:
        return {name: fingerprints(job.script, job.src, f"pkg.{name}:train") for name in kinds}

    before = prints()
    job.write("pkg/two.py", kinds["two"].replace("helper(x), ", "helper(x), 2, "))
    job.write("pkg/kinds.py", registry.replace("}", ', "three": "pkg.three:train"}'))
    job.write("pkg/three.py", "def train(x): return x\n")
    after = prints()
    assert after["one"] == before["one"]
    assert {key for key in before["two"] if before["two"][key] != after["two"][key]} == {"code_pkg_two"}
    job.write("pkg/b.py", PACKAGE["pkg/b.py"].replace("BASE = 2", "BASE = 6"))
    assert prints()["one"] != before["one"]


@pytest.mark.parametrize(
    ("entry", "words"), [("pkg.a:nothing", "LIMIT, OTHER, TABLE, f, g, h"), ("pkg.no:f", "existing module")]
)
def test_an_entry_that_does_not_exist_is_refused(tmp_path: Path, entry: str, words: str) -> None:
    job = code(tmp_path, CALLER)
    with pytest.raises(RelianceError, match=words):
        fingerprints(job.script, job.src, entry)


def test_what_is_kept_for_the_next_process_is_only_faster(tmp_path: Path) -> None:
    job, kept = code(tmp_path, CALLER), tmp_path / "kept" / "statements.pickle"

    def prints() -> dict[str, str]:
        sources = fingerprint.Sources(job.src, kept)
        found = sources.fingerprints(job.script, "pkg.a:h")
        assert found == fingerprints(job.script, job.src, "pkg.a:h")
        sources.keep()
        return found

    before, written = prints(), kept.stat().st_ino
    assert prints() == before
    assert kept.stat().st_ino == written
    job.write("pkg/a.py", PACKAGE["pkg/a.py"] + "print(7)\n")
    after = prints()
    assert after["code_pkg_a"] != before["code_pkg_a"]
    assert kept.stat().st_ino != written
    for broken in (b"", kept.read_bytes()[:50], b"cnot_there\nName\n."):
        kept.write_bytes(broken)
        assert prints() == after
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_place_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    job, taken = code(tmp_path, CALLER), tmp_path / "taken"
    taken.touch()
    sources = fingerprint.Sources(job.src, taken / "statements.pickle")
    sources.fingerprints(job.script)
    sources.keep()


def test_files_count_by_their_bytes(tmp_path: Path) -> None:
    page = tmp_path / "pkg/page.html"
    page.parent.mkdir()
    page.write_text("one")
    ((key, before),) = file_fingerprints([page], tmp_path).items()
    assert key == "code_file_pkg_page_html" and before.startswith("pkg/page.html@")
    page.write_text("two")
    assert file_fingerprints([page], tmp_path)[key] != before


IMPORTS = {  # how a function of `pkg.<i>` may be named elsewhere: (import line, name in code)
    "from": ("from pkg.m{m} import f{f}", "f{f}"),
    "as": ("import pkg.m{m} as mod{m}", "mod{m}.f{f}"),
    "dotted": ("import pkg.m{m}", "pkg.m{m}.f{f}"),
    "submodule": ("from pkg import m{m}", "m{m}.f{f}"),
    "relative": ("from .m{m} import f{f} as alias{f}", "alias{f}"),
    "package": ("from pkg import f{f} as shared{f}", "shared{f}"),
}


def random_package(
    rng: random.Random, modules: int, functions: int
) -> tuple[dict[str, str], dict[int, set[int]]]:
    """Files of a package whose functions call each other at random, and who calls whom."""
    home = {f: rng.randrange(modules) for f in range(functions)}
    calls = {f: {rng.randrange(functions) for _ in range(rng.randrange(3))} for f in home}
    tops: dict[int, set[str]] = {m: set() for m in range(modules)}
    texts: dict[int, list[str]] = {m: [] for m in range(modules)}
    for f, called in calls.items():
        lines, uses = [f"def f{f}(x=C{f}):"], []
        for g in sorted(called):
            line, name = IMPORTS[rng.choice(list(IMPORTS))]
            line, name = line.format(m=home[g], f=g), name.format(m=home[g], f=g)
            if home[g] == home[f]:
                name = f"f{g}"
            elif rng.random() < 0.3:
                lines.append(f"    {line}")
            else:
                tops[home[f]].add(line)
            uses.append(f"{name}()" if rng.random() < 0.5 else f"[{name} for _ in range(x)]")
        lines.append(f"    return {[f'marker {f}']} + [{', '.join(uses)}]")
        texts[home[f]] += [f"C{f} = 'constant {f}'", *lines]
    files = {f"pkg/m{m}.py": "\n".join([*sorted(tops[m]), *texts[m], ""]) for m in range(modules)}
    files["pkg/__init__.py"] = "".join(f"from pkg.m{home[f]} import f{f}\n" for f in home)
    return files, calls


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_edit_in_any_package_changes_exactly_its_module(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = random.Random(seed)
    files, calls = random_package(rng, modules=4, functions=9)
    job = Code(tmp_path_factory.mktemp("code"), files, "import pkg\npkg.f0()\n")
    reached, todo = set(), [0]
    while todo:
        if (f := todo.pop()) not in reached:
            reached.add(f)
            todo += calls[f]
    for f in calls:
        name = next(n for n, text in files.items() if f"def f{f}(" in text)
        expected = {name.removesuffix(".py").replace("/", ".")} if f in reached else set()
        assert job.changed_by(name, f"'marker {f}'", "'edited'") == expected
        assert job.changed_by(name, f"'constant {f}'", "'edited'") == expected
        assert (
            job.changed_by(name, f"def f{f}(x=C{f}):", f"def f{f}(\n   x = C{f}):  # c\n    'Doc.'\n")
            == set()
        )


USE = """
import sys, numpy as np
from pathlib import Path
from reliance.base import artifacts, rows
from reliance.base.errors import RelianceError
folder = Path(sys.argv[1])
arrays = {"x": np.ones((4, 2), np.float32)}
layouts = {"x": rows.Layout((2,), "float32")}
writer = rows.PartWriter(folder / "p.zarr", "k", rows.PartRange(0, 4), layouts, {}, {})
writer.append(arrays)
writer.finish()
rows.write_manifest(folder / "m.json", [folder / "p.zarr"], "k")
rows.Parts(folder / "m.json", "k").take("x", np.array([1, 3]))
try:
    artifacts.read_json(folder / "m.json", "other", 1)
except RelianceError as error:
    str(error)
"""


def test_all_that_a_run_executes_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Referee: the functions that really ran, recorded by the interpreter (after the imports)."""
    importlib.import_module("reliance.base.rows")
    ran: set[tuple[str, int]] = set()

    def record(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(SRC)):
            ran.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    monkeypatch.setattr(sys, "argv", ["use.py", str(tmp_path)])
    sys.setprofile(record)
    try:
        exec(compile(USE, "use.py", "exec"), {"__name__": "__main__"})
    finally:
        sys.setprofile(None)
    sources = fingerprint.Sources(SRC)
    lines = {
        (module.path, line)
        for name, i in sources._reached(fingerprint._parse("", False, USE, "use.py"))
        if name and i >= 0
        for module in [sources._module(name)]
        for node in [module.body[i]]
        for line in range(node.lineno - len(getattr(node, "decorator_list", ())), (node.end_lineno or 0) + 1)
    }
    assert len(ran) > 15
    assert ran <= lines


def test_reading_code_needs_the_standard_library_only() -> None:
    program = (
        "import sys, reliance.running.fingerprint; print({'numpy', 'pandas', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=SRC, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
