"""What prices do on the sandbox: pure generators, seeded or recorded; the server gives them time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from itertools import chain, islice, pairwise
from random import Random

from msgspec import Struct

from trading.model import Candle, Instrument

STEP = 200
"""ms between two quotes of a synthetic instrument: five quotes and five trades a second."""
AT_FULL_PACE = 50
"""Instruments that move every STEP; more of them move less often, so that the machine bears it."""
PACE = 0.0006
"""What a synthetic price walks in a second, as a fraction."""
RUN = (11.0, 23.0)
"""Seconds it walks one way before it turns: with PACE a long-run spread of about 0.06 % per square root of a second."""
HALF_LIFE = 600.0
"""Seconds in which a synthetic price comes half the way back to its start."""
NOISE = 0.00003
"""Standard deviation of what each quote adds to the walk."""
WORTH = 100.0
"""What a unit of size is worth at least, in the quote asset: cheap coins are traded by the thousand."""
RUNGS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597)
"""Deeper levels, in ticks behind the touch."""


class QuoteMove(Struct, frozen=True):
    """The outside touch moved, with deeper levels (best first, touch not repeated)."""

    symbol: str
    delay: int
    """ms after the previous move of the same stream."""
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    bids: tuple[tuple[Decimal, Decimal], ...] = ()
    asks: tuple[tuple[Decimal, Decimal], ...] = ()


class TradePrint(Struct, frozen=True):
    """A trade of the outside world."""

    symbol: str
    delay: int
    price: Decimal
    qty: Decimal
    is_buyer_maker: bool


Move = QuoteMove | TradePrint


class PathPoint(Struct, frozen=True):
    """One of the four points of a recorded candle; `time` is tape time, ms UTC."""

    symbol: str
    time: int
    price: Decimal
    candle: Candle
    """The candle it belongs to, prices as recorded."""
    index: int
    """0..3 inside the candle."""


class _Walk:
    """The seeded price of one instrument: runs up and down in turns, pulled back to its start."""

    def __init__(self, seed: int, instrument: Instrument, start: Decimal, pace: int = STEP) -> None:
        self._pace = pace
        self._instrument = instrument
        self._start = float(start)
        self._unit = max(1.0, WORTH / self._start)
        # A stream of its own for every symbol: adding an instrument changes no other's prices.
        self._random = Random(f"{seed}:{instrument.symbol}")
        self._drift = 0.0
        self._way = self._random.choice((-1, 1))
        self._left = self._random.uniform(*RUN)

    def step(self) -> None:
        seconds = self._pace / 1000
        self._left -= seconds
        if self._left <= 0:
            self._way = -self._way
            self._left = self._random.uniform(*RUN)
        self._drift += self._way * PACE * seconds + self._random.gauss(0, NOISE)
        self._drift -= self._drift * math.log(2) / HALF_LIFE * seconds

    def quote(self, delay: int) -> QuoteMove:
        instrument = self._instrument
        tick = instrument.tick_size
        ticks = int(self._start * math.exp(self._drift) / float(tick))
        bid, ask = ticks * tick, (ticks + 1) * tick
        bids = tuple((bid - rung * tick, self._size(5, 40)) for rung in RUNGS if bid > rung * tick)
        asks = tuple((ask + rung * tick, self._size(5, 40)) for rung in RUNGS)
        return QuoteMove(instrument.symbol, delay, bid, self._size(5, 25), ask, self._size(5, 25), bids, asks)

    def trade(self, quote: QuoteMove) -> TradePrint:
        """Somebody takes at the touch, mostly with the run."""
        sold = self._random.random() < (0.35 if self._way > 0 else 0.65)
        price = quote.bid if sold else quote.ask
        return TradePrint(quote.symbol, 0, price, self._size(0.01, 3), sold)

    def _size(self, least: float, most: float) -> Decimal:
        least, most, lot = least * self._unit, most * self._unit, self._instrument.lot_size
        lots = Decimal(self._random.uniform(least, most) / float(lot)).quantize(Decimal(1), rounding=ROUND_DOWN)
        return max(lots * lot, self._instrument.min_qty, lot * math.ceil(Decimal(least) / lot))


def synthetic(seed: int, instruments: Iterable[Instrument], starts: Mapping[str, Decimal]) -> Iterator[Move]:
    """An endless seeded walk of all `instruments` in one stream (product.md §9): venue.set_quote / print_trade them.

    `delay` is ms since the previous move of the stream (0 for moves of the same instant); the first quotes stand at
    the start prices.
    """
    listed = list(instruments)
    pace = STEP * -(-len(listed) // AT_FULL_PACE)
    walks = [_Walk(seed, instrument, starts[instrument.symbol], pace) for instrument in listed]
    delay = 0
    while walks:
        for walk in walks:
            quote = walk.quote(delay)
            yield quote
            yield walk.trade(quote)
            walk.step()
            delay = 0
        delay = pace


def replay(symbol: str, candles: Iterable[Candle], tick: Decimal) -> Iterator[PathPoint]:
    """The path points of recorded candles, evenly spaced in each candle's time, rounded half up to the tick.

    Feed them to venue.reach(); real delay = (difference of `time`) / speed. A candle is as long as the shortest
    step between the first ones, so a hole in the tape stretches none.
    """
    source = iter(candles)
    head = list(islice(source, 10))
    length = min((later.time - earlier.time for earlier, later in pairwise(head)), default=60_000)
    for candle in chain(head, source):
        for index, price in enumerate(candle.path()):
            yield PathPoint(symbol, candle.time + index * length // 4, _on_tick(price, tick), candle, index)


def _on_tick(price: Decimal, tick: Decimal) -> Decimal:
    if not price % tick:
        return price
    return (price / tick).quantize(Decimal(1), rounding=ROUND_HALF_UP) * tick
