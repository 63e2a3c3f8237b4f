"""Requests about the market: everything that needs no signature (binance-usdm.md §5)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import TypeVar

from trading.gateways.binance import wire
from trading.sandbox import fields as read
from trading.sandbox import shapes
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.fields import Fields
from trading.sandbox.orders import optional_symbol, symbol_of
from trading.sandbox.publisher import level
from trading.sandbox.quota import ORDERS_MINUTE, ORDERS_TEN_SECONDS, WEIGHT
from trading.sandbox.refusal import Refusal
from trading.sandbox.shapes import fixed
from trading.sandbox.tape import INTERVALS, MINUTE, Print, closing

T = TypeVar("T")
HOUR = 3_600_000
DEPTHS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
"""Weight by limit."""


def ping(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    return {}


def server_time(exchange: Exchange, caller: Caller, fields: Fields) -> wire.ServerTime:
    return wire.ServerTime(exchange.now())


def exchange_info(exchange: Exchange, caller: Caller, fields: Fields) -> bytes:
    """Encoded once but for its clock."""
    whole = exchange.cached("exchangeInfo", lambda: _listing(exchange))
    return whole.replace(b'"serverTime":0', b'"serverTime":%d' % exchange.now(), 1)


def _listing(exchange: Exchange) -> wire.ExchangeInfo:
    return wire.ExchangeInfo(
        rate_limits=[
            wire.RateLimit("REQUEST_WEIGHT", "MINUTE", 1, exchange.quota.told(WEIGHT)),
            wire.RateLimit("ORDERS", "MINUTE", 1, exchange.quota.told(ORDERS_MINUTE)),
            wire.RateLimit("ORDERS", "SECOND", 10, exchange.quota.told(ORDERS_TEN_SECONDS)),
        ],
        assets=[wire.Asset("USDT", True, "-10000"), wire.Asset("BNB", True, "-10")],
        symbols=[exchange.infos.get(symbol) or shapes.symbol_info(rules) for symbol, rules in exchange.rules.items()],
    )


def depth_weight(fields: Fields) -> int:
    return DEPTHS.get(_number(fields.get("limit"), 500), 10)


def kline_weight(fields: Fields) -> int:
    limit = _number(fields.get("limit"), 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default


def depth(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Depth:
    return _depth(exchange, fields, DEPTHS, 500)


def rpi_depth(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Depth:
    """The book with the orders of retail price improvement, which nobody has here; in one size only."""
    return _depth(exchange, fields, (1000,), 1000)


def _depth(exchange: Exchange, fields: Fields, limits: Collection[int], default: int) -> wire.Depth:
    symbol, limit = symbol_of(exchange, fields), read.integer(fields, "limit")
    limit = default if limit is None else limit
    if limit not in limits:
        raise Refusal(-4021, f"{limit} is not valid depth limit")
    bids, asks = exchange.publisher.depth(symbol, limit)
    rules, now = exchange.rules[symbol], exchange.now()
    return wire.Depth(
        exchange.publisher.updates[symbol],
        [level(rules, each.price, each.qty) for each in bids],
        [level(rules, each.price, each.qty) for each in asks],
        now,
        now,
    )


def trades(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.PublicTrade]:
    symbol, limit = symbol_of(exchange, fields), read.limit(fields, 500, 1000)
    return [_public(exchange, symbol, each) for each in list(exchange.tapes[symbol].prints)[-limit:]]


def _public(exchange: Exchange, symbol: str, trade: Print) -> wire.PublicTrade:
    rules = exchange.rules[symbol]
    return wire.PublicTrade(
        trade.id,
        fixed(trade.price, rules.price_precision),
        fixed(trade.qty, rules.qty_precision),
        fixed(trade.price * trade.qty, 5),
        trade.time,
        trade.is_buyer_maker,
        False,
    )


def old_trades(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.PublicTrade]:
    """historicalTrades: from `fromId` on, else the newest page."""
    symbol, limit, from_id = symbol_of(exchange, fields), read.limit(fields, 100, 500), read.integer(fields, "fromId")
    found = list(exchange.tapes[symbol].prints)
    page = found[-limit:] if from_id is None else [each for each in found if each.id >= from_id][:limit]
    return [_public(exchange, symbol, each) for each in page]


class SummedTrade(wire.AggTradeRow, frozen=True):
    """With the quantity that no retail order had a part in, since 2025-12: all of it."""

    nq: Decimal


def agg_trades(exchange: Exchange, caller: Caller, fields: Fields) -> list[SummedTrade]:
    """Each trade is an aggregate of its own here."""
    symbol, limit = symbol_of(exchange, fields), read.limit(fields, 500, 1000)
    rules, from_id = exchange.rules[symbol], read.integer(fields, "fromId")
    start, end = read.integer(fields, "startTime"), read.integer(fields, "endTime")
    if from_id is not None and (start is not None or end is not None):
        raise Refusal(-1128)
    if start is not None and end is not None and end - start > HOUR:
        raise Refusal(-1127)
    found = [
        each
        for each in exchange.tapes[symbol].prints
        if (from_id is None or each.id >= from_id)
        and (start is None or each.time >= start)
        and (end is None or each.time <= end)
    ]
    page = found[-limit:] if from_id is None and start is None else found[:limit]
    return [
        SummedTrade(
            each.id,
            fixed(each.price, rules.price_precision),
            fixed(each.qty, rules.qty_precision),
            each.id,
            each.id,
            each.time,
            each.is_buyer_maker,
            fixed(each.qty, rules.qty_precision),
        )
        for each in page
    ]


def klines(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.KlineRow]:
    """Candles; the last one is still open. A replayed market has its candles at the times of its tape."""
    return _candles(exchange, read.text(fields, "symbol"), fields)


def index_klines(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.KlineRow]:
    """Candles of a pair's index, which is the market itself here."""
    return _candles(exchange, read.text(fields, "pair"), fields)


