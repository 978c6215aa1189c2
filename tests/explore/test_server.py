"""The local page: who gets in, what may be handed over, and that its numbers are those of a study."""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import reliance
from attribution.toy import CLASS_IDS
from reliance.base.artifacts import derived_stamp, write_json
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.explore import server, where
from reliance.explore.attribute import cosines
from reliance.explore.describe import describe_variant, read_description
from reliance.explore.served import Desk
from reliance.explore.server import HEADERS, application
from reliance.explore.where import Place

TOKEN = "a-word"
ROOT = Path(__file__).parents[2]


class Models:
    """Sees in every new image what is stored of the first one."""

    def __init__(self, study, image_id):
        self.seen, self.width = study.seen("train", image_id), study.prompts().vectors.shape[1]

    def image(self, image, max_pixels):
        return self.seen

    def size(self, which):
        return 8

    def texts(self, which, prompts):
        return np.stack([np.eye(self.width, dtype=np.float32)[len(p) % self.width] for p in prompts])


@pytest.fixture(scope="module")
def home(asked):
    """The toy variant with an atlas of two files, described anew in a folder of its own."""
    folder = asked.results / "served"
    for part in ("data", "sheets"):
        (folder / "atlas" / part).mkdir(parents=True)
    (folder / "atlas/data/core.js").write_text('take("core",{})\n')
    (folder / "atlas/index.html").write_text("from the disk")
    stamp = derived_stamp("atlas", 1, {}, {"components": read_stamp(asked.files["components"]).id})
    write_json(folder / "atlas/atlas.json", {}, stamp)
    _, files, about = read_description(asked.home)
    files["atlas"] = folder / "atlas/index.html"
    describe_variant(description=folder / "variant.json", variant="demo", files=files, about=about)
    return folder


@pytest.fixture
def study(home, image):
    study = reliance.open(home)
    study.models = Models(study, image)
    return study


@pytest.fixture(scope="module")
def image(asked):
    return int(np.flatnonzero(asked.toy.valid & (asked.toy.labels == 1))[0])


@pytest.fixture
def client(study):
    return TestClient(
        application(Desk(study), TOKEN), base_url="http://127.0.0.1:8765", raise_server_exceptions=True
    )


def png(color=(200, 30, 30)):
    stream = io.BytesIO()
    Image.new("RGB", (20, 10), color).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "path", ["/", "/wrong/", "/a-wor/", "/wrong/api/find?text=a", "//a-word/", "/data/core.js"]
)
def test_nobody_gets_in_without_the_token(client, path):
    answer = client.get(path)
    assert answer.status_code == 403
    assert "take" not in answer.text


def test_a_page_from_elsewhere_cannot_ask(study):
    app = application(Desk(study), TOKEN)
    assert TestClient(app, base_url="http://evil.example").get(f"/{TOKEN}/").status_code == 403
    for name in ("localhost:1", "[::1]:8765", "127.0.0.1"):
        assert TestClient(app, base_url=f"http://{name}").get(f"/{TOKEN}/").status_code == 200


def test_the_page_and_its_files_are_given_with_a_strict_policy(client):
    page = client.get(f"/{TOKEN}/")
    assert "data-live" in page.text
    assert "file:" not in page.text
    assert client.get(f"/{TOKEN}", follow_redirects=False).headers["location"] == f"/{TOKEN}/"
    for name, kind in (("atlas.js", "javascript"), ("atlas.css", "css"), ("data/core.js", "javascript")):
        answer = client.get(f"/{TOKEN}/{name}")
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
        assert all(answer.headers[key] == value for key, value in HEADERS.items())


@pytest.mark.parametrize(
    "path",
    ["data/../atlas.json", "data/%2e%2e/atlas.json", "data/..%2f..%2fvariant.json", "atlas.json", "sheets/"],
)
def test_nothing_else_is_given(client, path):
    assert client.get(f"/{TOKEN}/{path}").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(client, method):
    for path in ("data/core.js", "api/find", "api/image", "api/explain", ""):
        assert client.request(method, f"/{TOKEN}/{path}").status_code == 405


