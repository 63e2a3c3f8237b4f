"""A stretch of recorded path: consecutive candles, or trades, in columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from trading.model import Candle


class Stretch(Struct, frozen=True):
    """Prices as their exact texts, beside floats of the extremes that tell quickly which candles touch nothing.

    Turning a text into the nearest float keeps the order, so a candle that reaches a price is never missed by a
    comparison of floats with `<=`; what is found that way is looked at again in decimals.
    """

    times: list[int]
    """Open times, ms, ascending; of trades their own."""
    opens: list[str]
    highs: list[str]
    lows: list[str]
    closes: list[str]
    tops: list[float]
    bottoms: list[float]
    ids: list[int] | None = None
    """Of trades; None for candles. A trade is a candle whose four prices are one."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def keys(self) -> list[int]:
        """What a row is known by when files overlap: the time of a candle, the id of a trade."""
        return self.times if self.ids is None else self.ids

    def cut(self, start: int, end: int) -> Stretch:
        """Rows `start` up to `end`."""
        if start == 0 and end >= len(self):
            return self
        at = slice(start, end)
        ids = self.ids
        if ids is not None:
            prices, keys = self.opens[at], self.tops[at]
            return Stretch(self.times[at], prices, prices, prices, prices, keys, keys, ids[at])
        return Stretch(
            self.times[at],
            self.opens[at],
            self.highs[at],
            self.lows[at],
            self.closes[at],
            self.tops[at],
            self.bottoms[at],
        )


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
    highs, lows = [str(row.high) for row in rows], [str(row.low) for row in rows]
    return Stretch(
        [row.time for row in rows],
        [str(row.open) for row in rows],
        highs,
        lows,
        [str(row.close) for row in rows],
        list(map(float, highs)),
        list(map(float, lows)),
    )
