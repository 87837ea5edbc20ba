"""The picture of README: an attention map beside the report of a training, from a demo's folder.

python -m tools.book picture dragoman-demo docs/readme.png
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

HEIGHT, WIDTH = 620, 1100
"""Pixels of the report's picture."""


def draw(demo: Path, file: Path) -> None:
    """Put the demo's attention map and its report, as Chromium shows it, side by side.

    Raises:
        RuntimeError: there is no Chromium.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        raise RuntimeError("needs Chromium, which is not installed")
    with TemporaryDirectory() as place, sync_playwright() as running:
        shot = Path(place) / "report.png"
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto((demo / "model" / "report.html").resolve().as_uri())
        page.wait_for_timeout(500)
        page.screenshot(path=shot)
        browser.close()
        report, attention = Image.open(shot), Image.open(demo / "attention.png").convert("RGB")
        attention.thumbnail((HEIGHT, HEIGHT))
        whole = Image.new("RGB", (attention.width + report.width, HEIGHT), "white")
        whole.paste(attention, (0, (HEIGHT - attention.height) // 2))
        whole.paste(report, (attention.width, 0))
        whole.quantize(128).save(file, optimize=True)
