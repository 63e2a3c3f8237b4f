"""The pure heart by itself: quotes that touch nothing, fills with their counter-orders, checkpoints, the parts around.

    python -m benchmarks.engine --json engine.json

Beside every figure stands what it costs in steps of the calibration loop, so that machines and hours compare.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import calibration
from trading.core.engine import Engine
from trading.gateways.binance import wire
from trading.gateways.binance.signing import Signer
from trading.messages import Accepted, Filled, Place, Quote, Snapshot, Start
from trading.model import Direction, Instrument, Position, Side
from trading.ports import Credentials
from trading.strategies.grid import Grid, GridPlan

LOW, HIGH, QTY = D(60_000), D(70_000), D("0.010")
MIDDLE = D(65_000)
BTC = Instrument(
    "binance:BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(1000), D(120), D(50),
    max_orders=1000,
)  # fmt: skip
ROUNDS = 25
NOW = 1_790_000_000_000
FILL = (
    b'{"e":"ORDER_TRADE_UPDATE","E":1790000000127,"T":1790000000125,"o":{"s":"BTCUSDT","c":"tabcd.1.4.0","S":"BUY",'
    b'"o":"LIMIT","f":"GTX","q":"0.010","p":"64000.00","ap":"64000.00","sp":"0","x":"TRADE","X":"FILLED","i":25851813,'
    b'"l":"0.010","z":"0.010","L":"64000.00","n":"0.12800000","N":"USDT","T":1790000000125,"t":698759,"b":"0","a":"0",'
    b'"m":true,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"rp":"0","pP":false,"si":0,"ss":0,'
    b'"V":"EXPIRE_MAKER","pm":"NONE","gtd":0,"er":"0"}}'
)
TICKER = (
    b'{"e":"bookTicker","u":400900217,"E":1790000000127,"T":1790000000125,"s":"BTCUSDT","b":"64999.90","B":"31.210",'
    b'"a":"65000.00","A":"40.660"}'
)


def running(grids: int, is_silent: bool) -> Engine:
    """A neutral grid with all its orders resting."""
    step = (HIGH - LOW) / grids
    levels = tuple(LOW + step * i for i in range(grids + 1))
    plan = GridPlan(
        BTC, Direction.NEUTRAL, levels, (QTY,) * grids, grids // 2, MIDDLE, D(50_000), 10, max_open_orders=grids
    )
    engine = Engine("abcd", 1, BTC)
    engine.adopt(Grid.begin(plan, "abcd", 1))
    engine.teller.is_silent = is_silent
    engine.handle(Start(NOW))
    engine.handle(Quote(NOW, MIDDLE - D("0.1"), MIDDLE))
    empty = Snapshot(NOW, (), (), frozenset(), (), (), (), Position(D(0), D(0)), 0)
    for number, intent in enumerate(engine.handle(empty), 1):
        assert isinstance(intent, Place)
        engine.handle(Accepted(NOW, intent.cid, number))
    assert len(engine.orders) == grids, f"{len(engine.orders)} orders rest, not {grids}"
    return engine


def walk(grids: int) -> Iterator[int]:
    """The slots that fill as the price goes from the middle down to the lowest level, up to the highest, and back."""
    middle = grids // 2
    while True:
        yield from range(middle - 1, -1, -1)
        yield from range(grids)
        yield from range(grids - 1, middle - 1, -1)


class Road:
    """A running grid and the events of a price that walks through it."""

    def __init__(self, grids: int, is_silent: bool) -> None:
        self.engine = running(grids, is_silent)
        self._slots = walk(grids)
        self._trades = count(1)

    def fill(self) -> Filled:
        """The next order's fill."""
        order = self.engine.orders[next(self._slots)]
        fee = (order.price * QTY * D("0.0002")).quantize(D("0.00000001"))
        return Filled(NOW, order.cid, next(self._trades), order.side, order.price, order.qty, fee, "USDT", D(1), True)

    def go(self, fills: int) -> None:
        """Each fill and the acknowledgement of its counter-order."""
        engine = self.engine
        for _ in range(fills):
            (intent,) = engine.handle(self.fill())
            assert isinstance(intent, Place)
            engine.handle(Accepted(NOW, intent.cid, 1))
        self.forget()

    def forget(self) -> None:
        """What the journal would have taken, and what an audit would have settled."""
        self.engine.fills.clear()
        self.engine.notices.clear()
        self.engine.ledger.books.trades.clear()


