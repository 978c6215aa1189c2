"""Stage `lens_generated`: whether images that somebody generated mislead the model (V3).

The images lie in a folder per pair of classes, called for what they show and what they should be taken for,
or in such folders below one per way in which the words of the captions were found:

    FOLDER/{shown}__{target}/*.png            words by what neurons write
    FOLDER/{way}/{shown}__{target}/*.png      neurons | indirect | similar | random | nothing

{shown} and {target} are folders or short names of classes; lens/captions.csv has the folder of every caption.
Success is that the model's output for the target is larger than that for the class that is shown.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import Prompts, read_prompts
from reliance.base.artifacts import check_same, hash_file, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.means import wilson
from reliance.base.telling import advance
from reliance.config.mistakes import nearest
from reliance.encoders.model import Clip, load_model
from reliance.encoders.vision import normaliser
from reliance.images.decode import Images, Reading
from reliance.images.scan import Scanner
from reliance.images.tables import CLASSES
from reliance.lens.adversarial import SAME
from reliance.lens.captions import BETWEEN
from reliance.lens.findings import WAYS
from reliance.lens.schema import GENERATED

KEY = "lens.generated"
_BATCH = 64


class Trial(NamedTuple):
    """The images of one pair of classes and one way."""

    way: str
    shown: int  # class ids
    target: int
    paths: list[str]  # below the folder


def lens_generated(
    *,
    text: Path,
    classes: Path,
    weights: Path,
    reading: Reading,
    scored: Path,
    follow_links: bool = True,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Write how often the target wins, of each way and pair of classes, as GENERATED.

    reading : its `dataset_root` is the folder of generated images.
    Raises RelianceError for folders that name no two classes, or two with one prompt, that have no images, or
    unreadable ones.
    """
    torch.set_num_threads(threads)
    prompts, known = read_prompts(text), read_table(classes, CLASSES)
    called = known.frame.set_index("class_id").loc[prompts.class_ids]
    found = trials(reading.dataset_root, called, follow_links)
    clip = load_model(weights, device)
    check_same("weights", (text, prompts.stamp.inputs["weights"]), (weights, clip.stamp.id))
    rows = []
    for done, trial in enumerate(found):
        advance(done, len(found), "pairs of classes")
        shown, target = (int(np.flatnonzero(prompts.class_ids == i)[0]) for i in trial[1:3])
        if np.linalg.norm(prompts.vectors[target] - prompts.vectors[shown]) <= SAME:
            where = f"{reading.dataset_root}/{Path(trial.paths[0]).parent}"
            _refuse(where, "two classes with one prompt", "classes whose prompts differ")
        margin = _margins(clip, prompts, trial.paths, reading, (shown, target, threads))
        wins, count = int((margin > 0).sum()), len(margin)
        names = [str(called.loc[i, "short_name"]) for i in (trial.shown, trial.target)]
        pair = (trial.way, trial.shown, trial.target, *names)
        rows.append((*pair, count, wins, *wilson(wins, count), margin.mean()))
    frame = pd.DataFrame(rows, columns=[name for name, _ in GENERATED.columns])
    digest = hashlib.sha256()
    for path in sorted(path for trial in found for path in trial.paths):
        digest.update(f"{path} {hash_file(Path(reading.dataset_root, path))}\n".encode())
    inputs = {"text": prompts.stamp.id, "classes": known.stamp.id, "weights": clip.stamp.id}
    params = {"content": digest.hexdigest(), **reading._asdict()}
    params.pop("dataset_root")  # images may be moved
    write_table(scored, frame, GENERATED, params, inputs)


def trials(root: str, called: pd.DataFrame, follow_links: bool = True) -> list[Trial]:
    """What lies in a folder of generated images, sorted. called : CLASSES by class_id.

    Raises RelianceError as `lens_generated`.
    """
    scanner = Scanner(root, f"{KEY}: {root}", follow_links)
    names = names_of(called)
    top = scanner.folders()
    if not top:
        _refuse(root, "no folder in it", "folders {shown}__{target}, or folders of ways with these in them")
    in_ways = not any(BETWEEN in name for name in top)
    if in_ways and (strange := [name for name in top if name not in WAYS]):
        _refuse(f"{root}/{strange[0]}", "neither a pair of classes nor a way", _ways(), near=strange[0])
    found = [
        Trial(way, *pair_of(f"{root}/{folder}", names), _images(scanner, folder))
        for way, below in ([(way, way) for way in top] if in_ways else [("neurons", "")])
        for folder in _pairs(scanner, below)
    ]
    loose = [
        file.path
        for name in ("", *(top if in_ways else ()))
        for file in scanner.images(name, recursive=False)
    ]
    if loose:
        _refuse(f"{root}/{loose[0]}", "an image beside the folders of pairs", "images in folders of pairs")
    if scanner.left_out:
        path, reason = scanner.left_out[0]
        _refuse(f"{root}/{path}", reason, "images that can be read, each once")
    counts = Counter(trial[:3] for trial in found)
    for trial in found:
        if counts[trial[:3]] > 1:
            folder = Path(trial.paths[0]).parent
            _refuse(f"{root}/{folder}", "two folders of the same two classes", "one folder for each pair")
    return found


