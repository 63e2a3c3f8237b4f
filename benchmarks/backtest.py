"""The backtest against the least that could be done: a pointer-skipping loop over plain ints, and reading alone.

    python -m benchmarks.backtest [CANDLES.csv.gz ["GRID"]]

Without a file: the twelve months of the recorded data in `../shared/data` or TRELLIS_DATA.
All parts run in one process, each as often as `ROUNDS` says, the quickest counts; ratios can be compared between
machines. Engine part: the replay over stretches that are in memory already. Whole run: as `run.py backtest` does it.
"""

from __future__ import annotations

import csv
import gzip
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trading import plan
from trading.backtest import Options, perform, prepare
from trading.columns import read
from trading.core.replay import run
from trading.parameters import clean

GRID = "BTCUSDT neutral 50000-110000 100 10000u 5x"
DATA = Path(os.environ.get("TRELLIS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
YEAR = str(DATA / "klines" / "binance-spot_BTCUSDT_1m_2024-07_2025-06.csv.gz")
ROUNDS = 5
HUNDREDTHS = 100


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time of the quickest of ROUNDS, and what it returned."""
    found: list[float] = []
    result = None
    for _ in range(ROUNDS):
        began = time.process_time()
        result = work()
        found.append(time.process_time() - began)
    return min(found), result


def pointers(levels: list[int], lows: list[int], highs: list[int], start: int) -> int:
    """Fills of a grid, counted by moving one pointer over its levels: no orders, no money, no path inside a candle."""
    at = min(range(len(levels)), key=lambda i: abs(levels[i] - start))
    fills, last = 0, len(levels) - 1
    below = levels[at - 1] if at else -1
    above = levels[at + 1] if at < last else 1 << 60
    for low, high in zip(lows, highs, strict=True):
        if low > below and high < above:
            continue
        while at and levels[at - 1] >= low:
            at -= 1
            fills += 1
        while at < last and levels[at + 1] <= high:
            at += 1
            fills += 1
        below = levels[at - 1] if at else -1
        above = levels[at + 1] if at < last else 1 << 60
    return fills


def plain_csv(file: str) -> int:
    with gzip.open(file, "rt", newline="") as text:
        return sum(1 for _ in csv.reader(text))


def calibration() -> int:
    """The machine's own loop, for ratios between machines."""
    total = 0
    for number in range(2_000_000):
        total += number & 7
    return total


def main(file: str = YEAR, line: str = GRID) -> None:
    (job,) = prepare([file], [line], Options())
    stretches = list(read([file]))
    params = clean(job.parameters)

    def planned(price: Any) -> Any:
        return plan.make(
            params, job.instrument, price, brackets=None, available=None, wallet_free=None, chat=False
        ).plan

    first = stretches[0].open(0)
    levels = [int(level * HUNDREDTHS) for level in planned(first).levels]
    lows = [round(low * HUNDREDTHS) for stretch in stretches for low in stretch.bottoms]
    highs = [round(high * HUNDREDTHS) for stretch in stretches for high in stretch.tops]

    machine, _ = best(calibration)
    loop, _ = best(lambda: pointers(levels, lows, highs, int(first * HUNDREDTHS)))
    engine, outcome = best(lambda: run(planned, stretches, job.rules))
    reading, _ = best(lambda: sum(map(len, read([file]))))
    text, _ = best(lambda: plain_csv(file))
    whole, report = best(lambda: perform(job))
    assert report.outcome == outcome
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{outcome.candles} candles, {outcome.fills} fills, total {outcome.total:.2f}")
    print(f"machine's own loop         {machine:7.3f} s")
    print(f"pointers over plain ints   {loop:7.3f} s")
    print(f"engine part                {engine:7.3f} s   {engine / loop:5.1f} times the pointers (at most 20)")
    print(f"reading alone              {reading:7.3f} s   ({text:.3f} s by gzip and csv)")
    print(f"whole run                  {whole:7.3f} s   {whole / reading:5.2f} times reading (at most 2)")
    print(f"                                       {whole / text:5.2f} times gzip and csv")
    print(f"most memory                {memory:7.0f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
