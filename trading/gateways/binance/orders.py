"""The way of orders to Binance: intents become signed WebSocket API requests, answers become events."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable

import structlog
from msgspec import UNSET, Struct

from trading.gateways.binance import errors, wire
from trading.gateways.binance.courier import Courier, Request
from trading.gateways.binance.errors import Reaction
from trading.gateways.binance.names import Names
from trading.gateways.binance.rest import Clock, Rest
from trading.gateways.binance.signing import Signer
from trading.gateways.binance.streams import Stream
from trading.gateways.limiter import Limiter
from trading.messages import Accepted, Cancel, CancelRefused, Closed, Event, Place, Reason, Refused, Uncertain
from trading.model import ClientOrderId, Role

log = structlog.get_logger("binance")

TIMEOUT = 5.0
"""How long an answer may take, s, before the outcome counts as unknown."""
VALID = 6.0
"""How long after it was signed a request may still be executed, s: recvWindow, and a clock's error."""
Emit = Callable[[str, Event], None]
LONGEST_WAIT = 65_000
"""An order that would wait longer, ms, is given back: its price would be of another time."""
LOGON = "logon"
"""The id of session.logon; orders have numbers."""


class Pending(Struct):
    """A request on its way."""

    intent: Request
    sent: float
    """Loop time, s."""
    in_session: bool
    """Whether it went without a signature of its own."""


