"""The chat page in a real browser: typed into, pressed, edited in place, with a mouse and without one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.acceptance.browser import DOWN, ENTER, ESCAPE, SHIFT_TAB, Page, chromium
from tests.acceptance.driver import ROOT, YOU, ask, clean_environment, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
TOKEN = "4242:AAE-local_test_token_of_thirty_five_"
FOCUSED = "return document.activeElement ? document.activeElement.textContent : ''"


class Stage:
    """A local chat as a process, the bot's side by plain requests, and a browser before it."""

    def __init__(self, root: str, page: Page) -> None:
        self.root = root
        self.page = page
        self.offset = 0

    def api(self, method: str, **fields: Any) -> Any:
        answer = ask(f"{self.root}bot{TOKEN}/{method}", fields)
        assert answer["ok"], answer
        return answer["result"]

    def heard(self) -> dict[str, Any]:
        """The next update."""
        (update, *_) = until(lambda: self.api("getUpdates", offset=self.offset, timeout=5), "an update")
        self.offset = update["update_id"] + 1
        return dict(update)

    def say(self, text: str, *buttons: str, **more: Any) -> int:
        keys = [[{"text": each, "callback_data": each}] for each in buttons]
        markup = {"reply_markup": {"inline_keyboard": keys}} if keys else {}
        return int(self.api("sendMessage", chat_id=YOU, text=text, parse_mode="HTML", **markup, **more)["message_id"])

    def answer(self, press: dict[str, Any], **fields: Any) -> None:
        self.api("answerCallbackQuery", callback_query_id=press["id"], **fields)

    def sees(self, selector: str, words: str = "") -> str:
        """The text of the last element that has `words`."""
        code = (
            "return [...document.querySelectorAll(arguments[0])].filter(n => n.offsetParent !== null || n.open)"
            ".map(n => n.innerText).filter(t => t.includes(arguments[1])).pop()"
        )
        return until(lambda: self.page.script(code, selector, words), f"{selector} with {words!r}", 10)  # type: ignore[no-any-return]

    def count(self, selector: str) -> int:
        return int(self.page.script("return document.querySelectorAll(arguments[0]).length", selector))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def stage(browser: Page) -> Iterator[Stage]:
    environment = clean_environment(TRELLIS_PROCESS_TOKEN=TOKEN)
    process = subprocess.Popen(
        [sys.executable, "run.py", "chat"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        root = process.stdout.readline().strip()
        found = Stage(root, browser)
        browser.open(root)
        yield found
        browser.open("about:blank")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def begun(stage: Stage) -> None:
    """The chat after START."""
    stage.sees("#start", "START")
    stage.page.script("document.getElementById('start').click()")
    assert stage.heard()["message"]["text"] == "/start"
    stage.sees(".mine .body", "/start")


def test_a_person_types_presses_and_sees_the_message_change_in_place(stage: Stage) -> None:
    begun(stage)
    stage.page.type("#box", "hello <b>there</b>\n")
    assert stage.heard()["message"]["text"] == "hello <b>there</b>"
    assert "hello <b>there</b>" in stage.sees(".mine .body", "hello")
    card = stage.say("<b>Card</b> &lt;i&gt;", "Go on")
    assert stage.sees(".msg:not(.mine) .body", "Card").startswith("Card <i>")
    stage.page.click("Go on")
    until(lambda: stage.count(".key.busy[aria-busy=true]") == 1, "the button to wait")
    press = stage.heard()["callback_query"]
    again = {"inline_keyboard": [[{"text": "Again", "callback_data": "x", "style": "danger"}]]}
    stage.api("editMessageText", chat_id=YOU, message_id=card, text="Changed", reply_markup=again)
    stage.answer(press, text="Done already")
    assert stage.sees("#toast", "Done already")
    assert stage.sees(f".msg[data-id='{card}'] .body", "Changed")
    assert stage.count(".msg:not(.mine)") == 1 and stage.count(".key.danger") == 1
    until(lambda: stage.count(".key.busy") == 0, "the button to rest")


def test_everything_works_without_a_mouse(stage: Stage) -> None:
    commands = [{"command": "grids", "description": "All grids"}, {"command": "help", "description": "Help"}]
    stage.api("setMyCommands", commands=commands)
    begun(stage)
    card = stage.say("Card", "First", "Second")
    stage.sees(".key", "Second")
    stage.page.script("document.getElementById('box').focus()")
    stage.page.press_keys("/")
    stage.sees("#commands", "All grids")
    stage.page.press_keys(DOWN, ENTER)
    assert stage.heard()["message"]["text"] == "/help"

    for _ in range(12):  # back from the box to the newest button
        stage.page.press_keys(SHIFT_TAB)
        if stage.page.script(FOCUSED) == "Second":
            break
    assert stage.page.script(FOCUSED) == "Second"
    stage.page.press_keys(ENTER)
    press = stage.heard()["callback_query"]
    assert press["data"] == "Second"
    rows = [[{"text": "No", "callback_data": "n"}], [{"text": "Yes", "callback_data": "y"}]]
    stage.api("editMessageText", chat_id=YOU, message_id=card, text="Sure?", reply_markup={"inline_keyboard": rows})
    stage.answer(press, text="Really?", show_alert=True)
    stage.sees("#alert", "Really?")
    stage.page.press_keys(ENTER)
    until(lambda: not stage.page.script("return document.getElementById('alert').open"), "the alert to close")
    assert stage.page.script(FOCUSED) == "Yes", "the focus stays where it was, though the message changed"
    stage.page.press_keys(ENTER)
    assert stage.heard()["callback_query"]["data"] == "y"
    stage.page.press_keys(ESCAPE)


def test_pictures_documents_replies_and_silence_are_shown(stage: Stage) -> None:
    begun(stage)
    first = stage.say("the card")
    out = io.BytesIO()
    Image.new("RGB", (320, 200), "teal").save(out, "PNG")
    upload(stage, "sendPhoto", "photo", "map.png", out.getvalue(), caption="the map")
    upload(stage, "sendDocument", "document", "audit <1>.csv", b"a,b\n" * 400, caption="all of it")
    stage.say("an answer", reply_parameters={"message_id": first}, disable_notification=True)
    until(lambda: stage.page.script("const i = document.querySelector('.photo img'); return i && i.naturalWidth"), "it")
    assert "audit <1>.csv" in stage.sees(".doc") and "1.6 KB" in stage.sees(".doc")
    assert "the card" in stage.sees(".re")
    assert stage.count(".meta [title='Sent without sound']") == 1
    link = stage.page.script("return document.querySelector('.doc').href")
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == b"a,b\n" * 400 and "attachment" in answer.headers["Content-Disposition"]


def test_what_came_while_the_page_was_away_stands_under_a_line(stage: Stage) -> None:
    begun(stage)
    stage.say("seen")
    stage.sees(".body", "seen")
    time.sleep(0.5)
    stage.page.open("about:blank")
    for number in range(3):
        stage.say(f"missed {number}")
    assert ask(f"{stage.root}chat/state")["people"][0]["unread"] == 3
    stage.page.open(stage.root)
    assert stage.sees(".fresh") == "Unread messages"
    after = stage.page.script("return document.querySelector('.fresh').nextElementSibling.innerText")
    assert "missed 0" in after
    until(lambda: ask(f"{stage.root}chat/state")["people"][0]["unread"] == 0, "it to be read")


def test_a_blocked_bot_is_said_and_writing_unblocks_it(stage: Stage) -> None:
    begun(stage)
    ask(f"{stage.root}chat/{YOU}/block", {"blocked": True})
    assert "blocked this bot" in stage.sees("#outage")
    refused = urllib.request.Request(
        f"{stage.root}bot{TOKEN}/sendMessage",
        json.dumps({"chat_id": YOU, "text": "x"}).encode(),
        {"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as error, urllib.request.urlopen(refused, timeout=10):
        pass
    assert error.value.code == 403
    error.value.close()
    stage.page.type("#box", "back\n")
    until(lambda: stage.page.script("return document.getElementById('outage').hidden"), "the banner to go")
    stage.say("welcome")
    assert stage.sees(".body", "welcome")


def test_a_phone_shows_everything_within_its_width(stage: Stage) -> None:
    stage.page.device(360, 740, is_phone=True)
    try:
        begun(stage)
        stage.say("<pre>" + "wide " * 60 + "</pre>\n" + "W" * 300, "A button whose caption is rather long for a phone")
        stage.sees(".key", "rather long")
        assert stage.page.script("return document.documentElement.scrollWidth") <= 360
        height = stage.page.script("return document.querySelector('.key').getBoundingClientRect().height")
        assert height >= 38, "a thumb must hit it"
    finally:
        stage.page.call("goog/cdp/execute", cmd="Emulation.clearDeviceMetricsOverride", params={})
        stage.page.call("goog/cdp/execute", cmd="Emulation.setTouchEmulationEnabled", params={"enabled": False})


def upload(stage: Stage, method: str, kind: str, name: str, content: bytes, **fields: str) -> None:
    """A multipart request, as clients send files."""
    line = f"--{os.urandom(8).hex()}"
    parts = [f'{line}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
             for key, value in {"chat_id": str(YOU), **fields}.items()]  # fmt: skip
    head = f'{line}\r\nContent-Disposition: form-data; name="{kind}"; filename="{name}"\r\n'
    parts += [f"{head}Content-Type: application/octet-stream\r\n\r\n".encode(), content, f"\r\n{line}--\r\n".encode()]
    headers = {"Content-Type": f"multipart/form-data; boundary={line[2:]}"}
    request = urllib.request.Request(f"{stage.root}bot{TOKEN}/{method}", b"".join(parts), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.loads(answer.read())["ok"]


def test_the_page_itself_has_no_trouble(stage: Stage) -> None:
    stage.page.call("se/log", type="browser")  # what other tests left
    stage.page.open(stage.root)
    begun(stage)
    stage.say("x", "y")
    stage.sees(".key", "y")
    assert stage.page.script("return document.querySelectorAll('[src^=http],link[href^=http]').length") == 0
    logged = stage.page.call("se/log", type="browser")
    assert [entry for entry in logged if entry["level"] == "SEVERE"] == []
