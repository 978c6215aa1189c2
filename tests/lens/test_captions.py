"""Captions for an image generator: what they say, and the folder that each belongs to."""

import csv
import json

import pandas as pd

from reliance.lens.captions import COLUMNS, captioned, captions_of, write_captions
from reliance.lens.findings import WAYS

CRANE = pd.Series({"folder": "n02012849", "short_name": "crane"})
TOWER = pd.Series({"folder": "n03126707", "short_name": "tower crane"})


def test_captions_name_what_is_shown_and_the_words() -> None:
    assert captioned("crane", []) == ""
    assert captioned("crane", ["sea"]) == "a photo of a crane, with sea"
    assert captioned("crane", ["sea", "sand", "fog", "ice"]) == "a photo of a crane, with sea, sand and fog"


def test_every_caption_has_the_folder_of_its_way_and_its_classes(tmp_path) -> None:
    rows = captions_of(CRANE, TOWER, {"neurons": ["steel", "sky"], "random": ["cup"], "similar": []})
    assert {row["way"] for row in rows} == {"neurons", "random", "nothing"} <= set(WAYS)
    write_captions(tmp_path / "captions.csv", rows, {"kept": 50}, {"text": "a"})
    with open(tmp_path / "captions.csv", encoding="utf-8", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert read == rows and tuple(read[0]) == COLUMNS
    assert read[0]["folder"] == "neurons/n02012849__n03126707"
    assert read[0]["caption"] == "a photo of a crane, with steel and sky"
    assert read[-1]["caption"] == "a photo of a crane"
    meta = json.loads((tmp_path / "captions.csv.meta.json").read_text())
    assert meta["reliance"]["kind"] == "lens_captions" and meta["reliance"]["params"] == {"kept": 50}
