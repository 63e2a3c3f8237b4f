"""Recorded candles and funding rates on disk, read lazily."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trading.model import ZERO, Candle

MICROSECONDS = 10**14
"""A time above this is in microseconds (2025 and later archives)."""


class Unreadable(ValueError):
    """A recording that cannot be used, with what is wrong."""


def symbol_of(path: Path) -> str:
    """The symbol in a recording's file name (`binance-um_BTCUSDT_1m_…`, `BTCUSDT-1m-…`)."""
    found = re.findall(r"(?:^|[^A-Z0-9])([A-Z0-9]{2,20}USD[TC])(?![A-Z0-9])", path.name)
    if not found:
        raise Unreadable(f"{path.name}: the file name holds no symbol, say SYMBOL={path.name}")
    return str(found[0])


def text_of(path: Path) -> io.TextIOBase:
    """A recording opened as text, unpacked."""
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        return io.TextIOWrapper(archive.open(archive.namelist()[0]), encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def rows(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV."""
    try:
        with text_of(path) as file:
            yield from csv.reader(file)
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {error}") from None


def _time(text: str) -> int:
    value = int(text)
    return value // 1000 if value > MICROSECONDS else value


def candles(path: Path) -> Iterator[Candle]:
    """Candles of a CSV (open time, open, high, low, close, volume, …; header or not), ascending, each time once."""
    newest = -1
    for number, row in enumerate(rows(path), 1):
        if not row or (number == 1 and not row[0].strip().isdigit()):
            continue
        try:
            time = _time(row[0])
            first, high, low, last = (Decimal(text) for text in row[1:5])
            made = Candle(time, first, high, low, last, Decimal(row[5]) if len(row) > 5 else ZERO)
        except (ValueError, InvalidOperation, IndexError):
            raise Unreadable(f"{path}: line {number} is no candle") from None
        if time > newest:
            newest = time
            yield made


def fundings(path: Path) -> list[tuple[int, Decimal]]:
    """(time, rate) of each settlement in a CSV, ascending."""
    found: list[tuple[int, Decimal]] = []
    for number, row in enumerate(rows(path), 1):
        if not row or (number == 1 and not row[0].strip().isdigit()):
            continue
        try:
            found.append((_time(row[0]), Decimal(row[1])))
        except (ValueError, InvalidOperation, IndexError):
            raise Unreadable(f"{path}: line {number} is no funding rate") from None
    return sorted(found)
