"""Twenty fills at once: from the first fill told to the arrival of the twentieth counter-order, beside the bare client.

    python -m benchmarks.burst --bursts 50 --repeat 2 --json burst.json

This process is the sandbox. Its prices jump through twenty orders at once and back: of one grid, of twenty grids on
twenty instruments of one account, of twenty grids on one instrument and twenty accounts. The bare client, with as
many accounts, rests twenty orders at the same prices of other instruments and is asked in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
from collections.abc import Sequence
from decimal import Decimal as D
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.listing import MIDDLE, QTY
from benchmarks.rivals import Pair
from benchmarks.room import BARE, Room, part, told
from trading.model import Side

FILLS = 20
SERVICE = "service"
ONE, TWENTY = "one grid", "twenty grids"


class Shape(Struct, frozen=True):
    """How twenty orders lie: each a step below where it goes next."""

    accounts: int
    instruments: int
    levels: int
    """Of each grid."""
    step: D
    between: D
    """From one order of the burst to the next."""

    @property
    def grids(self) -> int:
        return self.accounts * self.instruments

    def low(self, number: int) -> D:
        """The buy price of order `number`, counted from below."""
        bottom = MIDDLE - self.step * FILLS if self.grids == 1 else MIDDLE - self.step / 2
        return bottom + self.between * number

    @property
    def bottom(self) -> D:
        return self.low(0)

    @property
    def top(self) -> D:
        return self.low(FILLS - 1) + self.step

    def grid(self, account: str, symbol: str, number: int) -> dict[str, str]:
        """One bot; its middle order is order `number` where there are many bots."""
        lower = self.low(number) - (0 if self.grids == 1 else self.step * (self.levels // 2))
        return {
            "account": account,
            "symbol": symbol,
            "direction": "neutral",
            "lower": str(lower),
            "upper": str(lower + self.step * self.levels),
            "grids": str(self.levels),
            "investment": str(50 * self.levels),
            "leverage": "5",
        }


SHAPES = {
    "one": Shape(1, 1, 2 * FILLS, D("0.1"), D("0.1")),
    "instruments": Shape(1, FILLS, 10, D(1), D("0.02")),
    "accounts": Shape(FILLS, 1, 10, D(1), D("0.02")),
}


class Answer(Struct):
    """One burst, ns after its first fill was told."""

    first: int
    """The first counter-order."""
    last: int
    """The twentieth."""
    told: int
    """The venue had told all twenty fills."""


class Volley:
    """A room in which twenty orders fill at once."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        rivals = [f"{BARE}{number}" for number in range(shape.accounts)]
        self.room = Room([f"a{number:02}" for number in range(shape.accounts)], 2 * shape.instruments, rivals)
        self.holders = {SERVICE: self.room.accounts, BARE: rivals}
        self.symbols = {
            SERVICE: self.room.symbols[: shape.instruments],
            BARE: self.room.symbols[shape.instruments :],
        }

    async def open(self) -> None:
        """Everybody trades, and the twenty orders wait above the price."""
        room, shape = self.room, self.shape
        await room.serve()
        seats = enumerate(itertools.product(room.accounts, self.symbols[SERVICE]))
        bots = [shape.grid(account, symbol, number) for number, (account, symbol) in seats]
        await room.service.ask("create", 120, bots=bots)
        for account in room.accounts:
            await room.rest(account, shape.levels * shape.instruments)
        await room.service.ask("reconciled", 60, bots=shape.grids)
        pairs: dict[str, list[Pair]] = {account: [] for account in self.holders[BARE]}
        homes = itertools.cycle(itertools.product(self.holders[BARE], self.symbols[BARE]))
        for number, (account, symbol) in zip(range(FILLS), homes, strict=False):
            low = shape.low(number)
            pairs[account].append(Pair(str(low), str(low + shape.step), symbol, str(QTY)))
        await room.rival(pairs)
        for symbol in room.symbols:
            room.go(symbol, shape.bottom)
        await asyncio.sleep(2)
        room.listen()

    def sides(self, client: str) -> dict[Side, int]:
        seats = itertools.product(self.holders[client], self.symbols[client])
        found = [self.room.sides(account, symbol) for account, symbol in seats]
        return {side: sum(each[side] for each in found) for side in Side}

    async def one(self, client: str, side: Side) -> Answer:
        """Fill twenty orders on `side`. SystemExit where the books do not show twenty on the other side instead."""
        room, before = self.room, self.sides(client)
        answered = room.watch.arm(FILLS)
        for symbol in self.symbols[client]:
            room.go(symbol, self.shape.bottom if side is Side.BUY else self.shape.top, is_quiet=True)
        came = await asyncio.wait_for(answered, 30)
        for symbol in self.symbols[client]:
            room.show(symbol)
        await asyncio.sleep(0.1)
        after = self.sides(client)
        if after != {side: before[side] - FILLS, side.opposite: before[side.opposite] + FILLS}:
            raise SystemExit(f"{client}: {after} rest after {FILLS} of {side.value} of {before} were filled")
        return Answer(came[0], came[FILLS - 1], room.watch.last - room.watch.told)

    async def measure(self, bursts: int, warm: int, gap: float) -> dict[str, list[Answer]]:
        chance, answers = random.Random(7), {SERVICE: [], BARE: []}  # type: ignore[var-annotated]
        for number, side in zip(range(bursts + warm), itertools.cycle((Side.SELL, Side.BUY))):
            for client in (SERVICE, BARE) if number % 4 < 2 else (BARE, SERVICE):
                await asyncio.sleep(gap * chance.uniform(0.7, 1.3))
                answer = await self.one(client, side)
                if number >= warm:
                    answers[client].append(answer)
        return answers


