"""Market streams: turns what the venue and the tapes hold into frames, at each stream's own pace."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, cast

from msgspec import field

from trading.core.venue import Level, Venue
from trading.gateways.binance import wire
from trading.model import Bracket, Instrument
from trading.sandbox.feeds import Hub, Stream
from trading.sandbox.shapes import fixed, short
from trading.sandbox.tape import INTERVALS, Bar, Print, Tape, closing

STEP = 50
"""ms between looks at what is due."""

PLENTY = Decimal(100)
"""What stands at the touch of a replayed candle, where taker orders fill whole."""

Book = dict[Decimal, Decimal]


class SummedTrade(wire.AggTrade, frozen=True, kw_only=True, tag="aggTrade"):
    """With the quantity that no retail order had a part in, since 2025-12: all of it."""

    plain: Decimal = field(name="nq")


class Sent:
    """What one periodic stream has shown so far."""

    def __init__(self) -> None:
        self.at = 0
        self.changes = -1
        self.update = 0
        self.bids: Book = {}
        self.asks: Book = {}


class Publisher:
    """Publishes the market streams of a hub."""

    def __init__(
        self,
        venue: Venue,
        rules: Mapping[str, Instrument],
        tapes: Mapping[str, Tape],
        hub: Hub,
        now: Callable[[], int],
        funding: Callable[[str], tuple[Decimal, int]],
    ) -> None:
        self._venue = venue
        self._rules = rules
        self._tapes = tapes
        self._hub = hub
        self._now = now
        self._funding = funding
        self.updates: dict[str, int] = dict.fromkeys(rules, now())
        """The book's update id per symbol; grows with every change, from the clock on: no restart repeats one."""
        self.skips = 0
        """Depth events to lose (a fault)."""
        self._liquidations: deque[wire.ForcedOrder] = deque(maxlen=1000)
        self._touched: set[str] = set()
        self._shown: dict[str, tuple[Decimal, Decimal, Decimal, Decimal]] = {}
        self._sent: dict[str, Sent] = {}

    # ---- as it happens

    def touch(self, symbol: str) -> None:
        """The book of `symbol` changed: its best prices are published once this burst of work is over."""
        self.updates[symbol] += 1
        if symbol not in self._touched:
            self._touched.add(symbol)
            asyncio.get_running_loop().call_soon(partial(self._show, symbol))

    def _show(self, symbol: str) -> None:
        self._touched.discard(symbol)
        name = f"{symbol.lower()}@bookTicker"
        if not self._hub.has(name):
            self._shown.pop(symbol, None)
            return
        best = self.best(symbol)
        if self._shown.get(symbol) != best:
            self._shown[symbol] = best
            self._hub.publish(name, wire.encode(self.book_ticker(symbol, best)))

    def best(self, symbol: str) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Bid, its quantity, ask, its quantity; zeros where there is none."""
        venue, zero = self._venue, Decimal(0)
        bid, ask = venue.bid(symbol), venue.ask(symbol)
        bid_qty, ask_qty = (level.qty if level else zero for level in venue.top(symbol))
        return bid, bid_qty or (PLENTY if bid else zero), ask, ask_qty or (PLENTY if ask else zero)

    def depth(self, symbol: str, limit: int) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first. On a candle's path the touch has no size of its own: it is shown as plenty."""
        bids, asks = self._venue.depth(symbol, limit)
        bid, ask = self._venue.bid(symbol), self._venue.ask(symbol)
        if bid and (not bids or bids[0].price != bid):
            bids = [Level(bid, PLENTY), *bids][:limit]
        if ask and (not asks or asks[0].price != ask):
            asks = [Level(ask, PLENTY), *asks][:limit]
        return bids, asks

    def book_ticker(self, symbol: str, best: tuple[Decimal, Decimal, Decimal, Decimal]) -> wire.BookTicker:
        rules, now = self._rules[symbol], self._now()
        places, lot = rules.price_precision, rules.qty_precision
        return wire.BookTicker(
            update_id=self.updates[symbol],
            event_time=now,
            time=now,
            symbol=symbol,
            pair=symbol,
            kind=1,
            bid=fixed(best[0], places),
            bid_qty=fixed(best[1], lot),
            ask=fixed(best[2], places),
            ask_qty=fixed(best[3], lot),
        )

    def show_trade(self, symbol: str, trade: Print) -> None:
        """A public trade: `@trade` and `@aggTrade`."""
        lower = symbol.lower()
        single, summed = self._hub.has(f"{lower}@trade"), self._hub.has(f"{lower}@aggTrade")
        if not single and not summed:
            return
        rules, now = self._rules[symbol], self._now()
        shared: dict[str, Any] = {
            "event_time": now,
            "symbol": symbol,
            "id": trade.id,
            "price": fixed(trade.price, rules.price_precision),
            "qty": fixed(trade.qty, rules.qty_precision),
            "time": trade.time,
            "buyer_maker": trade.is_buyer_maker,
        }
        if single:
            self._hub.publish(f"{lower}@trade", wire.encode(wire.TradeTick(**shared)))
        if summed:
            aggregate = SummedTrade(**shared, first=trade.id, last=trade.id, plain=shared["qty"])
            self._hub.publish(f"{lower}@aggTrade", wire.encode(aggregate))

    # ---- in periods

    async def run(self) -> None:
        """Publish what is due, for ever."""
        while True:
            await asyncio.sleep(STEP / 1000)
            self.publish_due(self._now())

    def publish_due(self, now: int) -> None:
        for stream in list(self._hub.streams.values()):
            if not stream.period:
                continue
            sent = self._sent.get(stream.name)
            if sent is None or now - sent.at > 10 * stream.period + 5000:
                sent = self._sent[stream.name] = Sent()
                self._begin(stream, sent)
            if now - sent.at + STEP // 2 >= stream.period:
                frame = self._frame(stream, sent, now)
                if frame is not None:
                    self._hub.publish(stream.name, frame)
                sent.at = now
                self._hub.fresh.discard(stream.name)

    def _begin(self, stream: Stream, sent: Sent) -> None:
        """A listener came: changes of the book count from now."""
        if stream.kind == "forceOrder":
            sent.at = self._now()
        if stream.kind in ("depth", "book") and stream.symbol in self.updates:
            sent.update = self.updates[stream.symbol]
            if stream.kind == "depth":
                sent.bids, sent.asks = self._book(stream.symbol)

    def _book(self, symbol: str) -> tuple[Book, Book]:
        bids, asks = self.depth(symbol, 1000)
        return {level.price: level.qty for level in bids}, {level.price: level.qty for level in asks}

    def _frame(self, stream: Stream, sent: Sent, now: int) -> bytes | None:
        if not stream.symbol:
            return self._whole_market(stream, sent, now)
        if stream.symbol not in self._tapes:
            return None
        match stream.kind:
            case "depth":
                return self._depth(stream, sent, now)
            case "book":
                return self._partial(stream, sent, now)
            case "kline" | "continuousKline":
                return self._kline(stream, sent, now)
            case "forceOrder":
                return self._forced(stream, sent, stream.symbol)
            case "markPrice":
                return wire.encode(self.mark_price(stream.symbol, now))
            case "miniTicker" | "ticker":
                made = self._day(stream.kind, stream.symbol, now)
                return None if made is None else wire.encode(made)
        return None

    def _whole_market(self, stream: Stream, sent: Sent, now: int) -> bytes | None:
        if stream.kind == "forceOrder":
            for symbol in self._tapes:
                frame = self._forced(stream, sent, symbol)
                if frame is not None:
                    self._hub.publish(stream.name, frame)
            return None
        if stream.kind == "bookTicker":
            for symbol in self._tapes:
                self._hub.publish(stream.name, wire.encode(self.book_ticker(symbol, self.best(symbol))))
            return None
        rows = [
            self.mark_price(symbol, now) if stream.kind == "markPrice" else self._day(stream.kind, symbol, now)
            for symbol in self._tapes
        ]
        return wire.encode([row for row in rows if row is not None])

    def _depth(self, stream: Stream, sent: Sent, now: int) -> bytes | None:
        update = self.updates[stream.symbol]
        if update == sent.update:
            return None
        bids, asks = self._book(stream.symbol)
        changed = _changes(sent.bids, bids), _changes(sent.asks, asks)
        before, sent.update, sent.bids, sent.asks = sent.update, update, bids, asks
        if self.skips > 0:
            self.skips -= 1
            return None
        return self._depth_frame(stream.symbol, now, before, *changed)

    def _partial(self, stream: Stream, sent: Sent, now: int) -> bytes | None:
        update = self.updates[stream.symbol]
        if update == sent.update and stream.name not in self._hub.fresh:
            return None
        bids, asks = self.depth(stream.symbol, int(stream.argument))
        before, sent.update = sent.update, update
        sides = [(level.price, level.qty) for level in bids], [(level.price, level.qty) for level in asks]
        return self._depth_frame(stream.symbol, now, before, *sides)

    def _depth_frame(
        self,
        symbol: str,
        now: int,
        before: int,
        bids: list[tuple[Decimal, Decimal]],
        asks: list[tuple[Decimal, Decimal]],
    ) -> bytes:
        rules = self._rules[symbol]
        return wire.encode(
            wire.DepthUpdate(
                event_time=now,
                time=now,
                symbol=symbol,
                first=min(before + 1, self.updates[symbol]),  # nothing new for a late listener
                last=self.updates[symbol],
                previous=before,
                bids=[level(rules, *pair) for pair in bids],
                asks=[level(rules, *pair) for pair in asks],
            )
        )

    def force(self, order: wire.ForcedOrder) -> None:
        """A liquidation; the streams show the largest of each symbol's last second."""
        self._liquidations.append(order)

    def _forced(self, stream: Stream, sent: Sent, symbol: str) -> bytes | None:
        found = [order for order in self._liquidations if order.symbol == symbol and order.time > sent.at]
        if not found:
            return None
        largest = max(found, key=lambda order: Decimal(order.executed))
        arr: dict[str, Any] = {} if stream.symbol else {"pair": symbol, "kind": 1}
        return wire.encode(wire.ForceOrder(event_time=self._now(), order=largest, **arr))

    def tell_contract(self, symbol: str, brackets: Iterable[Bracket]) -> None:
        """A listing that changed."""
        rows = [
            {
                "bs": number,
                "bnf": int(each.floor),
                "bnc": int(each.cap),
                "mmr": float(each.mmr),
                "cf": float(each.cum),
                "mi": 1,
                "ma": each.max_leverage,
            }
            for number, each in enumerate(brackets, 1)
        ]
        event = wire.ContractInfo(
            event_time=self._now(),
            symbol=symbol,
            pair=symbol,
            delivery=4133404800000,
            onboard=1569398400000,
            status=self._rules[symbol].status,
            brackets=cast(list[wire.ContractBracket], rows),  # JSON numbers, not the text of other messages
            kind=1,
        )
        self._hub.publish("!contractInfo", wire.encode(event))

    def _kline(self, stream: Stream, sent: Sent, now: int) -> bytes | None:
        tape = self._tapes[stream.symbol]
        if tape.changes == sent.changes:
            return None
        sent.changes = tape.changes
        interval = INTERVALS[stream.argument]
        bars = tape.candles(interval, None, None, 2)
        if not bars:
            return None
        if len(bars) == 2 and sent.update and sent.update == bars[0].time:
            self._hub.publish(stream.name, wire.encode(self.kline(stream, bars[0], interval, now, closed=True)))
        sent.update = bars[-1].time
        return wire.encode(self.kline(stream, bars[-1], interval, now, closed=False))

    def kline(
        self, stream: Stream, bar: Bar, interval: int, now: int, closed: bool
    ) -> wire.KlineUpdate | wire.ContinuousKline:
        rules, symbol = self._rules[stream.symbol], stream.symbol
        places, lot = rules.price_precision, rules.qty_precision
        shared: dict[str, Any] = {
            "open_time": bar.time,
            "close_time": closing(bar.time, interval),
            "interval": stream.argument,
            "first": bar.first,
            "last": bar.last,
            "open": fixed(bar.open, places),
            "close": fixed(bar.close, places),
            "high": fixed(bar.high, places),
            "low": fixed(bar.low, places),
            "volume": fixed(bar.volume, lot),
            "trades": bar.trades,
            "is_closed": closed,
            "quote_volume": fixed(bar.quote, 5),
            "taker_base": fixed(bar.taker_base, lot),
            "taker_quote": fixed(bar.taker_quote, 5),
        }
        if stream.kind == "continuousKline":
            made = wire.ContinuousBar(**shared)
            return wire.ContinuousKline(event_time=now, pair=symbol, contract="PERPETUAL", bar=made)
        return wire.KlineUpdate(event_time=now, symbol=symbol, bar=wire.KlineBar(symbol=symbol, **shared))

    def mark_price(self, symbol: str, now: int) -> wire.MarkPriceUpdate:
        mark = fixed(self._venue.mark(symbol), 8)
        rate, at = self._funding(symbol)
        return wire.MarkPriceUpdate(
            event_time=now,
            symbol=symbol,
            mark=mark,
            average=mark,
            index=mark,
            settle=mark,
            rate=format(rate, ".8f"),
            next_funding=at,
            kind=1,
        )

    def _day(self, kind: str, symbol: str, now: int) -> wire.MiniTicker | wire.TickerUpdate | None:
        tape, rules = self._tapes[symbol], self._rules[symbol]
        day = tape.day()
        if day is None:
            return None
        places, lot = rules.price_precision, rules.qty_precision
        shared: dict[str, Any] = {
            "event_time": now,
            "symbol": symbol,
            "close": fixed(day.close, places),
            "open": fixed(day.open, places),
            "high": fixed(day.high, places),
            "low": fixed(day.low, places),
            "volume": fixed(day.volume, lot),
            "quote_volume": fixed(day.quote, 2),
        }
        if kind == "miniTicker":
            return wire.MiniTicker(**shared)
        change = day.close - day.open
        return wire.TickerUpdate(
            **shared,
            change=fixed(change, places),
            change_percent=fixed(change * 100 / day.open, 3),
            average=fixed(day.quote / day.volume if day.volume else day.close, places),
            last_qty=fixed(tape.prints[-1].qty, lot) if tape.prints else short(Decimal(0)),
            open_time=day.time,
            close_time=now,
            first=day.first,
            last=day.last,
            trades=day.trades,
        )


def level(rules: Instrument, price: Decimal, qty: Decimal) -> wire.Level:
    """A price level as the wire spells it; an empty one is "0"."""
    return wire.Level(fixed(price, rules.price_precision), fixed(qty, rules.qty_precision) if qty else short(qty))


def _changes(before: Book, now: Book) -> list[tuple[Decimal, Decimal]]:
    """Levels whose quantity differs; gone ones with 0."""
    changed = [(price, qty) for price, qty in now.items() if before.get(price) != qty]
    return changed + [(price, Decimal(0)) for price in before if price not in now]
