"""Draws docs/schematic.png from the demo: what a latent stands for, what it drives, and whether it should.

python docs/schematic.py results/demo docs/schematic.png
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot
from PIL import Image

import reliance
from reliance.base.failure_kinds import FAILURE_KINDS

INK, MUTED, BLUE, RED, TINT = "#222222", "#666666", "#0072b2", "#d55e00", "#f6f4ee"


def draw(folder: str, target: str, name: str = "egyptian cat") -> None:
    """Draw the case of a class of the demo; `folder` is its folder of results."""
    study = reliance.open(folder)
    names = study.classes.set_index("class_id")["short_name"]
    class_id = int(names.index[names == name][0])
    case = study.failures.query("class_id == @class_id").iloc[0]
    component, labels = int(case["component"]), study.components.set_index("component")["label"]
    images = study.index.set_index(["split", "image_id"])["path"]
    root = Path(folder).parent / "datasets" / "planted" / "images"
    strongest = study.top_samples.query("component == @component").sort_values("rank")["image_id"].head(6)
    fooled = study.failure_samples.query("failure_id == @case.failure_id").head(6)
    first = fooled.iloc[0]
    found = study.relevances(int(first["image_id"]), str(first["split"]), class_id=class_id)

    own = study.index.query("split == 'train' and class_id == @class_id")["path"].head(3)

    figure = pyplot.figure(figsize=(10, 3.3), dpi=120)
    figure.text(0.015, 0.93, "a  What a latent stands for", weight="bold", color=INK)
    figure.text(0.36, 0.93, f"b  What drives “{name}”", weight="bold", color=INK)
    figure.text(0.70, 0.93, "c  Should it?", weight="bold", color=INK)
    tiles(figure, [root / images["train", int(i)] for i in strongest], 0.015)
    figure.text(0.015, 0.20, f"latent #{component}: “{labels[component]}”", color=BLUE, size=9)
    figure.text(0.015, 0.10, "its strongest images, and the name that fits them best", color=MUTED, size=8)
    tiles(figure, [root / images[str(first["split"]), int(first["image_id"])]], 0.36, large=True)
    bars = figure.add_axes((0.56, 0.40, 0.10, 0.45))
    shares = found.set_index("component")["ablation"].sort_values()
    colors = [RED if int(j) == component else "#bbbbbb" for j in shares.index]
    bars.barh(range(len(shares)), shares.to_numpy(), color=colors)
    bars.set_yticks(range(len(shares)), [f"#{j}" for j in shares.index], fontsize=7, color=MUTED)
    bars.tick_params(axis="x", labelsize=7)
    bars.spines[["top", "right"]].set_visible(False)
    most = f"without #{component} it falls by {shares[component]:.2f}"
    figure.text(0.36, 0.20, f"output {found.attrs['y']:.2f}; {most}", color=INK, size=9)
    figure.text(0.36, 0.10, "what the output loses without each active latent", color=MUTED, size=8)
    others = [root / images[str(r.split), int(r.image_id)] for r in fooled.head(3).itertuples()]
    tiles(figure, [*(root / path for path in own), *others], 0.70)
    figure.text(0.70, 0.20, f"above “{name}”, below what fools it", color=RED, size=9)
    figure.text(
        0.70, 0.10, f"a failure case: {FAILURE_KINDS[str(case['kind'])].singular}", color=MUTED, size=8
    )
    figure.savefig(target, facecolor="white")


def tiles(figure: Any, files: list[Path], left: float, large: bool = False) -> None:
    """Pictures in two rows of three, or one large one; positions are shares of the figure."""
    width = 0.088
    for i, file in enumerate(files):
        height = width * 10 / 3.3
        corner = (left + (i % 3) * (width + 0.006), 0.62 - (i // 3) * (height + 0.015))
        box = (left, 0.36, 0.15, 0.15 * 10 / 3.3) if large else (*corner, width, height)
        axes = figure.add_axes(box)
        axes.imshow(Image.open(file).convert("RGB"), interpolation="nearest")
        axes.axis("off")


if __name__ == "__main__":
    draw(*sys.argv[1:])
