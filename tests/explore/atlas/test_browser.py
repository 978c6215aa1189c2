"""The atlas in a browser, opened from the disk and clicked through; where there is no Chromium, skipped."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page of the atlas, and what went wrong on it."""

    def __init__(self, browser: Any, made: Any, hash_: str = "", **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(120_000)
        self.problems: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda said: self.problems.append(said.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"file://{made.folder}/index.html{hash_}")
        self.page.wait_for_selector("body[data-ready]")

    def title(self) -> str:
        return self.page.inner_text("main h1")

    def point(self, places: dict[str, list[int]], row: int) -> tuple[float, float]:
        """Where a unit of the map lies in the window, as long as the whole map is shown."""
        box = self.page.locator("canvas").bounding_box()
        side = min(box["width"], box["height"]) - 48
        x, y = (places[axis][row] / 10000 - 0.5 for axis in "xy")
        return box["x"] + box["width"] / 2 + x * side, box["y"] + box["height"] / 2 + y * side

    def close(self) -> None:
        assert self.problems == []
        assert all(url.startswith("file://") for url in self.asked)
        assert self.page.evaluate(FITS)
        self.page.context.close()


def test_search_filter_open_and_back(browser, made):
    visit = Visit(browser, made, viewport={"width": 1300, "height": 900})
    page, core = visit.page, made.data("core")
    everything = len(core["units"]["id"])
    assert page.inner_text(".total").startswith(f"{everything} units")
    page.keyboard.press("/")
    page.keyboard.type("striped cloth")
    page.wait_for_function("() => !document.querySelector('.total').textContent.includes('that fire')")
    found = [w for w in core["units"]["words"] if "striped" in w]
    assert page.inner_text(".total").startswith(f"{len(found)} of")
    assert "<b>striped</b> cloth" in page.inner_text(".row >> nth=0")  # as text
    assert "q=striped+cloth" in page.url
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-page=unit]")
    assert "<b>striped</b> cloth" in visit.title()
    assert page.locator(".gallery .pic").count() > 0
    page.go_back()
    page.wait_for_selector("body[data-page='']")
    assert page.input_value("#search") == "striped cloth"
    assert page.inner_text(".total").startswith(f"{len(found)} of")
    page.click("text=clear filters")
    page.locator("details.filters").evaluate("(details) => { details.open = true; }")
    page.check("text=in a failure case")
    page.wait_for_function("() => document.querySelector('.total').textContent.startsWith('5 of')")
    assert page.locator(".row").count() == 5
    page.select_option(".panel label:has-text('order') select", "id")
    page.wait_for_timeout(300)
    numbers = [int(re.match(r"#(\d+)", text)[1]) for text in page.locator(".row").all_inner_texts()]
    assert numbers == sorted(numbers)
    visit.close()


def test_from_a_case_to_its_unit_an_image_and_a_class(browser, made):
    case = made.records("cases")[0]
    visit = Visit(browser, made, f"#/case/{case['id']}", viewport={"width": 1300, "height": 900})
    page = visit.page
    assert f"class <i>{case['class']}</i>" in visit.title()
    page.click(".versus .gallery >> nth=0 >> .pic >> nth=0")
    page.wait_for_selector("body[data-page=image]")
    tabs = page.locator(".tabs a")
    assert tabs.count() >= 2
    before = page.locator(".drivers").inner_text()
    tabs.nth(1).click()
    page.wait_for_function("(before) => document.querySelector('.drivers').innerText !== before", arg=before)
    page.go_back()  # a tab is no page of its own
    page.wait_for_selector("body[data-page=case]")
    page.click(f"main .lead a:has-text('#{case['unit']}')")
    page.wait_for_selector("body[data-page=unit]")
    assert f"#{case['unit']}" in visit.title()
    page.click(".case")
    page.wait_for_selector("body[data-page=case]")
    page.click(".versus h2 a")
    page.wait_for_selector("body[data-page=class]")
    assert page.locator(f"a[href='#/unit/{case['unit']}']").count() > 0
    visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_sees_everything(browser, made, scheme):
    case, image = made.records("cases")[0], made.records("images")[0]
    visit = Visit(browser, made, viewport=PHONE, has_touch=True, is_mobile=True, color_scheme=scheme)
    page = visit.page
    pages = ["unit/3", "class/1", f"case/{case['id']}", f"image/train/{image['i']}", "cases", "classes"]
    for hash_ in [f"#/{page}" for page in pages]:
        page.evaluate("(hash) => { location.hash = hash; }", hash_)
        page.wait_for_function("(kind) => document.body.dataset.page === kind", arg=hash_.split("/")[1])
        assert page.evaluate(FITS), hash_
        assert not page.is_visible("aside")
    page.click("header >> text=Map")
    page.wait_for_selector("body[data-page='']")
    assert page.is_visible("canvas")
    assert page.is_visible(".row >> nth=0")
    page.touchscreen.tap(*visit.point(made.data("core")["units"], 0))
    page.wait_for_selector(".card:not([hidden])")
    page.click(".card")
    page.wait_for_selector("body[data-page=unit]")
    visit.close()


