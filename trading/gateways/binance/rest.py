"""Binance's REST over aiohttp: signs, keeps to the weight budget, turns refusals into TradingErrors."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlencode

import aiohttp
import structlog
from msgspec import Struct
from yarl import URL

from trading.gateways.binance import errors, wire
from trading.gateways.binance.errors import Reaction
from trading.gateways.binance.signing import Parameter, Signer
from trading.gateways.limiter import Limiter
from trading.ports import Disconnected, RateLimited, TradingError, Uncertain

log = structlog.get_logger("binance")

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
READ_TRIES = 4
SYNC_TRIES = 3
QUICK = 400
"""An answer about the time that took no longer, ms, is exact enough."""
CHANGE_TRIES = 5
FIRST_PAUSE = 0.2
"""Before a setting that certainly failed is tried again, s; doubled each time (binance-usdm.md §4.3)."""
HANDSHAKE = 5
"""Weight of a WebSocket's opening."""
LONGEST_WAIT = 20_000
"""A read that would have to wait longer than this, ms, is refused with RateLimited instead."""


_uptime = time.monotonic_ns
if sys.platform == "linux":  # only there the time that a machine slept can be had too
    _uptime = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)


def running() -> int:
    """How long the machine has been running, ms: unlike the time of day, nobody puts that forward or back."""
    return _uptime() // 1_000_000


class Clock:
    """The venue's clock: counted on by how long the machine runs from what it told, before that from our own time."""

    def __init__(self) -> None:
        self.offset = time.time_ns() // 1_000_000 - running()

    def now(self) -> int:
        """ms UTC as the venue counts."""
        return running() + self.offset


class Reply(Struct, frozen=True):
    """An answer as it came."""

    status: int
    body: bytes
    retry_after: str = ""
    sent: int = 0
    came: int = 0
    """When, as `running` counts, ms."""


class Unsent(Disconnected):
    """The venue was not reached: certainly not executed."""


