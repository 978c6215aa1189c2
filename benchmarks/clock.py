"""What all benchmarks share: clocks that wait for a GPU, rounds, memory of a process, tables, options."""

import argparse
import multiprocessing
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
PRELOADED = ("torch", "pandas", "pyarrow.parquet", "zarr", "scipy.special", "open_clip")
IMAGENET, LAION = 1_281_167, 400_000_000


class Cost(NamedTuple):
    """What a function took in a process of its own."""

    wall: float  # seconds
    cpu: float  # seconds of all its threads and of processes that it started
    peak: float  # GiB, the largest resident size; on a GPU that of its allocations
    result: Any = None  # what it returned


def parser(text: str, **sizes: int) -> argparse.ArgumentParser:
    """Options of every benchmark, and its sizes by name."""
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in sizes.items():
        found.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    found.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    found.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    found.add_argument("--rounds", type=int, default=3)
    return found


def wait(device: str) -> None:
    """Until the device has done all it was asked for."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


class Spent(NamedTuple):
    """Seconds of one call."""

    wall: float
    cpu: float  # of all threads of this process; hardly grows when a machine is shared


def seconds(action: Callable[[], object], device: str = "cpu") -> Spent:
    """What one call takes."""
    wait(device)
    start, used = time.perf_counter(), time.process_time()
    action()
    wait(device)
    return Spent(time.perf_counter() - start, time.process_time() - used)


def rounds(
    actions: Mapping[str, Callable[[], object]], count: int, device: str = "cpu"
) -> dict[str, list[Spent]]:
    """What every action takes in each of `count` rounds, one after the other, after one round to warm up.

    A machine with other work slows all actions of a round alike: compare within rounds, see `ratio`.
    """
    times: dict[str, list[Spent]] = {name: [] for name in actions}
    for turn in range(count + 1):
        for name, action in actions.items():
            spent = seconds(action, device)
            if turn:
                times[name].append(spent)
    return times


def ratio(first: Sequence[Spent], second: Sequence[Spent], field: str = "wall") -> float:
    """Median over the rounds of the time of one action over that of another."""
    pairs = zip(first, second, strict=True)
    return median(getattr(a, field) / max(getattr(b, field), 1e-9) for a, b in pairs)


def alone(function: Callable[..., object], *arguments: Any, device: str = "cpu") -> Cost:
    """The cost of a call in a fresh process that has imported what takes long; Linux and macOS.

    Raises RuntimeError if it fails.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in PRELOADED if name in sys.modules])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, function, arguments, device))
    process.start()
    sender.close()
    try:
        return Cost(*receiver.recv())
    except EOFError:
        raise RuntimeError(f"{function.__name__} failed, see above") from None
    finally:
        process.join()


def _report(sender: Any, function: Callable[..., object], arguments: tuple[Any, ...], device: str) -> None:
    wait(device)
    start, before = time.perf_counter(), os.times()
    result = function(*arguments)
    wait(device)
    wall, used = time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4])
    sender.send((wall, used, peak(device), result))


def peak(device: str = "cpu") -> float:
    """The largest resident size of this process so far, in GiB; with cuda, of its memory there."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / (1 << 30)
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss may be that of the process it was started from
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / (1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 30)


def machine(options: argparse.Namespace) -> str:
    """The machine in words, and how busy it is."""
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        name = re.search(r"model name\s*: (.*)", info.read_text())[1]
    load = f"load {os.getloadavg()[0]:.1f}"
    words = [name, f"{os.cpu_count()} cores", f"{options.threads} threads", load]
    if options.device == "cuda":
        import torch

        words.insert(0, torch.cuda.get_device_name())
    return ", ".join(words)


def table(rows: Iterable[Sequence[object]]) -> None:
    """Print rows in columns; the first is to the left, the others to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for first, *others in texts:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]))


def compare(times: Mapping[str, Sequence[Spent]], counts: Mapping[str, int], item: str = "image") -> None:
    """Print medians per item in microseconds, and the first action (ours) over each by wall and CPU time.

    counts : items that each action was timed over.
    """
    ours = next(iter(times))
    rows: list[Sequence[object]] = [(f"us per {item}", "wall", "CPU", "ours over it: wall", "CPU")]
    for name, found in times.items():
        cells = [f"{median(getattr(s, f) for s in found) / counts[name] * 1e6:.3g}" for f in Spent._fields]
        share = counts[name] / counts[ours]
        over = [f"{share * ratio(times[ours], found, f):.3f}" for f in Spent._fields]
        rows.append((name, *cells, *(["", ""] if name == ours else over)))
    table(rows)
