"""Fill to counter-order over loopback: our service against a bare client, on one sandbox, in one run, in turns.

    python -m benchmarks.answer --fills 600 --repeat 3 --json answer.json

This process is the sandbox: a still market whose price goes where the measurement sends it. Each client is a process
of its own and has its own account; their prices are nested, so every step of the price fills one order of one client.
Measured is, at the venue, from the call that writes the ORDER_TRADE_UPDATE (FILLED) to the socket to the arrival of
the next bytes on the client's order socket: its `order.place`. Nothing of the program is changed for that.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct, field

from benchmarks import calibration
from benchmarks.ears import Watch, listen
from benchmarks.rivals import RIVALS, SYMBOL, Pair, Task
from benchmarks.service import SECRET
from trading.model import Side
from trading.sandbox.drive import reach
from trading.sandbox.options import Opening, Options
from trading.sandbox.server import Sandbox

MIDDLE = 65_000
SPAN = 10_000


# --------------------------------------------------------------------------- one run


class Run(Struct):
    """Times of one run, ns, by client."""

    order: list[str]
    times: dict[str, list[int]] = field(default_factory=dict)


class Arena:
    """A sandbox with its clients on it."""

    def __init__(self, names: Sequence[str], grids: int, is_inner: bool, loop: str, profile: str) -> None:
        self.loop = loop
        self.sandbox = Sandbox(
            Options(
                accounts=tuple(Opening(name, SECRET, Decimal(10_000_000)) for name in names),
                still=True,
                limits=False,
                scramble=False,
            )
        )
        step = SPAN // grids
        nest = (1 if is_inner else -1) * step // 20
        others = [name for name in names if name != "service"]
        self.tasks = {
            name: Task(name, 0, (Pair(str(MIDDLE - step + nest * rank), str(MIDDLE - nest * rank)),), grids, profile)
            for name, rank in [("service", 0), *((name, 1 + n) for n, name in enumerate(others))]
            if name in names
        }
        self.grids = grids
        self.watch = Watch()
        self.children: list[subprocess.Popen[bytes]] = []

    def steps(self) -> Iterator[tuple[str, Side, Decimal]]:
        """Whose order fills next, on which side, at what price: all the way down, all the way up, for ever."""
        down = sorted(self.tasks.values(), key=lambda task: -float(task.pair.low))
        up = sorted(self.tasks.values(), key=lambda task: float(task.pair.high))
        whole = [(task.name, Side.BUY, Decimal(task.pair.low)) for task in down]
        whole += [(task.name, Side.SELL, Decimal(task.pair.high)) for task in up]
        return itertools.cycle(whole)

    def open_sides(self, name: str) -> list[Side]:
        return [order.side for order in self.sandbox.exchange.venue.open_orders(name, SYMBOL)]

    def missing(self) -> list[str]:
        """Clients whose orders do not rest yet."""
        wanted = {name: self.grids if name == "service" else 1 for name in self.tasks}
        return [name for name, orders in wanted.items() if len(self.open_sides(name)) < orders]

    async def begin(self) -> None:
        """Start sandbox and clients; returns when all their orders rest."""
        port = await self.sandbox.start()
        reach(self.sandbox.exchange, SYMBOL, Decimal(MIDDLE))
        for task in self.tasks.values():
            text = msgspec.json.encode([msgspec.structs.replace(task, port=port)]).decode()
            command = [sys.executable, "-m", "benchmarks.rivals", text, "--loop", self.loop]
            self.children.append(subprocess.Popen(command, cwd=Path(__file__).parents[1]))
        end = time.monotonic() + 60
        while missing := self.missing():
            if time.monotonic() > end or any(child.poll() is not None for child in self.children):
                raise SystemExit(f"not up: {', '.join(missing)}")
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        listen(self.sandbox.exchange, self.watch)

    async def end(self) -> None:
        for child in self.children:
            child.terminate()
        for child in self.children:
            await asyncio.to_thread(child.wait, 20)
        await self.sandbox.close()

    async def measure(self, fills: int, warm: int, gap: float) -> dict[str, list[int]]:
        """`fills` answers of each client after `warm` uncounted ones, ns; RuntimeError if one answers wrongly."""
        times: dict[str, list[int]] = {name: [] for name in self.tasks}
        chance = random.Random(7)
        steps = self.steps()
        for _ in range((fills + warm) * len(self.tasks)):
            name, side, price = next(steps)
            before = self.open_sides(name)
            answered = self.watch.arm()
            reach(self.sandbox.exchange, SYMBOL, price)
            took = (await asyncio.wait_for(answered, 10))[0]
            await asyncio.sleep(gap * chance.uniform(0.7, 1.3))
            expected = sorted([*before, side.opposite], key=str)
            expected.remove(side)
            if sorted(self.open_sides(name), key=str) != expected:
                raise RuntimeError(f"{name} answered a {side.value} with {self.open_sides(name)} after {before}")
            times[name].append(took)
        return {name: taken[warm:] for name, taken in times.items()}


async def run(given: argparse.Namespace, is_inner: bool) -> Run:
    names = [name for name in RIVALS if name in given.clients.split(",")]
    arena = Arena(names, given.grids, is_inner, given.loop, given.profile)
    try:
        await arena.begin()
        times = await arena.measure(given.fills, given.warm, given.gap / 1000)
    finally:
        await arena.end()
    return Run(list(dict.fromkeys(name for name, _, _ in itertools.islice(arena.steps(), 2 * len(names)))), times)


# --------------------------------------------------------------------------- telling


def part(times: Sequence[int], share: float) -> float:
    """The value below which `share` of `times` lie, µs."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] / 1000