def continuous_klines(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.KlineRow]:
    """Candles of a pair's contract of one kind: there are perpetuals only."""
    pair, kind = read.text(fields, "pair"), read.text(fields, "contractType")
    found = _candles(exchange, pair, fields)
    return found if kind == "PERPETUAL" else []


def _candles(exchange: Exchange, symbol: str, fields: Fields) -> list[wire.KlineRow]:
    if symbol not in exchange.rules:
        raise Refusal(-1121)
    interval = INTERVALS.get(read.text(fields, "interval"))
    if interval is None:
        raise Refusal(-1120)
    start, end = read.integer(fields, "startTime"), read.integer(fields, "endTime")
    bars = exchange.tapes[symbol].candles(interval, start, end, read.limit(fields, 500, 1500))
    places, lot = exchange.rules[symbol].price_precision, exchange.rules[symbol].qty_precision
    return [
        wire.KlineRow(
            bar.time,
            fixed(bar.open, places),
            fixed(bar.high, places),
            fixed(bar.low, places),
            fixed(bar.close, places),
            fixed(bar.volume, lot),
            closing(bar.time, interval),
            fixed(bar.quote, 5),
            bar.trades,
            fixed(bar.taker_base, lot),
            fixed(bar.taker_quote, 5),
        )
        for bar in bars
    ]


def premium_klines(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.KlineRow]:
    """The index is the mark here: there is never a premium."""
    zero = fixed(Decimal(0), 8)
    rows = klines(exchange, caller, fields)
    return [wire.KlineRow(row.open_time, zero, zero, zero, zero, zero, row.close_time) for row in rows]


def none(exchange: Exchange, caller: Caller, fields: Fields) -> list[object]:
    """Lists of things that a sandbox has none of."""
    return []


