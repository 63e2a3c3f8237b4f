"""`kill -9` to reconciled: how long until twenty grids of fifty orders agree with the exchange again.

    python -m benchmarks.recovery --kills 5 --json recovery.json
    python -m benchmarks.recovery --kills 3 --limits real          # with Binance's budgets, one kill a minute

This process is the sandbox. It kills the service, lets three orders of every grid fill, starts the service again and
takes the time from there: until the desk has its books, until every account is reached, until every grid is
reconciled, and until the counter-orders of what was missed rest.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal as D
from pathlib import Path

from msgspec import Struct, structs

from benchmarks.listing import MIDDLE
from benchmarks.room import Room, part, told
from trading.model import Side

GRIDS, LEVELS = 20, 50
STEP = D("0.1")
MISSED = 3
"""Orders of each grid that fill while nobody is there."""


class Rise(Struct):
    """One coming back, s since the new process was started."""

    imported: float
    """Python runs and every module is loaded."""
    opened: float
    """Database and bots are there, the connections under way."""
    reached: float
    """Every account is connected."""
    reconciled: float
    """Every grid agrees with the exchange."""
    answered: float
    """The counter-orders of what was missed rest."""


class Grave:
    """A room in which the service is killed again and again."""

    def __init__(self, accounts: int, has_limits: bool) -> None:
        self.room = Room([f"a{number:02}" for number in range(accounts)], GRIDS // accounts, (), has_limits)
        self.has_limits = has_limits
        self.is_low = False

    async def open(self) -> None:
        room = self.room
        await room.serve()
        half = STEP * (LEVELS // 2)
        shape = {"direction": "neutral", "lower": str(MIDDLE - half), "upper": str(MIDDLE + half)}
        shape |= {"grids": str(LEVELS), "investment": str(50 * LEVELS), "leverage": "5"}
        seats = [{"account": name, "symbol": symbol} | shape for name in room.accounts for symbol in room.symbols]
        await room.service.ask("create", 900, bots=seats)
        for account in room.accounts:
            await room.rest(account, LEVELS * len(room.symbols), 300)
        await room.service.ask("reconciled", 300, bots=GRIDS)
        await asyncio.sleep(1)

    async def kill(self) -> Rise:
        """One life. SystemExit where the books are not exactly those of an unbroken grid."""
        if self.has_limits:
            await asyncio.sleep(61 - time.time() % 60)
        else:
            self.room.begin_minute()
        await self.room.service.kill()
        self.is_low = not self.is_low
        for symbol in self.room.symbols:
            self.room.go(symbol, MIDDLE - STEP * MISSED if self.is_low else MIDDLE)
        began = time.monotonic_ns()
        reached = await self.room.serve()
        reconciled = await self.room.service.ask("reconciled", 300, bots=GRIDS)
        answered = await self._answered()
        stamps = await self.room.service.ask("stamps")
        await asyncio.sleep(1)
        self.check()
        ends = stamps["imported"], stamps["opened"], reached, reconciled, answered
        return Rise(*((end - began) / 1e9 for end in ends))

    async def _answered(self) -> int:
        """When every order rests, ns."""
        end = time.monotonic() + 300
        while any(sum(found.values()) < LEVELS for found in self._sides()):
            if time.monotonic() > end:
                raise SystemExit(f"orders are missing: {self._sides()}")
            await asyncio.sleep(0.005)
        return time.monotonic_ns()

    def _sides(self) -> list[dict[Side, int]]:
        room = self.room
        return [room.sides(account, symbol) for account in room.accounts for symbol in room.symbols]

    def check(self) -> None:
        buys = LEVELS // 2 - MISSED * self.is_low
        expected = {Side.BUY: buys, Side.SELL: LEVELS - buys}
        if wrong := [found for found in self._sides() if found != expected]:
            raise SystemExit(f"{wrong} rest, not {expected}")
        for account in self.room.accounts:
            prices = [(order.symbol, order.price) for order in self.room.sandbox.exchange.venue.open_orders(account)]
            if len(prices) != len(set(prices)):
                raise SystemExit(f"{account}: two orders rest at one price")


async def run(given: argparse.Namespace) -> list[Rise]:
    grave = Grave(given.accounts, given.limits == "real")
    async with grave.room:
        await grave.open()
        return [await grave.kill() for _ in range(given.kills)]


def show(rises: Sequence[Rise]) -> dict[str, float]:
    """Medians, s; what is told of each part is what it adds."""
    names = Rise.__struct_fields__
    medians = {name: part([structs.asdict(rise)[name] for rise in rises], 0.5) for name in names}
    print(f"\n{'until':12}{'s':>8}{'adds':>8}{'least':>8}{'most':>8}")
    before = 0.0
    for name in names:
        each = [structs.asdict(rise)[name] for rise in rises]
        print(f"{name:12}{medians[name]:8.2f}{medians[name] - before:8.2f}{min(each):8.2f}{max(each):8.2f}")
        before = medians[name]
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--accounts", type=int, choices=(1, 2, 4, 5, 10, 20), default=1, help="that share 20 grids")
    parser.add_argument("--limits", choices=("real", "off"), default="off", help="the sandbox's rate limits")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rises = asyncio.run(run(given))
    told({"accounts": given.accounts, "limits": given.limits, "s": show(rises), "kills": rises}, given.json)


if __name__ == "__main__":
    main()
