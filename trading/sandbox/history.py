"""Requests that read orders, trades and what became of them (binance-usdm.md §6.4)."""

from __future__ import annotations

from trading.core import records
from trading.gateways.binance import wire
from trading.sandbox import fields as read
from trading.sandbox import shapes
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.fields import Fields
from trading.sandbox.orders import optional_symbol, order_ids, symbol_of
from trading.sandbox.refusal import Refusal, invalid
from trading.sandbox.tape import DAY, WEEK

KEPT, KEPT_UNFILLED = 90 * DAY, 3 * DAY
"""How far histories reach back, and how far for orders that ended without a fill."""
FORCED = {"LIQUIDATION": ("autoclose-",), "ADL": ("adl_autoclose",)}
"""How the client ids of forced orders begin."""


def is_told(exchange: Exchange, time: int, kept: int = KEPT) -> bool:
    """Whether what happened at `time` is in the histories still."""
    return exchange.now() - time <= kept


def _is_told(exchange: Exchange, order: records.Order) -> bool:
    return order.is_open or is_told(exchange, order.created, KEPT if order.executed else KEPT_UNFILLED)


def _order(exchange: Exchange, caller: Caller, symbol: str, fields: Fields) -> records.Order:
    """The order asked for; -2013 for what never was or is forgotten."""
    order = exchange.venue.order(caller.account, symbol, *order_ids(fields))
    if not _is_told(exchange, order):
        raise Refusal(-2013)
    return order


def _orders(exchange: Exchange, caller: Caller, symbol: str | None) -> list[records.Order]:
    return [order for order in exchange.venue.all_orders(caller.account, symbol) if _is_told(exchange, order)]


def query(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Order:
    symbol = symbol_of(exchange, fields)
    order = _order(exchange, caller, symbol, fields)
    return shapes.order_row(order, exchange.rules[symbol])


def query_open(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Order:
    symbol = symbol_of(exchange, fields)
    order = exchange.venue.order(caller.account, symbol, *order_ids(fields))
    if not order.is_open:
        raise Refusal(-2013)
    return shapes.order_row(order, exchange.rules[symbol])


def open_orders(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.Order]:
    found = exchange.venue.open_orders(caller.account, optional_symbol(exchange, fields))
    return [shapes.order_row(order, exchange.rules[order.symbol]) for order in found]


def all_orders(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.Order]:
    """From `orderId` or `startTime` on; the newest page without either."""
    found = _orders(exchange, caller, optional_symbol(exchange, fields))
    limit, from_id = read.limit(fields, 500, 1000), read.integer(fields, "orderId")
    if from_id is not None:
        page = [order for order in found if order.order_id >= from_id][:limit]
    else:
        start, end = window(exchange, fields)
        page = [order for order in found if start <= order.created <= end]
        page = page[:limit] if fields.get("startTime") else page[-limit:]
    return [shapes.history_row(order, exchange.rules[order.symbol]) for order in page]


def window(exchange: Exchange, fields: Fields) -> tuple[int, int]:
    """startTime and endTime, a week where one or both are absent; -4165 for a longer one."""
    start, end = read.integer(fields, "startTime"), read.integer(fields, "endTime")
    if start is None and end is None:
        return exchange.now() - WEEK, exchange.now() + WEEK
    if start is None:
        start = (end or 0) - WEEK
    if end is None:
        end = start + WEEK
    if end < start:
        raise Refusal(-1023, "Start time is greater than end time.")
    if end - start > WEEK:
        raise Refusal(-4165, "Invalid time interval")
    return start, end


def user_trades(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.UserTrade]:
    """From `fromId` or the start of the window on, ascending: the oldest page (§6.4)."""
    symbol = symbol_of(exchange, fields)
    limit, from_id = read.limit(fields, 500, 1000), read.integer(fields, "fromId")
    order_id = read.integer(fields, "orderId")
    found = [trade for trade in exchange.venue.trades(caller.account, symbol) if is_told(exchange, trade.time)]
    if order_id is not None:
        found = [trade for trade in found if trade.order_id == order_id]
    if from_id is not None:
        if fields.get("startTime") or fields.get("endTime"):
            raise Refusal(-1128)
        found = [trade for trade in found if trade.trade_id >= from_id]
    elif order_id is None:
        start, end = window(exchange, fields)
        found = [trade for trade in found if start <= trade.time <= end]
    return [shapes.trade_row(trade, exchange.rules[symbol]) for trade in found[:limit]]


def amendments(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.Amendment]:
    """Newest first."""
    order = _order(exchange, caller, symbol_of(exchange, fields), fields)
    limit, start, end = read.limit(fields, 50, 100), read.integer(fields, "startTime"), read.integer(fields, "endTime")
    found = [
        row
        for row in exchange.amendments
        if row.order_id == order.order_id
        and is_told(exchange, row.time)
        and (start is None or row.time >= start)
        and (end is None or row.time <= end)
    ]
    return found[::-1][:limit]


def force_orders(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.Order]:
    """Liquidations and deleveragings of this account, newest page."""
    symbol, kind, limit = optional_symbol(exchange, fields), fields.get("autoCloseType"), read.limit(fields, 50, 100)
    if kind and kind not in FORCED:
        raise invalid("autoCloseType")
    prefixes = FORCED[kind] if kind else (*FORCED["LIQUIDATION"], *FORCED["ADL"])
    start, end = read.integer(fields, "startTime"), read.integer(fields, "endTime")
    found = [
        shapes.history_row(order, exchange.rules[order.symbol])
        for order in _orders(exchange, caller, symbol)
        if order.client_id.startswith(prefixes)
        and (start is None or order.created >= start)
        and (end is None or order.created <= end)
    ]
    return found[-limit:]
