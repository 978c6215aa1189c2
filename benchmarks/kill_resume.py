"""Kills a run at random moments, restarts it, and compares every artifact with those of an undisturbed run.

    python benchmarks/kill_resume.py --kills 50 --per-run 5            # the small planted variant
    python benchmarks/kill_resume.py --variant demo --kills 3 --per-run 1

Each kill is a SIGKILL to one job, to snakemake alone (its jobs go on), or to everything. The restart is
what the README says: `snakemake --unlock`, then the same command. Artifacts are compared byte by byte;
logs, times (benchmarks, report.html) and the `.meta.json` beside figures are left out. Prints a row per
kill, and exits with 1 if anything differs.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODES = ("job", "snakemake", "everything")
OCCUPIED = "one process at a time works on an output"


class Run:
    """A working copy of the project and its command."""

    def __init__(self, folder: Path, variant: str) -> None:
        self.folder = folder
        for part in ("workflow", "rules", "scripts", "config", "envs", "src"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        snakemake = str(Path(sys.executable).parent / "snakemake")
        config = ["--configfile", "config/tiny.yaml"] if variant.startswith("tiny") else []
        self.command = [snakemake, f"results/{variant}/report.html", "--cores", "2", *config]

    def start(self) -> subprocess.Popen[bytes]:
        """The command, in a process group of its own."""
        output = open(self.folder / "output.txt", "ab")  # noqa: SIM115
        return subprocess.Popen(
            self.command, cwd=self.folder, stdout=output, stderr=output, start_new_session=True
        )

    def unlock(self) -> None:
        """What the README says after a kill."""
        subprocess.run([*self.command, "--unlock"], cwd=self.folder, capture_output=True, check=True)

    def finish(self) -> None:
        """Run to the end; jobs of a killed snakemake that are still going are waited for."""
        while self.start().wait() != 0:
            text = (self.folder / "output.txt").read_text(errors="replace")
            if OCCUPIED not in text:
                raise SystemExit(f"{self.folder}: the restarted run failed\n{text[-3000:]}")
            (self.folder / "output.txt").unlink()
            wait_for(self.jobs)
            self.unlock()

    def jobs(self) -> list[int]:
        """Processes that run one of this copy's scripts."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(str(self.folder / ".snakemake/scripts").encode() in word for word in words):
                found.append(int(process.name))
        return found

    def digests(self) -> dict[str, str]:
        """SHA-256 of every artifact."""
        results = self.folder / "results"
        kept = {}
        for path in sorted(results.rglob("*")):
            name = path.relative_to(results)
            timed = name.parts[0] in ("logs", "benchmarks") or path.name.endswith((".meta.json", ".html"))
            hidden = any(part.startswith(".") for part in name.parts)
            if path.is_file() and not timed and not hidden:
                kept[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return kept


def wait_for(jobs) -> None:
    """Wait until no job is left."""
    while jobs():
        time.sleep(0.2)


def kill(run: Run, process: subprocess.Popen[bytes], mode: str, choice: random.Random) -> str:
    """Kill by mode; what was killed."""
    jobs = run.jobs()
    if mode == "job" and jobs:
        os.kill(choice.choice(jobs), signal.SIGKILL)
        process.wait()  # it stops by itself when its other jobs are done
        return "job"
    if mode == "everything":
        os.killpg(process.pid, signal.SIGKILL)
        for job in jobs:
            try:
                os.kill(job, signal.SIGKILL)
            except ProcessLookupError:
                continue
    else:
        process.kill()
    process.wait()
    return "everything" if mode == "everything" else "snakemake"


def disturbed(run: Run, moments: list[float], modes: list[str], choice: random.Random) -> list[str]:
    """Run with a kill at each moment (seconds of running since the start), then to the end."""
    done, spent = [], 0.0
    for moment, mode in zip(moments, modes, strict=True):
        process = run.start()
        try:
            process.wait(timeout=max(0.1, moment - spent))
        except subprocess.TimeoutExpired:
            done.append(f"{kill(run, process, mode, choice)} at {moment:.0f} s")
            run.unlock()
        spent = moment
    run.finish()
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
    choice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Run(Path(folder) / "whole", arguments.variant)
        began = time.monotonic()
        whole.finish()
        seconds, expected = time.monotonic() - began, whole.digests()
        print(f"undisturbed: {seconds:.0f} s, {len(expected)} artifacts", flush=True)
        killed = same = number = 0
        while killed < arguments.kills:
            number += 1
            run = Run(Path(folder) / f"run{number}", arguments.variant)
            count = min(arguments.per_run, arguments.kills - killed)
            moments = sorted(choice.uniform(0, seconds) for _ in range(count))
            modes = [MODES[(killed + i) % len(MODES)] for i in range(count)]
            done = disturbed(run, moments, modes, choice)
            found = run.digests()
            different = sorted(name for name in expected | found if expected.get(name) != found.get(name))
            killed += len(done)
            same += 0 if different else len(done)
            verdict = f"DIFFERENT: {', '.join(different[:5])}" if different else "identical"
            print(f"run {number}: {'; '.join(done) or 'ended before'}: {verdict}", flush=True)
            shutil.rmtree(run.folder)
        print(f"{same} of {killed} kills left no trace")
    return 0 if same == killed else 1


if __name__ == "__main__":
    sys.exit(main())