def test_numbers_are_those_of_a_study(client, study, image):
    found = client.get(
        f"/{TOKEN}/api/explain", params={"image": f"train:{image}", "prompt": ["kite", "jay"]}
    ).json()
    expected = study.explain(("train", image), ["kite", "jay"], top=100).record()
    assert {name: found[name] for name in expected} == expected
    assert found["switched"]["y"] == pytest.approx([p["y"] for p in expected["prompts"]], abs=1e-6)


def test_units_that_are_off_move_the_outputs(client, study, image):
    params = {"image": f"train:{image}", "prompt": "kite"}
    whole = client.get(f"/{TOKEN}/api/explain", params=params).json()
    first, second = (unit["component"] for unit in whole["prompts"][0]["units"][:2])
    one = client.get(f"/{TOKEN}/api/explain", params={**params, "off": str(first)}).json()
    effect = whole["prompts"][0]["units"][0]["ablation"]
    assert one["switched"]["y"][0] == pytest.approx(whole["prompts"][0]["y"] - effect, abs=1e-6)
    assert one["prompts"] == whole["prompts"]
    both = client.get(f"/{TOKEN}/api/explain", params={**params, "off": f"{first},{second},77,x"}).json()[
        "switched"
    ]
    seen, sae = study.seen("train", image), study.sae
    kept = ~np.isin(seen.component, [first, second])
    gone = seen.activation[~kept].astype(np.float64) @ sae.decoder_weight[seen.component[~kept]]
    texts = study.prompts()
    after = cosines(seen.x.astype(np.float64) - gone, study.rest(seen), texts.vectors)
    assert both["y"][0] == pytest.approx(after[CLASS_IDS.index(2)])
    assert {c["class_id"]: c["after"] for c in both["classes"]} == pytest.approx(
        dict(zip(texts.class_ids.tolist(), after, strict=True))
    )


def test_without_a_prompt_the_best_class_is_taken(client, study, image):
    found = client.get(f"/{TOKEN}/api/explain", params={"image": f"train:{image}"}).json()
    assert (
        found["prompts"][0]["class_id"]
        == max(found["switched"]["classes"], key=lambda c: c["before"])["class_id"]
    )


def test_an_image_that_is_handed_over_is_explained(client, study):
    taken = client.post(f"/{TOKEN}/api/image", content=png()).json()
    assert (taken["width"], taken["height"]) == (20, 10)
    found = client.get(f"/{TOKEN}/api/explain", params={"image": taken["image"], "prompt": "anything"}).json()
    direct = study.explain(Image.open(io.BytesIO(png())), "anything").record()
    assert found["prompts"][0]["y"] == direct["prompts"][0]["y"]
    shown = client.get(f"/{TOKEN}/api/image", params={"image": taken["image"]})
    assert Image.open(io.BytesIO(shown.content)).size == (224, 224)


def test_only_the_last_images_are_kept(client):
    keys = [client.post(f"/{TOKEN}/api/image", content=png((i, 0, 0))).json()["image"] for i in range(18)]
    found = [
        client.get(f"/{TOKEN}/api/image", params={"image": key}).status_code for key in (keys[0], keys[-1])
    ]
    assert found == [400, 200]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "nothing"),
        (b"GIF89a no", "the image|not an image|Error"),
        (b"%PDF-1.4 " * 9, "not an image in a known format"),
    ],
)
def test_what_is_no_image_is_told_in_five_parts(client, content, found):
    answer = client.post(f"/{TOKEN}/api/image", content=content)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert sorted(error) == ["allowed", "found", "next_step", "rule", "where"]
    assert re.search(found, error["found"])
    assert "/tmp" not in answer.text


