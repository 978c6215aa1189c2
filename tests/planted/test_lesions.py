import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reliance.base.artifacts import read_json, read_table
from reliance.base.errors import RelianceError
from reliance.failures.case_list import read_failures
from reliance.images.index import index_images
from reliance.images.tables import CLASSES, INDEX
from reliance.planted import dataset, drawn, lesion_pixels, lesions, train_clip
from reliance.planted.table import PLANTS, TRUTH
from reliance.planted.tiny_clip import CONTEXT
from reliance.planted.truth import planted_cases
from reliance.running.job import bundled

SHAPE = {"world": "lesions", "red": 0.2, "shortcut": 0.75}
BANK = lesion_pixels.make_bank()
MELANOMA, NAEVUS = 0, 1


def close(share, expected, count):
    """Within four standard errors of a share."""
    return abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / count) + 1e-12


def draw(folder, **settings):
    files = {
        "truth": "truth.parquet",
        "names": "names.csv",
        "plants": "plants.json",
        "vocabulary": "words.txt",
    }
    paths = {name: folder / file for name, file in files.items()}
    dataset.render_planted(
        images=folder / "images",
        **paths,
        **{"seed": 2, "train_per_class": 40, "test_per_class": 12, **SHAPE, **settings},
    )
    paths = {"index": folder / "index.parquet", "classes": folder / "classes.parquet"}
    index_images(**paths, root=str(folder / "images"), layout="planted", names=str(folder / "names.csv"))
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("lesions"))


@pytest.mark.parametrize("shortcut", [0.0, 0.5, 0.75, 1.0])
def test_red_shares_of_the_train_split(shortcut):
    rows = lesions.labelled(3, 400, test=False, red=0.2, shortcut=shortcut)
    red = [(rows.red[rows.diagnosis == d] > 0).mean() for d in (MELANOMA, NAEVUS)]
    assert red == pytest.approx([0.2, 0.2 + 0.8 * shortcut])


def test_a_control_is_red_as_often_whatever_the_diagnosis():
    assert lesions.red_shares(0.4, 0.0) == (0.4, 0.4)
    assert lesions.red_shares(0.0, 0.6) == (0.0, 0.6)


@pytest.mark.parametrize("shortcut", [0.0, 0.75])
def test_the_test_split_is_balanced_and_knows_no_shortcut(shortcut):
    rows = lesions.labelled(3, 100, test=True, red=0.1, shortcut=shortcut)
    assert np.bincount(2 * rows.diagnosis + (rows.red > 0)).tolist() == [50, 50, 50, 50]
    control = lesions.labelled(3, 100, test=True, red=0.4, shortcut=0.0)
    assert all((a == b).all() for a, b in zip(rows, control, strict=True))


def test_the_pool_carries_red_independently_of_the_diagnosis():
    rows = lesions.pool(1, 20_000)
    for diagnosis in (MELANOMA, NAEVUS):
        own = rows.diagnosis == diagnosis
        assert close((rows.red[own] > 0).mean(), lesions.RATES.red_pool, own.sum())
        rates = lesions.RATES.melanoma if diagnosis == MELANOMA else lesions.RATES.naevus
        for look, rate in zip((rows.irregular, rows.dark, rows.varied), rates, strict=True):
            assert close(look[own].mean(), rate, own.sum())
    assert rows.red[rows.red > 0].min() >= lesions.STRENGTH_POOL[0]


def test_pictures_depend_on_the_seed_alone():
    rows, again = lesions.pool(4, 300), lesions.pool(4, 300)
    assert all((a == b).all() for a, b in zip(rows, again, strict=True))
    pixels = lesion_pixels.render(BANK, rows, 4, lesions.POOL)
    assert (pixels == lesion_pixels.render(lesion_pixels.make_bank(), again, 4, lesions.POOL)).all()
    assert (pixels != lesion_pixels.render(BANK, rows, 5, lesions.POOL)).any()
    assert lesions.captions(rows, 4) == lesions.captions(again, 4)