class Orders:
    """Sends the orders of one account within its budgets and matches the answers; nothing is dropped unsaid.

    They go over the WebSocket API and, while that is down, over REST: each by one way only, and what was sent by
    either and has no answer is uncertain, never sent again. What would break a budget waits in a queue: cancels and
    closing orders first, the rest in the order given. Events are emitted from the loop, never from inside `send`.
    """

    def __init__(
        self, signer: Signer, limiter: Limiter, rest: Rest, names: Names, emit: Emit, on_stale: Callable[[], None]
    ) -> None:
        self.stream: Stream | None = None
        self.courier = Courier(rest, self._settle, self._doubt, self._unsent)
        self.accepted = 0
        """How many placements were accepted: the user stream must speak of each."""
        self._rest = rest
        self._signer = signer
        self._limiter = limiter
        self._clock: Clock = rest.clock
        self._names = names
        self._emit = emit
        self._on_stale = on_stale
        self._pending: dict[str, Pending] = {}
        self._queue: list[tuple[int, int, Request]] = []
        self._number = 0
        self._pump: asyncio.TimerHandle | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._heard = 0.0
        """Loop time of the socket's last word, s."""
        self._born = time.monotonic()
        self._doubted: dict[str, float] = {}
        """Until when (loop time, s) a placement that nobody knows of may still be executed, by name."""
        self._out: set[ClientOrderId] = set()
        """Placements that wait or have no answer yet."""
        self._untimely: list[tuple[Request, wire.Fault]] = []
        """What was refused because our clock is wrong, and not told yet."""

    # ------------------------------------------------------------------ out

    def send(self, intent: Request) -> None:
        """Put `intent` on the socket now, or in the queue when a budget or an earlier intent stands before it."""
        if isinstance(intent, Cancel):
            if self._withdraw(intent):
                return
        elif intent.cid in self._out:
            return  # asked for by a session that broke: the answer is for whoever trades under the name now
        else:
            self._out.add(intent.cid)
        if self._queue or (wait := self._wait(intent)):
            if not self._queue and wait > LONGEST_WAIT:
                self._unsent(intent)
                return
            self._number += 1
            heapq.heappush(self._queue, (_rank(intent), self._number, intent))
            self._schedule()
            return
        self._write(intent)

    def under_way(self) -> frozenset[ClientOrderId]:
        """Names of placements that wait or have no answer yet: nobody may call them absent."""
        return frozenset(self._out)

    def _tell(self, symbol: str, event: Event) -> None:
        if isinstance(event, Accepted | Refused):
            self._out.discard(event.cid)
        self._emit(symbol, event)

    def lag(self, names: Iterable[str], since: int) -> float:
        """How long, s, the venue's not knowing these names proves nothing; none was sent before `since`, ms.

        What is older than this process may have been sent by one that died a moment before it was born.
        """
        now, age = asyncio.get_running_loop().time(), time.monotonic() - self._born
        self._doubted = {name: until for name, until in self._doubted.items() if until > now}
        inherited = VALID - age if since < self._clock.now() - age * 1000 else 0.0
        return max([inherited, *(self._doubted.get(name, now) - now for name in names)])

    @property
    def is_open(self) -> bool:
        """Whether orders can leave by either way."""
        return self.courier.is_open or (self.stream is not None and self.stream.is_open)

    def log_on(self) -> None:
        """A new socket: authorise it once where the key can, else every request carries its signature.

        What waits for REST leaves by it, in order.
        """
        self.courier.is_open = False
        self._signer.use_session(False)
        if self._signer.can_log_on and self.stream is not None:
            self._limiter.take_weight(self._clock.now(), 2)
            self.stream.write(self._signer.request(LOGON, "session.logon", {}, self._clock.now()))
        for intent in self.courier.release():
            self._put(intent)

    def close(self) -> None:
        """Stop the timers and say of everything open that it is unknown or was never sent."""
        for timer in (self._pump, self._watchdog):
            if timer is not None:
                timer.cancel()
        self._pump = self._watchdog = None
        self.lose()
        self.lose_rest()

    def lose(self) -> None:
        """The socket is gone: what was sent is uncertain, what waited leaves over REST or was never sent."""
        self._signer.use_session(False)
        pending, self._pending = self._pending, {}
        for entry in pending.values():
            self._doubt(entry.intent, entry.sent)
        self.tell_untimely()
        if not self.is_open:
            self.give_up()

    def lose_rest(self) -> None:
        """REST is gone too."""
        self.courier.is_open = False
        self.courier.drop()
        if not self.is_open:
            self.give_up()

    def give_up(self) -> None:
        """Say of everything that waits that it was never sent."""
        queue, self._queue = self._queue, []
        for intent in [*self.courier.release(), *(each for _, _, each in sorted(queue, key=lambda item: item[:2]))]:
            self._unsent(intent)

    def _withdraw(self, intent: Cancel) -> bool:
        """Take a placement that has not left out again instead of cancelling what does not exist."""
        is_out = self.courier.is_busy and self.courier.withdraw(intent.cid)
        for index, (_, _, waiting) in enumerate(self._queue):
            if waiting.cid == intent.cid and isinstance(waiting, Place):
                del self._queue[index]
                heapq.heapify(self._queue)
                is_out = True
                break
        if is_out:
            event = Refused(self._clock.now(), intent.cid, Reason.THROTTLED, 0, "withdrawn")
            self._later(intent.symbol, event)
        return is_out

    def _wait(self, intent: Request) -> int:
        now = self._clock.now()
        if isinstance(intent, Place):
            return self._limiter.order_wait(now, intent.reduce_only)
        return self._limiter.weight_wait(now, 1, is_urgent=True)

    def _write(self, intent: Request) -> None:
        """Send it and then count it in the budgets: in one go, so nobody can ask them in between."""
        self._put(intent)
        now = self._clock.now()
        if isinstance(intent, Place):
            self._limiter.take_order(now)
        else:
            self._limiter.take_weight(now, 1)

    def _put(self, intent: Request) -> None:
        """Sign and send; the hot path. A cancel must not overtake an order that REST still carries."""
        if self.courier.is_busy and (self.courier.is_open or self.courier.carries(intent.cid)):
            self.courier.take(intent)
            return
        self._number += 1
        number, now = self._number, self._clock.now()
        if isinstance(intent, Place):
            data = self._signer.place(number, intent, now)
        else:
            data = self._signer.cancel(number, intent.symbol, intent.cid, now)
        if self.stream is None or not self.stream.write(data):
            if self.courier.is_open:
                self.courier.take(intent)
            else:
                self._unsent(intent)
            return
        loop = asyncio.get_running_loop()
        self._pending[str(number)] = Pending(intent, loop.time(), self._signer.in_session)
        if self._watchdog is None:
            self._watchdog = loop.call_later(TIMEOUT, self._expire)

    def _doubt(self, intent: Request, sent: float | None = None) -> None:
        """Nobody knows whether `intent` was or will be executed; `sent`: loop time, now where it is not known."""
        if isinstance(intent, Place):
            since = asyncio.get_running_loop().time() if sent is None else sent
            self._doubted[str(intent.cid)] = since + VALID
            self._out.discard(intent.cid)
        self._tell(intent.symbol, Uncertain(self._clock.now(), intent.cid))

    def _unsent(self, intent: Request, why: str = "not connected") -> None:
        now = self._clock.now()
        if isinstance(intent, Place):
            self._later(intent.symbol, Refused(now, intent.cid, Reason.THROTTLED, 0, why))
        else:
            self._later(intent.symbol, CancelRefused(now, intent.cid, 0, why))

    def _later(self, symbol: str, event: Event) -> None:
        asyncio.get_running_loop().call_soon(self._tell, symbol, event)

    # ------------------------------------------------------------------ queue and timeouts

    def _schedule(self) -> None:
        """Look at the queue again when its first intent may leave."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        if self._queue:
            wait = max(self._wait(self._queue[0][2]), 1)
            self._pump = asyncio.get_running_loop().call_later(wait / 1000, self._drain)

    def _drain(self) -> None:
        self._pump = None
        while self._queue and not self._wait(self._queue[0][2]):
            self._write(heapq.heappop(self._queue)[2])
        self._schedule()

    def _expire(self) -> None:
        """Requests without an answer for too long are uncertain; a socket that answers nothing at all is given up."""
        self._watchdog = None
        loop = asyncio.get_running_loop()
        late = loop.time() - TIMEOUT
        oldest = next(iter(self._pending.values()), None)
        if oldest is not None and oldest.sent <= late and self._heard < oldest.sent and self.stream is not None:
            log.warning("silent_stream", stream="orders")
            self.stream.abort()
        while self._pending:
            number, first = next(iter(self._pending.items()))
            if first.sent > late:
                self._watchdog = loop.call_later(first.sent - late, self._expire)
                return
            del self._pending[number]
            log.warning("no_answer", name=str(first.intent.cid))
            self._doubt(first.intent, first.sent)

    # ------------------------------------------------------------------ in

    def on_text(self, data: bytes) -> None:
        """An answer of the WebSocket API."""
        self._heard = asyncio.get_running_loop().time()
        try:
            answer = wire.decode(data, wire.Answer)
        except wire.Malformed as error:
            # the watchdog turns a request whose answer is unreadable into Uncertain
            log.warning("malformed_answer", error=str(error))
            return
        if answer.rate_limits is not UNSET:
            self._observe(answer.rate_limits)
        entry = self._pending.pop(str(answer.id), None)
        if entry is None:
            self._on_stray(answer)
        elif answer.status == 200:
            self._on_done(entry, answer)
        elif answer.status == 401 and entry.in_session:
            # the session is over, which says nothing of the key: the next request is signed
            self._signer.use_session(False)
            self._unsent(entry.intent, "the session is over")
        else:
            fault = answer.error if answer.error is not UNSET else wire.Fault(0, "")
            retry_after = "" if fault.data is UNSET or not fault.data.retry_after else str(fault.data.retry_after)
            self._rest.heed(answer.status, fault, retry_after)
            self._settle(entry.intent, answer.status, fault)

    def _on_done(self, entry: Pending, answer: wire.Answer) -> None:
        """A success; one that does not say what was done is none that we could count on."""
        try:
            order = wire.decode(b"" if answer.result is UNSET else answer.result, wire.Order)
        except wire.Malformed as error:
            log.warning("malformed_answer", error=str(error))
            self._doubt(entry.intent, entry.sent)
        else:
            self._settle(entry.intent, 200, order)

    def _on_stray(self, answer: wire.Answer) -> None:
        """An answer to no order: of the logon, or that the session is no longer ours."""
        if answer.id == LOGON and answer.status == 200:
            self._signer.use_session(True)
            log.info("logged_on")
            return
        if answer.status == 401:
            # from now on each request carries its own signature; the next socket tries to log on again
            self._signer.use_session(False)
        fault = answer.error if answer.error is not UNSET else wire.Fault(0, "")
        if answer.status != 200:
            log.warning("stray_answer", id=answer.id, status=answer.status, code=fault.code)
            if self._rest.heed(answer.status, fault) is Reaction.RESYNC:
                self._on_stale()

    def _observe(self, rows: Iterable[wire.RateLimit]) -> None:
        counts = [
            (row.rate_limit_type, row.interval, row.interval_num, row.count) for row in rows if row.count is not UNSET
        ]
        self._limiter.observe_rows(counts, self._clock.now())

    def _settle(self, intent: Request, status: int, answer: wire.Order | wire.Fault) -> None:
        """The answer to one request, whichever way it went."""
        if isinstance(answer, wire.Order):
            self._succeed(intent, answer)
        else:
            self._fail(intent, status, answer)

    def _succeed(self, intent: Request, order: wire.Order) -> None:
        self._names.learn(intent.symbol, order.order_id, order.client_order_id)
        time = order.update_time or self._clock.now()
        if isinstance(intent, Place):
            self.accepted += 1
            self._tell(intent.symbol, Accepted(time, intent.cid, order.order_id))
        else:
            self._tell(intent.symbol, Closed(time, intent.cid, Reason.CANCELLED, order.executed_qty))

    def _fail(self, intent: Request, status: int, fault: wire.Fault) -> None:
        found = errors.meaning(status, fault.code, fault.msg)
        if found.reaction is Reaction.RESYNC:
            # a bot waits from the time of its refusal on, so that must not be one of the wrong clock
            self._untimely.append((intent, fault))
            self._on_stale()
        elif found.reason is None:
            self._doubt(intent)
        else:
            self._refuse(intent, found.reason, fault)

    def tell_untimely(self) -> None:
        """The clock was set, or nobody says the time: what was refused because of it is told."""
        untimely, self._untimely = self._untimely, []
        for intent, fault in untimely:
            self._refuse(intent, Reason.THROTTLED, fault)

    def _refuse(self, intent: Request, reason: Reason, fault: wire.Fault) -> None:
        now = self._clock.now()
        if isinstance(intent, Place):
            self._tell(intent.symbol, Refused(now, intent.cid, reason, fault.code, fault.msg))
        else:
            self._tell(intent.symbol, CancelRefused(now, intent.cid, fault.code, fault.msg))


def _rank(intent: Request) -> int:
    """Cancels go before closing orders, and those before everything else that waits."""
    if isinstance(intent, Cancel):
        return 0
    return 1 if intent.reduce_only or intent.cid.slot is Role.CLOSE else 2
