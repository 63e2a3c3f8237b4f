"""The trial's exchange: a sandbox in a process of its own whose prices move fast, and stand when told to."""

from __future__ import annotations

import argparse
import asyncio
import random
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from service import logs
from service.wiring import spin
from tests.trial.lines import serve
from trading.sandbox.drive import reach, trade
from trading.sandbox.instruments import LISTINGS
from trading.sandbox.market import TradePrint
from trading.sandbox.options import Opening
from trading.sandbox.server import Options, Sandbox

SWING = Decimal("0.045")
"""How far from its start a price goes, as a fraction: a little beyond the bots' ranges."""
SMALL, LARGE = Decimal("0.004"), Decimal("0.03")


class Mover:
    """Prices that jump over levels, stand on them and trade orders in pieces."""

    def __init__(self, sandbox: Sandbox, seed: int, pause: float) -> None:
        self.sandbox = sandbox
        self.pause = pause
        self.chance = random.Random(seed)
        self.going = asyncio.Event()

    async def run(self) -> None:
        while True:
            await self.going.wait()
            await asyncio.sleep(self.chance.uniform(0, 2 * self.pause))
            if self.going.is_set():
                self.step(self.chance.choice(list(LISTINGS)))

    def step(self, symbol: str) -> None:
        roll = self.chance.random()
        if roll < 0.3 and self.part(symbol):
            return
        listing = LISTINGS[symbol]
        start, last = listing.start, self.sandbox.exchange.venue.last(symbol)
        stride = start * (LARGE if roll > 0.97 else SMALL) * Decimal(str(round(self.chance.uniform(-1, 1), 3)))
        back = (start - last) * Decimal("0.02")
        price = min(max(last + stride + back, start * (1 - SWING)), start * (1 + SWING))
        tick = listing.instrument.tick_size
        reach(self.sandbox.exchange, symbol, (price / tick).quantize(Decimal(1), rounding=ROUND_HALF_UP) * tick)

    def part(self, symbol: str) -> bool:
        """A piece of the order nearest to the price trades; foreign orders are left alone."""
        exchange = self.sandbox.exchange
        last = exchange.venue.last(symbol)
        orders = [
            order
            for opening in exchange.options.accounts
            for order in exchange.venue.open_orders(opening.key, symbol)
            if order.client_id.startswith("t")
        ]
        if not orders:
            return False
        order = min(orders, key=lambda order: abs(order.price - last))
        if abs(order.price - last) > last * Decimal("0.01"):
            return False
        qty = LISTINGS[symbol].instrument.floor_qty(order.remaining * Decimal(self.chance.choice(("0.3", "0.6", "1"))))
        if not qty:
            return False
        trade(exchange, TradePrint(symbol, 0, order.price, qty, order.side.value == "BUY"))
        exchange.publisher.touch(symbol)
        return True


async def main(openings: tuple[Opening, ...], seed: int, pause: float, has_limits: bool) -> None:
    """Until stdin ends."""
    sandbox = Sandbox(Options(accounts=openings, seed=seed, still=True, limits=has_limits))
    port = await sandbox.start()
    mover = Mover(sandbox, seed, pause)

    async def where() -> int:
        return port

    async def go() -> None:
        mover.going.set()

    async def halt() -> None:
        mover.going.clear()

    async def expire(account: str) -> str:
        """The system ends an order of ours."""
        orders = [order for order in sandbox.exchange.venue.open_orders(account) if order.client_id.startswith("t")]
        if not orders:
            return ""
        order = mover.chance.choice(orders)
        sandbox.exchange.venue.expire(account, order.order_id, "6", sandbox.exchange.now())
        sandbox.exchange.flush()
        return order.client_id

    async def resting() -> dict[str, list[str]]:
        """Names of all open orders by account, past the rate limits."""
        venue = sandbox.exchange.venue
        return {opening.key: [order.client_id for order in venue.open_orders(opening.key)] for opening in openings}

    async def prices() -> dict[str, tuple[str, str]]:
        """Best bid and ask by symbol: the judge, who asks often, leaves the budget of the address to the service."""
        venue = sandbox.exchange.venue
        return {symbol: (str(venue.bid(symbol)), str(venue.ask(symbol))) for symbol in LISTINGS}

    async def done_by_hand(account: str, symbol: str) -> str:
        """What market orders by hand have left, signed."""
        trades = sandbox.exchange.venue.trades(account, symbol)
        return str(sum((t.side.sign * t.qty for t in trades if t.client_id.startswith("trade-")), Decimal(0)))

    verbs: dict[str, Any] = {"where": where, "go": go, "halt": halt, "expire": expire, "resting": resting}
    verbs |= {"done_by_hand": done_by_hand, "prices": prices}
    moving = asyncio.create_task(mover.run())
    try:
        await serve(verbs)
    finally:
        moving.cancel()
        await asyncio.wait([moving])
        await sandbox.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--account", action="append", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args()
    logs.set_up(given.log, "info")
    spin(main(tuple(Opening.parse(each) for each in given.account), given.seed, given.pause, given.limits))
