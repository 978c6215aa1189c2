"""A stage as Snakemake is told of it: the part of a rule that is the same for all."""

import math
import sys
from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from reliance.base.errors import RelianceError
from reliance.plan import paths
from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.sizes import size_of
from reliance.plan.stage import Need, Paths, Stage, Values, plain
from reliance.running.fingerprint import code_key, file_fingerprints, fingerprints

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
            sys.exit(f"\nERROR {error}\n")

    return wrapper


class Wired:
    """What the rule of a stage is made of. project : folder of the project, with src/ and scripts/job.py."""

    def __init__(self, stage: Stage, plan: Plan, project: Path) -> None:
        self.stage, self.plan = stage, plan
        self._script, self._src = project / "scripts" / "job.py", project / "src"
        self.log = f"{paths.LOGS}/{stage.name}/{stage.job}.log"
        self.benchmark = f"{paths.BENCHMARKS}/{stage.name}/{stage.job}.tsv"
        self.threads = plan.config.compute.threads if stage.threads else 1

    @told
    def inputs(self, wildcards: Named) -> Paths:
        """Files that a job reads, by name."""
        return dict(self.stage.inputs(self.plan, _names(wildcards)))

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """One value for each module that the function reaches, so that a rerun names what changed."""
        package = self._src / "reliance"
        files = file_fingerprints([package / name for name in self.stage.reads], self._src)
        return {**told(fingerprints)(self._script, self._src, self.stage.entry), **files}

    @told
    def settings(self, wildcards: Named) -> Values:
        """Plain values under sorted names: Snakemake compares them by value, so names go along."""
        values = dict(self.stage.settings(self.plan, _names(wildcards)))
        if self.stage.resumes:
            values["fingerprint"] = code_key(self.fingerprints)
        found: Values = plain(values)
        return found

    @told
    def untracked(self, wildcards: Named, resources: object) -> Values:
        """Values that Snakemake does not compare: it leaves out functions that take `resources`."""
        found: Values = plain(self.stage.untracked(self.plan, _names(wildcards)))
        return found

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


def _names(wildcards: Named) -> Wildcards:
    return Wildcards(**dict(wildcards.items()))
