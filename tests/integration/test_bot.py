"""The Telegram front over real HTTP: a person types and presses in the local chat, and looks at what is on screen."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

import pytest

from bot.app import Front
from storage import audit, drafts, outbox, users
from storage.users import Role
from tests.fakes import OWNER, a_card
from tests.house import STRANGER, VIEWER, House, now
from trading.messages import NoticeKind
from trading.model import Side
from trading.views import LevelRow, Refusal

pytestmark = pytest.mark.timeout(60)
TAPS = (
    ("BTCUSDT", "Which way"),
    ("Neutral", "Between which prices"),
    ("±10%", "How many grids"),
    ("40 ·", "How much do you invest"),
    ("50%", "Which leverage"),
    ("5x", "Net profit per grid"),
)


# --------------------------------------------------------------------------- the wizard


async def test_a_grid_is_created_and_started_by_taps_alone_in_one_message(house: House) -> None:
    async with house.open():
        first = screen = await house.hand.types("/new", "What should be traded")
        for caption, sees in TAPS:
            screen = await house.hand.presses(screen, caption, sees)
            assert screen["id"] == first["id"]
        screen = await house.hand.presses(screen, "Create and start", "Running")
        assert screen["id"] == first["id"]
        assert "Grid profit" in screen["text"]
        assert "Floating PnL" in screen["text"]
    assert [call[0] for call in house.desk.calls] == ["create", "start"]
    assert house.desk.calls[0][2] == {
        "symbol": "BTCUSDT", "direction": "neutral", "lower": "58500", "upper": "71500", "grids": "40",
        "investment": "5000", "leverage": "5",
    }  # fmt: skip
    assert await drafts.load(house.database, OWNER) is None


async def test_every_answer_can_be_typed_and_the_chat_stays_clean(house: House) -> None:
    async with house.open():
        first = await house.hand.types("/new", "What should be traded")
        for text, sees in [
            ("btc", "Which way"), ("bullish", "Between which prices"), ("５８,０００ – 72,000", "How many grids"),
            ("40", "How much do you invest"), ("50%", "Which leverage"), ("x5", "Net profit per grid"),
        ]:  # fmt: skip
            screen = await house.hand.types(text, sees)
            assert screen["id"] == first["id"]
        assert "Investment  5,000.00 USDT" in screen["text"]
        await asyncio.sleep(0.2)
        assert [each["text"] for each in await house.hand.screens() if each["from"] == "me"] == ["/new"]


async def test_a_restart_at_any_step_goes_on(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new", "What should be traded")
    for caption, sees in TAPS:
        async with house.open():
            screen = await house.hand.presses(screen, caption, sees)
    async with house.open():
        await house.hand.presses(screen, "Create and start", "Running")
    assert [call[0] for call in house.desk.calls] == ["create", "start"]


async def test_back_leads_from_the_preview_to_the_first_question(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        for sees in ("Which leverage", "How much", "How many", "Between which", "Which way", "What should"):
            screen = await house.hand.presses(screen, "Back", sees)
        screen = await house.hand.presses(screen, "BTCUSDT", "Net profit per grid")


async def test_a_line_goes_straight_to_the_preview(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x sl=50000", "Net profit per grid")
        assert "at the stop 50,000" in screen["text"]
        screen = await house.hand.presses(screen, "💾 Create", "Not started")
    assert [call[0] for call in house.desk.calls] == ["create"]
    assert house.desk.calls[0][2]["stop_loss"] == "50000"


async def test_a_line_without_investment_asks_for_it(house: House) -> None:
    async with house.open():
        await house.hand.types("/new BTCUSDT 58000-72000 40 5x", "How much do you invest")
        await house.hand.types("5000", "Net profit per grid")


async def test_a_line_without_the_command_is_offered_as_a_draft(house: House) -> None:
    async with house.open():
        await house.hand.types("BTCUSDT neutral 58000-72000 40 5000u 5x", "Nothing is traded before you confirm")
        assert not house.desk.calls


async def test_one_setting_can_be_changed_and_cleared_from_its_declaration(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        screen = await house.hand.presses(screen, "Edit", "What would you like to change")
        screen = await house.hand.presses(screen, "More settings", "Every other setting")
        screen = await house.hand.presses(screen, "Spacing", "How the levels are spread")
        screen = await house.hand.presses(screen, "equal ratios", "Every other setting")
        assert any("equal ratios" in text for row in screen["buttons"] for text in row)
        screen = await house.hand.presses(screen, "Spacing", "Now: equal ratios")
        screen = await house.hand.presses(screen, "Use the default", "Every other setting")
        screen = await house.hand.presses(screen, "Back", "equal steps")
        screen = await house.hand.types("sl=50000 note=hello", "at the stop 50,000")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("72000-58000", "must be above the lower price"),
        ("between us", "not a range"),
        ("<b>1</b>-<i>2</i>", "“<b>1</b>” is not a number"),
        ("y" * 4096, "too long"),
    ],
)
async def test_a_wrong_answer_gets_one_sentence_and_keeps_the_draft(house: House, text: str, sentence: str) -> None:
    async with house.open():
        screen = await house.hand.types("/new", "What should be traded")
        screen = await house.hand.presses(screen, "BTCUSDT", "Which way")
        screen = await house.hand.presses(screen, "Neutral", "Between which")
        again = await house.hand.types(text, sentence)
        assert again["id"] == screen["id"]
        assert "BTCUSDT neutral" in again["text"]
        await house.hand.types("58000-72000", "How many grids")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/new ETHUSD 1-2 4", "Did you mean ETHUSDT"),
        ("/new BTCUSDT 72000-58000 40", "must be above the lower price"),
        ("/new BTCUSDT 58000-72000 501 500u", "out of bounds"),
        ("/new BTCUSDT 58000-72000 40 500u 0x", "out of bounds"),
        ("/new BTCUSDT 58000-72000 40 500u fast", "do not know what “fast” means"),
        ("/new BTCUSDT 66000-72000 40 5000u", "outside the range"),
        ("/new BTCUSDT 58000-72000 40 50000u", "At most 10,000 can be invested"),
        ("/new BTCUSDT 58000-72000 40 100u", "Invest at least"),
        ("/new " + "z" * 4000, "too long"),
    ],
)
async def test_a_wrong_line_gets_one_clear_sentence(house: House, line: str, sentence: str) -> None:
    async with house.open():
        await house.hand.types(line, sentence)
    assert not house.desk.calls


async def test_a_late_preview_is_shown_anew_before_anything_is_created(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        house.clock = lambda: now() + 6 * 60_000
        await house.hand.presses(screen, "Create and start", "older than five minutes")
        assert not house.desk.calls
        screen = await house.hand.sees("older than five minutes")
        await house.hand.presses(screen, "Create and start", "Running")
    assert [call[0] for call in house.desk.calls] == ["create", "start"]


async def test_create_pressed_twice_at_once_creates_one_grid(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        await asyncio.gather(*(house.hand.pressed(screen, "Create and start") for _ in range(3)))
        await house.hand.sees("Running")
    assert [call[0] for call in house.desk.calls] == ["create", "start"]


async def test_a_button_of_an_older_draft_changes_nothing(house: House) -> None:
    async with house.open():
        old = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        await house.hand.types("/new ETHUSDT 3000-3500 20 1000u", "ETHUSDT")
        answer = await house.hand.pressed(old, "Create and start")
        assert answer is not None
        assert "outdated" in answer["text"]
        assert answer["show_alert"]
    assert not house.desk.calls
    kept = await drafts.load(house.database, OWNER)
    assert kept is not None
    assert kept.fields["symbol"] == "ETHUSDT"


async def test_a_draft_is_found_again_and_can_be_left(house: House) -> None:
    async with house.open():
        await house.hand.types("/new BTCUSDT 58000-72000 40", "How much do you invest")
        await house.hand.types("/start", "unfinished draft: BTCUSDT neutral")
        screen = await house.hand.types("/new", "Going on with your draft")
        await house.hand.types("/cancel", "Nothing was created")
        answer = await house.hand.pressed(screen, "50%")
        assert answer is not None
        assert "outdated" in answer["text"]
        await house.hand.types("/cancel", "nothing to cancel")


async def test_a_warning_that_must_be_confirmed_is_asked_for_before_the_start(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT long 58000-66000 20 5000u", "little room to rise")
        screen = await house.hand.presses(screen, "Create and start", "Start BTCUSDT long #1 (DEMO)?")
        assert [call[0] for call in house.desk.calls] == ["create"]
        await house.hand.presses(screen, "Start anyway", "Running")
    assert [call[0] for call in house.desk.calls] == ["create", "start"]


async def test_the_exchange_being_down_keeps_the_draft(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/new", "What should be traded")
        screen = await house.hand.presses(screen, "BTCUSDT", "Which way")
        house.desk.is_down = True
        screen = await house.hand.presses(screen, "Neutral", "cannot be reached")
        await house.hand.types("58000-72000", "How many grids")
        house.desk.is_down = False
        await house.hand.types("40", "Free for a new grid")


async def test_a_grid_that_stands_in_the_way_is_named_before_anything_is_filled_in(house: House) -> None:
    house.desk.put(a_card(7))
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT", "Which way")
        assert "Grid #7 trades BTCUSDT on this account already" in screen["text"]
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u", "Net profit per grid")
        assert "Grid #7 trades BTCUSDT on this account already" in screen["text"]
        assert "Grid #7" not in (await house.hand.types("/new ETHUSDT", "Which way"))["text"]


async def test_more_than_is_free_is_refused_where_it_is_asked_for(house: House) -> None:
    async with house.open():
        await house.hand.types("/new BTCUSDT neutral 58000-72000 40", "How much do you invest")
        await house.hand.types("12 000", "12,000 is more than is free. At most 10,000 can be invested.")
        await house.hand.types("160%", "Investment: 160 is out of bounds")
        await house.hand.types("60%", "Net profit per grid")


# --------------------------------------------------------------------------- grids


async def test_a_running_grid_is_paused_resumed_stopped_and_deleted(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/grids", "My grids")
        screen = await house.hand.presses(screen, "BTCUSDT neutral #1", "Orders resting")
        screen = await house.hand.presses(screen, "Pause", "Pause BTCUSDT neutral #1 (DEMO)?")
        screen = await house.hand.presses(screen, "Pause now", "Paused: by you")
        screen = await house.hand.presses(screen, "Resume", "placed again between")
        screen = await house.hand.presses(screen, "Resume now", "Running")
        screen = await house.hand.presses(screen, "Orders", "Orders of BTCUSDT #1")
        screen = await house.hand.presses(screen, "›", "72,000")
        screen = await house.hand.presses(screen, "Back to the grid", "Running")
        screen = await house.hand.presses(screen, "Stop", "closed by a market order at about 64,980.5")
        screen = await house.hand.presses(screen, "close position", "Stopped")
        assert "Position  none" in screen["text"]
        screen = await house.hand.presses(screen, "Delete", "its trades stay on record")
        await house.hand.presses(screen, "Delete for good", "No grids yet")
    assert house.desk.calls == [("pause", 1), ("resume", 1, False), ("stop", 1, True), ("delete", 1)]


async def test_a_start_that_the_account_stands_against_says_what_to_do(house: House) -> None:
    rich = a_card().parameters | {"investment": "5000"}
    house.desk.put(a_card(status="STOPPED", position=Decimal(0), parameters=rich))
    house.desk.refuses_start = (Refusal("margin_mode_orders", {"bot": "1", "symbol": "BTCUSDT", "why": "-4047: x"}),)
    async with house.open():
        screen = await house.hand.types("/grid 1", "Stopped")
        screen = await house.hand.presses(screen, "Start again", "Start BTCUSDT")
        screen = await house.hand.presses(screen, "Start now", "Cancel those orders, or set up the grid with")
        assert "-4047" not in screen["text"]


async def test_a_symbol_names_the_grid_to_look_at_or_to_stop(house: House) -> None:
    house.desk.put(a_card(1))
    async with house.open():
        await house.hand.types("/grid btc", "Orders resting")
        await house.hand.types("/stop BTCUSDT", "Stop BTCUSDT neutral #1")
        assert (await house.hand.types("/stop eth", "Which grid"))["buttons"][0] == ["🟢 BTCUSDT neutral #1"]


async def test_a_position_that_came_since_the_question_is_asked_about(house: House) -> None:
    house.desk.put(a_card(1, position=Decimal(0)))
    async with house.open():
        screen = await house.hand.types("/stop 1", "There is no position to close")
        house.desk.put(a_card(1))
        screen = await house.hand.presses(screen, "Stop now", "the grid has traded and holds a position")
        assert not house.desk.calls
        await house.hand.presses(screen, "Stop, close position", "Stopped")
    assert house.desk.calls == [("stop", 1, True)]


async def test_stop_without_a_number_asks_which(house: House) -> None:
    house.desk.put(a_card(1))
    house.desk.put(a_card(2, symbol="ETHUSDT", base="ETH"))
    house.desk.put(a_card(3, status="STOPPED"))
    async with house.open():
        screen = await house.hand.types("/stop", "Which grid?")
        assert len(screen["buttons"]) == 3
        screen = await house.hand.presses(screen, "ETHUSDT", "Stop ETHUSDT neutral #2")
        await house.hand.presses(screen, "keep position", "Stopped")
        await house.hand.types("/stop 1", "Stop BTCUSDT neutral #1")
        await house.hand.types("/stop 99", "There is no grid #99")
    assert house.desk.calls == [("stop", 2, False)]


async def test_a_dangerous_button_works_once_and_not_after_a_restart_or_too_late(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        asked = await house.hand.types("/stop 1", "Stop BTCUSDT")
        await asyncio.gather(house.hand.pressed(asked, "keep position"), house.hand.pressed(asked, "keep position"))
        await house.hand.sees("Stopped")
        assert house.desk.calls == [("stop", 1, False)]
        house.desk.put(a_card())
        answer = await house.hand.pressed(await house.hand.types("/stop 1", "Stop BTCUSDT"), "Back")
        assert answer is not None
        asked = await house.hand.types("/stop 1", "Stop BTCUSDT")
    async with house.open():
        answer = await house.hand.pressed(asked, "close position")
        assert answer is not None
        assert "outdated" in answer["text"]
        late = await house.hand.types("/stop 1", "Stop BTCUSDT")
        house.clock = lambda: now() + 6 * 60_000
        answer = await house.hand.pressed(late, "close position")
        assert answer is not None
        assert "outdated" in answer["text"]
        fresh = await house.hand.sees("Running")
        assert any("Pause" in text for row in fresh["buttons"] for text in row)
    assert house.desk.calls == [("stop", 1, False)]


async def test_the_state_is_checked_again_at_the_press(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        asked = await house.hand.types("/stop 1", "Stop BTCUSDT")
        house.desk.put(a_card(status="STOPPED"))
        await house.hand.presses(asked, "keep position", "This cannot be done now: the grid is stopped")
    assert not house.desk.calls


async def test_a_cancelled_order_is_placed_again_by_its_button(house: House) -> None:
    row = LevelRow(3, Side.BUY, Decimal(59050), Decimal("0.001"), Decimal(0), "cancelled_elsewhere")
    house.desk.put(a_card(missing=(row,)))
    async with house.open():
        await house.notice(
            NoticeKind.SLOT_WAITS, "w1", slot="3", side="BUY", price="59050.0", reason="cancelled_elsewhere"
        )
        told = await house.hand.sees("has no order")
        asked = await house.hand.presses(told, "Place it again", "Place the buy at 59,050 again?")
        await house.hand.presses(asked, "Place it again", "Running")
    assert house.desk.calls == [("place", 1, 3)]


async def test_refresh_pressed_again_and_again_makes_no_error(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.desk.put(a_card())
    frozen = now()
    house.clock = lambda: frozen
    async with house.open():
        screen = await house.hand.types("/grid", "Grid profit")
        for _ in range(3):
            assert await house.hand.pressed(screen, "Refresh") is not None
    with caplog.at_level(logging.INFO):
        async with house.open():  # a restart forgets what is shown: Telegram itself says "not modified" then
            assert await house.hand.pressed(screen, "Refresh") is not None
            await asyncio.sleep(0.1)
    assert "not modified" not in caplog.text
    assert len(await house.hand.bot_screens()) == 1


async def test_every_command_answers(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        for command, sees in {
            "/start": "1 running of 1 grid", "/help": "How this works", "/grids": "My grids", "/grid 1": "Grid profit",
            "/balance": "10,000.00 USDT", "/positions": "BTCUSDT long 0.012", "/orders": "BTCUSDT price now",
            "/health": "Everything works", "/version": "Trellis 1.2.3", "/grid 5": "There is no grid #5",
            "/grid x": "Which grid?", "/nonsense": "I do not know this command", "what is this": "I did not understand",
            "/health@trellis_demo_bot": "Everything works",
        }.items():  # fmt: skip
            await house.hand.types(command, sees)
        async with house.http.get(f"{house.root}/chat/{OWNER}/commands") as response:
            names = {each["command"] for each in (await response.json())["commands"]}
        assert {"new", "grids", "grid", "stop", "balance", "positions", "orders", "health", "version", "help"} <= names


async def test_the_exchange_being_down_is_one_sentence(house: House) -> None:
    house.desk.put(a_card())
    house.desk.is_down = True
    async with house.open():
        for command in ("/balance", "/positions", "/orders"):
            await house.hand.types(command, "cannot be reached now")
        await house.hand.types("/start", "Account demo: not reachable")
        asked = await house.hand.types("/stop 1", "Stop BTCUSDT")
        await house.hand.presses(asked, "keep position", "cannot be reached now")


# --------------------------------------------------------------------------- who may


async def test_a_stranger_gets_one_sentence_with_his_id_and_nothing_more(house: House) -> None:
    eve = house.hand_of(STRANGER)
    house.desk.put(a_card())
    async with house.open():
        await eve.types("/grids", f"Your numeric id is {STRANGER}")
        for text in ("/stop 1", "/new BTCUSDT 58000-72000 40 5000u", "hello"):
            await eve.says(text)
        await house.hand.types("/version", "Trellis")
        await asyncio.sleep(0.2)
        assert len(await eve.bot_screens()) == 1
    entries = await audit.latest(house.database, 10, STRANGER)
    assert [entry.action for entry in entries] == ["stranger.message"]
    assert not house.desk.calls


async def test_who_was_removed_can_press_nothing(house: House) -> None:
    house.desk.put(a_card())
    await users.add(house.database, STRANGER, Role.ADMIN, 1)
    eve = house.hand_of(STRANGER)
    async with house.open():
        asked = await eve.types("/stop 1", "Stop BTCUSDT")
        await users.remove(house.database, STRANGER)
        answer = await eve.pressed(asked, "close position")
        assert answer is not None
        assert str(STRANGER) in answer["text"]
    assert not house.desk.calls


async def test_a_viewer_looks_and_does_not_act(house: House) -> None:
    house.desk.put(a_card(owner=VIEWER))
    house.desk.put(a_card(2))
    vic = house.hand_of(VIEWER)
    async with house.open():
        screen = await vic.types("/grid 1", "Grid profit")
        assert not any("Stop" in text for row in screen["buttons"] for text in row)
        await vic.types("/grid 2", "There is no grid #2")
        await vic.types("/stop 1", "not act")
        await vic.types("/new", "not act")


async def test_a_trader_sees_only_what_is_his(house: House) -> None:
    await users.add(house.database, STRANGER, Role.TRADER, 1)
    house.desk.put(a_card(1))
    eve = house.hand_of(STRANGER)
    async with house.open():
        await eve.types("/grids", "No grids yet")
        await eve.types("/stop 1", "There is no grid #1")
        await eve.types("/balance", "No accounts yet")


# --------------------------------------------------------------------------- notices


async def test_pairs_that_come_together_are_one_message_and_fills_are_not_told(house: House) -> None:
    async with house.open():
        await house.notice(
            NoticeKind.STARTED, "s", direction="NEUTRAL", lower="58000", upper="72000", grids="40", orders="40"
        )
        await house.hand.sees("BTCUSDT started")
        for number in range(1, 6):
            await house.notice(NoticeKind.FILL, f"f{number}", side="BUY", price="64000", qty="0.001")
            await house.notice(
                NoticeKind.PAIR, f"p{number}", buy="64000", sell="64350", qty="0.001", profit="0.5",
                pairs=str(number), matched=str(number),
            )  # fmt: skip
        screen = await house.hand.sees("Pairs so far: 5")
        await asyncio.sleep(0.3)
        told = [each["text"] for each in await house.hand.bot_screens()]
        assert len(told) <= 3
        assert "DEMO" in screen["text"]
        assert "buy 0.001 at 64,000" not in " ".join(told)
    assert await outbox.pending(house.database) == 0


async def test_what_was_told_is_not_told_again_after_a_restart(house: House) -> None:
    async with house.open():
        await house.notice(NoticeKind.PAUSED, "1", reason="margin")
        await house.hand.sees("not enough free margin")
    async with house.open():
        await house.notice(NoticeKind.PAUSED, "1", reason="margin")
        await house.notice(NoticeKind.RESUMED, "2")
        await house.hand.sees("BTCUSDT resumed")
    assert len([e for e in await house.hand.bot_screens() if "paused" in e["text"]]) == 1


async def test_a_critical_notice_whose_sending_was_cut_off_is_told_again_and_says_so(house: House) -> None:
    await house.notice(NoticeKind.FAILED, "1", reason="liquidated")
    await house.notice(NoticeKind.PAIR, "2", buy="1", sell="2", qty="1", profit="1")
    parcels = await outbox.due(house.database, now(), 10)
    await outbox.claim(house.database, [parcel.id for parcel in parcels], now())
    async with house.open():
        await house.hand.sees("(again) 🔴 BTCUSDT failed")
        await asyncio.sleep(0.5)
    assert not [each for each in await house.hand.bot_screens() if "pair" in each["text"]]
    assert await outbox.pending(house.database) == 0


async def test_a_flood_limit_delays_and_loses_nothing(house: House) -> None:
    async with house.open():
        await house.hand.flood(1.5)
        await house.notice(NoticeKind.PAUSED, "1", reason="margin")
        await house.notice(NoticeKind.RESUMED, "2")
        await house.hand.sees("paused")
        await house.hand.sees("resumed")
    assert await outbox.pending(house.database) == 0


async def test_who_blocked_the_bot_is_not_tried_for_ever(house: House) -> None:
    async with house.open():
        await house.hand.types("/version", "Trellis")
        await house.hand.block(True)
        await house.notice(NoticeKind.PAUSED, "1", reason="margin")
        async with asyncio.timeout(5):
            while await outbox.pending(house.database):
                await asyncio.sleep(0.05)


async def test_a_nasty_notice_is_shown_as_it_is(house: House) -> None:
    async with house.open():
        await house.notice(NoticeKind.ERROR, "1", code="-1", text="<b>no</b> & {x}", reason="refused")
        await house.hand.sees("<b>no</b> & {x}")


# --------------------------------------------------------------------------- Telegram itself


@pytest.mark.parametrize("mode", ["drop", "error"])
async def test_telegram_being_down_at_the_start_is_waited_for(house: House, mode: str) -> None:
    await house.hand.outage(mode)
    async with house.open(wait=False) as front:
        await house.notice(NoticeKind.STARTED, "1", orders="40")
        await asyncio.sleep(0.5)
        assert not front.is_up
        assert await outbox.pending(house.database) == 1
        await house.hand.outage("off")
        await house.hand.sees("BTCUSDT started")
        assert front.is_up


async def test_an_outage_in_the_middle_keeps_notices_and_ends_by_itself(house: House) -> None:
    async with house.open() as front:
        await house.hand.types("/version", "Trellis")
        await house.hand.outage("error")
        async with asyncio.timeout(5):
            while front.is_up:
                await asyncio.sleep(0.02)
        await house.notice(NoticeKind.PAUSED, "1", reason="margin")
        await asyncio.sleep(0.3)
        await house.hand.outage("off")
        await house.hand.sees("BTCUSDT paused")
        await house.hand.types("/health", "Everything works")


async def test_a_hanging_telegram_does_not_hold_up_the_end(house: House) -> None:
    async with house.open():
        await house.hand.types("/version", "Trellis")
        await house.hand.outage("hang")
        await house.notice(NoticeKind.PAUSED, "1", reason="margin")
        await asyncio.sleep(0.6)
    await house.hand.outage("off")
    async with house.open():
        await house.hand.sees("BTCUSDT paused")


async def test_a_wrong_token_is_said_and_does_no_harm(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    front = Front("999:WRONG", house.desk, house.database, base_url=house.root, clock=now)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(front.run())
        await asyncio.sleep(0.5)
        assert not front.is_up
        assert not task.done()
        task.cancel()
    assert "WRONG" not in capsys.readouterr().out


async def test_a_fault_of_ours_gives_a_reference_and_the_next_command_works(house: House) -> None:
    async with house.open():
        house.desk.health = None  # type: ignore[method-assign, assignment]
        await house.hand.types("/health", "Something went wrong on our side (reference")
        del house.desk.health
        await house.hand.types("/health", "Everything works")


async def test_a_refused_start_is_explained_and_the_grid_kept(house: House) -> None:
    house.desk.refuses_start = (Refusal("foreign_position", {"symbol": "BTCUSDT", "qty": "0.5"}),)
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        await house.hand.presses(screen, "Create and start", "that is not this grid's")
        await house.hand.types("/grids", "Not started")
