"""Requests about orders: fields in, the venue's answer as a message out (binance-usdm.md §6, §12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from trading.core import records
from trading.core.venue import OrderRequest, PositionSide, VenueError
from trading.gateways.binance import wire
from trading.model import ZERO, OrderType, Side, TimeInForce
from trading.sandbox import fields as read
from trading.sandbox import shapes
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.fields import Fields
from trading.sandbox.refusal import Refusal, invalid, missing, superfluous
from trading.sandbox.texts import TEXTS

CONDITIONAL = {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
STP_MODES = {"EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "NONE"}
QUEUES = {"OPPONENT": 1, "OPPONENT_5": 5, "QUEUE": 1, "QUEUE_5": 5, "QUEUE_10": 10, "QUEUE_20": 20}
LIMIT, GTD = OrderType.LIMIT.value, TimeInForce.GTD.value
FINAL = (TimeInForce.IOC, TimeInForce.FOK)


def symbol_of(exchange: Exchange, fields: Fields) -> str:
    """The symbol asked for; -1102 without, -1121 for one that is not listed."""
    symbol = read.text(fields, "symbol")
    if symbol not in exchange.rules:
        raise Refusal(-1121)
    return symbol


def optional_symbol(exchange: Exchange, fields: Fields) -> str | None:
    return symbol_of(exchange, fields) if fields.get("symbol") else None


def side_of(fields: Fields) -> Side:
    try:
        return Side(read.text(fields, "side"))
    except ValueError:
        raise Refusal(-1117) from None


def order_ids(fields: Fields) -> tuple[int | None, str | None]:
    """orderId and origClientOrderId; -1102 without either."""
    order_id, client_id = read.integer(fields, "orderId"), fields.get("origClientOrderId") or None
    if order_id is None and client_id is None:
        raise Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return order_id, client_id


# --------------------------------------------------------------------------- what must be there
# is looked for before anything is judged, clock and signature too (§13): -1102


def sent_name(fields: Fields) -> None:
    """Everything that a cancel needs."""
    read.text(fields, "symbol")
    order_ids(fields)


def sent_change(fields: Fields) -> None:
    """Everything that an amendment needs."""
    sent_name(fields)
    for name in ("side", "quantity") if _is_matched(fields) else ("side", "quantity", "price"):
        read.text(fields, name)


def sent_order(fields: Fields) -> None:
    """Everything that a placement needs."""
    for name in ("symbol", "side", "type"):
        read.text(fields, name)
    kind = fields["type"]
    if kind not in CONDITIONAL:
        read.text(fields, "quantity")
    if kind == LIMIT:
        read.text(fields, "timeInForce")
        if not _is_matched(fields):
            read.text(fields, "price")
    if fields.get("timeInForce") == GTD:
        read.text(fields, "goodTillDate")


def _is_matched(fields: Fields) -> bool:
    return fields.get("priceMatch", "NONE") not in ("", "NONE")


# --------------------------------------------------------------------------- placing


def order_request(exchange: Exchange, caller: Caller, fields: Fields) -> OrderRequest:
    """What the venue is asked for, after everything that the fields alone decide."""
    symbol, side, kind = symbol_of(exchange, fields), side_of(fields), _type(fields)
    qty = _quantity(fields)
    tif = _time_in_force(fields, kind)
    price, match = price_of(exchange, fields, symbol, side, kind), fields.get("priceMatch") or "NONE"
    stp = fields.get("selfTradePreventionMode") or "EXPIRE_MAKER"
    if stp not in STP_MODES:
        raise Refusal(-5039)
    reduce_only = read.flag(fields, "reduceOnly")
    good_till, name = read.integer(fields, "goodTillDate") or 0, fields.get("newClientOrderId") or ""
    position = position_side_of(exchange, caller, fields, reduce_only)
    return OrderRequest(symbol, side, kind, qty, price, tif, bool(reduce_only), name, stp, good_till, match, position)


def _quantity(fields: Fields) -> Decimal:
    qty = read.decimal(fields, "quantity")
    if qty is None:
        raise missing("quantity")
    return qty


def _type(fields: Fields) -> OrderType:
    kind = read.text(fields, "type")
    if kind in CONDITIONAL:
        raise Refusal(-4120)
    try:
        return OrderType(kind)
    except ValueError:
        raise Refusal(-1116) from None


def _time_in_force(fields: Fields, kind: OrderType) -> TimeInForce:
    text = fields.get("timeInForce")
    if kind is OrderType.MARKET:
        if text:
            raise superfluous("timeInForce")
        return TimeInForce.GTC
    if not text:
        raise missing("timeInForce")
    try:
        return TimeInForce(text)
    except ValueError:
        raise Refusal(-1115) from None


def price_of(exchange: Exchange, fields: Fields, symbol: str, side: Side, kind: OrderType) -> Decimal:
    match = fields.get("priceMatch", "")
    if _is_matched(fields):
        if kind is not OrderType.LIMIT:
            raise Refusal(-5038)
        if fields.get("price"):
            raise superfluous("price")
        return _matched(exchange, symbol, side, match)
    if kind is OrderType.MARKET:
        return ZERO
    price = read.decimal(fields, "price")
    if price is None:
        raise missing("price")
    return price


def _matched(exchange: Exchange, symbol: str, side: Side, match: str) -> Decimal:
    """The price that priceMatch names (§12.7)."""
    if match not in QUEUES:
        raise Refusal(-5037)
    bids, asks = exchange.publisher.depth(symbol, QUEUES[match])
    levels = asks if match.startswith("OPPONENT") is (side is Side.BUY) else bids
    if len(levels) < QUEUES[match]:
        raise Refusal(-5041)
    return levels[QUEUES[match] - 1].price


def position_side_of(
    exchange: Exchange, caller: Caller, fields: Fields, reduce_only: bool | None = None
) -> PositionSide:
    """The position meant, which the venue may refuse; -1106 for a reduceOnly in a hedge, where the side says it."""
    try:
        side = PositionSide(fields.get("positionSide") or "BOTH")
    except ValueError:
        raise Refusal(-4060) from None
    if side is not PositionSide.BOTH and reduce_only is not None and exchange.venue.is_hedged(caller.account):
        raise superfluous("reduceonly")
    return side


def style_of(fields: Fields) -> str:
    style = fields.get("newOrderRespType") or "ACK"
    if style not in ("ACK", "RESULT"):
        raise Refusal(-1136)
    return style


def place(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Order:
    """A new order; ACK says NEW whatever happened since, RESULT the end of MARKET, IOC and FOK."""
    style = style_of(fields)
    request = order_request(exchange, caller, fields)
    order = exchange.venue.place(caller.account, request, exchange.now())
    is_final = style == "RESULT" and (order.type is OrderType.MARKET or order.tif in FINAL)
    return _answer(exchange, order if is_final else _before_matching(order))


def _before_matching(order: records.Order, executed: Decimal = ZERO, quote_executed: Decimal = ZERO) -> records.Order:
    """`order` as it came to the book, with what it had filled until then."""
    if order.is_open and order.executed == executed:
        return order
    status = records.Status.PARTIALLY_FILLED if executed else records.Status.NEW
    return msgspec.structs.replace(order, status=status, executed=executed, quote_executed=quote_executed)


def _answer(exchange: Exchange, order: records.Order) -> wire.Order:
    return shapes.order_answer(order, exchange.rules[order.symbol], exchange.options.legacy_avg_price)


def test(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Order:
    """Every check of a placement, answered with an order that is none: its id is 0."""
    style_of(fields)
    order = exchange.venue.check(caller.account, order_request(exchange, caller, fields), exchange.now())
    return shapes.order_answer(order, exchange.rules[order.symbol], legacy=True)


def modify(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Order:
    """An order that the change lets trade is answered as it stood before it did; one that it ends, as it is."""
    symbol, ids, side = symbol_of(exchange, fields), order_ids(fields), side_of(fields)
    qty, price = _quantity(fields), price_of(exchange, fields, symbol, side, OrderType.LIMIT)
    match = fields.get("priceMatch") or "NONE"
    reduce_only, modify_id = read.flag(fields, "reduceOnly"), read.integer(fields, "modifyId")
    if reduce_only is not None and exchange.venue.is_hedged(caller.account):
        raise superfluous("reduceonly")
    order, name = exchange.venue.order(caller.account, symbol, *ids), "" if modify_id is None else str(modify_id)
    was, filled = (order.price, order.qty), (order.executed, order.quote_executed)
    now = exchange.now()
    exchange.venue.amend(caller.account, symbol, *ids, side, price, qty, now, bool(reduce_only), name, match)
    if (order.price, order.qty) != was:
        exchange.note_amendment(order, was, modify_id)
    told = order if order.status is records.Status.CANCELED else _before_matching(order, *filled)
    return shapes.amended_answer(_answer(exchange, told), modify_id)


def cancel(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Order:
    symbol = symbol_of(exchange, fields)
    return _answer(exchange, exchange.venue.cancel(caller.account, symbol, *order_ids(fields), exchange.now()))


def cancel_all(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Fault:
    exchange.venue.cancel_all(caller.account, symbol_of(exchange, fields), exchange.now())
    return wire.Fault(200, "The operation of cancel all open order is done.")


def countdown(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    """The dead man's switch of one symbol; 0 stops it."""
    symbol, left = symbol_of(exchange, fields), read.integer(fields, "countdownTime")
    if left is None or left < 0:
        raise missing("countdownTime")
    if left:
        exchange.countdowns[caller.account, symbol] = exchange.now() + left
    else:
        exchange.countdowns.pop((caller.account, symbol), None)
    return {"symbol": symbol, "countdownTime": str(left)}


