"""The command `backtest`: a grid over recorded candles or trades, in the terminal, as JSON or as a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bot import words
from bot.words import translated as _
from service.terminal import Debug, fail, plainly, say, screen
from trading.backtest import Job, Options, Report, as_json, perform, perform_all, prepare
from trading.core.lifecycle import Status
from trading.tape import TapeError
from trading.views import Declined

SENTENCES = {
    # what may be wrong with a file
    "missing": "{file}: there is no such file.",
    "format": "{file} cannot be read: give .csv, .csv.gz, .zip with one .csv inside, or .parquet, whole and unharmed.",
    "empty": "{file} holds no candle and no trade.",
    "columns": "{file} names no columns time, open, high, low, close (nor id, price, time of trades).",
    "number": "{file}, line {line}: a number is missing or is none.",
    "seconds": "{file}: the times are in seconds; give them in milliseconds (or microseconds).",
    "order": "{file}, line {line}: the times go back.",
    "prices": "{file}, line {line}: these prices cannot be (low above high, or none above zero).",
    "mixed": "Candles and trades cannot be joined: give files of one kind.",
    "no_pyarrow": "{file}: .parquet needs the package pyarrow (pip install pyarrow), or give the file as .csv.",
    "json": "{file} is not the exchange's answer in JSON.",
    "no_rates": "{file} holds no funding rate.",
    "rate_columns": "{file} names no columns funding_time and funding_rate.",
}
BOUNDS = {
    "--fee-maker": (Decimal("-0.1"), Decimal("0.1")),
    "--fee-taker": (Decimal("-0.1"), Decimal("0.1")),
    "--tick": (Decimal("1e-10"), Decimal(1_000_000)),
    "--lot": (Decimal("1e-10"), Decimal(1_000_000)),
    "--min-notional": (Decimal(0), Decimal(1_000_000)),
}
"""The least and the most that an option may be; of the reserve its parameter tells."""
PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")


@plainly
def backtest(
    files: Annotated[list[str], typer.Argument(help="Candles or aggTrades: .csv, .csv.gz, .zip, .parquet.")],
    grid: Annotated[list[str], typer.Option(help="What to run, in one line; several run side by side.", metavar="…")],
    fee_maker: Annotated[str | None, typer.Option(metavar="0.0002")] = None,
    fee_taker: Annotated[str | None, typer.Option(metavar="0.0005")] = None,
    tick: Annotated[str | None, typer.Option(metavar="0.1", help="Price step.")] = None,
    lot: Annotated[str | None, typer.Option(metavar="0.001", help="Quantity step.")] = None,
    min_notional: Annotated[str | None, typer.Option(metavar="5", help="Least worth of an order.")] = None,
    rules: Annotated[str, typer.Option(metavar="FILE", help="exchangeInfo of the exchange, in place of these.")] = "",
    brackets: Annotated[
        str, typer.Option(metavar="FILE", help="leverageBracket: margin and liquidation as on the exchange.")
    ] = "",
    reserve: Annotated[str, typer.Option(metavar="0.05", help="The part of the buying power kept back.")] = "",
    sizing: Annotated[str, typer.Option(metavar="equal_notional|equal_quantity|weighted")] = "",
    funding: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Recorded funding rates, a file for each symbol.")
    ] = None,
    fill: Annotated[str, typer.Option(metavar="touch|through", help="When a resting order fills.")] = "touch",
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw price, levels, fills, position, equity.")
    ] = None,
    as_text: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    debug: Debug = False,
) -> None:
    """A grid over recorded candles or trades, by the strategy and the matching that also trade live."""
    if fill not in ("touch", "through"):
        fail(_("--fill is touch or through."))
    if plot is not None and plot.suffix.lower() not in PICTURES:
        fail(_("--plot: {file} must end with one of {endings}.").format(file=plot, endings=", ".join(PICTURES)))
    options = Options(
        maker=_number("--fee-maker", fee_maker),
        taker=_number("--fee-taker", fee_taker),
        tick=_number("--tick", tick),
        lot=_number("--lot", lot),
        min_notional=_number("--min-notional", min_notional),
        rules=rules,
        brackets=brackets,
        funding=tuple(funding or ()),
        reserve=reserve,
        sizing=sizing,
        through=fill == "through",
        draws=plot is not None,
    )
    try:
        reports = _run(prepare(files, grid, options))
    except TapeError as error:
        fail(_(SENTENCES[error.code]).format(file=error.file, line=error.line))
    except Declined as declined:
        fail(words.refusals(declined))
    _warn(reports)
    if plot is not None:
        _draw(reports, plot)
    if as_text:
        found = [as_json(report) for report in reports]
        several = [{"grid": report.job.line, **each} for report, each in zip(reports, found, strict=True)]
        say(msgspec.json.encode(found[0] if len(found) == 1 else several).decode())
    else:
        _show(reports)


def _number(name: str, text: str | None) -> Decimal | None:
    """An option that is a number within its BOUNDS."""
    if text is None:
        return None
    least, most = BOUNDS[name]
    try:
        value = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ArithmeticError:
        value = Decimal("NaN")
    if not (value.is_finite() and least <= value <= most):
        sentence = _("{name}: {text} will not do, give a number from {least} to {most}.")
        fail(sentence.format(name=name, text=text, least=f"{least:,f}", most=f"{most:,f}"))
    return value


def _run(jobs: list[Job]) -> list[Report]:
    """One job here, several in a process pool; with progress where somebody watches."""
    if len(jobs) == 1:
        with _progress(_("candles"), None) as advance:
            return [perform(jobs[0], advance)]
    with _progress(_("runs"), len(jobs)) as advance:
        return perform_all(jobs, lambda: advance(1))


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A line on stderr that grows with every call and vanishes at the end."""
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def advance(steps: int) -> None:
            bar.advance(task, steps)

        yield advance


def _warn(reports: list[Report]) -> None:
    """Warnings, and ends that a reader of the numbers should know about, each once."""
    told = dict.fromkeys(words.refusal(warning) for report in reports for warning in report.warnings)
    for report in reports:
        if report.outcome.status is Status.WAITING or report.outcome.status is Status.CREATED:
            told[_("The price never reached the trigger: nothing was traded.")] = None
        elif report.outcome.status is not Status.RUNNING:
            told[words.status(report.outcome.status.value, report.outcome.reason) + "."] = None
    for sentence in told:
        screen.print(sentence, markup=False, soft_wrap=True)


def _draw(reports: list[Report], file: Path) -> None:
    from bot import curves  # matplotlib takes its time

    for number, report in enumerate(reports, 1):
        target = file if len(reports) == 1 else file.with_stem(f"{file.stem}-{number}")
        assert report.trace is not None
        try:
            curves.draw(report.job.line, report.plan, report.outcome, report.trace, target)
        except OSError as error:
            fail(_("{file} cannot be written: {why}.").format(file=target, why=error.strerror or error))


def _show(reports: list[Report]) -> None:
    """A column for each run."""
    table = Table(box=None, show_header=len(reports) > 1)
    table.add_column()
    for report in reports:
        table.add_column(report.job.line, justify="right", overflow="fold")
    rows = [as_json(report) for report in reports]
    for name in rows[0]:
        cells = [len(row[name]) if isinstance(row[name], list) else row[name] for row in rows]  # type: ignore[arg-type]
        table.add_row(name.replace("_", " "), *("-" if cell is None else str(cell) for cell in cells))
    Console(file=sys.stdout, highlight=False, emoji=False).print(table)
