"""User stream frames as events of trading: what each ORDER_TRADE_UPDATE and ACCOUNT_UPDATE means for a bot."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import UNSET

from trading.gateways.binance import stops, wire
from trading.gateways.binance.names import Names
from trading.messages import Accepted, Closed, Event, Filled, Foreign, Reason, StopMoved, Uncertain
from trading.model import ZERO, ClientOrderId

ONE = Decimal(1)
Rate = Callable[[str, str], Decimal | None]
"""(symbol, asset) -> quote per asset now, None while unknown."""


def is_quote(symbol: str, asset: str) -> bool:
    """Whether `asset` is what `symbol` is quoted in (`BTCUSDT`, `BTCUSDT_261225`)."""
    return symbol.partition("_")[0].endswith(asset)


def end_of(status: str, expiry: str = "0") -> Reason:
    """Why an order that was not filled is over."""
    if status == "CANCELED":
        return Reason.CANCELLED
    return Reason.LIQUIDATED if expiry == "5" else Reason.EXPIRED


def is_settlement(frame: wire.UserEvent) -> bool:
    """Whether funding was settled; what was paid for which symbol, and when, tells only the income list."""
    return isinstance(frame, wire.AccountUpdate) and "FUNDING_FEE" in frame.change.reason


class Translator:
    """Turns frames into (symbol, event) for one account and learns order names on the way."""

    def __init__(self, names: Names, rate: Rate) -> None:
        self._names = names
        self._rate = rate
        self._parsed: dict[str, ClientOrderId | None] = {}

    def events(self, frame: wire.UserEvent) -> list[tuple[str, Event]]:
        if isinstance(frame, wire.OrderTradeUpdate):
            event = self._order(frame.order)
            return [] if event is None else [(frame.order.symbol, event)]
        if isinstance(frame, wire.AlgoUpdate):
            return [(frame.algo.symbol, StopMoved(frame.time, stops.moved(frame.algo)))]
        return []

    def _order(self, order: wire.OrderUpdate) -> Event | None:
        cid = self._name(order.client_id)
        if order.execution in ("TRADE", "CALCULATED") and order.last_qty > ZERO:
            if cid is None:
                fee, name = order.fee or ZERO, order.client_id
                return Foreign(order.time, order.trade, order.side, order.last_price, order.last_qty, name, fee)
            return self._fill(cid, order)
        if cid is None:
            return None
        if order.execution == "NEW":
            self._names.learn(order.symbol, order.order_id, order.client_id)
            return Accepted(order.time, cid, order.order_id)
        if order.execution in ("CANCELED", "EXPIRED"):
            expiry = "0" if order.expiry is UNSET else order.expiry
            self._parsed.pop(order.client_id, None)
            return Closed(order.time, cid, end_of(order.execution, expiry), order.executed)
        if order.execution == "AMENDMENT":  # by hand, for we amend nothing: a Snapshot tells what it is now
            return Uncertain(order.time, cid)
        return None

    def _fill(self, cid: ClientOrderId, order: wire.OrderUpdate) -> Event:
        """A fill with its fee in quote terms; without a known rate the Snapshot must tell it."""
        self._names.learn(order.symbol, order.order_id, order.client_id)
        fee, asset = order.fee or ZERO, order.fee_asset or ""
        rate = ONE if not fee or is_quote(order.symbol, asset) else self._rate(order.symbol, asset)
        if order.status == "FILLED":
            self._parsed.pop(order.client_id, None)
        if rate is None:
            return Uncertain(order.time, cid)
        return Filled(
            order.time,
            cid,
            order.trade,
            order.side,
            order.last_price,
            order.last_qty,
            fee,
            asset,
            rate,
            order.maker,
            order.realized_pnl,
        )

    def _name(self, text: str) -> ClientOrderId | None:
        """Parsed once per order: its frames come several times."""
        if text in self._parsed:
            return self._parsed[text]
        if len(self._parsed) > 10_000:
            self._parsed.clear()
        cid = self._parsed[text] = ClientOrderId.parse(text)
        return cid