async def run(shape: Shape, given: argparse.Namespace) -> dict[str, list[Answer]]:
    volley = Volley(shape)
    async with volley.room:
        await volley.open()
        return await volley.measure(given.bursts, given.warm, given.gap / 1000)


# --------------------------------------------------------------------------- telling


def row(runs: Sequence[dict[str, list[Answer]]], client: str) -> dict[str, float]:
    """µs, all runs pooled."""
    answers = [answer for each in runs for answer in each[client]]
    lasts = [answer.last / 1000 for answer in answers]
    return {
        "bursts": len(answers),
        "first": part([answer.first / 1000 for answer in answers], 0.5),
        "median": part(lasts, 0.5),
        "p90": part(lasts, 0.9),
        "p99": part(lasts, 0.99),
        "told": part([answer.told / 1000 for answer in answers], 0.5),
    }


def show(name: str, rows: dict[str, dict[str, float]], ratios: Sequence[float]) -> None:
    print(f"\n{name:14}{'bursts':>7}{'first µs':>10}{'twentieth':>11}{'p90':>8}{'p99':>9}{'told':>8}{'ratio':>7}")
    for client, figures in rows.items():
        times = "".join(f"{figures[key]:{width}.0f}" for key, width in zip(figures, (7, 10, 11, 8, 9, 8), strict=True))
        print(f"{client:14}{times}{figures['median'] / rows[BARE]['median']:7.2f}")
    print("ratio run by run:", " ".join(f"{each:.2f}" for each in ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bursts", type=int, default=50, help="of each client, per run")
    parser.add_argument("--warm", type=int, default=6, help="bursts before these that do not count")
    parser.add_argument("--repeat", type=int, default=2, help="runs with fresh processes")
    parser.add_argument("--gap", type=float, default=300, help="ms between two bursts, ±30 %%")
    parser.add_argument("--shapes", nargs="+", choices=tuple(SHAPES), default=list(SHAPES))
    parser.add_argument("--json", type=Path, help="write figures and all times here")
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    for name in given.shapes:
        runs = [asyncio.run(run(SHAPES[name], given)) for _ in range(given.repeat)]
        rows = {client: row(runs, client) for client in (SERVICE, BARE)}
        ratios = [row([each], SERVICE)["median"] / row([each], BARE)["median"] for each in runs]
        show(name, rows, ratios)
        figures[name] = {"us": rows, "ratios": ratios, "runs": runs}
    told({"gap": given.gap, "shapes": figures}, given.json)


if __name__ == "__main__":
    main()
