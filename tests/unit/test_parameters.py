"""Reading grids from lines, files and dictionaries: lenient in form, strict in meaning, never an error but Declined."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.model import Direction, MarginMode, Sizing, Spacing
from trading.parameters import (
    CODES,
    PARAMETERS,
    Kind,
    PerOrder,
    Step,
    canonical,
    clean,
    format_line,
    from_mapping,
    parse_line,
    read,
    read_file,
    symbols_meant,
)
from trading.views import Declined

D = Decimal
EXAMPLE = "BTCUSDT neutral 58000-72000 40 5000u 5x geo sl=55000 sl=75000"
PARSED = {
    "symbol": "BTCUSDT",
    "direction": "neutral",
    "lower": "58000",
    "upper": "72000",
    "grids": "40",
    "investment": "5000",
    "leverage": "5",
    "spacing": "geometric",
    "stop_loss": "55000",
    "stop_loss_high": "75000",
}


def codes(declined: Declined) -> list[str]:
    for refusal in declined.refusals:
        assert tuple(sorted(refusal.values)) == tuple(sorted(CODES[refusal.code])), refusal
    return [refusal.code for refusal in declined.refusals]


def refused(line: str) -> list[str]:
    with pytest.raises(Declined) as caught:
        clean(parse_line(line))
    return codes(caught.value)


# --------------------------------------------------------------------------- declarations


def test_every_name_and_alias_belongs_to_one_parameter_only() -> None:
    names = [alias for p in PARAMETERS.values() for alias in (p.name, *p.aliases)]
    assert len(names) == len(set(names))


def test_every_parameter_has_a_line_of_help_and_a_readable_default() -> None:
    for p in PARAMETERS.values():
        assert p.help.endswith(".") and "\n" not in p.help
        assert not p.default or p.read(p.default) == p.default
        assert bool(p.choices) == (p.kind in (Kind.CHOICE, Kind.FLAG))


# --------------------------------------------------------------------------- the line


def test_the_example_of_the_handbook_says_what_it_says() -> None:
    assert parse_line(EXAMPLE) == PARSED
    grid = clean(parse_line(EXAMPLE))
    assert (grid.direction, grid.spacing, grid.grids, grid.leverage) == (Direction.NEUTRAL, Spacing.GEOMETRIC, 40, 5)
    assert (grid.lower, grid.upper, grid.investment) == (D(58000), D(72000), D(5000))
    assert (grid.stop_loss, grid.stop_loss_high) == (D(55000), D(75000))
    assert (grid.margin_mode, grid.post_only, grid.reserve) == (MarginMode.ISOLATED, True, D("0.05"))


@pytest.mark.parametrize(
    "line",
    [
        "btcusdt Neutral 58,000-72,000 40 5,000u 5X GEO SL=75000 sl=55000",
        "BTCUSDT neutral 58 000 - 72 000 40 5 000u 5x geo sl=55,000 sl=75'000",
        "ＢＴＣＵＳＤＴ neutral ５８０００～７２０００ ４０ 5000u ５x geo sl=55000 sl=75000",
        "BTCUSDT neutral 58000–72000 40 5000 USDT x5 geometric sl=55000 stop_loss_high=75000",
        "BTCUSDT neutral 58000.0 to 72000.00 40 $5000 5× geo, sl=55000, sl=75000",
        "neutral BTCUSDT 58000-72000 40 5000usdt geo 5x stop_loss = 55000 sl=75000",
        "symbol=BTCUSDT direction=neutral lower=58000 upper=72000 grids=40 investment=5000 leverage=5 spacing=geo "
        "sl=55000 sl=75000",
        "pair=btcusdt strategy_type=NEUTRAL lower_price=58000 upper_price=72000 grid_number=40 total_investment=5000 "
        "lev=5x grid_type=GEOMETRIC sl=55000 sl=75000",
        "BTCUSDT neutral ٥٨٠٠٠-٧٢٠٠٠ 40 5000u 5x geo sl=55000 sl=75000",
    ],
)
def test_a_line_may_be_written_in_many_ways(line: str) -> None:
    assert parse_line(line) == PARSED


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SOLUSDT 150-200 100 500u", {"symbol": "SOLUSDT", "lower": "150", "upper": "200", "grids": "100",
                                      "investment": "500"}),
        ("1000PEPEUSDT 0.008-0.012 20 $500", {"symbol": "1000PEPEUSDT", "lower": "0.008", "upper": "0.012",
                                             "grids": "20", "investment": "500"}),
        ("4USDT short 1-2 10 10u", {"symbol": "4USDT", "direction": "short", "lower": "1", "upper": "2",
                                   "grids": "10", "investment": "10"}),
        ("BTC/USDT:USDT long 1-2 step=1% per_order=50u", {"symbol": "BTC/USDT:USDT", "direction": "long", "lower": "1",
                                                         "upper": "2", "step": "1%", "per_order": "50u"}),
        ("binance:btc-usdt-perp 1-2 10 per_order=0.001", {"symbol": "BINANCE:BTC-USDT-PERP", "lower": "1",
                                                         "upper": "2", "grids": "10", "per_order": "0.001"}),
        ("BTCUSDT spacing=custom levels=63000, 58000,60000 100u", {"symbol": "BTCUSDT", "spacing": "custom",
                                                                   "levels": "58000,60000,63000", "investment": "100"}),
        ('BTCUSDT 1-2 10 note="all my own words = fine" margin=cross post_only=off initial=no',
         {"symbol": "BTCUSDT", "lower": "1", "upper": "2", "grids": "10", "note": "all my own words = fine",
          "margin_mode": "cross", "post_only": "off", "initial": "off"}),
        ("", {}),
    ],
)  # fmt: skip
def test_a_line_says_no_more_than_it_says(line: str, expected: dict[str, str]) -> None:
    assert parse_line(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("BTCUSDT 58000-72000 40", ["missing"]),
        ("BTCUSDT", ["missing"] * 4),
        ("", ["missing"] * 5),
        ("BTCUSDT 72000-58000 40 100u", ["upper_not_above_lower"]),
        ("BTCUSDT 58000-58000 40 100u", ["upper_not_above_lower"]),
        ("BTCUSDT 58000-72000 1 100u", ["out_of_bounds"]),
        ("BTCUSDT 58000-72000 501 100u 0x", ["out_of_bounds", "out_of_bounds"]),
        ("BTCUSDT 58000-72000 40.5 100u", ["not_whole"]),
        ("BTCUSDT 58000-72000 40 0u", ["not_positive"]),
        ("BTCUSDT 58000-72000 40 100u lower=-5", ["not_positive"]),
        ("BTCUSDT 58000-72000 40 100u banana", ["unexpected"]),
        ("BTCUSDT 58000-72000 40 100u 7 8", ["unexpected", "unexpected"]),
        ("BTCUSDT 58000-72000 40 100u banana=3", ["unknown_parameter"]),
        ("BTCUSDT 58000-72000 40 100u sl=1 sl=2 sl=3", ["given_twice"]),
        ("BTCUSDT 58000-72000 40 100u 5x leverage=6", ["given_twice"]),
        ("BTCUSDT 58000-72000 40 100u trigger=abc density=1,5", ["bad_number", "bad_number"]),
        ("BTCUSDT 58000-72000 40 100u margin=maybe", ["bad_choice"]),
        ("BTCUSDT 58000-72000 40 100u sl=5%", ["price_wanted"]),
        ("BTCUSDT 58000-72000 40 100u step=100", ["not_together"]),
        ("BTCUSDT 58000-72000 step=100 40", ["not_together", "missing"]),
        ("BTCUSDT 58000-72000 40 100u per_order=50u", ["not_together"]),
        ("BTCUSDT 58000-72000 100u step=1% arith", ["step_wants_spacing"]),
        ("BTCUSDT 58000-72000 100u step=100 density=2", ["not_together"]),
        ("BTCUSDT 100u levels=1,2", ["too_few_levels"]),
        ("BTCUSDT 100u 1-9 levels=1,2,3", ["not_together"]),
        ("BTCUSDT 100u 1-3 10 arith levels=1,2,3", ["only_with"]),
        ("BTCUSDT long 58000-72000 40 100u sl=58000", ["stop_not_below"]),
        ("BTCUSDT long 58000-72000 40 100u tp=72000", ["target_not_above"]),
        ("BTCUSDT long 58000-72000 40 100u sl=50000 sl=80000", ["only_with"]),
        ("BTCUSDT short 58000-72000 40 100u sl=72000 tp=58000", ["stop_not_above", "target_not_below"]),
        ("BTCUSDT 58000-72000 40 100u sl=60000", ["stop_inside_range"]),
        ("BTCUSDT 58000-72000 40 100u sl=50000 sl=60000", ["stop_not_above"]),
        ("BTCUSDT 58000-72000 40 100u tp=80000", ["no_target_for_neutral"]),
        ("BTCUSDT 58000-72000 40 100u reverse_distance=2", ["out_of_bounds"]),
        ("=BTC 1-2 10 100u", ["bad_symbol"]),
        ("x" * 4097, ["too_long"]),
    ],
)
def test_a_line_that_makes_no_sense_gets_its_codes(line: str, expected: list[str]) -> None:
    assert refused(line) == expected


def test_an_unknown_name_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(Declined) as caught:
        parse_line("BTCUSDT levrage=5")
    assert caught.value.refusals[0].values["nearest"].split(", ")[0] == "leverage"


def test_one_stop_of_a_neutral_grid_may_stand_on_either_side() -> None:
    base = "BTCUSDT 58000-72000 40 100u "
    assert (clean(parse_line(base + "sl=75000")).stop_loss, clean(parse_line(base + "sl=75000")).stop_loss_high) == (
        None,
        D(75000),
    )
    assert clean(parse_line(base + "sl=55000")).stop_loss == D(55000)
    assert clean(parse_line(base + "sl_high=75000")).stop_loss_high == D(75000)


def test_the_stop_of_a_short_stands_above_and_its_target_below() -> None:
    grid = clean(parse_line("BTCUSDT short 58000-72000 40 100u sl=75000 tp=55000"))
    assert (grid.stop_loss, grid.stop_loss_high, grid.take_profit) == (D(75000), None, D(55000))


def test_step_and_order_size_stand_in_and_settle_spacing_and_sizing() -> None:
    grid = clean(parse_line("BTCUSDT 58000-72000 step=1% per_order=0.001"))
    assert (grid.step, grid.spacing, grid.grids) == (Step(D("0.01"), True), Spacing.GEOMETRIC, None)
    assert (grid.per_order, grid.sizing) == (PerOrder(D("0.001"), False), Sizing.EQUAL_QUANTITY)
    grid = clean(parse_line("BTCUSDT 58000-72000 step=100 per_order=50u"))
    assert (grid.step, grid.spacing) == (Step(D(100), False), Spacing.ARITHMETIC)
    assert (grid.per_order, grid.sizing, grid.investment) == (PerOrder(D(50), True), Sizing.EQUAL_NOTIONAL, None)


def test_levels_alone_make_a_custom_grid() -> None:
    grid = clean(parse_line("BTCUSDT levels=58000,60000,63000 100u"))
    assert (grid.spacing, grid.lower, grid.upper, len(grid.levels)) == (Spacing.CUSTOM, D(58000), D(63000), 3)


# --------------------------------------------------------------------------- single values


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("lower", " 58,000.50 ", "58000.5"),
        ("lower", "58\u00a0000", "58000"),
        ("lower", ".5", "0.5"),
        ("upper", "1,234,567", "1234567"),
        ("grids", "４０", "40"),
        ("leverage", "5 x", "5"),
        ("investment", "1,000 USDT", "1000"),
        ("per_order", "50 USDC", "50u"),
        ("reserve", "0.05", "5%"),
        ("reserve", "5", "5%"),
        ("reserve", "0%", "0%"),
        ("strategy_type", "BULLISH", "long"),
        ("grid_type", "GEOMETRIC", "geometric"),
        ("post_only", "TRUE", "on"),
        ("sizing", "Equal quantity", "equal_quantity"),
        ("levels", "1;2,500;3", "1,3,2500"),
        ("note", 'he said "hi"\n', "he said 'hi'"),
    ],
)
def test_values_are_read_as_people_write_them(name: str, text: str, expected: str) -> None:
    assert read(name, text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "abc", "1e5", "1,5", "58.000,50", "0,500", "1 2", "--1", "nan", "inf", "9" * 16, "0.1234567890123", "½"],
)
def test_what_is_not_clearly_a_number_is_refused(text: str) -> None:
    with pytest.raises(Declined) as caught:
        read("lower", text)
    assert codes(caught.value) == ["bad_number"]


# --------------------------------------------------------------------------- files and mappings


def test_a_toml_file_reads_like_the_line() -> None:
    text = """
    symbol = "BTCUSDT"
    strategy_type = "NEUTRAL"
    grid_type = "GEOMETRIC"
    grid_number = 40
    total_investment = 5000.0
    leverage = 5
    stop_loss = [75000, 55000]
    [price_range]
    lower_price = 58000.00
    upper_price = 72000
    """
    assert canonical(parse_line(EXAMPLE)) == PARSED
    found = read_file(text)
    assert {**found, "stop_loss": "55000", "stop_loss_high": "75000"} == PARSED
    assert clean(found) == clean(PARSED)


def test_another_programs_configuration_is_understood_where_it_means_the_same() -> None:
    mapping = {
        "grid_system": {
            "symbol": "BTC-USDT",
            "grid_type": "long",
            "price_range": {"lower_price": 58000, "upper_price": 72000.5},
            "grid_interval": 100.0,
            "order_amount": 0.001,
            "margin_mode": "isolated",
            "post_only": True,
            "reverse_order_grid_distance": 1,
            "note": None,
        }
    }
    assert from_mapping(mapping) == {
        "symbol": "BTC-USDT", "direction": "long", "lower": "58000", "upper": "72000.5", "step": "100",
        "per_order": "0.001", "margin_mode": "isolated", "post_only": "on", "reverse_distance": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("a = ", "toml", "bad_file"),
        ("symbol = 'A'\n[x]\nsymbol = 'B'", "toml", "given_twice"),
        ("colour = 'red'", "toml", "unknown_parameter"),
        ("lower = 1e999999999", "toml", "bad_number"),
        ("lower = nan", "toml", "bad_number"),
        ("lower = [[1]]\nupper = 1979-05-27", "toml", "bad_number"),
        ("", "yaml", "unknown_file_kind"),
    ],
)
def test_a_bad_file_is_refused_with_a_code(text: str, kind: str, expected: str) -> None:
    with pytest.raises(Declined) as caught:
        read_file(text, kind)
    assert expected in codes(caught.value)


def test_the_same_parameter_under_two_names_must_agree() -> None:
    assert canonical({"lower": "1", "lower_price": "1.0"}) == {"lower": "1"}
    with pytest.raises(Declined) as caught:
        canonical({"lower": "1", "lower_price": "2"})
    assert codes(caught.value) == ["given_twice"]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(Declined) as caught:
        clean({"lower": "abc", "grids": "1", "colour": "red"})
    assert codes(caught.value) == ["bad_number", "out_of_bounds", "unknown_parameter"]


# --------------------------------------------------------------------------- properties

positive = st.decimals(D("0.00000001"), D(10**9), places=8).map(lambda d: f"{d:f}")
values = {
    Kind.SYMBOL: st.sampled_from(
        ["BTCUSDT", "1000PEPEUSDT", "4USDT", "LONG", "X5", "BTC/USDT:USDT", "币安人生USDT", "GEO"]
    ),
    Kind.PRICE: positive,
    Kind.MONEY: positive,
    Kind.AMOUNT: st.tuples(positive, st.sampled_from(["", "u"])).map("".join),
    Kind.STEP: st.tuples(positive, st.sampled_from(["", "%"])).map("".join),
    Kind.PRICES: st.lists(positive, min_size=1, max_size=8).map(",".join),
    Kind.TEXT: st.text(max_size=60).filter(str.strip),
}


def value_of(name: str) -> st.SearchStrategy[str]:
    p = PARAMETERS[name]
    if p.choices:
        return st.sampled_from(p.choices)
    if p.kind in values:
        return values[p.kind]
    least, most = int(p.least or 1), int(p.most or 100)
    return st.integers(max(1, least), most).map(lambda n: f"{n}%" if p.kind is Kind.PERCENT else str(n))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(PARAMETERS)), unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: value_of(name) for name in names})
    )
)
def test_a_line_that_was_written_is_read_back_the_same(given_: dict[str, str]) -> None:
    params = canonical(given_)
    assert canonical(params) == params
    assert parse_line(format_line(params)) == params


words = st.sampled_from(
    ["BTCUSDT", "long", "5x", "40", "100u", "58000-72000", "sl=1", "tp=", "=", "geo", "levels=1,2,3", "step=1%",
     "5 000", "note=\"", "1-2", "-", "，", "１", "%", "lower=0.00000001", "upper=999999999999999",
     "per_order=1", "density=0.01"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(words, max_size=12).map(" ".join)))
def test_any_text_is_read_or_declined_with_known_codes(text: str) -> None:
    try:
        clean(parse_line(text))
    except Declined as declined:
        codes(declined)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from(sorted(PARAMETERS)), st.text(max_size=20)), st.text(max_size=40)))
def test_any_dictionary_is_cleaned_or_declined_with_known_codes(given_: dict[str, str]) -> None:
    try:
        clean(given_)
    except Declined as declined:
        codes(declined)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_file_is_read_or_declined_with_known_codes(text: str) -> None:
    try:
        read_file(text)
    except Declined as declined:
        codes(declined)


@pytest.mark.parametrize("text", ["btc", " BTCUSDT ", "btc/usdt", "BTC/USDT:USDT", "binance:BTC-USDT-PERP", "BTC-USDT"])
def test_a_symbol_may_be_typed_as_people_do(text: str) -> None:
    assert "BTCUSDT" in symbols_meant(text)
    assert "BTCUSDC" not in symbols_meant(text)[: symbols_meant(text).index("BTCUSDT")]
