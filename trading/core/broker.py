"""One account's dealings with a matching venue in process: intents in, events and Snapshots out. Pure.

Backtest, paper trading and the crash trial reach the venue through this; the sandbox puts sockets in between.
"""

from __future__ import annotations

from decimal import Decimal

from trading.core.liquidation import LIQUIDATED
from trading.core.records import Execution, Order, OrderUpdate, Trade, VenueError
from trading.core.records import Status as OrderState
from trading.core.venue import OrderRequest, Venue
from trading.messages import (
    Accepted,
    Amend,
    Cancel,
    CancelRefused,
    Closed,
    Event,
    Filled,
    Foreign,
    Funding,
    Intent,
    Place,
    Reason,
    Refused,
    Snapshot,
    Uncertain,
    Working,
)
from trading.model import ZERO, ClientOrderId, Position
from trading.ports import SnapshotRequest

REFUSALS = {
    -5022: Reason.WOULD_CROSS,
    -2019: Reason.MARGIN,
    -2025: Reason.TOO_MANY_ORDERS,
    -2022: Reason.REDUCE_ONLY,
    -4116: Reason.DUPLICATE,
    -4016: Reason.PRICE_BAND,
    -4024: Reason.PRICE_BAND,
    -4131: Reason.PRICE_BAND,
}
"""Codes of a matching venue that are not plain filter refusals."""


_ONE = Decimal(1)
_NEW = Execution.NEW
# reading a member off its Enum is slow, and this is asked for at every order


class Broker:
    """Carries intents of `account` to `venue` and says what came of them."""

    def __init__(self, venue: Venue, account: str) -> None:
        self.venue = venue
        self.account = account
        self._answers: list[tuple[str, Event]] = []
        self._names: dict[str, ClientOrderId] = {}

    def send(self, intent: Intent, now: int) -> None:
        """Carry out one intent at once; what came of it is in `take`."""
        if isinstance(intent, Place):
            self._place(intent, now)
        elif isinstance(intent, Cancel | Amend):
            self._change(intent, now)

    def _place(self, intent: Place, now: int) -> None:
        request = OrderRequest(
            intent.symbol,
            intent.side,
            intent.type,
            intent.qty,
            intent.price,
            intent.tif,
            intent.reduce_only,
            name := str(intent.cid),
        )
        try:
            order = self.venue.place(self.account, request, now)
        except VenueError as error:
            reason = REFUSALS.get(error.code, Reason.FILTER)
            self._answers.append((intent.symbol, Refused(now, intent.cid, reason, error.code, error.text)))
        else:
            self._names[name] = intent.cid
            self._answers.append((intent.symbol, Accepted(now, intent.cid, order.order_id)))

    def _change(self, intent: Cancel | Amend, now: int) -> None:
        name = str(intent.cid)
        try:
            if isinstance(intent, Cancel):
                self.venue.cancel(self.account, intent.symbol, None, name, now)
            else:
                to = (intent.side, intent.price, intent.qty)
                self.venue.amend(self.account, intent.symbol, None, name, *to, now, modify_id=name)
        except VenueError as error:
            self._answers.append((intent.symbol, CancelRefused(now, intent.cid, error.code, error.text)))

    def take(self) -> list[tuple[str, Event]]:
        """Answers first, then what happened on the venue, as (symbol, event), each once.

        Only this account's events are kept: a venue drained here should have no other listener.
        """
        account, events = self.account, self._answers
        self._answers = []
        for update in self.venue.drain():
            if update.account != account:
                continue
            if type(update) is OrderUpdate:
                event = self._told(update)
                if event is not None:
                    events.append((update.order.symbol, event))
            elif getattr(update, "reason", "") == "FUNDING_FEE":
                row = self.venue.income(self.account)[-1]
                events.append((row.symbol, Funding(row.time, row.amount, row.asset)))
        return events

    def _told(self, update: OrderUpdate) -> Event | None:
        order, trade = update.order, update.trade
        name = order.client_id
        cid = (self._names.get if order.is_open else self._names.pop)(name, None) or ClientOrderId.parse(name)
        if trade is not None:
            return filled(trade, cid) if cid is not None else foreign(trade)
        if cid is None or update.execution is _NEW:
            return None
        if update.execution is Execution.AMENDMENT:
            return None if order.modify_id == name else Uncertain(order.updated, cid)  # somebody else's
        return ended(order, cid, update.expiry_reason)

    def snapshot(self, request: SnapshotRequest, now: int) -> Snapshot:
        """The truth at one instant, in the form that a gateway reads it over the wire."""
        venue, symbol = self.venue, request.symbol
        named = [(order, _ours(order.client_id, request)) for order in venue.all_orders(self.account, symbol)]
        known = {cid: order for order, cid in named if cid is not None}
        trades = venue.trades(self.account, symbol)
        new = [(trade, _ours(trade.client_id, request)) for trade in trades if _is_asked_for(trade, request)]
        view = venue.position(self.account, symbol)
        return Snapshot(
            now,
            tuple(working(order) for order in venue.open_orders(self.account, symbol)),
            tuple(ended(order, cid) for cid, order in known.items() if _has_ended(order, cid, request)),
            frozenset(cid for cid in request.expected if cid not in known),
            tuple(filled(trade, cid) for trade, cid in new if cid is not None),
            tuple(foreign(trade) for trade, cid in new if cid is None),
            self._fundings(request),
            Position(view.qty, view.entry, view.mark, view.unrealized_pnl, view.isolated_wallet),
            max((request.since_trade, *(trade.trade_id for trade in trades))),
        )

    def _fundings(self, request: SnapshotRequest) -> tuple[Funding, ...]:
        return tuple(
            Funding(row.time, row.amount, row.asset)
            for row in self.venue.income(self.account)
            if row.type == "FUNDING_FEE" and row.symbol == request.symbol and row.time >= request.since_funding
        )


