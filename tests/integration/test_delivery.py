"""Notices on their way: storms folded, urgent ones first and again, outages summed up, cards alive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from bot import live, notify
from bot.app import Front
from bot.menu import Screen
from storage import outbox, preferences, users
from tests.fakes import OWNER, a_card
from tests.house import House, now
from trading.messages import Notice, NoticeKind

pytestmark = pytest.mark.timeout(60)


async def told(house: House) -> list[str]:
    return [each["text"] for each in await house.hand.bot_screens()]


async def settled(house: House) -> None:
    """Until the outbox is empty."""
    async with asyncio.timeout(10):
        while await outbox.pending(house.database):
            await asyncio.sleep(0.05)


async def old(house: House, kind: NoticeKind, ref: str, bot: int, age: int, **values: str) -> None:
    """A notice that has been waiting for `age` ms."""
    at = now() - age
    notice = Notice(bot, kind, ref, at, {"symbol": f"S{bot}USDT", "badge": "DEMO", "quote": "USDT", **values})
    await outbox.add(
        house.database, chat=OWNER, kind=kind.value, ref=ref, payload=msgspec.json.encode(notice).decode(), now=at,
        bot=bot, account=1, urgency=outbox.priority(kind),
    )  # fmt: skip


@asynccontextmanager
async def telling(house: House) -> AsyncIterator[Front]:
    """The front of a service that tells fills too, as the real one does."""
    house.tells_fills = True
    async with house.open() as front:
        yield front


# --------------------------------------------------------------------------- storms


async def test_fills_and_pairs_of_several_grids_are_one_message_with_names_counts_and_profit(house: House) -> None:
    async with telling(house):
        for bot, pairs in ((1, 3), (2, 1)):
            for number in range(4):
                await house.notice(NoticeKind.FILL, f"f{bot}.{number}", bot, side="BUY", price="10", qty="1")
            for number in range(pairs):
                values = {"profit": "0.25", "pairs": str(number + 1), "matched": "1", "buy": "9", "sell": "10"}
                await house.notice(NoticeKind.PAIR, f"p{bot}.{number}", bot, qty="1", **values)
        screen = await house.hand.sees("8 fills, 4 pairs +1.00 USDT on 2 grids")
        assert "BTCUSDT #1: 4 fills, 3 pairs +0.7500 USDT" in screen["text"]
        assert "BTCUSDT #2: 4 fills, 1 pair +0.2500 USDT" in screen["text"]
        await settled(house)
        assert len(await told(house)) == 1


async def test_an_urgent_notice_overtakes_a_storm_of_fills(house: House) -> None:
    async with house.open():
        for number in range(300):
            values = {"profit": "0.1", "pairs": str(number), "matched": "1", "buy": "9", "sell": "10"}
            await house.notice(NoticeKind.PAIR, f"p{number}", 1 + number % 20, qty="1", **values)
        began = time.monotonic()
        await house.notice(NoticeKind.FAILED, "x", 7, reason="liquidated")
        await house.hand.sees("failed")
        assert time.monotonic() - began < 2
        await settled(house)
    assert len(await told(house)) <= 6


async def test_notices_answer_the_start_of_their_grid_and_its_card_where_it_is_open(house: House) -> None:
    house.desk.put(a_card(1))
    async with house.open():
        await house.notice(NoticeKind.STARTED, "s1", 1, orders="40")
        start = await house.hand.sees("started")
        await house.notice(NoticeKind.PAUSED, "1", 1, reason="user")
        await house.hand.sees("paused")
        assert house.chat.store.chat(OWNER).posts[2].body["reply_to_message"]["message_id"] == start["id"]
    async with house.open():  # also after a restart
        await house.notice(NoticeKind.RESUMED, "2", 1)
        resumed = await house.hand.sees("resumed")
        assert house.chat.store.chat(OWNER).posts[resumed["id"]].body["reply_to_message"]["message_id"] == start["id"]
        card = await house.hand.types("/grid 1", "Grid profit")
        await house.notice(NoticeKind.PAUSED, "3", 1, reason="user")
        again = await house.hand.sees("paused", lambda each: each["id"] > card["id"])
        assert house.chat.store.chat(OWNER).posts[again["id"]].body["reply_to_message"]["message_id"] == card["id"]


async def test_what_a_person_switched_off_is_not_told_and_silence_makes_no_sound(house: House) -> None:
    await preferences.put(house.database, OWNER, "notify.life", "off")
    await preferences.put(house.database, OWNER, "notify.trouble", "silent")
    async with house.open():
        await house.notice(NoticeKind.STARTED, "s", 1, orders="4")
        await house.notice(NoticeKind.FAILED, "x", 1, reason="liquidated")
        screen = await house.hand.sees("failed")
        await settled(house)
    assert len(await told(house)) == 1
    assert house.chat.store.chat(OWNER).posts[screen["id"]].silent


# --------------------------------------------------------------------------- outages


async def test_after_an_outage_there_is_one_summary_instead_of_a_flood(house: House) -> None:
    for number in range(214):
        await old(house, NoticeKind.FILL, f"f{number}", 1 + number % 3, 600_000, side="BUY", price="1", qty="1")
    for number in range(96):
        await old(house, NoticeKind.PAIR, f"p{number}", 1 + number % 3, 600_000, profit="0.125", buy="1", sell="2")
    for number in range(4):
        await old(house, NoticeKind.SLOT_WAITS, f"w{number}", 2, 500_000, side="BUY", price="1", reason="margin")
    await old(house, NoticeKind.ERROR, "e", 3, 400_000, reason="refused", code="-1", text="no")
    async with telling(house):
        screen = await house.hand.sees("While you were away (10 min")
        assert "214 fills, 96 pairs +12.00 USDT on 3 grids, 1 error" in screen["text"]
        assert "S3USDT: the exchange refused an order" in screen["text"]
        assert await house.hand.pressed(screen, "Acknowledge") is not None
        await settled(house)
        await asyncio.sleep(0.6)
    assert len(await told(house)) == 1
    assert await outbox.urged(house.database, 2**60, 10) == []


async def test_few_notices_of_an_outage_are_told_one_by_one(house: House) -> None:
    await old(house, NoticeKind.STARTED, "s", 1, 600_000, orders="4")
    await old(house, NoticeKind.FAILED, "x", 1, 500_000, reason="liquidated")
    async with house.open():
        await house.hand.sees("S1USDT failed")
        await house.hand.sees("S1USDT started")


async def test_a_swarm_of_errors_is_one_message_at_any_time(house: House) -> None:
    for number in range(30):
        await house.notice(NoticeKind.ERROR, f"e{number}", 1, reason="refused", code="-1", text=f"no {number}")
    async with house.open():
        screen = await house.hand.sees("30 things happened at once")
        assert "no 29" not in screen["text"] and "and 22 more" in screen["text"]
        await settled(house)
    assert len(await told(house)) == 1


# --------------------------------------------------------------------------- until acknowledged


async def test_an_urgent_notice_is_told_again_until_it_is_acknowledged(house: House) -> None:
    async with house.open():
        await house.notice(NoticeKind.FAILED, "x", 1, reason="liquidated")
        first = await house.hand.sees("failed")
        house.clock = lambda: now() + notify.REPEATS[0] + 1_000
        again = await house.hand.sees("Not acknowledged yet: 🔴 BTCUSDT failed")
        assert again["id"] != first["id"]
        answer = await house.hand.pressed(first, "Acknowledge")
        assert answer is not None and answer["text"] == "Acknowledged"
        house.clock = lambda: now() + sum(notify.REPEATS) + 5_000
        await asyncio.sleep(1)
        gone = next(each for each in await house.hand.bot_screens() if each["id"] == first["id"])
        assert not any("Acknowledge" in text for row in gone["buttons"] for text in row)
    assert len(await told(house)) == 2


async def test_reminders_survive_a_restart_come_together_and_end_after_the_last(house: House) -> None:
    async with house.open():
        await house.notice(NoticeKind.FAILED, "x", 1, reason="liquidated")
        await house.notice(NoticeKind.ERROR, "y", 2, reason="refused", text="no")
        await house.hand.sees("failed")
        await house.hand.sees("refused an order")
    at = now()
    for number, pause in enumerate(notify.REPEATS):
        at += pause + 2_000
        house.clock = lambda at=at: at  # type: ignore[misc]
        async with house.open():
            before = 2 + number
            async with asyncio.timeout(8):
                while len(await told(house)) <= before:
                    await asyncio.sleep(0.05)
        assert "2 notices are not acknowledged yet" in (await told(house))[-1]
    house.clock = lambda: at + 10 * notify.REPEATS[-1]
    async with house.open():
        await asyncio.sleep(1)
    assert len(await told(house)) == 2 + len(notify.REPEATS)


async def test_what_mends_itself_is_not_repeated_and_looking_acknowledges(house: House) -> None:
    house.desk.put(a_card(2))
    async with house.open():
        await house.notice(NoticeKind.DISCONNECTED, "d", 0, account="demo")
        await house.hand.sees("cannot be reached")
        await house.notice(NoticeKind.RECOVERED, "r", 0, account="demo", bots="1", orders="1", fills="0")
        await house.hand.sees("connected again")
        await house.notice(NoticeKind.FAILED, "x", 2, reason="liquidated")
        failed = await house.hand.sees("failed")
        await house.hand.presses(failed, "Open BTCUSDT #2", "Grid profit")
        await asyncio.sleep(0.2)
    assert await outbox.urged(house.database, 2**60, 10) == []


async def test_nobody_acknowledges_for_somebody_else(house: House) -> None:
    async with house.open():
        await house.notice(NoticeKind.FAILED, "x", 1, reason="liquidated")
        first = await house.hand.sees("failed")
        await settled(house)
    (waiting,) = await outbox.urged(house.database, 2**60, 10)
    assert await outbox.acknowledge(house.database, OWNER + 1, first["id"], waiting.id, waiting.id) == 0
    assert await outbox.acknowledge(house.database, OWNER, 0, waiting.id) == 1


# --------------------------------------------------------------------------- live cards


async def test_an_open_card_follows_its_grid_and_leaves_other_screens_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY", 0.1)
    card = house.desk.put(a_card(1))
    async with house.open():
        screen = await house.hand.types("/grid 1", "+12.35 USDT")
        house.desk.put(replace(card, matched=Decimal("77.5")))
        live_one = await house.hand.sees("+77.50 USDT")
        assert live_one["id"] == screen["id"]
        asked = await house.hand.presses(live_one, "Stop", "Stop BTCUSDT neutral #1")
        house.desk.put(replace(card, matched=Decimal("88.5")))
        await asyncio.sleep(2.2)
        shown = next(each for each in await house.hand.bot_screens() if each["id"] == asked["id"])
        assert "Stop BTCUSDT neutral #1" in shown["text"]


async def test_a_card_of_somebody_who_was_removed_is_drawn_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY", 0.1)
    card = house.desk.put(a_card(1))
    async with house.open():
        await house.hand.types("/grid 1", "+12.35 USDT")
        await users.remove(house.database, OWNER)
        house.desk.put(replace(card, matched=Decimal("77.5")))
        await asyncio.sleep(1.5)
        assert "+77.50" not in "".join(await told(house))


# --------------------------------------------------------------------------- edits


async def test_of_edits_that_wait_for_one_message_only_the_newest_is_sent(house: House) -> None:
    async with house.open() as front:
        message = await front.panel.send(OWNER, Screen("0"))
        changes = house.chat.store.listen()
        await asyncio.gather(*(front.panel.edit(OWNER, message, Screen(str(number))) for number in range(1, 9)))
        edits = [event["message"]["text"] for event in drained(changes) if event["type"] == "edit"]
        assert edits[-1] == "8" and len(edits) <= 2


async def test_an_outage_holds_up_no_order(house: House) -> None:
    house.desk.put(a_card(1))
    async with house.open():
        await house.hand.types("/version", "Trellis")
        await house.hand.outage("hang")
        began = time.monotonic()
        for number in range(200):
            await house.notice(NoticeKind.PAIR, f"p{number}", 1, profit="1", buy="1", sell="2", qty="1")
        assert time.monotonic() - began < 5, "writing a notice waits for nobody"
        await house.desk.pause(1, OWNER)
        assert house.desk.calls == [("pause", 1)]
        await house.hand.outage("off")
        await settled(house)


def drained(queue: asyncio.Queue) -> list[dict]:  # type: ignore[type-arg]
    found = []
    while not queue.empty():
        found.append(queue.get_nowait())
    return found
