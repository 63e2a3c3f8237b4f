"""Recorded candles and trades read in columns, a stretch at a time: what a backtest of many months goes through.

Regular text (every line the same fields, nothing quoted, prices in order) is taken apart without a step per line. At
the first irregularity the file is gone through line by line, which knows every form and names the place of a fault.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat
from operator import le, lt
from pathlib import Path
from typing import Any

from msgspec import Struct

from trading.core.stretch import Stretch, stretches
from trading.tape import (
    MICROSECONDS,
    TapeError,
    Trade,
    candle_columns,
    candles,
    fields,
    is_trades,
    opened,
    trade_columns,
    trades,
)

PIECE = 1 << 18
"""Characters read at once: about 5,000 lines, so that a year of minutes never stands in memory."""


class _Irregular(Exception):
    """Text that must be gone through line by line."""


def read(files: Sequence[str | Path]) -> Iterator[Stretch]:
    """All files joined in time order, overlaps once (the file named first wins); raises TapeError."""
    heads = [_Head(str(file)) for file in files]
    kinds = {head.stretch.ids is None for head in heads if head.stretch is not None}
    if len(kinds) > 1:
        raise TapeError(heads[-1].file, "mixed")
    newest = -1
    while living := [head for head in heads if head.stretch is not None]:
        # min() takes the first of equals, so of two rows of one time the one of the earlier file comes first
        head = min(living, key=lambda head: head.key)
        others = [other.key for other in living if other is not head]
        stretch = head.take(min(others) + 1 if others else None)
        start = bisect_left(stretch.keys, newest + 1)
        if start < len(stretch):
            stretch = stretch.cut(start, len(stretch))
            newest = stretch.keys[-1]
            yield stretch


class _Head:
    """One file and its stretch at hand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._rest = _stretches(file)
        self.stretch = next(self._rest, None)

    @property
    def key(self) -> int:
        assert self.stretch is not None
        return self.stretch.keys[0]

    def take(self, below: int | None) -> Stretch:
        """The rows at hand whose key is under `below`, at least one."""
        stretch = self.stretch
        assert stretch is not None
        end = len(stretch) if below is None else max(1, bisect_left(stretch.keys, below))
        self.stretch = stretch.cut(end, len(stretch)) if end < len(stretch) else next(self._rest, None)
        return stretch.cut(0, end)


def _stretches(file: str) -> Iterator[Stretch]:
    """The rows of one file; a row written twice comes once."""
    if file.endswith(".parquet"):
        yield from _parquet(file)
        return
    done = 0
    newest = -1
    is_of_trades = False
    try:
        for stretch in _regular(file):
            if stretch.keys[0] <= newest:
                raise _Irregular
            newest = stretch.keys[-1]
            done += len(stretch)
            is_of_trades = stretch.ids is not None
            yield stretch
        return
    except _Irregular:
        pass
    if is_of_trades or is_trades(file):
        yield from _once(_of_trades(islice(trades(file), done, None)), newest)
    else:
        yield from _once(stretches(islice(candles(file), done, None)), newest)


def _once(found: Iterator[Stretch], newest: int) -> Iterator[Stretch]:
    """Ascending stretches in which a row may stand twice."""
    for stretch in found:
        start = 0
        for at, key in enumerate(stretch.keys):
            if key <= newest:
                if at > start:
                    yield stretch.cut(start, at)
                start = at + 1
            newest = max(newest, key)
        if start < len(stretch):
            yield stretch.cut(start, len(stretch))


def _of_trades(rows: Iterator[Trade], most: int = 4096) -> Iterator[Stretch]:
    while part := list(islice(rows, most)):
        prices = [row.price for row in part]
        yield _trade_stretch([row.time for row in part], prices, [row.id for row in part])


def _trade_stretch(times: list[int], prices: list[str], ids: list[int]) -> Stretch:
    keys = list(map(float, prices))
    return Stretch(times, prices, prices, prices, prices, keys, keys, ids)


# --------------------------------------------------------------------------- regular text


class _Form(Struct, frozen=True):
    """How the lines of a file look."""

    width: int
    """Fields in a line."""
    at: tuple[int, ...]
    """Time, open, high, low, close; of trades id, price, time."""
    is_trades: bool


def _regular(file: str) -> Iterator[Stretch]:
    """The file's rows as long as its text is regular; _Irregular from there on."""
    form: _Form | None = None
    for text in _pieces(file):
        if '"' in text:
            raise _Irregular
        if form is None:
            form, text = _begin(file, text)
        if text.strip():
            yield _take_apart(text, form)
    if form is None:
        raise _Irregular