def _ours(name: str, request: SnapshotRequest) -> ClientOrderId | None:
    """The name of an order of the bot that asks."""
    cid = ClientOrderId.parse(name)
    return cid if cid is not None and (cid.install, cid.bot) == (request.install, request.bot) else None


def _is_asked_for(trade: Trade, request: SnapshotRequest) -> bool:
    return trade.trade_id > request.since_trade and (trade.time >= request.since_time or not request.is_first)


def _has_ended(order: Order, cid: ClientOrderId, request: SnapshotRequest) -> bool:
    return not order.is_open and (order.updated >= request.since_time or cid in request.expected)


def filled(trade: Trade, cid: ClientOrderId) -> Filled:
    """A venue's trade of our order `cid`; fees are in quote, so their rate is 1."""
    return Filled(
        trade.time,
        cid,
        trade.trade_id,
        trade.side,
        trade.price,
        trade.qty,
        trade.fee,
        trade.fee_asset,
        _ONE,
        trade.maker,
        trade.realized_pnl,
    )


def foreign(trade: Trade) -> Foreign:
    return Foreign(trade.time, trade.trade_id, trade.side, trade.price, trade.qty, trade.client_id, trade.fee)


def ended(order: Order, cid: ClientOrderId, expiry: str = "0") -> Closed:
    """How an order that is over, and not wholly filled, ended; `expiry` is the venue's `er`."""
    reason = Reason.CANCELLED if order.status is OrderState.CANCELED else Reason.EXPIRED
    if expiry == LIQUIDATED:
        reason = Reason.LIQUIDATED
    return Closed(order.updated, cid, reason, order.executed)


def working(order: Order) -> Working:
    return Working(
        ClientOrderId.parse(order.client_id),
        order.client_id,
        order.order_id,
        order.side,
        order.price or ZERO,
        order.qty,
        order.executed,
        order.created,
    )
