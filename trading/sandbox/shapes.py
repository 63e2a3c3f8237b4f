"""The venue's values as Binance's messages: decimals spelled with the symbol's precision (binance-usdm.md §18.7).

Structs do not check types when they are made, so an outgoing decimal is carried as its text, already spelled:
that is exact ("60000.00", never "6E+4") and spares the encoder the search for exponents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import cast

import msgspec

from trading.core import records
from trading.gateways.binance import wire
from trading.model import Bracket, Instrument, MarginMode

ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]


NOTHING = cast(Decimal, "0")
"""Zero, spelled."""


@lru_cache(maxsize=32)
def _quantum(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


def fixed(value: Decimal, places: int) -> Decimal:
    """`value` spelled with exactly `places` decimals (text in a Decimal's place, see above)."""
    return cast(Decimal, format(value.quantize(_quantum(places), rounding=ROUND_HALF_UP), "f"))


def money(value: Decimal) -> Decimal:
    """An amount with 8 decimals."""
    return fixed(value, 8)


def short(value: Decimal, places: int = 8) -> Decimal:
    """At most `places` decimals, no trailing zeros."""
    if not value:
        return NOTHING
    spelled = format(value.quantize(_quantum(places), rounding=ROUND_HALF_UP), "f")
    return cast(Decimal, spelled.rstrip("0").rstrip(".") if "." in spelled else spelled)


def average(value: Decimal, rules: Instrument) -> Decimal:
    """An average price: five decimals, or as many as the prices of a cheap coin have."""
    return fixed(value, max(5, rules.price_precision))


def quote(value: Decimal, rules: Instrument) -> Decimal:
    """An amount of price times quantity, exact: five decimals or more."""
    return fixed(value, max(5, -int((rules.tick_size * rules.lot_size).normalize().as_tuple().exponent)))


# --------------------------------------------------------------------------- orders


def order_answer(order: records.Order, rules: Instrument, legacy: bool = False) -> wire.Order:
    """An order as placing and cancelling answer it; `legacy` adds what vanished in 2026-06."""
    executed = fixed(order.executed, rules.qty_precision)
    return wire.Order(
        order_id=order.order_id,
        symbol=order.symbol,
        status=order.status.value,
        client_order_id=order.client_id,
        price=fixed(order.price, rules.price_precision),
        avg_price=average(order.average, rules) if legacy else msgspec.UNSET,
        orig_qty=fixed(order.qty, rules.qty_precision),
        executed_qty=executed,
        cum_qty=executed,
        cum_quote=quote(order.quote_executed, rules) if legacy else msgspec.UNSET,
        time_in_force=order.tif.value,
        type=order.type.value,
        reduce_only=order.reduce_only,
        side=order.side,
        position_side=order.position_side,
        stop_price=fixed(Decimal(0), rules.price_precision),
        orig_type=order.orig_type.value,
        price_match=order.price_match,
        self_trade_prevention_mode=order.stp,
        good_till_date=order.good_till,
        update_time=order.updated,
    )


def amended_answer(answer: wire.Order, modify_id: int | None) -> wire.Order:
    """The answer to an amendment, with what only that one has."""
    told = msgspec.UNSET if modify_id is None else modify_id
    return msgspec.structs.replace(answer, pair=answer.symbol, modify_id=told)


def order_row(order: records.Order, rules: Instrument) -> wire.Order:
    """An order as it is read: GET order, openOrders."""
    return wire.Order(
        order_id=order.order_id,
        symbol=order.symbol,
        status=order.status.value,
        client_order_id=order.client_id,
        price=fixed(order.price, rules.price_precision),
        avg_price=average(order.average, rules),
        orig_qty=fixed(order.qty, rules.qty_precision),
        executed_qty=fixed(order.executed, rules.qty_precision),
        cum_quote=quote(order.quote_executed, rules),
        time_in_force=order.tif.value,
        type=order.type.value,
        reduce_only=order.reduce_only,
        side=order.side,
        position_side=order.position_side,
        stop_price=fixed(Decimal(0), rules.price_precision),
        orig_type=order.orig_type.value,
        price_match=order.price_match,
        self_trade_prevention_mode=order.stp,
        good_till_date=order.good_till,
        time=order.created,
        update_time=order.updated,
    )


def history_row(order: records.Order, rules: Instrument) -> wire.Order:
    """An order as allOrders and forceOrders list it."""
    return msgspec.structs.replace(order_row(order, rules), pair=order.symbol, cum_base="0")


def trade_row(trade: records.Trade, rules: Instrument) -> wire.UserTrade:
    return wire.UserTrade(
        symbol=trade.symbol,
        pair=trade.symbol,
        id=trade.trade_id,
        order_id=trade.order_id,
        side=trade.side,
        price=fixed(trade.price, rules.price_precision),
        qty=fixed(trade.qty, rules.qty_precision),
        quote_qty=quote(trade.price * trade.qty, rules),
        base_qty="0",
        margin_asset=rules.quote,
        realized_pnl=money(trade.realized_pnl),
        commission=money(trade.fee),
        commission_asset=trade.fee_asset,
        position_side=trade.position_side,
        time=trade.time,
        buyer=trade.side.sign > 0,
        maker=trade.maker,
    )


def income_row(income: records.Income) -> wire.Income:
    return wire.Income(
        symbol=income.symbol,
        income_type=income.type,
        income=money(income.amount),
        asset=income.asset,
        info=income.info or income.type,
        time=income.time,
        tran_id=income.tran_id,
        trade_id=str(income.trade_id) if income.trade_id else "",
    )


# --------------------------------------------------------------------------- user events


def margin_word(mode: MarginMode) -> str:
    """Lower case, as positions and user events say it."""
    return "isolated" if mode is MarginMode.ISOLATED else "cross"


def order_event(update: records.OrderUpdate, rules: Instrument, sent: int) -> wire.OrderTradeUpdate:
    order, trade = update.order, update.trade
    places, lot = rules.price_precision, rules.qty_precision
    is_named = order.modify_id and update.execution is records.Execution.AMENDMENT
    return wire.OrderTradeUpdate(
        event_time=sent,
        time=update.time,
        order=wire.OrderUpdate(
            symbol=order.symbol,
            client_id=order.client_id,
            side=order.side,
            type=order.type.value,
            tif=order.tif.value,
            qty=fixed(order.qty, lot),
            price=fixed(order.price, places),
            avg_price=short(order.average, max(5, places)) if order.executed else NOTHING,
            stop_price=NOTHING,
            execution=update.execution.value,
            status=order.status.value,
            order_id=order.order_id,
            modify_id=order.modify_id if is_named else msgspec.UNSET,
            last_qty=fixed(trade.qty, lot) if trade else NOTHING,
            executed=fixed(order.executed, lot),
            last_price=fixed(trade.price, places) if trade else NOTHING,
            fee=money(trade.fee) if trade else NOTHING,
            fee_asset=trade.fee_asset if trade else rules.quote,
            time=update.time,
            trade=trade.trade_id if trade else 0,
            bids=short(update.bid_notional),
            asks=short(update.ask_notional),
            maker=trade.maker if trade else False,
            reduce_only=order.reduce_only,
            original_type=order.orig_type.value,
            position_side=order.position_side,
            realized_pnl=money(trade.realized_pnl) if trade else NOTHING,
            stp=order.stp,
            price_match=order.price_match,
            good_till=order.good_till,
            expiry=update.expiry_reason,
        ),
    )


def lite_event(update: records.OrderUpdate, trade: records.Trade, rules: Instrument, sent: int) -> wire.TradeLite:
    order = update.order
    return wire.TradeLite(
        event_time=sent,
        time=update.time,
        symbol=order.symbol,
        qty=fixed(order.qty, rules.qty_precision),
        price=fixed(order.price, rules.price_precision),
        maker=trade.maker,
        client_id=order.client_id,
        side=order.side,
        last_price=fixed(trade.price, rules.price_precision),
        last_qty=fixed(trade.qty, rules.qty_precision),
        trade=trade.trade_id,
        order_id=order.order_id,
    )


def account_event(update: records.BalanceUpdate, rules: Mapping[str, Instrument], sent: int) -> wire.AccountUpdate:
    return wire.AccountUpdate(
        event_time=sent,
        time=update.time,
        change=wire.AccountChange(
            reason=update.reason,
            balances=[]
            if update.reason == "MARGIN_TYPE_CHANGE"  # which moves no money
            else [
                wire.BalanceUpdate(
                    asset=update.asset,
                    wallet=money(update.wallet),
                    cross_wallet=money(update.cross_wallet),
                    change=short(update.change),
                )
            ],
            positions=[
                wire.PositionUpdate(
                    symbol=view.symbol,
                    qty=fixed(view.qty, rules[view.symbol].qty_precision),
                    entry=short(view.entry),
                    realized=short(view.accumulated),
                    unrealized=short(view.unrealized_pnl),
                    margin_type=margin_word(view.margin_mode),
                    isolated_wallet=short(view.isolated_wallet),
                    position_side=view.position_side,
                    margin_asset=update.asset,
                    break_even=short(view.break_even),
                )
                for view in update.positions
            ],
            symbol=update.symbol or msgspec.UNSET,
        ),
    )


def forced_order(order: records.Order, rules: Instrument, now: int) -> wire.ForcedOrder:
    """A liquidation as the public sees it."""
    qty = fixed(order.executed, rules.qty_precision)
    return wire.ForcedOrder(
        symbol=order.symbol,
        side=order.side,
        qty=qty,
        price=fixed(order.price, rules.price_precision),
        avg_price=fixed(order.average, rules.price_precision),
        status=order.status.value,
        last_qty=qty,
        executed=qty,
        time=now,
    )


# --------------------------------------------------------------------------- rules


def symbol_info(rules: Instrument) -> wire.SymbolInfo:
    """A symbol of exchangeInfo with its filters."""
    step, least = short(rules.lot_size), short(rules.min_qty)
    filters = [
        wire.Filter(
            "PRICE_FILTER",
            min_price=fixed(rules.min_price, rules.price_precision),
            max_price=short(rules.max_price),
            tick_size=fixed(rules.tick_size, rules.price_precision),
        ),
        wire.Filter("LOT_SIZE", min_qty=least, max_qty=short(rules.max_qty), step_size=step),
        wire.Filter("MARKET_LOT_SIZE", min_qty=least, max_qty=short(rules.market_max_qty), step_size=step),
        wire.Filter("MAX_NUM_ORDERS", limit=rules.max_orders),
        wire.Filter("MIN_NOTIONAL", notional=short(rules.min_notional)),
        wire.Filter(
            "PERCENT_PRICE",
            multiplier_up=fixed(rules.multiplier_up, 4),
            multiplier_down=fixed(rules.multiplier_down, 4),
            multiplier_decimal="4",
        ),
        wire.Filter("POSITION_RISK_CONTROL", position_control_side="NONE"),
    ]
    return wire.SymbolInfo(
        symbol=rules.symbol,
        pair=rules.symbol,
        status=rules.status,
        base_asset=rules.base,
        quote_asset=rules.quote,
        margin_asset=rules.quote,
        price_precision=rules.price_precision,
        quantity_precision=rules.qty_precision,
        filters=filters,
        order_types=ORDER_TYPES,
        time_in_force=["GTC", "IOC", "FOK", "GTX", "GTD"],
        permission_sets=["GRID", "COPY", "DCA"],
    )


def bracket_rows(symbol: str, brackets: Iterable[Bracket]) -> dict[str, object]:
    """leverageBracket of one symbol: its numbers are JSON numbers."""
    return {
        "symbol": symbol,
        "brackets": [
            {
                "bracket": number,
                "initialLeverage": bracket.max_leverage,
                "notionalCap": int(bracket.cap),
                "notionalFloor": int(bracket.floor),
                "maintMarginRatio": float(bracket.mmr),
                "cum": float(bracket.cum),
            }
            for number, bracket in enumerate(brackets, 1)
        ],
    }
