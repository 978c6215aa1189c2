"""One small made variant, and its atlas, for all tests of this folder."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))


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
        self.about = browsed.about(self.root)
        self.build()

    def build(self) -> None:
        from reliance.explore.atlas.build import atlas

        paths = {"page": self.folder / "index.html", "manifest": self.folder / "atlas.json"}
        atlas(self.files, **paths, about=self.about)

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
