"""The sandbox's own doors, open on loopback only: books, market and faults under /sandbox/."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import ip_address
from typing import TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct, field

from trading.core.venue import PositionSide, VenueError
from trading.gateways.binance import wire
from trading.sandbox import accounts, conditional, faults, holdings, shapes
from trading.sandbox.drive import Drive, reach
from trading.sandbox.exchange import Exchange
from trading.sandbox.refusal import Refusal


class Move(Struct, forbid_unknown_fields=True):
    """A price to go to."""

    symbol: str
    price: Decimal


class Settlement(Struct, forbid_unknown_fields=True):
    """A funding to settle now."""

    symbol: str
    rate: Decimal


class Halt(Struct, forbid_unknown_fields=True):
    """A symbol whose trading status changes: TRADING, SETTLING, PENDING_TRADING, …"""

    symbol: str
    status: str


class Deleveraging(Struct, forbid_unknown_fields=True):
    """A position that the system closes; 0 = all of it."""

    account: str
    symbol: str
    qty: Decimal = Decimal(0)
    position_side: PositionSide = field(name="positionSide", default=PositionSide.BOTH)


class Command(Struct, forbid_unknown_fields=True):
    """What POST /sandbox/market takes."""

    go: bool = False
    reach: Move | None = None
    funding: Settlement | None = None
    mark: Move | None = None
    """The mark price from now on; 0 = derived from the market again."""
    halt: Halt | None = None
    adl: Deleveraging | None = None


def is_local(request: web.Request) -> bool:
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


async def answer(exchange: Exchange, drive: Drive, request: web.Request) -> web.Response:
    """The response to a request under /sandbox/."""
    try:
        if not is_local(request):
            raise Refusal(-2015, "Only on loopback.", 403)
        payload = await _execute(exchange, drive, request)
    except Refusal as refusal:
        body = wire.encode(wire.Fault(refusal.code, refusal.msg))
        return web.Response(body=body, status=refusal.status, content_type="application/json")
    return web.Response(body=payload, content_type="application/json")


async def _execute(exchange: Exchange, drive: Drive, request: web.Request) -> bytes:
    match request.method, request.path:
        case "GET", "/sandbox/books":
            return books(exchange, request.query.get("account", ""))
        case "GET", "/sandbox/heard":
            return wire.encode(sorted(exchange.heard | exchange.hub.heard))
        case "GET", "/sandbox/market":
            return wire.encode(_market(exchange, drive))
        case "POST", "/sandbox/market":
            return wire.encode(_move(exchange, drive, _decoded(await request.read(), Command)))
        case "POST", "/sandbox/faults":
            return wire.encode(_switch(exchange, _decoded(await request.read(), faults.Order), request.remote or ""))
    raise Refusal(-5000, f"Path {request.path}, Method {request.method} is invalid", 404)


T = TypeVar("T")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Refusal(-1102, str(error)) from None


def books(exchange: Exchange, account: str) -> bytes:
    """Everything an account has and had, at one instant, unpaged, in the shapes of the API."""
    if account not in exchange.venue.accounts:
        raise Refusal(-2015, "No such account.", 404)
    venue, rules = exchange.venue, exchange.rules
    return wire.encode(
        {
            "orders": [shapes.order_row(order, rules[order.symbol]) for order in venue.all_orders(account)],
            "algos": [conditional.row(algo, rules[algo.request.symbol]) for algo in exchange.algos.all_orders(account)],
            "fills": [shapes.trade_row(trade, rules[trade.symbol]) for trade in venue.trades(account)],
            "income": [shapes.income_row(row) for row in venue.income(account)],
            "balances": holdings.balances(account, venue.funds(account)),
            "positions": accounts.risk_rows(exchange, account),
        }
    )


def _market(exchange: Exchange, drive: Drive) -> dict[str, object]:
    return {
        "held": drive.is_held,
        "over": drive.is_over,
        "passed": drive.passed,
        "time": drive.time,
        "standing": bool(exchange.filled),
        "last": {
            symbol: shapes.fixed(exchange.venue.last(symbol), rules.price_precision)
            for symbol, rules in exchange.rules.items()
        },
        "seed": exchange.options.seed,
        "speed": exchange.options.speed,
        "replay": list(exchange.options.replay),
    }


def _move(exchange: Exchange, drive: Drive, command: Command) -> dict[str, object]:
    if command.go:
        drive.go()
    try:
        if command.reach is not None:
            reach(exchange, _listed(exchange, command.reach.symbol), command.reach.price)
        if command.funding is not None:
            symbol = _listed(exchange, command.funding.symbol)
            exchange.settle_funding(symbol, command.funding.rate, exchange.now())
        if command.mark is not None:
            exchange.venue.set_mark(_listed(exchange, command.mark.symbol), command.mark.price, exchange.now())
        if command.halt is not None:
            exchange.set_status(_listed(exchange, command.halt.symbol), command.halt.status)
        if command.adl is not None:
            adl = command.adl
            symbol = _listed(exchange, adl.symbol)
            exchange.venue.deleverage(adl.account, symbol, adl.qty, exchange.now(), adl.position_side)
        exchange.flush()
    except VenueError as error:
        raise Refusal(error.code, error.text) from None
    except KeyError:
        raise Refusal(-2015, "No such account.", 404) from None
    return _market(exchange, drive)


def _listed(exchange: Exchange, symbol: str) -> str:
    if symbol not in exchange.rules:
        raise Refusal(-1121)
    return symbol


def _switch(exchange: Exchange, order: faults.Order, address: str) -> dict[str, object]:
    """Switch faults; what happens at once is told with its count."""
    exchange.faults.switch(order)
    if order.ban is not None or order.clear:
        exchange.quota.pardon()
    if order.ban:
        exchange.quota.ban(address, order.ban, exchange.now())
    if order.skip_depth is not None:
        exchange.publisher.skips = order.skip_depth
    feeds = list(exchange.hub.feeds)
    for feed in faults.chosen(feeds, order.close):
        feed.end()
    for where, length in order.stall.items():
        for feed in faults.chosen(feeds, [where]):
            feed.stall(length / 1000)
    for account in order.expire_listen_key:
        key = exchange.listen_keys.close(account)
        if key is not None:
            exchange.expire_key(key)
    try:
        for account, order_id in order.expire_orders:
            exchange.venue.expire(account, order_id, "6", exchange.now())
    except (VenueError, KeyError):
        raise Refusal(-2011) from None
    finally:
        exchange.flush()
    return {"dropped": exchange.drop(faults.chosen(feeds, order.drop)), "sockets": len(feeds)}
