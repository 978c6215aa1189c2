"""Questions to the small planted variant that was built for real: tables, new images, the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reliance
from reliance.explore.study import Study

from .project import ENVIRONMENT, Project

NUMBERS = ["activation", "act_x_grad", "ablation"]


@pytest.fixture
def study(built: Project) -> Study:
    return reliance.open(built.folder / "results/tiny")


def by_unit(found: pd.DataFrame) -> pd.DataFrame:
    return found.set_index("component").sort_index()[NUMBERS]


def test_explanations_are_the_rows_of_the_tables(study: Study) -> None:
    table = study.attributions("test")
    for image_id in (0, 37, 111, 222):
        own = table[table["image_id"] == image_id]
        found = study.explain(("test", image_id), int(own["class_id"].iloc[0]))
        difference = by_unit(found.table()) - by_unit(own)
        assert len(found.table()) == len(own) and np.abs(difference.to_numpy()).max() < 1e-6


def test_a_new_image_is_what_it_would_be_if_it_were_stored(study: Study, tmp_path: Path) -> None:
    for image_id in (5, 140, 260):
        stored = study.explain(("test", image_id), "spade")
        copy = Path(shutil.copy(stored.data.picture.path, tmp_path / f"{image_id}.png"))
        new = study.explain(copy, "spade")
        assert new.data.picture.split == "" and new.data.picture.image_id == -1
        difference = by_unit(new.table()) - by_unit(stored.table())
        assert np.nanmax(np.abs(difference.to_numpy())) < 1e-3  # another batch may round another way
        assert new.data.answers[0].y == pytest.approx(stored.data.answers[0].y, abs=1e-3)


def test_a_free_text_is_embedded_as_the_stored_prompts_were(study: Study) -> None:
    from reliance.explore.model import ENCODER

    name = study.class_names["short_name"].iloc[3]
    (vector,) = study.models.texts(ENCODER, [name])
    assert np.abs(vector - study.prompts("short").vectors[3]).max() < 1e-6


def test_units_are_found_by_their_own_names(study: Study) -> None:
    named = study.components[study.components["label"] != ""].nlargest(1, "alignment").iloc[0]
    (found,) = study.find(str(named["label"]), top=3).data
    assert int(named["component"]) in [hit.about.component for hit in found.hits]
    best = next(hit for hit in found.hits if hit.about.component == named["component"])
    assert best.alignment == pytest.approx(named["alignment"], abs=1e-5)


def test_a_unit_has_all_parts_of_its_card(study: Study) -> None:
    unit = int(study.components.nlargest(1, "n_active")["component"].iloc[0])
    card = study.component(unit).data
    assert sum(card.histogram) == study.components["n_active"][unit]
    assert card.names[0].text == card.about.name and card.words and card.along and card.notes == []
    assert card.names[0].score == pytest.approx(card.about.alignment, abs=1e-5)


def test_the_command_answers_from_elsewhere(built: Project, tmp_path: Path) -> None:
    command = ["explain", "tiny", "test:3", "--prompt", "spade", "--prompt", "a word", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "reliance", *command, "--results", str(built.folder / "results")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**ENVIRONMENT, "PYTHONPATH": str(built.folder / "src")},
    )
    assert done.returncode == 0, done.stderr
    assert [answer["prompt"] for answer in json.loads(done.stdout)["explanations"][0]["prompts"]] == [
        "spade",
        "a word",
    ]
