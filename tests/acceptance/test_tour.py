"""A tour of the whole chat in a real browser: every screen, on a phone and on a desk, by day and by night.

The pictures of `docs/tour/` are made by it: TRELLIS_TOUR=docs/tour python -m pytest tests/acceptance/test_tour.py
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.acceptance.browser import Page, chromium
from tests.acceptance.driver import Chat, Service, ask, demo, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
PHONE, DESK = (390, 844), (1040, 760)
COLOURS = 256
"""Of a stored picture: text stays sharp, the file small."""
LARGEST = 120_000
"""Bytes of one picture."""


class Camera:
    """A browser before the chat, and an album."""

    def __init__(self, page: Page, album: Path) -> None:
        self.page = page
        self.album = album
        self.look = ""
        self.taken: list[str] = []

    def set(self, look: str) -> None:
        """`phone-light`, `phone-dark`, `desk-light` or `desk-dark`."""
        self.look = look
        is_phone = look.startswith("phone")
        self.page.device(*(PHONE if is_phone else DESK), is_phone)
        self.page.prefers(look.partition("-")[2])

    def take(self, name: str) -> None:
        """One picture of what is on screen, once nothing moves."""
        time.sleep(0.4)
        assert self.page.script("return document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
        missing = "return [...document.images].filter(i => i.src && i.offsetParent && !i.naturalWidth).length"
        until(lambda: self.page.script(missing) == 0, f"the pictures of {name}", 10)
        raw = self.album / "raw.png"
        self.page.picture(raw)
        out = io.BytesIO()
        with Image.open(raw) as image:
            image.convert("RGB").quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        raw.unlink()
        assert len(out.getvalue()) < LARGEST, f"{name}: {len(out.getvalue())} bytes"
        (self.album / f"{self.look}-{name}.png").write_bytes(out.getvalue())
        self.taken.append(f"{self.look}-{name}")


class Tour:
    """Somebody who walks through everything, taking pictures where the album wants one."""

    def __init__(self, camera: Camera, service: Service) -> None:
        self.camera = camera
        self.page = camera.page
        self.service = service
        self.chat: Chat = service.chat

    def say(self, text: str, *words: str, shot: str = "") -> int:
        """Type in the box; the number of the answer."""
        before = max((each["id"] for each in self.chat.screen()), default=0)
        self.page.type("#box", text + "\n")
        number = int(self.chat.seen(*words, after=before)["id"])
        self.shown(number)
        if shot:
            self.camera.take(shot)
        return number

    def press(self, caption: str, *words: str, shot: str = "") -> None:
        """Click the newest button with this caption and see."""
        before = {each["id"]: (each["text"], each["buttons"]) for each in self.chat.screen()}
        self.page.click(caption)

        def changed() -> int | None:
            for each in reversed(self.chat.screen()):
                shown = f"{each['text']} {each['buttons']}".lower()
                is_other = before.get(each["id"]) != (each["text"], each["buttons"])
                if is_other and each["from"] == "bot" and all(word.lower() in shown for word in words):
                    return int(each["id"])
            return None

        self.shown(until(changed, f"what {caption} leads to: {words}", 30))
        if shot:
            self.camera.take(shot)

    def shown(self, number: int) -> None:
        """Wait until the page shows the message as the chat has it, and nothing spins."""
        code = (
            "const n = document.querySelector(`.msg[data-id='${arguments[0]}'] .body`);"
            "return n && n.textContent.replace(/\\s/g, '').includes(arguments[1]) && !document.querySelector('.busy')"
        )

        def is_there() -> bool:
            words = "".join(self.chat.message(number)["text"].split())[:30]
            return bool(self.page.script(code, number, words))

        until(is_there, f"message {number} on the page", 15)
        self.page.script(
            "const n = document.querySelector(`.msg[data-id='${arguments[0]}']`);"
            "const s = document.getElementById('scroll');"
            "s.scrollTop = n.offsetHeight > s.clientHeight ? n.offsetTop - 4 : s.scrollHeight",
            number,
        )

    def quiet(self, seconds: float = 1.0) -> None:
        time.sleep(seconds)


def begin(tour: Tour) -> None:
    tour.page.open(tour.chat.page)
    until(lambda: tour.page.script("return !document.getElementById('start').hidden"), "START")
    tour.camera.take("01-empty")
    tour.page.script("document.getElementById('start').click()")
    number = int(tour.chat.seen("New grid")["id"])
    tour.shown(number)
    tour.camera.take("02-home")
    tour.page.type("#box", "/")
    tour.camera.take("03-commands")
    tour.page.script("const b = document.getElementById('box'); b.value = ''; b.dispatchEvent(new Event('input'))")


def wizard(tour: Tour) -> None:
    """By taps alone; the captions are those of the wizard's own screens."""
    tour.say("/new", "What should be traded", shot="04-symbol")
    tour.press("BTCUSDT", "Which way", shot="05-direction")
    tour.press("Neutral", "Between which prices", shot="06-range")
    tour.press("±5%", "How many grids", shot="07-count")
    tour.press("60 ·", "How much do you invest", shot="07-investment")
    tour.press("50%", "Which leverage", shot="07-leverage")
    tour.press("5x", "Net profit per grid", shot="08-preview")
    tour.press("Edit", "What would you like to change", shot="09-change")
    tour.press("More settings", "Every other setting", shot="10-settings")
    tour.page.click("Back")
    tour.chat.seen("Net profit per grid")
    tour.press("Create and start", "Running")
    tour.chat.seen("60 orders placed")
    tour.camera.take("11-started")


