"""Fingerprints of the code a job can reach, so that it reruns when that code changes and only then.

A job is a script, and the function ("module:function") that the script looks up by name and calls.

Syntax trees are followed, nothing is imported: from every counted statement to the top-level functions,
classes and constants it names, through imports (also inside functions, relative, or re-exported by a
package). Importing a module counts its statements with effects. Comments, docstrings, layout, annotations
of undecorated functions and the order of functions do not count.

Not seen: names in strings (importlib, registries by name), data files, subclass hooks. Where a module
itself is handed around (getattr, an unknown attribute), all of it counts. So a registry of strings ties no
kind to another; what a job takes from one belongs to its own entry.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from reliance.base.errors import RelianceError
from reliance.running.syntax import FUNCTION, Module, Target

_LOOKS_AROUND = {("globals",), ("eval",), ("exec",), ("sys", "modules")}  # may use anything of its module
_WORD = re.compile(r"\W+")
_parse = cache(Module)


def fingerprints(script: Path, src: Path, entry: str = "") -> dict[str, str]:
    """One value per module below `src` that a job reaches, after one for the script itself.

    entry : "module:function" that the script calls by name, if any.
    Returns {"code_script": "<entry or stem>@<12 hex>", "code_<package>_<module>": "<package>.<module>@<12
    hex>"}.
    Raises RelianceError if a module of ours is imported but missing, or imported with `*`, or if there is no
    such function.
    """
    texts = _reach(script, src, entry)
    found = {"code_script": f"{entry or script.stem}@{_digest(texts.pop(''), 12)}"}
    for name, text in sorted(texts.items()):
        key = "code_" + name.replace(".", "_")
        found[f"code_{name}" if key in found else key] = f"{name}@{_digest(text, 12)}"
    return found


def file_fingerprints(files: Iterable[Path], src: Path) -> dict[str, str]:
    """One value per file that a job reads itself: {"code_file_<name>": "<path below src>@<12 hex>"}."""
    names = {file: file.relative_to(src).as_posix() for file in files}
    hashes = {file: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in names}
    return {f"code_file_{_WORD.sub('_', name)}": f"{name}@{hashes[file]}" for file, name in names.items()}


def reachable_modules(script: Path, src: Path, entry: str = "") -> set[str]:
    """Names of the modules below `src` of which a job reaches at least one statement."""
    return set(_reach(script, src, entry)) - {""}


def code_key(found: Mapping[str, str]) -> str:
    """One hash (16 hex digits) of fingerprints: the key of unfinished work."""
    return _digest("\n".join(found.values()), 16)


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:length]


def _reach(script: Path, src: Path, entry: str) -> dict[str, str]:
    """{module: text of all that is counted in it}; the script, which calls the entry, is ""."""
    module, _, function = entry.partition(":")
    call = f"\nfrom {module} import {function}\n{function}()\n" if entry else ""
    closure = _Closure(src, _parse("", False, script.read_text(encoding="utf-8") + call, str(script)))
    home = closure.modules.get(module)
    if home and entry and function not in home.defined | home.imported:
        raise RelianceError(
            entry,
            "an entry names a function of a module",
            found=f"{home.path} has none of that name",
            allowed=", ".join(name for name in home.defined if not name.startswith("_")) or "(none defined)",
            next_step="correct the entry in the plan",
        )
    return {name: text for name in closure.counted if (text := closure.text(name)) or not name}


class _Closure:
    """Everything a script reaches: {module: indices of its counted statements}."""

    def __init__(self, src: Path, script: Module) -> None:
        self.src = src
        self.modules: dict[str, Module | None] = {"": script}
        self.counted: dict[str, set[int]] = {}
        self.notes: dict[str, set[str]] = {}  # {module: what its imported names stand for}
        self._whole: set[str] = set()
        self._found: dict[Target, set[Target]] = {}
        self._todo: list[tuple[Module, int]] = []
        self._run(script)
        self._count(script, range(len(script.body)))
        while self._todo:
            self._follow(*self._todo.pop())

    def text(self, name: str) -> str:
        """All that is counted in a module: functions in any order, the rest in its order."""
        module = self.modules[name]
        assert module is not None
        counted = [(isinstance(module.body[i], FUNCTION), i) for i in sorted(self.counted[name])]
        functions = sorted(module.uses(i).text for free, i in counted if free)
        others = [module.uses(i).text for free, i in counted if not free]
        return "\n".join([*others, *functions, *sorted(self.notes.get(name, ()))])

    def _load(self, name: str) -> Module | None:
        """A module or package below `src`; nothing if there is none of that name."""
        if name not in self.modules:
            path = self.src / name.replace(".", "/")
            package = path.is_dir()
            file = path / "__init__.py" if package else path.with_name(f"{path.name}.py")
            source = file.read_text(encoding="utf-8") if file.is_file() else "" if package else None
            self.modules[name] = None if source is None else _parse(name, package, source, str(file))
        return self.modules[name]

    def _run(self, module: Module) -> None:
        """Count what importing a module does."""
        if module.name in self.counted:
            return
        self.counted[module.name] = set()
        for target in module.imports:
            self._import(target, module)
        self._count(module, module.effects)
        for i, decorator in module.decorated:  # one of ours may register what it decorates
            if any(self._load(target.module) for target in self._find(module, decorator)):
                self._count(module, [i])

    def _import(self, target: Target, importer: Module) -> None:
        """Count what an import of ours does; a name imported from a package may be a module too."""
        steps = target.module.split(".")
        for n in range(1, 1 + len(steps) * (self._load(steps[0]) is not None)):
            module = self._load(".".join(steps[:n]))
            if module is None or target.path == ("*",):
                raise RelianceError(
                    importer.path,
                    "an import of this project's own code names an existing module, and no `*`",
                    found="import of " + ".".join([target.module, *target.path]),
                    allowed=f"a module below {self.src}, or names of one",
                    next_step="correct the import: the code that a job depends on is found through it",
                )
            self._run(module)
            if target.path and n == len(steps) and target.path[0] not in module.defined | module.imported:
                submodule = self._load(".".join([*steps, target.path[0]]))
                self._run(submodule or module)

    def _follow(self, module: Module, i: int) -> None:
        """Count what a counted statement uses."""
        uses = module.uses(i)
        for target in uses.imports:
            self._import(target, module)
        for chain in uses.chains:
            found = self._find(module, chain)
            if chain[0] in module.imported:
                self.notes.setdefault(module.name, set()).add(f"{chain[0]} is {sorted(found)}")
            self._use({Target(module.name)} if {chain[:1], chain[:2]} & _LOOKS_AROUND else found)
        for target in uses.targets:
            self._use(self._look(target, ()))

    def _find(self, module: Module, path: tuple[str, ...]) -> set[Target]:
        """The definitions (or whole modules) that a name of `module` leads to; none for a builtin."""
        key, name, rest = Target(module.name, path), path[0], path[1:]
        if key not in self._found:
            self._found[key] = set()  # what a circle of imports finds
            found = {Target(module.name, (name,))} if name in module.defined else set()
            for target in module.imported.get(name, ()):
                found |= self._look(target, rest)
            if not found and module.package and self._load(f"{module.name}.{name}"):
                found = self._look(Target(f"{module.name}.{name}"), rest)
            self._found[key] = found
        return self._found[key]

    def _look(self, target: Target, rest: tuple[str, ...]) -> set[Target]:
        other, path = self._load(target.module), (*target.path, *rest)
        if other is None or not path:
            return {target}
        return self._find(other, path) or {Target(target.module)}

    def _use(self, found: set[Target]) -> None:
        for target in found:
            if module := self._load(target.module):
                self._run(module)
                everything = range(len(module.body))
                self._count(module, module.defined[target.path[0]] if target.path else everything)
                if not target.path and target.module not in self._whole:
                    self._whole.add(target.module)
                    for name in module.imported:
                        self._use(self._find(module, (name,)))

    def _count(self, module: Module, indices: Iterable[int]) -> None:
        new = set(indices) - self.counted[module.name]
        self.counted[module.name] |= new
        self._todo += ((module, i) for i in new)
