from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reliance.base.artifacts import read_json, read_table, write_table
from reliance.base.errors import RelianceError
from reliance.failures.case_list import read_failures
from reliance.figures.failures import lists
from reliance.figures.failures.fig12 import fig12 as fig12_
from reliance.figures.failures.fig13 import fig13 as fig13_
from reliance.figures.failures.pictures import choose
from reliance.images.tables import INDEX
from reliance.robustness.summary import ROBUSTNESS

from ..jobs import as_job
from ..mapped import SITE, Located, pictures_of, write_model
from ..pictures import LATENTS, relevance_of, write_cases

fig12 = as_job(fig12_)
fig13 = as_job(fig13_)


def numbers(outputs):
    return pd.read_csv(outputs["csv"], keep_default_na=False)


def caption(outputs):
    return outputs["caption"].read_text()


def test_images_of_a_case_stand_by_falling_relevance(tmp_path, outputs, drawn):
    fig12(**write_cases(tmp_path, [("polysemous", 20), ("compound", 5)]), **outputs)
    table = numbers(outputs)
    first = table[table["failure_id"] == "case0"]
    ranked = sorted(range(20), key=lambda i: -relevance_of(i))
    assert first["image_id"].tolist() == ranked[:16]
    assert first["place"].tolist() == list(range(1, 17))
    assert first["relevance"].astype(float).tolist() == [relevance_of(i) for i in ranked[:16]]
    assert set(first["n_images"]) == {20} and set(first["drawn"]) == {"yes"}
    texts = drawn()
    assert {"“class 0”", "#0", "label 0", "“class 1”", "Polysemous words", "Compound nouns"} <= set(texts)
    assert "· score 10 · spurious AUC 0.50 · 20 images" in [text.strip() for text in texts]


def test_cases_from_elsewhere_are_numbered_above_the_latents(tmp_path, outputs, drawn):
    fig13(**write_cases(tmp_path, [("spurious", 2), ("typography", 3)], elsewhere=2), **outputs)
    table = numbers(outputs).drop_duplicates("failure_id").set_index("failure_id")
    assert table["number"].to_dict() == {
        "case1": 1,
        "case0": 0,
        "0-1-far": LATENTS + 1,
        "0-2-far": LATENTS + 2,
    }
    assert table.loc["0-2-far", "label"] == "0_shark_2" and table.loc["0-2-far", "score"] == ""
    assert float(table.loc["0-2-far", "spurious_auc"]) == 0.53
    assert {"Neuhaus et al.", f"#{LATENTS + 2}", "0_shark_2"} <= set(drawn())
    assert f"from #{LATENTS + 1}" in caption(outputs)


def frame_of(mined, external, kind="spurious"):
    scores = [float(i) for i in range(mined)] + [float("nan")] * external
    places = np.array([False] * mined + [True] * external, bool)
    frame = pd.DataFrame({"kind": kind, "score": scores, "external": places})
    return frame.assign(name=[f"m{i}" for i in range(mined)] + [f"e{i}" for i in range(external)])


@pytest.mark.parametrize(
    ("mined", "external", "expected"),
    [
        (3, 0, "m2 m1 m0"),
        (9, 0, "m8 m7 m6 m5 m4 m3"),
        (9, 9, "m8 m7 m6 e0 e1 e2"),
        (9, 1, "m8 m7 m6 m5 m4 e0"),
        (1, 9, "m0 e0 e1 e2 e3 e4"),
        (0, 2, "e0 e1"),
        (0, 0, ""),
    ],
)
def test_the_strongest_are_shown_and_others_get_half_of_the_places(mined, external, expected):
    both = pd.concat([frame_of(4, 4, "other"), frame_of(mined, external)])
    assert choose(both, "spurious", 6)["name"].tolist() == expected.split()


def test_one_place_is_for_the_strongest_mined_case():
    assert choose(frame_of(2, 2), "spurious", 1)["name"].tolist() == ["m1"]


