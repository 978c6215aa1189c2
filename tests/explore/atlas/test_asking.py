"""The page that asks, in a browser: its steps back, its prompts, its maps; answers are made up."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from PIL import Image

from reliance.base.errors import RelianceError
from reliance.explore.served import webp
from reliance.explore.server import application

from .test_browser import CHROMIUM, FITS, PHONE, browser, sync_api

__all__ = ["browser", "sync_api"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
WIDE = {"width": 1300, "height": 900}


PICTURE = "data:image/webp;base64,UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"


class Desk:
    """Answers what a page asks with something that tells what was asked."""

    def __init__(self, made: Any) -> None:
        paths = {"atlas": made.folder / "index.html", "components": made.files.components}
        self.study = SimpleNamespace(variant="made", path=paths.__getitem__)
        self.units = made.data("core")["units"]["id"][:4]
        self.images = [image["i"] for image in made.records("images")[:2]]  # of train
        self.maps: list[tuple[Any, ...]] = []

    def explain(self, key: str, prompts: list[str], off: list[int]) -> dict[str, Any]:
        effects = zip(self.units, (0.02, 0.01, -0.01, 0.005), strict=True)
        units = [{"component": unit, "ablation": effect, "z": 4.0, "case": ""} for unit, effect in effects]
        same = {"class_id": 1, "y": 0.3, "without": 0.1, "units": units}
        asked = [{"prompt": words, **same} for words in prompts or ["best"]]
        classes = [{"class_id": 1, "name": "a", "before": 0.3, "after": 0.3}]
        switched = {"y": [0.3 - 0.01 * len(off)] * len(asked), "classes": classes}
        return {"prompts": asked, "notes": [], "key": key, "switched": switched}

    def find(self, text: str, split: str) -> dict[str, Any]:
        hits = [{"about": {"component": unit}, "alignment": 0.2} for unit in self.units]
        image = {"split": "train", "image_id": self.images[0], "class_name": "a", "score": 0.2}
        return {"units": [{"text": text, "hits": hits, "named": []}], "images": [image] * bool(text.strip())}

    def where(self, key: str, prompts: list[str], units: list[int]) -> dict[str, Any]:
        self.maps.append((key, prompts, units))
        if units == [self.units[3]]:
            raise RelianceError("maps of units", "a rule", found="site x", allowed="y", next_step="z")
        told = {"total": 0.5, "meaning": "what is read", "picture": PICTURE}
        return {"maps": [{"caption": str(of), **told} for of in (*prompts, *units)]}

    def picture(self, key: str) -> Image.Image:
        return Image.new("RGB", (8, 8), (200, 30, 30))


@pytest.fixture(scope="module")
def served(made: Any) -> Iterator[tuple[Desk, str]]:
    desk = Desk(made)
    app = application(desk, "a-word")  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    (socket,) = server.servers[0].sockets
    yield desk, f"http://127.0.0.1:{socket.getsockname()[1]}/a-word/"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def page(browser: Any, served: tuple[Desk, str]) -> Iterator[Any]:
    """A page whose errors fail the test; pictures that are broken do not."""
    found = browser.new_context(viewport=WIDE).new_page()
    found.set_default_timeout(30_000)
    problems: list[str] = []
    found.on("pageerror", lambda error: problems.append(str(error)))
    yield found
    assert problems == []
    assert found.evaluate(FITS)
    found.context.close()


def open_at(page: Any, served: tuple[Desk, str], hash_: str) -> None:
    page.goto(f"{served[1]}{hash_}")
    page.wait_for_selector("body[data-ready]")


def test_back_undoes_a_step_and_prompts_go_along(page: Any, served: tuple[Desk, str]) -> None:
    first, second = served[0].images
    open_at(page, served, f"#/image/train/{first}")
    page.click("text=Ask about this image")
    page.wait_for_selector(".switches .unit")
    page.fill(".fields input >> nth=0", "a red kite")
    page.wait_for_function("() => location.hash.includes('prompt=a+red+kite')")
    page.click(".switch input >> nth=0")
    page.wait_for_function("() => location.hash.includes('off=')")
    page.go_back()
    page.wait_for_function("() => !location.hash.includes('off=')")
    page.wait_for_selector(".switches .unit")
    assert page.input_value(".fields input >> nth=0") == "a red kite"
    page.go_back()
    page.wait_for_function(f"() => location.hash === '#/ask/train:{first}'")
    page.wait_for_function("() => document.querySelector('.fields input').value === ''")
    page.go_forward()
    page.wait_for_function("() => document.querySelector('.fields input').value === 'a red kite'")
    page.evaluate(f"location.hash = '#/image/train/{second}'")
    page.wait_for_selector("body[data-page=image]")
    page.click("text=Ask about this image")
    page.wait_for_function(f"() => location.hash === '#/ask/train:{second}?prompt=a+red+kite'")


def test_names_say_how_sure_they_are(page: Any, served: tuple[Desk, str]) -> None:
    for hash_ in ("#/ask/train:3", "#/find/kite"):
        open_at(page, served, hash_)
        page.wait_for_selector("main .unit")
        said = page.locator("main .unit").all_inner_texts()
        assert all(any(words in text for words in ("% sure", "coin toss (50 %)", "rarely")) for text in said)
        page.evaluate("location.hash = '#/cases'")
        page.wait_for_selector("body[data-page=cases]")


def test_an_empty_search_says_what_to_do(page: Any, served: tuple[Desk, str]) -> None:
    open_at(page, served, "#/find/")
    page.wait_for_selector("text=Write what you look for")
    assert page.locator("main h2").count() == 1  # no images without a text
    page.fill("#search", "zzz qqq")
    page.wait_for_selector(".none a")
    assert page.get_attribute(".none a", "href") == "#/find/zzz%20qqq"


def test_maps_are_asked_for_by_a_switch(page: Any, served: tuple[Desk, str]) -> None:
    desk, _ = served
    open_at(page, served, "#/ask/train:3?prompt=kite")
    page.wait_for_selector(".mapping button")
    desk.maps.clear()
    page.click(".mapping button")
    page.wait_for_function("() => document.querySelectorAll('.maps figure').length === 4")
    passes = [("train:3", ["kite"], []), ("train:3", [], desk.units[:3])]
    assert desk.maps == passes
    page.fill(".fields input >> nth=1", "jay")
    page.wait_for_function("() => document.querySelectorAll('.maps figure').length === 5")
    page.click(".mapping button")
    page.wait_for_function("() => !document.querySelector('.maps figure')")
    page.evaluate(f"location.hash = '#/unit/{desk.units[0]}'")
    page.wait_for_selector("body[data-page=unit]")
    examples = page.locator("main section .gallery >> nth=0 >> a").count()
    desk.maps.clear()
    page.click(".mapping button")
    page.wait_for_function(f"() => document.querySelectorAll('.over').length === {examples}")
    assert {units[0] for _, _, units in desk.maps} == {desk.units[0]} and len(desk.maps) == examples
    page.click(".mapping button")
    assert page.locator(".over").count() == 0


def test_why_there_is_no_map_is_told(page: Any, served: tuple[Desk, str]) -> None:
    desk, _ = served
    open_at(page, served, f"#/unit/{desk.units[3]}")
    page.click(".mapping button")
    page.wait_for_selector(".mapping .quote")
    assert "site x" in page.inner_text(".mapping")
    assert page.get_attribute(".mapping button", "aria-pressed") == "false"


def test_a_phone_asks_too(browser: Any, served: tuple[Desk, str]) -> None:
    page = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    for hash_ in ("#/ask/train:3?prompt=kite&prompt=jay", "#/find/kite"):
        open_at(page, served, hash_)
        page.wait_for_selector("main .unit")
        assert page.evaluate(FITS), hash_
    page.context.close()
    assert webp(Image.new("RGB", (2, 2))).startswith(b"RIFF")