def test_keys_lead_through_the_list(browser, made):
    visit = Visit(browser, made, viewport={"width": 1300, "height": 900})
    page, units = visit.page, made.data("core")["units"]["id"]
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-page=unit]")
    assert visit.title().startswith(f"#{units[1]}")
    page.keyboard.press("k")
    page.wait_for_function(
        "(unit) => document.querySelector('main h1').textContent.startsWith('#' + unit)", arg=units[0]
    )
    page.keyboard.press("c")
    page.wait_for_selector("body[data-page=cases]")
    page.keyboard.press("Escape")
    page.wait_for_selector("body[data-page='']")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    visit.close()


def test_what_is_not_there_is_told(browser, made):
    visit = Visit(browser, made, "#/unit/99999")
    assert visit.title() == "Not here"
    missing = ("#/class/77", "#/case/x%20y", "#/image/train/99999", "#/image/x/1", "#/case/%E0%A4%A")
    for hash_ in (*missing, "#/nonsense", "#/constructor", "#/ask"):
        visit.page.evaluate("(hash) => { location.hash = hash; }", hash_)
        visit.page.wait_for_timeout(150)
        assert visit.title() == "Not here"
    assert "reliance serve made" in visit.page.inner_text("main")  # answers what the disk cannot
    visit.close()


def test_a_search_without_a_hit_says_what_to_do(browser, made):
    visit = Visit(browser, made, viewport={"width": 1300, "height": 900})
    visit.page.fill("#search", "it's nothing")
    visit.page.wait_for_selector(".none code")
    assert visit.page.inner_text(".none code") == "reliance find made 'it'\\''s nothing'"
    visit.page.fill("#search", "")
    visit.page.wait_for_selector(".none", state="hidden")
    visit.page.evaluate("location.hash = '#/classes'")
    visit.page.fill("main input", "zzz")
    visit.page.wait_for_selector("text=No class has “zzz” in its name.")
    visit.close()


def test_a_case_is_taken_for_its_class_only_if_most_images_are(browser, made):
    for case in made.records("cases"):
        best, known = case["taken"]
        visit = Visit(browser, made, f"#/case/{case['id']}", viewport={"width": 1300, "height": 900})
        said = visit.page.inner_text(".versus h2 >> nth=0")
        assert said.startswith("Taken for" if 2 * best > known else "Too high for")
        assert f"For {best} of the {known} shown" in visit.page.inner_text(".versus .note >> nth=0")
        visit.close()


def test_what_was_not_computed_is_told_with_its_command(browser, made, tmp_path):
    other = made.behind(tmp_path)
    other.build()
    images = [image for image in other.records("images") if image["u"]]
    known, unknown = (next(image for image in images if bool(image["r"]) == kept) for kept in (True, False))
    visit = Visit(browser, other, f"#/image/{unknown['s']}/{unknown['i']}", viewport=PHONE)
    assert visit.page.inner_text("main h2 >> nth=0") == "What fires on it"
    assert f"reliance explain made {unknown['s']}:{unknown['i']} --prompt" in visit.page.inner_text("main")
    assert visit.page.locator(".nears .unit").count() == len(unknown["u"])
    visit.page.evaluate(f"location.hash = '#/image/{known['s']}/{known['i']}'")
    visit.page.wait_for_selector(".drivers")
    assert visit.page.locator(".tabs a").count() == 1
    visit.close()


def test_patches_are_outlined(browser, made, tmp_path):
    other = made.behind(tmp_path)
    other.build()
    chunk = other.folder / "data/units/0.js"
    units = other.data("units/0")
    units[0]["examples"][0].append([250, 500, 500, 750])
    chunk.write_text(f'take("units/0",{json.dumps(units)})\n', encoding="ascii")
    unit = other.data("core")["units"]["id"][0]
    visit = Visit(browser, other, f"#/unit/{unit}", viewport={"width": 1300, "height": 900})
    picture, patch = (
        visit.page.locator(".gallery .pic >> nth=0" + at).bounding_box() for at in ("", " >> .patch")
    )
    assert patch["x"] - picture["x"] == pytest.approx(picture["width"] / 4, abs=1)
    assert patch["y"] - picture["y"] == pytest.approx(picture["height"] / 2, abs=1)
    assert patch["width"] == pytest.approx(picture["width"] / 4, abs=1)
    assert "the patch outlined" in visit.page.inner_text("main")
    assert visit.page.locator(".patch").count() == 1
    visit.close()


def test_the_map_opens_what_is_clicked(browser, made):
    visit = Visit(browser, made, "#/?color=kind&places=examples", viewport={"width": 1300, "height": 900})
    page, core, places = visit.page, made.data("core"), made.data("map")
    page.wait_for_timeout(500)
    x, y = visit.point(places, 0)
    page.mouse.move(x, y)
    page.wait_for_selector(".card .strip .pic")
    page.mouse.click(x, y)
    page.wait_for_selector("body[data-page=unit]")
    assert visit.title().startswith(f"#{core['units']['id'][0]} ")
    visit.close()
