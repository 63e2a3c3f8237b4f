"""Presets follow how much the price moves, lean with the direction, and hold what product.md §3.2 asks of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import presets
from bot.menu import Press, encode
from trading import plan as planning
from trading.model import Candle
from trading.parameters import clean
from trading.sandbox.instruments import LISTINGS

PRICES = st.decimals("0.0001", "200000", places=4)
SWINGS = st.decimals("0.004", "0.15", places=3)
D = Decimal


def candles(count: int, move: str, pitch: int = 3_600_000) -> list[Candle]:
    """Up and down by `move`, a share, in turns."""
    closes = [D(100) * (1 + D(move) * (i % 2)) for i in range(count)]
    return [Candle(i * pitch, c, c, c, c) for i, c in enumerate(closes)]


def test_the_swing_of_a_day_is_measured_and_bounded() -> None:
    assert presets.swing([]) == presets.USUAL
    assert presets.swing(candles(10, "0.01")) == presets.USUAL
    assert D("0.046") < presets.swing(candles(168, "0.01")) < D("0.051")  # 1 % an hour, √24 times that a day
    assert presets.swing(candles(168, "0")) == presets.LEAST
    assert presets.swing(candles(168, "0.2")) == presets.MOST


@given(PRICES, SWINGS, st.sampled_from(["long", "neutral", "short"]))
def test_every_preset_is_a_grid_round_the_price_that_leans_with_the_direction(
    price: Decimal, swing: Decimal, way: str
) -> None:
    tick = D("0.0001") if price < 10 else D("0.01")
    for each in presets.presets(way, price, tick, swing, 100):
        assert 0 < each.lower < price < each.upper
        assert 2 <= each.grids <= 100
        assert 1 <= each.leverage <= 5
        down, up = price - each.lower, each.upper - price
        if price > 10:
            lean = {"long": 2, "neutral": 1, "short": D("0.5")}[way]
            assert abs(up - lean * down) < price * D("0.006")
        made = presets.fields(each.text(), way, tick)
        assert D(made["lower"]) == each.lower
        assert made.get("sizing", "") == ("" if way == "neutral" else "weighted")
        encode(Press("w", 0, f"preset={each.text()}", "abcdefgh"))


@given(SWINGS)
def test_the_stop_is_half_as_far_as_the_target_and_even_for_neutral(swing: Decimal) -> None:
    price, tick = D(65000), D("0.1")
    for way in ("long", "short"):
        for each in presets.presets(way, price, tick, swing, 100):
            made = presets.fields(each.text(), way, tick)
            if "take_profit" in made:
                stop, target = abs(D(made["stop_loss"]) - price), abs(D(made["take_profit"]) - price)
                assert abs(target - 2 * stop) < price * D("0.01")
    for each in presets.presets("neutral", price, tick, swing, 100):
        made = presets.fields(each.text(), "neutral", tick)
        assert abs(D(made["stop_loss"]) + D(made["stop_loss_high"]) - 2 * price) < price * D("0.01")


@settings(max_examples=60, deadline=None)
@given(SWINGS, st.sampled_from(["long", "neutral", "short"]), st.sampled_from(list(LISTINGS)))
def test_a_preset_with_enough_money_is_not_refused(swing: Decimal, way: str, symbol: str) -> None:
    listing = LISTINGS[symbol]
    it = listing.instrument
    price = {"BTCUSDT": D(65000), "ETHUSDT": D(3200)}.get(symbol, D(150))
    for each in presets.presets(way, price, it.tick_size, swing, it.max_leverage):
        texts = {"symbol": symbol, "direction": way, "investment": "20000"}
        params = clean(texts | presets.fields(each.text(), way, it.tick_size))
        made = planning.make(
            params, it, price, brackets=listing.brackets, available=D(50_000), wallet_free=D(50_000), chat=True
        )
        assert made.profit_low > 0


@pytest.mark.parametrize(
    "text", ["", "calm", "calm,1,2,3", "wild,1,2,3,4", "calm,2,1,3,4", "calm,1,2,x,4", "calm,1,2,1,4"]
)
def test_a_foreign_button_is_no_preset(text: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        presets.fields(text, "long", D("0.1"))
