"""Stage `lens_maps`: whether maps of latents and prompts lie where what they are about was drawn.

A latent whose name says a thing, a word or a background is looked at on its strongest images that show it; a
prompt of a class on test images of the class. Each map is drawn at the picture's size; counted are the share
of its positive mass inside the true mask, whether its largest value lies there (the pointing game), and the
share that the mask has of the picture, which is what a map that knows nothing gets. Beside our maps stand
attention of the class token in the last block, attention rolled out, and gradient x input.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import check_same, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.codes.top_samples import TOP_SAMPLES
from reliance.encoders.model import Clip, load_model
from reliance.encoders.vision import normaliser
from reliance.images.decode import Reading
from reliance.images.tables import CLASSES, read_split
from reliance.lens import maps
from reliance.lens.paths import last_map
from reliance.lens.record import recording
from reliance.lens.schema import MAPS
from reliance.naming.table import COMPONENTS
from reliance.planted import drawn
from reliance.planted.lens import factors
from reliance.planted.masks import masks, mass_inside
from reliance.planted.table import TRUTH
from reliance.tails.remaining import pixels_of
from reliance.units.sae.files import load_sae

METHODS = ("exact sum", "last block", "raw attention", "rollout", "gradient x input")
_BATCH = 32


class Files(NamedTuple):
    """What maps are of."""

    sae: Path
    components: Path
    top_samples: Path
    text: Path  # prompts of the classes
    classes: Path
    truth: Path
    weights: Path


class Case(NamedTuple):
    """One map to be scored."""

    of: str
    about: str
    unit: int  # component, or place of the prompt
    image_id: int


class World(NamedTuple):
    """What the pictures were drawn from."""

    seed: int
    drawn_classes: int
    train_per_class: int
    test_per_class: int


def lens_maps(
    *,
    files: Files,
    index: Path,
    world: World,
    reading: Reading,
    scored: Path,
    images: int = 3,
    most: int = 400,
    threads: int = 1,
    device: str = "cpu",
) -> None:
    """Score maps as MAPS: `images` of each latent and class, at most `most` latents.

    Raises RelianceError for an SAE of another site, or of other weights.
    """
    torch.set_num_threads(threads)
    clip = load_model(files.weights, device)
    sae, stamp = load_sae(files.sae)
    check_same("weights", (files.sae, stamp.inputs["encoder"]), (files.weights, clip.stamp.id))
    if stamp.params.get("site", "class_token") != "class_token" or sae.input_norm is not None:
        raise RelianceError(
            files.sae,
            "latents with a map are linear in the class token behind the last block",
            found=f"site {stamp.params.get('site')}{', x normalised first' if sae.input_norm else ''}",
            allowed="an SAE of site class_token that takes x as it is",
            next_step="leave the maps out for this variant",
        )
    prompts, table = read_prompts(files.text), read_table(files.truth, TRUTH)
    weight = torch.from_numpy(sae.encoder_weight)
    cases = {
        "train": list(of_latents(files, table.frame, images, most)),
        "test": list(_of_prompts(table.frame, files.classes, prompts.class_ids, images)),
    }
    rows: list[tuple[object, ...]] = []
    for split, own in cases.items():
        test = split == "test"
        per_class = world.test_per_class if test else world.train_per_class
        truth = masks(drawn.Objects(world.drawn_classes), world.seed, per_class, test=test)
        pixels = pixels_of(read_split(index, split), reading, clip, threads)
        vectors = torch.from_numpy(prompts.vectors) if test else weight
        for start in range(0, len(own), _BATCH):
            rows += _scored(clip, own[start : start + _BATCH], pixels, vectors, truth)
    ids = {"sae": stamp.id, "truth": table.stamp.id, "text": prompts.stamp.id, "weights": clip.stamp.id}
    frame = pd.DataFrame(rows, columns=[name for name, _ in MAPS.columns])
    write_table(scored, frame, MAPS, {"images": images, "most": most, **world._asdict()}, ids)


def _scored(
    clip: Clip,
    cases: list[Case],
    pixels: Callable[[np.ndarray], torch.Tensor],
    vectors: torch.Tensor,
    truth: Mapping[str, np.ndarray],
) -> Iterator[tuple[object, ...]]:
    """Rows of MAPS of some cases of one split."""
    ids = np.array([case.image_id for case in cases])
    images = normaliser(clip.weights.preprocess, clip.device)(pixels(ids))
    units = torch.tensor([case.unit for case in cases])
    with recording(clip, maps.wanted(clip, all_rows=True)) as recorder:
        found = recorder.run_images(images)
    with torch.no_grad():  # f goes through autograd below, which takes no inference tensors
        f = vectors[units] if cases[0].of == "latent" else vectors[units] @ last_map(clip)
        every = torch.arange(len(cases))
        own = maps.maps_of(clip, found, f).tokens[every, every]  # [n, L, H, T]
        patches = {
            "exact sum": own[..., 1:].sum((1, 2)),
            "last block": own[:, -1, :, 1:].sum(1),
            "raw attention": maps.raw_attention(found),
            "rollout": maps.rollout(found),
        }
        size = (images.shape[-2], images.shape[-1])
        pictures = {name: maps.upsampled(clip, values, size) for name, values in patches.items()}
    pictures["gradient x input"] = maps.gradient_x_input(clip, images, f)
    mask = np.stack([truth[case.about][case.image_id] for case in cases])
    for name in METHODS:
        values = pictures[name].cpu().numpy()
        mass = mass_inside(np.maximum(values, 0), mask)
        flat = values.reshape(len(cases), -1).argmax(1)
        hits = mask.reshape(len(cases), -1)[np.arange(len(cases)), flat]
        for i, case in enumerate(cases):
            yield (case.of, case.about, name, case.unit, case.image_id, mass[i], hits[i], mask[i].mean())


def of_latents(files: Files, truth: pd.DataFrame, images: int, most: int) -> Iterator[Case]:
    """Strongest images of latents whose names say something that they show."""
    components = read_table(files.components, COMPONENTS).frame
    top = read_table(files.top_samples, TOP_SAMPLES)
    pictures = truth[truth["split"] == "train"].sort_values("image_id")
    has, names = factors(pictures, read_table(files.classes, CLASSES).frame)
    said = {word: place for place, (_, words) in enumerate(names) for word in words}
    bare = pictures["background"].str.contains("background|noise").to_numpy()
    named = components[components["label"].isin(said)].nlargest(most, "top20_mean")
    for component, label in zip(named["component"], named["label"], strict=True):
        place = said[label]
        about = names[place][0].partition(":")[0]
        own = top.frame[top.frame["component"] == component].sort_values("rank")["image_id"].to_numpy()
        own = own[has[own, place] & ~(bare[own] & (about == "background"))]
        yield from (Case("latent", about, int(component), int(i)) for i in own[:images])


def _of_prompts(truth: pd.DataFrame, classes: Path, class_ids: np.ndarray, images: int) -> Iterator[Case]:
    """The first test images of each class."""
    pictures = truth[truth["split"] == "test"].sort_values("image_id")
    known = read_table(classes, CLASSES).frame.set_index("class_id")["short_name"]
    for place, class_id in enumerate(class_ids.tolist()):
        own = pictures.loc[pictures["object"] == known[class_id], "image_id"].tolist()
        yield from (Case("prompt", "object", place, i) for i in own[:images])
