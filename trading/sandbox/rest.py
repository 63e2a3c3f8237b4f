"""REST: requests over HTTP, checked, executed and answered as Binance does (binance-usdm.md §3, §4)."""

from __future__ import annotations

from aiohttp import web

from trading.core.venue import VenueError
from trading.gateways.binance import wire
from trading.sandbox import auth
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.faults import refusal_of
from trading.sandbox.refusal import Refusal
from trading.sandbox.routes import REST, RETIRED, Route, Security


class Silence(Exception):
    """A fault: the request was executed and nobody hears of it."""


async def answer(exchange: Exchange, request: web.Request) -> web.Response:
    """The response to any request that is no socket."""
    key = request.headers.get("X-MBX-APIKEY")
    address = request.remote or ""
    route: Route | None = None
    extra: dict[str, str] = {}
    try:
        route = _route(request.method, request.path)
        status, payload = 200, await _execute(exchange, request, route, key, address)
    except Refusal as refusal:
        status, payload, extra = _refused(refusal)
    except VenueError as error:
        status, payload, extra = _refused(Refusal(error.code, error.text))
    except ArithmeticError:  # a number that no check had in mind
        status, payload, extra = _refused(Refusal(-1000))
    except Silence:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    counted = key if route is not None and route.orders and key in exchange.secrets else None
    headers = exchange.quota.headers(address, counted, exchange.now()) | extra
    return web.Response(body=payload, status=status, headers=headers, content_type="application/json")


def _refused(refusal: Refusal) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and more headers."""
    extra = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else {}
    return refusal.status, wire.encode(wire.Fault(refusal.code, refusal.msg)), extra


def _route(method: str, path: str) -> Route:
    found = REST.get((method, path))
    if found is not None:
        return found
    if method == "GET" and path in RETIRED:
        raise Refusal(-5000, f"GET {path} is retired, please use GET {RETIRED[path]}", 404)
    raise Refusal(-5000, f"Path {path}, Method {method} is invalid", 404)


async def _execute(exchange: Exchange, request: web.Request, route: Route, key: str | None, address: str) -> bytes:
    if exchange.faults.maintenance:
        raise Refusal(-1016, "Service Unavailable.", 503)
    query = request.raw_path.partition("?")[2].encode()
    body = await request.read() if request.method != "GET" and request.can_read_body else b""
    fields = auth.parsed(body) | auth.parsed(query)
    now = exchange.now()
    exchange.heard.add(f"{request.method} {request.path}")
    exchange.quota.spend(address, route.cost(fields), now)
    if route.is_funding:
        exchange.quota.spend_funding(address, now)
    account = ""
    if route.security is not Security.NONE:
        secret = exchange.secret_of(key)
        account = key or ""
        if route.needs is not None:
            route.needs(fields)
        if route.security is Security.SIGNED:
            auth.check_clock(fields, now)
            auth.check_rest(secret, query, body, exchange.options.strict_encoding)
    caller = Caller(account, address)
    if not route.acts:
        return encoded(route.op(exchange, caller, fields))
    await exchange.faults.wait()
    return act(exchange, route, caller, fields, f"{request.method} {request.path}")


def act(exchange: Exchange, route: Route, caller: Caller, fields: dict[str, str], name: str) -> bytes:
    """Execute a request that changes something, with whatever fault strikes it."""
    exchange.act()
    if route.orders is not None:
        auth.check_engine(fields, exchange.now())
        exchange.quota.order(caller.account, *route.orders, exchange.now())
    fault = exchange.faults.take(name)
    if fault is not None and fault.kind in ("refuse", "lost"):
        raise refusal_of(fault)
    try:
        payload = encoded(route.op(exchange, caller, fields))
    finally:
        exchange.flush_soon()
    if fault is None:
        return payload
    if fault.kind == "silent":
        raise Silence
    raise refusal_of(fault)


def encoded(result: object) -> bytes:
    return result if isinstance(result, bytes) else wire.encode(result)
