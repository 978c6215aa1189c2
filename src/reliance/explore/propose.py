"""A configuration for a folder of images: its shape is looked at, the rest is proposed with its reason.

The numbers of units m and of active ones k grow with the images: 11,000 drawn images have 512 and 5 in the
demo, ImageNet's 1.28 million 30,000 and 64 in the paper.
"""

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from reliance.base.commands import build, program
from reliance.base.errors import RelianceError
from reliance.config.resolve import load
from reliance.encoders.registry import check_encoder
from reliance.images.folder import list_folder, split_folders
from reliance.images.foresight import Needs, proposal
from reliance.images.imagenet import list_imagenet
from reliance.images.scan import Scanner
from reliance.images.shapes import Group

SHIPPED = Path(__file__).parents[3] / "config" / "config.yaml"
FEWEST_UNITS, MOST_UNITS, MOST_ACTIVE = 16, 30_000, 64
IMAGES_PER_UNIT = 20
WHY = {
    "min_active": "a component that fires on so many has a name",
    "top_n": "so many of its strongest give it its name",
}
WNID = re.compile(r"n\d{8}")


class Proposal(NamedTuple):
    """A configuration, and what it was made from."""

    variant: str
    saw: list[str]  # sentences
    text: str  # YAML with comments

    def command(self, file: Path) -> str:
        """What builds its page."""
        page, options = f"results/{self.variant}/report.html", f"--configfile {shlex.quote(str(file))}"
        return build(page, options=options).replace("snakemake", program(), 1)


class Sizes(NamedTuple):
    """What an SAE for so many images looks like."""

    m: int
    k: int
    batch_size: int
    epochs: int
    epoch_share: float


def propose(folder: Path, encoder: str, name: str | None = None) -> Proposal:
    """Look at a folder and propose a configuration, which passes the models of the configuration.

    encoder : an entry of the shipped configuration, "ARCHITECTURE:TAG" of open_clip, or the path of weights
    that say their configuration. Raises RelianceError for a folder without images, with too few to train and
    to test on, or whose folders are no classes, and for an unknown encoder.
    """
    shipped = _shipped()
    root = folder.expanduser().resolve()
    scanner = Scanner(root, str(folder))
    layout, groups = _groups(scanner)
    if not groups:
        raise RelianceError(
            folder,
            "a folder to look at has images in it",
            found="no image",
            allowed="class folders of images, train and test with class folders, or images alone",
            next_step="name the folder that holds the images",
        )
    counts = Counter[str]()
    for group in groups:
        counts[group.split] += len(group.files)
    classes = sorted({group.folder for group in groups if group.folder})
    if not counts["train"] or not counts["test"]:
        raise _one_each(folder, counts, classes)
    variant = _name(name or root.name, shipped)
    own, used = _encoder(encoder, variant, shipped)
    divided = layout == "folder" and "test" not in (split_folders(Scanner(root, str(folder))) or {})
    facts = _Facts(root, layout, groups, counts, classes, divided, (root / "names.csv").is_file())
    text = _text(variant, facts, own, used)
    load(_merged(shipped, yaml.safe_load(text)))  # a proposal that is refused is a bug, and says where
    return Proposal(variant, _saw(facts, scanner), text)


