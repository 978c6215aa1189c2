"""Builds files of the plan in one process: the stages without Snakemake, its starts and its checks.

    python benchmarks/in_process.py --config config/tiny.yaml --folder build/here results/tiny/fig5.pdf

A file that is there is taken as it is. For many small jobs, where starting one takes longer than its work.
"""

import argparse
import importlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from reliance.config.resolve import load
from reliance.plan.paths import CONSTRAINTS, Wildcards
from reliance.plan.plan import Plan
from reliance.plan.stage import Stage
from reliance.plan.stages import STAGES
from reliance.running.job import bundled

ROOT = Path(__file__).parents[1]


def merged(one: Any, other: Any) -> Any:
    """Two configurations, the second on top."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return other
    return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}


def configured(*more: Mapping[str, Any] | Path) -> Plan:
    """The plan of the shipped configuration with others on top."""
    raw: Any = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    for part in more:
        raw = merged(raw, yaml.safe_load(part.read_text()) if isinstance(part, Path) else part)
    return Plan(load(raw))


class Maker:
    """Makes files in the current folder."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.seconds = plan, dict[str, float]()

    def make(self, target: str) -> Path:
        """A file with all that it needs."""
        if not Path(target).exists():
            self._run(*self._stage(target))
        return Path(target)

    def _stage(self, target: str) -> tuple[Stage, Wildcards]:
        for stage in STAGES:
            for pattern in _flat([*stage.outputs.values(), list(stage.beside)]):
                found = re.fullmatch(self._expression(stage, pattern), target)
                if found:
                    return stage, Wildcards(**found.groupdict())
        raise SystemExit(f"no stage makes {target}")

    def _expression(self, stage: Stage, pattern: str) -> str:
        own = {**CONSTRAINTS, **stage.constraints}
        if stage.variants:
            own["variant"] = stage.variants(self.plan)
        seen: set[str] = set()

        def place(match: re.Match[str]) -> str:
            name = match[1]
            if name in seen:
                return f"(?P={name})"
            seen.add(name)
            # constraints look ahead for the slash behind a name
            return f"(?P<{name}>(?:{own.get(name, '[^/]+')}))"

        literal = re.split(r"({\w+})", pattern)
        return "".join(
            re.sub(r"{(\w+)}", place, part) if part[:1] == "{" else re.escape(part) for part in literal
        )

    def _run(self, stage: Stage, w: Wildcards) -> None:
        inputs = stage.inputs(self.plan, w)
        for path in _flat(inputs.values()):
            if path.startswith("results/"):
                self.make(path)
        names = {name: value for name, value in w._asdict().items() if value}
        outputs = {name: _filled(pattern, names) for name, pattern in stage.outputs.items()}
        for path in _flat(outputs.values()):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        files = {name: _path(value) for name, value in {**inputs, **outputs}.items()}
        values = {**stage.settings(self.plan, w), **stage.untracked(self.plan, w)}
        module, _, function = stage.entry.partition(":")
        called = getattr(importlib.import_module(module), function)
        began = time.perf_counter()
        called(**bundled(called, {**files, **values}))
        took = time.perf_counter() - began
        self.seconds[stage.name] = self.seconds.get(stage.name, 0) + took
        print(f"{took:7.1f} s  {stage.name} {' '.join(names.values())}", flush=True)


def _flat(values: Any) -> list[str]:
    return [path for value in values for path in ([value] if isinstance(value, str) else value)]


def _filled(pattern: str | Sequence[str], names: Mapping[str, str]) -> str | list[str]:
    if isinstance(pattern, str):
        return pattern.format(**names)
    return [part.format(**names) for part in pattern]


def _path(value: str | Sequence[str]) -> Path | list[Path]:
    return Path(value) if isinstance(value, str) else [Path(part) for part in value]


def main() -> None:
    """Build what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--config", type=Path, nargs="*", default=[])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/in_process")
    arguments = parser.parse_args()
    plan = configured(*(path.resolve() for path in arguments.config))
    enter(arguments.folder)
    for target in arguments.targets:
        Maker(plan).make(target)


def enter(folder: Path) -> None:
    """Work in a folder, which sees the configuration of the project."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    if not Path("config").exists():
        Path("config").symlink_to(ROOT / "config")


if __name__ == "__main__":
    main()
