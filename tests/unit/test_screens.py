"""Screens say what is so, offer what is allowed, and keep foreign text foreign."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bot import form
from bot.form import Draft
from bot.menu import Button, Press, Screen, encode
from bot.screens import balance, card, confirm, grids, health, help, home, orders, positions, preview, wizard
from bot.seals import Seals
from tests.fakes import ACCOUNT, NOW, OWNER, FakeDesk, a_card
from tests.unit.test_form import WHOLE
from trading.model import Side
from trading.parameters.vocabulary import PARAMETERS
from trading.ports import Account
from trading.views import BalanceRow, Declined, HealthRow, LevelRow, OrderRow, PositionRow, Refusal

NASTY = '<b>x</b> & "co" {0} %s'
FIELDS = {"symbol": "BTCUSDT", "direction": "neutral", "lower": "58000", "upper": "72000", "grids": "40",
          "investment": "5000", "leverage": "5"}  # fmt: skip


@dataclass
class Checker(HTMLParser):
    """Reads a screen as Telegram does: known tags only, closed in order."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag in {"b", "i", "code", "pre", "u", "s"}, tag
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def read(screen: Screen) -> str:
    """The words of a screen; fails where Telegram would."""
    checker = Checker()
    checker.feed(screen.text)
    checker.close()
    assert not checker.open
    assert not re.search(r"&(?!amp;|lt;|gt;|quot;|#)", screen.text)
    assert 0 < len(checker.words) <= 4096
    for row in screen.rows:
        assert row
        for button in row:
            assert button.text
            encode(button.press)
    return checker.words


def verbs(screen: Screen) -> set[str]:
    return {button.press.verb for row in screen.rows for button in row}


def seal(text: str, press: Press, style: str) -> Button:
    return Seals().button(NOW, OWNER, text, press, style)


# --------------------------------------------------------------------------- card


def test_a_card_shows_grid_profit_and_floating_pnl_apart() -> None:
    text = read(card.card(a_card(), NOW))
    assert "Grid profit  +12.35 USDT  (32 pairs)" in text
    assert "Floating PnL  −3.21 USDT" in text
    assert "Total  +9.14 USDT  (1.83%)" in text
    assert "DEMO" in text
    assert "58,000 – 72,000" in text
    assert "0.012 BTC at 64,100" in text
    assert "50% up the range" in text
    assert "running for 2 h 5 min" in text


@pytest.mark.parametrize(
    ("price", "words"), [("57000", "below the range by 1.72%"), ("73000", "above the range by 1.39%")]
)
def test_a_card_says_when_the_price_has_left(price: str, words: str) -> None:
    assert words in read(card.card(a_card(price=Decimal(price)), NOW))


def test_a_card_without_a_price_guesses_nothing() -> None:
    text = read(card.card(a_card(price=None, unmatched=None, total=None, connected=False), NOW))
    assert "Floating PnL  –" in text
    assert "Total  –" in text
    assert "not connected" in text


@pytest.mark.parametrize(
    ("status", "offered", "not_offered"),
    [
        ("CREATED", {"ask_start", "ask_delete"}, {"ask_stop", "ask_pause"}),
        ("WAITING", {"ask_stop"}, {"ask_start", "ask_delete", "ask_pause"}),
        ("STARTING", {"ask_stop"}, {"ask_start", "ask_delete"}),
        ("RUNNING", {"ask_pause", "ask_stop"}, {"ask_start", "ask_delete", "ask_resume"}),
        ("PAUSED", {"ask_resume", "ask_stop"}, {"ask_pause", "ask_delete"}),
        ("STOPPING", set(), {"ask_start", "ask_stop", "ask_delete"}),
        ("STOPPED", {"ask_start", "ask_delete"}, {"ask_stop"}),
        ("FINISHED", {"ask_start", "ask_delete"}, {"ask_stop"}),
        ("FAILED", {"ask_start", "ask_delete"}, {"ask_stop"}),
    ],
)
def test_a_card_offers_what_its_state_allows(status: str, offered: set[str], not_offered: set[str]) -> None:
    shown = card.card(a_card(status=status), NOW)
    read(shown)
    assert offered <= verbs(shown)
    assert not not_offered & verbs(shown)
    assert not {verb for verb in verbs(card.card(a_card(status=status), NOW, can_act=False)) if verb.startswith("ask_")}


