"""Requests about money, positions and settings of an account (binance-usdm.md §7)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from trading.core.venue import PositionSide, PositionView
from trading.gateways.binance import wire
from trading.model import MarginMode
from trading.sandbox import fields as read
from trading.sandbox import holdings, shapes
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.fields import Fields
from trading.sandbox.history import is_told
from trading.sandbox.orders import optional_symbol, symbol_of
from trading.sandbox.quota import ORDERS_MINUTE, ORDERS_TEN_SECONDS
from trading.sandbox.refusal import Refusal, missing
from trading.sandbox.risk import quantile
from trading.sandbox.tape import WEEK

DONE = wire.Fault(200, "success")
RETAIL_FEE = Decimal("0.00005")
"""Of retail price improvement orders, which the sandbox refuses."""


def balance(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.BalanceRow]:
    return holdings.balances(caller.account, exchange.venue.funds(caller.account))


def account_new(exchange: Exchange, caller: Caller, fields: Fields) -> wire.AccountState:
    venue = exchange.venue
    return holdings.account_new(venue.funds(caller.account), venue.positions(caller.account), exchange.rules)


def account_old(exchange: Exchange, caller: Caller, fields: Fields) -> wire.AccountState:
    rows = _every_side(exchange, caller.account, exchange.rules)
    made = holdings.account_old(exchange.venue.funds(caller.account), rows, exchange.rules)
    is_burning, is_joint = caller.account in exchange.burning, caller.account in exchange.joint
    return msgspec.structs.replace(made, fee_burn=is_burning, multi_assets_margin=is_joint)


def risk_new(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.PositionRisk]:
    symbol = optional_symbol(exchange, fields)
    return risk_rows(exchange, caller.account, symbol)


def risk_rows(exchange: Exchange, account: str, symbol: str | None = None) -> list[wire.PositionRisk]:
    """v3/positionRisk of `account`: what it holds or has orders for.

    Of a hedge only the sides that have something, as in Binance's own example (else unconfirmed).
    """
    return [
        holdings.risk_new(row, exchange.rules[row.symbol], quantile(exchange, account, row))
        for row in exchange.venue.positions(account, symbol)
    ]


def risk_old(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.PositionRisk]:
    symbol = optional_symbol(exchange, fields)
    rows = _every_side(exchange, caller.account, [symbol] if symbol else exchange.rules)
    return [holdings.risk_old(row, exchange.rules[row.symbol]) for row in rows]


def _every_side(exchange: Exchange, account: str, symbols: Iterable[str]) -> list[PositionView]:
    """Every position that `account` has or could have; no BOTH in a hedge."""
    venue = exchange.venue
    sides = (PositionSide.LONG, PositionSide.SHORT) if venue.is_hedged(account) else (PositionSide.BOTH,)
    return [venue.position(account, symbol, side) for symbol in symbols for side in sides]


def account_config(exchange: Exchange, caller: Caller, fields: Fields) -> wire.AccountConfig:
    is_hedged, is_joint = exchange.venue.is_hedged(caller.account), caller.account in exchange.joint
    return wire.AccountConfig(dual_side_position=is_hedged, multi_assets_margin=is_joint)


def symbol_config(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.SymbolConfig]:
    symbol = optional_symbol(exchange, fields)
    return [_config(exchange, caller, each) for each in ([symbol] if symbol else exchange.rules)]


def _config(exchange: Exchange, caller: Caller, symbol: str) -> wire.SymbolConfig:
    venue, leverage = exchange.venue, exchange.venue.leverage(caller.account, symbol)
    is_isolated = venue.margin_mode(caller.account, symbol) is MarginMode.ISOLATED
    return wire.SymbolConfig(
        symbol,
        "ISOLATED" if is_isolated else "CROSSED",
        False,
        leverage,
        str(shapes.short(venue.max_notional(symbol, leverage))),
    )


def set_leverage(exchange: Exchange, caller: Caller, fields: Fields) -> wire.LeverageAnswer:
    symbol, leverage = symbol_of(exchange, fields), read.integer(fields, "leverage")
    if leverage is None:
        raise missing("leverage")
    exchange.venue.set_leverage(caller.account, symbol, leverage, exchange.now())
    return wire.LeverageAnswer(leverage, str(shapes.short(exchange.venue.max_notional(symbol, leverage))), symbol)


def set_margin_type(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Fault:
    symbol, wanted = symbol_of(exchange, fields), read.text(fields, "marginType")
    modes = {"ISOLATED": MarginMode.ISOLATED, "CROSSED": MarginMode.CROSS}
    if wanted not in modes:
        raise missing("marginType")
    if wanted == "ISOLATED" and caller.account in exchange.joint:
        raise Refusal(-4168)
    exchange.venue.set_margin_mode(caller.account, symbol, modes[wanted], exchange.now())
    return DONE


def position_mode(exchange: Exchange, caller: Caller, fields: Fields) -> wire.PositionMode:
    return wire.PositionMode(exchange.venue.is_hedged(caller.account))


def set_position_mode(exchange: Exchange, caller: Caller, fields: Fields) -> wire.Fault:
    wanted = read.flag(fields, "dualSidePosition")
    if wanted is None:
        raise missing("dualSidePosition")
    is_other = wanted is not exchange.venue.is_hedged(caller.account)
    if is_other and exchange.algos.open_orders(caller.account):  # unconfirmed: that those that wait count
        raise Refusal(-4067)
    exchange.venue.set_position_mode(caller.account, wanted)
    return DONE


def asset_mode(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    return {"multiAssetsMargin": caller.account in exchange.joint}


def set_asset_mode(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    wanted = read.flag(fields, "multiAssetsMargin")
    if wanted is None:
        raise missing("multiAssetsMargin")
    if wanted is (caller.account in exchange.joint):
        raise Refusal(-4171)
    venue, account = exchange.venue, caller.account
    if wanted and any(venue.margin_mode(account, symbol) is MarginMode.ISOLATED for symbol in exchange.rules):
        raise Refusal(-4167)
    if venue.open_orders(account):
        raise Refusal(-4170)
    exchange.set_joint(account, wanted)
    return DONE


def brackets(exchange: Exchange, caller: Caller, fields: Fields) -> bytes:
    symbol = optional_symbol(exchange, fields)
    symbols = [symbol] if symbol else list(exchange.rules)
    venue = exchange.venue
    return exchange.cached(
        f"brackets {symbol}", lambda: [shapes.bracket_rows(each, venue.brackets.get(each, ())) for each in symbols]
    )


def commission(exchange: Exchange, caller: Caller, fields: Fields) -> wire.CommissionRate:
    rules = exchange.rules[symbol_of(exchange, fields)]
    maker, taker = shapes.fixed(rules.maker_fee, 6), shapes.fixed(rules.taker_fee, 6)
    return wire.CommissionRate(rules.symbol, maker, taker, shapes.fixed(RETAIL_FEE, 5))


def income(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.Income]:
    """From `startTime` on, else the newest page of the last week."""
    symbol, kind = optional_symbol(exchange, fields), fields.get("incomeType")
    limit, start, end = (
        read.limit(fields, 100, 1000),
        read.integer(fields, "startTime"),
        read.integer(fields, "endTime"),
    )
    since = exchange.now() - WEEK if start is None else start
    found = [
        row
        for row in exchange.venue.income(caller.account)
        if row.time >= since
        and is_told(exchange, row.time)
        and (end is None or row.time <= end)
        and symbol in (None, row.symbol)
        and kind in (None, "", row.type)
    ]
    page = found[-limit:] if start is None else found[:limit]
    return [shapes.income_row(row) for row in page]


def order_limits(exchange: Exchange, caller: Caller, fields: Fields) -> list[wire.RateLimit]:
    told = exchange.quota.told
    return [
        wire.RateLimit("ORDERS", "SECOND", 10, told(ORDERS_TEN_SECONDS)),
        wire.RateLimit("ORDERS", "MINUTE", 1, told(ORDERS_MINUTE)),
    ]


def open_listen_key(exchange: Exchange, caller: Caller, fields: Fields) -> wire.ListenKey:
    return wire.ListenKey(exchange.listen_keys.open(caller.account, exchange.now()))


def extend_listen_key(exchange: Exchange, caller: Caller, fields: Fields) -> wire.ListenKey:
    key = exchange.listen_keys.extend(caller.account, exchange.now())
    if key is None:
        raise Refusal(-1125)
    return wire.ListenKey(key)


def close_listen_key(exchange: Exchange, caller: Caller, fields: Fields) -> object:
    exchange.listen_keys.close(caller.account)
    return {}