def row(times: Sequence[int], bare: Sequence[int], floor: Sequence[int]) -> dict[str, float]:
    """A client's figures, µs and ratios."""
    median = part(times, 0.5)
    figures = {"fills": float(len(times)), "median": median, "p90": part(times, 0.9), "p99": part(times, 0.99)}
    if bare:
        figures["ratio"] = median / part(bare, 0.5)
        figures["ratio_p90"] = figures["p90"] / part(bare, 0.9)
        figures["ratio_p99"] = figures["p99"] / part(bare, 0.99)
    if floor:
        figures["above_floor"] = median - part(floor, 0.5)
    return figures


def table(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    pooled = {name: [time for run in runs for time in run.times[name]] for name in runs[0].times}
    bare, floor = pooled.get("bare", []), pooled.get("floor", [])
    return {name: row(times, bare, floor) for name, times in pooled.items()}


def show(runs: Sequence[Run], machine: float) -> None:
    print(
        f"\n{'client':10}{'fills':>7}{'median µs':>11}{'p90':>8}{'p99':>9}{'ratio':>7}{'p90':>6}{'p99':>6}{'-floor':>8}"
    )
    for name, figures in table(runs).items():
        told = [figures.get(key, float("nan")) for key in ("ratio", "ratio_p90", "ratio_p99")]
        print(
            f"{name:10}{int(figures['fills']):7}{figures['median']:11.0f}{figures['p90']:8.0f}{figures['p99']:9.0f}"
            f"{told[0]:7.2f}{told[1]:6.2f}{told[2]:6.2f}{figures.get('above_floor', float('nan')):8.0f}"
        )
    if "bare" in runs[0].times:
        each = {
            name: " ".join(f"{part(run.times[name], 0.5) / part(run.times['bare'], 0.5):.2f}" for run in runs)
            for name in runs[0].times
        }
        print("ratio of medians, run by run:", "; ".join(f"{name} {text}" for name, text in each.items()))
    print(f"calibration loop: {machine:.1f} ns a step; load {os.getloadavg()[0]:.2f}; {platform.python_version()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fills", type=int, default=500, help="answers of each client, per run")
    parser.add_argument("--warm", type=int, default=50, help="answers before these that do not count")
    parser.add_argument("--repeat", type=int, default=2, help="runs with fresh processes; every second one reversed")
    parser.add_argument("--gap", type=float, default=30, help="ms between an answer and the next fill, ±30 %%")
    parser.add_argument("--grids", type=int, default=10, help="grids of our bot")
    parser.add_argument("--clients", default="service,bare,ccxt,floor")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="of the clients")
    parser.add_argument("--profile", default="", help="a cProfile file for the service (its times are then useless)")
    parser.add_argument("--json", type=Path, help="write figures and all times here")
    given = parser.parse_args()
    runs = [asyncio.run(run(given, is_inner=bool(number % 2))) for number in range(given.repeat)]
    machine = calibration.nanoseconds()
    show(runs, machine)
    if given.json is not None:
        settings = {name: value for name, value in vars(given).items() if name != "json"}
        told = {
            "settings": settings,
            "calibration_ns": machine,
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "figures_us": table(runs),
            "runs": runs,
        }
        given.json.write_bytes(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
