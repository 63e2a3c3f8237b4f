"""Requests about what endangers an account: margin of positions, deleveraging, trading rules (binance-usdm.md §7)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from trading.core import records
from trading.gateways.binance import wire
from trading.model import MarginMode
from trading.sandbox import fields as read
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.fields import Fields
from trading.sandbox.orders import optional_symbol, position_side_of, symbol_of
from trading.sandbox.refusal import Refusal, missing
from trading.sandbox.shapes import short

QUANTILES = 4
INDICATORS = {"UFR": 0.995, "IFER": 0.99, "GCR": 0.99, "DR": 0.99}
"""The quantitative rules and where they would lock an account."""


def move_margin(exchange: Exchange, caller: Caller, fields: Fields) -> wire.MarginMoved:
    """Type 1 adds to an isolated position, 2 takes away."""
    symbol, amount, way = symbol_of(exchange, fields), read.decimal(fields, "amount"), read.integer(fields, "type")
    if amount is None:
        raise missing("amount")
    if way not in (1, 2):
        raise missing("type")
    side = position_side_of(exchange, caller, fields)
    exchange.venue.check_side(caller.account, side)
    if amount <= 0:
        raise Refusal(-4055, "Amount must be positive.")
    now = exchange.now()
    exchange.venue.move_margin(caller.account, symbol, amount if way == 1 else -amount, now, side)
    asset = exchange.rules[symbol].quote
    row = wire.MarginChange(symbol, way, "USER_ADJUST", short(amount), asset, now, side)
    exchange.margin_moves.append((caller.account, row))
    return wire.MarginMoved(float(amount), 200, "Successfully modify position margin.", way)


def margin_history(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.MarginChange]:
    symbol, way, limit = symbol_of(exchange, fields), read.integer(fields, "type"), read.limit(fields, 500, 1000)
    start, end = read.integer(fields, "startTime"), read.integer(fields, "endTime")
    found = [
        row
        for account, row in exchange.margin_moves
        if account == caller.account
        and row.symbol == symbol
        and way in (None, row.type)
        and (start is None or row.time >= start)
        and (end is None or row.time <= end)
    ]
    return found[-limit:]


def quantile(exchange: Exchange, account: str, own: records.PositionView) -> int:
    """How near to deleveraging a position is: its leverage-weighted profit among those of its side, 1..4; 0 = flat.

    The sides of a cross hedge share one place, the nearer one (how it is reckoned is unconfirmed).
    """
    if not own.qty:
        return 0
    rows = [row for each in exchange.venue.accounts for row in exchange.venue.positions(each, own.symbol) if row.qty]
    mine = [own]
    if _is_cross_hedge(own):
        mine = [row for row in exchange.venue.positions(account, own.symbol) if row.qty]
    return max(_place(each, [row for row in rows if row.qty * each.qty > 0]) for each in mine)


def _place(own: records.PositionView, rivals: list[records.PositionView]) -> int:
    return 1 + sum(_score(each) < _score(own) for each in rivals) * QUANTILES // len(rivals)


def _is_cross_hedge(view: records.PositionView) -> bool:
    return view.position_side is not records.PositionSide.BOTH and view.margin_mode is MarginMode.CROSS


def _score(view: records.PositionView) -> Decimal:
    gain = view.unrealized_pnl / (abs(view.qty) * view.entry)
    return gain * view.leverage if gain > 0 else gain / view.leverage


def adl_quantile(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    symbol = optional_symbol(exchange, fields)
    told: dict[str, dict[str, int]] = {}
    for row in exchange.venue.positions(caller.account, symbol):
        third = "HEDGE" if _is_cross_hedge(row) else "BOTH"
        places = told.setdefault(row.symbol, {"LONG": 0, "SHORT": 0, third: 0})
        places[row.position_side.value] = quantile(exchange, caller.account, row)
    return [{"symbol": each, "adlQuantile": places} for each, places in told.items()]


def trading_status(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    """The quantitative rules per symbol, counted over all orders; they never lock here."""
    wanted = optional_symbol(exchange, fields)
    told = {}
    for symbol in [wanted] if wanted else exchange.rules:
        placed = exchange.venue.all_orders(caller.account, symbol)
        if placed:
            told[symbol] = [
                {
                    "isLocked": False,
                    "plannedRecoverTime": 0,
                    "indicator": name,
                    "value": value,
                    "triggerValue": INDICATORS[name],
                }
                for name, value in _ratios(placed).items()
            ]
    return {"indicators": told, "updateTime": exchange.now()}


def _ratios(placed: list[records.Order]) -> dict[str, float]:
    """Unfilled, expired IOC and FOK, cancelled GTC, dust: each of all orders."""
    counted = Counter[str]()
    for order in placed:
        counted["UFR"] += not order.executed
        counted["IFER"] += order.tif.value in ("IOC", "FOK") and not order.executed
        counted["GCR"] += order.tif.value == "GTC" and order.status is records.Status.CANCELED
    return {name: round(counted[name] / len(placed), 4) for name in INDICATORS}


def fee_burn(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    return {"feeBurn": caller.account in exchange.burning}


def set_fee_burn(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Fault:
    """Nobody has BNB here, so fees stay in USDT either way."""
    wanted = read.flag(fields, "feeBurn")
    if wanted is None:
        raise missing("feeBurn")
    if wanted:
        exchange.burning.add(caller.account)
    else:
        exchange.burning.discard(caller.account)
    return wire.Fault(200, "success")


def adl_risk(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    """symbolAdlRisk: the insurance of a sandbox has no bottom."""
    symbol = optional_symbol(exchange, fields)

    def row(each: str) -> object:
        return {"symbol": each, "adlRisk": "low", "updateTime": exchange.now()}

    return row(symbol) if symbol else [row(each) for each in exchange.rules]


def insurance(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    """What the fund of each asset holds: a billion, however much it has paid."""
    symbol = optional_symbol(exchange, fields)
    funds = [{"asset": "USDT", "marginBalance": "1000000000.00000000", "updateTime": exchange.now()}]
    return {"symbols": [symbol] if symbol else list(exchange.rules), "assets": funds}