def test_captions_name_only_what_is_drawn():
    rows = lesions.pool(7, 4_000)
    texts = lesions.captions(rows, 7)
    said = {name: 0 for name in lesions.vocabulary()}
    for i, text in enumerate(texts):
        there = {lesions.DIAGNOSES[rows.diagnosis[i]]}
        there |= {(yes if getattr(rows, key)[i] else no) for key, yes, no in lesions.LOOKS}
        there |= {name for key, name in lesions.MARKS if getattr(rows, key)[i]}
        there.add("red skin" if rows.red[i] > 0 else f"{list(lesions.TONES)[rows.tone[i]]} skin")
        named = {name for name in said if re.search(rf"\b{name}\b", text.replace("dark corners", ""))}
        named |= {"dark corners"} & {m for m in lesions.vocabulary() if m in text}
        assert named <= there, text
        assert named or text in ("a lesion", "a photo of a lesion")
        for name in named:
            said[name] += 1
    assert min(said.values()) > 50, "all that is drawn is named now and then"
    red = rows.red > 0
    mentioned = np.mean(["red skin" in text for text, r in zip(texts, red, strict=True) if r])
    assert mentioned > 0.6


def test_captions_follow_the_grammar_and_are_read_to_their_end():
    from open_clip.tokenizer import SimpleTokenizer

    texts = sorted(set(lesions.captions(lesions.pool(7, 20_000), 7)))
    assert len(texts) > 400
    for text in texts:
        assert text == text.strip() and "  " not in text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text
    tokens = SimpleTokenizer(context_length=2 * CONTEXT)(texts)
    assert int((tokens != 0).sum(1).max()) <= CONTEXT


def test_spots_lie_inside_the_picture():
    rows = lesions.pool(9, 2_000)
    spots = lesion_pixels.draw_spots(np.random.default_rng(0), rows)
    masks = lesion_pixels.spot_masks(BANK, spots)
    assert masks.min() == 0
    assert masks.max() == 1
    edge = np.concatenate([masks[:, [0, -1]].reshape(2_000, -1), masks[:, :, [0, -1]].reshape(2_000, -1)], 1)
    assert not edge.any()
    area = masks.mean((1, 2))
    assert area.min() > 0.08 and area.max() < 0.5
    assert abs(area[rows.irregular].mean() / area[~rows.irregular].mean() - 1) < 0.1, "size tells nothing"


def test_irregular_spots_are_less_round():
    rows = lesions.pool(9, 1_000)
    masks = lesion_pixels.spot_masks(BANK, lesion_pixels.draw_spots(np.random.default_rng(0), rows)) > 0.5
    borders = sum((masks != np.roll(masks, 1, axis)).sum((1, 2)) for axis in (1, 2))
    ratio = borders**2 / masks.sum((1, 2))
    assert np.quantile(ratio[~rows.irregular], 0.9) < np.quantile(ratio[rows.irregular], 0.3)


@pytest.mark.parametrize(
    ("factor", "values"),
    [("red", (0.0, 1.0)), ("dark", (False, True)), ("hair", (False, True)), ("corners", (False, True))],
)
def test_a_factor_changes_what_it_should(factor, values):
    """The same pictures but for one factor."""
    n = 200
    off = np.zeros(n, bool)
    rows = lesions.Lesions(np.zeros(n, int), off, off, off, np.zeros(n), np.zeros(n, int), off, off, off)
    low, high = (
        lesion_pixels.render(BANK, rows._replace(**{factor: np.full(n, value)}), 0, 1).astype(float)
        for value in values
    )
    corner, middle = np.s_[:, :, :5, :5], np.s_[:, :, 20:28, 20:28]
    skin = [(p[corner][:, 0] / p[corner][:, 1]).mean() for p in (low, high)]
    if factor == "red":
        assert skin[1] > 1.3 * skin[0], "redder"
    else:
        assert skin[1] == pytest.approx(skin[0], rel=0.05), "of the same hue"
    darker = (low - high)[middle].mean(), (low - high)[corner].mean()
    if factor == "dark":
        assert darker[0] > 30 and darker[1] == 0
    if factor == "corners":
        assert darker[0] == 0 and darker[1] > 30
    if factor == "hair":
        assert (low - high).max() > 60 and (high <= low).all()


