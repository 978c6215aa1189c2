"""Kills a run at random moments, restarts it, and compares every artifact with those of an undisturbed run.

    python benchmarks/kill_resume.py --kills 50 --per-run 5            # the small planted variant
    python benchmarks/kill_resume.py --variant demo --kills 3 --per-run 1

Each kill is a SIGKILL to one job, to snakemake alone (its jobs go on), or to everything. The restart is
what the README says: `snakemake --unlock`, then the same command. Artifacts are compared byte by byte;
logs, times (benchmarks, report.html) and the `.meta.json` beside figures are left out. Prints a row per
kill, and exits with 1 if anything differs.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from workflow.project import Project, wait

MODES = ("job", "snakemake", "everything")
OCCUPIED = "one process at a time works on an output"


def finish(project: Project, target: str) -> None:
    """Run to the end; jobs of a killed snakemake that are still going are waited for."""
    while (done := project.run(target)).returncode:
        said = done.stdout + done.stderr
        if OCCUPIED not in said:
            raise SystemExit(f"{project.folder}: the restarted run failed\n{said[-3000:]}")
        wait(lambda: not project.jobs(), "jobs of a killed run")
        project.build(target, "--unlock")


def disturbed(
    project: Project, target: str, moments: list[float], modes: list[str], choice: random.Random
) -> list[str]:
    """Run with a kill at each moment (seconds of running since the start), then to the end."""
    done, spent = [], 0.0
    for moment, mode in zip(moments, modes, strict=True):
        process = project.start(target)
        try:
            process.wait(timeout=max(0.1, moment - spent))
        except subprocess.TimeoutExpired:
            jobs = project.jobs()
            what = "snakemake" if mode == "job" and not jobs else mode
            project.kill(process, what, choice.sample(jobs, len(jobs)))
            done.append(f"{what} at {moment:.0f} s")
            project.build(target, "--unlock")
        spent = moment
    finish(project, target)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", default="tiny")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--per-run", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    choice, target = random.Random(arguments.seed), f"results/{arguments.variant}/report.html"
    config = "config/tiny.yaml" if arguments.variant.startswith("tiny") else None
    with tempfile.TemporaryDirectory() as folder:
        whole = Project(Path(folder) / "whole", config)
        began = time.monotonic()
        finish(whole, target)
        seconds = time.monotonic() - began
        print(f"undisturbed: {seconds:.0f} s, {len(whole.digests())} artifacts", flush=True)
        killed = same = number = 0
        while killed < arguments.kills:
            number += 1
            project = Project(Path(folder) / f"run{number}", config)
            count = min(arguments.per_run, arguments.kills - killed)
            moments = sorted(choice.uniform(0, seconds) for _ in range(count))
            modes = [MODES[(killed + i) % len(MODES)] for i in range(count)]
            done = disturbed(project, target, moments, modes, choice)
            different = whole.differences(project)
            killed += len(done)
            same += 0 if different else len(done)
            verdict = f"DIFFERENT: {', '.join(different[:5])}" if different else "identical"
            print(f"run {number}: {'; '.join(done) or 'ended before'}: {verdict}", flush=True)
            shutil.rmtree(project.folder)
        print(f"{same} of {killed} kills left no trace")
    return 0 if same == killed else 1


if __name__ == "__main__":
    sys.exit(main())
