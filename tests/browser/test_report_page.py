"""The report in a real browser: quiet, alone, usable by pointer, finger and keyboard, in both themes, on a phone and on paper."""

from __future__ import annotations

import base64
import time

import numpy as np
import pytest
from extras import needs

needs("selenium")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from dualwalk.datasets import load_japanese_vowels
from dualwalk.estimator import DualDivergence
from dualwalk.report import write_report
from dualwalk.sampler import DualSampler

HOSTILE = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 2'>"
PAGE_HEIGHT = (297 - 2 * 14) / 25.4 * 96  # CSS pixels between the margins of A4


@pytest.fixture(scope="module")
def vowels():
    whole = load_japanese_vowels()
    rows = np.arange(0, 270, 3)
    return whole.X[rows, :4, :12], np.array(["a", "b", HOSTILE])[np.arange(len(rows)) % 3]


@pytest.fixture(scope="module")
def written(site, vowels):
    """The report of a part of the vowels, as a file of the site."""
    X, y = vowels
    divergence = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    sampler = DualSampler("local", n_neighbors=10, random_state=0).fit(X, y)
    names = ["first", "second", HOSTILE, "fourth"]
    write_report(site[0] / "r.html", sampler=sampler, divergence=divergence, title=f"Vowels {HOSTILE}", channel_names=names)
    return site[0] / "r.html"


class Reader:
    """What a reader does with the page."""

    def __init__(self, driver, address):
        self.driver = driver
        self.address = address

    def tell(self, command, **settings):
        return self.driver.execute_cdp_cmd(command, settings)

    def open(self, width=1100, height=900, *, dark=False, media="", script=True):
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        calm = {"name": "prefers-reduced-motion", "value": "reduce"}  # a page that still scrolls cannot be clicked
        self.tell("Emulation.setEmulatedMedia", media=media, features=[scheme, calm])
        self.width = width
        self.tell("Emulation.setScriptExecutionDisabled", value=not script)
        self.driver.get(self.address)
        return self

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def pixels(self, selector):
        return self.run("return document.querySelector(arguments[0]).toDataURL()", selector)

    def color(self, selector, name="color"):
        return self.run("return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, name)

    def slide(self, name, value):
        self.run(
            "const it = document.getElementById(arguments[0]); it.value = arguments[1]; it.dispatchEvent(new Event('input'))",
            name,
            value,
        )

    def point(self, element, x, y):
        """Move to a share of an element's width and height."""
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        size = element.rect
        ActionChains(self.driver, duration=0).move_to_element_with_offset(
            element, round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])
        ).perform()

    def screenshot(self, path):
        size = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        image = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(image["data"]))


@pytest.fixture
def reader(browser, site, written):
    return Reader(browser, f"{site[1]}/{written.name}")


def errors(reader):
    return [entry["message"] for entry in reader.driver.get_log("browser")]


def test_it_asks_for_nothing_and_complains_of_nothing(reader, site):
    asked = site[2]
    reader.open()
    errors(reader)
    asked.clear()
    reader.open()
    assert reader.driver.title == f"Vowels {HOSTILE}"
    assert reader.one("h1").text == f"Vowels {HOSTILE}"
    assert asked == ["/r.html"]
    loaded = reader.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert all(name.startswith("data:") for name in loaded)
    assert errors(reader) == []
    assert reader.run("return window.hit") is None


def test_its_policy_stops_what_it_did_not_bring(reader, site):
    reader.open()
    reader.run(
        "const image = new Image(); image.src = '/leak.png'; document.body.append(image);"
        "const script = document.createElement('script'); script.textContent = 'window.hit = 3'; document.body.append(script);"
    )
    time.sleep(0.2)
    assert "/leak.png" not in site[2]
    assert reader.run("return window.hit") is None
    assert any("Content Security Policy" in message for message in errors(reader))


def test_the_slider_shows_frame_after_frame(reader):
    reader.open()
    slider = reader.one("#walk-frame")
    n_frames = int(slider.get_attribute("max"))
    assert n_frames == 25
    seen, words = [], []
    for frame in (1, 9, 17, n_frames):
        reader.slide("walk-frame", frame)
        seen.append(reader.pixels("#walk-show canvas"))
        words.append(reader.one("#walk-told").text)
        places = reader.run(
            "const svg = document.querySelector('.walk:not(.off) .for-page svg');"
            "const dot = svg.querySelectorAll('.dot')[arguments[0]];"
            "return [svg.querySelector('circle.cursor').getAttribute('cx'), dot.getAttribute('cx')]",
            frame - 1,
        )
        assert places[0] == places[1]
    assert len(set(seen)) == len(set(words)) == 4
    assert words[0].startswith("Frame 1 of 25: f = ")
    slider.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert reader.one("#walk-told").text.startswith("Frame 2 of 25")
    assert slider.get_attribute("aria-valuetext") == reader.one("#walk-told").text


