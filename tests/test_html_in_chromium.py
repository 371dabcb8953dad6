"""The web page in a real browser: a headless Chromium that opens the file and does what a reader does."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from symbackprop.cli import cli
from symbackprop.media import katex

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.toml"))
PAGES = ("two-two-two", "mlp-784-128-64-10", "any-depth")
WIDTHS = (1280, 400)
FLAGS = """
--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --force-device-scale-factor=1
"""
pytestmark = pytest.mark.slow


@cache
def page(name: str) -> str:
    """The address of the page that ``derive --to html`` writes for an example."""
    folder = tempfile.mkdtemp()
    command = ["derive", str(ROOT / "examples" / f"{name}.toml"), "--to", "html", "-o", folder]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    return (Path(folder) / name / f"{name}.html").as_uri()


class Browser:
    """Chromium with one page open."""

    def __init__(self, program: str, driver: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=driver)
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, address: str, width: int = 1280, **media: str) -> None:
        """A page at a width, with what the system is said to prefer."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.call("Emulation.setEmulatedMedia", media="", features=features)
        self.driver.get("about:blank")
        self.logs()
        self.requests()
        self.driver.get(address)
        self.run("return document.fonts.ready.then(() => true)")

    def call(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        named = {"PageDown": "PAGE_DOWN", "PageUp": "PAGE_UP"}
        chain = webdriver.ActionChains(self.driver)
        for key in keys:
            code = named.get(key, key.upper().replace("ARROW", "ARROW_"))
            chain.send_keys(getattr(webdriver.Keys, code, key))
        chain.perform()

    def point(self, selector: str) -> None:
        """The pointer onto the first element that a selector finds."""
        element = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        webdriver.ActionChains(self.driver).move_to_element(element).perform()

    def click(self, selector: str) -> None:
        element = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        webdriver.ActionChains(self.driver).move_to_element(element).click().perform()

    def visible(self, selector: str) -> list[str]:
        """The ids of the elements that can be seen."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility("
            "{visibilityProperty: true}) && e.getClientRects().length).map((e) => e.id)",
            selector,
        )

    def logs(self) -> list[str]:
        """What the console said since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since it was last asked."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = (m["params"] for m in messages if m["method"] == "Network.requestWillBeSent")
        return [params["request"]["url"] for params in sent]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser; without one a test is skipped, and fails where a machine is meant to have one."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "there is no Chromium with its driver: apt-get install chromium chromium-driver"
        pytest.fail(f"CI is set, and {missing}") if os.environ.get("CI") else pytest.skip(missing)
    browser = Browser(program, driver, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


# --- it is all there ---------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_complained_about_or_asked_for_and_every_formula_is_set(
    name: str, width: int, chromium: Browser
) -> None:
    chromium.open(page(name), width)
    assert chromium.logs() == []
    asked = chromium.requests()
    assert page(name) in asked
    assert not [
        url for url in asked if url not in (page(name), "about:blank") and not url.startswith("data:")
    ]
    formulas, wrong = chromium.run(
        "return [document.querySelectorAll('.katex').length,"
        " document.querySelectorAll('.katex-error, code.tex').length]"
    )
    assert formulas > 100 and wrong == 0
    assert chromium.run("return document.querySelectorAll('.katex math').length") == formulas
    red = chromium.run(
        "return [...document.querySelectorAll('.katex *')]"
        ".filter((e) => getComputedStyle(e).color !== getComputedStyle(e.closest('.katex')).color).length"
    )
    assert red == 0


@pytest.mark.parametrize("name", PAGES)
def test_the_fonts_of_the_formulas_are_in_the_page(name: str, chromium: Browser) -> None:
    chromium.open(page(name))
    faces = chromium.run("return [...document.fonts].map((f) => [f.family, f.weight, f.style, f.status])")
    assert {face[3] for face in faces} <= {"loaded", "unloaded"}
    there = {face[0] for face in faces}
    used = chromium.run(
        "return [...new Set([...document.querySelectorAll('.katex-html *')].filter((e) => e.children.length"
        " === 0 && e.textContent.trim()).map((e) => getComputedStyle(e).fontFamily.split(',')[0]))]"
    )
    assert {"KaTeX_Main", "KaTeX_Math"} <= set(used) <= there
    assert {"KaTeX_Main", "KaTeX_Math"} <= {face[0] for face in faces if face[3] == "loaded"}


@pytest.mark.parametrize("form", ["both", "index", "matrix"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_never_scrolls_sideways(name: str, width: int, form: str, chromium: Browser) -> None:
    chromium.open(page(name), width)
    chromium.run("document.getElementById(arguments[0]).click()", f"form-{form}")
    for details in (False, True):
        chromium.run("document.querySelectorAll('details').forEach((d) => d.open = arguments[0])", details)
        wide, room = chromium.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room == width
    chromium.run("scrollTo(500, 0)")
    assert chromium.run("return scrollX") == 0


def test_wide_formulas_can_be_reached_by_the_keyboard(chromium: Browser) -> None:
    chromium.open(page("mlp-784-128-64-10"), 400)
    boxes = chromium.run(
        "return [...document.querySelectorAll('.display')].filter((e) => e.scrollWidth > e.clientWidth + 1)"
        ".map((e) => e.tabIndex)"
    )
    assert boxes and set(boxes) == {0}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("file", ["index.html", *(f"{name}/{name}.html" for name in EXAMPLES)])
def test_the_gallery_opens_from_its_folder(file: str, width: int, chromium: Browser) -> None:
    chromium.open((ROOT / "output" / file).as_uri(), width)
    assert chromium.logs() == []
    assert all(url.startswith(("file:", "data:", "about:")) for url in chromium.requests())
    wide, room = chromium.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room == width
    if file != "index.html":
        used = "return getComputedStyle(document.querySelector('.katex .mathnormal')).fontFamily"
        assert chromium.run(used) == "KaTeX_Math"
        loaded = "return [...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)"
        assert {"KaTeX_Main", "KaTeX_Math"} <= set(chromium.run(loaded))
        left = "return document.querySelectorAll('[data-tex], .katex-error').length"
        assert chromium.run(left) == 0
        copied = "return [...document.querySelectorAll('annotation')].map((e) => e.textContent)"
        assert not any("htmlData" in source for source in chromium.run(copied))
        assert chromium.run("return document.querySelectorAll('.katex-html [data-sbp]').length") > 50


def test_pages_of_the_gallery_give_the_same_latex_to_copy_as_a_page_of_its_own(chromium: Browser) -> None:
    copied = "return [...document.querySelectorAll('.row annotation')].map((e) => e.textContent)"
    chromium.open((ROOT / "output" / "any-depth" / "any-depth.html").as_uri())
    there = [re.sub(r"\s", "", source) for source in chromium.run(copied)]
    chromium.open(page("any-depth"))
    assert there == [re.sub(r"\s", "", source) for source in chromium.run(copied)] and len(there) > 50


def test_a_page_of_the_gallery_shows_mathml_where_scripts_are_off(chromium: Browser) -> None:
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open((ROOT / "output" / "layers" / "layers.html").as_uri())
        sizes = (
            "return [...document.querySelectorAll('.row math')].map((e) => e.getBoundingClientRect().width)"
        )
        widths = chromium.run(sizes)
        assert len(widths) > 50 and min(widths) > 3
        assert chromium.run("return document.querySelectorAll('.katex').length") == 0
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)


# --- steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_arrow_keys_step_through_the_rows(name: str, width: int, chromium: Browser) -> None:
    chromium.open(page(name), width)
    everything = chromium.visible(".row")
    chromium.press("ArrowRight")
    assert chromium.visible(".row") == everything[:1]
    chromium.press("ArrowRight", "ArrowRight", "PageDown")
    assert chromium.visible(".row") == everything[:4]
    assert chromium.visible(".row.now") == everything[3:4]
    chromium.press("ArrowLeft")
    assert chromium.visible(".row") == everything[:3]
    chromium.press("End")
    assert chromium.visible(".row") == everything and chromium.visible(".row.now") == everything[-1:]
    assert in_view(chromium, everything[-1])
    chromium.press("ArrowRight")
    assert chromium.visible(".row.now") == everything[-1:]
    chromium.press("Home")
    assert chromium.visible(".row") == everything[:1]
    chromium.press("Escape")
    assert chromium.visible(".row") == everything and chromium.logs() == []


def in_view(chromium: Browser, row: str) -> bool:
    """Whether a row is in the window and not under the bar."""
    return chromium.run(
        "const r = document.getElementById(arguments[0]).getBoundingClientRect();"
        "const bar = document.querySelector('.bar').getBoundingClientRect().bottom;"
        "return r.top >= bar - 1 && r.bottom <= innerHeight + 1",
        row,
    )


def test_every_step_brings_its_row_into_view_and_is_announced(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    chromium.press("ArrowRight", "Home")
    said = set()
    rows = len(chromium.run("return [...document.querySelectorAll('.row')].map((e) => e.id)"))
    for number in range(1, rows + 1):
        (row,) = chromium.visible(".row.now")
        assert in_view(chromium, row), row
        text = chromium.run("return document.getElementById('announcement').textContent")
        assert f"Step {number} of {rows}" in text and ("checked" in text or "a definition" in text)
        said.add(text)
        chromium.press("ArrowRight")
    assert len(said) == rows
    assert chromium.run("return document.querySelector('#announcement math') !== null")
    assert (
        chromium.run("return document.getElementById('announcement').getAttribute('aria-live')") == "polite"
    )


def test_a_step_can_be_linked_to(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    chromium.press("ArrowRight", "ArrowRight", "ArrowRight")
    address, shown = chromium.run("return location.href"), chromium.visible(".row")
    assert "#at=" in address
    chromium.open(address)
    assert chromium.visible(".row") == shown and len(shown) == 3
    chromium.click("#step-on")
    assert len(chromium.visible(".row")) == 4
    chromium.click("#step-back")
    assert chromium.visible(".row") == shown
    chromium.click("#view-whole")
    assert len(chromium.visible(".row")) > 50


def test_headings_and_sentences_come_with_their_row(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    chromium.press("ArrowRight", "Home")
    assert len(chromium.visible(".part h2")) == 1
    steps = 0
    while "section-2" not in chromium.visible(".part h2"):
        chromium.press("ArrowRight")
        steps += 1
    assert chromium.visible(".row.now") == ["f-sigma"] and steps == 8


def test_steps_follow_the_form_that_is_shown(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    chromium.run("document.getElementById('form-matrix').click()")
    chromium.press("ArrowRight", "Home")
    assert chromium.visible(".row") == ["z-1-matrix"]
    chromium.press("ArrowRight")
    assert chromium.visible(".row") == ["z-1-matrix", "a-1-matrix"]
    chromium.run("document.getElementById('form-both').click()")
    assert chromium.visible(".row.now") == ["a-1-matrix"]
    assert chromium.visible(".row") == ["z-1", "z-1-matrix", "a-1", "a-1-matrix"]


# --- forms, symbols, colours -------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_one_form_takes_the_place_of_the_other(name: str, chromium: Browser) -> None:
    chromium.open(page(name))
    both = chromium.visible(".row")
    chromium.click("#form-index")
    index = chromium.visible(".row")
    chromium.press("ArrowRight")
    matrix = chromium.visible(".row")
    twins = [row for row in both if row.endswith("-matrix")]
    assert len(twins) > 5
    assert not [row for row in index if row.endswith(("-matrix", "-transpose"))]
    assert set(twins) <= set(matrix)
    assert not {row.removesuffix("-matrix") for row in twins} & set(matrix)
    assert {row.removesuffix("-matrix") for row in twins} <= set(index)
    code = "return document.querySelector(arguments[0]).checkVisibility()"
    assert chromium.run(code, f"[id='{twins[0]}'] .line-of-code")
    chromium.click("#form-both")
    assert chromium.visible(".row") == both
    assert not chromium.run(code, f"[id='{twins[0]}'] .line-of-code")


@pytest.mark.parametrize(
    ("name", "key"), [("two-two-two", "a1"), ("mlp-784-128-64-10", "delta3"), ("any-depth", "a[l]")]
)
def test_pointing_at_a_symbol_lights_up_all_its_occurrences(name: str, key: str, chromium: Browser) -> None:
    chromium.open(page(name))
    chromium.point(f".row .katex-html [data-sbp='{key}']")
    lit = "return [...document.querySelectorAll('.lit')].map((e) => e.dataset.sbp)"
    found = chromium.run(lit)
    assert set(found) == {key}
    assert len(found) == chromium.run(
        "return document.querySelectorAll(arguments[0]).length", f"[data-sbp='{key}']"
    )
    in_code = chromium.run("return document.querySelectorAll('.line-of-code .lit').length")
    assert in_code >= 1 and len(found) - in_code > 5
    colour = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    assert chromium.run(colour, ".row .lit") != "rgba(0, 0, 0, 0)"
    chromium.point("h1")
    assert chromium.run(lit) == []


@pytest.mark.parametrize("name", PAGES)
def test_pointing_lights_up_the_place_in_the_picture_and_the_other_way_round(
    name: str, chromium: Browser
) -> None:
    chromium.open(page(name))
    key = {"any-depth": "delta[l]"}.get(name, "delta1")
    chromium.point(f".row .katex-html [data-sbp='{key}']")
    in_picture = "return [...document.querySelectorAll('#page-picture .lit')].map((e) => e.dataset.sbp)"
    assert set(chromium.run(in_picture)) == {key}
    lit, plain = chromium.run(
        "const all = [...document.querySelectorAll('#page-picture text[data-sbp]')];"
        "const colour = (lit) => getComputedStyle(all.find((e) => e.matches('.lit') === lit)).stroke;"
        "return [colour(true), colour(false)]"
    )
    assert lit != plain
    other = {"any-depth": "W[l]"}.get(name, "W1")
    chromium.point(f"#page-picture text[data-sbp='{other}']")
    assert chromium.run("return document.querySelector('.row .katex-html .lit').dataset.sbp") == other
    assert chromium.run("return document.querySelectorAll('.line-of-code .lit').length") > 0


def test_an_entry_lights_up_itself_and_what_stands_for_any_entry(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    chromium.point("#page-picture text[data-sbp='W2'][data-sbp-entry='2,1']")
    edges = "return [...document.querySelectorAll('#page-picture .lit')].map((e) => e.dataset.sbpEntry)"
    assert set(chromium.run(edges)) == {"2,1"}
    assert chromium.run("return document.querySelectorAll('.row .katex-html .lit').length") > 5
    chromium.point(".row .katex-html [data-sbp='W2']")
    assert set(chromium.run(edges)) == {"1,1", "1,2", "2,1", "2,2"}


def test_the_picture_stays_in_view_where_it_is_wanted(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    seen = "return !document.querySelector('.dock').hidden"
    assert not chromium.run(seen)
    chromium.point("#delta-1 .sign")
    chromium.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 50))")
    assert chromium.run(seen)
    chromium.run("document.querySelector('.symbol[data-sbp=W1]').click()")
    assert chromium.run("return document.querySelectorAll('.dock .lit').length") > 0
    chromium.click("#dock")
    assert not chromium.run(seen)
    ids = chromium.run("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    chromium.open(page("two-two-two"), 400)
    chromium.run("scrollTo(0, 3000)")
    chromium.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 50))")
    assert not chromium.run(seen)


def test_a_symbol_can_be_kept_lit_by_mouse_and_by_keyboard(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    lit = "return [...new Set([...document.querySelectorAll('.lit')].map((e) => e.dataset.sbp))].sort()"
    chromium.click(".row .katex-html [data-sbp='W2']")
    chromium.point("h1")
    assert chromium.run(lit) == ["W2"]
    assert chromium.run("return document.querySelector('.symbol[aria-pressed=true]').dataset.sbp") == "W2"
    chromium.press("Escape")
    assert chromium.run(lit) == []
    chromium.run("document.querySelector('.symbol[data-sbp=a2]').focus()")
    assert chromium.run(lit) == ["a2"]
    chromium.press("Enter", "Tab")
    assert "a2" in chromium.run(lit) and len(chromium.run(lit)) == 2
    chromium.press("Escape")
    assert "a2" not in chromium.run(lit)


CONTRAST = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
function behind(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
}
const poor = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || !element.checkVisibility() || element.matches(":disabled")) continue;
  if (element.closest("script, style, .unseen, svg, .katex-mathml")) continue;
  const style = getComputedStyle(element);
  const [a, b] = [light(rgb(style.color)), light(behind(element))].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize), bold = style.fontWeight >= 700;
  seen += 1;
  if ((a + 0.05) / (b + 0.05) < (size >= 24 || (bold && size >= 18.66) ? 3 : 4.5))
    poor.push([node.data.trim().slice(0, 30), style.color, behind(element).join()]);
}
return [seen, poor];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_in_both_colour_schemes(scheme: str, chromium: Browser) -> None:
    chromium.open(page("two-two-two"), prefers_color_scheme=scheme)
    chromium.run("document.querySelectorAll('details').forEach((d) => d.open = true)")
    chromium.click(".row .katex-html [data-sbp='a2']")
    for form in ("both", "matrix"):
        chromium.run("document.getElementById(arguments[0]).click()", f"form-{form}")
        seen, poor = chromium.run(CONTRAST)
        assert seen > 500 and poor == []
    paper = chromium.run("return getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) < 200
    assert dark == (scheme == "dark")


def test_poor_contrast_would_be_noticed(chromium: Browser) -> None:
    chromium.open(page("two-two-two"), prefers_color_scheme="light")
    chromium.run("document.querySelector('h1').style.color = '#aaa'")
    assert chromium.run(CONTRAST)[1] == [["A 2-2-2 network", "rgb(170, 170, 170)", "253,252,249"]]


def test_the_colours_can_be_chosen(chromium: Browser) -> None:
    chromium.open(page("two-two-two"), prefers_color_scheme="light")
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = chromium.run(paper)
    names = []
    for _ in range(3):
        names.append(chromium.run("return document.getElementById('theme').getAttribute('aria-label')"))
        chromium.click("#theme")
        if "light" in names[-1]:
            assert chromium.run(paper) != light
    assert len(set(names)) == 3 and chromium.run(paper) == light


def test_the_focus_can_be_seen_wherever_it_goes(chromium: Browser) -> None:
    chromium.open(page("two-two-two"))
    reached = []
    for _ in range(24):
        chromium.press("Tab")
        outline = chromium.run(
            "const e = document.activeElement;"
            "const shown = e.matches('.choice input') ? e.nextElementSibling : e;"
            "const s = getComputedStyle(shown);"
            "return [e.id || e.className || e.tagName, s.outlineStyle, parseFloat(s.outlineWidth)]"
        )
        reached.append(outline[0])
        assert outline[1] != "none" and outline[2] >= 2, outline
    assert {"skip", "form-both", "view-whole", "theme"} <= set(reached)


@pytest.mark.parametrize("name", PAGES)
def test_whatever_acts_has_a_name_and_no_two_landmarks_are_alike(name: str, chromium: Browser) -> None:
    chromium.open(page(name))
    nodes = [node for node in chromium.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    said = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    acting = [
        (role, words) for role, words in said if role in ("button", "link", "radio", "DisclosureTriangle")
    ]
    assert len(acting) > 20 and all(words.strip() for _, words in acting), acting
    landmarks = [
        each for each in said if each[0] in ("main", "banner", "contentinfo", "region", "navigation")
    ]
    assert len(landmarks) == len(set(landmarks)) and {"main", "region"} <= {role for role, _ in landmarks}
    assert len([1 for role, _ in said if role == "MathMLMath"]) > 100


# --- with less -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_without_script_everything_can_be_read_and_the_forms_still_switch(
    name: str, chromium: Browser
) -> None:
    chromium.open(page(name))
    with_script = chromium.visible(".row")
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(page(name))
        assert not chromium.run("return document.documentElement.classList.contains('scripted')")
        assert chromium.visible(".row") == with_script
        assert chromium.run("return document.querySelectorAll('code.tex').length") == 0
        assert chromium.visible("#view-steps, .stepper, #theme") == []
        chromium.click("#form-matrix")
        assert "delta-1-matrix" in chromium.visible(".row") or name == "any-depth"
        assert not {"z-1", "z-l"} & set(chromium.visible(".row"))
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)


def test_without_the_engine_the_page_sets_its_formulas_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chromium: Browser
) -> None:
    monkeypatch.setattr(katex, "_engine", lambda: None)
    command = ["derive", str(ROOT / "examples" / "two-two-two.toml"), "--to", "html", "-o", str(tmp_path)]
    assert CliRunner().invoke(cli, command).exit_code == 0
    made = tmp_path / "two-two-two" / "two-two-two.html"
    chromium.open(made.as_uri())
    assert chromium.logs() == []
    left, formulas = chromium.run(
        "return [document.querySelectorAll('code.tex').length, document.querySelectorAll('.katex').length]"
    )
    assert left == 0 and formulas > 100
    chromium.point(".row .katex-html [data-sbp='a1']")
    assert chromium.run("return document.querySelectorAll('.lit').length") > 10
    chromium.press("ArrowRight")
    assert len(chromium.visible(".row")) == 1


def test_on_paper_there_are_no_controls_and_all_rows(chromium: Browser) -> None:
    chromium.open(page("two-two-two"), prefers_color_scheme="dark")
    rows = chromium.visible(".row")
    chromium.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert chromium.visible(".row") == rows
    assert chromium.visible(".bar") == [] and chromium.visible(".skip") == []
    assert chromium.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(chromium.call("Page.printToPDF", preferCSSPageSize=True)["data"]) > 10_000


def test_a_script_in_a_title_does_not_run(tmp_path: Path, chromium: Browser) -> None:
    spec = tmp_path / "t.toml"
    text = (ROOT / "examples" / "two-two-two.toml").read_text("utf-8")
    title = "</title><script>document.documentElement.id='hit'</script><img src=x onerror=alert(1)>"
    lines = [f'title = "{title}"' if line.startswith("title") else line for line in text.splitlines()]
    spec.write_text("\n".join(lines), "utf-8")
    result = CliRunner().invoke(cli, ["derive", str(spec), "--to", "html", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    chromium.open((tmp_path / "two-two-two" / "two-two-two.html").as_uri())
    assert chromium.run("return document.querySelector('h1').textContent") == title
    assert chromium.run("return document.title") == title
    assert chromium.run("return document.documentElement.id") == "" and chromium.logs() == []
    chromium.run(
        "const s = document.createElement('script'); s.textContent = 'document.body.id = \"hit\"';"
        "document.body.append(s)"
    )
    assert chromium.run("return document.body.id") == ""
    assert any("Content Security Policy" in line for line in chromium.logs())
