"""The switches that make the sandbox misbehave on demand: POST /sandbox/faults."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from trading.sandbox import events
from trading.sandbox.feeds import Feed, Hub
from trading.sandbox.refusal import Refusal

Where = Literal["user", "market", "wsapi", "stream"]


class Next(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the next signed non-GET requests get instead of their answer."""

    kind: Literal["refuse", "unknown", "lost", "silent"]
    """refuse: `code` and nothing happens; unknown: executed, the answer says nobody knows; lost: not executed, the
    same answer; silent: executed, no answer at all."""
    on: str = ""
    """Only this WebSocket API method or `METHOD /path`; empty = any."""
    count: int = 1
    code: int = -1007
    msg: str = ""
    status: int = 0
    retry_after: int = 0
    """Seconds, told in a Retry-After header."""


class Order(Struct, kw_only=True, forbid_unknown_fields=True):
    """What POST /sandbox/faults takes; everything is optional."""

    clear: bool = False
    """First, everything is well again."""
    drop: list[Where] = field(default_factory=list)
    """Cut these sockets now."""
    close: list[Where] = field(default_factory=list)
    """End these sockets politely, as after 24 hours."""
    stall: dict[Where, int] = field(default_factory=dict)
    """Hold back what is sent on these sockets for so many ms; it then comes in order."""
    delay: int | None = None
    """ms before a signed request is executed, until changed."""
    lag: int | None = None
    """ms that user events are late, until changed."""
    skew: int | None = None
    """ms that the exchange's clock is ahead."""
    duplicate: int | None = None
    """How many of the next user events come twice."""
    reorder: int | None = None
    """How many of the next deliveries come with their event types mixed; inside a type the order stays."""
    lag_of: dict[str, int] | None = None
    """ms that user events of these types are late, until changed."""
    skip_depth: int | None = None
    """How many of the next depth events are lost: the next one's `pu` then names an update nobody saw."""
    ban: int | None = None
    """ms that whoever asks for this fault is answered 418; 0 pardons everybody."""
    maintenance: bool | None = None
    """Every request gets 503 Service Unavailable."""
    next: list[Next] = field(default_factory=list)
    expire_listen_key: list[str] = field(default_factory=list)
    """Accounts whose listen key dies now."""
    expire_orders: list[tuple[str, int]] = field(default_factory=list)
    """(account, orderId) that the system ends."""


class Faults:
    """Faults that are switched on."""

    def __init__(self) -> None:
        self.delay = 0
        self.lag = 0
        self.skew = 0
        self.duplicate = 0
        self.reorder = 0
        self.lag_of: dict[str, int] = {}
        self.chance = random.Random(1)
        self.maintenance = False
        self.next: list[Next] = []

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    def switch(self, order: Order) -> None:
        """Take over what lasts; the rest is the exchange's to do at once."""
        if order.clear:
            self.clear()
        for name in ("delay", "lag", "skew", "duplicate", "maintenance", "reorder", "lag_of"):
            value = getattr(order, name)
            if value is not None:
                setattr(self, name, value)
        self.next += order.next

    def take(self, name: str) -> Next | None:
        """The fault that request `name` meets, used up by asking."""
        for fault in self.next:
            if fault.on in ("", name):
                fault.count -= 1
                if fault.count <= 0:
                    self.next.remove(fault)
                return fault
        return None

    async def wait(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay / 1000)

    def arrange(self, untold: list[events.Frame]) -> list[events.Frame]:
        """The frames of one delivery, mixed across types where asked."""
        if self.reorder <= 0 or len({name for _, name, _ in untold}) < 2:
            return untold
        self.reorder -= 1
        queues: dict[tuple[str, str], list[events.Frame]] = {}
        for frame in reversed(untold):
            queues.setdefault(frame[:2], []).append(frame)
        mixed: list[events.Frame] = []
        while queues:
            picked = self.chance.choice(list(queues))
            mixed.append(queues[picked].pop())
            if not queues[picked]:
                del queues[picked]
        return mixed

    def deliver(self, hub: Hub, key: str, frame: bytes, name: str) -> None:
        """Publish a user event, late or twice where asked."""
        times = 1
        if self.duplicate > 0:
            self.duplicate -= 1
            times = 2
        for _ in range(times):
            late = self.lag + self.lag_of.get(name, 0)
            if late:
                asyncio.get_running_loop().call_later(late / 1000, hub.publish, key, frame, name)
            else:
                hub.publish(key, frame, name)


def refusal_of(fault: Next) -> Refusal:
    """What the client is told."""
    if fault.kind in ("unknown", "lost"):
        text = fault.msg or "Unknown error, please check your request or try again later."
        return Refusal(fault.code, text, fault.status or 503, fault.retry_after)
    return Refusal(fault.code, fault.msg, fault.status, fault.retry_after)


def chosen(feeds: Iterable[Feed], where: Iterable[Where]) -> list[Feed]:
    """The sockets of these kinds: user streams, other streams (market), the WebSocket API; `stream` = both streams."""
    wanted = set(where)
    return [feed for feed in feeds if wanted & _kinds(feed)]


def _kinds(feed: Feed) -> set[str]:
    if feed.kind == "wsapi":
        return {"wsapi"}
    return {"stream", "user" if feed.listens_to_user else "market"}
