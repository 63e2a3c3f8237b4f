"""The project's backtest against the naive grid: to the cent on recorded markets and on random paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests import naive
from trading import plan
from trading.backtest import FIELDS
from trading.core.replay import Rules, run, unlimited
from trading.core.stretch import stretches
from trading.model import ZERO, Candle, Instrument
from trading.parameters import clean
from trading.strategies.grid import GridPlan
from trading.views import Declined

D = Decimal
DATA = Path(os.environ.get("TRELLIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
MINUTE = 60_000
CENT = D("0.005")

EXACT = ("candles", "first", "last", "levels", "quantities", "fills", "pairs", "position", "max_position")
MONEY = ("matched", "unmatched", "fees", "funding", "total", "max_drawdown")
YEARLY = ("grid_apr", "total_apr")


def ours(candles: Sequence[naive.Candle], **grid: Any) -> dict[str, Any]:
    """The project's backtest with the arguments of `naive.simulate`; a refused plan is raised as `naive.Refused`."""
    texts = {name: _text(grid[name]) for name in _PARAMETERS if grid.get(name) is not None} | {"symbol": "XYZUSDT"}
    if grid["spacing"] == "CUSTOM":
        texts = {name: text for name, text in texts.items() if name not in ("lower", "upper", "grids")}
    if isinstance(grid.get("per_order"), Decimal):
        del texts["sizing"]  # a quantity per order says it all, and the parameters say so too
    texts["initial"] = "on" if grid.get("initial", True) else "off"
    instrument = Instrument(
        "tape:XYZ-USDT-PERP", "XYZUSDT", "XYZ", "USDT", grid["tick"], grid["lot"], grid["min_qty"], ZERO, ZERO,
        grid["min_notional"], maker_fee=grid["fee_maker"], taker_fee=grid["fee_taker"],
    )  # fmt: skip
    rules = Rules(None, grid.get("fill") == "through", tuple(grid.get("funding", ())))

    def planned(price: Decimal) -> GridPlan:
        given = {"brackets": None, "available": None, "wallet_free": None, "chat": False}
        return plan.make(clean(texts), unlimited(instrument), price, **given).plan

    try:
        outcome = run(planned, stretches(Candle(*candle) for candle in candles), rules)
    except Declined as no:
        raise naive.Refused(str(no)) from None
    return {name: getattr(outcome, name) for name in FIELDS}


_PARAMETERS = (
    "direction", "spacing", "sizing", "lower", "upper", "grids", "levels", "density", "investment", "per_order",
    "leverage", "reserve", "trigger", "stop_loss", "stop_loss_high", "take_profit",
)  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return format(value, "f") if isinstance(value, Decimal) else str(value)


# --- the comparison ------------------------------------------------------------------------------------------------


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The fields in which two results are not the same: counts, quantities, levels exactly, money to the cent."""
    result = [name for name in (*EXACT, *MONEY, *YEARLY, "avg_entry") if name not in found]
    for name in EXACT:
        if name in found and _numbers(expected[name]) != _numbers(found[name]):
            result.append(f"{name}: {expected[name]} expected, {found[name]} found")
    tolerances = dict.fromkeys(MONEY, CENT)
    tolerances |= {name: D("0.0001") + abs(expected[name] or D(0)) / 10**6 for name in YEARLY}
    tolerances["avg_entry"] = expected["avg_entry"] / 10**9
    for name, tolerance in tolerances.items():
        if name in found and not _near(expected[name], found[name], tolerance, flat_is_zero=name == "avg_entry"):
            result.append(f"{name}: {expected[name]} expected, {found[name]} found")
    return result


def _numbers(value: Any) -> list[Decimal]:
    return [D(x) for x in value] if isinstance(value, list | tuple) else [D(value)]


def _near(expected: Decimal | None, found: Any, tolerance: Decimal, *, flat_is_zero: bool) -> bool:
    if flat_is_zero and found is None:
        found = 0
    if expected is None or found is None:
        return expected is found
    return abs(expected - D(found)) <= tolerance


def judge(candles: Sequence[naive.Candle], grid: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Ours gives `expected`, or refuses where that is None."""
    try:
        found: dict[str, Any] | None = ours(candles, **grid)
    except naive.Refused:
        found = None
    except NotImplementedError:
        pytest.skip("the backtest is not connected to this comparison yet")
    if expected is None or found is None:
        assert expected is found, f"refused by one only: {'naive' if expected is None else 'ours'}"
        return
    if grid.get("trigger") is not None:  # ours counts the years from the start, the naive one those of the tape
        expected = expected | {name: found[name] for name in YEARLY}
    assert differences(expected, found) == []