def _begin(file: str, text: str) -> tuple[_Form, str]:
    """The form, told by the first line, and the text without a header."""
    line, _, rest = text.partition("\n")
    row = fields(line)
    if not row:
        raise _Irregular
    is_of_trades = is_trades(file, row)
    at, has_header = trade_columns(file, row) if is_of_trades else candle_columns(file, row)
    return _Form(len(row), at, is_of_trades), rest if has_header else text


def _take_apart(text: str, form: _Form) -> Stretch:
    """Whole lines in columns. Every line break must stand where a line's first field begins."""
    cells = ("\n" + text.strip("\n")).replace("\n", ",\n").split(",")[1:]
    width = form.width
    if len(cells) % width:
        raise _Irregular
    starts = cells[0::width]
    if text.strip("\n").count("\n") != len(starts) - 1 or not all(map(str.startswith, starts, repeat("\n"))):
        raise _Irregular
    columns = [cells[place::width] for place in form.at]
    try:
        return _trade_rows(columns) if form.is_trades else _candle_rows(columns)
    except ValueError:
        raise _Irregular from None


def _times(texts: list[str]) -> list[int]:
    times = list(map(int, texts))
    if times[0] < MICROSECONDS and times[-1] < MICROSECONDS:
        return times
    if times[0] >= MICROSECONDS:
        return [time // 1000 for time in times]
    raise _Irregular


def _candle_rows(columns: list[list[str]]) -> Stretch:
    times, (opens, highs, lows, closes) = _times(columns[0]), columns[1:]
    first, tops, bottoms, last = (list(map(float, column)) for column in columns[1:])
    fits = min(bottoms) > 0 and max(tops) < float("inf") and all(map(lt, times, islice(times, 1, None)))
    fits = fits and all(map(le, bottoms, first)) and all(map(le, bottoms, last))
    if not (fits and all(map(le, first, tops)) and all(map(le, last, tops))):
        raise _Irregular
    return Stretch(times, opens, highs, lows, closes, tops, bottoms)


def _trade_rows(columns: list[list[str]]) -> Stretch:
    ids, prices, times = list(map(int, columns[0])), columns[1], _times(columns[2])
    made = _trade_stretch(times, prices, ids)
    fits = all(map(lt, ids, islice(ids, 1, None))) and all(map(le, times, islice(times, 1, None)))
    if not (fits and min(made.tops) > 0 and max(made.tops) < float("inf")):
        raise _Irregular
    return made


def _pieces(file: str) -> Iterator[str]:
    """Whole lines of the file in pieces; the next is unpacked while this one is looked at."""
    try:
        with opened(file) as text, ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(text.read, PIECE)
            rest = ""
            while piece := coming.result():
                coming = ahead.submit(text.read, PIECE)
                piece = rest + piece
                end = piece.rfind("\n") + 1
                rest = piece[end:]
                if end:
                    yield piece[:end]
            if rest:
                yield rest
    except FileNotFoundError:
        raise TapeError(file, "missing") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError, io.UnsupportedOperation) as error:
        raise TapeError(file, "format") from error


# --------------------------------------------------------------------------- parquet


def _parquet(file: str) -> Iterator[Stretch]:
    """A parquet file's row groups, with the same column names as text files; needs pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise TapeError(file, "no_pyarrow") from None
    try:
        table: Any = parquet.ParquetFile(file)
        names = [str(name) for name in table.schema_arrow.names]
        is_of_trades = is_trades(file, names)
        at, _ = trade_columns(file, names) if is_of_trades else candle_columns(file, names)
        newest = -1
        for batch in table.iter_batches(4096, columns=[names[place] for place in at]):
            columns = [[_text(value) for value in batch.column(names[place]).to_pylist()] for place in at]
            if not columns[0]:
                continue
            stretch = _trade_rows(columns) if is_of_trades else _candle_rows(columns)
            if stretch.keys[0] <= newest:
                raise TapeError(file, "order")
            newest = stretch.keys[-1]
            yield stretch
    except FileNotFoundError:
        raise TapeError(file, "missing") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise TapeError(file, "format") from error
    except (_Irregular, ValueError) as error:
        if isinstance(error, TapeError):
            raise
        raise TapeError(file, "number") from None


def _text(value: object) -> str:
    """A cell as its text; an instant as ms."""
    stamp = getattr(value, "timestamp", None)
    if stamp is not None:
        return str(round(stamp() * 1000))
    return repr(value) if isinstance(value, float) else str(value)
