"""Account events of the venue as frames of the user stream, in the orders Binance sends them (binance-usdm.md §11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from trading.core import records
from trading.core.algo import AlgoUpdate, Told
from trading.gateways.binance import wire
from trading.model import Instrument
from trading.sandbox import conditional, shapes

Frame = tuple[str, str, bytes]
"""Account, event name, payload."""


def frames(
    happened: Iterable[Told], rules: Mapping[str, Instrument], now: int, swap: Callable[[], bool]
) -> list[Frame]:
    """The frames to send, in order. Of one fill TRADE_LITE comes first; `swap` says whether the order's update comes
    before the account's."""
    made: list[Frame] = []
    held: Frame | None = None
    for event in happened:
        frame = _frame(event, rules, now)
        if held is not None and isinstance(event, records.BalanceUpdate) and held[0] == event.account:
            made += [held, frame] if swap() else [frame, held]
            held = None
            continue
        if held is not None:
            made.append(held)
            held = None
        if isinstance(event, records.OrderUpdate) and event.trade is not None:
            if event.execution is not records.Execution.TRADE:  # system orders are told in full only
                held = frame
                continue
            lite = shapes.lite_event(event, event.trade, rules[event.order.symbol], now)
            made.append((event.account, "TRADE_LITE", wire.encode(lite)))
            held = frame
        else:
            made.append(frame)
    if held is not None:
        made.append(held)
    return made


def _frame(event: Told, rules: Mapping[str, Instrument], now: int) -> Frame:
    if isinstance(event, records.OrderUpdate):
        update = shapes.order_event(event, rules[event.order.symbol], now)
        return event.account, "ORDER_TRADE_UPDATE", wire.encode(update)
    if isinstance(event, records.BalanceUpdate):
        return event.account, "ACCOUNT_UPDATE", wire.encode(shapes.account_event(event, rules, now))
    if isinstance(event, AlgoUpdate):
        made = conditional.event(event, rules[event.algo.request.symbol], now)
        return event.account, "ALGO_UPDATE", wire.encode(made)
    change = wire.LeverageChange(symbol=event.symbol, leverage=event.leverage)
    config = wire.AccountConfigUpdate(event_time=now, time=event.time, leverage=change)
    return event.account, "ACCOUNT_CONFIG_UPDATE", wire.encode(config)