def simulated(candles: Sequence[naive.Candle], grid: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return naive.simulate(candles, **grid)
    except naive.Refused:
        return None


# --- recorded markets ----------------------------------------------------------------------------------------------

UM, SPOT = "klines/binance-um_", "klines/binance-spot_"
MARKETS: dict[str, tuple[str, str, str]] = {  # file, tick, lot
    "btc": (UM + "BTCUSDT_1m_2025-05-04_2025-06-24.csv.gz", "0.1", "0.001"),
    "eth": (UM + "ETHUSDT_1m_2025-05-04_2025-06-24.csv.gz", "0.01", "0.001"),
    "sol": (UM + "SOLUSDT_1m_2025-05-04_2025-06-24.csv.gz", "0.001", "0.01"),
    "fil": (UM + "FILUSDT_1m_2023-06_full.csv.gz", "0.001", "0.1"),
    "btc 2020 crash": (SPOT + "BTCUSDT_1m_crash_2020-03-10_15.csv.gz", "0.01", "0.00001"),
    "btc 2021 crash": (SPOT + "BTCUSDT_1m_crash_2021-05-17_23.csv.gz", "0.01", "0.00001"),
    "eth 2021 crash": (SPOT + "ETHUSDT_1m_crash_2021-05-17_23.csv.gz", "0.01", "0.0001"),
    "btc outage": (SPOT + "BTCUSDT_1m_outage_2020-02-18_20.csv.gz", "0.01", "0.00001"),
    "eth spot": (SPOT + "ETHUSDT_1m_2025-01_2025-06.csv.gz", "0.01", "0.0001"),
}
FUNDING = {"btc": "funding/binance-um_BTCUSDT_funding_to_2025-06.csv.gz"} | {
    "eth": "funding/binance-um_ETHUSDT_funding_to_2025-06.csv.gz",
    "sol": "funding/binance-um_SOLUSDT_funding_to_2025-06.csv.gz",
}


@dataclass(frozen=True)
class Case:
    """A slice of a recorded market and a grid whose prices are given in percent from the first open."""

    market: str
    start: int
    count: int
    direction: str
    spacing: str
    sizing: str
    below: float
    above: float
    grids: int
    prices: dict[str, float] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    funded: bool = False

    def __str__(self) -> str:
        extras = "".join(f" {name}" for name in (*self.prices, *self.more)) + (" funding" if self.funded else "")
        return f"{self.market} {self.direction} {self.spacing} {self.sizing} {self.grids}{extras}".lower()


A, G = "ARITHMETIC", "GEOMETRIC"
EVEN, QUANTITY, WEIGHTED = "EQUAL_NOTIONAL", "EQUAL_QUANTITY", "WEIGHTED"
CASES = [
    Case("btc", 0, 10_000, "LONG", A, EVEN, 4, 10, 60),
    Case("btc", 0, 6_000, "SHORT", G, EVEN, 3, 12, 40, funded=True),
    Case("btc", 20_000, 8_000, "NEUTRAL", G, EVEN, 5, 5, 50, funded=True),
    Case("btc", 40_000, 8_000, "NEUTRAL", A, QUANTITY, 4, 4, 100),
    Case("btc", 30_000, 6_000, "LONG", G, WEIGHTED, 6, 3, 30, {"stop_loss": -7, "take_profit": 3.2}),
    Case("btc", 10_000, 6_000, "NEUTRAL", A, EVEN, 1.5, 1.5, 20, {"stop_loss": -1.8, "stop_loss_high": 2.0}),
    Case("eth", 0, 8_000, "LONG", G, EVEN, 5, 40, 60, funded=True),
    Case("eth", 5_000, 6_000, "SHORT", A, WEIGHTED, 5, 8, 40, funded=True),
    Case("eth", 20_000, 6_000, "SHORT", G, QUANTITY, 8, 8, 40, {}, {"initial": False}),
    Case("eth", 30_000, 6_000, "LONG", A, EVEN, 8, 8, 40, {}, {"initial": False}),
    Case("eth", 30_000, 6_000, "NEUTRAL", A, EVEN, 6, 6, 40, {"trigger": 2}, {"leverage": 5}),
    Case("sol", 0, 6_000, "NEUTRAL", A, WEIGHTED, 5, 15, 50, funded=True),
    Case("sol", 10_000, 6_000, "LONG", A, EVEN, 6, 6, 30, {}, {"density": D("1.5")}),
    Case("sol", 20_000, 6_000, "SHORT", A, EVEN, 6, 6, 30, {}, {"density": D("0.6"), "fill": "through"}),
    Case("sol", 30_000, 6_000, "LONG", "CUSTOM", EVEN, 6, 6, 30),
    Case("fil", 11_000, 8_000, "LONG", G, EVEN, 30, 10, 60),
    Case("fil", 11_000, 8_000, "SHORT", A, EVEN, 30, 10, 50, {"take_profit": -35}),
    Case("fil", 0, 8_000, "NEUTRAL", A, EVEN, 6, 6, 40, {}, {"fill": "through"}),
    Case("btc 2020 crash", 0, 8_640, "LONG", G, EVEN, 45, 5, 100),
    Case("btc 2020 crash", 0, 8_640, "NEUTRAL", G, EVEN, 20, 20, 60, {"stop_loss": -30, "stop_loss_high": 30}),
    Case("btc 2021 crash", 0, 10_080, "SHORT", A, WEIGHTED, 35, 5, 80),
    Case("btc 2021 crash", 0, 10_080, "LONG", A, QUANTITY, 15, 5, 40, {"stop_loss": -20}),
    Case("eth 2021 crash", 0, 10_080, "NEUTRAL", G, QUANTITY, 45, 10, 100),
    Case("eth 2021 crash", 0, 10_080, "LONG", G, WEIGHTED, 45, 2, 60, {}, {"fill": "through"}),
    Case("btc outage", 0, 3_966, "NEUTRAL", A, EVEN, 5, 3, 40),
    Case("btc outage", 0, 3_966, "LONG", G, EVEN, 5, 3, 40, {"trigger": 1}),
    Case("eth spot", 100_000, 20_000, "LONG", A, EVEN, 20, 10, 50),
    Case("eth spot", 50_000, 5_000, "SHORT", G, EVEN, 8, 8, 40, {}, {"per_order": "50u"}),
    Case("eth spot", 60_000, 5_000, "NEUTRAL", A, EVEN, 8, 8, 40, {}, {"per_order": D("0.0123")}),
]


def away(price: Decimal, percent: float, tick: Decimal) -> Decimal:
    """The price so many percent away, on the tick."""
    return (price * (1 + D(str(percent)) / 100) / tick).quantize(D(1), rounding=ROUND_HALF_UP) * tick


def grid_of(case: Case, first: Decimal, tick: Decimal, lot: Decimal) -> dict[str, Any]:
    grid: dict[str, Any] = {
        "direction": case.direction, "spacing": case.spacing, "sizing": case.sizing, "grids": case.grids,
        "lower": away(first, -case.below, tick), "upper": away(first, case.above, tick),
        "tick": tick, "lot": lot, "min_qty": lot, "min_notional": D(5),
        "fee_maker": D("0.0002"), "fee_taker": D("0.0005"),
    }  # fmt: skip
    if "per_order" not in case.more:
        grid["investment"] = D(20_000)
    if case.spacing == "CUSTOM":  # steps that grow upward, so neither arithmetic nor geometric
        span, n = case.below + case.above, case.grids
        grid["levels"] = [away(first, -case.below + span * (k / n) ** 1.3, tick) for k in range(n + 1)]
    grid |= {name: away(first, percent, tick) for name, percent in case.prices.items()}
    return grid | case.more


@pytest.mark.real_data
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_market_gives_the_same_result_to_the_cent(case: Case) -> None:
    file, tick, lot = MARKETS[case.market]
    if not (DATA / file).exists():
        pytest.skip("the recorded market data is not here (TRELLIS_DATA)")
    candles = naive.read(DATA / file, case.start, case.count)
    assert len(candles) == case.count
    grid = grid_of(case, candles[0][1], D(tick), D(lot))
    if case.funded:
        end = candles[-1][0]
        rates = naive.read_funding(DATA / FUNDING[case.market])
        grid["funding"] = [(time, rate) for time, rate in rates if candles[0][0] <= time <= end]
    expected = naive.simulate(candles, **grid)
    assert expected["fills"] >= 10, "a case that trades hardly at all proves nothing"
    assert not case.funded or expected["funding"] != 0
    judge(candles, grid, expected)


# --- random paths --------------------------------------------------------------------------------------------------


@st.composite
def tapes(draw: st.DrawFn, tick: Decimal) -> list[naive.Candle]:
    """A few candles in whole ticks round 1000, with gaps between them and now and then a wide one."""
    at = draw(st.integers(960, 1040))
    result: list[naive.Candle] = []
    for i in range(draw(st.integers(1, 25))):
        opened = max(600, at + draw(st.integers(-6, 6)))
        close = max(600, opened + draw(st.one_of(st.integers(-25, 25), st.integers(-100, 100), st.integers(-250, 250))))
        high = max(opened, close) + draw(st.integers(0, 30))
        low = min(opened, close) - draw(st.integers(0, 30))
        result.append((1_700_000_000_000 + i * MINUTE, opened * tick, high * tick, low * tick, close * tick))
        at = close
    return result


def _bounds(draw: st.DrawFn, tick: Decimal) -> dict[str, Any]:
    spacing = draw(st.sampled_from([A, G, "CUSTOM"]))
    lower = draw(st.integers(880, 990))
    upper = lower + draw(st.integers(20, 250))
    inside = st.sets(st.integers(lower + 1, upper - 1), min_size=1, max_size=9)
    levels = sorted({lower, upper, *draw(inside)}) if spacing == "CUSTOM" else None
    return {
        "spacing": spacing,
        "lower": lower * tick,
        "upper": upper * tick,
        "grids": len(levels) - 1 if levels else draw(st.integers(2, 12)),
        "levels": [level * tick for level in levels] if levels else None,
        "density": draw(st.sampled_from([D(1), D("1.5"), D("0.5")])) if spacing == A else D(1),
    }


def _amount(draw: st.DrawFn) -> dict[str, Any]:
    given_as = draw(st.sampled_from(["investment", "notional", "quantity"]))
    if given_as == "investment":
        return {"investment": D(draw(st.integers(100, 20_000))), "leverage": draw(st.integers(1, 5))}
    if given_as == "notional":
        return {"per_order": f"{draw(st.integers(5, 2_000))}u"}
    return {"per_order": D(draw(st.integers(1, 3_000))) / 1000}


def _stops(draw: st.DrawFn, direction: str, grid: dict[str, Any], start: Decimal, tick: Decimal) -> dict[str, Any]:
    """Beyond the range and the start."""
    low = min(grid["lower"], start) - draw(st.integers(1, 60)) * tick
    high = max(grid["upper"], start) + draw(st.integers(1, 60)) * tick
    names = {
        "LONG": {"stop_loss": low, "take_profit": high},
        "SHORT": {"stop_loss": high, "take_profit": low},
        "NEUTRAL": {"stop_loss": low, "stop_loss_high": high},
    }[direction]
    return {name: price for name, price in names.items() if draw(st.booleans())}


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[naive.Candle], dict[str, Any]]:
    tick = draw(st.sampled_from([D(1), D("0.1"), D("0.01")]))
    candles = draw(tapes(tick))
    direction = draw(st.sampled_from(["LONG", "SHORT", "NEUTRAL"]))
    maker, taker = draw(st.sampled_from([("0", "0"), ("0.0002", "0.0005"), ("0.0001", "0.001")]))
    grid: dict[str, Any] = {
        "direction": direction, "tick": tick, "lot": D("0.001"), "min_qty": D("0.001"), "min_notional": D(1),
        "fee_maker": D(maker), "fee_taker": D(taker), "sizing": draw(st.sampled_from([EVEN, QUANTITY, WEIGHTED])),
        "initial": draw(st.sampled_from([True, True, False])), "fill": draw(st.sampled_from(["touch", "through"])),
        "trigger": draw(st.one_of(st.none(), st.integers(930, 1070).map(lambda n: n * tick))),
    }  # fmt: skip
    grid |= _bounds(draw, tick) | _amount(draw)
    grid |= _stops(draw, direction, grid, candles[0][1] if grid["trigger"] is None else grid["trigger"], tick)
    times = draw(st.sets(st.sampled_from([candle[0] for candle in candles[1:]]), max_size=3)) if candles[1:] else set()
    rate = st.integers(-50, 50).map(lambda n: D(n) / 10_000)
    grid["funding"] = [(time + draw(st.sampled_from([0, 2])), draw(rate)) for time in sorted(times)]
    return candles, grid


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs())
def test_a_random_path_gives_the_same_result_to_the_cent(run: tuple[list[naive.Candle], dict[str, Any]]) -> None:
    candles, grid = run
    expected = simulated(candles, grid)  # proves its own ledger against the wallet on the way
    note(f"{expected}")
    judge(candles, grid, expected)


