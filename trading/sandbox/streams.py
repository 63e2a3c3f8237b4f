"""Stream sockets: their paths, their control frames, their life (binance-usdm.md §2)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Raw

from trading.sandbox.exchange import Exchange
from trading.sandbox.feeds import MARKET, PRIVATE, PUBLIC, Feed
from trading.sandbox.pulse import Pace, Pulse, cut

MOST_STREAMS = 1024
MOST_FRAMES = 10
"""Frames a second, control frames, pings and pongs together."""


class Opening(msgspec.Struct, frozen=True):
    """What the URL of a stream socket asks for."""

    route: str
    combined: bool
    names: tuple[str, ...]
    wanted: dict[str, frozenset[str]]
    """Event names by listen key."""


def opening_of(path: str, query: str) -> Opening | None:
    """The parts of a stream URL (§2.3); None for a path that is none."""
    parts = path.strip("/").split("/")
    route = parts.pop(0) if parts[0] in (PUBLIC, MARKET, PRIVATE) else ""
    if not parts or parts[0] not in ("ws", "stream"):
        return None
    combined = parts.pop(0) == "stream"
    # A bare number is a connection's index, not a stream (ccxt numbers its sockets).
    names = [name for name in parts if name and not name.isdigit()]
    wanted: dict[str, frozenset[str]] = {}
    key = ""
    for name, value in parse_qsl(query):
        if name == "streams":
            names += [stream for stream in value.split("/") if stream]
        elif name == "listenKey":
            key = value
            names.append(key)
        elif name == "events" and key:
            wanted[key] = frozenset(event for event in value.split("/") if event)
    return Opening(route, combined, tuple(names), wanted)


async def serve(exchange: Exchange, request: web.Request, opening: Opening) -> web.WebSocketResponse:
    """A stream connection, from handshake to end."""
    exchange.quota.admit(request.remote or "", exchange.now())
    socket = web.WebSocketResponse(autoping=False, compress=False)
    await socket.prepare(request)
    feed = Feed(socket, "stream", opening.route, opening.combined)
    feed.wanted = opening.wanted
    hub, pace = exchange.hub, Pace(MOST_FRAMES, exchange.options.limits)
    pulse = Pulse(socket, exchange.options.ping, pace)
    hub.join(feed)
    for name in opening.names[:MOST_STREAMS]:
        hub.subscribe(feed, name)
    async with asyncio.TaskGroup() as group:
        writer, beat = group.create_task(feed.write()), group.create_task(pulse.beat())
        day = asyncio.get_running_loop().call_later(exchange.options.day, feed.end)
        try:
            async for message in socket:
                is_text = message.type is WSMsgType.TEXT
                if not (pace.allows() if is_text else await pulse.hear(message)):
                    await cut(socket)
                    break
                if is_text:
                    feed.put(control(exchange, feed, message.data))
        finally:
            hub.leave(feed)
            day.cancel()
            beat.cancel()
            writer.cancel()
    return socket


class Frame(msgspec.Struct, frozen=True):
    """A control frame, ids echoed as they came."""

    method: str
    id: Raw = Raw(b"null")
    params: list[Any] | None = None


_DECODER = msgspec.json.Decoder(Frame)


def _error(code: int, text: str) -> bytes:
    return b'{"code":%d,"msg":%b}' % (code, msgspec.json.encode(text))


def _is_id(echo: bytes) -> bool:
    """An unsigned integer; text and null are accepted in practice."""
    return echo.isdigit() or echo.startswith(b'"') or echo == b"null"


def control(exchange: Exchange, feed: Feed, data: str) -> bytes:
    """The answer to one control frame (§2.5)."""
    try:
        frame = _DECODER.decode(data)
    except msgspec.ValidationError as error:
        text = "missing field `method`" if "method" in str(error) else str(error)
        return _error(2, f"Invalid request: {text} at line 1 column {len(data)}")
    except msgspec.DecodeError:
        return _error(3, "Invalid JSON: expected value at line 1 column 1")
    if not _is_id(bytes(frame.id)):
        return _error(2, "Invalid request: request ID must be an unsigned integer")
    params = frame.params or []
    result: object = None
    match frame.method:
        case "SUBSCRIBE" | "UNSUBSCRIBE":
            if not all(isinstance(name, str) for name in params):
                return _error(2, "Invalid request: stream name must be a string")
            if frame.method == "SUBSCRIBE" and len(feed.names) + len(params) > MOST_STREAMS:
                return _error(2, "Invalid request: too many parameters")
            change = exchange.hub.subscribe if frame.method == "SUBSCRIBE" else exchange.hub.unsubscribe
            for name in params:
                change(feed, name)
        case "LIST_SUBSCRIPTIONS":
            result = list(feed.names)
        case "SET_PROPERTY" | "GET_PROPERTY":
            return _property(feed, frame, params)
        case _:
            variants = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
            return _error(
                2,
                f"Invalid request: unknown variant `{frame.method}`, expected one of {variants} "
                f"at line 1 column {len(data)}",
            )
    return b'{"result":%b,"id":%b}' % (msgspec.json.encode(result), bytes(frame.id))


def _property(feed: Feed, frame: Frame, params: list[Any]) -> bytes:
    if not params or not isinstance(params[0], str):
        return _error(2, "Invalid request: property name must be a string")
    if len(params) > (2 if frame.method == "SET_PROPERTY" else 1):
        return _error(2, "Invalid request: too many parameters")
    if params[0] != "combined":
        return _error(0, "Unknown property")
    if frame.method == "GET_PROPERTY":
        return b'{"result":%b,"id":%b}' % (msgspec.json.encode(feed.combined), bytes(frame.id))
    if len(params) < 2 or not isinstance(params[1], bool):
        return _error(1, "Invalid value type: expected Boolean")
    feed.combined = params[1]
    return b'{"result":null,"id":%b}' % bytes(frame.id)