def test_a_walk_plays_and_pauses(reader):
    reader.open()
    reader.slide("walk-frame", 1)
    play = reader.one("#walk-play")
    play.send_keys(Keys.ENTER)
    assert play.text == "Pause"
    WebDriverWait(reader.driver, 10).until(lambda _: int(reader.one("#walk-frame").get_property("value")) >= 2)
    play.send_keys(Keys.ENTER)
    assert play.text == "Play"
    here = reader.one("#walk-told").text
    time.sleep(1.2)  # more than a frame
    assert reader.one("#walk-told").text == here
    titles = [option.text for option in Select(reader.one("#walk-which")).options]
    assert any("From label" in title for title in titles)
    Select(reader.one("#walk-which")).select_by_index(1)
    assert [part.is_displayed() for part in reader.all(".walk")] == [k == 1 for k in range(len(titles))]


def test_themes(reader):
    marks = (
        ("body", "backgroundColor"),
        ("h1", "color"),
        ("section", "backgroundColor"),
        ("svg .made", "color"),
        ("svg text", "fill"),
    )
    looks = []
    for dark in (False, True):
        reader.open(dark=dark)
        looks.append([reader.color(*mark) for mark in marks])
        reader.one("#theme").click()
        looks.append([reader.color(*mark) for mark in marks])
    light, to_dark, dark, to_light = looks
    assert all(a != b for a, b in zip(light, dark, strict=True))
    assert (to_dark, to_light) == (dark, light)
    assert reader.one("#theme").text == "Dark colours"


def test_pointing_tells_a_sample_a_value_and_a_frame(reader):
    reader.open()
    tip = reader.one("#tip")
    assert not tip.is_displayed()
    space = reader.one(".for-page svg.space")
    words = []
    for x in (0.3, 0.6):
        reader.point(space, x, 0.3)
        assert tip.is_displayed()
        assert tip.text.startswith("Real sample ")
        assert "nats, cluster" in tip.text
        assert tip.text.rstrip(".") in reader.one("#space-told").text
        words.append(tip.text)
    assert len(set(words)) == 2
    bottom = float(space.get_attribute("data-split")) + 8
    reader.point(space, 0.5, bottom / float(space.get_dom_attribute("viewBox").split()[3]))
    assert tip.text.startswith("Generated sample ")
    reader.point(reader.one(".for-page svg.map"), 0.5, 0.6)
    assert "nats on average" in tip.text
    assert tip.text == reader.one("#column-told").text
    node = reader.all(".for-page svg.graph .node")[5]
    ActionChains(reader.driver, duration=0).move_to_element(node).perform()
    assert "lean" in tip.text
    assert reader.all(".for-page .edge.near")
    reader.point(reader.one(".walk:not(.off) .for-page svg.along"), 0.3, 0.5)
    assert tip.text.startswith("Frame ")
    ActionChains(reader.driver, duration=0).move_to_element(reader.one("h1")).perform()
    assert not tip.is_displayed()


def test_a_value_can_be_chosen_without_pointing(reader):
    reader.open()
    Select(reader.one("#column-row")).select_by_visible_text("second")
    reader.one("#column-place").send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert reader.one("#column-told").text.startswith("second, time 2: ")


def test_samples_can_be_compared_filtered_and_found(reader):
    reader.open()
    select = Select(reader.one("#beside-label"))
    assert [option.text.rsplit(" ", 1)[0] for option in select.options] == ["all", HOSTILE, "a", "b"]
    count = int(select.options[2].text.split("(")[1].rstrip(")"))
    select.select_by_index(2)
    assert int(reader.one("#beside-rank").get_attribute("max")) == count - 1
    before = reader.pixels("#beside-show canvas")
    assert ", label a," in reader.one("#beside-told").text
    reader.one("#beside-on").click()
    assert reader.pixels("#beside-show canvas") != before
    assert ", label a," in reader.one("#beside-told").text
    line = reader.one("#beside-show svg path.made").get_attribute("d")
    Select(reader.one("#beside-row")).select_by_index(3)
    assert reader.one("#beside-show svg path.made").get_attribute("d") != line
    rows = reader.all("#novelty-table tbody tr")
    assert len(rows) == 300
    novelty = [float(row.find_elements(By.TAG_NAME, "td")[1].text) for row in rows[:20]]
    assert novelty == sorted(novelty)
    heads = reader.all("#novelty-table th")
    heads[1].find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert heads[1].get_attribute("aria-sort") == "descending"
    link = reader.one("#novelty-table tbody a")
    number = link.text
    link.send_keys(Keys.ENTER)
    assert reader.one("#beside-told").text.startswith(f"Generated sample {number}:")