class Rest:
    """One account's REST connection; every call may raise any TradingError."""

    def __init__(self, address: str, signer: Signer, limiter: Limiter, clock: Clock) -> None:
        self._address = address.rstrip("/")
        self._signer = signer
        self._limiter = limiter
        self.clock = clock
        self._http: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def close(self) -> None:
        self._is_closed = True
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def sync(self) -> None:
        """Learn what time it is, by the quickest answer: half its way is the error."""
        quickest = LONGEST_WAIT
        for _ in range(SYNC_TRIES):
            reply = await self._read("/fapi/v1/time", {}, 1, is_signed=False)
            if reply.came - reply.sent < quickest:
                quickest = reply.came - reply.sent
                told = wire.decode(reply.body, wire.ServerTime).server_time
                self.clock.offset = told - (reply.sent + reply.came) // 2
            if quickest < QUICK:
                break

    async def get(self, path: str, params: Mapping[str, Parameter] | None = None, weight: int = 1) -> bytes:
        """A public read."""
        return (await self._read(path, params or {}, weight, is_signed=False)).body

    async def read(self, path: str, params: Mapping[str, Parameter] | None = None, weight: int = 5) -> bytes:
        """A signed read."""
        return (await self._read(path, params or {}, weight, is_signed=True)).body

    async def change(self, path: str, params: Mapping[str, Parameter]) -> bytes:
        """A signed POST that may be repeated: settings, not orders."""
        pause = FIRST_PAUSE
        for left in reversed(range(CHANGE_TRIES)):
            try:
                return (await self._call("POST", path, params, 1, is_signed=True, is_read=False)).body
            except _Stale:
                if not left:
                    raise
                await self.sync()
            except (Disconnected, Uncertain):
                if not left:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")

    async def attempt(self, method: str, path: str, params: Mapping[str, Parameter], weight: int) -> Reply:
        """A signed request about orders, sent once and never repeated; the budgets are the caller's to keep.

        Raises Unsent when it certainly did not leave, Uncertain when nobody knows.
        """
        now = self.clock.now()
        self._limiter.take_weight(now, weight)
        return await self._send(method, path, self._signer.query(params, now), is_read=False)

    async def ask(self, address: str, params: Mapping[str, Parameter]) -> Reply:
        """A signed read of another service of the venue, whatever it answers."""
        return await self._send("GET", address, self._signer.query(params, self.clock.now()), is_read=True)

    async def reserve(self, weight: int) -> None:
        """Take `weight` for reads that then cost nothing more; raises RateLimited before any of them was made."""
        await self._wait(weight)

    def release(self, weight: int) -> None:
        """Give back what was reserved and not needed."""
        self._limiter.take_weight(self.clock.now(), -weight)

    async def leisure(self, weight: int) -> None:
        """Return when somebody who can wait may read `weight`: each in turn, and only while others leave room."""
        budget = self._limiter.weight
        # by no clock that the venue may put back: who asked before that would have taken turns of a time to come
        await asyncio.sleep(budget.turn(running(), weight) / 1000)
        now = self.clock.now()
        while wait := budget.leisure(now, weight):
            await asyncio.sleep(wait / 1000)
            now = self.clock.now()

    async def allowed(self, weight: int = 0) -> None:
        """Return when the venue forbids nothing (any more), and count `weight`."""
        now = self.clock.now()
        while now < self._limiter.blocked_until:
            await asyncio.sleep((self._limiter.blocked_until - now) / 1000)
            now = self.clock.now()
        self._limiter.take_weight(now, weight)

    async def listen_key(self, method: str) -> bytes:
        """POST, PUT or DELETE of the user stream's key: needs the API key, no signature."""
        return (await self._call(method, "/fapi/v1/listenKey", {}, 1, is_signed=False, is_read=True)).body

    async def _read(self, path: str, params: Mapping[str, Parameter], weight: int, is_signed: bool) -> Reply:
        """A read may be repeated: after a lost connection with a small backoff, after -1021 with the right time."""
        pause = 0.1
        for left in reversed(range(READ_TRIES)):
            try:
                return await self._call("GET", path, params, weight, is_signed, is_read=True)
            except _Stale:
                if not left:
                    raise
                await self.sync()
            except Disconnected:
                if not left:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")

    async def _call(
        self, method: str, path: str, params: Mapping[str, Parameter], weight: int, is_signed: bool, is_read: bool
    ) -> Reply:
        await self._wait(weight)
        query = self._signer.query(params, self.clock.now()) if is_signed else urlencode(params)
        try:
            reply = await self._send(method, path, query, is_read)
        except Unsent:
            self.release(weight)
            raise
        if reply.status == 200:
            return reply
        self.heed(reply.status, fault_of(reply), reply.retry_after)
        raise self.failure(reply, is_read)

    async def _send(self, method: str, path: str, query: str, is_read: bool) -> Reply:
        place = path if path.startswith("http") else self._address + path
        address = URL(f"{place}?{query}" if query else place, encoded=True)
        sent = running()
        try:
            # a redirect would take key and signature elsewhere
            async with self._session().request(method, address, allow_redirects=False) as response:
                body = await response.read()
                self._observe(response.headers)
                return Reply(response.status, body, response.headers.get("Retry-After", ""), sent, running())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # the address holds a signature, so only the kind of the error is told
            text = f"{method} {path}: {type(error).__name__}"
            if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                raise Unsent(text) from None
            raise (Disconnected(text) if is_read else Uncertain(text)) from None

    def _session(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise Unsent("closed")
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=TIMEOUT, headers={"X-MBX-APIKEY": self._signer.key})
        return self._http

    async def leave(self, wait: Callable[[int], int]) -> None:
        """Return when `wait` (of the time, in ms) is over; RateLimited where nobody wants to sit through it."""
        now = self.clock.now()
        while left := wait(now):
            if left > LONGEST_WAIT:
                raise RateLimited(now + left)
            await asyncio.sleep(left / 1000)
            now = self.clock.now()

    async def _wait(self, weight: int) -> None:
        """Stay within the weight budget."""
        await self.leave(lambda now: self._limiter.weight_wait(now, weight))
        self._limiter.take_weight(self.clock.now(), weight)

    def _observe(self, headers: Mapping[str, str]) -> None:
        now = self.clock.now()
        for name, kind, span in (
            ("X-MBX-USED-WEIGHT-1M", "REQUEST_WEIGHT", 60_000),
            ("X-MBX-ORDER-COUNT-10S", "ORDERS", 10_000),
            ("X-MBX-ORDER-COUNT-1M", "ORDERS", 60_000),
        ):
            count = headers.get(name, "")
            if count.isascii() and count.isdigit():
                self._limiter.observe(kind, span, int(count), now)

    def heed(self, status: int, fault: wire.Fault, retry_after: str = "") -> Reaction:
        """Keep to what the venue said about waiting; what else there is to do."""
        now = self.clock.now()
        reaction = errors.meaning(status, fault.code, fault.msg).reaction
        if reaction is Reaction.WAIT:
            until = errors.wait_until(status, fault.msg, retry_after, now)
            log.warning("rate_limited", status=status, code=fault.code, until=until)
            self._limiter.block(until, is_ban=status in (418, 403))
        elif reaction is Reaction.WAIT_ORDERS:
            self._limiter.block_orders(errors.window_end(fault.msg, retry_after, now))
        elif reaction is Reaction.SLOW:
            self._limiter.overload.hit(now)
        return reaction

    def failure(self, reply: Reply, is_read: bool) -> TradingError:
        """The error that a refusal is; what it says about waiting was heeded by then."""
        fault = fault_of(reply)
        if fault.code in errors.NOT_IN_TIME:
            return _Stale(f"{fault.code}: {fault.msg}")
        now = self.clock.now()
        return errors.failure(reply.status, fault.code, fault.msg, reply.retry_after, now, is_read)


def fault_of(reply: Reply) -> wire.Fault:
    """The code and text of a refusal; firewalls and gateways answer with neither."""
    try:
        return wire.decode(reply.body, wire.Fault)
    except wire.Malformed:
        return wire.Fault(0, reply.body[:200].decode(errors="replace"))


class _Stale(Disconnected):
    """-1021: our timestamp was outside the venue's window; certainly not executed."""
