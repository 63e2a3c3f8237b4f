"""Recorded candles, trades and funding rates, read line by line: csv, csv.gz and zip (product.md §8)."""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from pathlib import Path
from typing import IO, cast

from msgspec import Struct

from trading.model import ZERO, Candle

_NAMES = {
    "time": ("open_time", "opentime", "time", "timestamp", "start", "date"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume", "vol"),
}
_TRADES = {
    "id": ("agg_trade_id", "trade_id", "id", "a"),
    "price": ("price", "p"),
    "time": ("transact_time", "trade_time", "timestamp", "time", "t"),
}
_FUNDING = {
    "time": ("funding_time", "calc_time", "fundingtime", "time", "timestamp"),
    "rate": ("funding_rate", "last_funding_rate", "fundingrate", "rate"),
}
_YEAR_2001 = 10**12
"""ms: what is below is no time but an id."""
MICROSECONDS = 10**14
"""Times from here on are µs: as ms they would lie in the year 5138."""
_SECONDS = (10**9, 10**10)
"""A file whose first time lies between these is in seconds: as ms it would begin in the spring of 1970."""
_SYMBOL = re.compile(r"(?<![A-Z0-9])([A-Z0-9]{2,20}(?:USDT|USDC|FDUSD|BUSD|USD))(?![A-Z0-9])")


class TapeError(ValueError):
    """A file that cannot be read: which one, where, and a code for the words.

    Codes: missing, format, empty, columns, number, order, prices, seconds; mixed (candles and trades), no_pyarrow;
    no_rates and rate_columns of funding.
    """

    def __init__(self, file: str, code: str, line: int = 0) -> None:
        super().__init__(f"{file}:{line}: {code}")
        self.file = file
        self.code = code
        self.line = line

    def __reduce__(self) -> tuple[type[TapeError], tuple[str, str, int]]:
        return TapeError, (self.file, self.code, self.line)


def read_candles(files: Sequence[str | Path]) -> Iterator[Candle]:
    """The candles of all files joined in time order, overlaps once (the file named first wins)."""
    tapes = [candles(str(file)) for file in files]
    # merge() is stable, so of two candles of one time the one of the earlier file comes first.
    joined = tapes[0] if len(tapes) == 1 else heapq.merge(*tapes, key=attrgetter("time"))
    before = None
    for candle in joined:
        if candle.time != before:
            yield candle
            before = candle.time


def read_funding(file: str | Path) -> list[tuple[int, Decimal]]:
    """(time, rate) in time order."""
    rows = []
    with _rows(str(file)) as lines:
        columns: tuple[int, ...] = ()
        for line, row in enumerate(lines, 1):
            if not columns:
                columns = _columns(str(file), row, _FUNDING, ("time", "rate"), at_least=2, code="rate_columns")
                if _is_number(row[0]) and len(row) > 2:
                    columns = (0, 2)  # the venue's own files have the interval between them
                if not _is_number(row[columns[0]]):
                    continue
            try:
                rows.append((_time(row[columns[0]]), Decimal(row[columns[1]])))
            except (IndexError, ValueError, InvalidOperation):
                raise TapeError(str(file), "number", line) from None
    if not rows:
        raise TapeError(str(file), "no_rates")
    rows.sort()
    check_unit(str(file), rows[0][0])
    return rows


def symbol_of(file: str | Path) -> str | None:
    """The symbol in a file's name (`binance-um_BTCUSDT_1m_….csv.gz`, `BTCUSDT-1m-2024-07.zip`), None if none."""
    found = _SYMBOL.search(Path(file).name)
    return found[1] if found else None


class Trade(Struct, frozen=True, gc=False):
    """A recorded trade; its price as it stands in the file."""

    id: int
    time: int
    price: str


def trades(file: str) -> Iterator[Trade]:
    """The trades of one file, line by line; one written twice comes twice."""
    with _rows(file) as lines:
        first = next(lines, None)
        if first is None:
            raise TapeError(file, "empty")
        at, has_header = trade_columns(file, first)
        line, row = (2, next(lines, [])) if has_header else (1, first)
        if not row:
            raise TapeError(file, "empty")
        before = Trade(-1, -1, "")
        while row:
            trade = _trade(file, line, row, at)
            if trade.id < before.id or trade.time < before.time:
                raise TapeError(file, "order", line)
            before = trade
            yield trade
            line, row = line + 1, next(lines, [])


def _trade(file: str, line: int, row: list[str], at: tuple[int, ...]) -> Trade:
    try:
        trade = Trade(int(row[at[0]]), _time(row[at[2]]), row[at[1]])
        price = Decimal(trade.price)
    except (IndexError, ValueError, InvalidOperation):
        raise TapeError(file, "number", line) from None
    if not price.is_finite() or price <= 0:
        raise TapeError(file, "prices", line)
    return trade


def is_trades(file: str, row: list[str] | None = None) -> bool:
    """Whether `file`, whose first line is `row`, holds trades rather than candles."""
    if row is None:
        with _rows(file) as lines:
            row = next(lines, [])
    if row and _is_number(row[0]):
        return any(cell.strip().lower() in ("true", "false") for cell in row)
    header = {cell.strip().lower() for cell in row}
    return "price" in header and "open" not in header


def trade_columns(file: str, row: list[str]) -> tuple[tuple[int, ...], bool]:
    """Where id, price and time stand, and whether `row` is a header."""
    if row and _is_number(row[0]):
        # aggTrades: id, price, quantity, first id, last id, time, ...; trades: id, price, quantity, worth, time, ...
        place = next((i for i in (5, 4) if i < len(row) and row[i].isdigit() and int(row[i]) >= _YEAR_2001), None)
        if place is None:
            raise TapeError(file, "columns", 1)
        return (0, 1, place), False
    return _columns(file, row, _TRADES, ("id", "price", "time"), at_least=6), True


def candle_columns(file: str, row: list[str]) -> tuple[tuple[int, ...], bool]:
    """Where time, open, high, low and close stand, and whether `row` is a header."""
    at = _columns(file, row, _NAMES, ("time", "open", "high", "low", "close"), at_least=6)
    return at, not _is_number(row[at[0]])


def fields(line: str) -> list[str]:
    """The fields of one line."""
    return next(csv.reader([line]), [])


def candles(file: str) -> Iterator[Candle]:
    """The candles of one file, line by line; one written twice comes twice."""
    with _rows(file) as lines:
        first = next(lines, None)
        if first is None:
            raise TapeError(file, "empty")
        at, has_header = candle_columns(file, first)
        volume = _volume_column(first)
        line, row, before = 1, first, -1
        if has_header:
            line, row = 2, next(lines, [])
        if not row:
            raise TapeError(file, "empty")
        while row:
            candle = _candle(file, line, row, at, volume)
            if candle.time < before:
                raise TapeError(file, "order", line)
            before = candle.time
            yield candle
            line, row = line + 1, next(lines, [])


def _candle(file: str, line: int, row: list[str], at: tuple[int, ...], volume: int | None) -> Candle:
    try:
        candle = Candle(
            _time(row[at[0]]),
            Decimal(row[at[1]]),
            Decimal(row[at[2]]),
            Decimal(row[at[3]]),
            Decimal(row[at[4]]),
            Decimal(row[volume]) if volume is not None else ZERO,
        )
        fits = 0 < candle.low <= min(candle.open, candle.close) and max(candle.open, candle.close) <= candle.high
    except (IndexError, ValueError, InvalidOperation):
        raise TapeError(file, "number", line) from None
    if not fits or not candle.high.is_finite():
        raise TapeError(file, "prices", line)
    return candle


def _columns(
    file: str,
    row: list[str],
    names: dict[str, tuple[str, ...]],
    wanted: tuple[str, ...],
    at_least: int,
    code: str = "columns",
) -> tuple[int, ...]:
    """Where the wanted columns stand: by the header's names, without a header in the venue's own order."""
    if row and _is_number(row[0]):
        if len(row) < at_least:
            raise TapeError(file, code, 1)
        return tuple(range(len(wanted)))
    header = [cell.strip().lower() for cell in row]
    found = []
    for want in wanted:
        place = next((header.index(name) for name in names[want] if name in header), None)
        if place is None:
            raise TapeError(file, code, 1)
        found.append(place)
    return tuple(found)


def _volume_column(row: list[str]) -> int | None:
    if _is_number(row[0]):
        return 5
    header = [cell.strip().lower() for cell in row]
    return next((header.index(name) for name in _NAMES["volume"] if name in header), None)


def _is_number(text: str) -> bool:
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def _time(text: str) -> int:
    value = int(text)
    return value // 1000 if value >= MICROSECONDS else value


def check_unit(file: str, first: float) -> None:
    """Raises TapeError where the first time of `file` is one in seconds."""
    if _SECONDS[0] <= first < _SECONDS[1]:
        raise TapeError(file, "seconds")


@contextmanager
def _rows(file: str) -> Iterator[Iterator[list[str]]]:
    """The rows of `file`, blank ones left out; damaged and missing files are a TapeError."""
    try:
        with opened(file) as text:
            yield (row for row in csv.reader(text) if row)
    except FileNotFoundError:
        raise TapeError(file, "missing") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise TapeError(file, "format") from error


@contextmanager
def opened(file: str) -> Iterator[io.TextIOBase]:
    """The text of `file`."""
    with unpacked(file) as raw:
        yield io.TextIOWrapper(raw, "utf-8-sig", newline="")


@contextmanager
def unpacked(file: str) -> Iterator[IO[bytes]]:
    """The bytes of the text in `file`."""
    if file.endswith(".zip"):
        with zipfile.ZipFile(file) as archive:
            inside = sorted(name for name in archive.namelist() if name.endswith(".csv"))
            if len(inside) != 1:
                raise TapeError(file, "format")
            with archive.open(inside[0]) as raw:
                yield raw
    elif file.endswith(".gz"):
        with gzip.open(file) as unzipped:
            yield cast(IO[bytes], unzipped)
    elif file.endswith(".csv"):
        with open(file, "rb") as plain:
            yield plain
    else:
        raise TapeError(file, "format")
