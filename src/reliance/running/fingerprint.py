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
import os
import pickle
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reliance.base.errors import RelianceError
from reliance.running import syntax
from reliance.running.syntax import Module, Target

_LOOKS_AROUND = {("globals",), ("eval",), ("exec",), ("sys", "modules")}  # may use anything of its module
_WORD = re.compile(r"\W+")
_PARSER = sys.version + Path(syntax.__file__).read_text(encoding="utf-8")
_parse = cache(Module)
Node = tuple[str, int]  # a module and one of its statements, or what of a module counts:
RUN, WHOLE = -1, -2  # what importing it does, all of it


class Step(NamedTuple):
    """What follows from a node at once."""

    nodes: tuple[Node, ...]
    notes: tuple[str, ...] = ()  # what imported names that a statement uses stand for


def _kept(file: Path) -> dict[str, Module]:
    """What another process left; nothing if that is no whole file, or another Python's or parser's."""
    try:
        seal, body = file.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return {}
    found: dict[str, Module] = pickle.loads(body) if seal == _seal(body) else {}
    return found


def _seal(body: bytes) -> bytes:
    return hashlib.sha256(_PARSER.encode() + body).hexdigest().encode()


class Sources:
    """All code below a folder, of which each statement is read and followed once, for however many jobs.

    Files that change meanwhile are not noticed.
    kept : a file where `keep` leaves what was read, for the next process; as Python's own bytecode, it counts
    for the same text under the same Python and parser only, and may be missing.
    """

    def __init__(self, src: Path, kept: Path | None = None) -> None:
        self.src, self._file = src, kept
        self._kept = _kept(kept) if kept else {}
        self._read: dict[str, Module] = {}
        self._modules: dict[str, Module | None] = {}
        self._steps: dict[Node, Step] = {}
        self._found: dict[Target, set[Target]] = {}

    def fingerprints(self, script: Path, entry: str = "") -> dict[str, str]:
        """As the function of this name."""
        texts = self.reach(script, entry)
        found = {"code_script": f"{entry or script.stem}@{_digest(texts.pop(''), 12)}"}
        for name, text in sorted(texts.items()):
            key = "code_" + name.replace(".", "_")
            found[f"code_{name}" if key in found else key] = f"{name}@{_digest(text, 12)}"
        return found

    def reach(self, script: Path, entry: str = "") -> dict[str, str]:
        """{module: text of all that is counted in it}; the script, which calls the entry, is ""."""
        module, _, function = entry.partition(":")
        call = f"\nfrom {module} import {function}\n{function}()\n" if entry else ""
        start = _parse("", False, script.read_text(encoding="utf-8") + call, str(script))
        nodes = self._reached(start)
        home = self._modules.get(module)
        if home and entry and function not in home.defined | home.imported:
            raise RelianceError(
                entry,
                "an entry names a function of a module",
                found=f"{home.path} has none of that name",
                allowed=", ".join(name for name in home.defined if not name.startswith("_"))
                or "(none defined)",
                next_step="correct the entry in the plan",
            )
        counted: dict[str, list[int]] = {"": []}
        for name, i in nodes:
            counted.setdefault(name, []).extend([i] * (i >= 0))
        texts = {n: self._text(start if not n else self._module(n), own) for n, own in counted.items()}
        return {name: text for name, text in texts.items() if text or not name}

    def _reached(self, start: Module) -> set[Node]:
        """Everything that a script leads to."""
        todo: list[Node] = [("", RUN), *(("", i) for i in range(start.size))]
        reached = set(todo)
        while todo:
            name, i = node = todo.pop()
            if name and node not in self._steps:
                self._steps[node] = self._step(self._module(name), i)
            step = self._steps[node] if name else self._step(start, i)
            new = [n for n in step.nodes if n not in reached]
            reached.update(new)
            todo += new
        return reached

    def _module(self, name: str) -> Module:
        module = self._load(name)
        assert module is not None
        return module

    def _text(self, module: Module, counted: Iterable[int]) -> str:
        """All that is counted in a module: functions in any order, the rest in its order."""
        told = [(i in module.free, i) for i in sorted(counted)]
        functions = sorted(module.uses(i).text for free, i in told if free)
        others = [module.uses(i).text for free, i in told if not free]
        steps = (self._steps[module.name, i] if module.name else self._step(module, i) for _, i in told)
        return "\n".join([*others, *functions, *sorted({note for step in steps for note in step.notes})])

    def _load(self, name: str) -> Module | None:
        """A module or package below `src`; nothing if there is none of that name."""
        if name not in self._modules:
            path = self.src / name.replace(".", "/")
            package = path.is_dir()
            file = path / "__init__.py" if package else path.with_name(f"{path.name}.py")
            source = file.read_text(encoding="utf-8") if file.is_file() else "" if package else None
            self._modules[name] = None if source is None else self._parse(name, package, source, str(file))
        return self._modules[name]

    def _parse(self, name: str, package: bool, source: str, path: str) -> Module:
        key = _digest("\n".join([name, str(package), source]), 64)
        module = self._kept.get(key) or _parse(name, package, source, path)
        module.path = path
        self._read[key] = module
        return module

    def keep(self) -> None:
        """Leave what was read for the next process, unless it is there, or cannot be written there."""
        if self._file and self._read.keys() - self._kept.keys():
            with suppress(OSError):
                self._file.parent.mkdir(exist_ok=True)
                with tempfile.NamedTemporaryFile(
                    dir=self._file.parent, prefix=f"{self._file.name}.", delete=False
                ) as stream:
                    body = pickle.dumps(self._read)
                    stream.write(_seal(body) + b"\n" + body)
                os.replace(stream.name, self._file)

    def _step(self, module: Module, i: int) -> Step:
        if i == RUN:
            return Step(tuple(self._run(module)))
        if i == WHOLE:
            names = (found for name in module.imported for found in self._find(module, (name,)))
            own = ((module.name, n) for n in range(module.size))
            return Step((*own, *self._used(names)))
        return self._follow(module, i)

    def _run(self, module: Module) -> Iterator[Node]:
        """What importing a module does."""
        for target in module.imports:
            yield from self._import(target, module)
        yield from ((module.name, i) for i in module.effects)
        for i, decorator in module.decorated:  # one of ours may register what it decorates
            if any(self._load(target.module) for target in self._find(module, decorator)):
                yield module.name, i

    def _import(self, target: Target, importer: Module) -> Iterator[Node]:
        """What an import of ours does; a name imported from a package may be a module too."""
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
            yield module.name, RUN
            if target.path and n == len(steps) and target.path[0] not in module.defined | module.imported:
                submodule = self._load(".".join([*steps, target.path[0]]))
                yield (submodule or module).name, RUN

    def _follow(self, module: Module, i: int) -> Step:
        """What a counted statement uses."""
        uses, notes = module.uses(i), []
        nodes = [node for target in uses.imports for node in self._import(target, module)]
        for chain in uses.chains:
            found = self._find(module, chain)
            if chain[0] in module.imported:
                notes.append(f"{chain[0]} is {sorted(found)}")
            nodes += self._used([Target(module.name)] if {chain[:1], chain[:2]} & _LOOKS_AROUND else found)
        for target in uses.targets:
            nodes += self._used(self._look(target, ()))
        return Step(tuple(dict.fromkeys(nodes)), tuple(notes))

    def _find(self, module: Module, path: tuple[str, ...]) -> set[Target]:
        """The definitions (or whole modules) that a name of `module` leads to; none for a builtin."""
        key, name, rest = Target(module.name, path), path[0], path[1:]
        if key not in self._found or not module.name:  # another script is another module of no name
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

    def _used(self, found: Iterable[Target]) -> Iterator[Node]:
        for target in found:
            if not target.module:  # the script, all of which counts
                yield "", WHOLE
            elif module := self._load(target.module):
                yield module.name, RUN
                if target.path:
                    yield from ((module.name, i) for i in module.defined[target.path[0]])
                else:
                    yield module.name, WHOLE


