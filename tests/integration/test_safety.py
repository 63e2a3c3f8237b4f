"""Safe by construction: secrets leave the chat, late messages are asked about, nothing is done twice or off record."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from typing import Any

import pytest
from telegram import Update
from telegram.ext import ApplicationHandlerStop

from bot.access import READER, Gate
from bot.late import LATE
from bot.queue import ByUser
from storage import audit, drafts, users
from storage.users import Role
from tests.fakes import OWNER, a_card
from tests.house import STRANGER, VIEWER, House, now

pytestmark = pytest.mark.timeout(60)
BINANCE_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


# --------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "text",
    [
        BINANCE_KEY,
        f"/new {BINANCE_KEY}",
        f"my key is {BINANCE_KEY} please",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDk\n-----END PRIVATE KEY-----",
        "1234567890:AAE-abcdefghijklmnopqrstuvwxyz01234",
        "secret: 9f8e7d6c5b4a39281706",
    ],
)
async def test_a_pasted_secret_is_deleted_refused_and_explained(house: House, text: str) -> None:
    async with house.open():
        draft = await house.hand.types("/new", "What should be traded")
        before = len(await house.hand.screens())
        await house.hand.types(text, "I deleted your message")
        screens = await house.hand.screens()
        assert len(screens) == before + 1
        assert not any(text in each["text"] for each in screens)
        await house.hand.presses(draft, "BTCUSDT", "Which way")
    kept = await audit.latest(house.database, 50)
    assert any(entry.action == "secret" for entry in kept)
    assert not any(text[5:] in entry.target for entry in kept)


# --------------------------------------------------------------------------- late messages


async def test_a_late_message_is_asked_about_and_done_only_when_it_is_still_wanted(house: House) -> None:
    await house.hand.says("/new BTCUSDT neutral 58000-72000 40 5000u 5x")
    house.clock = lambda: now() + LATE + 60_000
    async with house.open():
        asked = await house.hand.sees("This was sent 4 min")
        assert "/new BTCUSDT neutral" in asked["text"]
        assert await drafts.load(house.database, OWNER) is None
        await house.hand.presses(asked, "Do it now", "Net profit per grid")
        gone = next(each for each in await house.hand.bot_screens() if each["id"] == asked["id"])
        assert not any("Do it now" in text for row in gone["buttons"] for text in row)
        kept = await audit.latest(house.database, 9)
        assert ("late", "asked again") in [(entry.action, entry.outcome) for entry in kept]


async def test_a_late_look_is_answered_at_once(house: House) -> None:
    house.desk.put(a_card())
    await house.hand.says("/grids")
    house.clock = lambda: now() + 60 * 60_000
    async with house.open():
        await house.hand.sees("My grids")


async def test_a_late_question_is_for_its_writer_once_and_not_after_a_restart(house: House) -> None:
    await house.hand.says("/stop 1")
    house.clock = lambda: now() + LATE + 60_000
    async with house.open():
        asked = await house.hand.sees("Do you still want it?")
    async with house.open():
        answer = await house.hand.pressed(asked, "Do it now")
        assert answer is not None and "outdated" in answer["text"]
    assert not house.desk.calls


# --------------------------------------------------------------------------- once


async def test_an_update_that_comes_twice_is_done_once() -> None:
    queue, done = ByUser(), 0

    async def work() -> None:
        nonlocal done
        done += 1

    for number in (7, 7, 8, 7):
        await queue.do_process_update(Update(number), work())
    assert done == 2


# --------------------------------------------------------------------------- one gate

ANYBODY = {"id": STRANGER, "is_bot": False, "first_name": "Eve"}
CHAT = {"id": STRANGER, "type": "private", "first_name": "Eve"}
MESSAGE = {"message_id": 1, "date": int(time.time()), "chat": CHAT, "from": ANYBODY, "text": "/stop 1"}
MEMBER = {"status": "member", "user": ANYBODY}
KINDS: dict[str, Any] = {
    "message": MESSAGE,
    "edited_message": MESSAGE,
    "channel_post": {**MESSAGE, "from": None, "chat": {"id": -100, "type": "channel", "title": "x"}},
    "edited_channel_post": {**MESSAGE, "from": None, "chat": {"id": -100, "type": "channel", "title": "x"}},
    "business_message": MESSAGE,
    "callback_query": {"id": "1", "from": ANYBODY, "chat_instance": "1", "data": "1:stop:1", "message": MESSAGE},
    "inline_query": {"id": "1", "from": ANYBODY, "query": "x", "offset": ""},
    "chosen_inline_result": {"result_id": "1", "from": ANYBODY, "query": "x"},
    "shipping_query": {"id": "1", "from": ANYBODY, "invoice_payload": "x", "shipping_address": {
        "country_code": "DE", "state": "", "city": "", "street_line1": "", "street_line2": "", "post_code": ""}},
    "pre_checkout_query": {"id": "1", "from": ANYBODY, "currency": "XTR", "total_amount": 1, "invoice_payload": "x"},
    "poll": {"id": "1", "question": "?", "options": [], "total_voter_count": 0, "is_closed": False,
             "is_anonymous": True, "type": "regular", "allows_multiple_answers": False, "allows_revoting": False,
             "members_only": False},
    "poll_answer": {"poll_id": "1", "user": ANYBODY, "option_ids": [], "option_persistent_ids": []},
    "my_chat_member": {"chat": CHAT, "from": ANYBODY, "date": 1, "old_chat_member": MEMBER, "new_chat_member": MEMBER},
    "chat_member": {"chat": CHAT, "from": ANYBODY, "date": 1, "old_chat_member": MEMBER, "new_chat_member": MEMBER},
    "chat_join_request": {"chat": CHAT, "from": ANYBODY, "date": 1, "user_chat_id": STRANGER},
}  # fmt: skip


class Context:
    """What the gate leaves for the handlers."""

    def __init__(self) -> None:
        self.user_data: dict[str, Any] = {}


@pytest.mark.parametrize("kind", KINDS)
async def test_no_kind_of_update_of_a_stranger_passes_the_gate(house: House, kind: str) -> None:
    async with house.open() as front:
        update = Update.de_json({"update_id": 1, kind: KINDS[kind]}, front.panel._bot)
        assert update is not None and getattr(update, kind) is not None
        context = Context()
        with pytest.raises(ApplicationHandlerStop):
            await Gate(house.database, house.clock).check(update, context)  # type: ignore[arg-type]
        assert READER not in context.user_data
    assert not house.desk.calls


# --------------------------------------------------------------------------- on record


async def test_every_command_and_press_is_on_record_with_what_came_of_it(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        await house.hand.types("/stop 99", "There is no grid #99")
        asked = await house.hand.types("/stop 1", "Stop BTCUSDT")
        await house.hand.presses(asked, "keep position", "Stopped")
        await house.hand.pressed(asked, "Refresh") if "Refresh" in str(asked["buttons"]) else None
        await house.hand.types("what is this", "I did not understand")
        await asyncio.sleep(0.3)
        entries = [(e.action, e.target, e.outcome) for e in await audit.latest(house.database, 20)]
        assert ("/stop", "99", "declined: no_such_bot") in entries
        assert ("/stop", "1", "shown") in entries
        assert ("text", "what is this", "not understood") in entries
        (stop,) = [entry for entry in entries if entry[0] == "stop"]
        assert stop[1] == "#1 keep" and "shown" not in stop[2]
        screen = await house.hand.types("/audit", "Audit")
        assert f"{OWNER} · /stop 99: declined: no such bot" in screen["text"]
        await house.hand.pressed(screen, "CSV")
        async with asyncio.timeout(5):
            while not house.chat.store.state.files:
                await asyncio.sleep(0.05)
    (file,) = house.chat.store.state.files.values()
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert rows[0] == ["time", "user", "action", "target", "outcome"]
    assert [str(OWNER), "/stop", "99", "declined: no_such_bot"] in [row[1:] for row in rows]


async def test_only_an_admin_reads_the_record(house: House) -> None:
    await users.add(house.database, STRANGER, Role.TRADER, 1)
    async with house.open():
        for person in (STRANGER, VIEWER):
            await house.hand_of(person).types("/audit", "Only an admin")


async def test_a_formula_in_the_record_is_text_for_a_spreadsheet(house: House) -> None:
    async with house.open():
        await house.hand.types("=HYPERLINK(1)", "I did not understand")
        screen = await house.hand.types("/audit", "HYPERLINK")
        await house.hand.pressed(screen, "CSV")
        async with asyncio.timeout(5):
            while not house.chat.store.state.files:
                await asyncio.sleep(0.05)
    (file,) = house.chat.store.state.files.values()
    assert b",'=HYPERLINK(1)," in file.content