def test_how_many_are_shown_is_said(tmp_path, outputs, drawn):
    mined = [("spurious", 2)] * 8 + [("other", 1)]
    fig13(**write_cases(tmp_path, mined, elsewhere=7), **outputs, cases_per_kind=6)
    texts = drawn()
    assert "3 of 8 mined, 3 of 7 Neuhaus et al. cases" in texts
    assert {"Visual typography", "no case found", "Other", "1 case"} <= set(texts)
    assert "visual typography: no case; spurious correlations: 3 of 8 mined" in caption(outputs)
    assert "at least half of the places" in caption(outputs)


def test_no_case_at_all(tmp_path, outputs, drawn):
    fig13(**write_cases(tmp_path, []), **outputs)
    assert drawn().count("no case found") == 2  # and no section "Other"
    assert "Other" not in drawn()
    assert len(numbers(outputs)) == 0


def test_a_list_from_elsewhere_alone(tmp_path, outputs, drawn):
    fig13(**write_cases(tmp_path, [], elsewhere=2), **outputs)
    assert numbers(outputs)["number"].unique().tolist() == [LATENTS + 1, LATENTS + 2]
    assert "2 cases" in drawn()


def test_planted_cases_are_not_shown(tmp_path, outputs, drawn):
    files = write_cases(tmp_path, [("spurious", 2)], elsewhere=3)
    fig13(**files, **outputs, external_sources=["planted"])
    assert set(numbers(outputs)["failure_id"]) == {"case0"}


def test_a_source_that_the_benchmark_was_told_is_taken(tmp_path, outputs, drawn):
    files = write_cases(tmp_path, [("spurious", 2)], elsewhere=1)
    scored = read_table(files["robustness"], ROBUSTNESS)
    told = scored.frame.assign(source=scored.frame["source"].replace("neuhaus", "user"))
    write_table(files["robustness"], told, ROBUSTNESS, scored.stamp.params, scored.stamp.inputs)
    fig13(**files, **outputs, external_sources=["user"])
    row = numbers(outputs).iloc[-1]
    assert row["source"] == "user" and float(row["spurious_auc"]) == 0.51
    assert "own list" in drawn()


def test_images_that_are_gone_are_empty_frames_and_counted(tmp_path, outputs, drawn):
    files = write_cases(tmp_path, [("compound", 4)])
    (tmp_path / "images/train/x/002.png").unlink()
    fig12(**files, **outputs)
    assert drawn().count("missing") == 1
    assert "1 of 4 images could not be drawn" in caption(outputs)
    table = numbers(outputs)
    assert table.loc[table["image_id"] == 2, "drawn"].tolist() == ["missing"]


def test_an_area_that_is_not_defined_or_not_there_is_said(tmp_path, outputs, drawn):
    files = write_cases(tmp_path, [("compound", 1)])
    scored = read_table(files["robustness"], ROBUSTNESS)
    write_table(files["robustness"], scored.frame[:0], ROBUSTNESS, scored.stamp.params, scored.stamp.inputs)
    fig12(**files, **outputs)
    assert any("spurious AUC not defined · 1 image" in text for text in drawn())


def test_who_mined_and_random_weights_and_skipped_lists_are_said(tmp_path, outputs, drawn):
    files = write_cases(tmp_path, [("compound", 1)])
    files |= {"variants": ["big"], "random_weights": [True], "prompt_set": "extended"}
    fig12(**files, **outputs, skipped_lists=["spurious_imagenet"])
    assert "big (random weights)" in drawn()
    assert "Mined by demo from its output for the prompts 'extended'" in caption(outputs)
    assert "skipped: spurious_imagenet" in caption(outputs)


@pytest.mark.parametrize("draw", [fig12, fig13])
def test_same_input_same_bytes(tmp_path, outputs, draw):
    kinds = [("compound", 3), ("typography", 2), ("spurious", 1)]
    files = write_cases(tmp_path, kinds, elsewhere=1)
    again = {key: tmp_path / "again" / path.name for key, path in outputs.items()}
    for target in (outputs, again):
        draw(**files, **target)
    assert all(path.read_bytes() == again[key].read_bytes() for key, path in outputs.items())
    kind = {fig12: "fig12", fig13: "fig13"}[draw]
    stamp = read_json(f"{outputs['pdf']}.meta.json", kind, 1)[1]
    assert stamp.inputs["failures_0"] == read_failures(files["failures"])[1].id
    assert {"index_home", "index_far", "robustness", "outlier_samples", "components"} <= set(stamp.inputs)


