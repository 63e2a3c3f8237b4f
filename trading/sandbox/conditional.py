"""Conditional orders as Binance's messages (binance-usdm.md §8, §11.4)."""

from __future__ import annotations

import msgspec

from trading.core.algo import AlgoOrder, AlgoRequest, AlgoStatus, AlgoType, AlgoUpdate
from trading.gateways.binance import wire
from trading.model import ZERO, Instrument
from trading.sandbox.shapes import average, fixed, short


def answer(algo: AlgoOrder, rules: Instrument) -> wire.AlgoAnswer:
    """A conditional order as placing answers it."""
    asked = algo.request
    places = rules.price_precision
    is_trailing = asked.type is AlgoType.TRAILING_STOP_MARKET
    return wire.AlgoAnswer(
        algo_id=algo.algo_id,
        client_algo_id=algo.client_id,
        order_type=asked.type.value,
        symbol=asked.symbol,
        side=asked.side,
        position_side=asked.position_side,
        time_in_force=asked.tif.value,
        quantity=fixed(asked.qty, rules.qty_precision),
        algo_status=algo.status.value,
        trigger_price=fixed(asked.trigger, places),
        price=fixed(asked.price, places),
        self_trade_prevention_mode=asked.stp,
        working_type=_working(asked),
        price_match=asked.price_match,
        close_position=asked.close_position,
        price_protect=asked.protected,
        reduce_only=asked.reduce_only,
        activate_price=str(fixed(asked.activate, places)) if is_trailing and asked.activate else "",
        callback_rate=str(short(asked.callback)) if is_trailing else "",
        create_time=algo.created,
        update_time=algo.updated,
        trigger_time=algo.triggered,
        good_till_date=asked.good_till,
    )


def _working(asked: AlgoRequest) -> str:
    return "MARK_PRICE" if asked.by_mark else "CONTRACT_PRICE"


def row(algo: AlgoOrder, rules: Instrument) -> wire.AlgoAnswer:
    """A conditional order as it is read."""
    zero = fixed(ZERO, rules.price_precision)
    return msgspec.structs.replace(
        answer(algo, rules),
        actual_order_id=str(algo.order_id) if algo.order_id else "",
        actual_price=average(algo.average, rules),
        actual_qty=fixed(algo.executed, rules.qty_precision),
        actual_type=_actual_type(algo) if algo.order_id else "",
        tp_trigger_price=zero,
        tp_price=zero,
        sl_trigger_price=zero,
        sl_price=zero,
        tp_order_type="",
        is_activated=algo.is_active,
    )


def _actual_type(algo: AlgoOrder) -> str:
    return "LIMIT" if algo.request.type.is_limit else "MARKET"


def event(update: AlgoUpdate, rules: Instrument, sent: int) -> wire.AlgoUpdate:
    algo, asked = update.algo, update.algo.request
    return wire.AlgoUpdate(
        event_time=sent,
        time=update.time,
        algo=wire.AlgoFields(
            client_id=algo.client_id,
            algo_id=algo.algo_id,
            type=asked.type.value,
            symbol=asked.symbol,
            side=asked.side,
            position_side=asked.position_side,
            tif=asked.tif.value,
            qty=fixed(asked.qty, rules.qty_precision),
            status=algo.status.value,
            order_id=str(algo.order_id) if algo.order_id else "",
            avg_price=average(algo.average, rules),
            executed=fixed(algo.executed, 5),
            order_type=_actual_type(algo) if algo.order_id else "0",
            trigger_price=short(asked.trigger),
            price=short(asked.price),
            stp=asked.stp,
            working_type=_working(asked),
            price_match=asked.price_match,
            close_position=asked.close_position,
            price_protect=asked.protected,
            reduce_only=asked.reduce_only,
            trigger_time=algo.triggered,
            good_till=asked.good_till,
            reason=algo.reason if algo.status is AlgoStatus.REJECTED else "",
            is_active=algo.is_active,
        ),
    )
