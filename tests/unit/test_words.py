"""Every code that anything may say has a sentence, numbers are readable, and nothing breaks a sentence."""

from __future__ import annotations

import ast
import gettext
import string
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import numbers, sentences, words
from trading import parameters, plan
from trading.core.lifecycle import Status
from trading.gateways.binance.errors import MENDABLE
from trading.messages import Notice, NoticeKind, Reason
from trading.parameters import declaration
from trading.views import Declined, HealthRow, Refusal

ROOT = Path(__file__).parents[2]


def codes_raised(folder: str) -> Iterator[str]:
    """The literal codes of every `Refusal("…")` written in `folder`."""
    for file in (ROOT / folder).rglob("*.py"):
        if "sandbox" in file.parts or "gateways" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


DECLARED = {**declaration.CODES, **parameters.CODES, **plan.REFUSALS, **plan.WARNINGS}


CODES = {*codes_raised("trading"), *codes_raised("bot"), *DECLARED, *MENDABLE.values()}


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_refusal_has_a_sentence(code: str) -> None:
    assert code in sentences.REFUSALS


@pytest.mark.parametrize("code", sorted(DECLARED))
def test_a_refusal_sentence_uses_only_values_that_its_code_carries(code: str) -> None:
    blanks = {name for part in sentences.REFUSALS[code] for name in words._blanks(part)}
    assert blanks <= set(DECLARED[code])


@pytest.mark.parametrize("reason", [each.value for each in Reason])
def test_every_reason_has_words(reason: str) -> None:
    assert reason in sentences.REASONS


@pytest.mark.parametrize("asked", sorted(words.ASKED))
def test_a_pause_that_was_asked_for_gives_no_reason(asked: str) -> None:
    told = words.notice(Notice(1, NoticeKind.PAUSED, "r", 0, {"symbol": "BTCUSDT", "reason": asked}))
    assert told.body == "The position is kept."
    assert words.status("PAUSED", asked) == "Paused: by you"
    for_a_reason = words.notice(Notice(1, NoticeKind.PAUSED, "r", 0, {"symbol": "BTCUSDT", "reason": "foreign_trade"}))
    assert "Why: a trade that Trellis did not make" in for_a_reason.body


@pytest.mark.parametrize("status", [each.value for each in Status])
def test_every_state_has_a_name_and_a_light(status: str) -> None:
    assert words.light(status) != "▫️"
    assert words.status(status) != status


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_notice_has_a_headline_even_without_values(kind: NoticeKind) -> None:
    told = words.notice(Notice(1, kind, "r", 0, {}))
    assert told.title.strip()
    assert "{" not in told.title + told.body


def test_every_sentence_is_used_and_every_used_one_exists() -> None:
    used = set()
    for file in (ROOT / "bot").rglob("*.py"):
        if {"sentences", "localchat"} & set(file.parts):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    prefixes = ("c_", "w_long", "w_neutral", "w_short", "w_preset_", "set_", "mode_", "charts_")
    unused = {key for key in sentences.SENTENCES if key not in used and not key.startswith(prefixes)}
    assert not unused


@pytest.mark.parametrize(
    "text", [*sentences.SENTENCES.values(), *(p for ps in sentences.REFUSALS.values() for p in ps)]
)
def test_sentences_are_plain_text_with_named_blanks(text: str) -> None:
    assert "<" not in text.replace("<b>", "") or "&" not in text
    assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(text))


def test_a_refusal_names_the_ways_out_that_exist() -> None:
    values = {"grids": "40", "min_notional": "50", "min_qty": "0.001", "least": "606.32", "most_grids": "32"}
    text = words.refusal(Refusal("below_minimum", values))
    assert "at least 606.32" in text
    assert "at most 32" in text
    without = words.refusal(Refusal("below_minimum", values | {"most_grids": ""}))
    assert "Or use" not in without


def test_shares_are_shown_in_per_cent() -> None:
    text = words.refusal(Refusal("close_to_upper", {"price": "65000", "upper": "66000", "distance": "0.015385"}))
    assert "1.54%" in text
    assert "65,000" in text


def test_of_several_refusals_about_leverage_the_one_that_names_the_safe_one_is_said() -> None:
    no = Declined(
        Refusal("out_of_bounds", {"name": "leverage", "text": "500", "least": "1", "most": "125"}),
        Refusal("leverage_for_notional", {"leverage": "500", "notional": "1364771.65", "most": "109"}),
        Refusal("liquidation_inside", {"liquidation": "61974.2", "leverage": "15"}),
    )
    where = "The position could be liquidated at 61,974.2, inside the range."
    assert words.refusals(no) == f"{where} 15x is the highest leverage that is safe here."


def test_an_unknown_setting_is_quoted_as_typed() -> None:
    assert "“foo_bar”" in words.refusal(Refusal("unknown_parameter", {"name": "foo_bar", "nearest": ""}))


