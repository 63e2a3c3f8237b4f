"""Our orders while they matter: one table of status x event -> status.

Real venues reorder and repeat, so the table has rows that a tidy world would not need: a fill before its
acknowledgement, a cancel that crosses a fill, an acknowledgement after the end.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from trading.messages import Accepted, Cancel, CancelRefused, Closed, Event, Filled, Refused, Uncertain
from trading.model import ZERO, ClientOrderId, OrderType, Side, Target


class OrderStatus(Enum):
    __hash__ = object.__hash__  # asked for at every event, and that of Enum runs in Python

    SENT = "sent"
    """On its way; no answer yet."""
    WORKING = "working"
    CANCELLING = "cancelling"
    """Our cancel is on its way."""
    DRAINING = "draining"
    """Over, but the venue counts more fills than we have seen: wait for them."""
    DOUBT = "doubt"
    """Nobody knows: only a Snapshot settles it."""
    OVER = "over"


_S = OrderStatus

TABLE: dict[tuple[OrderStatus, type[object]], OrderStatus] = {
    (_S.SENT, Accepted): _S.WORKING,
    (_S.SENT, Filled): _S.WORKING,
    (_S.SENT, Closed): _S.OVER,
    (_S.SENT, Refused): _S.OVER,
    (_S.SENT, Uncertain): _S.DOUBT,
    (_S.SENT, CancelRefused): _S.DOUBT,
    (_S.WORKING, Accepted): _S.WORKING,
    (_S.WORKING, Filled): _S.WORKING,
    (_S.WORKING, Closed): _S.OVER,
    (_S.WORKING, Refused): _S.DOUBT,
    (_S.WORKING, Uncertain): _S.DOUBT,
    (_S.WORKING, CancelRefused): _S.DOUBT,
    (_S.WORKING, Cancel): _S.CANCELLING,
    (_S.CANCELLING, Accepted): _S.CANCELLING,
    (_S.CANCELLING, Filled): _S.CANCELLING,
    (_S.CANCELLING, Closed): _S.OVER,
    (_S.CANCELLING, Refused): _S.DOUBT,
    (_S.CANCELLING, Uncertain): _S.DOUBT,
    (_S.CANCELLING, CancelRefused): _S.DOUBT,
    (_S.DRAINING, Accepted): _S.DRAINING,
    (_S.DRAINING, Filled): _S.DRAINING,
    (_S.DRAINING, Closed): _S.DRAINING,
    (_S.DRAINING, Refused): _S.DRAINING,
    (_S.DRAINING, Uncertain): _S.DRAINING,
    (_S.DRAINING, CancelRefused): _S.DRAINING,
    (_S.DOUBT, Accepted): _S.WORKING,
    (_S.DOUBT, Filled): _S.DOUBT,
    (_S.DOUBT, Closed): _S.OVER,
    (_S.DOUBT, Refused): _S.OVER,
    (_S.DOUBT, Uncertain): _S.DOUBT,
    (_S.DOUBT, CancelRefused): _S.DOUBT,
}


class Order(Struct):
    """One order of ours that is not known to be over."""

    cid: ClientOrderId
    side: Side
    price: Decimal
    qty: Decimal
    type: OrderType
    executed: Decimal = ZERO
    """Counted from fills, each once."""
    status: OrderStatus = OrderStatus.SENT
    order_id: int = 0
    closed: Closed | None = None
    """While DRAINING: the end that waits for its fills."""
    since: int = 0
    """When the present status began, ms."""

    def take(self, event: Event | Cancel, time: int) -> None:
        """Move to the status that `event` leads to."""
        status = TABLE[self.status, type(event)]
        if status is not self.status:
            self.status = status
            self.since = time

    def serves(self, target: Target) -> bool:
        """Whether this is the order that `target` asks for."""
        return (
            self.cid == target.cid
            and self.price == target.price
            and self.qty == target.qty
            and self.side is target.side
        )
