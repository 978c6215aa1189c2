import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reliance.base.artifacts import read_json, read_table
from reliance.images.index import index_images
from reliance.images.tables import CLASSES, INDEX
from reliance.planted import dataset, render, scenes, world
from reliance.planted.table import PLANTS, TRUTH

SETTINGS = {"seed": 2, "classes": 20, "train_per_class": 12, "test_per_class": 3}
FILES = {"truth": "truth.parquet", "names": "names.csv", "plants": "plants.json", "vocabulary": "words.txt"}


def draw(folder, **settings):
    paths = {name: folder / file for name, file in FILES.items()}
    dataset.render_planted(images=folder / "images", **paths, **{**SETTINGS, **settings})
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def indexed(drawn):
    paths = {"index": drawn / "index.parquet", "classes": drawn / "classes.parquet"}
    index_images(**paths, root=str(drawn / "images"), layout="planted", names=str(drawn / "names.csv"))
    return drawn


def digest(folder):
    files = sorted(path for path in folder.rglob("*.png"))
    return [(str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]


def test_the_same_seed_draws_the_same_bytes(drawn, tmp_path):
    again = draw(tmp_path / "again")
    assert digest(again) == digest(drawn)
    other = draw(tmp_path / "other", seed=3)
    assert digest(other) != digest(drawn)
    assert (
        read_table(again / "truth.parquet", TRUTH).stamp == read_table(drawn / "truth.parquet", TRUTH).stamp
    )


def test_truth_has_the_rows_of_the_index(indexed):
    truth = read_table(indexed / "truth.parquet", TRUTH).frame
    index = read_table(indexed / "index.parquet", INDEX).frame
    classes = read_table(indexed / "classes.parquet", CLASSES).frame
    assert len(truth) == len(index) == 20 * (12 + 3)
    both = truth.merge(index, on=["split", "image_id"], suffixes=("", "_index"))
    assert (both["path"] == both["path_index"]).all()
    names = classes.set_index("class_id")["short_name"]
    assert (both["object"] == both["class_id"].map(names)).all()


def test_names_are_the_ones_of_the_world(indexed):
    classes = read_table(indexed / "classes.parquet", CLASSES).frame
    things = world.build(20).things
    assert classes["short_name"].tolist() == [thing.name for thing in things]
    assert classes["full_name"].tolist() == [thing.full_name for thing in things]
    folders = pd.read_csv(indexed / "names.csv")["folder"].tolist()
    assert folders == sorted(folders)


def test_plants_name_existing_folders(indexed):
    payload, stamp = read_json(indexed / "plants.json", *PLANTS)
    assert all((indexed / "images" / "train" / plant["class"]).is_dir() for plant in payload["plants"])
    assert stamp.inputs["truth"] == read_table(indexed / "truth.parquet", TRUTH).stamp.id
    assert json.loads((indexed / "plants.json").read_text())["plants"][0]["mode"] == "polysemous"


def test_truth_lists_the_plants_of_every_picture(drawn):
    truth = read_table(drawn / "truth.parquet", TRUTH).frame
    shovel = truth[truth["object"] == "shovel"]
    assert shovel["plant_id"].str.split().map(lambda ids: "polysemous-spade" in ids).all()
    anchor = truth[(truth["word"] == "anchor") & (truth["object"] != "anchor")]
    assert anchor["plant_id"].str.contains("typography-anchor").all()
    assert not truth[truth["object"] == "spade"]["plant_id"].str.contains("polysemous-spade").any()
    assert (truth["plant_id"].str.split().map(len) == truth["mode"].str.split().map(len)).all()


def test_pictures_show_what_the_truth_says(drawn):
    truth = read_table(drawn / "truth.parquet", TRUTH).frame
    for row in truth.sample(60, random_state=0).itertuples():
        pixels = np.asarray(Image.open(drawn / "images" / row.path))
        assert pixels.shape == (48, 48, 3)
        strip = pixels[-1]
        assert bool((strip == 248).all()) == bool(row.word), "a word lies on a white strip"


def test_a_word_stays_within_its_strip_and_a_shape_within_the_picture():
    small = world.build(20)
    bank = render.make_bank(small)
    assert bank.strips[:, :, :, 0].min() == 248
    assert bank.strips[:, :, :, -1].min() == 248
    edge = render.MARGIN
    ink = bank.ink[..., edge - 9 : -(edge - 9), edge - 9 : -(edge - 9)]
    assert ink.sum() == pytest.approx(bank.ink.sum(), rel=1e-6)


def test_background_band_and_colour():
    small = world.build(20)
    bank = render.make_bank(small)
    grass = small.backgrounds.index("green grass")
    one = np.ones(1, np.int64)
    rows = scenes.Scenes(0 * one, one < 0, -one, grass * one, one > 0, one < 0, 0 * one)
    picture = render.render(bank, rows, 0, 1)[0].astype(int)
    assert (picture[1] - picture[2])[-8:].mean() > 50, "grass is green"
    assert abs((picture[1] - picture[2])[:30].mean()) < 60
    assert picture[:, :30].mean() > 150, "above the band it is light"
    drawn = rows._replace(drawn=one > 0)
    centre = render.render(bank, drawn, 0, 1)[0, :, 14:34, 14:34].astype(int)
    assert ((centre[0] > 150) & (centre[1] < 90)).mean() > 0.1, "a red thing"