def sizes(images: int) -> Sizes:
    """The SAE for so many training images."""
    m = FEWEST_UNITS
    while m < 64 and m * 2 * 25 <= images * 4:  # so few that one which fires on four images in m has enough
        m *= 2
    while m >= 64 and m * 2 * IMAGES_PER_UNIT <= images:
        m *= 2
    m = min(m, MOST_UNITS)
    k = max(4, min(MOST_ACTIVE, round(5 * (images / 11_000) ** 0.53), m // 8))
    batch = 64 if images < 10_000 else 256 if images < 100_000 else 1024
    large = images >= 100_000
    return Sizes(m, k, batch, 30 if large else 40, 0.1 if images >= 1_000_000 else 1.0)


class _Facts(NamedTuple):
    root: Path
    layout: str
    groups: list[Group]
    counts: Counter[str]
    classes: list[str]
    divided: bool
    names: bool


def _groups(scanner: Scanner) -> tuple[str, list[Group]]:
    """The layout, and the images of each class and split."""
    folders = scanner.folders()
    if {"train", "val"} <= set(folders):
        inner = scanner.folders("train")
        if inner and all(WNID.fullmatch(each) for each in inner):
            return "imagenet", list_imagenet(scanner)
    return "folder", list_folder(scanner)


def _saw(facts: _Facts, scanner: Scanner) -> list[str]:
    """What was seen."""
    images = sum(facts.counts.values())
    each = Counter(group.folder for group in facts.groups for _ in group.files)
    lines = [f"{images} images below {facts.root}, layout {facts.layout}"]
    if facts.classes:
        fewest, most = min(each.values()), max(each.values())
        spread = f"{fewest} to {most} images" if fewest < most else f"{most} images each"
        lines.append(f"{len(facts.classes)} classes with {spread}: {_listed(facts.classes)}")
    else:
        lines.append("no class folders: there will be components and names, but no attributions and no cases")
    splits = ", ".join(f"{split} {count}" for split, count in sorted(facts.counts.items(), reverse=True))
    lines.append(f"splits: {splits}" + (" (test is divided off)" if facts.divided else ""))
    if facts.counts["train"] < 2000:
        lines.append("few images: components and cases are what these few show")
    return [*lines, *scanner.told, *(f"left out: {path}, {reason}" for path, reason in scanner.left_out[:5])]


def _text(variant: str, facts: _Facts, own: str, encoder: str) -> str:
    """The configuration with a comment per line."""
    sae = sizes(facts.counts["train"])
    schedule = f"decay_at: [{round(sae.epochs * 0.7)}, {round(sae.epochs * 0.9)}]"
    split = "split: {test: 0.2, seed: 0}     # about a fifth of every class is kept to test on"
    if not facts.divided:
        split = "split: null                     # it has its own"
    every = 5 if facts.counts["train"] >= 200_000 else 1
    prompts = "short" if facts.layout == "folder" else "extended"
    names = "names: null                     # names.csv in the root is read" if facts.names else (
        "names: null                     # names of folders; or a CSV: folder, short_name, full_name"
    )  # fmt: skip
    vocabulary = "general             # what components can be called: its classes, and words of ImageNet-21k"
    if facts.layout == "imagenet":
        vocabulary = "imagenet21k         # what components can be called; needs no file"
    mines = bool(facts.classes)
    needs = Needs(mines, every, 20, 10, (), None, 20, sae.m, sae.k, sae.batch_size, 9 * mines)
    fit = proposal(facts.counts["train"], facts.counts["test"], needs)
    own_sizes = {key: fit[f"sae.{key}"] for key in ("m", "k", "batch_size") if f"sae.{key}" in fit}
    sae = sae._replace(**own_sizes)
    name = encoder if "file" in own else "mobileclip_s2"
    each = max(1, round(facts.counts["train"] / sae.m))
    labeller = f"{name:<21} # the CLIP that names components; any will do, also {encoder} itself"
    failures = (
        "    failures:",
        f"      prompt_set: {prompts:<17} # whose output is explained: names as they are, or full names",
        f"      every_nth: {every:<18} # training images that failures are looked for in: every n-th",
    )
    root = json.dumps(str(facts.root), ensure_ascii=False)
    lines = [
        f"# Proposed for {root}: {facts.counts['train']} images to train on, {len(facts.classes)} classes.",
        "# Merged over config/config.yaml, where every key is explained.",
        own,
        "datasets:",
        f"  {variant}:",
        f"    layout: {facts.layout:<23} # how its folders are read",
        f"    root: {root}",
        *([f"    {split}", f"    {names}"] if facts.layout == "folder" else []),
        f"    vocabulary: {vocabulary}",
        "variants:",
        f"  {variant}:  # a folder of this name below results/",
        f"    encoder: {encoder:<22} # the CLIP that is taken apart",
        f"    dataset: {variant}",
        f"    labeller: {labeller}",
        "    sae:",
        "      preset: default               # the keys below are others than there",
        f"      m: {sae.m:<26} # components: one for about {each} images",
        f"      k: {sae.k:<26} # of these, active on an image",
        f"      batch_size: {sae.batch_size:<17} # images per step",
        f"      epochs: {sae.epochs:<21} # passes over its share of the data",
        f"      epoch_share: {sae.epoch_share:<16} # of the images, drawn for each",
        f"      {schedule:<29} # epochs after which the learning rate falls",
        f"      aux_k: {min(512, sae.m // 4):<22} # dead components that learn from what is left over",
        *(failures if mines else ()),  # images without classes have none
        *_few(fit),
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _few(fit: Mapping[str, int]) -> list[str]:
    """Lines of settings that few images ask for, below the section `failures` of the variant."""
    lines = []
    if n := fit.get("failures.min_samples"):
        lines.append(f"      min_samples: {n:<16} # few images: a case needs so many of other classes")
    names = {key: fit[f"naming.{key}"] for key in ("min_active", "top_n") if f"naming.{key}" in fit}
    if names:
        lines += [
            "naming:",
            *(f"  {key + ':':<15}{n:<18} # few images: {WHY[key]}" for key, n in names.items()),
        ]
    if n := fit.get("faithfulness.subsets"):
        lines += [
            "faithfulness:",
            f"  subsets: {n:<23} # few images: parts, for standard errors",
        ]
    return lines


def _one_each(folder: Path, counts: Counter[str], classes: list[str]) -> RelianceError:
    one = f", one image in each of {len(classes)} classes" if classes and not counts["test"] else ""
    return RelianceError(
        folder,
        "a data set has images to train on and images to test on",
        found=f"{counts['train']} to train on, {counts['test']} to test on{one}",
        allowed="two images or more in a class, or in a folder without classes; or train/ and test/",
        next_step="add images; of one image per class none can be kept to test on",
    )


def _encoder(encoder: str, variant: str, shipped: dict[str, Any]) -> tuple[str, str]:
    """(the section `encoders` of the proposal or "", the entry that the variant names)."""
    entries = shipped["encoders"]
    known = [name for name, entry in entries.items() if "training" not in entry and "halfway_of" not in entry]
    if encoder in known:
        return "", encoder
    if "/" in encoder:
        own = str(Path(encoder).expanduser().resolve())
        name = _name(Path(own).stem if Path(own).is_file() else Path(own).name, shipped)
        check_encoder(None, file=own, encoder=name)
        file = json.dumps(own, ensure_ascii=False)
        return f"encoders:\n  {name}: {{file: {file}}}  # and what is said beside it", name
    architecture, colon, tag = encoder.partition(":")
    if colon and re.fullmatch(r"[\w.\-]+", architecture) and re.fullmatch(r"[\w.\-/]+", tag):
        about = f"    {{architecture: {architecture}, pretrained: {tag}}}  # as open_clip calls them"
        return f"encoders:\n  {variant}:\n{about}", variant
    raise RelianceError(
        "--encoder",
        "an encoder is an entry of config/config.yaml, an architecture and a tag of open_clip, or a folder",
        found=encoder,
        allowed=f"{', '.join(known)}, for example ViT-B-16:datacomp_xl_s13b_b90k, or the path of a folder of "
        "weights with its configuration",
        next_step=f"a {'folder' if Path(encoder).is_dir() else 'file'} of that name is here: write "
        f"./{encoder}"
        if encoder and Path(encoder).exists()
        else "choose one; weights that say nothing are written in by hand, as docs/own_data.md says",
    )


def _name(text: str, shipped: dict[str, Any]) -> str:
    """A name for the variant and the data set, which no shipped one has."""
    name = re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_") or "mine"
    taken = {*shipped["variants"], *shipped["datasets"], *shipped["encoders"], "compare", "datasets"}
    taken |= {"encoders", "logs", "benchmarks"}
    name = name if name[0].isalpha() else f"my_{name}"
    return f"my_{name}" if name in taken else name


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """As snakemake merges configurations."""
    found = dict(below)
    for key, value in above.items():
        inner = found.get(key)
        found[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found


def _shipped() -> dict[str, Any]:
    if not SHIPPED.is_file():
        raise RelianceError(
            SHIPPED,
            "a proposal goes over the shipped configuration",
            found="no such file",
            allowed="the project as it was cloned, with `pip install --editable .`",
            next_step="run it in the project",
        )
    found: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    return found
