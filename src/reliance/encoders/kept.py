"""Rows of embeddings that were made before, for images that stayed as they were.

Another list of images makes every part new. What stays beside a part, under a hidden name, is a second name
of its files (hard links, which take no room while both are there) with the path, size and times of the last
change of every image (content and entry). A part that is made again takes the rows of images that still have
all of them below the same root; what was embedded with other weights, settings or code does not count.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliance.base.errors import RelianceError
from reliance.base.rows import verify_part
from reliance.images.tables import SplitRows

log = logging.getLogger(__name__)
START, RECORD = ".kept-", "kept.json"

State = tuple[str, int, int, int]  # path below the root, bytes, times of the last change in ns: mtime, ctime


class Kept(NamedTuple):
    """Rows of a split that need not be embedded."""

    place: Mapping[int, int]  # row of the split -> row in `arrays`
    arrays: Mapping[str, np.ndarray]

    def fresh(self, rows: Sequence[int]) -> list[int]:
        """Those of some rows that have to be embedded."""
        return [row for row in rows if row not in self.place]

    def filled(
        self, rows: Sequence[int], fresh: Sequence[int], arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Arrays of consecutive rows: those that were just embedded, and what was kept between them."""
        if len(fresh) == len(rows):
            return dict(arrays)
        inside = [row - rows[0] for row in fresh]
        others = [row for row in rows if row in self.place]
        found = {}
        for name, kept in self.arrays.items():
            whole = np.empty((len(rows), *kept.shape[1:]), kept.dtype)
            if len(fresh):
                whole[inside] = arrays[name]
            whole[[row - rows[0] for row in others]] = kept[[self.place[row] for row in others]]
            found[name] = whole
        return found


NOTHING = Kept({}, {})


def states_of(root: str, listed: SplitRows) -> list[State | None]:
    """What images of a part are known by; None for one in a container, gone, or not as it was listed."""
    found: list[State | None] = []
    for path, size, place in zip(listed.paths, listed.sizes, listed.places, strict=True):
        try:
            state = os.stat(os.path.join(root, path))
        except OSError:
            found.append(None)
            continue
        whole = not place and state.st_size == size
        found.append((path, state.st_size, state.st_mtime_ns, state.st_ctime_ns) if whole else None)
    return found


def key_of(weights: str, code: str, identity: Mapping[str, Any], root: str) -> str:
    """Of what else makes a row: weights, code, settings, and the folder that its image was read from."""
    return f"{weights} {code} {json.dumps({**identity, 'root': os.path.realpath(root)}, sort_keys=True)}"


def digest(states: Sequence[State | None]) -> str:
    """Of what a part is embedded from: work that was begun with other files is begun anew."""
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16] if states else ""


def earlier(part: Path, key: str, states: Sequence[State | None], first: int, names: Sequence[str]) -> Kept:
    """Rows of images that were embedded before, in any split of the data set.

    part : that is made. key : of settings, weights and code. states : of its rows, from row `first` on.
    names : of the arrays. What is damaged is embedded again.
    """
    wanted = {state: first + i for i, state in enumerate(states) if state is not None}
    place: dict[int, int] = {}
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for folder in sorted(part.parent.parent.glob(f"*/{START}*")):
        try:
            record = json.loads((folder / RECORD).read_text())
            if record["key"] != key:
                continue
            rows = [(wanted.get(tuple(state)), i) for i, state in enumerate(record["states"]) if state]
            own = {row: i for row, i in rows if row is not None and row not in place}
            if not own:
                continue
            if not verify_part(folder):
                raise ValueError("its numbers are not those that were written")
            found = _rows(folder, names, list(own.values()))
            if not (folder / RECORD).exists():  # a last part that ends now removes it, the record first
                raise ValueError("it is being removed")
        except (OSError, ValueError, TypeError, KeyError, RelianceError) as error:
            log.warning("%s cannot be used, its images are embedded again: %s", folder, error)
            continue
        readable = np.flatnonzero(found["valid"])
        start = len(place)
        place |= {row: start + i for i, row in enumerate(np.array(list(own))[readable].tolist())}
        for name in names:
            pieces[name].append(found[name][readable])
    if not place:
        return NOTHING
    log.info("%d of %d images stayed as they were when they were embedded", len(place), len(states))
    return Kept(place, {name: np.concatenate(found) for name, found in pieces.items()})


def keep(part: Path, key: str, index: str, states: Sequence[State | None], parts: int) -> None:
    """Keep a finished part under a second name.

    index : id of the list of images. states : of the part's rows. parts : of the split. What was kept for
    another list goes once all parts are there: images may have moved from one part to another.
    """
    made = f"{START}{hashlib.sha256(f'{key} {index}'.encode()).hexdigest()[:12]}-"
    folder = part.with_name(made + part.name)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        shutil.copytree(part, folder, copy_function=os.link)
        (folder / RECORD).write_text(json.dumps({"key": key, "states": states}))
    except OSError as error:  # a disk without hard links; shutil.Error is one too
        shutil.rmtree(folder, ignore_errors=True)
        log.info("nothing is kept beside %s, so that another list of images embeds all: %s", part, error)
    if len(list(part.parent.glob(f"{made}*/{RECORD}"))) == parts:
        for other in part.parent.glob(f"{START}*"):
            if not other.name.startswith(made):
                (other / RECORD).unlink(missing_ok=True)
                shutil.rmtree(other, ignore_errors=True)  # the job of another last part may be at it too


def _rows(folder: Path, names: Sequence[str], rows: Sequence[int]) -> dict[str, np.ndarray]:
    import zarr

    group = zarr.open_group(folder, mode="r")
    return {name: _some(group[name], list(rows)) for name in names}


def _some(array: Any, rows: list[int]) -> np.ndarray:
    """Rows of a stored array in any order, a few chunks in memory at a time."""
    order = np.argsort(rows)
    found: np.ndarray = array.get_orthogonal_selection((np.asarray(rows)[order],))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return found[back]