def asset_index(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    """What a unit of collateral counts in dollars."""
    row = {"symbol": "USDTUSD", "time": exchange.now(), "index": "1.00000000", "bidBuffer": "0.00000000"}
    row |= {"askBuffer": "0.00000000", "bidRate": "1.00000000", "askRate": "1.00000000"}
    row |= dict.fromkeys(("autoExchangeBidBuffer", "autoExchangeAskBuffer"), "0.00000000")
    row |= dict.fromkeys(("autoExchangeBidRate", "autoExchangeAskRate"), "1.00000000")
    wanted = fields.get("symbol")
    if wanted not in (None, "", "USDTUSD"):
        raise Refusal(-1121)
    return row if wanted else [row]


def constituents(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    """The index is one exchange, this one."""
    symbol = symbol_of(exchange, fields)
    price = fixed(exchange.venue.mark(symbol), 8)
    part = {"exchange": "binance", "symbol": symbol, "price": price, "weight": "1.00000000"}
    return {"symbol": symbol, "time": exchange.now(), "constituents": [part]}


def _one_or_all(exchange: Exchange, fields: Fields, make: Callable[[str], T | None]) -> T | list[T]:
    """The answer for one symbol, or an array for all."""
    symbol = optional_symbol(exchange, fields)
    if symbol is None:
        return [row for each in exchange.rules if (row := make(each)) is not None]
    row = make(symbol)
    if row is None:
        raise Refusal(-1112)
    return row


def premium_index(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    def row(symbol: str) -> wire.PremiumIndex:
        mark = fixed(exchange.venue.mark(symbol), 8)
        rate, due = exchange.funding(symbol)
        return wire.PremiumIndex(
            symbol, mark, mark, mark, fixed(rate, 8), fixed(Decimal("0.0001"), 8), due, exchange.now()
        )

    return _one_or_all(exchange, fields, row)


def funding_rates(exchange: Exchange, caller: Caller, fields: Fields) -> list[object]:
    """Settled rates; the sandbox settles from a funding file only."""
    symbol = optional_symbol(exchange, fields)
    limit, start, end = (
        read.limit(fields, 100, 1000),
        read.integer(fields, "startTime"),
        read.integer(fields, "endTime"),
    )
    found = [
        {
            "symbol": each,
            "fundingRate": format(rate, ".8f"),
            "fundingTime": time,
            "markPrice": str(fixed(mark, 8)),
            "rateType": "Regular",
        }
        for each, time, rate, mark in exchange.settled
        if symbol in (None, each) and (start is None or time >= start) and (end is None or time <= end)
    ]
    return list(found[:limit] if start is not None else found[-limit:])


def funding_info(exchange: Exchange, caller: Caller, fields: Fields) -> list[object]:
    return []


def day_ticker(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    def row(symbol: str) -> wire.Ticker24h | None:
        tape, rules = exchange.tapes[symbol], exchange.rules[symbol]
        day = tape.day()
        if day is None:
            return None
        places, lot = rules.price_precision, rules.qty_precision
        change = day.close - day.open
        return wire.Ticker24h(
            symbol=symbol,
            price_change=fixed(change, places),
            price_change_percent=fixed(change * 100 / day.open, 3),
            weighted_avg_price=fixed(day.quote / day.volume if day.volume else day.close, places),
            last_price=fixed(day.close, places),
            last_qty=fixed(tape.prints[-1].qty if tape.prints else Decimal(0), lot),
            open_price=fixed(day.open, places),
            high_price=fixed(day.high, places),
            low_price=fixed(day.low, places),
            volume=fixed(day.volume, lot),
            quote_volume=fixed(day.quote, 2),
            open_time=day.time,
            close_time=min(tape.bars[-1].time + MINUTE - 1, exchange.now()),
            first_id=day.first,
            last_id=day.last,
            count=day.trades,
        )

    return _one_or_all(exchange, fields, row)


def price_ticker(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    def row(symbol: str) -> wire.PriceTicker:
        return wire.PriceTicker(
            symbol, fixed(exchange.venue.last(symbol), exchange.rules[symbol].price_precision), exchange.now()
        )

    return _one_or_all(exchange, fields, row)


def book_ticker(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    def row(symbol: str) -> wire.BookTickerRow:
        bid, bid_qty, ask, ask_qty = exchange.publisher.best(symbol)
        places, lot = exchange.rules[symbol].price_precision, exchange.rules[symbol].qty_precision
        return wire.BookTickerRow(
            symbol,
            fixed(bid, places),
            fixed(bid_qty, lot),
            fixed(ask, places),
            fixed(ask_qty, lot),
            exchange.now(),
            exchange.publisher.updates[symbol],
        )

    return _one_or_all(exchange, fields, row)


def open_interest(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    symbol = symbol_of(exchange, fields)
    venue = exchange.venue
    held = sum((abs(row.qty) for account in venue.accounts for row in venue.positions(account, symbol)), Decimal(0))
    return {
        "symbol": symbol,
        "openInterest": str(fixed(held, exchange.rules[symbol].qty_precision)),
        "time": exchange.now(),
    }
