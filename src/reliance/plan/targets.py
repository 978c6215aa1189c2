"""Files that are asked for by name and that no stage makes: one clear error instead of a missing rule."""

import os
import re
from collections.abc import Iterator, Sequence

from reliance.base.errors import RESULTS, RelianceError
from reliance.config.mistakes import nearest
from reliance.plan import paths
from reliance.plan.stage import Stage

ANYTHING = ".+"  # what Snakemake takes for a name without a constraint
REPORTS = "--report"  # options of which the next argument is a file that Snakemake writes itself


def check_targets(arguments: Sequence[str], stages: Sequence[Stage]) -> None:
    """Raise RelianceError for the first argument that lies in a folder of results and is made by no stage.

    arguments : of the command line. Files that exist are left alone.
    """
    for before, path in zip(("", *arguments), arguments, strict=False):
        parts = path.split("/")
        if parts[0] != RESULTS or len(parts) < 3 or before.startswith(REPORTS) or os.path.exists(path):
            continue
        if not any(pattern.fullmatch(path) for stage in stages for pattern in _patterns(stage)):
            raise _unknown(path, stages)


def _patterns(stage: Stage) -> Iterator[re.Pattern[str]]:
    constraints = {**paths.CONSTRAINTS, **stage.constraints}
    for output in _outputs(stage):
        seen: set[str] = set()

        def named(found: re.Match[str], seen: set[str] = seen) -> str:
            name = found[1]
            if name in seen:
                return f"(?P={name})"
            seen.add(name)
            return f"(?P<{name}>{constraints.get(name, ANYTHING)})"

        yield re.compile(re.sub(r"\\{(\w+)\\}", named, re.escape(output)))


def _outputs(stage: Stage) -> Iterator[str]:
    for output in stage.outputs.values():
        yield from [output] if isinstance(output, str) else output
    yield from stage.beside


def _unknown(path: str, stages: Sequence[Stage]) -> RelianceError:
    """The error of a path, with the files that lie where it would."""
    kind = f"{RESULTS}/compare/" if path.startswith(f"{RESULTS}/compare/") else f"{RESULTS}/{{variant}}/"
    level = path.count("/")
    beside = sorted(
        {
            os.path.basename(output)
            for stage in stages
            for output in _outputs(stage)
            if output.startswith(kind) and output.count("/") == level and "{" not in os.path.basename(output)
        }
    )
    shown = [name for name in beside if not name.endswith((".meta.json", ".caption.md", ".csv", ".png"))]
    near = nearest(os.path.basename(path), beside)
    return RelianceError(
        path,
        "a file that is asked for is one that the pipeline makes",
        found="no stage makes a file of this name",
        allowed=", ".join(shown) or "docs/figures.md lists the figures, README.md the tables",
        next_step=near or "docs/figures.md lists the figures, README.md the tables",
    )
