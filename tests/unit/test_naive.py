"""The naive grid against examples worked out on paper: what judges the backtest must itself be trusted."""

from __future__ import annotations

import gzip
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import naive
from tests.naive import Refused, simulate

D = Decimal
DATA = Path(os.environ.get("TRELLIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
MINUTE = 60_000

# Levels 100, 110, 120, 130, 140; one unit per slot; from P0 = 120 the vacant level is 120 (v = 2).
# Maker 0.001, taker 0.002: a grid fill at 110 costs 0.11, an initial lot at 120 costs 0.24.
PLAIN: dict[str, Any] = {
    "lower": D(100), "upper": D(140), "grids": 4, "spacing": "ARITHMETIC", "sizing": "EQUAL_NOTIONAL",
    "per_order": D(1), "reserve": "0", "tick": D(1), "lot": D("0.001"), "min_qty": D("0.001"), "min_notional": D(5),
    "fee_maker": D("0.001"), "fee_taker": D("0.002"),
}  # fmt: skip


def candles(*rows: tuple[int, int, int, int], step: int = MINUTE) -> list[naive.Candle]:
    """Open, high, low, close."""
    return [(i * step, D(o), D(h), D(low), D(c)) for i, (o, h, low, c) in enumerate(rows)]


def grid(rows: list[naive.Candle], direction: str, **changes: Any) -> dict[str, Any]:
    return simulate(rows, **{**PLAIN, "direction": direction, **changes})


def shown(result: dict[str, Any], *names: str) -> list[Any]:
    return [result[name] for name in names]


# --- one pair, each direction --------------------------------------------------------------------------------------


def test_a_neutral_grid_earns_one_step_less_two_fees() -> None:
    # 120 → 109 → 121 → 121 (close above open). Down: buy at 110. Up: its sell at 120.
    # matched = 10 − 0.11 − 0.12 = 9.77. At 109 the lot stood at 109 − 110 − 0.11 = −1.11: the largest fall.
    result = grid(candles((120, 121, 109, 121)), "NEUTRAL")
    assert result["levels"] == [100, 110, 120, 130, 140]
    assert result["quantities"] == [1, 1, 1, 1]
    assert shown(result, "fills", "pairs", "position", "avg_entry", "max_position") == [2, 1, 0, 0, 1]
    assert shown(result, "matched", "unmatched", "fees", "total") == [D("9.77"), 0, D("0.23"), D("9.77")]
    assert result["max_drawdown"] == D("1.11")
    assert shown(result, "candles", "first", "last", "grid_apr", "total_apr") == [1, 120, 121, None, None]


def test_a_falling_candle_goes_to_its_high_first() -> None:
    # 120 → 131 → 119 → 119. Up: sell at 130 opens a short lot. Down: its buy at 120 closes it; the buy at 110 rests on.
    # matched = 10 − 0.13 − 0.12 = 9.75; at 131 the lot stood at −1 − 0.13.
    result = grid(candles((120, 131, 119, 119)), "NEUTRAL")
    assert shown(result, "fills", "pairs", "matched", "total") == [2, 1, D("9.75"), D("9.75")]
    assert result["max_drawdown"] == D("1.13")


def test_a_long_grid_buys_the_slots_above_at_the_start() -> None:
    # 2 units at 120, taker 0.48. 120 → 119 → 131 → 129: the sell at 130 closes one of them.
    # matched = (130 − 120) − 0.24 − 0.13 = 9.63; the other: 129 − 120 − 0.24 = 8.76; total 18.39.
    # At 119: −2 − 0.48 = −2.48 under the peak 0; at 131: 9.63 + 10.76 = 20.39, then 18.39: a fall of only 2.
    result = grid(candles((120, 131, 119, 129)), "LONG")
    assert shown(result, "fills", "pairs", "position", "avg_entry", "max_position") == [1, 1, 1, 120, 2]
    assert shown(result, "matched", "unmatched", "total") == [D("9.63"), D("8.76"), D("18.39")]
    assert result["fees"] == D("0.61")
    assert result["max_drawdown"] == D("2.48")


def test_a_short_grid_sells_the_slots_below_at_the_start() -> None:
    # 2 units sold at 120, taker 0.48. 120 → 121 → 109 → 111: the buy at 110 closes one.
    # matched = (120 − 110) − 0.24 − 0.11 = 9.65; the other: 120 − 111 − 0.24 = 8.76; total 18.41.
    # At 121: −2 − 0.48 = −2.48; at 109: 9.65 + 10.76 = 20.41, then 18.41.
    result = grid(candles((120, 121, 109, 111)), "SHORT")
    assert shown(result, "fills", "pairs", "position", "avg_entry", "max_position") == [1, 1, -1, 120, 2]
    assert shown(result, "matched", "unmatched", "total") == [D("9.65"), D("8.76"), D("18.41")]
    assert result["max_drawdown"] == D("2.48")


# --- the path ------------------------------------------------------------------------------------------------------


def test_leaving_the_range_leaves_the_orders_resting_and_one_jump_fills_every_level() -> None:
    # 2 at 120 (0.48). Up to 150: sells at 130 and 140, matched 10 + 20 − 0.48 − 0.13 − 0.14 = 29.25, flat.
    # Down to 90 in one leg: buys at 130, 120, 110, 100 (0.46); at 90 they stand at −40 − 30 − 20 − 10 − 0.46 = −100.46.
    result = grid(candles((120, 150, 120, 150), (150, 150, 90, 90)), "LONG")
    assert shown(result, "fills", "pairs", "position", "avg_entry", "max_position") == [6, 2, 4, 115, 4]
    assert shown(result, "matched", "unmatched", "total") == [D("29.25"), D("-100.46"), D("-71.21")]
    assert result["max_drawdown"] == D("100.46")


def test_the_gap_between_two_candles_is_walked_too() -> None:
    # Closes at 120, opens at 105: the buy at 110 fills at 110 on the way; 105 − 110 − 0.11.
    result = grid(candles((120, 120, 120, 120), (105, 105, 105, 105)), "NEUTRAL")
    assert shown(result, "fills", "position", "unmatched") == [1, 1, D("-5.11")]


def test_a_counter_order_is_live_for_the_rest_of_the_candle() -> None:
    # 120 → 109 → 131 → 120 falls as close = open: low first. Buy 110; up: sell 120, sell 130; down to 120: buy 120.
    # Pairs: 110→120 in slot 1 (10 − 0.23), 130→120 in slot 2 (10 − 0.25): 19.52.
    result = grid(candles((120, 131, 109, 120)), "NEUTRAL")
    assert shown(result, "fills", "pairs", "matched", "position") == [4, 2, D("19.52"), 0]


def test_touch_fills_at_the_level_and_through_one_tick_beyond() -> None:
    touched = candles((120, 120, 110, 110))
    passed = candles((120, 120, 109, 109))
    assert grid(touched, "NEUTRAL")["fills"] == 1
    assert grid(touched, "NEUTRAL", fill="through")["fills"] == 0
    # Beyond by the tick it fills at its own price all the same: 109 − 110 − 0.11.
    assert shown(grid(passed, "NEUTRAL", fill="through"), "fills", "unmatched") == [1, D("-1.11")]


# --- start ---------------------------------------------------------------------------------------------------------


def test_slots_without_inventory_start_with_their_entry_once_the_price_has_passed_their_far_level() -> None:
    # No initial lots: slots 2 (120–130) and 3 (130–140) wait. Exactly 130 does not pass it: nothing at 120 afterwards.
    waiting = grid(candles((120, 130, 120, 119)), "LONG", initial=False)
    assert shown(waiting, "fills", "fees", "position") == [0, 0, 0]
    # 131 passes 130: slot 2 buys at 120 on the way down to 119; at 119: −1 − 0.12. Slot 3 still waits.
    awake = grid(candles((120, 131, 120, 119)), "LONG", initial=False)
    assert shown(awake, "fills", "position", "total") == [1, 1, D("-1.12")]
    # Mirrored: 109 passes 110, slot 1 sells at 120 on the way up to 121; slot 0 still waits.
    short = grid(candles((120, 121, 109, 121)), "SHORT", initial=False)
    assert shown(short, "fills", "position", "total") == [1, -1, D("-1.12")]


def test_a_trigger_starts_the_grid_in_the_middle_of_the_way_with_itself_as_start_price() -> None:
    # First open 140, trigger 120: nothing happens at 130. 140 → 140 → 109 → 112 starts at 120 with 2 units (0.48),
    # then the buy at 110 (0.11). At 112: 2·(112 − 120) − 0.48 + 2 − 0.11 = −14.59.
    result = grid(candles((140, 140, 109, 112)), "LONG", trigger=D(120))
    assert shown(result, "first", "fills", "position", "total") == [140, 1, 3, D("-14.59")]
    # At 109: −22 − 0.48 − 1 − 0.11 = −23.59.
    assert result["max_drawdown"] == D("23.59")


def test_a_trigger_never_reached_trades_nothing_and_an_equal_one_starts_at_once() -> None:
    never = grid(candles((110, 119, 100, 105)), "LONG", trigger=D(120))
    assert shown(never, "fills", "fees", "position", "total", "quantities") == [0, 0, 0, 0, [1, 1, 1, 1]]
    at_once = grid(candles((120, 131, 119, 129)), "LONG", trigger=D(120))
    assert at_once == grid(candles((120, 131, 119, 129)), "LONG")


def test_a_start_below_the_range_puts_every_slot_on_one_side() -> None:
    # P0 = 90: v = 0, LONG buys all 4 at 90 (0.72). Up to 115: sells at 110 only (100 is no slot's upper level).
    # matched = 20 − 0.18 − 0.11 = 19.71; three at 115: 75 − 0.54.
    result = grid(candles((90, 115, 90, 115)), "LONG")
    assert shown(result, "fills", "max_position", "matched", "unmatched") == [1, 4, D("19.71"), D("74.46")]


# --- stops and funding ---------------------------------------------------------------------------------------------


def test_a_stop_loss_closes_at_the_price_of_its_path_point_and_ends_the_trading() -> None:
    # 2 at 120 (0.48), buys at 110 and 100 (0.21) on the way to 94, which is beyond 95: 4 sold at 94, taker 0.752.
    # −26·2 − 16 − 6 − 0.48 − 0.21 − 0.752 = −75.442. What comes after changes nothing, not even the mark.
    rows = candles((120, 120, 94, 96), (96, 150, 90, 140))
    result = grid(rows, "LONG", stop_loss=D(95))
    assert shown(result, "fills", "pairs", "position", "max_position", "last") == [2, 0, 0, 4, 140]
    assert shown(result, "matched", "unmatched", "total") == [0, D("-75.442"), D("-75.442")]
    assert shown(result, "fees", "max_drawdown") == [D("1.442"), D("75.442")]


def test_each_direction_has_its_stops_on_its_own_side() -> None:
    up, down = candles((120, 150, 120, 150), (150, 150, 90, 90)), candles((120, 120, 90, 90), (90, 150, 90, 150))
    # SHORT from 120: sells at 130, 140 on the way to 150 and closes 4 there: 2·(−30) − 20 − 10, fees .48 .27 1.2.
    assert grid(up, "SHORT", stop_loss=D(150))["total"] == D("-91.95")
    # SHORT down: buys 110, 100: matched 30 − 0.48 − 0.21; flat at the target, nothing to close.
    assert shown(grid(down, "SHORT", take_profit=D(90)), "matched", "total") == [D("29.31"), D("29.31")]
    # LONG up: sells 130, 140: 30 − 0.48 − 0.27; flat at the target.
    assert shown(grid(up, "LONG", take_profit=D(150)), "fills", "total") == [2, D("29.25")]
    # NEUTRAL up: −20 − 10 − 0.27 − 0.6; down: 90 − 110 + 90 − 100 − 0.21 − 0.36.
    assert grid(up, "NEUTRAL", stop_loss=D(90), stop_loss_high=D(150))["total"] == D("-30.87")
    assert grid(down, "NEUTRAL", stop_loss=D(90), stop_loss_high=D(150))["total"] == D("-30.57")


def test_a_long_position_pays_positive_funding_on_the_price_at_that_time() -> None:
    # Long 1 from 110; at the second open the price is 112: −1 · 112 · 0.0001 = −0.0112.
    rows = candles((120, 120, 109, 112), (112, 112, 112, 112))
    result = grid(rows, "NEUTRAL", funding=[(-5, D(1)), (MINUTE, D("0.0001"))])
    assert shown(result, "funding", "total") == [D("-0.0112"), D("1.8788")]
    # A few milliseconds late it is the same; the second point of the first candle (15 s) still stands at 120, flat.
    assert grid(rows, "NEUTRAL", funding=[(MINUTE + 2, D("0.0001"))])["funding"] == D("-0.0112")
    assert grid(rows, "NEUTRAL", funding=[(15_000, D("0.0001"))])["funding"] == 0
    # A short one receives it: 1 short from 130 at 128: + 0.0128.
    short = candles((120, 131, 120, 128), (128, 128, 128, 128))
    assert grid(short, "NEUTRAL", funding=[(MINUTE, D("0.0001"))])["funding"] == D("0.0128")


# --- drawdown and yearly figures -----------------------------------------------------------------------------------


def test_the_drawdown_is_measured_from_the_running_peak() -> None:
    # LONG from 120, 2 units, 0.48. 129: +18 − 0.48 = 17.52 is the peak; 121: 1.52; 125; 111: −18.48, a fall of 36.
    rows = candles((120, 129, 120, 129), (121, 125, 121, 125), (111, 111, 111, 111))
    result = grid(rows, "LONG")
    assert shown(result, "fills", "max_drawdown", "total") == [0, 36, D("-18.48")]


def test_yearly_figures_are_fractions_of_the_investment_over_the_time_of_the_tape() -> None:
    # Two daily candles = 2 days. per_order 1 unit: investment = opening prices 100 + 110 + 130 + 140 = 480.
    rows = candles((120, 121, 109, 121), (121, 121, 121, 121), step=24 * 60 * MINUTE)
    result = grid(rows, "NEUTRAL")
    assert abs(result["grid_apr"] - D("9.77") / 480 * 365 / 2) < D("1e-20")
    assert result["total_apr"] == result["grid_apr"]


# --- levels and sizes ----------------------------------------------------------------------------------------------


def test_equal_notional_divides_by_the_price_at_which_each_lot_opens() -> None:
    # 400 over 4 slots: 100 / 100, 100 / 110, and 100 / 120 twice as those lots are bought at P0; floored to 0.001.
    result = grid(candles((120, 120, 120, 120)), "LONG", per_order=None, investment=D(400))
    assert result["quantities"] == [D("1"), D("0.909"), D("0.833"), D("0.833")]
    # NEUTRAL opens the upper two by selling at 130 and 140; 200 at 2x and 5 % reserve: 380, 95 each.
    result = grid(
        candles((120, 120, 120, 120)), "NEUTRAL", per_order=None, investment=D(200), leverage=2, reserve="0.05"
    )
    assert result["quantities"] == [D("0.95"), D("0.863"), D("0.730"), D("0.678")]
    # The same by notional per order: 95u.
    by_order = grid(candles((120, 120, 120, 120)), "NEUTRAL", per_order="95u")
    assert by_order["quantities"] == result["quantities"]


def test_equal_quantity_divides_by_the_sum_of_opening_prices() -> None:
    # 400 / (100 + 110 + 130 + 140) = 0.8333…
    result = grid(candles((120, 120, 120, 120)), "NEUTRAL", sizing="EQUAL_QUANTITY", per_order=None, investment=D(400))
    assert result["quantities"] == [D("0.833")] * 4


def test_weighted_leans_with_the_direction() -> None:
    # Two slots a side: 1.2 and 0.8 of 2, so 60 % and 40 % of the region's share.
    part = [Fraction(n, 100) for n in (14, 21, 39, 26)]  # LONG: both sides heavy next to the price
    assert naive.shares("LONG", "WEIGHTED", 4, 2) == part
    part = [Fraction(n, 100) for n in (39, 26, 21, 14)]  # SHORT: below the price heavy at the far end
    assert naive.shares("SHORT", "WEIGHTED", 4, 2) == part
    assert naive.shares("NEUTRAL", "WEIGHTED", 4, 2) == [Fraction(1, 4)] * 4
    # One side empty: everything to the other; one slot in a region weighs 1. Three slots: 1.2, 1.0, 0.8 of 3.
    assert naive.shares("LONG", "WEIGHTED", 3, 0) == [Fraction(4, 10), Fraction(1, 3), Fraction(8, 30)]
    assert naive.shares("LONG", "WEIGHTED", 2, 1) == [Fraction(35, 100), Fraction(65, 100)]


def test_levels_are_rounded_half_up_to_the_tick() -> None:
    def levels(spacing: str, low: str, high: str, n: int, tick: str, density: str = "1") -> list[Decimal]:
        return naive.make_levels(spacing, D(low), D(high), n, None, D(density), D(tick))

    assert levels("ARITHMETIC", "100", "101", 4, "0.1") == [D(x) for x in ("100", "100.3", "100.5", "100.8", "101")]
    assert levels("GEOMETRIC", "100", "400", 2, "1") == [100, 200, 400]
    assert levels("GEOMETRIC", "1", "6.25", 2, "1") == [1, 3, 6]  # 2.5 exactly goes up, 6.25 down
    assert levels("ARITHMETIC", "100", "170", 3, "1", "4") == [100, 110, 130, 170]  # steps 1 : 2 : 4
    assert naive.make_levels("CUSTOM", None, None, None, [D(100), D("103.5"), D(110)], D(1), D(1)) == [100, 104, 110]
    with pytest.raises(Refused):
        levels("ARITHMETIC", "100", "101", 4, "1")


def test_the_vacant_level_is_the_nearest_and_a_tie_takes_the_lower() -> None:
    prices = [D(100), D(110), D(120)]
    assert [naive.vacant_level(prices, D(p)) for p in (90, 104, 105, 106, 115, 116, 130)] == [0, 0, 0, 1, 1, 2, 2]


def test_small_orders_and_steps_that_cost_more_than_they_earn_are_refused() -> None:
    flat = candles((120, 120, 120, 120))
    with pytest.raises(Refused, match="notional"):  # 0.049 · 100 = 4.9
        grid(flat, "NEUTRAL", per_order=D("0.049"))
    with pytest.raises(Refused, match="quantity"):
        grid(flat, "NEUTRAL", per_order=D("0.9"), min_qty=D(1))
    with pytest.raises(Refused, match="profit"):  # 10 / 130 · 0.96 < 2 · 0.04
        grid(flat, "NEUTRAL", fee_maker=D("0.04"))


def test_fees_are_rounded_half_up_to_eight_decimals() -> None:
    # 0.05 · 110 · 0.000000001 = 0.0000000055, over half of the last decimal: 0.00000001. At a tenth of it: 0.
    result = grid(candles((120, 120, 110, 110)), "NEUTRAL", per_order=D("0.05"), fee_maker=D("0.000000001"))
    assert result["fees"] == D("0.00000001")
    result = grid(candles((120, 120, 110, 110)), "NEUTRAL", per_order=D("0.05"), fee_maker=D("0.0000000001"))
    assert shown(result, "fills", "fees") == [1, 0]


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_file_is_read_with_or_without_header_in_milliseconds_or_microseconds(tmp_path: Path) -> None:
    named = tmp_path / "named.csv"
    named.write_text("open_time,high,open,low,close\n60000,3,2,1,2.5\n120000,4,3,2,3\n")
    bare = tmp_path / "bare.csv.gz"
    bare.write_bytes(gzip.compress(b"1735689600000000,2,3,1,2.5,9,1735689659999999,1,1,1,1,0\n"))
    assert naive.read(named) == [(60000, D(2), D(3), D(1), D("2.5")), (120000, D(3), D(4), D(2), D(3))]
    assert naive.read(named, 1, 1) == [(120000, D(3), D(4), D(2), D(3))]
    assert naive.read(bare) == [(1735689600000, D(2), D(3), D(1), D("2.5"))]


@pytest.mark.real_data
def test_the_recorded_candles_are_read() -> None:
    path = DATA / "klines" / "binance-um_BTCUSDT_1m_2025-05-04_2025-06-24.csv.gz"
    if not path.exists():
        pytest.skip("the recorded market data is not here (TRELLIS_DATA)")
    first = naive.read(path, 0, 2)
    assert first[0] == (1746372780000, D("95505.4"), D("95505.5"), D("95502.7"), D("95502.7"))
    assert first[1][0] == 1746372840000
    rates = naive.read_funding(DATA / "funding" / "binance-um_BTCUSDT_funding_to_2025-06.csv.gz")
    assert rates[-1] == (1751299200000, D("0.00004923"))