def test_missing_levels_come_with_their_reasons_and_a_way_to_place_them() -> None:
    missing = tuple(
        LevelRow(slot, Side.BUY, Decimal(58000 + 350 * slot), Decimal("0.001"), Decimal(0), state)
        for slot, state in enumerate(
            ["margin", "cancelled_elsewhere", "initial_order", "no_inventory", "margin", "margin"]
        )
    )
    shown = card.card(a_card(missing=missing), NOW)
    text = read(shown)
    assert text.index("buy 58,350: cancelled on the exchange") < text.index("buy 59,750: not enough free margin")
    assert "… and 1 more" in text
    place = [b.press for row in shown.rows for b in row if b.press.verb == "ask_place"]
    assert place == [Press("ask_place", 1, "1")]


def test_levels_that_all_wait_for_the_same_are_said_in_one_line() -> None:
    missing = tuple(
        LevelRow(slot, Side.BUY, Decimal(58000 + 350 * slot), Decimal("0.001"), Decimal(0), "paused")
        for slot in range(40)
    )
    text = read(card.card(a_card(status="PAUSED", reason="asked", missing=missing), NOW))
    assert "Without an order: 40 (the grid is paused)" in text
    assert "buy 58,000" not in text
    assert "Paused: by you" in text


def test_what_a_stop_has_closed_is_not_called_floating_without_a_word() -> None:
    closed = a_card(status="STOPPED", position=Decimal(0))
    assert "Floating PnL  −3.21 USDT  (realized by closing the position)" in read(card.card(closed, NOW))
    assert "realized" not in read(card.card(a_card(), NOW))


def test_the_price_stands_between_the_levels() -> None:
    rows = [
        LevelRow(slot, Side.SELL if slot else Side.BUY, Decimal(price), Decimal(1), Decimal(0), "working")
        for slot, price in enumerate((64000, 66000, 68000))
    ]
    it = a_card(price=Decimal("65001.255"))
    lines = read(card.levels(it, rows)).splitlines()
    assert lines[2:] == ["🟥 sell 68,000 × 1", "🟥 sell 66,000 × 1", "— price now 65,001.26 —", "🟩 buy 64,000 × 1"]


def test_the_levels_open_where_the_price_is() -> None:
    rows = [LevelRow(n, Side.SELL, Decimal(60000 + 100 * n), Decimal(1), Decimal(0), "working") for n in range(100)]
    shown = card.levels(a_card(price=Decimal("65020")), rows)
    assert "price now 65,020" in read(shown)
    assert "3 / 5" in captions(shown)
    assert "1 / 5" in captions(card.levels(a_card(price=None), rows))
    assert "5 / 5" in captions(card.levels(a_card(price=Decimal(1)), rows))


def test_the_page_where_the_price_is_tells_it_wherever_that_lies() -> None:
    rows = [LevelRow(n, Side.SELL, Decimal(60000 + 100 * n), Decimal(1), Decimal(0), "working") for n in range(40)]
    for price in ("65000", "63900", "61950", "60000", "50000"):
        assert f"price now {Decimal(price):,}" in read(card.levels(a_card(price=Decimal(price)), rows))


@pytest.mark.parametrize(("qty", "words"), [("0.012", "long 0.012 BTC"), ("-0.012", "short 0.012 BTC")])
def test_a_position_says_its_side(qty: str, words: str) -> None:
    assert words in read(card.card(a_card(position=Decimal(qty)), NOW))


def test_deleting_a_grid_that_kept_a_position_says_what_becomes_of_it() -> None:
    kept = read(confirm.delete(a_card(status="STOPPED"), seal))
    assert "Its position stays open and no grid looks after it: long 0.012 BTC at 64,100." in kept
    assert "no new grid can start on BTCUSDT" in kept
    assert "position" not in read(confirm.delete(a_card(status="STOPPED", position=Decimal(0)), seal))


