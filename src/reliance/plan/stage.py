"""A row of the plan: one stage, from what it reads to what it writes."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from reliance.plan.paths import Wildcards
from reliance.plan.plan import Plan
from reliance.plan.sizes import Size

Paths = dict[str, str | list[str]]
Values = dict[str, Any]
Need = float | Callable[[Size], float]


class Listed(NamedTuple):
    """How an output stands in Snakemake's report."""

    output: str
    name: str  # of its caption in workflow/report/
    category: str
    labels: dict[str, str]
    about: str  # one sentence, for a caption of the common form


def nothing(plan: Plan, w: Wildcards) -> dict[str, Any]:
    """What a stage without inputs or settings gets."""
    return {}


def in_blocks(plan: Plan, w: Wildcards) -> Values:
    """How much is held in memory at a time."""
    return {"block_rows": plan.config.compute.block_rows}


class Stage(NamedTuple):
    """One stage: a function, and all that Snakemake must know to call it.

    The names of inputs, outputs, settings and untracked values are the function's parameters (or fields of
    NamedTuples that it takes). Log, benchmark, environment and fingerprints follow from the rest.
    """

    name: str  # of the rule
    entry: str  # "package.module:function"
    outputs: Mapping[str, str | list[str]]  # name -> pattern
    message: str
    inputs: Callable[[Plan, Wildcards], Paths] = nothing
    settings: Callable[[Plan, Wildcards], Values] = nothing  # plain values that shape the result
    after: Callable[[Plan, Wildcards], list[str]] | None = None  # files that must be there; it reads them not
    guard: bool = False  # it only has others wait (`after`); no change of settings or code runs it again
    first: bool = False  # whether it comes before others that could run
    untracked: Callable[[Plan, Wildcards], Values] = nothing  # values that change speed or strictness alone
    memory: Need = 1000  # MB
    minutes: Need = 10
    threads: bool = False  # whether it gets compute.threads rather than one
    gpu: bool = False
    cpus: Callable[[Plan], int] | None = None  # if it needs more than its threads
    local: bool = False  # whether it runs where snakemake runs
    group: str | None = None  # jobs that a cluster gets together
    folders: tuple[str, ...] = ()  # names of outputs that are folders
    beside: tuple[str, ...] = ()  # outputs that the function writes beside those it is told of
    constraints: Mapping[str, str] = {}
    variants: Callable[[Plan], str] | None = None  # pattern of those it is for; none: all
    resumes: bool = False  # whether it goes on from unfinished work, which the code's fingerprint must fit
    together: Callable[[Plan, Wildcards], Values] = nothing  # name -> entry point and arguments of others
    # that a job may do work for, if it fits the fingerprint of the code of their own jobs
    also: tuple[str, ...] = ()  # entry points that it calls by name: their code counts too
    reads: tuple[str, ...] = ()  # files below the package that it reads itself
    listed: Listed | None = None

    @property
    def wildcards(self) -> list[str]:
        """Names in its outputs, in the order of the path."""
        first = next(iter(self.outputs.values()))
        return re.findall(r"{(\w+)}", first if isinstance(first, str) else first[0])

    @property
    def job(self) -> str:
        """Pattern of what tells its jobs apart, in file names."""
        return ".".join(f"{{{name}}}" for name in self.wildcards).replace(
            "{part}.{parts}", "{part}-of-{parts}"
        )


def plain(value: Any) -> Any:
    """A value as plain lists and sorted dicts: Snakemake compares settings by how they are written."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): plain(value[name]) for name in sorted(value)}
    return value
