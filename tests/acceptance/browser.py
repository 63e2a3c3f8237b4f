"""A headless Chromium driven through chromedriver's own protocol (W3C WebDriver), without a library between."""

from __future__ import annotations

import base64
import contextlib
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.driver import ask, until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, ENTER, ESCAPE, DOWN, SHIFT, SHIFT_TAB = "\ue004", "\ue007", "\ue00c", "\ue015", "\ue008", "shift+tab"
SWITCHES = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]


class Page:
    """One browser window."""

    def __init__(self, session: str) -> None:
        self.session = session

    def call(self, command: str, **body: Any) -> Any:
        return ask(f"{self.session}/{command}", body, 60)["value"]

    def close(self) -> None:
        """End the browser."""
        request = urllib.request.Request(self.session, method="DELETE")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=20):
            pass

    def open(self, url: str) -> None:
        self.call("url", url=url)

    def size(self, width: int, height: int) -> None:
        self.call("window/rect", width=width, height=height)

    def script(self, code: str, *arguments: Any) -> Any:
        """What `code` returns in the page."""
        return self.call("execute/sync", script=code, args=list(arguments))

    def text(self) -> str:
        """What a person reads on the page."""
        return str(self.script("return document.getElementById('list').innerText"))

    def type(self, selector: str, text: str) -> None:
        found = self.call("element", using="css selector", value=selector)[ELEMENT]
        self.call(f"element/{found}/value", text=text)

    def click(self, caption: str) -> None:
        """A real click on the newest button of the messages that contains `caption`."""

        def look() -> str | None:
            buttons = self.call("elements", using="xpath", value=f"//*[@id='list']//button[contains(., '{caption}')]")
            return buttons[-1][ELEMENT] if buttons else None

        self.call(f"element/{until(look, f'a button {caption}')}/click")

    def press_keys(self, *keys: str) -> None:
        """Keys pressed and let go one after the other, as a person without a mouse does; `SHIFT_TAB` is one of them."""
        steps: list[dict[str, Any]] = []
        for key in keys:
            held = [SHIFT] if key == SHIFT_TAB else []
            plain = TAB if key == SHIFT_TAB else key
            steps += [{"type": "keyDown", "value": each} for each in (*held, plain)]
            steps += [{"type": "keyUp", "value": each} for each in (plain, *held)]
        self.call("actions", actions=[{"type": "key", "id": "keys", "actions": steps}])

    def prefers(self, scheme: str) -> None:
        """`light` or `dark`, as the system says."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": features})

    def device(self, width: int, height: int, is_phone: bool, scale: float = 1) -> None:
        """The size of the page itself, and whether it is touched by a finger."""
        screen = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone}
        self.call("goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=screen)
        self.call("goog/cdp/execute", cmd="Emulation.setTouchEmulationEnabled", params={"enabled": is_phone})

    def picture(self, file: Path) -> None:
        """A screenshot as PNG."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(ask(f"{self.session}/screenshot", seconds=60)["value"]))


@contextlib.contextmanager
def chromium(profile: Path, width: int = 1100, height: int = 900) -> Iterator[Page]:
    """A browser of its own; skips the test where there is none."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if not driver or not browser:
        pytest.skip("chromium and chromedriver are not installed")
    server = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        port = next(found[1] for line in server.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        options = {
            "binary": browser,
            "args": [*SWITCHES, f"--user-data-dir={profile}", f"--window-size={width},{height}"],
        }
        wish = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        session = ask(f"http://127.0.0.1:{port}/session", wish, 60)["value"]["sessionId"]
        page = Page(f"http://127.0.0.1:{port}/session/{session}")
        try:
            yield page
        finally:
            page.close()
    finally:
        server.terminate()
        server.communicate(timeout=10)
