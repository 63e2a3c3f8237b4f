"""Recorded candles and trades read in columns, a stretch at a time: what a backtest of many months goes through.

Regular text (every line the same count of plain numbers, prices in order) is taken apart without a step per line. At
the first irregularity the file is gone through line by line, which knows every form and names the place of a fault.
"""

from __future__ import annotations

import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice, repeat
from operator import le, lt
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from trading.core.stretch import Stretch, stretches
from trading.tape import (
    MICROSECONDS,
    TapeError,
    Trade,
    candle_columns,
    candles,
    check_unit,
    fields,
    is_trades,
    trade_columns,
    trades,
    unpacked,
)

PIECE = 1 << 17
"""Bytes read at once, about 2,500 lines: what is at hand stays in the processor's cache."""
MOST = 4096
"""Rows in a stretch made of single rows."""
_NUMBERS = msgspec.json.Decoder(list[float])
_MARK = b"\xef\xbb\xbf"


class _Irregular(Exception):
    """Text that must be gone through line by line."""


def read(files: Sequence[str | Path]) -> Iterator[Stretch]:
    """All files joined in time order, overlaps once (the file named first wins); raises TapeError."""
    heads = [_Head(str(file)) for file in files]
    if len({head.stretch.ids is None for head in heads if head.stretch is not None}) > 1:
        raise TapeError(heads[-1].file, "mixed")
    newest = -1.0
    while living := [head for head in heads if head.stretch is not None]:
        # min() takes the first of equals, so of two rows of one time the one of the earlier file comes first
        head = min(living, key=lambda head: head.key)
        place = living.index(head)
        others = [other.key + (at > place) for at, other in enumerate(living) if at != place]
        stretch = head.take(min(others, default=None))
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
        if self.stretch is not None:
            check_unit(file, self.stretch.times[0])

    @property
    def key(self) -> float:
        assert self.stretch is not None
        return self.stretch.keys[0]

    def take(self, below: float | None) -> Stretch:
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
    done, newest = 0, -1.0
    try:
        for stretch in _regular(file):
            if stretch.keys[0] <= newest:
                raise _Irregular
            newest = stretch.keys[-1]
            done += len(stretch)
            yield stretch
        if not done:
            raise _Irregular
    except _Irregular:
        if is_trades(file):
            yield from _once(_of_trades(islice(trades(file), done, None)), newest)
        else:
            yield from _once(stretches(islice(candles(file), done, None), MOST), newest)


def _once(found: Iterator[Stretch], newest: float) -> Iterator[Stretch]:
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


def _of_trades(rows: Iterator[Trade]) -> Iterator[Stretch]:
    while part := list(islice(rows, MOST)):
        prices = [float(row.price) for row in part]
        times, ids = [row.time for row in part], [row.id for row in part]
        yield Stretch([row.price.encode() for row in part], (0, 0, 0, 0), times, prices, prices, ids)


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
    for piece in _pieces(file):
        if form is None:
            form, piece = _begin(file, piece.removeprefix(_MARK))
        if piece:
            yield _take_apart(piece, form)
    if form is None:
        raise _Irregular


def _begin(file: str, piece: bytes) -> tuple[_Form, bytes]:
    """The form, told by the first line, and the text without a header."""
    line, _, rest = piece.partition(b"\n")
    try:
        row = fields(line.decode().strip())
    except UnicodeDecodeError:
        raise _Irregular from None
    if not row:
        raise _Irregular
    is_of_trades = is_trades(file, row)
    at, has_header = trade_columns(file, row) if is_of_trades else candle_columns(file, row)
    return _Form(len(row), at, is_of_trades), rest if has_header else piece


def _take_apart(piece: bytes, form: _Form) -> Stretch:
    """Whole lines, without the last line break, in columns."""
    if b"\r" in piece:
        piece = piece.replace(b"\r", b"")
    rows = piece.split(b"\n")
    if set(map(bytes.count, rows, repeat(b","))) != {form.width - 1}:
        raise _Irregular
    numbers = piece.replace(b"\n", b",")
    if form.is_trades:
        numbers = numbers.lower().replace(b"true", b"1").replace(b"false", b"0")
    try:
        cells = _NUMBERS.decode(b"[" + numbers + b"]")
    except msgspec.DecodeError:
        raise _Irregular from None
    columns = [cells[place :: form.width] for place in form.at]
    return _trade_rows(rows, columns, form.at[1]) if form.is_trades else _candle_rows(rows, columns, form.at[1:])


def _times(times: list[float]) -> list[float]:
    if times[0] < MICROSECONDS and times[-1] < MICROSECONDS:
        return times
    if times[0] >= MICROSECONDS:
        return [time // 1000 for time in times]
    raise _Irregular


def _candle_rows(rows: list[bytes], columns: list[list[float]], at: tuple[int, ...]) -> Stretch:
    times, first, tops, bottoms, last = _times(columns[0]), *columns[1:]
    fits = min(bottoms) > 0 and all(map(lt, times, islice(times, 1, None)))
    fits = fits and all(map(le, bottoms, first)) and all(map(le, bottoms, last))
    if not (fits and all(map(le, first, tops)) and all(map(le, last, tops))):
        raise _Irregular
    return Stretch(rows, (at[0], at[1], at[2], at[3]), times, tops, bottoms)


def _trade_rows(rows: list[bytes], columns: list[list[float]], at: int) -> Stretch:
    ids, prices, times = columns[0], columns[1], _times(columns[2])
    fits = all(map(lt, ids, islice(ids, 1, None))) and all(map(le, times, islice(times, 1, None)))
    if not fits or min(prices) <= 0:
        raise _Irregular
    return Stretch(rows, (at, at, at, at), times, prices, prices, ids)


def _pieces(file: str) -> Iterator[bytes]:
    """Whole lines of the file in pieces, each without its last line break."""
    try:
        with unpacked(file) as raw:
            rest = b""
            while piece := raw.read(PIECE):
                piece = rest + piece
                end = piece.rfind(b"\n")
                rest = piece[end + 1 :]
                if end > 0:
                    yield piece[:end]
            if rest:
                yield rest
    except FileNotFoundError:
        raise TapeError(file, "missing") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TapeError(file, "format") from error


# --------------------------------------------------------------------------- parquet


def _parquet(file: str) -> Iterator[Stretch]:
    """A parquet file's rows, under the same column names as in text files; needs pyarrow."""
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
        for batch in table.iter_batches(MOST, columns=[names[place] for place in at]):
            texts = [[_text(value) for value in batch.column(names[place]).to_pylist()] for place in at]
            rows = [",".join(row).encode() for row in zip(*texts, strict=True)]
            if rows:
                yield _take_apart(b"\n".join(rows), _Form(len(at), tuple(range(len(at))), is_of_trades))
    except FileNotFoundError:
        raise TapeError(file, "missing") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise TapeError(file, "format") from error
    except _Irregular:
        raise TapeError(file, "number") from None


def _text(value: object) -> str:
    """A cell as its text; an instant as ms, in UTC where it names no zone."""
    if isinstance(value, datetime):
        instant = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return str(round(instant.timestamp() * 1000))
    return repr(value) if isinstance(value, float) else str(value)