def names_of(called: pd.DataFrame) -> dict[str, int]:
    """Class ids by the folders of classes, and by short names that one class alone has, and no folder is."""
    classes = [(int(row["class_id"]), row) for row in called.reset_index().to_dict("records")]
    counts = Counter(str(row["short_name"]) for _, row in classes)
    short = {str(row["short_name"]): i for i, row in classes if counts[str(row["short_name"])] == 1}
    folders = {str(row["folder"]): i for i, row in classes}
    twice = {name for name in short.keys() & folders.keys() if short[name] != folders[name]}
    return {name: i for name, i in (short | folders).items() if name not in twice}


def pair_of(where: str, names: Mapping[str, int]) -> tuple[int, int]:
    """Class ids of what a folder shows and of what it should be taken for.

    Raises RelianceError unless its name is {shown}__{target}, in one way, with two different classes.
    """
    name = Path(where).name
    ends = [i for i in range(len(name)) if name.startswith(BETWEEN, i)]
    pairs = [(name[:i], name[i + len(BETWEEN) :]) for i in ends]
    fitting = [pair for pair in pairs if pair[0] in names and pair[1] in names]
    if len(fitting) != 1:
        unknown = [part for part in (pairs[0] if pairs else (name,)) if part not in names]
        found = f"{len(fitting)} readings of it" if fitting else f"no class {unknown[0]!r}" if pairs else name
        allowed = "{shown}__{target}, each the folder of a class, or a short name that one class alone has"
        _refuse(where, found, allowed, near=unknown[0] if unknown else "", names=list(names))
    shown, target = (names[part] for part in fitting[0])
    if shown == target:
        _refuse(where, "the same class twice", "two classes")
    return shown, target


def preferred(clip: Clip, pictures: torch.Tensor, prompts: Prompts, shown: int, target: int) -> np.ndarray:
    """y of the target minus y of the class that is shown [n], of pixels uint8 [n, 3, h, w].

    shown, target : rows of the prompts.
    """
    normalise = normaliser(clip.weights.preprocess, clip.device)
    with torch.inference_mode():
        z = clip.model.encode_image(normalise(pictures)).float()
        e = torch.nn.functional.normalize(z, dim=1).cpu().numpy()
    found: np.ndarray = e @ (prompts.vectors[target] - prompts.vectors[shown])
    return found


def _margins(
    clip: Clip, prompts: Prompts, paths: Sequence[str], reading: Reading, how: tuple[int, int, int]
) -> np.ndarray:
    """The same of image files. how : rows of the prompts shown and target, and threads that decode."""
    shown, target, threads = how
    images = Images(paths, reading, clip.weights.preprocess)

    def batches() -> Iterator[torch.Tensor]:
        with ThreadPoolExecutor(max(1, threads)) as pool:
            for start in range(0, len(paths), _BATCH):
                rows = range(start, min(start + _BATCH, len(paths)))
                items = list(pool.map(images.__getitem__, rows))
                for row, item in zip(rows, items, strict=True):
                    if item.failure:
                        raise item.failure
                    if item.reason:
                        _refuse(
                            f"{reading.dataset_root}/{paths[row]}", item.reason, "images that can be read"
                        )
                yield torch.from_numpy(np.stack([item.values for item in items])).permute(0, 3, 1, 2)

    return np.concatenate([preferred(clip, batch, prompts, shown, target) for batch in batches()])


def _pairs(scanner: Scanner, below: str) -> list[str]:
    """Folders of pairs, relative to the root. Raises RelianceError if a way has none."""
    found = [f"{below}/{name}" if below else name for name in scanner.folders(below)]
    if not found:
        _refuse(f"{scanner.root}/{below}", "no folder in it", "folders {shown}__{target}")
    return found


def _images(scanner: Scanner, folder: str) -> list[str]:
    """Images of a pair. Raises RelianceError if there are none."""
    found = [file.path for file in scanner.images(folder)]
    if not found and not scanner.left_out:
        _refuse(f"{scanner.root}/{folder}", "no image in it", "images of the pair, or no such folder")
    return found


def _ways() -> str:
    return f"{{shown}}__{{target}}, or {', '.join(WAYS)} with such folders in them"


def _refuse(where: object, found: str, allowed: str, near: str = "", names: Sequence[str] = ()) -> NoReturn:
    hint = nearest(near, names or list(WAYS)) if near else ""
    raise RelianceError(
        f"{KEY}: {where}",
        "generated images lie in a folder per pair of classes",
        found=found,
        allowed=allowed,
        next_step=hint or "lens/captions.csv of the variant has the folder of every caption; docs/lens.md",
    )
