"""Backtests from files: what is asked for made into jobs, jobs run here or in a process pool, outcomes as JSON."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import time
import zlib
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from trading import plan, tape
from trading.columns import read
from trading.core.outcome import Outcome, Trace
from trading.core.replay import Replay, Rules, unlimited
from trading.model import MONEY, ZERO, Bracket, Instrument
from trading.parameters import clean, parse_line, symbols_meant
from trading.parameters import read as read_parameter
from trading.ports import Broken
from trading.strategies.grid import GridPlan
from trading.tape import TapeError, symbol_of
from trading.views import Declined, Refusal

D = Decimal
WARNINGS: dict[str, tuple[str, ...]] = {
    "off_tick": ("price", "tick"),
    "other_symbol": ("symbol", "file"),
}
"""Warnings of a backtest beside those of the plan, with the names of their values."""


class Options(Struct, frozen=True):
    """What the command line may say; None = the rules of the exchange, or the usual ones."""

    maker: Decimal | None = None
    taker: Decimal | None = None
    tick: Decimal | None = None
    lot: Decimal | None = None
    min_notional: Decimal | None = None
    rules: str = ""
    """A file with the exchange's rules."""
    brackets: str = ""
    """A file with its leverage brackets."""
    funding: tuple[str, ...] = ()
    """Files with funding rates, each for the symbol in its name."""
    reserve: str = ""
    sizing: str = ""
    through: bool = False
    draws: bool = False
    """Whether a picture will be wanted."""


class Job(Struct, frozen=True):
    """One grid over one tape; goes to another process as it is."""

    files: tuple[str, ...]
    line: str
    parameters: dict[str, str]
    instrument: Instrument
    rules: Rules
    draws: bool = False
    warnings: tuple[Refusal, ...] = ()


class Report(Struct, frozen=True):
    """What a job brought."""

    job: Job
    outcome: Outcome
    plan: GridPlan
    warnings: tuple[Refusal, ...]
    trace: Trace | None
    seconds: float
    """How long the run took, reading included."""


def prepare(files: Sequence[str], lines: Sequence[str], options: Options) -> list[Job]:
    """A job for each grid line, over the files of its symbol; raises Declined and TapeError."""
    known = _rules(options.rules)
    brackets = _brackets(options.brackets)
    jobs = []
    listed = {*filter(None, map(symbol_of, files)), *known, *brackets}
    for line in lines:
        parameters = _parameters(line, files, listed, options)
        symbol = parameters["symbol"]
        own, warnings = _files_of(symbol, files)
        rates, doubts = _files_of(symbol, options.funding) if options.funding else ((), ())
        funding = tuple(sorted({row for file in rates for row in tape.read_funding(file)}))
        rows = None
        if options.brackets:
            rows = brackets.get(symbol)
            if rows is None:
                raise Declined(Refusal("symbol_not_in_file", {"symbol": symbol, "file": options.brackets}))
        if options.rules and symbol not in known:
            raise Declined(Refusal("symbol_not_in_file", {"symbol": symbol, "file": options.rules}))
        instrument = _instrument(symbol, known.get(symbol), rows, options)
        rules = Rules(rows, options.through, funding)
        jobs.append(Job(own, line, parameters, instrument, rules, options.draws, (*warnings, *doubts)))
    return jobs


def _parameters(line: str, files: Sequence[str], listed: Container[str], options: Options) -> dict[str, str]:
    found = parse_line(line)
    for name, text in (("reserve", options.reserve), ("sizing", options.sizing)):
        if text:
            found[name] = read_parameter(name, text)
    if "symbol" not in found:
        symbol = next(filter(None, map(symbol_of, files)), None)
        if symbol is not None:
            found["symbol"] = symbol
    else:
        meant = symbols_meant(found["symbol"])
        found["symbol"] = next((name for name in meant if name in listed), found["symbol"])
    clean(found)
    return found


def _files_of(symbol: str, files: Sequence[str]) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    """The files named after `symbol` or after none; where there is no such file all, with a warning."""
    own = tuple(file for file in files if symbol_of(file) in (symbol, None))
    if own:
        return own, ()
    return tuple(files), (Refusal("other_symbol", {"symbol": symbol, "file": Path(files[0]).name}),)