@pytest.mark.parametrize(
    ("text", "found"), [("btc", [1]), ("BTC/USDT", [1]), ("ETHUSDT", [2]), ("e", [2, 3]), ("xrp", []), ("", [1, 2, 3])]
)
def test_a_grid_may_be_named_by_its_symbol(text: str, found: list[int]) -> None:
    cards = [a_card(1), a_card(2, symbol="ETHUSDT"), a_card(3, symbol="ETHUSDC")]
    assert [each.id for each in grids.named(cards, text)] == found


def test_no_button_names_a_place_in_a_list() -> None:
    shown = grids.grids([a_card(7), a_card(3), a_card(5)])
    named = [b.press.target for row in shown.rows for b in row if b.press.verb == "grid"]
    assert sorted(named) == [3, 5, 7]


def test_many_grids_are_paged() -> None:
    shown = grids.grids([a_card(i) for i in range(1, 30)], 1)
    assert "2 / 4" in {b.text for row in shown.rows for b in row}
    read(shown)


def test_five_hundred_levels_are_paged_under_the_limit() -> None:
    rows = [
        LevelRow(i, Side.SELL, Decimal(58000 + i), Decimal("0.001"), Decimal("0.0005"), "margin") for i in range(500)
    ]
    for number in range(25):
        read(card.levels(a_card(), rows, number))
    assert "no levels yet" in read(card.levels(a_card(), []))


# --------------------------------------------------------------------------- confirmations


def test_stop_spells_out_both_ways_and_seals_them() -> None:
    shown = confirm.stop(a_card(), seal)
    text = read(shown)
    assert "40 orders will be cancelled" in text
    assert "0.012 BTC at 64,100" in text
    assert "(DEMO)" in text
    acts = [b for row in shown.rows for b in row if b.press.verb == "stop"]
    assert [b.press.argument for b in acts] == ["keep", "close"]
    assert all(b.style == "danger" and b.press.nonce and b.press.expires for b in acts)


def test_stop_of_a_flat_grid_has_one_way() -> None:
    shown = confirm.stop(a_card(position=Decimal(0)), seal)
    assert [b.press.argument for row in shown.rows for b in row if b.press.verb == "stop"] == ["flat"]


def test_a_live_start_says_that_the_money_is_real() -> None:
    made = preview_of(FIELDS)
    assert "real money" in read(confirm.start(a_card(badge="LIVE"), made, seal))
    assert "real money" not in read(confirm.start(a_card(), made, seal))


def test_resume_after_the_initial_order_offers_two_ways() -> None:
    shown = confirm.resume(a_card(status="PAUSED", reason="initial_order"), seal)
    assert [b.press.argument for row in shown.rows for b in row if b.press.verb == "resume"] == ["", "skip"]


def test_every_confirmation_moves_only_by_a_sealed_button() -> None:
    it = a_card()
    made = preview_of(FIELDS)
    screens = [
        confirm.start(it, made, seal), confirm.start_anyway(it, [Refusal("close_to_upper", {})], seal),
        confirm.pause(it, seal), confirm.resume(it, seal), confirm.stop(it, seal), confirm.delete(it, seal),
        confirm.place(it, 3, seal),
    ]  # fmt: skip
    for shown in screens:
        read(shown)
        for row in shown.rows:
            for each in row:
                assert each.press.verb in ("grid",) or each.press.nonce


# --------------------------------------------------------------------------- wizard


def preview_of(fields: dict[str, str]):  # type: ignore[no-untyped-def]
    from trading import plan
    from trading.parameters import clean
    from trading.sandbox.instruments import LISTINGS

    listing = LISTINGS["BTCUSDT"]
    return plan.make(
        clean(fields), listing.instrument, Decimal(65000), brackets=listing.brackets, available=Decimal(10_000),
        wallet_free=Decimal(10_000), chat=True,
    )  # fmt: skip


