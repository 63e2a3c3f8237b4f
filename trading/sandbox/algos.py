"""Requests about conditional orders: the Algo Service (binance-usdm.md §8)."""

from __future__ import annotations

from decimal import Decimal

from trading.core.algo import AlgoRequest, AlgoType
from trading.core.venue import PositionSide
from trading.gateways.binance import wire
from trading.model import ZERO, OrderType, Side, TimeInForce
from trading.sandbox import fields as read
from trading.sandbox import history, orders
from trading.sandbox.conditional import answer, row
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.fields import Fields
from trading.sandbox.orders import optional_symbol, side_of, symbol_of
from trading.sandbox.refusal import Refusal, missing, superfluous

WORKING = {"CONTRACT_PRICE": False, "MARK_PRICE": True}


def algo_request(exchange: Exchange, caller: Caller, fields: Fields) -> AlgoRequest:
    """What is asked for, after everything that the fields alone decide."""
    if read.text(fields, "algoType") != "CONDITIONAL":
        raise missing("algoType")
    for name in ("symbol", "side", "type"):
        read.text(fields, name)
    symbol, side, kind = symbol_of(exchange, fields), side_of(fields), _type(fields)
    reduce_only = read.flag(fields, "reduceOnly")
    position = orders.position_side_of(exchange, caller, fields, reduce_only)
    exchange.venue.check_side(caller.account, position)
    working = fields.get("workingType") or "CONTRACT_PRICE"
    if working not in WORKING:
        raise missing("workingType")
    stp = fields.get("selfTradePreventionMode") or "EXPIRE_MAKER"
    if stp not in orders.STP_MODES:
        raise Refusal(-5039)
    is_trailing = kind is AlgoType.TRAILING_STOP_MARKET
    tif, good_till = _time_in_force(exchange, fields)
    closes = _closes(fields, kind, side, position)
    return AlgoRequest(
        symbol=symbol,
        side=side,
        type=kind,
        qty=_qty(fields, closes, reduce_only),
        price=orders.price_of(exchange, fields, symbol, side, OrderType.LIMIT) if kind.is_limit else ZERO,
        trigger=ZERO if is_trailing else _needed(fields, "triggerPrice"),
        tif=tif,
        by_mark=WORKING[working],
        protected=read.flag(fields, "priceProtect") or False,
        reduce_only=bool(reduce_only),
        close_position=closes,
        activate=(read.decimal(fields, "activatePrice") or ZERO) if is_trailing else ZERO,
        callback=_needed(fields, "callbackRate") if is_trailing else ZERO,
        client_id=read.client_id(fields, "clientAlgoId") or "",
        stp=stp,
        price_match=_price_match(fields, kind),
        good_till=good_till,
        position_side=position,
    )


def _closes(fields: Fields, kind: AlgoType, side: Side, position: PositionSide) -> bool:
    """Whether the whole position is to be closed, which only a stop or profit at the market against it does."""
    if not read.flag(fields, "closePosition"):
        return False
    if kind not in (AlgoType.STOP_MARKET, AlgoType.TAKE_PROFIT_MARKET):
        raise Refusal(-4136, f"Target strategy invalid for orderType {kind.value},closePosition true")
    if position is not PositionSide.BOTH and not position.is_closed_by(side):
        raise Refusal(-4138)  # unconfirmed: the reference forbids it and names no code
    return True


def _type(fields: Fields) -> AlgoType:
    try:
        return AlgoType(read.text(fields, "type"))
    except ValueError:
        raise Refusal(-1116) from None


def _needed(fields: Fields, name: str) -> Decimal:
    value = read.decimal(fields, name)
    if value is None:
        raise missing(name)
    return value


def _qty(fields: Fields, closes: bool, reduce_only: bool | None) -> Decimal:
    qty = read.decimal(fields, "quantity")
    if not closes:
        if qty is None:
            raise missing("quantity")
        return qty
    if qty:
        raise Refusal(-4137)
    if reduce_only is not None:
        raise superfluous("reduceonly")
    return ZERO


def _time_in_force(exchange: Exchange, fields: Fields) -> tuple[TimeInForce, int]:
    try:
        tif = TimeInForce(fields.get("timeInForce") or "GTC")
    except ValueError:
        raise Refusal(-1115) from None
    if tif is not TimeInForce.GTD:
        return tif, 0
    good_till = read.integer(fields, "goodTillDate")
    if not good_till:
        raise missing("goodTillDate")
    if not exchange.now() + 600_000 < good_till < 253_402_300_799_000:
        raise Refusal(-5040)
    return tif, good_till // 1000 * 1000


def _price_match(fields: Fields, kind: AlgoType) -> str:
    match = fields.get("priceMatch") or "NONE"
    if match != "NONE" and not kind.is_limit:
        raise Refusal(-5038)
    return match


# --------------------------------------------------------------------------- requests


def place(exchange: Exchange, caller: Caller, fields: Fields) -> wire.AlgoAnswer:
    orders.style_of(fields)
    algo = exchange.algos.place(caller.account, algo_request(exchange, caller, fields), exchange.now())
    return answer(algo, exchange.rules[algo.request.symbol])


def algo_ids(fields: Fields) -> tuple[int | None, str | None]:
    algo_id, client_id = read.integer(fields, "algoId"), fields.get("clientAlgoId") or None
    if algo_id is None and client_id is None:
        raise Refusal(-1102, "Param 'clientAlgoId' or 'algoId' must be sent, but both were empty/null!")
    return algo_id, client_id


def cancel(exchange: Exchange, caller: Caller, fields: Fields) -> wire.AlgoGone:
    algo = exchange.algos.cancel(caller.account, *algo_ids(fields), exchange.now())
    return wire.AlgoGone(algo.algo_id, algo.client_id)


def cancel_all(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Fault:
    exchange.algos.cancel_all(caller.account, symbol_of(exchange, fields), exchange.now())
    return wire.Fault(200, "The operation of cancel all open order is done.")


def query(exchange: Exchange, caller: Caller, fields: Fields) -> wire.AlgoAnswer:
    algo = exchange.algos.order(caller.account, *algo_ids(fields))
    return row(algo, exchange.rules[algo.request.symbol])


def open_orders(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.AlgoAnswer]:
    algo_id = read.integer(fields, "algoId")
    if (fields.get("algoType") or "CONDITIONAL") != "CONDITIONAL":
        raise missing("algoType")
    return [
        row(algo, exchange.rules[algo.request.symbol])
        for algo in exchange.algos.open_orders(caller.account, optional_symbol(exchange, fields))
        if algo_id in (None, algo.algo_id)
    ]


def all_orders(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.AlgoAnswer]:
    """From `algoId` or `startTime` on; the newest page without either."""
    symbol = symbol_of(exchange, fields)
    found = exchange.algos.all_orders(caller.account, symbol)
    limit, from_id = read.limit(fields, 500, 1000), read.integer(fields, "algoId")
    if from_id is not None:
        page = [algo for algo in found if algo.algo_id >= from_id][:limit]
    else:
        start, end = history.window(exchange, fields)
        page = [algo for algo in found if start <= algo.created <= end]
        page = page[:limit] if fields.get("startTime") else page[-limit:]
    return [row(algo, exchange.rules[symbol]) for algo in page]
