"""The rooms of the chat over real HTTP: pictures, edits, emergency stop, accounts, settings, presets."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

import pytest

from bot.access import Reader
from bot.app import Front
from bot.menu import Press
from storage import preferences, users
from storage.users import Role
from tests.fakes import NOW, OWNER, a_card
from tests.hand import Hand
from tests.house import STRANGER, VIEWER, House, now
from trading.messages import NoticeKind
from trading.model import Direction, Environment, Side
from trading.ports import Account
from trading.views import Aftermath, DayRow, Declined, FillRow, PositionRow

pytestmark = pytest.mark.timeout(60)
NASTY = '<b>x</b> & "co" {0} %s'


def screens_with(found: list[dict[str, object]], kind: str) -> list[dict[str, object]]:
    return [each for each in found if each.get(kind)]


async def photos(hand: Hand) -> list[dict[str, object]]:
    return [each for each in await hand.bot_screens() if any("Close" in b for row in each["buttons"] for b in row)]


async def seen_photo(hand: Hand, caption: str) -> dict[str, object]:
    """The picture whose chosen button is `caption`, waited for."""
    for _ in range(200):
        for each in await photos(hand):
            if any(f"•{caption}" in b for row in each["buttons"] for b in row):  # type: ignore[attr-defined]
                return each
        await asyncio.sleep(0.05)
    raise AssertionError([each["buttons"] for each in await hand.bot_screens()])


# --------------------------------------------------------------------------- looking


async def test_the_card_shows_next_levels_protections_events_and_connection(house: House) -> None:
    house.desk.put(a_card(stop_loss=Decimal(55000), note=NASTY))
    async with house.open():
        await house.notice(NoticeKind.PAIR, "p", buy="64000", sell="64350", qty="0.001", profit="0.35", pairs="3")
        await house.hand.sees("pair +0.3500")
        screen = await house.hand.types("/grid 1", "Next  buy 64,650 · sell 65,350")
        assert "Stop-loss  55,000" in screen["text"]
        assert "pair +0.3500 USDT" in screen["text"].split("Last events")[1]
        assert "exchange connected" in screen["text"]
        assert f"📝 {NASTY}" in screen["text"]


async def test_performance_and_profit_show_days_and_no_rate_under_a_day(house: House) -> None:
    house.desk.put(a_card(funding=Decimal("-0.5")))
    day = NOW - NOW % 86_400_000
    rows = [DayRow(day - i * 86_400_000, Decimal(i + 1), i, 2 * i, Decimal("0.1")) for i in range(14)][::-1]
    house.desk.days[1] = rows
    async with house.open():
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Performance", "Grid profit by day")
        assert "The yearly rate (APR) is shown after 24 hours" in screen["text"]
        assert "before: +50.00" in screen["text"]
        house.desk.put(a_card(started=NOW - 10 * 86_400_000))
        await house.hand.presses(screen, "Refresh", "A year at this pace (APR): grid profit +90.1%, total +66.7%")
        screen = await house.hand.types("/profit", "Grid profit +12.35 · floating PnL −3.21")
        await house.hand.presses(screen, "BTCUSDT neutral #1", "Grid profit by day")


async def test_every_screen_refreshes_in_place_and_no_error_reaches_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.desk.put(a_card())
    frozen = now()
    house.clock = lambda: frozen
    with caplog.at_level(logging.INFO):
        async with house.open():
            for command in ("/start", "/grids", "/grid 1", "/balance", "/positions", "/orders", "/profit", "/health",
                            "/accounts", "/audit"):  # fmt: skip
                before = len(await house.hand.bot_screens())
                await house.hand.says(command)
                for _ in range(100):
                    if len(await house.hand.bot_screens()) > before:
                        break
                    await asyncio.sleep(0.03)
                screen = (await house.hand.bot_screens())[-1]
                if any("Refresh" in b for row in screen["buttons"] for b in row):
                    for _ in range(2):
                        assert await house.hand.pressed(screen, "Refresh") is not None
                await asyncio.sleep(0.05)
                assert len(await house.hand.bot_screens()) == before + 1, command
    assert "not modified" not in caplog.text
    assert "update failed" not in caplog.text


async def test_a_start_is_shown_when_it_runs(house: House) -> None:
    house.desk.starts_in = 0.6
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT neutral 58000-72000 40 5000u 5x", "Net profit per grid")
        await house.hand.presses(screen, "Create and start", "🟢 BTCUSDT neutral grid #1")


# --------------------------------------------------------------------------- starting again, reset


async def test_a_stopped_grid_with_lots_asks_what_to_do_with_them(house: House) -> None:
    more = a_card().parameters | {"investment": "5000"}
    house.desk.put(a_card(status="STOPPED", parameters=more))
    async with house.open():
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Start again", "Its last run left a position: long 0.012 BTC")
        await house.hand.presses(screen, "Close position first", "Running")
        house.desk.put(a_card(2, status="STOPPED", parameters=more))
        screen = await house.hand.types("/grid 2", "Orders resting")
        screen = await house.hand.presses(screen, "Start again", "#2 (DEMO)?")
        await house.hand.presses(screen, "Start, keep position", "Running")
    assert house.desk.calls == [("start", 1, "close_first"), ("start", 2)]


@pytest.mark.parametrize(("caption", "flatten"), [("Reset, keep position", False), ("Close position first", True)])
async def test_a_reset_carries_or_flattens(house: House, caption: str, flatten: bool) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Reset", "set up anew around the price")
        await house.hand.presses(screen, caption, "Running")
    assert house.desk.calls == [("reset", 1, flatten)]


# --------------------------------------------------------------------------- edits


async def test_a_stop_is_changed_before_and_after_are_shown_and_it_is_done_once(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        first = screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Edit", "Change BTCUSDT neutral #1")
        screen = await house.hand.presses(screen, "Lower stop-loss", "Tap, or type a price")
        screen = await house.hand.types("５５,０００", "Lower stop-loss: none → 55,000")
        assert screen["id"] == first["id"]
        assert "Worst-case loss: 500.00 USDT → 250.00 USDT" in screen["text"]
        assert not house.desk.calls
        await asyncio.gather(*(house.hand.pressed(screen, "Change it now") for _ in range(3)))
        await house.hand.sees("Stop-loss  55,000")
    assert house.desk.calls == [("edit", 1, {"stop_loss": "55000"})]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("many", "“many” is not a number"),
        ("60000", "lies inside the range"),
        ("5%", "must be a price"),
        ("-5", "must be above zero"),
        ("55 000,5", "is not a number"),
        ("<b>1</b>", "“<b>1</b>” is not a number"),
        ("y" * 4096, "too long"),
    ],
)
async def test_a_wrong_value_gets_one_sentence_and_the_question_stays(house: House, text: str, sentence: str) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Edit", "Change BTCUSDT")
        screen = await house.hand.presses(screen, "Lower stop-loss", "type a price")
        again = await house.hand.types(text, sentence)
        assert again["id"] == screen["id"]
        await house.hand.types("55'000", "none → 55,000")
    assert not house.desk.calls


async def test_a_question_outlives_a_restart_and_its_confirmation_does_not(house: House) -> None:
    house.desk.put(a_card(stop_loss=Decimal(55000), parameters=a_card().parameters | {"stop_loss": "55000"}))
    async with house.open():
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Edit", "Change BTCUSDT")
        await house.hand.presses(screen, "Lower stop-loss", "type a price")
    async with house.open():
        screen = await house.hand.types("54000", "55,000 → 54,000")
    async with house.open():
        answer = await house.hand.pressed(screen, "Change it now")
        assert answer is not None
        assert "outdated" in answer["text"]
        screen = await house.hand.sees("Stop-loss  55,000")
    assert not house.desk.calls


async def test_a_note_is_any_text_and_is_shown_as_it_was_typed(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Edit", "Change BTCUSDT")
        await house.hand.presses(screen, "Note", "Type your note")
        await house.hand.types("x" * 201, "too long; the most is 200")
        screen = await house.hand.types("<b>mine</b> & 你好", "none → <b>mine</b> & 你好")
        assert "It counts" not in screen["text"]
        await house.hand.presses(screen, "Change it now", "📝 <b>mine</b> & 你好")


async def test_cancel_leaves_the_question_and_then_the_wizard(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        await house.hand.types("/new BTCUSDT 58000-72000 40", "How much do you invest")
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Edit", "Change BTCUSDT")
        await house.hand.presses(screen, "Lower stop-loss", "type a price")
        await house.hand.types("/cancel", "Nothing was changed")
        await house.hand.types("/cancel", "Nothing was created")
        await house.hand.types("/cancel", "nothing to cancel")
    assert not house.desk.calls


async def test_the_exchange_going_away_in_the_middle_of_an_edit_loses_nothing(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/grid 1", "Orders resting")
        screen = await house.hand.presses(screen, "Edit", "Change BTCUSDT")
        await house.hand.presses(screen, "Lower stop-loss", "type a price")
        house.desk.is_down = True
        await house.hand.types("55000", "cannot be reached now")
        house.desk.is_down = False
        screen = await house.hand.types("55000", "none → 55,000")
        house.desk.is_down = True
        await house.hand.presses(screen, "Change it now", "cannot be reached now")
    assert not house.desk.calls


# --------------------------------------------------------------------------- emergency stop


async def test_an_emergency_stop_shows_its_progress_in_place_and_ends_verified(house: House) -> None:
    for number, symbol in ((1, "BTCUSDT"), (2, "ETHUSDT")):
        house.desk.put(a_card(number, symbol=symbol))
    house.desk.put(a_card(3, status="STOPPED"))
    house.desk.panic_steps = 3
    position = PositionRow("BTCUSDT", Decimal("0.012"), Decimal(64000), Decimal(65000), Decimal(12), Decimal(0), 5, "X")
    house.desk.left = Aftermath(0, 2, (position,), NOW)
    async with house.open():
        screen = await house.hand.types("/panic", "Stop everything on demo (DEMO)?")
        assert "BTCUSDT neutral #1: 40 orders" in screen["text"]
        assert "#3" not in screen["text"]
        first = await house.hand.presses(screen, "keep positions", "Stopping: 0 of 2 done")
        assert "ETHUSDT #2: Stopping" in first["text"]
        done = await house.hand.sees("Everything is stopped")
        assert done["id"] == screen["id"]
        assert "0 orders of Trellis left" in done["text"]
        assert "2 orders not by Trellis, untouched" in done["text"]
        assert "BTCUSDT long 0.012" in done["text"]
        await house.hand.presses(done, "Refresh", "Everything is stopped")
    assert house.desk.calls == [("panic", 1, False)]


async def test_an_emergency_stop_pressed_three_times_is_done_once(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/panic", "Stop everything")
        await asyncio.gather(*(house.hand.pressed(screen, "close positions") for _ in range(3)))
        await house.hand.sees("The exchange says")
        late = await house.hand.types("/panic", "Stop everything")
        house.clock = lambda: now() + 6 * 60_000
        answer = await house.hand.pressed(late, "close positions")
        assert answer is not None
        assert "outdated" in answer["text"]
    assert house.desk.calls == [("panic", 1, True)]


async def test_an_emergency_stop_while_the_exchange_is_away_says_so_and_ends_by_itself(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/panic", "Stop everything")
        house.desk.is_down = True
        await house.hand.presses(screen, "close positions", "as soon as it is back")
        house.desk.is_down = False
        await house.hand.sees("Everything is stopped")


async def test_an_emergency_stop_asks_which_account(house: House) -> None:
    house.desk._accounts.append(Account(2, OWNER, "second", "binance", Environment.TESTNET))
    async with house.open():
        screen = await house.hand.types("/panic", "Stop everything on which account?")
        await house.hand.presses(screen, "second (TESTNET)", "No grid is running there")


# --------------------------------------------------------------------------- pictures


def with_trades(house: House) -> None:
    house.desk.put(a_card(stop_loss=Decimal(55000), started=NOW - 3_000_000))
    house.desk.trades[1] = [
        FillRow(NOW - 3_000_000 + i * 60_000, Side.BUY if i % 2 else Side.SELL, Decimal(64000 + 350 * (i % 2)),
                Decimal("0.001"), Decimal("0.0128"), Decimal("0.3") if i % 2 else Decimal(0), i % 2, str(i))
        for i in range(20)
    ]  # fmt: skip


async def test_a_chart_is_a_picture_of_its_own_refreshed_in_place(house: House) -> None:
    with_trades(house)
    house.clock = lambda: NOW
    async with house.open():
        card = await house.hand.types("/grid 1", "Orders resting")
        await house.hand.pressed(card, "Chart")
        first = await seen_photo(house.hand, "🗺 Map")
        assert first["id"] != card["id"]
        await house.hand.pressed(first, "Equity")
        second = await seen_photo(house.hand, "📈 Equity")
        assert second["id"] == first["id"]
        await house.hand.pressed(second, "Map")
        await seen_photo(house.hand, "🗺 Map")
        await house.hand.pressed(await seen_photo(house.hand, "🗺 Map"), "1h")
        third = await seen_photo(house.hand, "1h")
        assert third["id"] == first["id"]
        await house.hand.pressed(third, "Refresh")
        await house.hand.pressed(third, "Close")
        for _ in range(100):
            if not await photos(house.hand):
                break
            await asyncio.sleep(0.03)
        assert not await photos(house.hand)


async def test_a_chart_without_an_exchange_or_a_painter_is_one_sentence(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_trades(house)
    async with house.open():
        card = await house.hand.types("/grid 1", "Orders resting")
        house.desk.is_down = True
        answer = await house.hand.pressed(card, "Chart")
        assert answer is not None
        assert "cannot be reached" in answer["text"]
        house.desk.is_down = False
        monkeypatch.setattr("bot.charts.sys.executable", "/nonexistent/python")
        answer = await house.hand.pressed(card, "Chart")
        assert answer is not None
        assert "cannot be drawn" in answer["text"]
        assert not await photos(house.hand)


# --------------------------------------------------------------------------- accounts and settings


async def test_an_account_is_tested_and_removed_only_when_free(house: House) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types("/accounts", "demo · DEMO")
        screen = await house.hand.presses(screen, "demo", "binance · #1")
        screen = await house.hand.presses(screen, "Test the keys", "The exchange accepts the keys")
        assert "this exchange does not tell" in screen["text"]
        screen = await house.hand.presses(screen, "Remove", "Its keys are forgotten")
        screen = await house.hand.presses(screen, "Forget the keys", "demo still has 1 grid")
        house.desk._cards.clear()
        screen = await house.hand.presses(screen, "Remove", "Its keys are forgotten")
        await house.hand.presses(screen, "Forget the keys", "No accounts yet")
    assert house.desk.calls == [("remove_account", 1)]


async def test_settings_are_kept_over_a_restart(house: House) -> None:
    async with house.open():
        screen = await house.hand.types("/settings", "Fills: silent")
        screen = await house.hand.presses(screen, "Fills", "Fills: off")
        screen = await house.hand.presses(screen, "Pauses", "Pauses, stop-loss, errors: silent")
        screen = await house.hand.presses(screen, "Pauses", "Pauses, stop-loss, errors: on")
        screen = await house.hand.presses(screen, "Quiet", "22:00 – 07:00 UTC")
        await house.hand.presses(screen, "Charts", "Charts: light")
    async with house.open():
        screen = await house.hand.types("/settings", "Fills: off")
        assert "22:00 – 07:00 UTC" in screen["text"]
        answer = await house.hand.pressed(screen, "Language")
        assert answer is not None
        assert "More languages follow" in answer["text"]
    kept = await preferences.everything(house.database, OWNER)
    assert kept == {"notify.fill": "off", "quiet": "22-7", "charts": "light"}


# --------------------------------------------------------------------------- presets


@pytest.mark.parametrize(
    ("way", "fields"),
    [
        ("Long", {"stop_loss", "take_profit", "sizing"}),
        ("Neutral", {"stop_loss", "stop_loss_high"}),
        ("Short", {"stop_loss", "take_profit", "sizing"}),
    ],
)
@pytest.mark.parametrize("preset", ["Calm", "Balanced", "Aggressive"])
async def test_a_preset_with_the_least_amount_offered_leads_to_a_preview(
    house: House, way: str, fields: set[str], preset: str
) -> None:
    async with house.open():
        screen = await house.hand.types("/new", "What should be traded")
        screen = await house.hand.presses(screen, "BTCUSDT", "Which way")
        screen = await house.hand.presses(screen, way, "It usually moves")
        screen = await house.hand.presses(screen, preset, "How much do you invest")
        screen = await house.hand.presses(screen, screen["buttons"][0][0], "Net profit per grid")
        assert ("weighted amounts" in screen["text"]) is (way != "Neutral")
        await house.hand.presses(screen, "💾 Create", "Not started")
    assert fields <= set(house.desk.calls[0][2])  # type: ignore[arg-type]


async def test_without_candles_presets_take_what_is_usual(house: House) -> None:
    house.desk.candle_count = 0
    async with house.open():
        screen = await house.hand.types("/new BTCUSDT", "Which way")
        await house.hand.presses(screen, "Neutral", "It usually moves 3.0% a day")


# --------------------------------------------------------------------------- who may


SEALED = [
    ("/panic", [], "keep positions"),
    ("/accounts", [("demo", "binance · #1"), ("Remove", "Its keys")], "Forget the keys"),
    ("/grid 1", [("Reset", "set up anew")], "keep position"),
    ("/grid 1", [("Edit", "Change BTCUSDT"), ("Note", "Type your note")], ""),
]


@pytest.mark.parametrize(("command", "path", "caption"), SEALED[:3])
async def test_what_moves_something_is_dead_after_a_restart(
    house: House, command: str, path: list[tuple[str, str]], caption: str
) -> None:
    house.desk.put(a_card())
    async with house.open():
        screen = await house.hand.types(command, "demo" if command != "/grid 1" else "Orders resting")
        for pressed, sees in path:
            screen = await house.hand.presses(screen, pressed, sees)
    async with house.open():
        answer = await house.hand.pressed(screen, caption)
        assert answer is not None
        assert "outdated" in answer["text"]
        assert answer["show_alert"]
    assert not house.desk.calls


async def test_a_viewer_may_look_at_everything_and_move_nothing(house: House) -> None:
    house.desk.put(a_card(owner=VIEWER))
    front: Front = house.front()
    viewer = Reader(VIEWER, Role.VIEWER)
    for verb in ("panic", "panicdo", "edit", "eask", "evalue", "edo", "accremove", "accgone", "ask_reset", "reset"):
        sealed = Press(verb, 1, "close", "abcdefgh", now() // 1000 + 60)
        for press in (Press(verb, 1), Press(verb, 1, "note=x"), sealed):
            try:
                reply = await front.reception.pressed(viewer, None, press, True)  # type: ignore[arg-type]
            except Declined as no:
                assert {each.code for each in no.refusals} <= {"may_only_look", "no_such_account"}
            else:
                assert reply.toast == "You may look, but not act.", verb
    assert not house.desk.calls


async def test_another_persons_grid_and_account_are_not_there(house: House) -> None:
    await users.add(house.database, STRANGER, Role.TRADER, 1)
    house.desk.put(a_card())
    front: Front = house.front()
    eve = Reader(STRANGER, Role.TRADER)
    for verb in ("edit", "eask", "evalue", "edo", "picture", "redraw", "perf", "panicdo", "panicsee", "account",
                 "acctest", "accremove", "accgone", "ask_reset", "reset", "levels"):  # fmt: skip
        try:
            reply = await front.reception.pressed(eve, None, Press(verb, 1, "stop_loss"), True)  # type: ignore[arg-type]
        except Declined as no:
            assert {each.code for each in no.refusals} <= {"no_such_bot", "no_such_account"}
        else:
            assert "outdated" in reply.toast, verb
    assert not house.desk.calls


def test_shorts_are_offered_stops_above(house: House) -> None:
    from bot.screens import edit

    screen = edit.ask(a_card(direction=Direction.SHORT), "stop_loss", Decimal("0.1"))
    offered = [b.text for row in screen.rows for b in row]
    assert any("above the range" in text for text in offered)
    screen = edit.ask(a_card(direction=Direction.SHORT), "take_profit", Decimal("0.1"))
    assert any("below the range" in b.text for row in screen.rows for b in row)
