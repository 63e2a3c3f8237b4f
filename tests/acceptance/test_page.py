"""The demo in a real browser: a newcomer taps a grid together and sees its pairs arrive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance.browser import chromium
from tests.acceptance.driver import demo, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TAPS = (
    ("BTCUSDT", "Which way"),
    ("Neutral", "Between which prices"),
    ("±5%", "How many grids"),
    ("60 ·", "How much do you invest"),
    ("50%", "Which leverage"),
    ("5x", "Net profit per grid"),
)


def test_a_grid_is_tapped_together_in_the_browser_and_its_pairs_arrive(tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TRELLIS_PICTURES", tmp_path / "pictures"))
    with demo(tmp_path / "demo") as service, chromium(tmp_path / "profile") as page:
        page.open(service.chat.page)
        until(lambda: page.script("return !document.getElementById('start').hidden"), "the START of an empty chat")
        page.script("document.getElementById('start').click()")
        until(lambda: "New grid" in page.text(), "the bot's greeting")
        page.type("#box", "/new")
        page.script("document.getElementById('send').click()")
        until(lambda: "What should be traded" in page.text(), "the wizard")
        page.picture(pictures / "wizard.png")
        for caption, question in TAPS:
            page.click(caption)
            until(lambda asks=question: asks in page.text(), question)  # type: ignore[misc]
        page.picture(pictures / "preview.png")
        page.click("Create and start")
        until(lambda: "60 orders placed" in page.text(), "the start")
        until(lambda: "Pairs so far" in page.text(), "a pair", 150)
        page.picture(pictures / "pair.png")
        page.size(390, 844)
        page.picture(pictures / "phone.png")
        width = page.script("return document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0, "the page is wider than a phone"
