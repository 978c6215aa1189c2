"""Python files as syntax: what each top-level statement says, which names it uses, what it imports.

Nothing is executed or imported. `fingerprint` follows these names from a script to all it can reach.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITION = (*FUNCTION, ast.ClassDef)
IMPORT = (ast.Import, ast.ImportFrom)
_COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BINDS = {ast.arg: "arg", ast.ExceptHandler: "name", ast.MatchAs: "name", ast.MatchStar: "name"}
_BINDS |= {ast.MatchMapping: "rest"} | dict.fromkeys(DEFINITION, "name")  # the field that binds a name
_NAMES = (ast.Name, ast.Tuple, ast.List, ast.Starred, ast.expr_context)


class Target(NamedTuple):
    """What a name stands for: `path` looked up in `module`, attribute by attribute (none: the module)."""

    module: str
    path: tuple[str, ...] = ()


class Module:
    """One file: its statements that run on import, which of them define each name, and what it imports.

    `defined` is {name: indices in `body`}, `imported` {name: what it is imported from}; a name may be in
    both. `effects` are the indices of statements that do more than name a value, `decorated` those of
    decorated definitions with the decorators' names, `free` those of functions. The script, whose `__main__`
    part runs too, is "". What is pickled is what its statements use, without their trees.
    """

    def __init__(self, name: str, package: bool, source: str, path: str) -> None:
        self.name, self.package, self.path = name, package, path
        self.body = list(self._run_on_import(ast.parse(source, path).body))
        self.imported = self.names(n for n in self.body if not isinstance(n, DEFINITION))
        self.imports = {t for n in self.body if isinstance(n, IMPORT) for t in self.runs(n)}
        self.defined: dict[str, list[int]] = {}
        for i, node in enumerate(self.body):
            for bound in () if isinstance(node, IMPORT) else self.names([node]):
                self.defined.setdefault(bound, []).append(i)
        self.imported = {name: targets for name, targets in self.imported.items() if targets}
        definitions = [(i, node) for i, node in enumerate(self.body) if isinstance(node, DEFINITION)]
        self.decorated = [(i, _callee(d)) for i, node in definitions for d in node.decorator_list]
        self.effects = [i for i, node in enumerate(self.body) if _has_effect(node)]
        self.size = len(self.body)
        self.free = {i for i, node in enumerate(self.body) if isinstance(node, FUNCTION)}
        self._uses: dict[int, Uses] = {}

    def uses(self, i: int) -> "Uses":
        """What a statement says and uses."""
        if i not in self._uses:
            self._uses[i] = Uses(self, self.body[i])
        return self._uses[i]

    def __getstate__(self) -> dict[str, Any]:
        for i in range(self.size):
            self.uses(i)
        return {**vars(self), "body": []}

    def _run_on_import(self, body: list[ast.stmt]) -> Iterator[ast.stmt]:
        skipped = ["TYPE_CHECKING", "typing.TYPE_CHECKING", *["__name__ == '__main__'"] * bool(self.name)]
        for node in body:
            if isinstance(node, ast.If) and ast.unparse(node.test) in skipped:
                yield from node.orelse
            else:
                yield node

    def runs(self, node: ast.Import | ast.ImportFrom) -> Iterator[Target]:
        """What an import statement runs: modules, or names of a module that may be modules."""
        if isinstance(node, ast.Import):
            yield from (Target(alias.name) for alias in node.names)
        else:
            yield from (target for _, target in self._targets(node))

    def _targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Target]]:
        """(name bound, what it is) for every name of an import statement."""
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                above = self.name.split(".")[: self.package - node.level or None] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                yield alias.asname or alias.name, Target(base, (alias.name,))
            else:
                name = alias.asname or alias.name.split(".")[0]
                yield name, Target(alias.name if alias.asname else name)

    def names(self, nodes: Iterable[ast.AST]) -> dict[str, tuple[Target, ...]]:
        """Names that nodes bind in their scope, not in nested ones, with what they import (none: plain)."""
        found: dict[str, tuple[Target, ...]] = {}
        outer: set[str] = set()
        todo = list(nodes)
        while todo:
            node = todo.pop()
            if isinstance(node, IMPORT):
                for name, target in self._targets(node):
                    found[name] = (*found.get(name, ()), target)
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                outer.update(node.names)
            elif isinstance(node, _COMPREHENSION):  # only := reaches out of one
                todo += [n.target for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
            elif isinstance(node, ast.Name):
                if not isinstance(node.ctx, ast.Load):
                    found.setdefault(node.id, ())
            elif not isinstance(node, ast.Lambda):
                if bound := getattr(node, _BINDS.get(type(node), ""), None):
                    found.setdefault(bound, ())
                todo += () if isinstance(node, DEFINITION) else ast.iter_child_nodes(node)
        return {name: targets for name, targets in found.items() if name not in outer}


class Uses:
    """What one top-level statement says (`text`) and uses; idle annotations are dropped on the way.

    `chains` are global names, each with the attributes after it; `targets` the same for names that
    functions import; `imports` what import statements inside it run.
    """

    def __init__(self, module: Module, statement: ast.AST) -> None:
        self._module, self._in_class = module, False
        self._local: dict[str, tuple[Target, ...]] = {}  # names bound by the functions around
        self.chains: set[tuple[str, ...]] = set()
        self.targets: set[Target] = set()
        self.imports: set[Target] = set()
        self._visit(statement)
        self.text = dump(statement)
        del self._module  # as large as its tree

    def _visit(self, node: Any) -> None:
        kind = type(node)
        if kind is ast.Attribute or (kind is ast.Name and isinstance(node.ctx, ast.Load)):
            self._name(node)
        elif kind in IMPORT:
            self.imports.update(self._module.runs(node))
        elif kind in DEFINITION:
            self._definition(node)
        elif kind is ast.Lambda:
            self._visit(node.args)
            self._inside([node.args, node.body], [node.body])
        elif kind in _COMPREHENSION:
            self._comprehension(node)
        else:
            if kind is ast.AnnAssign and not self._in_class:  # in a class they make fields
                node.annotation = ast.Constant(None)
            elif kind is ast.Global:
                self.chains.update((name,) for name in node.names)
            elif kind is ast.AugAssign:  # reads what it sets
                self._name(node.target)
            for child in ast.iter_child_nodes(node):
                self._visit(child)

    def _name(self, node: ast.expr) -> None:
        root, chain = _unwind(node)
        if not isinstance(root, ast.Name):
            self._visit(root)
        elif root.id not in self._local:
            self.chains.add((root.id, *chain))
        else:
            self.targets.update(Target(name, (*path, *chain)) for name, path in self._local[root.id])

    def _definition(self, node: Any) -> None:
        if isinstance(node, ast.ClassDef):  # counts whole; its names are not seen inside its methods
            before, self._in_class = self._in_class, True
            for child in ast.iter_child_nodes(node):
                self._visit(child)
            self._in_class = before
            return
        if not node.decorator_list:
            node.returns = None
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
        for outside in [*node.decorator_list, node.args, *filter(None, [node.returns])]:
            self._visit(outside)
        self._inside([node.args, *node.body], node.body)

    def _comprehension(self, node: Any) -> None:
        self._visit(node.generators[0].iter)  # in the scope outside
        results = [getattr(node, name) for name in node._fields if name != "generators"]
        loops = [child for n, g in enumerate(node.generators) for child in [*[g.iter] * bool(n), *g.ifs]]
        self._inside([g.target for g in node.generators], [*loops, *results])

    def _inside(self, binders: list[ast.AST], nodes: Iterable[ast.AST]) -> None:
        before = self._local, self._in_class
        self._local, self._in_class = {**self._local, **self._module.names(binders)}, False
        for node in nodes:
            self._visit(node)
        self._local, self._in_class = before


def dump(node: Any) -> str:
    """Text of a syntax tree without layout, docstrings, positions and empty fields."""
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields if name not in ("ctx", "kind"))
        said = [f"{name}={dump(value)}" for name, value in fields if value is not None and value != []]
        return f"{type(node).__name__}({','.join(said)})"
    if isinstance(node, list):
        return f"[{','.join(dump(n) for n in node if not _is_idle(n))}]"
    return repr(node)


def _has_effect(node: ast.stmt) -> bool:
    """Whether a top-level statement does more than give names to values."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        todo: list[ast.AST] = list(node.targets) if isinstance(node, ast.Assign) else [node.target]
        while todo and isinstance(todo[-1], _NAMES):
            todo += ast.iter_child_nodes(todo.pop())
        return bool(todo)
    return not (_is_idle(node) or isinstance(node, (*DEFINITION, *IMPORT)) or hasattr(node, "type_params"))


def _unwind(node: Any) -> tuple[Any, tuple[str, ...]]:
    """The expression before a chain of attributes, and the attributes."""
    chain: tuple[str, ...] = ()
    while isinstance(node, ast.Attribute):
        node, chain = node.value, (node.attr, *chain)
    return node, chain


def _callee(decorator: ast.expr) -> tuple[str, ...]:
    root, chain = _unwind(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return (root.id, *chain) if isinstance(root, ast.Name) else ("",)


def _is_idle(node: Any) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