def test_the_pdf_stays_small_whatever_the_images(tmp_path, outputs):
    files = write_cases(tmp_path, [("compound", 16)])
    index = read_table(files["indexes"][0], INDEX).frame
    for i, path in enumerate(index["path"]):
        noise = np.random.default_rng(i).integers(0, 256, (90, 90, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / path)
    index["bytes"] = [Path(tmp_path, "images", path).stat().st_size for path in index["path"]]
    write_table(files["indexes"][0], index, INDEX, {}, {})
    fig12(**files, **outputs)
    assert outputs["pdf"].stat().st_size < 50_000 + 16 * 10_000  # at most 88 x 88 bytes and 128 colours each


def test_lists_that_were_not_scored_together_are_refused(tmp_path, outputs):
    files = write_cases(tmp_path / "a", [("compound", 1)])
    other = write_cases(tmp_path / "b", [("compound", 1), ("compound", 2)], elsewhere=1)
    for name in ("failures", "robustness", "components"):
        mixed = {**files, name: other[name]}
        if name == "components":
            write_table(mixed[name], *_changed(mixed[name]))
        with pytest.raises(RelianceError, match=r"same|classes of the data set"):
            fig12(**mixed, **outputs)
    with pytest.raises(RelianceError, match="same list of cases"):
        extra = {name: other[name] for name in ("external_failures", "external_samples")}
        fig12(**{**files, **extra}, **outputs)
    assert not outputs["pdf"].exists()


def _changed(path):
    from reliance.naming.table import COMPONENTS

    table = read_table(path, COMPONENTS)
    return table.frame, COMPONENTS, {"changed": 1}, table.stamp.inputs


def test_an_index_of_other_images_is_refused(tmp_path, outputs):
    files = write_cases(tmp_path, [("spurious", 1)], elsewhere=1)
    index = read_table(files["indexes"][1], INDEX)
    write_table(files["indexes"][1], index.frame, INDEX, {"changed": 1}, {})
    with pytest.raises(RelianceError, match="same index"):
        fig13(**files, **outputs)


def test_patches_of_mined_cases_are_outlined(tmp_path, outputs, drawn_figure, monkeypatch):
    files = write_cases(tmp_path, [("spurious", 3)], elsewhere=1)
    fig13(**files, **outputs)
    plain, before = pictures_of(drawn_figure()), outputs["csv"].read_bytes()
    monkeypatch.setattr(lists, "open_codes", lambda path: Located(path, silent=[2]))
    fig13(**files, **outputs, located=tmp_path / "codes")
    found = pictures_of(drawn_figure())
    changed = [(a != b).any() for a, b in zip(plain, found, strict=True)]
    shown = numbers(outputs)["image_id"].tolist()
    assert changed == [image != 2 for image in shown[:3]] + [False] * 3  # it fires on no patch of image 2
    picture = found[changed.index(True)]
    quarter = picture[: len(picture) // 2, : len(picture) // 2]  # patch 0 of 4
    assert (quarter[[0, -1]] == 255).all() and (quarter[:, [0, -1]] == 255).all()
    assert outputs["csv"].read_bytes() == before
    assert "outlined" in caption(outputs)


def test_codes_of_other_components_are_refused(tmp_path, outputs, monkeypatch):
    monkeypatch.setattr(lists, "open_codes", lambda path: Located(path, "e" * 64))
    with pytest.raises(RelianceError, match="same codes"):
        fig13(**write_cases(tmp_path, [("spurious", 3)]), **outputs, located=tmp_path / "codes")


def test_maps_lie_over_the_images_of_mined_cases_alone(tmp_path, outputs, drawn_figure):
    files = write_cases(tmp_path, [("spurious", 3)], elsewhere=1)
    fig13(**files, **outputs)
    plain, said = pictures_of(drawn_figure()), caption(outputs)
    fig13(**files, **outputs, **write_model(tmp_path, LATENTS), site=SITE)
    found = pictures_of(drawn_figure())
    assert [(a != b).any() for a, b in zip(plain, found, strict=True)] == [True] * 3 + [False] * 3
    assert caption(outputs).startswith(said.rstrip()) and "warm adds, cold takes away" in caption(outputs)
