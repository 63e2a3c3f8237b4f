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
                self.venue.amend(self.account, intent.symbol, None, name, intent.side, intent.price, intent.qty, now)
        except VenueError as error:
            self._answers.append((intent.symbol, CancelRefused(now, intent.cid, error.code, error.text)))

    def take(self) -> list[tuple[str, Event]]:
        """Answers first, then what happened on the venue, as (symbol, event), each once.

        Only this account's events are kept: a venue drained here should have no other listener.
        """
        events, self._answers = self._answers, []
        for update in self.venue.drain():
            if update.account != self.account:
                continue
            if isinstance(update, OrderUpdate):
                event = self._told(update)
                if event is not None:
                    events.append((update.order.symbol, event))
            elif getattr(update, "reason", "") == "FUNDING_FEE":
                row = self.venue.income(self.account)[-1]
                events.append((row.symbol, Funding(row.time, row.amount, row.asset)))
        return events

    def _told(self, update: OrderUpdate) -> Event | None:
        order, trade = update.order, update.trade
        cid = self._names.get(order.client_id) or ClientOrderId.parse(order.client_id)
        if not order.is_open:
            self._names.pop(order.client_id, None)
        if trade is not None:
            return filled(trade, cid) if cid is not None else foreign(trade)
        if cid is None or update.execution is Execution.NEW:
            return None
        if update.execution not in (Execution.CANCELED, Execution.EXPIRED):
            return None
        return ended(order, cid, update.expiry_reason)

    def snapshot(self, request: SnapshotRequest, now: int) -> Snapshot:
        """The truth at one instant, in the form that a gateway reads it over the wire."""
        venue, symbol = self.venue, request.symbol
        over, known = [], set()
        for order in venue.all_orders(self.account, symbol):
            cid = ClientOrderId.parse(order.client_id)
            if cid is None or cid.install != request.install or cid.bot != request.bot:
                continue
            known.add(cid)
            if not order.is_open and order.status is not OrderState.FILLED and order.updated >= request.since_time:
                over.append(ended(order, cid))
        ours, others, last = [], [], request.since_trade
        for trade in venue.trades(self.account, symbol):
            last = max(last, trade.trade_id)
            if trade.trade_id <= request.since_trade or (trade.time < request.since_time and not request.since_trade):
                continue
            cid = ClientOrderId.parse(trade.client_id)
            if cid is not None and cid.install == request.install and cid.bot == request.bot:
                ours.append(filled(trade, cid))
            else:
                others.append(foreign(trade))
        fundings = tuple(
            Funding(row.time, row.amount, row.asset)
            for row in venue.income(self.account)
            if row.type == "FUNDING_FEE" and row.symbol == symbol and row.time >= request.since_time
        )
        view = venue.position(self.account, symbol)
        return Snapshot(
            now,
            tuple(working(order) for order in venue.open_orders(self.account, symbol)),
            tuple(over),
            frozenset(cid for cid in request.expected if cid not in known),
            tuple(ours),
            tuple(others),
            fundings,
            Position(view.qty, view.entry, view.mark, view.unrealized_pnl, view.isolated_wallet),
            last,
        )


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
        Decimal(1),
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
