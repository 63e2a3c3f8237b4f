"""Fill to counter-order with one grid, a hundred and a thousand, beside the bare client in the same run.

    python -m benchmarks.grids --grids 1 100 1000 --fills 1000 --json grids.json

This process is the sandbox: a made-up exchangeInfo, every price still but for the one step that fills one order. Our
service runs up to 20 accounts on up to 50 instruments, ten orders each; the bare client has as many orders as there
are grids, each nested beside one of them, and the two are asked in turns. The service's audits, marks and ticks go on
meanwhile, and so does its journal. Told beside it: how long the grids took to make, what they weigh, and what the
event loop had to spare.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal as D
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from benchmarks.listing import MIDDLE, QTY
from benchmarks.rivals import Pair
from benchmarks.room import BARE, Room, part, resident, told
from trading.model import Side

ACCOUNTS, INSTRUMENTS, LEVELS = 20, 50, 10
STEP = D(1)
"""Between two levels of a grid: one per cent."""
NEST = D("0.005")
"""Between two neighbours' orders; all of them together lie within half a step."""
SERVICE = "service"


class Place(Struct, frozen=True):
    """One order that goes to and fro: a grid's slot, or a pair of the bare client."""

    client: str
    account: str
    symbol: str
    rank: int
    """In its instrument, from below."""

    @property
    def low(self) -> D:
        return MIDDLE - STEP / 2 + NEST * self.rank

    @property
    def high(self) -> D:
        return self.low + STEP

    def grid(self) -> dict[str, str]:
        """The bot that has this order as its middle slot."""
        half = STEP * (LEVELS // 2)
        return {
            "account": self.account,
            "symbol": self.symbol,
            "direction": "neutral",
            "lower": str(self.low - half),
            "upper": str(self.low + STEP * LEVELS - half),
            "grids": str(LEVELS),
            "investment": "500",
            "leverage": "5",
        }


class Result(Struct):
    """What one run with so many grids told; times in ns."""

    grids: int
    accounts: int
    instruments: int
    times: dict[str, list[int]]
    making: float
    """Seconds until all grids had started."""
    idle: int
    """Resident bytes with its accounts and no grid."""
    resident: int
    """With all grids, before the fills."""
    after: int
    lag: list[float]
    """Median, p99 and most by which a timer of the service's loop came late, µs, while nothing fills."""
    order: list[str] = field(default_factory=list)


class Fair:
    """A room full of grids and their rivals."""

    def __init__(self, grids: int, is_swapped: bool, is_quiet: bool) -> None:
        self.grids = grids
        self.is_quiet = is_quiet
        accounts = min(ACCOUNTS, grids)
        instruments = -(-grids // accounts)
        self.room = Room([f"a{number:02}" for number in range(accounts)], instruments)
        seats = list(itertools.product(range(instruments), range(accounts)))[:grids]
        self.places = [place for seat in seats for place in self._neighbours(*seat, is_swapped)]

    def _neighbours(self, instrument: int, account: int, is_swapped: bool) -> tuple[Place, Place]:
        """Who stands above whom changes from instrument to instrument, and with every run."""
        symbol, first = self.room.symbols[instrument], int(is_swapped) ^ instrument % 2
        ours = Place(SERVICE, self.room.accounts[account], symbol, 2 * account + first)
        return ours, Place(BARE, BARE, symbol, 2 * account + 1 - first)

    def of(self, client: str) -> list[Place]:
        return [place for place in self.places if place.client == client]

    async def open(self) -> Result:
        """Everybody trades; every order of the middle waits above the price."""
        room = self.room
        await room.serve()
        await room.service.ask("free")
        idle = resident(room.service.pid)
        making = await room.service.ask("create", 1800, bots=[place.grid() for place in self.of(SERVICE)])
        for name, count in self._grids_of().items():
            await room.rest(name, count * LEVELS)
        await room.service.ask("reconciled", 600, bots=self.grids)
        await room.rival({BARE: [Pair(str(p.low), str(p.high), p.symbol, str(QTY)) for p in self.of(BARE)]})
        for symbol in room.symbols:
            room.go(symbol, min(place.low for place in self.places if place.symbol == symbol))
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        self.check(Side.SELL)
        await room.service.ask("free")
        room.listen()
        weighs = resident(room.service.pid)
        return Result(
            self.grids, len(room.accounts), len(room.symbols), {SERVICE: [], BARE: []}, making, idle, weighs, 0, []
        )

    def _grids_of(self) -> dict[str, int]:
        names = [place.account for place in self.of(SERVICE)]
        return {name: names.count(name) for name in self.room.accounts}

    def check(self, side: Side) -> None:
        """Every client has every order, and those of the middle are all on `side`; SystemExit otherwise."""
        half = LEVELS // 2
        grid = {Side.BUY: half, Side.SELL: half - 1}
        for place in self.of(SERVICE):
            found = self.room.sides(place.account, place.symbol)
            expected = {each: grid[each] + (each is side) for each in Side}
            if found != expected:
                raise SystemExit(f"{place.account} {place.symbol}: {found} rest, not {expected}")
        orders = self.room.sandbox.exchange.venue.open_orders(BARE)
        if len(orders) != self.grids or any(order.side is not side for order in orders):
            raise SystemExit(f"{len(orders)} orders of the bare client rest, not {self.grids} of {side.value}")

    def steps(self) -> Iterator[tuple[Place, Side]]:
        """Whose order fills next: all the way up, all the way down, one step in each instrument after the other."""
        for side in itertools.cycle((Side.SELL, Side.BUY)):
            lanes = []
            for symbol in self.room.symbols:
                lane = [place for place in self.places if place.symbol == symbol]
                lanes.append(sorted(lane, key=lambda place: place.rank, reverse=side is Side.BUY))
            for row in itertools.zip_longest(*lanes):
                yield from ((place, side) for place in row if place is not None)

    async def one(self, place: Place, side: Side) -> int:
        """Fill one order and wait for its answer, ns. SystemExit where the books do not show exactly that."""
        room = self.room
        before = room.sides(place.account, place.symbol)
        answered = room.watch.arm()
        room.go(place.symbol, place.low if side is Side.BUY else place.high, self.is_quiet)
        (took,) = await asyncio.wait_for(answered, 20)
        room.show(place.symbol)
        await asyncio.sleep(0.002)
        after = room.sides(place.account, place.symbol)
        other = side.opposite
        if after != {side: before[side] - 1, other: before[other] + 1}:
            raise SystemExit(f"{place.account} {place.symbol}: {after} after a {side.value} of {before}")
        return took

    async def measure(self, result: Result, fills: int, warm: int, gap: float, idle: float) -> None:
        """`fills` answers of each client after `warm` uncounted ones; then `idle` seconds without any."""
        chance = random.Random(7)
        for number, (place, side) in enumerate(self.steps()):
            await asyncio.sleep(gap * chance.uniform(0.7, 1.3))
            took = await self.one(place, side)
            if number >= 2 * warm:
                result.times[place.client].append(took)
            if number + 1 == 2 * (warm + fills):
                break
        late: list[float] = await self.room.service.ask("lag", 60 + idle, during=idle)
        result.lag = [part(late, share) / 1000 for share in (0.5, 0.99, 1)]
        result.after = resident(self.room.service.pid)


async def run(grids: int, is_swapped: bool, given: argparse.Namespace) -> Result:
    fair = Fair(grids, is_swapped, given.quotes == "after")
    async with fair.room:
        result = await fair.open()
        await fair.measure(result, given.fills, given.warm, given.gap / 1000, given.idle)
    return result


# --------------------------------------------------------------------------- telling


def figures(runs: Sequence[Result]) -> dict[str, Any]:
    """One row: runs with the same number of grids, pooled."""
    pooled = {name: [time / 1000 for run in runs for time in run.times[name]] for name in (SERVICE, BARE)}
    row: dict[str, Any] = {"grids": runs[0].grids, "fills": len(pooled[SERVICE])}
    for name, times in pooled.items():
        row[name] = {"median": part(times, 0.5), "p90": part(times, 0.9), "p99": part(times, 0.99)}
    row["ratio"] = {share: row[SERVICE][share] / row[BARE][share] for share in row[BARE]}
    row["ratios"] = [part(run.times[SERVICE], 0.5) / part(run.times[BARE], 0.5) for run in runs]
    row["making_s"] = [round(run.making, 2) for run in runs]
    row["idle_MB"] = part([run.idle for run in runs], 0.5) / 1e6
    row["MB"] = part([run.resident for run in runs], 0.5) / 1e6
    row["kB_a_grid"] = part([(run.resident - run.idle) / run.grids for run in runs], 0.5) / 1e3
    row["lag_us"] = [round(part([run.lag[n] for run in runs], 0.5), 1) for n in range(3)]
    return row


def show(rows: Sequence[dict[str, Any]]) -> None:
    print(
        f"\n{'grids':>6}{'fills':>7}  {'client':9}{'median µs':>10}{'p90':>8}{'p99':>9}{'ratio':>8}{'p90':>7}{'p99':>7}"
    )
    for row in rows:
        for name in (SERVICE, BARE):
            times, ratio = row[name], row["ratio"] if name == SERVICE else dict.fromkeys(row["ratio"], 1.0)
            print(
                f"{row['grids']:6}{row['fills']:7}  {name:9}"
                f"{times['median']:10.0f}{times['p90']:8.0f}{times['p99']:9.0f}"
                f"{ratio['median']:8.2f}{ratio['p90']:7.2f}{ratio['p99']:7.2f}"
            )
    for row in rows:
        print(
            f"{row['grids']} grids: ratio run by run {' '.join(f'{each:.2f}' for each in row['ratios'])}; "
            f"made in {row['making_s']} s; {row['idle_MB']:.0f} MB without grids, {row['MB']:.0f} MB with them, "
            f"{row['kB_a_grid']:.0f} kB a grid; a timer comes late by {row['lag_us']} µs (median, p99, most)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, nargs="+", default=[1, 100, 1000], help="running at once")
    parser.add_argument("--fills", type=int, default=1000, help="answers of each client, per run")
    parser.add_argument("--warm", type=int, default=50, help="answers before these that do not count")
    parser.add_argument("--repeat", type=int, default=2, help="runs with fresh processes; every second one swapped")
    parser.add_argument("--gap", type=float, default=26, help="ms between an answer and the next fill, ±30 %%")
    parser.add_argument("--idle", type=float, default=10, help="s in which the service's loop is watched at the end")
    parser.add_argument(
        "--quotes",
        choices=("after", "with"),
        default="after",
        help="when the sandbox tells the new price to everybody: once the answer has come, or at the fill, and then "
        "the time in which it writes to 20 sockets and hears nothing is in everybody's figures",
    )
    parser.add_argument("--json", type=Path, help="write figures and all times here")
    given = parser.parse_args()
    if max(given.grids) > ACCOUNTS * INSTRUMENTS or min(given.grids) < 1:
        parser.error(f"--grids: 1 to {ACCOUNTS * INSTRUMENTS}")
    rows, runs = [], []
    for grids in given.grids:
        began = time.monotonic()
        these = [asyncio.run(run(grids, bool(number % 2), given)) for number in range(given.repeat)]
        rows.append(figures(these) | {"took_s": round(time.monotonic() - began, 1)})
        runs += these
        show(rows[-1:])
    show(rows)
    told({"fills": given.fills, "gap": given.gap, "quotes": given.quotes, "rows": rows, "runs": runs}, given.json)


if __name__ == "__main__":
    main()