def fingerprints(script: Path, src: Path, entry: str = "") -> dict[str, str]:
    """One value per module below `src` that a job reaches, after one for the script itself.

    entry : "module:function" that the script calls by name, if any.
    Returns {"code_script": "<entry or stem>@<12 hex>", "code_<package>_<module>": "<package>.<module>@<12
    hex>"}.
    Raises RelianceError if a module of ours is imported but missing, or imported with `*`, or if there is no
    such function.
    """
    return Sources(src).fingerprints(script, entry)


def file_fingerprints(files: Iterable[Path], src: Path) -> dict[str, str]:
    """One value per file that a job reads itself: {"code_file_<name>": "<path below src>@<12 hex>"}."""
    names = {file: file.relative_to(src).as_posix() for file in files}
    hashes = {file: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in names}
    return {f"code_file_{_WORD.sub('_', name)}": f"{name}@{hashes[file]}" for file, name in names.items()}


def reachable_modules(script: Path, src: Path, entry: str = "") -> set[str]:
    """Names of the modules below `src` of which a job reaches at least one statement."""
    return set(Sources(src).reach(script, entry)) - {""}


def code_key(found: Mapping[str, str]) -> str:
    """One hash (16 hex digits) of fingerprints: the key of unfinished work."""
    return _digest("\n".join(found.values()), 16)


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:length]
