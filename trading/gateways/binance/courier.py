"""The second way of orders: REST, five placements or ten cancels at a time, while the WebSocket API is down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile

from msgspec import Raw

from trading.gateways.binance import wire
from trading.gateways.binance.errors import Reaction
from trading.gateways.binance.rest import Reply, Rest, Unsent, fault_of
from trading.gateways.binance.signing import order_params
from trading.messages import Cancel, Place
from trading.model import ClientOrderId
from trading.ports import Uncertain

Request = Place | Cancel
Settle = Callable[[Request, int, wire.Order | wire.Fault], None]
"""(request, HTTP status, the order or the refusal)"""

PER_BATCH = 5
PER_CANCEL = 10
_ORDER, _BATCH = "/fapi/v1/order", "/fapi/v1/batchOrders"


class Courier:
    """Carries requests over REST in the order given; each is sent once, by this way only."""

    def __init__(
        self, rest: Rest, settle: Settle, doubt: Callable[[Request], None], refuse: Callable[[Request], None]
    ) -> None:
        """`settle` takes an answer, `doubt` what nobody knows of, `refuse` what certainly was not executed."""
        self.is_open = False
        """Whether new requests may be given to it."""
        self.on_trouble: Callable[[], None] = lambda: None
        """Called when the venue cannot be reached or is not serving."""
        self._rest = rest
        self._settle = settle
        self._doubt = doubt
        self._refuse = refuse
        self._line: deque[Request] = deque()
        self._load: list[Request] = []
        """On its way."""
        self._wake = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        return bool(self._line or self._load)

    def take(self, intent: Request) -> None:
        self._line.append(intent)
        self._wake.set()

    def withdraw(self, cid: ClientOrderId) -> bool:
        """Take a placement out again that has not left."""
        for intent in self._line:
            if intent.cid == cid and isinstance(intent, Place):
                self._line.remove(intent)
                return True
        return False

    def under_way(self) -> list[Request]:
        return [*self._line, *self._load]

    def carries(self, cid: ClientOrderId) -> bool:
        """Whether something about this order waits or is on its way."""
        return any(intent.cid == cid for intent in self.under_way())

    def release(self) -> list[Request]:
        """Give back what has not left, in order."""
        line = list(self._line)
        self._line.clear()
        return line

    def drop(self) -> None:
        """Give up: what waits was never sent, what is on its way is uncertain."""
        load, self._load = self._load, []
        for intent in load:
            self._doubt(intent)
        while self._line:
            self._refuse(self._line.popleft())

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._line:
                await self._rest.allowed()
                if not self._line:
                    break
                self._load = self._next()
                await self._carry(self._load)
                self._load = []

    def _next(self) -> list[Request]:
        """The requests that share the next call: placements of any symbol, or cancels of one."""
        first = self._line[0]
        if isinstance(first, Place):
            same = takewhile(lambda each: isinstance(each, Place), self._line)
        else:
            same = takewhile(lambda each: isinstance(each, Cancel) and each.symbol == first.symbol, self._line)
        load = list(same)[: PER_BATCH if isinstance(first, Place) else PER_CANCEL]
        for _ in load:
            self._line.popleft()
        return load

    async def _carry(self, load: Sequence[Request]) -> None:
        try:
            reply = await self._send(load)
        except Unsent:
            self._each(self._refuse, load)
            self.on_trouble()
            return
        except Uncertain:
            self._each(self._doubt, load)
            self.on_trouble()
            return
        if reply.status == 200:
            self._deal(load, reply)
            return
        fault = fault_of(reply)
        if self._rest.heed(reply.status, fault, reply.retry_after) is Reaction.RETRY:
            self.on_trouble()
        for intent in self._still(load):
            self._settle(intent, reply.status, fault)

    def _still(self, load: Sequence[Request]) -> list[Request]:
        """Those of `load` that were not dropped meanwhile."""
        return [intent for intent in load if intent in self._load]

    def _each(self, tell: Callable[[Request], None], load: Sequence[Request]) -> None:
        for intent in self._still(load):
            tell(intent)

    async def _send(self, load: Sequence[Request]) -> Reply:
        first = load[0]
        if isinstance(first, Place):
            if len(load) == 1:
                return await self._rest.attempt("POST", _ORDER, order_params(first), 0)
            orders = [order_params(each) for each in load if isinstance(each, Place)]
            return await self._rest.attempt("POST", _BATCH, {"batchOrders": wire.encode(orders).decode()}, 5)
        if len(load) == 1:
            params = {"symbol": first.symbol, "origClientOrderId": str(first.cid)}
            return await self._rest.attempt("DELETE", _ORDER, params, 1)
        names = wire.encode([str(each.cid) for each in load]).decode()
        return await self._rest.attempt("DELETE", _BATCH, {"symbol": first.symbol, "origClientOrderIdList": names}, 1)

    def _deal(self, load: Sequence[Request], reply: Reply) -> None:
        """Give each request its own answer; without one it is uncertain."""
        try:
            rows = [Raw(reply.body)] if len(load) == 1 else wire.decode(reply.body, list[Raw])
        except wire.Malformed:
            rows = []
        answers = [_answer(row) for row in rows] if len(rows) == len(load) else [None] * len(load)
        for intent, answer in zip(load, answers, strict=True):
            if intent not in self._load:
                continue
            if answer is None:
                self._doubt(intent)
            else:
                status = 200 if isinstance(answer, wire.Order) else 400
                if isinstance(answer, wire.Fault):
                    self._rest.heed(status, answer)
                self._settle(intent, status, answer)


def _answer(row: Raw) -> wire.Order | wire.Fault | None:
    """An element of a batch's answer; None where it is neither."""
    try:
        return wire.decode(row, wire.Order)
    except wire.Malformed:
        pass
    try:
        return wire.decode(row, wire.Fault)
    except wire.Malformed:
        return None