# --------------------------------------------------------------------------- batches


def _batch(fields: Fields, most: int = 5) -> list[dict[str, str]]:
    try:
        entries = msgspec.json.decode(read.text(fields, "batchOrders"), type=list[dict[str, Any]])
    except msgspec.DecodeError:
        raise missing("batchOrders") from None
    if not 1 <= len(entries) <= most:
        raise Refusal(-4082)
    return [{name: worded(value) for name, value in entry.items() if value is not None} for entry in entries]


def worded(value: Any) -> str:
    """A JSON value as a form field would spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def _each(act: Callable[[Fields], object], entries: Sequence[Fields]) -> list[object]:
    """The answer to or the refusal of every entry, in order."""
    answers: list[object] = []
    for entry in entries:
        try:
            answers.append(act(entry))
        except VenueError as error:
            answers.append(wire.Fault(error.code, error.text))
        except Refusal as refusal:
            answers.append(wire.Fault(refusal.code, refusal.msg))
        except ArithmeticError:
            answers.append(wire.Fault(-1000, TEXTS[-1000]))
    return answers


def place_batch(exchange: Exchange, caller: Caller, fields: Fields) -> list[object]:
    def one(entry: Fields) -> wire.Order:
        sent_order(entry)
        return place(exchange, caller, entry)

    return _each(one, _batch(fields))


def modify_batch(exchange: Exchange, caller: Caller, fields: Fields) -> list[object]:
    def one(entry: Fields) -> wire.Order:
        sent_change(entry)
        return modify(exchange, caller, entry)

    return _each(one, _batch(fields))


def cancel_batch(exchange: Exchange, caller: Caller, fields: Fields) -> list[object]:
    """Up to ten cancels; clients spell the list names in different cases."""
    lowered = {name.lower(): value for name, value in fields.items()}
    symbol = symbol_of(exchange, fields)
    name, key = "orderidlist", "orderId"
    if not lowered.get(name):
        name, key = "origclientorderidlist", "origClientOrderId"
    try:
        ids = msgspec.json.decode(lowered.get(name, ""), type=list[int | str])
    except msgspec.DecodeError:
        raise missing("orderIdList") from None
    if not 1 <= len(ids) <= 10:
        raise invalid("orderIdList")
    entries = [{"symbol": symbol, key: str(each)} for each in ids]
    return _each(lambda entry: cancel(exchange, caller, entry), entries)
