"""Draws the docs' pictures with what also draws for people, on a small tape made here: `python -m docs.pictures`."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from bot import curves, drawing
from bot.charts import Bar, Equity, GridMap, Point, Rest
from trading import plan
from trading.core.outcome import Trace
from trading.core.replay import Replay, Rules, unlimited
from trading.core.stretch import stretches
from trading.model import Candle, Side
from trading.parameters import GridParameters, clean, parse_line
from trading.sandbox.instruments import LISTINGS
from trading.strategies.grid import GridPlan

D = Decimal
HERE = Path(__file__).parent / "pictures"
START = 1_767_571_200_000
"""A Monday, 2026-01-05."""
MINUTES, DAY = 10, 144
"""Minutes in a candle, candles in a day."""
NEUTRAL = "BTCUSDT neutral 60000-70000 10 2000u 5x"
LONG = "BTCUSDT long 60000-70000 10 2000u 5x sl=59000"
BTC = LISTINGS["BTCUSDT"].instrument


def tape(days: int = 4, falls: bool = False, seed: int = 5) -> list[Candle]:
    """A walk that is drawn back to 65,000, or that falls away from the second day on."""
    dice = random.Random(seed)
    price, home, candles = D(65_000), D(65_000), []
    for i in range(days * DAY):
        if falls and i > DAY:
            home -= 25
        steps = [price]
        for _ in range(8):
            pull = (home - steps[-1]) / 400
            steps.append((steps[-1] + pull + D(dice.gauss(0, 75))).quantize(D("0.1"), rounding="ROUND_HALF_UP"))
        price = steps[-1]
        candles.append(Candle(START + i * MINUTES * 60_000, steps[0], max(steps), min(steps), price))
    return candles


def planned(line: str, price: Decimal) -> GridPlan:
    params: GridParameters = clean(parse_line(line))
    return plan.make(params, unlimited(BTC), price, brackets=None, available=None, wallet_free=None, chat=False).plan


def backtest(line: str, candles: list[Candle], file: Path) -> None:
    """Price, levels and fills; position; profit: what `run.py backtest --plot` draws."""
    trace = Trace()
    made = Replay(lambda price: planned(line, price), Rules(), trace)
    for stretch in stretches(candles):
        made.feed(stretch)
    outcome = made.outcome()
    assert made.plan is not None
    curves.draw(line, made.plan, outcome, trace, file)


def ladder(line: str, candles: list[Candle], file: Path) -> None:
    """The orders that rest once a grid has started: what the chat draws."""
    made = planned(line, candles[-1].close)
    orders = [
        Rest(float(made.levels[i] if made.first(i) is Side.BUY else made.levels[i + 1]), made.first(i).sign)
        for i in range(len(made.quantities))
    ]
    picture = GridMap(
        title=line.rpartition(" 10 ")[0],
        badge="DEMO",
        theme="light",
        bars=tuple(Bar(c.time, *map(float, (c.open, c.high, c.low, c.close))) for c in candles),
        levels=tuple(map(float, made.levels)),
        orders=tuple(orders),
        fills=(),
        stops=(),
        target=None,
        price=float(candles[-1].close),
        places=1,
        words={"buys": "buys", "sells": "sells", "fills": "fills", "stop": "stop", "target": "target"},
    )
    file.write_bytes(drawing.draw(picture))


def _points(line: str, candles: list[Candle]) -> Iterator[Point]:
    made = Replay(lambda price: planned(line, price))
    for stretch in stretches(candles, 6):
        made.feed(stretch)
        outcome = made.outcome()
        yield Point(int(stretch.times[-1]), float(outcome.total), float(outcome.matched))


def profits(line: str, candles: list[Candle], file: Path) -> None:
    """Grid profit, and everything together, apart."""
    words = {"total": "total", "matched": "grid profit"}
    picture = Equity(line.rpartition(" 10 ")[0], "DEMO", "light", "USDT", tuple(_points(line, candles)), words)
    file.write_bytes(drawing.draw(picture))


def draw(folder: Path = HERE) -> None:
    """Every picture of the docs, into `folder`."""
    folder.mkdir(exist_ok=True)
    ladder(NEUTRAL, tape()[:70], folder / "ladder.png")
    backtest(NEUTRAL, tape(), folder / "neutral.png")
    backtest(LONG, tape(falls=True), folder / "stop.png")
    profits(NEUTRAL, tape(), folder / "profits.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
