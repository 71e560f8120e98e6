"""The screenshots of howto/report.md, light and dark: python docs/report_pictures.py (needs selenium, Chromium and chromedriver)."""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

import dualwalk as dw
from dualwalk.report import write_report

FOLDER = Path(__file__).parent / "howto" / "pictures"
WIDTH = 900
# name of the picture: (what of the page is shown, what a reader has done before)
SHOTS = {
    "report-top": ("header, nav, .tiles", ""),
    "report-space": ("#space figure, #space-picker", "set('space-rank', 40)"),
    "report-walk": ("#walk-picker, .walk:not(.off) .for-page", "set('walk-frame', 17)"),
}
SET = "const set = (name, value) => { const it = document.getElementById(name); it.value = value; it.dispatchEvent(new Event('input')); };"
BOX = """
const all = [...document.querySelectorAll(arguments[0])].map((it) => it.getBoundingClientRect()).filter((box) => box.height);
const top = Math.min(...all.map((box) => box.top)) + scrollY, bottom = Math.max(...all.map((box) => box.bottom)) + scrollY;
return [top, bottom];
"""


def main() -> int:
    vowels = dw.load_japanese_vowels()
    divergence = dw.DualDivergence(random_state=0).fit(vowels.X)
    sampler = dw.DualSampler(random_state=0).fit(vowels.X)
    browser = start()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_report(page, sampler=sampler, divergence=divergence, title="Japanese vowels", credit=vowels.credit)
        for dark in (False, True):
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            browser.get(page.as_uri())
            for name, (selector, before) in SHOTS.items():
                browser.execute_script(SET + before)
                path = FOLDER / f"{name}{'-dark' if dark else ''}.png"
                shoot(browser, selector, path)
                print(f"{path}: {path.stat().st_size} bytes")
    browser.quit()
    return 0


def start() -> Any:
    options = webdriver.ChromeOptions()
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(switch)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    size = {"width": WIDTH, "height": 900, "deviceScaleFactor": 1.5, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return browser


def shoot(browser: Any, selector: str, path: Path) -> None:
    """The part of the page round what the selector finds, in 255 colours: pictures of a page need no more."""
    top, bottom = browser.execute_script(BOX, selector)
    clip = {"x": 0, "y": max(0, top - 16), "width": WIDTH, "height": bottom - top + 32, "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    image = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    image.quantize(255, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
