"""What a job costs before it does anything: imports of every entry, Snakemake's plan, overhead per job.

    python benchmarks/startup.py                  # small: imports of six modules, plan of one variant, 4 jobs
    python benchmarks/startup.py --modules 100 --variants 100 --jobs 20

Imports: the module of a stage's function is imported in a process of its own, and what it brought along is
looked up. Stages that bring torch are listed; only those that run a model, or attribute, need it.
Plan: `snakemake --dry-run` of every figure, the page and the comparisons of the variants, in a folder
without results, with made roots for the data sets that need one (goal: at most 10 s).
Jobs: `--jobs` jobs of one script that calls an empty function through `running.job.run`, against one such
job; the floor is a Python process that imports the same.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import yaml

from clock import Spent, machine, parser, table
from reliance.config.resolve import load
from reliance.figures.table import FIGURES
from reliance.plan.plan import Plan
from reliance.plan.report import default_targets
from reliance.plan.stages import STAGES
from seeded import LINKED, ROOT

HEAVY = ("torch", "pandas", "zarr", "scipy", "sklearn", "matplotlib", "open_clip")
PROBE = """
import sys, time
start = time.perf_counter(), time.process_time()
import {module}
brought = [name for name in {heavy} if name in sys.modules]
print(time.perf_counter() - start[0], time.process_time() - start[1], *brought)
"""
SNAKEFILE = """
import sys
sys.path.insert(0, {src!r})
rule all:
    input: expand("done/{{i}}.txt", i=range({jobs}))
rule one:
    output: done="done/{{i}}.txt"
    log: "logs/{{i}}.log"
    benchmark: "benchmarks/{{i}}.tsv"
    params: settings={{"text": "x"}}
    script: "script.py"
"""
SCRIPT = """
import sys
sys.path.insert(0, {src!r})
from reliance.running.job import run


def write(done, text):
    done.write_text(text)


run(snakemake, write)
"""


def modules(count: int) -> dict[str, list[str]]:
    """Module of a stage's function -> the stages that call it; evenly chosen."""
    found: dict[str, list[str]] = {}
    for stage in STAGES:
        found.setdefault(stage.entry.partition(":")[0], []).append(stage.name)
    step = max(1, -(-len(found) // count))
    return dict(list(found.items())[::step])


def imports(count: int) -> None:
    """Print what importing takes, slowest first, and who brings torch."""
    found = []
    for module, stages in modules(count).items():
        code = PROBE.format(module=module, heavy=HEAVY)
        said = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT / "src"
        )
        wall, used, *brought = said.stdout.split()
        found.append((float(used), float(wall), ", ".join(stages), brought))
    found.sort(reverse=True)
    rows = [(names, f"{wall:.2f}", f"{used:.2f}", " ".join(brought)) for used, wall, names, brought in found]
    table([("imports of a stage", "s", "CPU s", "brings"), *rows])
    with_torch = [names for *_, names, brought in found if "torch" in brought]
    print(f"with torch: {', '.join(sorted(with_torch)) or 'none'}\n")


def targets(count: int) -> list[str]:
    """Every figure and page of the first variants, and of the comparisons if these are all."""
    plan = Plan(load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text())))
    variants = list(plan.config.variants)[:count]
    found = [target for name in variants for target in default_targets(plan, name)]
    if count >= len(plan.config.variants):
        figures = [row.name for row in FIGURES if row.compares]
        found += [f"results/compare/{name}/{fig}.pdf" for name in plan.config.comparisons for fig in figures]
    return found


def made_roots(folder: Path) -> str:
    """A --config entry that gives every data set without a root an empty folder."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    entries = []
    for name, dataset in config["datasets"].items():
        if "root" in dataset:
            for part in ("train", "val"):
                (folder / name / part).mkdir(parents=True)
            entries.append(f"{name}: {{root: {folder / name}}}")
    return f"datasets={{{', '.join(entries)}}}"


def plan(count: int, repeats: int) -> None:
    """Print the time of a dry run."""
    with tempfile.TemporaryDirectory() as name:
        folder, asked = Path(name), targets(count)
        for part in LINKED:
            (folder / part).symlink_to(ROOT / part)
        config = made_roots(folder / "roots")
        command = [*snakemake(), *asked, "--dry-run", "--quiet", "all", "--config", config]
        times, empty = [], []
        for _ in range(repeats):
            times.append(timed(command, folder))
            empty.append(timed([*snakemake(), "--version"], folder))
    wall, used = (median(getattr(s, field) for s in times) for field in Spent._fields)
    start = median(s.cpu for s in empty)
    print(f"plan of {len(asked)} targets: {wall:.1f} s, CPU {used:.1f} s, its start alone CPU {start:.1f} s")
    print("goal: at most 10 s for all variants\n")


def jobs(count: int) -> None:
    """Print the overhead of a job."""
    src, times = str(ROOT / "src"), []
    for n in (1, 1 + count):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "Snakefile").write_text(SNAKEFILE.format(src=src, jobs=n))
            (folder / "script.py").write_text(SCRIPT.format(src=src))
            times.append(timed([*snakemake(), "--quiet", "all"], folder))
    floor = timed([sys.executable, "-c", "import reliance.running.job"], ROOT / "src")
    wall, used = ((b - a) / count for a, b in zip(*times, strict=True))
    print(f"a job that does nothing: {wall:.2f} s, CPU {used:.2f} s; a bare process: CPU {floor.cpu:.2f} s")


def snakemake() -> list[str]:
    """The command, with one core."""
    return [str(Path(sys.executable).parent / "snakemake"), "--cores", "1"]


def timed(command: Sequence[str], folder: Path) -> Spent:
    """Seconds of a command and all it starts; its output is shown if it fails."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Spent(time.perf_counter() - start, sum(os.times()[2:4]) - sum(before[2:4]))


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__, modules=6, variants=1, jobs=4)
    found.set_defaults(rounds=1)
    options: argparse.Namespace = found.parse_args(arguments)
    print(machine(options))
    imports(options.modules)
    plan(options.variants, options.rounds)
    jobs(options.jobs)
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
