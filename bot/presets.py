"""Proposed grids from how much the price has moved of late: calm, balanced, aggressive (product.md §3.2).

Pure. A range has room for so many days of usual swings; it leans with the direction, 1:2 down:up for LONG, SHORT
mirrored, NEUTRAL even. The proposed stop is half as far as the proposed target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from msgspec import Struct

from bot.form import round_price
from trading.model import Candle
from trading.parameters.declaration import shown

DAY = 86_400_000
USUAL = Decimal("0.03")
"""A day's swing where the venue has no candles to learn it from."""
LEAST, MOST = Decimal("0.004"), Decimal("0.15")
"""Bounds of a day's swing that proposals are made for."""
ENOUGH = 24
"""Candles that say something about swings."""
FEES = Decimal("0.0024")
"""A step under this share of the price earns too little for its risk: twelve maker fees."""


REPLACED = frozenset({"stop_loss", "stop_loss_high", "take_profit", "sizing", "step", "levels", "spacing", "density"})
"""What a preset decides besides what it sets."""


class Temper(Struct, frozen=True):
    """One way of setting up a grid."""

    days: int
    """The range has room for this many days of usual swings."""
    steps: int
    """Grids in one day's usual swing."""
    leverage: int


TEMPERS = {"calm": Temper(14, 4, 2), "balanced": Temper(5, 8, 3), "aggressive": Temper(2, 14, 5)}


class Preset(Struct, frozen=True):
    """A proposal, complete but for the investment."""

    name: str
    lower: Decimal
    upper: Decimal
    grids: int
    leverage: int

    def text(self) -> str:
        """As a button carries it."""
        return f"{self.name},{shown(self.lower)},{shown(self.upper)},{self.grids},{self.leverage}"


def swing(candles: Sequence[Candle]) -> Decimal:
    """How far the price usually moves in a day, as a share: the deviation of log returns, scaled to a day."""
    closes = [float(candle.close) for candle in candles if candle.close > 0]
    if len(closes) < ENOUGH or candles[-1].time <= candles[0].time:
        return USUAL
    returns = [math.log(b / a) for a, b in pairwise(closes)]
    pitch = (candles[-1].time - candles[0].time) / (len(candles) - 1)
    deviation = math.sqrt(sum(r * r for r in returns) / len(returns) * DAY / pitch)
    return min(max(Decimal(repr(round(deviation, 6))), LEAST), MOST)


def presets(direction: str, price: Decimal, tick: Decimal, usual: Decimal, most_leverage: int) -> list[Preset]:
    """The three of them, calmest first; fewer where the tick is too coarse."""
    found = []
    for name, temper in TEMPERS.items():
        half = min(usual * Decimal(temper.days).sqrt(), Decimal("0.45"))
        down, up = {"long": (half * 2 / 3, half * 4 / 3), "short": (half * 4 / 3, half * 2 / 3)}.get(
            direction, (half, half)
        )
        lower, upper = (round_price(price * each, tick) for each in (1 - down, 1 + up))
        if not 0 < lower < price < upper:
            continue
        step = max(usual / temper.steps, FEES)
        most = int(min(Decimal(100), (upper - lower) / tick))
        grids = max(2, min(most, int((upper - lower) / price / step)))
        worst = max(down, up if direction != "long" else Decimal(0))
        safe = int(1 / (worst * Decimal("2.5") + Decimal("0.02")))
        found.append(Preset(name, lower, upper, grids, max(1, min(temper.leverage, safe, most_leverage))))
    return found


def fields(text: str, direction: str, tick: Decimal) -> dict[str, str]:
    """The parameters behind a preset's button; ValueError where it is none of ours."""
    name, low, high, grids, leverage = text.split(",")
    lower, upper, count = Decimal(low), Decimal(high), int(grids)
    if name not in TEMPERS or not 0 < lower < upper or count < 2:
        raise ValueError(text)
    made = {"lower": low, "upper": high, "grids": str(count), "leverage": str(int(leverage))}
    width = upper - lower
    room = width / 4 if direction == "neutral" else width / 6
    near, far = round_price(lower - room, tick), round_price(upper + room, tick)
    if direction == "short":
        return made | {"sizing": "weighted", "stop_loss": shown(far)} | _target(lower - 2 * room, tick)
    if direction == "long":
        return made | {"sizing": "weighted"} | _stop("stop_loss", near) | _target(upper + 2 * room, tick)
    return made | _stop("stop_loss", near) | {"stop_loss_high": shown(far)}


def _stop(name: str, price: Decimal) -> dict[str, str]:
    return {name: shown(price)} if price > 0 else {}


def _target(price: Decimal, tick: Decimal) -> dict[str, str]:
    """Twice as far from the price as the stop."""
    return _stop("take_profit", round_price(price, tick)) if price > 0 else {}
