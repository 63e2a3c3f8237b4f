"""A stretch of recorded path: consecutive candles, or trades, in columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from trading.model import Candle


class Stretch(Struct, frozen=True):
    """Rows as they were written down, beside floats of what tells quickly that a row touches nothing.

    Reading a text as the nearest float keeps the order, so a row that reaches a price is never missed by comparing
    floats with `<=`; what is found that way is looked at again in decimals.
    """

    rows: Sequence[bytes]
    """Comma separated."""
    at: tuple[int, int, int, int]
    """Where open, high, low and close stand in a row; of trades four times the price."""
    times: Sequence[float]
    """Open times, ms, ascending; of trades their own."""
    tops: Sequence[float]
    bottoms: Sequence[float]
    ids: Sequence[float] | None = None
    """Of trades; None for candles."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> Sequence[float]:
        """What a row is known by when files overlap: the time of a candle, the id of a trade."""
        return self.times if self.ids is None else self.ids

    def cut(self, start: int, end: int) -> Stretch:
        """Rows `start` up to `end`."""
        if start == 0 and end >= len(self):
            return self
        part = slice(start, end)
        ids = None if self.ids is None else self.ids[part]
        return Stretch(self.rows[part], self.at, self.times[part], self.tops[part], self.bottoms[part], ids)

    def open(self, row: int) -> Decimal:
        return Decimal(self.rows[row].split(b",")[self.at[0]].decode())

    def close(self, row: int) -> Decimal:
        return Decimal(self.rows[row].split(b",")[self.at[3]].decode())

    def path(self, row: int) -> tuple[Decimal, ...]:
        """The points that the price visits: open, low, high, close when it rose, else open, high, low, close."""
        cells = self.rows[row].decode().split(",")
        at = self.at
        first = Decimal(cells[at[0]])
        if self.ids is not None:
            return (first,)
        high, low, last = Decimal(cells[at[1]]), Decimal(cells[at[2]]), Decimal(cells[at[3]])
        return (first, low, high, last) if last >= first else (first, high, low, last)


def stretches(candles: Iterable[Candle], most: int = 4096) -> Iterator[Stretch]:
    """Candles that are at hand already, in columns."""
    rows: list[Candle] = []
    for candle in candles:
        rows.append(candle)
        if len(rows) == most:
            yield _columns(rows)
            rows = []
    if rows:
        yield _columns(rows)


def _columns(rows: list[Candle]) -> Stretch:
    return Stretch(
        [f"{row.open},{row.high},{row.low},{row.close}".encode() for row in rows],
        (0, 1, 2, 3),
        [row.time for row in rows],
        [float(row.high) for row in rows],
        [float(row.low) for row in rows],
    )