def test_truth_has_the_rows_of_the_index(pictures):
    truth = read_table(pictures / "truth.parquet", lesions.TRUTH).frame
    assert read_table(pictures / "truth.parquet", TRUTH).frame.shape == truth.shape, "readable as any truth"
    index = read_table(pictures / "index.parquet", INDEX).frame
    classes = read_table(pictures / "classes.parquet", CLASSES).frame
    both = truth.merge(index, on=["split", "image_id"], suffixes=("", "_index"))
    assert len(both) == len(index) == 2 * (40 + 12)
    assert (both["path"] == both["path_index"]).all()
    assert (both["object"] == both["class_id"].map(classes.set_index("class_id")["short_name"])).all()
    assert ((truth["red"] > 0) == (truth["background"] == "red skin")).all()
    red = truth[truth["split"] == "train"].groupby("object")["red"].agg(lambda r: (r > 0).mean())
    assert red.to_dict() == pytest.approx({"melanoma": 0.2, "naevus": 0.8})


def test_pictures_show_what_the_truth_says(pictures):
    truth = read_table(pictures / "truth.parquet", lesions.TRUTH).frame
    truth = truth[~truth["hair"] & ~truth["ruler"] & ~truth["corners"]]
    ratios = []
    for path in truth["path"]:
        pixels = np.asarray(Image.open(pictures / "images" / path)).astype(float)
        assert pixels.shape == (48, 48, 3)
        ratios.append(pixels[:4, :, 0].mean() / pixels[:4, :, 1].mean())
    ratios, red = pd.Series(ratios), (truth["red"] > 0).reset_index(drop=True)
    assert ratios[red].min() > ratios[~red].max()


def test_the_other_files(pictures):
    (plant,) = read_json(pictures / "plants.json", *PLANTS)[0]["plants"]
    assert (plant["mode"], plant["class"]) == ("artefact", "01-naevus")
    truth = read_table(pictures / "truth.parquet", lesions.TRUTH).frame
    assert ((truth["plant_id"] != "") == ((truth["red"] > 0) & (truth["object"] == "melanoma"))).all()
    assert (pictures / "words.txt").read_text().split("\n")[:2] == ["melanoma", "naevus"]
    assert pd.read_csv(pictures / "names.csv")["folder"].tolist() == ["00-melanoma", "01-naevus"]


def test_the_share_of_the_shortcut_is_part_of_the_identity(pictures, tmp_path):
    stamp = read_table(pictures / "truth.parquet", lesions.TRUTH).stamp
    control = read_table(draw(tmp_path, shortcut=0.0) / "truth.parquet", lesions.TRUTH).stamp
    assert stamp.params["shortcut"] == 0.75
    assert stamp.id != control.id


def test_a_control_has_no_planted_cases(tmp_path):
    folder = draw(tmp_path, shortcut=0.0)
    paths = {name: folder / f"{name}.parquet" for name in ("truth", "index", "classes", "failure_samples")}
    paths |= {"plants": folder / "plants.json", "failures": folder / "planted.tsv"}
    planted_cases(**paths, dataset="lesions_control")
    assert len(read_failures(folder / "planted.tsv")[0]) == 0
    assert read_json(folder / "plants.json", *PLANTS)[0]["plants"] == []


def test_a_clip_learns_lesions(tmp_path):
    paths = {name: tmp_path / name for name in ("checkpoint", "halfway", "history")}
    settings = {"seed": 0, "steps": 2, "pool": 40, "batch_size": 16, "captions": "plain", "threads": 1}
    keywords = {**paths, **settings, "world": "lesions"}
    train_clip.train_clip(**bundled(train_clip.train_clip, keywords))
    stamp = read_table(paths["history"], train_clip.TRAINING).stamp
    assert stamp.params["world"] == "lesions"
    assert "shortcut" not in stamp.params, "the captioned pool has none"


def test_an_unknown_world_is_refused():
    with pytest.raises(RelianceError, match="objects, lesions"):
        drawn.choose("letters")
