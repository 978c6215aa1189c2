"""Generated images in folders of pairs: how often the target wins, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reliance.attribution.prompts import read_prompts
from reliance.base.artifacts import read_table, write_table
from reliance.base.errors import RelianceError
from reliance.base.means import wilson
from reliance.encoders.model import load_model
from reliance.encoders.text import TEXT
from reliance.encoders.vision import normaliser
from reliance.images.decode import Images, Reading
from reliance.images.tables import CLASSES
from reliance.lens.findings import in_all
from reliance.lens.generated import lens_generated, pair_of, trials
from reliance.lens.schema import GENERATED

from .made import P

CALLED = pd.DataFrame(
    {
        "folder": ["n1", "n2", "n3", "n4__b"],
        "short_name": ["crane", "crane", "red spade", "heart"],
        "full_name": ["crane (bird)", "crane (machine)", "red spade", "heart"],
    },
    index=pd.Index([3, 5, 7, 9], name="class_id"),
)
RNG = np.random.default_rng(0)


def put(root: Path, folder: str, count: int) -> None:
    (root / folder).mkdir(parents=True)
    for i in range(count):
        pixels = RNG.integers(0, 255, (30, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / folder / f"{i}.png")


def test_pairs_are_read_off_folders(tmp_path: Path) -> None:
    put(tmp_path, "n1__red spade", 2)
    put(tmp_path, "n4__b__n2", 1)
    found = trials(str(tmp_path), CALLED)
    assert [trial[:3] for trial in found] == [("neurons", 3, 7), ("neurons", 9, 5)]
    assert found[0].paths == ["n1__red spade/0.png", "n1__red spade/1.png"]


def test_ways_may_be_a_level(tmp_path: Path) -> None:
    for way in ("random", "neurons", "nothing"):
        put(tmp_path, f"{way}/n1__n2", 1)
    (tmp_path / "captions.csv").write_text("folder,caption")  # what is no image is left alone
    assert [trial.way for trial in trials(str(tmp_path), CALLED)] == ["neurons", "nothing", "random"]


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ({}, "no folder in it"),
        ({"n1__n2": 0}, "n1__n2: .*\n.*no image in it"),
        ({"n1__n9": 1}, "no class 'n9'"),
        ({"crane__n3": 1}, "no class 'crane'"),  # two classes have the name
        ({"n1__n1": 1}, "the same class twice"),
        ({"neuron/n1__n2": 1}, "did you mean 'neurons'"),
        ({"n1__n2": 1, "neurons/n1__n3": 1}, "neurons"),
        ({"neurons/n1": 1}, "neurons/n1: "),
        ({"neurons/n1__n2/deep": 1, "random": 1}, "no folder in it"),
        ({"n3__n2": 1, "red spade__n2": 1}, "two folders of the same two classes"),
        ({".": 1, "n1__n2": 1}, "0.png: .*\n.*an image beside the folders of pairs"),
        ({"n1__n2": 1, "n1__n2/heic": 1}, r"1\.heic: .*\n.*images ending in \.heic are not read"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, folders: dict[str, int], said: str) -> None:
    root = tmp_path / "generated"
    root.mkdir()
    for folder, count in folders.items():
        if folder == ".":
            Image.new("RGB", (4, 4)).save(root / "0.png")
        elif folder.endswith("heic"):
            (root / folder).mkdir()
            (root / folder / "1.heic").write_bytes(b"x")
        else:
            put(root, folder, count)
    with pytest.raises(RelianceError, match=f"(?s)lens.generated: .*{said}"):
        trials(str(root), CALLED)


def test_a_name_with_two_readings_is_refused() -> None:
    names = {"a": 0, "b__c": 1, "a__b": 2, "c": 3}
    assert pair_of("x/a__c", names) == (0, 3)
    with pytest.raises(RelianceError, match="2 readings"):
        pair_of("x/a__b__c", names)


@pytest.fixture
def tables(tmp_path: Path, weights: Path) -> dict[str, Path]:
    """Prompts of the classes by random vectors, of the small model."""
    files = {"text": tmp_path / "text.parquet", "classes": tmp_path / "classes.parquet", "weights": weights}
    vectors = RNG.normal(size=(4, P)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kinds = {"string": "", "strings": [], "embedding": None}
    rows = {name: [kinds.get(kind, 0)] * 4 for name, kind in TEXT.columns}
    frame = pd.DataFrame(rows | {"class_id": CALLED.index, "embedding": list(vectors)})
    stamp = load_model(weights).stamp.id
    write_table(files["text"], frame, TEXT, {}, {"weights": stamp})
    write_table(files["classes"], CALLED.reset_index().assign(definition=""), CLASSES, {}, {})
    return files


def test_success_is_counted_by_pair_and_way(tmp_path: Path, tables: dict[str, Path], weights: Path) -> None:
    root = tmp_path / "generated"
    for folder, count in {"neurons/n1__n2": 70, "neurons/n2__n3": 3, "random/n1__n2": 5}.items():
        put(root, folder, count)
    scored = tmp_path / "scored.parquet"
    reading = Reading(str(root))
    lens_generated(**tables, reading=reading, scored=scored)
    table = read_table(scored, GENERATED)
    clip, prompts = load_model(weights), read_prompts(tables["text"])
    for row in table.frame.to_dict("records"):
        folder = f"{row['way']}/{CALLED['folder'][row['shown_id']]}__{CALLED['folder'][row['target_id']]}"
        paths = sorted(str(path.relative_to(root)) for path in (root / folder).iterdir())
        images = Images(paths, reading, clip.weights.preprocess)
        pixels = torch.from_numpy(np.stack([images[i].values for i in range(len(paths))])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            z = clip.model.encode_image(normaliser(clip.weights.preprocess)(pixels))
        y = torch.nn.functional.normalize(z, dim=1).numpy() @ prompts.vectors.T
        shown, target = (prompts.class_ids.tolist().index(row[name]) for name in ("shown_id", "target_id"))
        margin = y[:, target] - y[:, shown]
        assert (row["pictures"], row["wins"]) == (len(paths), int((margin > 0).sum()))
        assert np.isclose(row["margin"], margin.mean(), atol=1e-5)
        assert (row["success"], row["low"], row["high"]) == wilson(row["wins"], row["pictures"])
    whole = in_all(table.frame)
    assert whole["way"].tolist() == ["neurons", "random"] and whole["pictures"].tolist() == [73, 5]
    assert whole["wins"].tolist() == table.frame.groupby("way")["wins"].sum().tolist()
    assert whole["pairs"].tolist() == [2, 1]
    lens_generated(**tables, reading=reading._replace(jpeg_decoding="reduced"), scored=scored)
    assert read_table(scored, GENERATED).stamp.id != table.stamp.id, "read in another way, another identity"
    put(root, "random/n2__n1", 1)
    lens_generated(**tables, reading=reading, scored=scored)
    assert read_table(scored, GENERATED).stamp.id != table.stamp.id, "other images, another identity"


def test_two_classes_with_one_prompt_are_refused(tmp_path: Path, tables: dict[str, Path]) -> None:
    """No image could be taken for the one rather than the other: a success of none would say nothing."""
    put(tmp_path / "g", "n1__n2", 1)
    table = read_table(tables["text"], TEXT)
    table.frame.at[1, "embedding"] = table.frame.at[0, "embedding"]
    write_table(tables["text"], table.frame, TEXT, {}, table.stamp.inputs)
    with pytest.raises(RelianceError, match="two classes with one prompt"):
        lens_generated(**tables, reading=Reading(str(tmp_path / "g")), scored=tmp_path / "s.parquet")


def test_links_out_of_an_untrusted_folder_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "n1__n2", 1)
    (tmp_path / "g").mkdir()
    (tmp_path / "g/n1__n2").symlink_to(tmp_path / "elsewhere/n1__n2")
    assert len(trials(str(tmp_path / "g"), CALLED)) == 1
    with pytest.raises(RelianceError, match="a link out of the root"):
        trials(str(tmp_path / "g"), CALLED, follow_links=False)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, tables: dict[str, Path]) -> None:
    put(tmp_path / "g", "n1__n2", 2)
    path = tmp_path / "g/n1__n2/1.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RelianceError, match=r"lens\.generated: .*n1__n2/1\.png"):
        lens_generated(**tables, reading=Reading(str(tmp_path / "g")), scored=tmp_path / "s.parquet")