# --- the comparison can fail ---------------------------------------------------------------------------------------

SAMPLE = naive.simulate(
    [(i * 24 * 60 * MINUTE, D(120), D(131), D(109), D(119)) for i in range(3)],
    direction="LONG", lower=D(100), upper=D(140), grids=4, per_order=D(1),
    tick=D(1), lot=D(1), min_qty=D(1), min_notional=D(5), fee_maker=D("0.001"), fee_taker=D("0.002"),
)  # fmt: skip


def test_a_result_equals_itself_as_text() -> None:
    text = {name: [str(x) for x in v] if isinstance(v, list) else str(v) for name, v in SAMPLE.items()}
    assert differences(SAMPLE, text) == []
    assert differences(SAMPLE, {**text, "total": str(SAMPLE["total"] + D("0.004"))}) == []


@pytest.mark.parametrize("name", [*EXACT, *MONEY, *YEARLY, "avg_entry"])
def test_a_cent_or_a_count_of_difference_is_seen(name: str) -> None:
    value = SAMPLE[name]
    changed = [*value[:-1], value[-1] + 1] if isinstance(value, list) else value + D("0.01")
    assert len(differences(SAMPLE, {**SAMPLE, name: changed})) == 1
    assert differences(SAMPLE, {key: v for key, v in SAMPLE.items() if key != name}) == [name]