def test_an_unknown_refusal_still_says_something() -> None:
    assert words.refusal(Refusal("brand_new", {"x": "1"})) == "That is not possible: brand new (x 1)."


def test_several_refusals_come_a_line_each() -> None:
    no = Declined(Refusal("no_such_bot", {"bot": "3"}), Refusal("missing", {"name": "investment"}))
    assert words.refusals(no) == "There is no grid #3.\nInvestment is missing."


@given(st.dictionaries(st.sampled_from(["name", "text", "least", "most", "price"]), st.text(max_size=40)))
def test_no_value_breaks_a_sentence(values: dict[str, str]) -> None:
    for code in ("out_of_bounds", "bad_number", "outside_range", "unknown_symbol"):
        assert isinstance(words.refusal(Refusal(code, values)), str)


def test_a_pair_is_told_with_its_profit_and_sums() -> None:
    values = {
        "symbol": "BTCUSDT", "badge": "DEMO", "quote": "USDT", "slot": "3", "buy": "64700.0", "sell": "65050.0",
        "qty": "0.003", "profit": "1.0123", "pairs": "12", "matched": "11.5",
    }  # fmt: skip
    told = words.notice(Notice(1, NoticeKind.PAIR, "r", 0, values))
    assert told.title == "BTCUSDT · pair +1.01 USDT"
    assert "Bought 0.003 at 64,700, sold at 65,050" in told.body
    assert "Pairs so far: 12, grid profit +11.50 USDT" in told.body
    assert told.is_silent


def test_pairs_that_came_together_are_summed_and_the_newest_totals_told() -> None:
    base = {"symbol": "BTCUSDT", "quote": "USDT", "buy": "1", "sell": "2"}
    several = [
        Notice(1, NoticeKind.PAIR, f"r{i}", i, base | {"profit": "0.5", "pairs": str(i), "matched": str(i)})
        for i in range(1, 14)
    ]
    told = words.pairs(several)
    assert told.title == "BTCUSDT · 13 pairs +6.50 USDT"
    assert "… and 3 more" in told.body
    assert "Pairs so far: 13, grid profit +13.00 USDT" in told.body


def test_what_a_person_must_not_miss_is_critical() -> None:
    assert words.notice(Notice(1, NoticeKind.FAILED, "r", 0, {})).is_critical
    assert not words.notice(Notice(1, NoticeKind.STARTED, "r", 0, {})).is_critical


def test_foreign_order_names_are_not_formatted_as_numbers() -> None:
    values = {"symbol": "BTCUSDT", "side": "BUY", "price": "65000", "qty": "1", "client_id": "1234567"}
    assert "1234567" in words.notice(Notice(1, NoticeKind.FOREIGN_TRADE, "r", 0, values)).body


def test_another_language_goes_through_the_same_seam() -> None:
    class Shouting(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return message.upper()

    words.use(Shouting())
    try:
        assert words.say("nothing_to_stop") == "NO GRID IS RUNNING."
    finally:
        words.use(gettext.NullTranslations())


def test_health_says_what_is_wrong_with_what() -> None:
    assert words.health(HealthRow("account:main", False, "down", {"why": "x"})) == "Account main: not reachable"
    assert words.health(HealthRow("rules:main", False, "stale", {"hours": "30"})) == (
        "Exchange rules of main: from the cache, 30 hours old"
    )
    assert words.health(HealthRow("database", True)) == "Database"


@pytest.mark.parametrize(
    ("value", "text"),
    [("65000.10", "65,000.1"), ("0.00001200", "0.000012"), ("-3.50", "−3.5"), ("1E+3", "1,000"), ("abc", "abc"),
     ("0.000", "0"), ("-0", "0"), ("NaN", "NaN")],
)  # fmt: skip
def test_numbers_are_exact_and_grouped(value: str, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("12.345", "+12.35 U"), ("-3.21", "−3.21 U"), ("0.0543", "+0.0543 U"), ("0", "0.00 U"), ("-0.000001", "0.0000 U"),
     ("1234567.8", "+1,234,567.80 U")],
)  # fmt: skip
def test_gains_are_signed(value: str, text: str) -> None:
    assert numbers.gain(Decimal(value), "U") == text


def test_a_gain_that_is_not_known_is_a_dash() -> None:
    assert numbers.gain(None, "USDT") == "–"


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 s"), (61_000, "1 min 1 s"), (7_500_000, "2 h 5 min"), (90_000_000, "1 d 1 h"), (86_400_000, "1 d")],
)
def test_durations_have_their_two_largest_units(ms: int, text: str) -> None:
    assert numbers.span(ms) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_no_amount_shows_a_wrong_value(value: Decimal) -> None:
    shown = Decimal(numbers.rounded(value, 2).replace(",", "").replace(numbers.MINUS, "-"))
    assert abs(shown - value) <= Decimal("0.005")
