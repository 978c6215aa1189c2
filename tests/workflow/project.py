"""A copy of the project, the command line of a user in it, and what was built there."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("workflow", "rules", "scripts", "config", "envs", "src")
FIGURES = tuple(f"fig{n}" for n in (3, "3b", 4, 5, 7, 8, 9, 10, 11, 12, 13, 14))
TARGETS = (
    "results/tiny/report.html",
    "results/tiny/variant.json",
    "results/tiny/atlas/index.html",
    "results/tiny/attributions/subset.parquet",
    "results/tiny/attributions/test.parquet",
    "results/tiny/explore/views.safetensors",
    "results/tiny/explore/served.parquet",
    "results/encoders/tiny/planted_tiny/text/vocabulary.parquet",
    "results/compare/tiny/fig4.pdf",
    "results/compare/tiny/fig5.pdf",
)
UNFINISHED = ("*.pyc.*", "*.pickle.*")
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1"}


class Project:
    """A working copy of the project; `config` is a file of its own configuration, if any."""

    def __init__(self, folder: Path, config: str | None = "config/tiny.yaml") -> None:
        self.folder, self.config = folder, config
        for part in PARTS:
            # With Python's bytecode, but not with what others are writing just now.
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(*UNFINISHED))

    @classmethod
    def built(cls, cache: Path, folder: Path) -> "Project":
        """A copy of the small planted variant, which is built once for one state of the project.

        cache : a folder of the test runner's; it keeps the last such build only.
        """
        kept = cache / _state()
        with open(cache / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.is_dir():
                for other in filter(Path.is_dir, cache.iterdir()):
                    shutil.rmtree(other)
                cls(cache / "unfinished").build(*TARGETS)
                os.replace(cache / "unfinished", kept)
            found = object.__new__(cls)
            found.folder, found.config = kept, "config/tiny.yaml"
            return found.copy(folder)

    def copy(self, folder: Path) -> "Project":
        """The project with its results and what Snakemake knows of them."""
        shutil.copytree(self.folder, folder, symlinks=True)
        copied = object.__new__(Project)
        copied.folder, copied.config = folder, self.config
        return copied

    def command(self, *arguments: str) -> list[str]:
        config = ["--configfile", self.config] if self.config else []
        return [str(Path(sys.executable).parent / "snakemake"), *arguments, "--cores", "2", *config]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )

    def build(self, *arguments: str) -> str:
        """Run to a good end; what was said."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def verify(self) -> subprocess.CompletedProcess[str]:
        """Every artifact of the variant against its checksum."""
        return subprocess.run(
            [sys.executable, "-m", "reliance", "verify", "tiny"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**ENVIRONMENT, "PYTHONPATH": str(self.folder / "src")},
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A run that is not waited for, in a process group of its own; it writes to output.txt."""
        with open(self.folder / "output.txt", "ab") as stream:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env=ENVIRONMENT,
            )

    def jobs(self, rule: str = "") -> list[int]:
        """Processes that run a job of this copy, or of one of its rules, whose log they write to."""
        scripts, log = f"{self.folder}/.snakemake/scripts/", f"{self.folder}/results/logs/{rule}/"
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                writes = os.readlink(process / "fd/1")
            except OSError:
                continue
            if any(word.startswith(scripts) for word in words[:-1]) and (not rule or writes.startswith(log)):
                found.append(int(process.name))
        return sorted(found)

    def kill(self, process: subprocess.Popen[bytes], mode: str, jobs: Sequence[int]) -> None:
        """SIGKILL to the first of `jobs`, to snakemake alone, or to everything; then wait for snakemake.

        After the death of one job snakemake ends by itself, when its other jobs are done.
        """
        chosen = {"job": jobs[:1], "snakemake": [process.pid], "everything": [process.pid, *self.jobs()]}
        self.signal(signal.SIGKILL, chosen[mode])
        process.wait()

    def signal(self, number: signal.Signals, processes: Sequence[int]) -> None:
        """Send a signal to processes, as far as there still are any."""
        for process in processes:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue

    def planned(self, *arguments: str, targets: Sequence[str] = TARGETS) -> set[str]:
        """Names of the rules a run would start."""
        said = self.build(*targets, "--dry-run", *arguments)
        table = re.search(r"Job stats:\n.*?\n-+ +-+\n(.*?)\ntotal", said, flags=re.S)
        return {line.split()[0] for line in table[1].splitlines()} if table else set()

    def digests(self) -> dict[str, str]:
        """SHA-256 of every artifact; logs, what holds times, and unfinished work are left out."""
        results, kept = self.folder / "results", {}
        for path in sorted(results.rglob("*")):
            name = path.relative_to(results)
            timed = name.parts[0] in ("logs", "benchmarks") or path.name.endswith((".meta.json", ".html"))
            hidden = any(part.startswith(".") for part in name.parts)
            if path.is_file() and not timed and not hidden:
                kept[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return kept

    def differences(self, other: "Project") -> list[str]:
        """Artifacts that only one of the two has, or that are not the same in both, byte by byte."""
        here, there = self.digests(), other.digests()
        return sorted(name for name in here | there if here.get(name) != there.get(name))


def _state() -> str:
    """Everything that what is built depends on, as one name."""
    digest = hashlib.sha256(sys.version.encode() + (ROOT / "requirements.txt").read_bytes())
    files = (path for part in PARTS for path in (ROOT / part).rglob("*"))
    for path in sorted(p for p in files if p.is_file() and "__pycache__" not in p.parts):
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size} ".encode() + path.read_bytes())
    return f"tiny-{digest.hexdigest()[:16]}"


def wait(condition: Callable[[], object], what: str, limit: float = 900, every: float = 0.1) -> None:
    """Wait until something holds, asked `every` few seconds; fail with what it was after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit:.0f} s in vain for {what}"
        time.sleep(every)
