"""A stage as Snakemake is told of it: the part of a rule that is the same for all."""

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from reliance.base.errors import RelianceError
from reliance.plan import paths
from reliance.plan.paths import Wildcards, at
from reliance.plan.plan import Plan
from reliance.plan.sizes import size_of
from reliance.plan.stage import Need, Paths, Stage, Values, plain
from reliance.running.fingerprint import Sources, code_key, file_fingerprints

P = ParamSpec("P")
R = TypeVar("R")


class Named(Protocol):
    """Snakemake's wildcards."""

    def items(self) -> Any:
        """(name, value) for each."""


def told(function: Callable[P, R]) -> Callable[P, R]:
    """The function with a user's errors ending the run with one message.

    Snakemake would wrap it in an excerpt of its own stack.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RelianceError as error:
            # Snakemake plans in coroutines: those that had not begun are no news to whoever made a mistake.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            sys.exit(f"\nERROR {error}\n")

    return wrapper


def wire(stages: Iterable[Stage], plan: Plan, project: Path) -> list["Wired"]:
    """Every stage as a rule; what their code says is kept for the next run, beside Python's bytecode."""
    wired = [Wired(stage, plan, project) for stage in stages]
    for each in wired:
        each.fingerprints  # noqa: B018
    _sources(project / "src").keep()
    return wired


class Wired:
    """What the rule of a stage is made of. project : folder of the project, with src/ and scripts/job.py."""

    def __init__(self, stage: Stage, plan: Plan, project: Path) -> None:
        self.stage, self.plan = stage, plan
        self._script, self._src = project / "scripts" / "job.py", project / "src"
        self.log = f"{paths.LOGS}/{stage.name}/{stage.job}.log"
        self.benchmark = f"{paths.BENCHMARKS}/{stage.name}/{stage.job}.tsv"
        self.threads = plan.config.compute.threads if stage.threads else 1

    @property
    def constraints(self) -> Mapping[str, str]:
        """Patterns of wildcards."""
        variants = self.stage.variants
        return {**self.stage.constraints, **({"variant": variants(self.plan)} if variants else {})}

    @told
    def inputs(self, wildcards: Named) -> Paths:
        """Files that a job reads, by name, as far as Snakemake can be told of them."""
        files = self.stage.inputs(self.plan, _names(wildcards))
        kept = {name: _known(file) for name, file in files.items()}
        return {name: file for name, file in kept.items() if file is not None}

    @told
    def after(self, wildcards: Named) -> list[str]:
        """Files that must be there before a job starts, whatever their age; it does not get them."""
        names = _names(wildcards)
        waited = self.stage.after(self.plan, names) if self.stage.after else []
        return [*waited, *self._carried(names)] if self.plan.remote else waited

    @told
    def along(self, wildcards: Named) -> list[str]:
        """Files that are made before a job, which runs again after them; it does not get them."""
        return self.stage.along(self.plan, _names(wildcards)) if self.stage.along else []

    def _carried(self, names: Wildcards) -> list[str]:
        """Parts of the manifests that a job reads: a bucket hands over nothing that is not asked for."""
        files = self.stage.inputs(self.plan, names).values()
        each = [f for file in files for f in (file if isinstance(file, list) else [file])]
        return [part for file in dict.fromkeys(each) for part in parts_of(self.plan, file)]

    @told
    def literal(self, wildcards: Named) -> Values:
        """The user's files with braces in their paths, which Snakemake would take for patterns.

        Name -> [place in a list or -1, path, size and time of the last change] each; a job gets them all the
        same, and reruns if one changed.
        """
        files = self.stage.inputs(self.plan, _names(wildcards))
        found = {name: _literal(file) for name, file in files.items()}
        return {name: found[name] for name in sorted(found) if found[name]}

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """One value for each module that the function reaches, so that a rerun names what changed.

        A guard has none, and its settings are not compared: Snakemake looks for no change in a job that waits
        (`ancient`) for one that runs again, nor in what follows from it.
        """
        if self.stage.guard:
            return {}
        package = self._src / "reliance"
        files = file_fingerprints([package / name for name in self.stage.reads], self._src)
        own = self._reached(self.stage.entry)
        for entry in self.stage.also:
            own |= {f"{entry}.{k}": v for k, v in self._reached(entry).items()}
        return {**own, **files}

    @told
    def settings(self, wildcards: Named) -> Values:
        """Plain values under sorted names: Snakemake compares them by value, so names go along."""
        values = {} if self.stage.guard else dict(self.stage.settings(self.plan, _names(wildcards)))
        if self.stage.resumes:
            values["fingerprint"] = code_key(self.fingerprints)
        found: Values = plain(values)
        return found

    @told
    def untracked(self, wildcards: Named, resources: object) -> Values:
        """Values that Snakemake does not compare: it leaves out functions that take `resources`."""
        values = dict(self.stage.untracked(self.plan, _names(wildcards)))
        if self.stage.guard:
            values |= self.stage.settings(self.plan, _names(wildcards))
        if others := self.stage.together(self.plan, _names(wildcards)):
            keys = {name: self._code_of(row["job"]) for name, row in others.items()}
            values["together"] = {name: {**row, "fingerprint": keys[name]} for name, row in others.items()}
        found: Values = plain(values)
        return found

    def _code_of(self, entry: str) -> str:
        return code_key(self._reached(entry))

    @told
    def _reached(self, entry: str) -> dict[str, str]:
        return _sources(self._src).fingerprints(self._script, entry)

    def about(self, wildcards: Named, resources: object) -> str:
        """One sentence on the output, for its caption in Snakemake's report; not compared either."""
        return self.stage.listed.about if self.stage.listed else ""

    @property
    def resources(self) -> Mapping[str, int | Callable[..., int]]:
        """What a job asks of a cluster. A job that failed or ran out of time asks for more."""
        asked: dict[str, int | Callable[..., int]] = {
            "mem_mb": self._growing(self.stage.memory),
            "runtime": self._growing(self.stage.minutes),
        }
        if self.stage.gpu:
            asked["gpu"] = int(self.plan.gpu)
        if self.stage.cpus:
            asked["cpus_per_task"] = self.stage.cpus(self.plan)
        return asked

    def _growing(self, need: Need) -> Callable[..., int]:
        @told
        def asked(wildcards: Named, attempt: int) -> int:
            each = need(size_of(self.plan, _names(wildcards))) if callable(need) else need
            return math.ceil(attempt * each)

        return asked


@cache
def _sources(src: Path) -> Sources:
    return Sources(src, src / "reliance" / "__pycache__" / "statements.pickle")


def parts_of(plan: Plan, manifest: str) -> list[str]:
    """The parts beside a manifest of embeddings or codes; none of another file, or of another run's."""
    folder, own, _ = manifest.rpartition("manifest.json")
    if not own or not folder.startswith("results/"):
        return []
    names = folder.split("/")
    dataset = names[-3] if names[1] == "encoders" else plan.variant(names[1]).dataset
    parts = str(plan.parts(dataset))
    return [f"{folder}{at(paths.PART, part=str(part), parts=parts)}" for part in range(int(parts))]


def _known(file: str | list[str]) -> str | list[str] | None:
    if isinstance(file, list):
        return [path for path in file if "{" not in path]
    return None if "{" in file else file


def _literal(file: str | list[str]) -> list[list[int | str]]:
    places = enumerate(file) if isinstance(file, list) else [(-1, file)]
    return [[place, path, *_state(path)] for place, path in places if "{" in path]


def _state(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def _names(wildcards: Named) -> Wildcards:
    return Wildcards(**dict(wildcards.items()))
