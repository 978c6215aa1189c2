import json

import numpy as np
import pytest

import reliance
from attribution.toy import CLASS_IDS
from reliance.attribution.schema import ATTRIBUTIONS, OUTPUTS
from reliance.base.artifacts import read_table
from reliance.base.errors import RelianceError
from reliance.encoders.head import project
from reliance.failures.reference import reference
from reliance.failures.schema import EXPECTATIONS

from .conftest import CASE


@pytest.fixture
def study(asked):
    return reliance.open(asked.home)


def cosine(x, head, text):
    z = project(x[None].astype(np.float64), head)[0]
    return float(z @ text / np.linalg.norm(z) / np.linalg.norm(text))


def images_of(asked, count):
    return [int(i) for i in np.flatnonzero(asked.toy.valid & (asked.toy.labels >= 0))[:: 180 // count]]


def test_every_number_is_that_of_the_tables_of_the_pipeline(asked, study):
    table, outputs = (
        read_table(asked.attributions, ATTRIBUTIONS).frame,
        read_table(asked.outputs, OUTPUTS).frame,
    )
    for image_id in images_of(asked, 12):
        own = table[table["image_id"] == image_id].set_index("component").sort_index()
        y = outputs.set_index("image_id")["y"][image_id]
        (answer,) = study.explain(("train", image_id), CLASS_IDS[asked.toy.labels[image_id]]).data.answers
        assert answer.y == pytest.approx(y, abs=1e-6)
        found = (
            study.explain(("train", image_id), answer.class_id).table().set_index("component").sort_index()
        )
        assert found.index.tolist() == own.index.tolist()
        for name in ("activation", "act_x_grad", "ablation"):
            assert np.abs(found[name].to_numpy() - own[name].to_numpy()).max() < 1e-6


def test_effects_are_those_of_removing_a_unit(asked, study):
    toy = asked.toy
    for image_id in images_of(asked, 6):
        (answer,) = study.explain(("train", image_id), 5).data.answers
        x, text = toy.x[image_id].astype(np.float64), toy.text[2].astype(np.float64)
        assert answer.y == pytest.approx(cosine(x, toy.head, text), abs=1e-6)
        whole = x.copy()
        for unit in answer.units:
            part = unit.activation * toy.decoder[unit.component].astype(np.float64)
            assert unit.ablation == pytest.approx(answer.y - cosine(x - part, toy.head, text), abs=1e-6)
            assert unit.share == pytest.approx(unit.ablation / answer.y)
            whole -= part
        assert answer.without == pytest.approx(cosine(whole, toy.head, text), abs=1e-6)


def test_units_are_ordered_by_their_effect(asked, study):
    (answer,) = study.explain(("train", images_of(asked, 1)[0]), 5).data.answers
    effects = [unit.ablation for unit in answer.units]
    assert effects == sorted(effects, reverse=True) and len(effects) > 1


def test_against_is_the_difference_of_two_prompts(asked, study):
    image = ("train", images_of(asked, 1)[0])
    one, other = study.explain(image, [5, 9]).data.answers
    (difference,) = study.explain(image, 5, against=9).data.answers
    assert difference.y == pytest.approx(one.y - other.y)
    effects = {unit.component: unit.ablation for unit in other.units}
    for unit in difference.units:
        mine = next(u.ablation for u in one.units if u.component == unit.component)
        assert unit.ablation == pytest.approx(mine - effects[unit.component], abs=1e-7)
        assert np.isnan(unit.z)


def test_z_is_that_of_mining(asked, study):
    frame = read_table(asked.files["expectations"], EXPECTATIONS).frame
    expected = reference(frame, np.array(CLASS_IDS), len(study.components), "float64")
    for image_id in images_of(asked, 6):
        (answer,) = study.explain(("train", image_id), 9).data.answers
        for unit in answer.units:
            mean, sigma = expected.mean[3, unit.component], expected.sigma[3, unit.component]
            assert unit.z == pytest.approx((unit.act_x_grad - mean) / sigma, rel=1e-5)
            assert unit.unseen == (expected.n_active[3, unit.component] == 0)
        assert answer.y_mean == pytest.approx(expected.y_mean[3])


def test_a_name_of_a_class_is_its_stored_prompt(asked, study):
    image = ("train", images_of(asked, 1)[0])
    named, numbered = study.explain(image, ["kite", 2]).data.answers
    assert (named.class_id, named.prompt_set, named.y) == (2, "short", numbered.y)
    (twice,) = study.explain(image, "crane").data.answers  # two classes have this name
    assert twice.class_id == -1 and all(np.isnan(unit.z) for unit in twice.units)


def test_a_case_is_named_where_its_unit_is_active(asked, study):
    image_id = int(np.flatnonzero((asked.toy.indices == CASE[6]).any(1) & asked.toy.valid)[0])
    found = study.explain(("train", image_id), 5).table().set_index("component")
    assert found["case"][CASE[6]] == CASE[0]
    rows = study.explain(("train", image_id), [5, 9]).sheet().blocks
    said = [next(row.cells[-1] for row in block.rows if row.cells[0] == str(CASE[6])) for block in rows]
    assert said == [f"{CASE[0]} (spurious of crane)"] * 2  # of its own prompt and of another one alike


def test_a_file_of_the_data_set_is_the_stored_image(asked, study):
    image_id = images_of(asked, 1)[0]
    found = study.explain(asked.root / f"{image_id}.png", 5)
    assert (found.picture.split, found.picture.image_id) == ("train", image_id)
    assert found.table().equals(study.explain(f"train:{image_id}", 5).table())


@pytest.mark.parametrize(
    ("image", "prompt", "words"),
    [
        (("train", 10**6), 5, "no image 1000000"),
        ("nowhere.jpg", 5, "no such file"),
        (3.5, 5, "float"),
        (np.zeros((4, 4, 3)), 5, "float64"),
        (("train", 1), 4, "class 4"),
        (("train", 1), " ", "1 to 1000"),
        (("train", 1), [], "no prompt"),
    ],
)
def test_what_is_none_is_told(study, image, prompt, words):
    with pytest.raises(RelianceError, match=words):
        study.explain(image, prompt)


def test_an_answer_shows_itself(asked, study):
    found = study.explain(("train", images_of(asked, 1)[0]), ["kite", "jay"])
    json.dumps(found.record(), allow_nan=False)
    assert "'kite' (class 2)" in found.text() and "effects and what is left are no parts" in repr(found)
    assert "<html" in found.html() and "<html" not in found._repr_html_()
    assert found.figure().get_size_inches()[0] > 5
    assert set(found.table().attrs["y"]) == {"kite", "jay"}


def test_what_was_not_built_is_left_out_with_its_command(built):
    built.describe(failures_from="demo")
    study = reliance.open(built.home)
    found = study.explain(("train", int(built.images[0])), 5)
    assert all(np.isnan(unit.z) for unit in found.data.answers[0].units)
    built.files["served"] = built.home / "explore/served.parquet"
    built.describe(failures_from="demo")
    found = reliance.open(built.home).explain(("train", int(built.images[0])), 5)
    assert "snakemake --cores 2 results/demo/explore/served.parquet" in found.text()


def test_the_contrast_is_what_is_beyond_the_mean_of_all_classes(asked, study):
    for image_id in images_of(asked, 4):
        image = ("train", image_id)
        plain = study.explain(image, list(CLASS_IDS)).data.answers
        beyond = study.explain(image, list(CLASS_IDS), contrast=True).data.answers
        mean = np.mean([answer.y for answer in plain])
        effects = [{unit.component: unit.ablation for unit in answer.units} for answer in plain]
        for answer, own in zip(beyond, plain, strict=True):
            assert answer.y == pytest.approx(own.y - mean, abs=1e-6)
            for unit in answer.units:
                common = np.mean([effect[unit.component] for effect in effects])
                alone = next(u.ablation for u in own.units if u.component == unit.component)
                assert unit.ablation == pytest.approx(alone - common, abs=1e-6)
                assert np.isnan(unit.z)