@pytest.mark.parametrize("direction", ["long", "neutral", "short"])
def test_the_preview_shows_what_is_at_stake(direction: str) -> None:
    made = preview_of(FIELDS | {"direction": direction, "leverage": "3"})
    shown = preview.preview(WHOLE, made, "DEMO", NOW)
    text = read(shown)
    for words in (
        "Net profit per grid",
        "Investment  5,000.00 USDT",
        "Worst-case loss",
        "Liquidation",
        "Grids  40 · step 350",
    ):
        assert words in text
    assert ("no position" in text) == (direction == "neutral")
    make = [b.press for row in shown.rows for b in row if b.press.verb == "wmake"]
    assert {press.argument for press in make} == {"", "start"}
    assert all(press.nonce == WHOLE.nonce and press.expires == NOW // 1000 + preview.VALID for press in make)
    assert {"wgo", "wcancel"} <= verbs(shown)


def test_warnings_and_stops_are_in_the_preview() -> None:
    made = preview_of(
        FIELDS | {"direction": "long", "upper": "66000", "stop_loss": "55000", "take_profit": "70000", "leverage": "1"}
    )
    text = read(preview.preview(WHOLE, made, "DEMO", NOW))
    assert "little room to rise" in text
    assert "at the stop 55,000" in text
    assert "Take-profit  70,000" in text


def test_a_preview_with_a_trigger_does_not_call_it_the_price_of_now() -> None:
    made = preview_of(FIELDS | {"trigger": "73000"})
    text = read(preview.preview(WHOLE, made, "DEMO", NOW))
    assert "Starts at  73,000" in text
    assert "Price now" not in text


def bare(**fields: str) -> Draft:
    return replace(WHOLE, fields=fields)


def captions(screen: Screen) -> list[str]:
    return [button.text for row in screen.rows for button in row]


@pytest.mark.parametrize(
    ("least", "free", "offered"),
    [
        ("900", "10000", ["10% · 1,000", "25% · 2,500", "50% · 5,000"]),
        ("1411.98", "10000", ["Least · 1,420", "25% · 2,500", "50% · 5,000"]),
        ("9999.5", "10000", ["Least · 10,000"]),
        ("9999.5", "9999.6", ["Least · 9,999.5"]),
        ("12000", "10000", ["Grids", "Range", "Leverage"]),
    ],
)
def test_only_amounts_that_suffice_are_offered(least: str, free: str, offered: list[str]) -> None:
    amounts = form.Amounts(Decimal(least), Decimal(free))
    shown = wizard.investment(bare(symbol="BTCUSDT", leverage="2"), "DEMO", "USDT", amounts)
    assert captions(shown)[:-2] == offered
    assert "This grid needs at least" in read(shown)


def test_before_a_leverage_is_chosen_every_share_is_offered_and_the_least_is_told() -> None:
    amounts = form.Amounts(Decimal(3000), Decimal(10_000))
    shown = wizard.investment(bare(symbol="BTCUSDT"), "DEMO", "USDT", amounts)
    assert captions(shown)[:3] == ["10% · 1,000", "25% · 2,500", "50% · 5,000"]
    assert "at least 3,000.00 USDT at 1x, less with more leverage" in read(shown)


@pytest.mark.parametrize(
    ("least", "most", "offered", "words"),
    [
        (1, 20, ["1x", "2x", "3x", "5x", "10x", "20x"], "Which leverage"),
        (3, 12, ["3x", "5x", "10x"], "Under 3x orders would be smaller"),
        (1, 12, ["1x", "2x", "3x", "5x", "10x"], "Over 12x the position could be liquidated"),
        (9, 6, ["1x", "2x", "3x", "5x", "10x", "20x", "Grids", "Range", "Investment"], "No leverage suits"),
    ],
)
def test_only_leverages_that_suit_are_offered(least: int, most: int, offered: list[str], words: str) -> None:
    shown = wizard.leverage(WHOLE, "DEMO", 125, form.Leverages(least, most))
    assert captions(shown)[:-2] == offered
    assert words in read(shown)


@pytest.mark.parametrize(
    ("code", "values", "ways"),
    [
        ("below_minimum", {"least": "12000", "most_grids": "24"}, ["Use 24 grids"]),
        ("below_minimum", {"least": "1411.98", "most_grids": ""}, ["Invest 1,420"]),
        ("over_balance", {"most": "300"}, []),
        ("liquidation_inside", {"leverage": "16"}, ["Use 16x leverage", "✏️ Range"]),
        ("liquidation_inside", {"leverage": ""}, ["✏️ Range"]),
        ("outside_range", {}, ["✏️ Range", "✏️ Trigger price"]),
        ("equal_levels", {"most": "12"}, ["Use 12 grids"]),
        ("missing", {"name": "levels"}, ["✏️ List of levels"]),
        ("missing", {"name": "investment"}, ["✏️ Investment"]),
    ],
)
def test_a_refused_draft_offers_the_ways_out(code: str, values: dict[str, str], ways: list[str]) -> None:
    amounts = form.Amounts(Decimal(500), Decimal(10_000))
    shown = preview.missing(bare(symbol="BTCUSDT"), "DEMO", Declined(Refusal(code, values)), amounts)
    read(shown)
    assert captions(shown)[:-3] == ways


def test_every_step_has_back_and_cancel() -> None:
    desk = FakeDesk()
    screens = {
        "direction": wizard.direction(WHOLE, "DEMO"),
        "range": wizard.range_(WHOLE, "DEMO", Decimal(65000), None),
        "grids": wizard.grids(WHOLE, "DEMO"),
        "investment": wizard.investment(WHOLE, "DEMO", "USDT", form.Amounts(most=Decimal(10_000))),
        "leverage": wizard.leverage(WHOLE, "DEMO", 125),
        "edit": wizard.edit(WHOLE, "DEMO"),
        "more": wizard.more(WHOLE, "DEMO"),
    }
    assert desk.accounts()
    for step, shown in screens.items():
        read(shown)
        assert "wcancel" in verbs(shown)
        assert form.before(step) in {b.press.argument for b in shown.rows[-1]}
        assert all(b.press.nonce == WHOLE.nonce for row in shown.rows for b in row)


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_every_parameter_can_be_asked_for(name: str) -> None:
    read(wizard.ask(WHOLE, "DEMO", PARAMETERS[name]))
    filled = replace(WHOLE, fields=WHOLE.fields | {name: PARAMETERS[name].default or "5"})
    read(wizard.ask(filled, "DEMO", PARAMETERS[name]))


def test_without_money_there_are_no_shares_to_tap() -> None:
    shown = wizard.investment(WHOLE, "DEMO", "USDT", form.Amounts(most=Decimal(0)))
    assert len(shown.rows) == 1
    assert "Free for a new grid: 0.00 USDT" in read(shown)


def test_leverage_offers_only_what_the_instrument_allows() -> None:
    shown = wizard.leverage(WHOLE, "DEMO", 3)
    assert [b.text for row in shown.rows[:-1] for b in row] == ["1x", "2x", "3x"]


# --------------------------------------------------------------------------- the rest


def test_home_sums_by_badge_and_keeps_paper_from_live() -> None:
    text = read(home.home([a_card(1), a_card(2), a_card(3, badge="LIVE")], (), "BTCUSDT neutral"))
    assert "3 running of 3 grids" in text
    assert text.index("DEMO") < text.index("+24.69 USDT") < text.index("LIVE") < text.index("+12.35 USDT")
    assert "unfinished draft: BTCUSDT neutral" in text


def test_half_a_sum_is_never_shown() -> None:
    text = read(home.home([a_card(1), a_card(2, unmatched=None, total=None)]))
    assert "Floating PnL  –" in text


def test_an_empty_house_says_what_to_do() -> None:
    shown = home.home([])
    assert "No grids yet" in read(shown)
    assert "new" in verbs(shown)


def test_health_names_what_is_down() -> None:
    text = read(
        health.health([HealthRow("account:a&b", False, "down", {"why": "x"}), HealthRow("database", True)], NOW, "1")
    )
    assert "⚠️ Account a&b: not reachable" in text
    assert "Something needs attention" in text


def test_help_lists_every_parameter_over_its_pages() -> None:
    pages = "".join(read(help.help(number)) for number in range(3))
    for parameter in PARAMETERS.values():
        assert (
            any(f"{name}=" in pages for name in (parameter.name, *parameter.aliases))
            or parameter.name in help._POSITIONAL
            or not form.has_choice(parameter)
        )
    assert "spacing=arithmetic|geometric|custom" in pages


def test_many_orders_are_paged_and_foreign_ones_marked() -> None:
    rows = [
        OrderRow("BTCUSDT", None if i % 3 else 1, str(i), Side.SELL, Decimal(i + 1), Decimal(1), Decimal(0), NOW)
        for i in range(200)
    ]
    assert "not by Trellis" in "".join(read(orders.orders([(ACCOUNT, rows)], {}, NOW, n)) for n in range(10))
    assert "No orders rest" in read(orders.orders([(ACCOUNT, [])], {}, NOW))


def test_orders_open_where_the_price_is_and_each_symbol_tells_its_own() -> None:
    def rows(symbol: str, *prices: int) -> list[OrderRow]:
        return [OrderRow(symbol, 1, "1", Side.SELL, Decimal(p), Decimal(1), Decimal(0), NOW) for p in prices]

    held = [(ACCOUNT, [*rows("ETHUSDT", 3100, 3000), *rows("BTCUSDT", *range(60000, 64000, 100))])]
    prices = {(ACCOUNT.id, "BTCUSDT"): Decimal(61020), (ACCOUNT.id, "ETHUSDT"): Decimal(2900)}
    shown = orders.orders(held, prices, NOW)
    lines = read(shown).splitlines()
    assert "2 / 3" in captions(shown)
    at = lines.index("— BTCUSDT price now 61,020 —")
    assert "61,100" in lines[at - 1] and "61,000" in lines[at + 1]
    rest = orders.orders(held, prices, NOW, 2)
    assert "sell 3,000 × 1 · #1\n— ETHUSDT price now 2,900 —" in read(rest)
    assert "1 / 3" in captions(orders.orders(held, {}, NOW))
    assert shown.rows[-1][0].press.argument == "1", "refresh stays on its page"
    assert orders.orders(held, prices, NOW, 0).rows[-1][0].press.argument == "0"


def test_positions_and_balances_are_grouped_by_account() -> None:
    row = PositionRow(
        "BTCUSDT", Decimal("-0.01"), Decimal(65000), Decimal(64000), Decimal(10), Decimal(0), 5, "isolated"
    )
    text = read(positions.positions([(ACCOUNT, [row])], NOW))
    assert "BTCUSDT short 0.01" in text
    assert "no liquidation price" in text
    rows = [
        BalanceRow(1, "a", "DEMO", "USDT", Decimal(5), Decimal(4), Decimal(1)),
        BalanceRow(1, "a", "DEMO", "BNB", Decimal(0), Decimal(0), Decimal(0)),
    ]
    text = read(balance.balance(rows, NOW))
    assert "5.00 USDT in the wallet · 4.00 free · floating PnL +1.00" in text
    assert "BNB" not in text


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_foreign_text_never_becomes_markup(name: str) -> None:
    account = Account(1, OWNER, name, "binance", ACCOUNT.environment)
    it = a_card(symbol=name, base=name, reason=name, account_name=name)
    row = OrderRow(name, 1, "1", Side.BUY, Decimal(1), Decimal(1), Decimal(0), NOW)
    draft = Draft("abcdefgh", 1, fields={"symbol": name})
    unknown = Declined(Refusal("unknown_symbol", {"symbol": name, "nearest": name}))
    for shown in (
        card.card(it, NOW), grids.grids([it]), confirm.stop(it, seal), orders.orders([(account, [row])], {}, NOW),
        wizard.account(draft, [account]), preview.missing(draft, "DEMO", unknown), wizard.example(name),
        health.health([HealthRow(f"account:{name}", False, name)], NOW, name), home.home([it], (), name),
    ):  # fmt: skip
        read(shown)


def test_a_draft_that_is_too_small_offers_what_would_do_one_tap_away() -> None:
    no = Declined(
        Refusal(
            "below_minimum",
            {"grids": "29", "min_notional": "50", "min_qty": "0.001", "least": "3022.89", "most_grids": "10"},
        ),
        Refusal("over_balance", {"investment": "9000", "most": "4000"}),
    )
    shown = preview.missing(WHOLE, "DEMO", no)
    captions = [button.text for row in shown.rows for button in row]
    assert captions[:3] == ["Invest 3,030", "Use 10 grids", "Invest 4,000"]
    assert [row[0].press.argument for row in shown.rows[:2]] == ["investment=3030", "grids=10"]