def test_every_control_can_be_reached_by_keyboard(reader):
    reader.open()
    expected = reader.run("return [...document.querySelectorAll('select, input, button')].length")
    seen = set()
    for _ in range(500):
        reader.driver.switch_to.active_element.send_keys(Keys.TAB)
        tag, name, outline = reader.run(
            "const it = document.activeElement; return [it.tagName, it.id || it.textContent, getComputedStyle(it).outlineStyle]"
        )
        if tag in ("SELECT", "INPUT", "BUTTON"):
            assert outline != "none", name
            seen.add(name)
        if len(seen) == expected:
            break
        if tag == "A" and name.isdigit():  # the links of the table are many: skip them
            reader.run("[...document.querySelectorAll('#novelty-table a')].at(-1).focus()")
    assert len(seen) == expected


def overflow(reader):
    """What reaches beyond the right edge and is in no box that scrolls."""
    return reader.run(
        "const found = [...document.querySelectorAll('body *')].filter((it) => it.getBoundingClientRect().right > arguments[0] + 1"
        " && !it.closest('.box, nav, .skip') && it.tagName !== 'OPTION'); return found.map((it) => it.outerHTML.slice(0, 80))",
        reader.width,
    )


def test_a_phone_needs_no_sideways_scroll(reader):
    reader.open(360, 740)
    assert overflow(reader) == []
    assert reader.run("return document.documentElement.scrollWidth") == 360
    assert reader.one(".for-phone svg.space").is_displayed()
    assert not reader.one(".for-page svg.space").is_displayed()
    size = reader.run(
        "const text = document.querySelector('.for-phone svg.space text'); const svg = text.ownerSVGElement;"
        "return parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
    )
    assert size >= 9.5, "words of pictures stay readable"
    small = reader.run(
        "return [...document.querySelectorAll('select, button, input')].filter((it) => it.offsetHeight && it.offsetHeight < 24)"
        ".map((it) => it.id || it.textContent)"
    )
    assert [name for name in small if name not in reader.one("#novelty-table thead").text] == []


def test_on_paper(reader, tmp_path):
    reader.open(dark=True)
    reader.one("#theme").click()
    reader.one("#theme").click()
    pdf = base64.b64decode(reader.tell("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
    (tmp_path / "print.pdf").write_bytes(pdf)
    assert pdf.startswith(b"%PDF")
    n_pages = pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type/Page/")
    assert 5 <= n_pages <= 25
    reader.open(688, 1000, dark=True, media="print")  # the width of A4 between its margins
    assert reader.color("body", "backgroundColor") == "rgb(255, 255, 255)"
    assert all(part.is_displayed() for part in reader.all(".walk"))
    assert not any(part.is_displayed() for part in reader.all(".controls, nav, #theme"))
    assert reader.one("#walk-show canvas").is_displayed()
    for figure in reader.all("figure"):
        assert figure.rect["height"] < PAGE_HEIGHT
        assert figure.value_of_css_property("break-inside") == "avoid"
    assert overflow(reader) == []
    reader.screenshot(tmp_path / "print.png")


def test_without_script(reader):
    reader.open(script=False)
    assert not any(part.is_displayed() for part in reader.all(".script"))
    assert len(reader.all("section")) == 8
    assert all(part.is_displayed() for part in reader.all(".walk"))
    assert len([row for row in reader.all("#novelty-table tbody tr") if row.is_displayed()]) == 20
    thumbs = reader.all(".thumb img")
    assert thumbs
    assert all(int(image.get_property("naturalWidth")) > 1 and image.is_displayed() for image in thumbs)
    reader.open()


@pytest.mark.parametrize("name", ["features", "one channel", "infinite", "independent"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_other_data_are_shown_as_well(browser, site, name):
    rng = np.random.default_rng(0)
    X = {
        "features": rng.normal(size=(40, 6)).cumsum(axis=1),
        "one channel": rng.normal(size=(40, 1, 20)).cumsum(axis=2),
        "infinite": rng.normal(size=(40, 3)) @ np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]),
        "independent": np.ones((40, 3)),
    }[name]
    model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(X)
    write_report(site[0] / "other.html", sampler=sampler, divergence=model, generated=sampler.sample(30))
    reader = Reader(browser, f"{site[1]}/other.html").open(360, 740)
    assert errors(reader) == []
    assert overflow(reader) == []
    told = [reader.one(f"#{part}-told").text for part in ("space", "column", "beside", "walk")]
    assert all(told)
    assert not any("NaN" in words or "Infinity" in words or "undefined" in words for words in told)


@pytest.mark.parametrize(("name", "settings"), [("light", {}), ("dark", {"dark": True}), ("phone", {"width": 360})])
def test_screenshots_to_look_at(reader, tmp_path, name, settings):
    reader.open(**settings)
    reader.screenshot(tmp_path / f"{name}.png")
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / f"{name}.png").stat().st_size > 100_000
