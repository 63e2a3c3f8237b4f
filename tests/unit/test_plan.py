"""Plans against figures worked by hand from product.md §3.3, and every refusal's way out tried."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trading import plan as planning
from trading.model import Bracket, Direction, Instrument, Side, Sizing, Spacing
from trading.parameters import GridParameters, clean, parse_line
from trading.plan.exposure import Cross
from trading.views import Declined, Preview

D = Decimal
BTC = Instrument(
    key="binance:BTC-USDT-PERP", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size=D("0.1"), lot_size=D("0.001"),
    min_qty=D("0.001"), max_qty=D(1000), market_max_qty=D(120), min_notional=D(50), min_price=D("556.8"),
    max_price=D(4529764),
)  # fmt: skip
BRACKETS = (
    Bracket(D(0), D(300_000), 125, D("0.004"), D(0)),
    Bracket(D(300_000), D(800_000), 100, D("0.005"), D(300)),
    Bracket(D(800_000), D(3_000_000), 75, D("0.0065"), D(1500)),
    Bracket(D(3_000_000), D(12_000_000), 50, D("0.01"), D(12_000)),
    Bracket(D(12_000_000), D(10**9), 20, D("0.02"), D(132_000)),
)
RICH = D(10**12)


def params(line: str) -> GridParameters:
    return clean(parse_line(line))


def make(
    line: str | GridParameters,
    price: str = "62100",
    instrument: Instrument = BTC,
    brackets: tuple[Bracket, ...] | None = BRACKETS,
    available: Decimal | None = RICH,
    wallet_free: Decimal | None = RICH,
    chat: bool = True,
    cross: Cross | None = None,
) -> Preview:
    preview = planning.make(
        params(line) if isinstance(line, str) else line, instrument, D(price), brackets=brackets, available=available,
        wallet_free=wallet_free, chat=chat, cross=cross,
    )  # fmt: skip
    for warning in preview.warnings:
        assert tuple(sorted(warning.values)) == tuple(sorted(planning.WARNINGS[warning.code])), warning
    return preview


def refused(line: str | GridParameters, price: str = "62100", **more: object) -> dict[str, dict[str, str]]:
    with pytest.raises(Declined) as caught:
        make(line, price, **more)  # type: ignore[arg-type]
    for refusal in caught.value.refusals:
        assert tuple(sorted(refusal.values)) == tuple(sorted(planning.REFUSALS[refusal.code])), refusal
    return {refusal.code: refusal.values for refusal in caught.value.refusals}


def passes(line: str | GridParameters, price: str = "62100", **more: object) -> bool:
    try:
        make(line, price, **more)  # type: ignore[arg-type]
    except Declined:
        return False
    return True


def warned(line: str, price: str = "62100", **more: object) -> dict[str, dict[str, str]]:
    return {warning.code: warning.values for warning in make(line, price, **more).warnings}  # type: ignore[arg-type]


def decimals(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(D, texts))


# --------------------------------------------------------------------------- worked by hand

FOUR = "BTCUSDT {} 60000-64000 4 1000u 5x"


def test_a_neutral_grid_worked_by_hand() -> None:
    preview = make(FOUR.format("neutral"))
    plan = preview.plan
    assert plan.levels == decimals("60000", "61000", "62000", "63000", "64000")
    assert (plan.vacant, plan.price) == (2, D(62100))
    assert preview.buying_power == 4750  # 1000 · 5 · 0.95, 1187.5 a slot
    assert plan.quantities == decimals("0.019", "0.019", "0.018", "0.018")
    assert planning.initial(plan) == (None, D(0))
    assert (preview.step_low, preview.step_high, preview.orders) == (D(1000), D(1000), 4)
    # (1 - 0.0002) · 1000 / p - 0.0004 at p = 63000 and p = 60000
    assert preview.profit_low == D("0.0154698413")
    assert preview.profit_high == D("0.0162633333")
    # down: 0.019 · 1000 + 0.0002 · 2299 + 0.0005 · 2280; up: 18 + 0.4572 + 1.152 is less
    assert preview.worst_loss == D("20.5998")
    assert preview.liquidation_now is None
    # WB = 2299 / 5; EP = 60500; (459.8 - 2299) / (0.038 · 0.004 - 0.038)
    assert preview.liquidation_low == D("48594.3775100402")
    # 2286 / 5; (457.2 + 2286) / (0.036 · 0.004 + 0.036)
    assert preview.liquidation_high == D("75896.4143426295")
    # 0.019 · 60000 ≥ 50, the dearest opening 64000 · 0.001 · 4 / (5 · 0.95) = 53.89…
    assert preview.least_investment == D("53.90")


def test_a_long_grid_worked_by_hand() -> None:
    preview = make(FOUR.format("long") + " sl=58000")
    assert preview.plan.quantities == decimals("0.019", "0.019", "0.019", "0.019")
    assert planning.initial(preview.plan) == (Side.BUY, D("0.038"))
    assert (preview.initial_side, preview.initial_qty) == (Side.BUY, D("0.038"))
    # 0.019 · (2000 + 3000 + 4100 + 4100) + 0.0005 · 2359.8 + 0.0002 · 2299 + 0.0005 · 0.076 · 58000
    assert preview.worst_loss == D("254.6437")
    # WB = 2359.8 / 5, EP = 62100: (471.96 - 2359.8) / (0.038 · -0.996)
    assert preview.liquidation_now == D("49879.5180722892")
    # Q = 0.076, cost = 4658.8, WB = 931.76: 3727.04 / (0.076 · 0.996)
    assert preview.liquidation_low == D("49236.9477911647")
    assert preview.liquidation_high is None


def test_a_short_grid_worked_by_hand() -> None:
    preview = make(FOUR.format("short"))
    assert preview.plan.quantities == decimals("0.019", "0.019", "0.018", "0.018")
    assert planning.initial(preview.plan) == (Side.SELL, D("0.038"))
    # bound 64000: 0.038 · 1900 + 0.018 · 1000 + 0 + 0.0005 · 2359.8 + 0.0002 · 2286 + 0.0005 · 0.074 · 64000
    assert preview.worst_loss == D("72.2") + D("18") + D("1.1799") + D("0.4572") + D("2.368")
    assert preview.liquidation_low is None
    # cost 4645.8, WB = 929.16: 5574.96 / (0.074 · 1.004)
    assert preview.liquidation_high == D("75037.1487024873")


def test_a_geometric_grid_earns_the_same_everywhere() -> None:
    coin = replace(BTC, min_price=D(0))
    preview = make("BTCUSDT neutral 1000-1331 3 3000u geo", "1160", instrument=coin)
    assert preview.plan.levels == decimals("1000", "1100", "1210", "1331")
    # r (1 - f) - 1 - f with r = 1.1
    assert (preview.profit_low, preview.profit_high) == (D("0.09958"), D("0.09958"))
    assert preview.plan.vacant == 2  # 1160 is nearer to 1210


def test_taking_fees_count_when_a_grid_may_take() -> None:
    assert make(FOUR.format("neutral") + " post_only=off").profit_high == D("0.0156583333")


@pytest.mark.parametrize(("direction", "expected"), [("long", (None, D(0))), ("short", (None, D(0)))])
def test_without_an_initial_order_every_lot_is_opened_at_its_entry(direction: str, expected: object) -> None:
    preview = make(FOUR.format(direction) + " initial=off")
    assert planning.initial(preview.plan) == expected
    opening = (60000, 61000, 62000, 63000) if direction == "long" else (61000, 62000, 63000, 64000)
    lots = (D("1187.5") / price for price in opening)
    assert preview.plan.quantities == tuple(lot.quantize(D("0.001"), rounding=ROUND_FLOOR) for lot in lots)
    assert preview.liquidation_now is None


def test_weighted_sizes_lean_and_a_neutral_grid_says_that_it_is_equal() -> None:
    assert make(FOUR.format("long") + " sizing=weighted").plan.quantities == decimals(
        "0.011", "0.016", "0.029", "0.019"
    )
    preview = make(FOUR.format("neutral") + " sizing=weighted")
    assert preview.sizing is Sizing.EQUAL_NOTIONAL
    assert "neutral_is_equal" in {warning.code for warning in preview.warnings}


def test_custom_levels_are_taken_as_given() -> None:
    preview = make("BTCUSDT levels=58000,60000,63000,70000 1000u")
    assert preview.plan.levels == decimals("58000", "60000", "63000", "70000")
    assert (preview.spacing, preview.plan.vacant, preview.step_low, preview.step_high) == (
        Spacing.CUSTOM, 2, D(2000), D(7000),
    )  # fmt: skip


# --------------------------------------------------------------------------- per_order, step, rounding, trigger


def test_order_size_in_money_derives_the_investment() -> None:
    preview = make("BTCUSDT neutral 60000-64000 4 5x per_order=1187.5u")
    assert preview.plan == make(FOUR.format("neutral")).plan
    assert preview.investment == 1000


def test_order_size_in_base_gives_every_slot_that_quantity() -> None:
    preview = make("BTCUSDT neutral 60000-64000 4 5x per_order=0.019")
    assert preview.plan.quantities == (D("0.019"),) * 4
    assert preview.buying_power == D("0.019") * 248_000
    assert preview.investment == D("992.00")  # 4712 / 4.75
    # 0.020 · 248,000 / 4.75 = 1044.2105…, never rounded to less than the orders need
    assert make("BTCUSDT neutral 60000-64000 4 5x per_order=0.020").investment == D("1044.22")


@pytest.mark.parametrize(
    ("line", "grids", "upper", "is_lowered"),
    [
        ("60000-64000 step=1000", 4, "64000", False),
        ("60000-64000 step=1500", 2, "63000", True),
        ("60000-64000 step=0.5%", 12, "63700.7", True),  # 60000 · 1.005^12 = 63700.67
        ("60000-63672.5 step=2%", 3, "63672.5", False),  # 60000 · 1.02^3 = 63672.48, which rounds to the bound
        ("60000-63672.46 step=2%", 3, "63672.5", False),  # a little less than three steps, but on the same tick
        ("60000-63672.4 step=2%", 2, "62424", True),
        ("60000-79860 step=10%", 3, "79860", False),  # 60000 · 1.1³ exactly
        ("60000-86400 step=20%", 2, "86400", False),
    ],
)
def test_a_step_brings_the_upper_bound_down_to_the_last_whole_one(
    line: str, grids: int, upper: str, is_lowered: bool
) -> None:
    preview = make(f"BTCUSDT neutral {line} 1000u 5x", "61100")
    assert (len(preview.plan.quantities), preview.plan.levels[-1]) == (grids, D(upper))
    lowered = [warning.values for warning in preview.warnings if warning.code == "upper_lowered"]
    asked = params(f"BTCUSDT {line} 1000u").upper
    said = {"asked": f"{asked:f}", "used": f"{preview.plan.levels[-1]:f}", "grids": str(grids)}
    assert lowered == ([said] if is_lowered else [])


def test_a_step_that_makes_too_many_or_too_few_grids_is_refused() -> None:
    assert refused("BTCUSDT 60000-64000 step=1 1000u")["out_of_bounds"]["text"] == "4000"
    assert refused("BTCUSDT 60000-64000 step=3000 1000u")["out_of_bounds"]["text"] == "1"
    assert refused("BTCUSDT 60000-64000 step=0.000001% 1000u")["out_of_bounds"]["name"] == "grids"
    assert refused("BTCUSDT 60000-64000 step=99999999% 1000u")["out_of_bounds"]["text"] == "0"


def test_bounds_off_the_tick_are_rounded_and_it_is_said() -> None:
    preview = make("BTCUSDT neutral 60000.05-64000.04 4 1000u 5x sl=55000.01")
    assert (preview.plan.levels[0], preview.plan.levels[-1], preview.plan.stop_loss) == decimals(
        "60000.1", "64000", "55000"
    )
    assert [w.values["name"] for w in preview.warnings if w.code == "bound_rounded"] == ["lower", "upper", "stop_loss"]


def test_a_trigger_stands_in_for_the_price() -> None:
    preview = make("BTCUSDT long 60000-64000 4 1000u 5x trigger=61000", "70000")
    assert (preview.plan.price, preview.plan.vacant, preview.plan.trigger) == (D(61000), 1, D(61000))


# --------------------------------------------------------------------------- refusals and their ways out


def test_equal_levels_name_the_largest_count_that_fits() -> None:
    values = refused("BTCUSDT 60000-60010 200 100000u", "60005")["equal_levels"]
    assert values == {"grids": "200", "most": "100"}
    assert refused("BTCUSDT 60000-60000.01 2 1000u", "60000")["equal_levels"]["most"] == ""


def test_a_step_that_does_not_pay_its_fees_is_refused() -> None:
    found = refused("BTCUSDT 60000-60400 20 100000u", "60200")  # 20 / 60380 < 2 · 0.0002 / 0.9998
    assert found["no_profit"] == {"profit": "-0.000069", "step": "0.000331", "least_step": "0.000400"}


def test_a_thin_step_warns() -> None:
    assert "thin_step" in warned("BTCUSDT 60000-64000 60 100000u")  # 66.7 / 63933 = 0.00104 < 0.0012
    assert "thin_step" not in warned("BTCUSDT 60000-64000 50 100000u")  # 80 / 63920 = 0.00125


@pytest.mark.parametrize("direction", ["long", "neutral", "short"])
@pytest.mark.parametrize("sizing", ["equal_notional", "equal_quantity", "weighted"])
@pytest.mark.parametrize("spacing", ["arith", "geo"])
def test_orders_under_the_minimum_are_refused_with_two_ways_out_that_work(
    direction: str, sizing: str, spacing: str
) -> None:
    line = f"BTCUSDT {direction} 58000-72000 {{}} {{}}u 3x {spacing} sizing={sizing}"
    values = refused(line.format(40, 500), "65000")["below_minimum"]
    least, most = D(values["least"]), int(values["most_grids"])
    assert make(line.format(40, least), "65000").least_investment == least
    assert "below_minimum" in refused(line.format(40, least - D("0.01")), "65000")
    assert passes(line.format(most, 500), "65000")
    assert not any(passes(line.format(n, 500), "65000") for n in range(most + 1, 40))


def test_a_hopeless_investment_has_only_one_way_out() -> None:
    assert refused("BTCUSDT 58000-72000 40 1u")["below_minimum"]["most_grids"] == ""


def test_a_smaller_count_that_is_offered_earns_its_fees_too() -> None:
    most = int(refused("BTCUSDT short 62000-64480 100 6750u", "64000")["below_minimum"]["most_grids"])
    assert passes(f"BTCUSDT short 62000-64480 {most} 6750u", "64000")
    assert refused(f"BTCUSDT short 62000-64480 {most + 1} 6750u", "64000").keys() == {"no_profit"}


def test_custom_levels_have_no_smaller_count_to_offer() -> None:
    values = refused("BTCUSDT spacing=custom levels=60000,61000,63000,64000 100u")["below_minimum"]
    assert values["most_grids"] in ("", "0")
    assert passes(f"BTCUSDT spacing=custom levels=60000,61000,63000,64000 {values['least']}u")


def test_the_initial_order_too_must_reach_the_minimum() -> None:
    # 121.6 a slot: 0.002 at 60000; 0.001 at 61950, whose later orders at 62000 would do, but the initial one is 61.95
    coin = replace(BTC, min_notional=D("61.96"))
    line = "BTCUSDT long 60000-64000 2 {}u"
    values = refused(line.format(256), "61950", instrument=coin)["below_minimum"]
    assert passes(line.format(values["least"]), "61950", instrument=coin)
    assert passes(line.format(256), "61950", instrument=replace(BTC, min_notional=D("61.95")))


def test_leverage_is_bounded_by_the_instrument_and_by_the_notional() -> None:
    assert refused("BTCUSDT 58000-72000 40 5000u 126x")["out_of_bounds"] == {
        "name": "leverage", "text": "126", "least": "1", "most": "125",
    }  # fmt: skip
    # 15 of 20 slots buy: 10,000 · 100 · 0.95 · 15 / 20 = 712,500 is within 100x's 800,000, but 20,000 make 1.4 million
    line = "BTCUSDT neutral 62000-63000 20 {}u {}x"
    assert "leverage_for_notional" not in refused(line.format(10000, 100), "62750")
    values = refused(line.format(20000, 100), "62750")["leverage_for_notional"]
    assert (values["leverage"], values["most"]) == ("100", "75")
    assert passes(line.format(20000, 75), "62750")
    assert "leverage_for_notional" in refused(line.format(20000, 76), "62750")


def test_more_than_the_free_balance_is_refused_with_the_most_that_is() -> None:
    line = FOUR.format("neutral")
    assert refused(line, available=D("999.999"))["over_balance"] == {"investment": "1000", "most": "999.99"}
    assert refused(line, wallet_free=D("-5"))["over_balance"]["most"] == "0"
    assert passes(line, available=D(1000), wallet_free=None)


def test_a_start_outside_the_range_needs_a_trigger_in_the_chat_only() -> None:
    line = FOUR.format("neutral")
    assert refused(line, "64000.1")["outside_range"] == {"price": "64000.1", "lower": "60000.0", "upper": "64000.0"}
    assert passes(line, "64000")
    assert passes(line + " trigger=65000", "64000.1")
    preview = make(line, "64000.1", chat=False)
    assert (preview.plan.vacant, preview.plan.entry(3)) == (4, Side.BUY)
    assert make(line, "59000", chat=False).plan.vacant == 0


def test_a_start_beyond_its_own_stop_or_target_is_refused() -> None:
    assert "already_beyond_stop" in refused("BTCUSDT long 60000-64000 4 1000u sl=55000 trigger=54000")
    assert "already_beyond_stop" in refused("BTCUSDT short 60000-64000 4 1000u sl=70000 trigger=71000")
    assert "already_beyond_stop" in refused("BTCUSDT 60000-64000 4 1000u sl=70000 trigger=71000")
    assert "already_beyond_target" in refused("BTCUSDT long 60000-64000 4 1000u tp=70000 trigger=71000")
    assert "already_beyond_target" in refused("BTCUSDT short 60000-64000 4 1000u tp=55000 trigger=54000")


def test_a_stop_that_rounds_onto_the_bound_is_refused() -> None:
    assert "stop_not_below" in refused("BTCUSDT long 60000-64000 4 1000u sl=59999.96")


def test_the_limits_of_the_instrument_hold() -> None:
    line = FOUR.format("long")
    assert refused(line, instrument=replace(BTC, status="SETTLING"))["not_trading"]["status"] == "SETTLING"
    assert "above_max_price" in refused(line, instrument=replace(BTC, max_price=D(63000)))
    assert "below_min_price" in refused(line, instrument=replace(BTC, min_price=D(63000)))
    assert "order_above_maximum" in refused(line, instrument=replace(BTC, max_qty=D("0.018")))
    assert "initial_above_maximum" in refused(line, instrument=replace(BTC, market_max_qty=D("0.037")))
    assert refused(line + " max_position=2000u")["initial_above_max_position"]["initial"] == "2359.80"
    assert "below_min_price" in refused("BTCUSDT 0.01-64000 4 1000u", brackets=None)


def test_long_and_short_near_their_far_bound_must_be_confirmed() -> None:
    assert set(warned("BTCUSDT long 50000-65000 10 5000u")) & planning.CONFIRM == {"close_to_upper"}  # 4.7 %
    assert set(warned("BTCUSDT short 60000-75000 10 5000u")) & planning.CONFIRM == {"close_to_lower"}
    assert not set(warned("BTCUSDT long 50000-66000 10 5000u")) & planning.CONFIRM
    assert not set(warned("BTCUSDT neutral 61000-63000 4 5000u")) & planning.CONFIRM


def test_more_grids_than_orders_may_rest_is_a_warning() -> None:
    preview = make("BTCUSDT 50000-75000 300 500000u")
    assert preview.plan.max_open_orders == 200
    assert {"grids": "300", "most": "200"} in [warning.values for warning in preview.warnings]
    assert make("BTCUSDT 50000-75000 100 500000u max_open_orders=30").plan.max_open_orders == 30
    assert make("BTCUSDT 50000-75000 300 500000u", brackets=None).plan.max_open_orders == 300


@pytest.mark.parametrize("brackets", [BRACKETS, None])
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("BTCUSDT long 58000-72000 20 5000u sl=57999.96", "stop_not_below"),
        ("BTCUSDT short 58000-72000 20 5000u sl=72000.01", "stop_not_above"),
        ("BTCUSDT neutral 58000-72000 20 5000u sl=57999.99 sl=75000", "stop_not_below"),
    ],
)
def test_a_stop_that_rounding_puts_on_the_bound_is_refused_in_backtests_too(
    line: str, code: str, brackets: tuple[Bracket, ...] | None
) -> None:
    assert code in refused(line, "65000", brackets=brackets)


# --------------------------------------------------------------------------- liquidation and margin


@pytest.mark.parametrize(("direction", "at"), [("long", "65000"), ("short", "65000"), ("neutral", "70000")])
def test_liquidation_inside_the_range_names_ways_out_that_work(direction: str, at: str) -> None:
    line = f"BTCUSDT {direction} {{}}-{{}} 20 5000u {{}}x"
    values = refused(line.format(58000, 72000, 25), at)["liquidation_inside"]
    leverage = int(values["leverage"])
    assert passes(line.format(58000, 72000, leverage), at)
    assert "liquidation_inside" in refused(line.format(58000, 72000, leverage + 1), at)
    bound, tick = D(values["narrower"]), D("0.1")
    if direction == "short":
        assert passes(line.format(58000, bound, 25), at)
        assert "liquidation_inside" in refused(line.format(58000, bound + tick, 25), at)
    else:
        assert passes(line.format(bound, 72000, 25), at)
        assert "liquidation_inside" in refused(line.format(bound - tick, 72000, 25), at)
    assert values["cross"] == "yes"
    assert passes(line.format(58000, 72000, 25) + " margin=cross", at)


def test_a_leverage_at_which_the_orders_would_be_too_small_is_no_way_out() -> None:
    values = refused("BTCUSDT long 58000-72000 20 70u 25x", "65000")["liquidation_inside"]
    assert values["leverage"] == ""
    assert refused("BTCUSDT long 58000-72000 20 70u 12x", "65000").keys() == {"below_minimum"}


def test_bounds_that_leave_too_little_room_for_the_levels_are_no_way_out() -> None:
    coarse = replace(BTC, tick_size=D(10), maker_fee=D(0), taker_fee=D(0))
    values = refused("BTCUSDT long 58000-62100 400 500000u 25x", "62000", instrument=coarse)["liquidation_inside"]
    assert values["narrower"] == "", "400 levels do not fit into what is left"
    assert passes(f"BTCUSDT long 58000-62100 400 500000u {values['leverage']}x", "62000", instrument=coarse)


def test_a_bound_at_which_the_steps_do_not_pay_their_fees_is_no_way_out() -> None:
    values = refused("BTCUSDT long 58000-64000 80 50000u 25x post_only=off")["liquidation_inside"]
    assert values["narrower"] == "", "80 levels in what is left are under twice the taker fee apart"


def test_custom_levels_have_no_narrower_bound_to_offer() -> None:
    levels = ",".join(str(level) for level in range(58000, 72001, 1000))
    line = f"BTCUSDT long spacing=custom levels={levels} 5000u {{}}x"
    values = refused(line.format(25), "65000")["liquidation_inside"]
    assert (values["narrower"], values["cross"]) == ("", "yes")
    assert passes(line.format(values["leverage"]), "65000")


def test_a_cross_position_leans_on_the_wallet_less_its_entry_fees() -> None:
    # Q = 0.076, cost 4658.8, fees 1.1799 + 0.4598: (2000 - 1.6397 - 4658.8) / (0.076 · -0.996)
    preview = make(FOUR.format("long") + " margin=cross", cross=Cross(D(2000)))
    assert preview.liquidation_low == D("35146.3710103572")


def test_a_poor_account_is_not_saved_by_cross_margin() -> None:
    line = "BTCUSDT long 58000-72000 20 5000u 25x"
    poor = {"available": D(5000), "wallet_free": D(5000)}
    assert refused(line, "65000", **poor)["liquidation_inside"]["cross"] == ""
    assert "liquidation_inside" in refused(line + " margin=cross", "65000", **poor)
    other = Cross(D(10**6), D(1000), D("-997000"))
    assert "liquidation_inside" in refused(line + " margin=cross", "65000", cross=other)


def test_a_stop_beyond_the_liquidation_names_the_nearest_that_still_acts() -> None:
    line = "BTCUSDT long 60000-64000 4 1000u 10x sl={}"
    values = refused(line.format(50000))["liquidation_before_stop"]
    nearest = D(values["nearest"])
    assert D(50000) < nearest < D(60000)
    assert passes(line.format(nearest))
    assert "liquidation_before_stop" in refused(line.format(nearest - D("0.1")))
    values = refused("BTCUSDT short 60000-64000 4 1000u 10x sl=80000")["liquidation_before_stop"]
    nearest = D(values["nearest"])
    assert passes(f"BTCUSDT short 60000-64000 4 1000u 10x sl={nearest}")
    assert "liquidation_before_stop" in refused(f"BTCUSDT short 60000-64000 4 1000u 10x sl={nearest + D('0.1')}")


def walked(preview: Preview, fee: Decimal, taker: Decimal) -> Decimal | None:
    """Margin over the range the slow way: every level on its own, from the orders that filled on the way to it."""
    plan, fails = preview.plan, []
    side, qty = planning.initial(plan)
    start = plan.vacant
    for k, mark in [(start, plan.price), *enumerate(plan.levels)]:
        filled = range(k, start) if k < start else range(start, k)
        position = qty * (1 if side is Side.BUY else -1) if side else D(0)
        cash, bids, asks = -position * plan.price - qty * plan.price * taker, D(0), D(0)
        for i, size in enumerate(plan.quantities):
            first, is_done = plan.first(i), i in filled
            has_order = plan.initial or not plan.opens_with_inventory(i)
            at = plan.levels[i] if first is Side.BUY else plan.levels[i + 1]
            if is_done and has_order:
                position += first.sign * size
                cash -= first.sign * size * at + size * at * fee
                if plan.opens_with_inventory(i):  # realised, so no longer unrealised PnL
                    cash -= size * (plan.price - at) * (1 if first is Side.BUY else -1)
            if not is_done and not has_order:
                continue
            side_now = first.opposite if is_done else first
            value = size * (plan.levels[i] if side_now is Side.BUY else plan.levels[i + 1])
            bids, asks = bids + value * (side_now is Side.BUY), asks + value * (side_now is Side.SELL)
        need = max(abs(position * mark + bids), abs(position * mark - asks)) / plan.leverage
        if need > plan.investment + cash + position * mark:
            fails.append(mark)
    return min(fails, key=lambda mark: abs(mark - plan.price), default=None)


@settings(max_examples=60, deadline=None)
@given(
    direction=st.sampled_from(["long", "neutral", "short"]),
    price=st.integers(58_000, 72_000),
    grids=st.integers(2, 30),
    leverage=st.integers(1, 9),
    initial=st.sampled_from(["on", "off"]),
    reserve=st.sampled_from(["0", "5%", "20%"]),
)
def test_margin_over_the_range_equals_a_walk_level_by_level(
    direction: str, price: int, grids: int, leverage: int, initial: str, reserve: str
) -> None:
    line = f"BTCUSDT {direction} 58000-72000 {grids} 9000u {leverage}x initial={initial} reserve={reserve}"
    try:
        preview = make(line, str(price))
    except Declined:
        return
    slow = walked(preview, BTC.maker_fee, BTC.taker_fee)
    found = preview.margin_fails_at
    distance = None if slow is None else abs(slow - preview.plan.price)
    assert distance == (None if found is None else abs(found - preview.plan.price))
    assert ("margin_short" in {warning.code for warning in preview.warnings}) == (found is not None)


def test_margin_that_stops_sufficing_is_a_warning_with_its_price() -> None:
    assert warned("BTCUSDT long 58000-72000 14 5000u 5x reserve=0", "65000")["margin_short"]["price"]
    assert "margin_short" not in warned("BTCUSDT neutral 58000-72000 14 5000u 1x reserve=50%", "65000")


def test_without_brackets_the_account_is_large_enough_for_anything() -> None:
    line = "BTCUSDT long 58000-72000 40 5000u 500x sl=10 max_position=1u"
    poor = {"available": D(0), "wallet_free": D(0)}
    preview = make(line, "90000", brackets=None, instrument=replace(BTC, status="BREAK", max_qty=D("0.001")), **poor)
    assert (preview.liquidation_now, preview.liquidation_low, preview.margin_fails_at) == (None, None, None)
    assert preview.worst_loss > 0
    assert set(refused("BTCUSDT 60000-60400 400 1u", "60200", brackets=None)) == {"no_profit", "below_minimum"}


def test_the_least_investment_is_the_least() -> None:
    """The two lots make up the initial order with 0.003 and 0.002: not each needs half of it, rounded up."""
    line = "BTCUSDT long 20000-30000 2 {}u 53x arith sizing=weighted"
    for offered in (1, 2):
        assert make(line.format(offered), "10000", chat=False).least_investment == 1
    assert "below_minimum" in refused(line.format("0.99"), "10000", chat=False)


# --------------------------------------------------------------------------- properties


@settings(max_examples=150, deadline=None)
@given(
    direction=st.sampled_from(["long", "neutral", "short"]),
    spacing=st.sampled_from(["arith", "geo"]),
    sizing=st.sampled_from(["equal_notional", "equal_quantity", "weighted"]),
    density=st.sampled_from(["1", "1.5", "0.4"]),
    lower=st.integers(20_000, 60_000),
    width=st.integers(50, 60_000),
    grids=st.integers(2, 200),
    price=st.integers(10_000, 130_000),
    investment=st.integers(1, 10**6),
    leverage=st.integers(1, 125),
    chat=st.booleans(),
    backtest=st.booleans(),
)
def test_a_plan_keeps_its_promises_or_is_declined_with_known_codes(
    direction: str, spacing: str, sizing: str, density: str, lower: int, width: int, grids: int, price: int,
    investment: int, leverage: int, chat: bool, backtest: bool,
) -> None:  # fmt: skip
    line = (
        f"BTCUSDT {direction} {lower}-{lower + width} {grids} {investment}u {leverage}x {spacing} sizing={sizing} "
        f"density={density}"
    )
    try:
        preview = make(line, str(price), brackets=None if backtest else BRACKETS, chat=chat)
    except Declined as declined:
        for refusal in declined.refusals:
            assert tuple(sorted(refusal.values)) == tuple(sorted(planning.REFUSALS[refusal.code])), refusal
        return
    plan = preview.plan
    assert len(plan.quantities) == grids == len(plan.levels) - 1
    assert all(low < high for low, high in pairwise(plan.levels))
    assert all(qty % BTC.lot_size == 0 and qty >= BTC.min_qty for qty in plan.quantities)
    assert all(qty * level >= BTC.min_notional for qty, level in zip(plan.quantities, plan.levels, strict=False))
    side, initial = planning.initial(plan)
    held = [qty for i, qty in enumerate(plan.quantities) if plan.opens_with_inventory(i)]
    assert initial == sum(held)
    assert side == ({Direction.LONG: Side.BUY, Direction.SHORT: Side.SELL}.get(plan.direction) if held else None)
    cost = sum(
        qty * (plan.price if plan.opens_with_inventory(i) else plan.levels[i + (plan.entry(i) is Side.SELL)])
        for i, qty in enumerate(plan.quantities)
    )
    assert cost <= preview.buying_power == investment * leverage * D("0.95")
    assert 0 < preview.profit_low <= preview.profit_high
    assert preview.least_investment <= investment
    if preview.liquidation_low is not None:
        assert preview.liquidation_low < plan.levels[0]
    if preview.liquidation_high is not None:
        assert preview.liquidation_high > plan.levels[-1]


def test_the_decimal_context_of_the_process_changes_nothing() -> None:
    line = "BTCUSDT long 58000-72000 37 5000u 5x geo density=1.3 sizing=weighted sl=51000"
    expected = make(line, "64321.05")
    with localcontext(Context(prec=8, rounding=ROUND_FLOOR)):
        assert planning.make(
            params(line), BTC, D("64321.05"), brackets=BRACKETS, available=RICH, wallet_free=RICH, chat=True
        ) == expected  # fmt: skip


@pytest.mark.parametrize(
    ("line", "price", "limit"),
    [
        ("BTCUSDT long 58000-72000 20 5000u 10x", "60000", "58000.0"),
        ("BTCUSDT long 58000-72000 20 5000u 8x sl=56500", "60000", "56500.0"),
        ("BTCUSDT short 58000-72000 20 5000u 10x", "70000", "72000.0"),
    ],
)
def test_a_grid_that_would_be_liquidated_after_a_way_there_and_back_is_warned_of(
    line: str, price: str, limit: str
) -> None:
    found = warned(line, price)["liquidation_after_return"]
    assert found["limit"] == limit
    for calm in (" margin=cross", " initial=off"):
        assert "liquidation_after_return" not in (warned(line + calm, price) if passes(line + calm, price) else {})
    assert "liquidation_after_return" not in warned(line.replace("10x", "4x").replace("8x", "4x"), price)
    assert "liquidation_after_return" not in warned(
        line.replace("long", "neutral").replace("short", "neutral"), "65000"
    )


def test_what_is_liquidated_after_the_return_is_every_lot_at_its_own_level() -> None:
    found = warned("BTCUSDT long 58000-72000 20 5000u 10x", "60000")["liquidation_after_return"]
    made = make("BTCUSDT long 58000-72000 20 5000u 10x", "60000").plan
    held = sum(made.quantities)
    cost = sum(qty * level for qty, level in zip(made.quantities, made.levels, strict=False))
    assert D(found["liquidation"]) == round((cost / 10 - cost) / (held * D("0.004") - held), 1)  # 58,437 inside
