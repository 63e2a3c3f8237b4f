"""The WebSocket API: one JSON request per frame, answered by id (binance-usdm.md §9)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Raw, Struct

from trading.core.venue import VenueError
from trading.gateways.binance import wire
from trading.sandbox import auth
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.feeds import Feed
from trading.sandbox.orders import worded
from trading.sandbox.pulse import Pace, Pulse, cut
from trading.sandbox.quota import ORDERS_MINUTE, ORDERS_TEN_SECONDS, WEIGHT
from trading.sandbox.refusal import Refusal, missing
from trading.sandbox.rest import Silence, act, encoded
from trading.sandbox.routes import SOCKET, Route, Security

HANDSHAKE = 5
"""Weight of a connect."""
MOST_PINGS = 5
"""Pings and pongs a second; requests are counted by their weights."""


class Request(Struct, frozen=True):
    """A request; its id is echoed as the bytes it came in."""

    method: str
    id: Raw = Raw(b"null")
    params: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(Request, float_hook=str)
"""Numbers stay as the client spelled and signed them."""


class Session:
    """One connection to the WebSocket API."""

    def __init__(self, exchange: Exchange, feed: Feed, address: str, tells_limits: bool) -> None:
        self._exchange = exchange
        self._feed = feed
        self._address = address
        self._tells_limits = tells_limits
        self._since = exchange.now()
        self._key = ""
        """The Ed25519 key that the session is authorised for."""
        self._authorised: int | None = None

    async def receive(self, data: str) -> None:
        """Execute one frame and queue its answer."""
        try:
            request = _DECODER.decode(data)
        except msgspec.ValidationError:
            self._refuse(Raw(b"null"), missing("method"), {})
            return
        except msgspec.DecodeError:
            self._refuse(Raw(b"null"), Refusal(-1135, "Invalid JSON Request"), {})
            return
        params = request.params or {}
        fields = {name: worded(value) for name, value in params.items() if value is not None}
        try:
            result = await self._execute(request.method, fields)
        except Refusal as refusal:
            self._refuse(request.id, refusal, fields, request.method)
        except VenueError as error:
            self._refuse(request.id, Refusal(error.code, error.text), fields, request.method)
        except ArithmeticError:
            self._refuse(request.id, Refusal(-1000), fields, request.method)
        except Silence:
            return
        else:
            self._answer(request.id, 200, b'"result":' + result, fields, request.method)

    async def _execute(self, method: str, fields: dict[str, str]) -> bytes:
        exchange, now = self._exchange, self._exchange.now()
        if exchange.faults.maintenance:
            raise Refusal(-1016, "Service Unavailable.", 503)
        exchange.quota.admit(self._address, now)
        exchange.heard.add(method)
        if method.startswith("session."):
            return self._session(method, fields, now)
        route = SOCKET.get(method.removeprefix("v1/"))
        if route is None:
            raise Refusal(-5000, f"Method {method} is invalid", 400)
        exchange.quota.spend(self._address, route.cost(fields), now)
        caller = Caller(self._authorise(route, fields, now), self._address)
        if not route.acts:
            return encoded(route.op(exchange, caller, fields))
        if exchange.faults.delay:
            await exchange.faults.wait()
        return act(exchange, route, caller, fields, method)

    def _authorise(self, route: Route, fields: dict[str, str], now: int) -> str:
        """The account that asks: by its own key and signature, else by the session's."""
        if route.security is Security.NONE:
            return ""
        key = fields.get("apiKey") or self._key
        secret = self._exchange.secret_of(key)
        if route.needs is not None:
            route.needs(fields)
        if route.security is Security.SIGNED:
            auth.check_clock(fields, now)
            if key == self._key and "signature" not in fields:
                return key
            auth.check_socket(secret, fields)
        return key or ""

    def _session(self, method: str, fields: dict[str, str], now: int) -> bytes:
        """Only Ed25519 keys can log on."""
        self._exchange.quota.spend(self._address, 2, now)
        if method == "session.logon":
            secret = self._exchange.secret_of(fields.get("apiKey"))
            if not auth.can_log_on(secret):
                raise Refusal(-4056)
            auth.check_clock(fields, now)
            auth.check_socket(secret, fields)
            self._key, self._authorised = fields["apiKey"], now
        elif method == "session.logout":
            self._key, self._authorised = "", None
        elif method != "session.status":
            raise Refusal(-5000, f"Method {method} is invalid", 400)
        status = {
            "apiKey": self._key or None,
            "authorizedSince": self._authorised,
            "connectedSince": self._since,
            "returnRateLimits": self._tells_limits,
            "serverTime": now,
        }
        return wire.encode(status)

    def _refuse(self, echo: Raw, refusal: Refusal, fields: dict[str, str], method: str = "") -> None:
        fault = wire.encode(wire.Fault(refusal.code, refusal.msg))
        if refusal.retry_after:
            now = self._exchange.now()
            data = b',"data":{"serverTime":%d,"retryAfter":%d}}' % (now, now + refusal.retry_after * 1000)
            fault = fault[:-1] + data
        self._answer(echo, refusal.status, b'"error":' + fault, fields, method)

    def _answer(self, echo: Raw, status: int, body: bytes, fields: dict[str, str], method: str) -> None:
        asked = fields.get("returnRateLimits")
        tells = self._tells_limits if asked is None else asked == "true"
        limits = b',"rateLimits":[%b]' % self._limits(fields, method) if tells else b""
        self._feed.put(b'{"id":%b,"status":%d,%b%b}' % (bytes(echo), status, body, limits))

    def _limits(self, fields: dict[str, str], method: str) -> bytes:
        """What is used of each budget; orders where one was asked for."""
        now, quota = self._exchange.now(), self._exchange.quota
        told = b'{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":%d,"count":%d}' % (
            quota.told(WEIGHT),
            quota.weight(self._address).used(now),
        )
        key, route = fields.get("apiKey") or self._key, SOCKET.get(method.removeprefix("v1/"))
        if route is None or route.orders is None or key not in self._exchange.secrets:
            return told
        ten, minute = quota.orders(key)
        return told + (
            b',{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":%d,"count":%d}'
            b',{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":%d,"count":%d}'
        ) % (quota.told(ORDERS_TEN_SECONDS), ten.used(now), quota.told(ORDERS_MINUTE), minute.used(now))


async def serve(exchange: Exchange, request: web.Request) -> web.WebSocketResponse:
    """A connection to /ws-fapi/v1, from handshake to end."""
    address = request.remote or ""
    exchange.quota.spend(address, HANDSHAKE, exchange.now())
    socket = web.WebSocketResponse(autoping=False, compress=False)
    await socket.prepare(request)
    feed = Feed(socket, "wsapi", "", False)
    session = Session(exchange, feed, address, request.query.get("returnRateLimits") != "false")
    exchange.hub.join(feed)
    async with asyncio.TaskGroup() as group:
        pulse = Pulse(socket, exchange.options.ping, Pace(MOST_PINGS, exchange.options.limits))
        writer, beat = group.create_task(feed.write()), group.create_task(pulse.beat())
        day = asyncio.get_running_loop().call_later(exchange.options.day, feed.end)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await session.receive(message.data)
                elif not await pulse.hear(message):
                    await cut(socket)
                    break
        finally:
            exchange.hub.leave(feed)
            day.cancel()
            beat.cancel()
            writer.cancel()
    return socket
