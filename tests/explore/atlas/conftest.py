"""One small made variant, and its atlas, for all tests of this folder."""

import copy
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from reliance.base.artifacts import read_table, write_table
from reliance.naming.stability import NAME_STABILITY
from reliance.naming.table import COMPONENTS

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))


def sure(components: Path) -> Path:
    """Names of which every second one is a coin toss."""
    frame, stamp = read_table(components, COMPONENTS)
    toss = frame["component"] % 2 == 0
    told = frame[["component", "label"]].assign(
        confidence=np.where(toss, 0.5, 0.9), images=0.5, words=0.5, rival=np.where(toss, "else", "")
    )
    path = components.with_name("name_stability.parquet")
    write_table(path, told, NAME_STABILITY, {}, {"components": stamp.id})
    return path


class Made:
    """Files of a variant, where its pictures lie, and its atlas."""

    def __init__(self, folder: Path) -> None:
        import browsed
        import stages
        from made import World

        world = World(images=400, classes=6, d=24, p=12, m=90, k=6)
        given = stages.write(world, folder)
        self.root, self.folder = folder / "images", folder / "atlas"
        self.files = browsed.write_browsed(folder, given, browsed.write_images(self.root, 9, (80, 60)), 5)
        self.files = self.files._replace(name_stability=sure(self.files.components))
        self.about = browsed.about(self.root)
        self.build()

    def build(self) -> None:
        from reliance.explore.atlas.build import atlas

        paths = {"page": self.folder / "index.html", "manifest": self.folder / "atlas.json"}
        atlas(self.files, **paths, about=self.about)

    def behind(self, folder: Path, every_nth: int = 3) -> "Made":
        """The same as if nothing in closed form stood behind the site: with tables of every n-th image."""
        from reliance.attribution.inputs import Explained
        from reliance.attribution.table import attribute_split

        files, paths = self.files, {n: folder / f"{n}.parquet" for n in ("attributions", "outputs")}
        given = {name: getattr(files, name) for name in ("index", "head", "sae", "text")}
        both = {"embeddings": files.embeddings[0], "codes": files.codes[0]}
        attribute_split(Explained(**given, **both), **paths, split="train", every_nth=every_nth)
        other = copy.copy(self)
        other.files = files._replace(**paths, head=None)
        other.about, other.folder = self.about._replace(site="block-2"), folder / "atlas"
        return other

    def data(self, name: str):
        """What a chunk says."""
        text = (self.folder / "data" / f"{name}.js").read_text(encoding="ascii")
        found = re.fullmatch(r'take\("([\w/]+)",(.*)\)\n', text, re.DOTALL)
        assert found
        assert found[1] == name
        return json.loads(found[2])

    def records(self, kind: str):
        """All records of a kind."""
        return [
            r
            for i in range(len(list((self.folder / "data" / kind).iterdir())))
            for r in self.data(f"{kind}/{i}")
        ]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))