def _instrument(
    symbol: str, known: Instrument | None, brackets: tuple[Bracket, ...] | None, options: Options
) -> Instrument:
    """The rules of the exchange with what the command line says instead, without them the usual ones."""
    base = known or Instrument(
        key=f"tape:{symbol}",
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=D("0.1"),
        lot_size=D("0.001"),
        min_qty=options.lot or D("0.001"),
        max_qty=ZERO,
        market_max_qty=ZERO,
        min_notional=D(5),
        max_leverage=max((row.max_leverage for row in brackets or ()), default=125),
    )
    said = {
        "maker_fee": options.maker,
        "taker_fee": options.taker,
        "tick_size": options.tick,
        "lot_size": options.lot,
        "min_notional": options.min_notional,
    }
    made = replace(base, **{name: value for name, value in said.items() if value is not None})
    return unlimited(made) if brackets is None else made


def _content(file: str) -> bytes:
    try:
        data = Path(file).read_bytes()
        return gzip.decompress(data) if file.endswith(".gz") else data
    except FileNotFoundError:
        raise TapeError(file, "missing") from None
    except (OSError, EOFError, zlib.error):
        raise TapeError(file, "format") from None


def _rules(file: str) -> dict[str, Instrument]:
    if not file:
        return {}
    from trading.gateways import catalog  # heavy, and seldom asked for

    try:
        return catalog.recorded_rules(_content(file))
    except Broken:
        raise TapeError(file, "json") from None


def _brackets(file: str) -> dict[str, tuple[Bracket, ...]]:
    if not file:
        return {}
    from trading.gateways import catalog

    try:
        return catalog.recorded_brackets(_content(file))
    except Broken:
        raise TapeError(file, "json") from None


# --------------------------------------------------------------------------- running


def perform(job: Job, progress: Callable[[int], object] | None = None) -> Report:
    """Run one job here; `progress` is told how many candles each step went through. Raises Declined and TapeError."""
    began = time.perf_counter()
    told: list[Refusal] = list(job.warnings)
    parameters = clean(job.parameters)

    def planned(price: Decimal) -> GridPlan:
        preview = plan.make(
            parameters,
            job.instrument,
            price,
            brackets=job.rules.brackets,
            available=None,
            wallet_free=None,
            chat=False,
        )
        told.extend(preview.warnings)
        if price % job.instrument.tick_size:
            told.append(Refusal("off_tick", {"price": f"{price:f}", "tick": f"{job.instrument.tick_size:f}"}))
        return preview.plan

    trace = Trace() if job.draws else None
    replay = Replay(planned, job.rules, trace)
    for stretch in read(job.files):
        replay.feed(stretch)
        if progress is not None:
            progress(len(stretch))
    outcome = replay.outcome()
    assert replay.plan is not None
    return Report(job, outcome, replay.plan, tuple(told), trace, time.perf_counter() - began)


def perform_all(jobs: Sequence[Job], done: Callable[[], object] | None = None) -> list[Report]:
    """Run all jobs in a process pool, as many at once as there are processors; the reports in the jobs' order."""
    # a fork starts at once; where there is none, each process begins anew
    start = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(min(len(jobs), os.cpu_count() or 1), context) as pool:
        running = [pool.submit(perform, job) for job in jobs]
        try:
            for ended in as_completed(running):
                ended.result()
                if done is not None:
                    done()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [each.result() for each in running]


# --------------------------------------------------------------------------- telling

FIELDS = (
    "candles", "first", "last", "levels", "quantities", "fills", "pairs", "matched", "unmatched", "fees", "funding",
    "total", "position", "avg_entry", "max_position", "max_drawdown", "grid_apr", "total_apr",
)  # fmt: skip


def as_json(report: Report) -> dict[str, object]:
    """The fields of product.md §8, decimals as strings."""
    outcome = report.outcome
    found: dict[str, object] = {name: _plainly(getattr(outcome, name)) for name in FIELDS}
    found["seconds"] = round(report.seconds, 3)
    if report.job.rules.brackets is not None:
        found["margin_refusals"] = outcome.margin_refusals
        found["liquidated"] = outcome.liquidated
    return found


def _plainly(value: object) -> object:
    if isinstance(value, Decimal):
        return shown(value)
    if isinstance(value, tuple):
        return [_plainly(each) for each in value]
    return value


def shown(value: Decimal) -> str:
    """`value` as plain text, to ten places at most, without idle zeros."""
    text = format(value.quantize(MONEY, rounding=ROUND_HALF_UP), "f").rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