def each(run: Callable[[], object], times: int, inside: int = 1) -> float:
    """What `run` costs, ns: the best of many rounds of `times`, each doing the thing `inside` times."""

    def round_() -> None:
        for _ in range(times):
            run()

    return calibration.best(round_) / times / inside * 1e9


def of_quotes(grids: int) -> float:
    """A quote that changes nothing, ns."""
    engine = running(grids, True)
    quotes = [Quote(NOW, MIDDLE - D("0.1") * (n % 7 + 1), MIDDLE + D("0.1") * (n % 5)) for n in range(1000)]
    handle = engine.handle

    def thousand() -> None:
        for quote in quotes:
            handle(quote)

    return each(thousand, 10, 1000)


class Timer:
    """Fills of one road, timed without their acknowledgements and without the making of events."""

    def __init__(self, grids: int, is_silent: bool) -> None:
        self.road = Road(grids, is_silent)
        self.road.go(2 * grids)
        self.shortest = float("inf")
        """The best round so far, s per fill."""

    def round(self, fills: int) -> None:
        road, engine, spent = self.road, self.road.engine, 0
        for _ in range(fills):
            fill = road.fill()
            began = time.perf_counter_ns()
            intents = engine.handle(fill)
            spent += time.perf_counter_ns() - began
            assert isinstance(intents[0], Place)
            engine.handle(Accepted(NOW, intents[0].cid, 1))
        road.forget()
        self.shortest = min(self.shortest, spent / fills)


def of_fills(fills: int) -> dict[str, float]:
    """Fill and counter-order by themselves, ns; the kinds in turns, so that a busy moment meets them all."""
    timers = {
        "fill, 100 grids": Timer(100, True),
        "fill, 500 grids": Timer(500, True),
        "fill that has to be told, 100 grids": Timer(100, False),
    }
    for _ in range(ROUNDS):
        for timer in timers.values():
            timer.round(fills)
    return {name: timer.shortest for name, timer in timers.items()}


def parts() -> dict[str, float]:
    """The pure steps between a frame and the answer to it, ns."""
    signer = Signer(Credentials("k" * 64, "s" * 64))
    (place,) = Road(10, True).engine.handle(Road(10, True).fill())
    assert isinstance(place, Place) and place.side is Side.SELL
    return {
        "decode a fill": each(lambda: wire.user_event(FILL), 2_000),
        "decode a quote": each(lambda: wire.market_event(TICKER), 2_000),
        "sign and write order.place": each(lambda: signer.place(1, place, NOW), 2_000),
    }


def figures(fills: int) -> dict[str, float]:
    """Everything, ns."""
    told: dict[str, float] = {}
    for grids in (100, 500):
        told[f"quote that touches nothing, {grids} grids"] = of_quotes(grids)
    told |= of_fills(fills)
    for grids in (10, 100, 500):
        road = Road(grids, True)
        road.go(2 * grids)
        told[f"checkpoint, {grids} grids"] = each(road.engine.checkpoint, 50)
    return told | parts()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fills", type=int, default=2_000, help="in each round")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    before = calibration.nanoseconds()
    measured = figures(given.fills)
    step = min(before, calibration.nanoseconds())
    print(f"\n{'':44}{'ns':>10}{'a second':>12}{'steps':>8}")
    for name, ns in measured.items():
        print(f"{name:44}{ns:10.0f}{1e9 / ns:12,.0f}{ns / step:8.1f}")
    print(f"\na step of the calibration loop: {step:.1f} ns (before: {before:.1f}); load {os.getloadavg()[0]:.2f}")
    if given.json is not None:
        told: dict[str, Any] = {"calibration_ns": step, "python": platform.python_version(), "ns": measured}
        given.json.write_bytes(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