def test_too_many_bytes_are_not_read(client, monkeypatch):
    monkeypatch.setattr(server, "MOST_BYTES", 1000)
    answer = client.post(f"/{TOKEN}/api/image", content=b"x" * 5000)
    assert answer.status_code == 400
    assert "more than 1000 bytes" in answer.text


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"image": "new-99", "prompt": "a"}, "handed over not long ago"),
        ({"image": "", "prompt": "a"}, "handed over"),
        ({"image": "train:999999", "prompt": "a"}, "could be read"),
        ({"image": "/etc/passwd", "prompt": "a"}, "handed over"),
        ({"image": "train:{image}", "prompt": "x" * 2000}, "characters"),
        ({"image": "train:{image}", "prompt": ["a"] * 9}, "at most 8"),
    ],
)
def test_what_is_not_there_is_told(client, image, params, words):
    params["image"] = params["image"].format(image=image)
    answer = client.get(f"/{TOKEN}/api/explain", params=params)
    assert answer.status_code == 400
    assert words in answer.text


def test_units_and_images_are_found_for_a_text(client, study):
    found = client.get(f"/{TOKEN}/api/find", params={"text": "label one", "split": "train"}).json()
    assert found["units"] == study.find("label one", top=24).record()["texts"]
    assert found["images"] == study.images(text="label one", split="train", top=24).record()["images"]


def test_maps_are_drawn_for_prompts_and_units(client, image, monkeypatch):
    asked = []

    drawn = Image.new("RGB", (8, 8)), np.zeros((2, 2))

    def of_prompts(models, seen, names, vectors):
        asked.append((seen.place, names))
        return [Place(name, *drawn, 0.5) for name in names]

    def of_units(shelf, models, seen, units):
        asked.append((seen.place, units))
        return [Place(f"unit {unit}", *drawn, 1.5, "on") for unit in units]

    monkeypatch.setattr(where, "of_prompts", of_prompts)
    monkeypatch.setattr(where, "of_units", of_units)
    params = {"image": f"train:{image}", "prompt": ["kite", "anything"], "class": "2", "unit": "4,0,x"}
    found = client.get(f"/{TOKEN}/api/where", params=params).json()["maps"]
    assert [(one["caption"], one["total"]) for one in found] == [
        *((name, 0.5) for name in ("kite", "anything", "kite")),
        *(("unit 4", 1.5), ("unit 0", 1.5)),
    ]
    assert found[0]["picture"].startswith("data:image/webp;base64,") and found[-1]["meaning"] == "on"
    place = ("train", image)
    assert asked == [(place, ["kite", "anything", "kite"]), (place, [4, 0])]  # one pass each


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"unit": "1,2,3,4,5,6,7,8,9"}, "at most 8"),
        ({"unit": "999999"}, "component is asked for by its number"),
        ({"image": "new-1", "unit": "1"}, "handed over"),
        ({"class": "77"}, "class_id"),
    ],
)
def test_maps_of_what_is_not_there_are_refused(client, image, params, words):
    answer = client.get(f"/{TOKEN}/api/where", params={"image": f"train:{image}", **params})
    assert answer.status_code == 400
    assert words in answer.text


def test_an_atlas_of_other_results_is_refused(home, study):
    path = home / "atlas/atlas.json"
    before = path.read_bytes()
    write_json(path, {}, derived_stamp("atlas", 1, {}, {"components": "0" * 64}))
    with pytest.raises(RelianceError, match="same components"):
        application(Desk(study), TOKEN)
    path.write_bytes(before)


def test_without_an_atlas_the_command_that_builds_it_is_told(asked):
    study = reliance.open(asked.home)
    with pytest.raises(RelianceError, match="atlas"):
        application(Desk(study), TOKEN)


def test_the_command_prints_an_address_that_answers(home):
    import urllib.request

    command = [
        sys.executable,
        "-m",
        "reliance",
        "serve",
        "served",
        "--results",
        str(home.parent),
        "--port",
        "0",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", said)
            assert address, said
            with urllib.request.urlopen(address[0]) as answer:
                assert "data-live" in answer.read().decode()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def test_a_port_that_is_taken_is_told(home):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RelianceError, match="free"):
            server.serve(reliance.open(home), "127.0.0.1", taken.getsockname()[1], print, print)