def looks(tour: Tour) -> None:
    """Every command that shows something."""
    tour.chat.seen("pairs so far", seconds=150)
    tour.quiet()
    tour.camera.take("12-notices")
    tour.say("/start", "running of", shot="13-home")
    tour.say("/grids", "My grids", shot="14-grids")
    tour.say("/grid 1", "Grid profit", shot="15-card")
    tour.press("Chart", "BTCUSDT", shot="15-chart")
    tour.say("/grid 1", "Grid profit")
    tour.press("Orders", "price now", shot="15-orders")
    tour.say("/grid 1", "Grid profit")
    tour.press("Performance", "Back to the grid", shot="15-performance")
    tour.say("/grid 1", "Grid profit")
    tour.press("Edit", "Back", shot="15-edit")
    for command, words, name in (
        ("/orders", "Resting orders", "16-orders"),
        ("/positions", "Positions", "17-positions"),
        ("/balance", "Balance", "18-balance"),
        ("/profit", "rofit", "19-profit"),
        ("/accounts", "ccount", "20-accounts"),
        ("/settings", "ettings", "21-settings"),
        ("/health", "Health", "22-health"),
        ("/audit", "Audit", "23-audit"),
        ("/help", "How this works", "24-help"),
    ):
        tour.say(command, words, shot=name)


def acts(tour: Tour) -> None:
    """What asks before it is done, and what is refused."""
    tour.say("/stop 1", "Stop BTCUSDT", shot="25-stop")
    tour.say("/panic", "top", shot="26-panic")
    tour.say("/new BTCUSTD 1-2 4", "Did you mean", shot="27-refusal")
    tour.say("/new ETHUSDT neutral 2800-3600 40 50u 2x", "Invest at least", shot="27-ways-out")
    tour.say("/cancel", "ancelled")
    tour.say("API key vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A", "deleted", shot="28-secret")


def few(tour: Tour) -> None:
    """The screens that tell most, in the other three looks."""
    tour.say("/start", "running of", shot="13-home")
    tour.say("/grid 1", "Grid profit", shot="15-card")
    tour.say("/new ETHUSDT neutral 2800-3600 40 2000u 5x sl=2600 sl=3800", "Net profit per grid", shot="08-preview")
    tour.say("/cancel", "ancelled")
    tour.say("/stop 1", "Stop BTCUSDT", shot="25-stop")


def test_the_tour_of_the_chat(tmp_path: Path) -> None:
    album = Path(os.environ.get("TRELLIS_TOUR", tmp_path / "tour")).resolve()
    album.mkdir(parents=True, exist_ok=True)
    with demo(tmp_path / "demo") as service, chromium(tmp_path / "profile") as page:
        camera = Camera(page, album)
        tour = Tour(camera, service)
        camera.set("phone-light")
        stations: tuple[Callable[[Tour], None], ...] = (begin, wizard, looks, acts)
        for station in stations:
            station(tour)
        for look in ("phone-dark", "desk-light", "desk-dark"):
            camera.set(look)
            few(tour)
        ask(f"{service.chat.page}chat/outage", {"mode": "error"})
        time.sleep(3)
        camera.take("29-outage")
        ask(f"{service.chat.page}chat/outage", {"mode": "off"})
    assert len(camera.taken) == len(set(camera.taken)) >= 35
