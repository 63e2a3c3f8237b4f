"""The Binance gateway against everything the venue is known to do: one test per fault, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from storage import accounts
from storage.books import DatabaseBooks
from storage.database import Database
from storage.journal import DatabaseJournal
from tests.gateways import SYMBOL, Bench, Trader, inside, name
from trading.gateways.binance import orders, silence, streams, wire
from trading.gateways.binance.market import MOST_STREAMS, Market
from trading.gateways.binance.rest import Rest
from trading.gateways.catalog import open_gateway
from trading.live.desk import Desk
from trading.messages import Accepted, CancelRefused, Closed, Filled, Quote, Reason, Refused, StopMoved, Uncertain
from trading.model import Environment, MarginMode, Role, Side, StopStatus
from trading.ports import Account, Credentials, Disconnected, Gateway, KeyMayWithdraw, Rejected, Withdrawals
from trading.sandbox.options import Opening

pytestmark = pytest.mark.timeout(60)

GRID = {
    "symbol": SYMBOL, "direction": "NEUTRAL", "lower": "60000", "upper": "70000", "grids": "20",
    "investment": "3000", "leverage": "5",
}  # fmt: skip


def by(trader: Trader) -> str:
    """How orders go."""
    return trader.gateway.health().orders_by


class Calls(list[str]):
    """The REST requests about orders that left, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        attempt = Rest.attempt

        async def counted(rest: Rest, method: str, path: str, *rest_of: Any) -> Any:
            self.append(f"{method} {path.rpartition('/')[2]}")
            return await attempt(rest, method, path, *rest_of)

        monkeypatch.setattr(Rest, "attempt", counted)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


# --------------------------------------------------------------------------- orders over REST


async def test_orders_go_over_rest_while_their_socket_is_down_and_back_when_it_is_up(
    bench: Bench, calls: Calls
) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        await trader.until(lambda: by(trader) == "socket")
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        trader.place(name(1), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(1))
        trader.cancel(name(1))
        assert (await trader.hear(Closed, name(1))).reason is Reason.CANCELLED
        trader.market_order(name(2), Side.BUY)
        await trader.hear(Filled, name(2))
        assert calls == ["POST order", "DELETE order", "POST order"]
        gate.shut(False)
        await trader.until(lambda: by(trader) == "socket")
        trader.place(name(3), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(3))
    assert len(calls) == 3
    assert [up for up, _ in trader.states] == [True], "the account was never down"


async def test_over_rest_placements_go_five_and_cancels_ten_at_a_time(bench: Bench, calls: Calls) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        names = [name(slot) for slot in range(12)]
        for slot, cid in enumerate(names):
            trader.place(cid, Side.BUY, f"{64_000 - slot}.0")
        for cid in names:
            await trader.hear(Accepted, cid)
        assert calls == ["POST batchOrders"] * 2 + ["POST batchOrders"]
        calls.clear()
        for cid in names:
            trader.cancel(cid)
        for cid in names:
            await trader.hear(Closed, cid)
        assert calls == ["DELETE batchOrders", "DELETE batchOrders"]
        assert await trader.gateway.open_orders(SYMBOL) == []


async def test_each_order_of_a_batch_gets_its_own_answer(bench: Bench, calls: Calls) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        trader.place(name(1), Side.BUY, "64000.0")
        trader.place(name(2), Side.BUY, "65500.0")
        trader.place(name(3), Side.BUY, "64000.0", "0.0001")
        trader.place(name(4), Side.BUY, "63000.0")
        await trader.hear(Accepted, name(1))
        await trader.hear(Accepted, name(4))
        assert (await trader.hear(Refused, name(2))).reason is Reason.WOULD_CROSS
        assert (await trader.hear(Refused, name(3))).reason is Reason.FILTER
        for cid in (name(1), name(9), name(4)):
            trader.cancel(cid)
        await trader.hear(Closed, name(1))
        await trader.hear(CancelRefused, name(9))
        await trader.hear(Closed, name(4))
    assert calls == ["POST batchOrders", "DELETE batchOrders"]


@pytest.mark.parametrize(("kind", "is_there"), [("unknown", True), ("lost", False), ("silent", True)])
async def test_a_batch_without_a_clear_answer_is_uncertain_as_a_whole(
    bench: Bench, calls: Calls, kind: str, is_there: bool
) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        await bench.fault(next=[{"kind": kind, "on": "POST /fapi/v1/batchOrders"}])
        names = (name(1), name(2), name(3))
        for cid in names:
            trader.place(cid, Side.BUY, "64000.0")
        for cid in names:
            await trader.hear(Uncertain, cid)
        found = await trader.gateway.snapshot(trader.request(expected=names))
        assert ({order.cid for order in found.orders} == set(names)) is is_there
        assert (found.absent == set(names)) is not is_there
    assert len(calls) == 1, "never sent again"


async def test_with_neither_way_the_account_is_down_and_nothing_leaves(bench: Bench, calls: Calls) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        await bench.fault(maintenance=True)
        gate.shut()
        await trader.until(lambda: not trader.states[-1][0])
        assert by(trader) == ""
        assert trader.gateway.health().why
        trader.place(name(1), Side.BUY, "64000.0")
        trader.cancel(name(2))
        assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED
        await trader.hear(CancelRefused, name(2))
        assert calls == []
        # REST comes back first
        await bench.fault(maintenance=False)
        await trader.until(lambda: trader.states[-1][0], 15)
        assert by(trader) == "rest"
        trader.place(name(1), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(1))
    assert not trader.of(Uncertain)


async def test_an_account_can_start_without_the_order_socket(bench: Bench) -> None:
    async with bench.gate() as gate:
        gate.shut()
        trader = await bench.connected()
        assert by(trader) == "rest"
        trader.place(name(1), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(1))


async def test_an_order_that_waits_for_rest_is_withdrawn_without_a_request(bench: Bench, calls: Calls) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        await bench.fault(delay=300)
        trader.place(name(1), Side.BUY, "64000.0")
        await asyncio.sleep(0.05)
        trader.place(name(2), Side.BUY, "63000.0")
        trader.cancel(name(2))
        assert (await trader.hear(Refused, name(2))).text == "withdrawn"
        await trader.hear(Accepted, name(1))
    assert calls == ["POST order"]


async def test_no_order_goes_both_ways_however_often_the_socket_comes_and_goes(bench: Bench) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        names = [name(slot) for slot in range(120)]
        for slot, cid in enumerate(names):
            trader.place(cid, Side.BUY, f"{64_500 - slot * 10}.0", "0.002")
            if slot % 15 == 7:
                gate.shut(not gate.is_shut)
            await asyncio.sleep(0.01)
        gate.shut(False)
        await trader.until(lambda: by(trader) == "socket", 15)
        answered = {event.cid for kind in (Accepted, Refused, Uncertain) for event in trader.of(kind)}
        assert answered == set(names), "nothing is dropped unsaid"
        assert Reason.DUPLICATE not in {event.reason for event in trader.of(Refused)}, "nothing was sent twice"
        resting = {getattr(order, "cid", None) for _, order in await trader.gateway.open_orders(SYMBOL)}
        assert {event.cid for event in trader.of(Accepted)} <= resting
        refused = {event.cid for event in trader.of(Refused)}
        assert not refused & resting, "what was said to be refused is not there"


# --------------------------------------------------------------------------- private keys


PRIVATE = Ed25519PrivateKey.generate()
PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@asynccontextmanager
async def with_ed25519() -> AsyncIterator[tuple[Bench, Trader]]:
    async with Bench() as bench:
        bench.sandbox.exchange.secrets["edkey"] = PUBLIC
        bench.sandbox.exchange.open_accounts([Opening("edkey", PUBLIC)])
        trader = await bench.connected("edkey", PEM)
        yield bench, trader


async def logged_on(trader: Trader) -> None:
    await trader.until(lambda: inside(trader)._signer.in_session)


async def test_an_ed25519_key_logs_on_once_and_again_after_each_reconnect() -> None:
    async with with_ed25519() as (bench, trader):
        await logged_on(trader)
        assert trader.gateway.health().key_kind == "Ed25519"
        assert b"signature" not in inside(trader)._signer.cancel(1, SYMBOL, name(1), 1)
        trader.market_order(name(1), Side.BUY)
        await trader.hear(Filled, name(1))
        await bench.fault(drop=["wsapi"])
        await trader.until(lambda: by(trader) == "rest")
        trader.place(name(2), Side.BUY, "64000.0")  # REST signs each request
        await trader.hear(Accepted, name(2))
        await logged_on(trader)
        trader.cancel(name(2))
        await trader.hear(Closed, name(2))
        assert (await trader.gateway.snapshot(trader.request())).position.qty == Decimal("0.010")


async def test_a_session_that_the_venue_ends_goes_on_with_signatures() -> None:
    async with with_ed25519() as (_bench, trader):
        await logged_on(trader)
        inside(trader)._orders.on_text(b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}')
        assert b"signature" in inside(trader)._signer.cancel(1, SYMBOL, name(1), 1)
        trader.place(name(1), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(1))


async def test_a_wrong_private_key_is_a_clear_no() -> None:
    wrong = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    async with with_ed25519() as (bench, _):
        with pytest.raises(Rejected):
            await bench.trader("edkey", wrong).connect()


# --------------------------------------------------------------------------- limits and bans


async def test_a_ban_is_obeyed_by_every_account_of_the_address_told_and_ends_by_itself(bench: Bench) -> None:
    first, second = await bench.connected(), await bench.connected("rich", "er")
    await bench.fault(ban=2500)
    first.place(name(1), Side.BUY, "64000.0")
    assert (await first.hear(Refused, name(1))).reason is Reason.THROTTLED
    for trader in (first, second):
        await trader.until(lambda: not trader.states[-1][0])  # noqa: B023 - awaited at once
        assert "banned" in trader.states[-1][1]
        assert trader.gateway.health().banned_until > trader.gateway.now()
    strikes = bench.sandbox.exchange.quota.weight("127.0.0.1").used(bench.sandbox.exchange.now())
    second.place(name(1), Side.BUY, "64000.0")
    second.cancel(name(2))
    await asyncio.sleep(0.5)
    assert bench.sandbox.exchange.quota.weight("127.0.0.1").used(bench.sandbox.exchange.now()) == strikes
    for trader in (first, second):
        await trader.until(lambda: trader.states[-1][0])  # noqa: B023
    first.place(name(1), Side.BUY, "64000.0")
    await first.hear(Accepted, name(1))


async def test_a_ban_for_long_gives_waiting_orders_back(bench: Bench, trader: Trader) -> None:
    inside(trader)._limiter.configure([wire.RateLimit("ORDERS", "SECOND", 1, 1)])
    for slot in range(3):
        trader.place(name(slot), Side.BUY, f"{64_000 - slot}.0")
    inside(trader)._limiter.block(trader.gateway.now() + 300_000, is_ban=True)
    for slot in (1, 2):
        assert (await trader.hear(Refused, name(slot))).reason is Reason.THROTTLED
    trader.place(name(5), Side.BUY, "63000.0")
    assert (await trader.hear(Refused, name(5))).reason is Reason.THROTTLED


async def test_too_many_orders_stop_placements_until_the_window_ends_but_not_cancels(
    bench: Bench, trader: Trader
) -> None:
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))
    text = "Too many new orders; current limit is 300 orders per TEN_SECONDS."
    await bench.fault(
        next=[{"kind": "refuse", "code": -1015, "status": 429, "msg": text, "retry_after": 1, "on": "order.place"}]
    )
    trader.place(name(2), Side.BUY, "63000.0")
    assert (await trader.hear(Refused, name(2))).reason is Reason.THROTTLED
    began = time.monotonic()
    trader.place(name(2), Side.BUY, "63000.0")
    trader.cancel(name(1))
    await trader.hear(Closed, name(1))
    assert time.monotonic() - began < 0.5
    assert not trader.of(Accepted, name(2))
    await trader.hear(Accepted, name(2))
    assert time.monotonic() - began > 0.7
    assert trader.states == [(True, "")]


async def test_under_overload_openings_come_more_slowly_and_closings_at_once(bench: Bench, trader: Trader) -> None:
    trader.market_order(name(Role.OPEN), Side.BUY)
    await trader.hear(Filled, name(Role.OPEN))
    await bench.fault(next=[{"kind": "refuse", "code": -1008, "status": 503, "on": "order.place", "count": 2}])
    pauses = []
    for slot in (1, 2, 3):
        began = time.monotonic()
        trader.place(name(slot), Side.BUY, "64000.0")
        await trader.until(lambda: bool(trader.of(Refused, name(slot)) or trader.of(Accepted, name(slot))))  # noqa: B023
        pauses.append(time.monotonic() - began)
    assert [bool(trader.of(Refused, name(slot))) for slot in (1, 2, 3)] == [True, True, False]
    assert 0.2 < pauses[1] < 0.45
    assert 0.45 < pauses[2] < 0.9, "each time twice as long"
    await bench.fault(next=[{"kind": "refuse", "code": -1008, "status": 503, "on": "order.place"}])
    trader.place(name(4), Side.BUY, "64000.0")
    await trader.hear(Refused, name(4))
    began = time.monotonic()
    trader.market_order(name(Role.CLOSE), Side.SELL, reduce_only=True)
    await trader.hear(Filled, name(Role.CLOSE))
    assert time.monotonic() - began < 0.3


@pytest.mark.parametrize(
    ("text", "is_uncertain"),
    [
        ("Unknown error, please check your request or try again later.", True),
        ("Service Unavailable.", False),
        ("Internal error; unable to process your request. Please try again.", False),
        ("Request throttled by system-level protection. Reduce-only/close-position orders are exempt.", False),
    ],
)
async def test_of_the_four_503s_only_one_leaves_a_doubt(
    bench: Bench, trader: Trader, text: str, is_uncertain: bool
) -> None:
    code = -1008 if "throttled" in text else -1000
    for on in ("order.place", "POST /fapi/v1/leverage"):
        await bench.fault(next=[{"kind": "refuse", "code": code, "status": 503, "msg": text, "on": on}])
    trader.place(name(1), Side.BUY, "64000.0")
    if is_uncertain:
        await trader.hear(Uncertain, name(1))
    else:
        assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED
    # a setting may be made twice, so it is tried again whatever the 503 says
    await trader.gateway.prepare(SYMBOL, 9, MarginMode.CROSS)
    assert (await trader.gateway.position(SYMBOL)).leverage == 9


# --------------------------------------------------------------------------- days, silence, maintenance


async def test_the_end_of_a_day_closes_every_socket_and_all_come_back(bench: Bench, trader: Trader) -> None:
    quotes: list[Any] = []

    def hear(symbol: str, event: Any) -> None:
        quotes.append(event)

    await trader.gateway.watch(SYMBOL, hear)
    await trader.until(lambda: len(bench.sandbox.exchange.hub.feeds) == 4)
    old = set(bench.sandbox.exchange.hub.feeds)
    await bench.fault(close=["user", "market", "wsapi"])
    await trader.until(lambda: len(set(bench.sandbox.exchange.hub.feeds) - old) == 4)
    await trader.until(lambda: trader.states[-1][0] and by(trader) == "socket")
    await asyncio.sleep(0.3)
    quotes.clear()
    await bench.move("65100")
    await trader.until(lambda: any(isinstance(event, Quote) and event.bid > 65_000 for event in quotes))
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchman who loses patience quickly."""
    for what, seconds in (("LOOK", 0.1), ("SPOKEN_FOR", 0.4), ("QUIET", 0.5), ("SECOND_LOOK", 0.2)):
        monkeypatch.setattr(silence, what, seconds)
    monkeypatch.setattr(silence, "MARKS", 2.5)


@pytest.mark.usefixtures("soon")
async def test_a_user_stream_that_says_nothing_of_an_accepted_order_is_opened_anew(bench: Bench) -> None:
    trader = await bench.connected()
    await asyncio.sleep(0.5)
    await bench.fault(stall={"user": 60_000})
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))
    await trader.until(lambda: [up for up, _ in trader.states] == [True, False, True])
    trader.market_order(name(2), Side.BUY)
    await trader.hear(Filled, name(2))


@pytest.mark.usefixtures("soon")
async def test_a_user_stream_without_news_is_left_alone(bench: Bench) -> None:
    trader = await bench.connected()
    for slot in range(4):
        trader.place(name(slot), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(slot))
        await asyncio.sleep(0.3)
    await asyncio.sleep(1)
    assert [up for up, _ in trader.states] == [True]


@pytest.mark.usefixtures("soon")
async def test_a_quote_stream_that_missed_a_move_is_opened_anew_and_rest_tells_the_price(bench: Bench) -> None:
    trader = await bench.connected()
    quotes: list[Any] = []
    await trader.gateway.watch(SYMBOL, lambda symbol, event: quotes.append(event))
    route = inside(trader)._market.route_of(SYMBOL)
    await trader.until(lambda: route.stream.is_open)
    first = route.stream.socket
    await asyncio.sleep(1.2)
    assert route.stream.socket is first, "a quiet market is no silent stream"
    await bench.fault(stall={"market": 60_000})
    await bench.move("65100")
    await trader.until(lambda: any(isinstance(event, Quote) and event.bid > 65_000 for event in quotes))
    await trader.until(lambda: route.stream.is_open and route.stream.socket is not first)
    await trader.until(lambda: inside(trader)._market._marks[0].stream.is_open)
    quotes.clear()
    await asyncio.sleep(0.3)
    await bench.move("65200")
    await trader.until(lambda: any(isinstance(event, Quote) and event.bid > 65_100 for event in quotes))


@pytest.mark.usefixtures("soon")
async def test_mark_prices_that_stay_away_open_their_stream_anew(bench: Bench) -> None:
    trader = await bench.connected()
    await trader.gateway.watch(SYMBOL, lambda symbol, event: None)
    route = inside(trader)._market._marks[0]
    await trader.until(lambda: route.stream.is_open)
    first = route.stream.socket
    await asyncio.sleep(3)
    assert route.stream.socket is first, "marks come each second"
    await bench.fault(stall={"market": 60_000})
    await trader.until(lambda: route.stream.is_open and route.stream.socket is not first)


async def test_an_order_socket_that_answers_nothing_is_given_up(
    bench: Bench, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "TIMEOUT", 0.4)
    await bench.fault(stall={"wsapi": 60_000})
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Uncertain, name(1))
    await trader.until(lambda: by(trader) == "rest")
    trader.place(name(2), Side.BUY, "63000.0")
    await trader.hear(Accepted, name(2))
    await trader.until(lambda: by(trader) == "socket")
    found = await trader.gateway.snapshot(trader.request(expected=(name(1), name(2))))
    assert {order.cid for order in found.orders} == {name(1), name(2)}


async def test_a_peer_that_no_longer_answers_pings_is_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PING", 0.3)
    monkeypatch.setattr(streams, "PONG", 0.3)
    async with bench.gate() as gate:
        trader = await bench.connected()
        await trader.until(lambda: by(trader) == "socket")
        await asyncio.sleep(1)
        assert by(trader) == "socket"
        old = inside(trader)._order_stream.socket
        gate.deafen()
        await trader.until(lambda: by(trader) == "rest")
        await trader.until(lambda: by(trader) == "socket" and inside(trader)._order_stream.socket is not old)
        trader.place(name(1), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(1))


async def test_a_shutdown_that_is_announced_is_not_waited_for(trader: Trader) -> None:
    inside(trader)._on_user_text(b'{"e":"serverShutdown","E":1790000000000}')
    await trader.until(lambda: [up for up, _ in trader.states] == [True, False, True])


async def test_a_ban_met_at_the_door_of_a_socket_is_obeyed(bench: Bench, trader: Trader) -> None:
    await bench.fault(ban=2000)
    await bench.fault(drop=["wsapi"])
    await trader.until(lambda: not trader.states[-1][0])
    assert "banned" in trader.states[-1][1]
    await trader.until(lambda: trader.states[-1][0] and by(trader) == "socket")
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))


async def test_maintenance_is_survived(bench: Bench, trader: Trader) -> None:
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))
    await bench.fault(maintenance=True, drop=["user", "wsapi"])
    await trader.until(lambda: not trader.states[-1][0])
    with pytest.raises(Disconnected):
        await trader.gateway.snapshot(trader.request())
    await bench.fault(maintenance=False)
    await trader.until(lambda: trader.states[-1][0], 15)
    found = await trader.gateway.snapshot(trader.request(expected=(name(1),)))
    assert [order.cid for order in found.orders] == [name(1)]


# --------------------------------------------------------------------------- many symbols


async def test_a_thousand_symbols_keep_to_the_pace_and_more_take_a_second_connection(bench: Bench) -> None:
    """The sandbox ends a connection that sends more than ten control frames a second, as the venue does."""
    market = Market(bench.endpoints.streams)
    tasks = [asyncio.create_task(route.run()) for route in market.routes]
    downs: list[str] = []
    for route in market.routes:
        route.stream._on_down = downs.append

    def heard(symbol: str, event: Any) -> None:
        pass

    def names() -> list[int]:
        return sorted(len(feed.names) for feed in bench.sandbox.exchange.hub.feeds)

    try:
        for number in range(MOST_STREAMS):
            market.watch(f"S{number}USDT", heard)
        async with asyncio.timeout(10):
            while names() != [1000, 1000]:
                await asyncio.sleep(0.05)
        for number in range(MOST_STREAMS, MOST_STREAMS + 30):
            market.watch(f"S{number}USDT", heard)
        async with asyncio.timeout(10):
            while names() != [30, 30, 1000, 1000]:
                await asyncio.sleep(0.05)
        for number in range(0, MOST_STREAMS, 2):
            market.unwatch(f"S{number}USDT", heard)
        async with asyncio.timeout(10):
            while names() != [30, 30, 500, 500]:
                await asyncio.sleep(0.05)
        assert downs == []
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        market.close()


# --------------------------------------------------------------------------- stops


async def opened(trader: Trader) -> None:
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))


@pytest.mark.parametrize(("kind", "is_there"), [("unknown", True), ("silent", True), ("lost", False)])
async def test_a_stop_without_a_clear_answer_is_asked_about_and_never_placed_twice(
    bench: Bench, trader: Trader, calls: Calls, kind: str, is_there: bool
) -> None:
    await opened(trader)
    await bench.fault(next=[{"kind": kind, "on": "POST /fapi/v1/algoOrder"}])
    placing = trader.gateway.place_stop(SYMBOL, Side.SELL, Decimal(60_000), client_algo_id="sl")
    if is_there:
        assert (await placing).status is StopStatus.WAITING
    else:
        with pytest.raises(Disconnected):
            await placing
    assert len(await trader.gateway.stops(SYMBOL)) == is_there
    assert calls == ["POST algoOrder"]


async def test_a_stop_of_a_quantity_reduces_by_that_much(bench: Bench, trader: Trader) -> None:
    await opened(trader)
    placed = await trader.gateway.place_stop(
        SYMBOL, Side.SELL, Decimal(64_000), close_position=False, client_algo_id="part", qty=Decimal("0.004")
    )
    assert placed.qty == Decimal("0.004")
    await bench.move("63900")
    await trader.until(lambda: trader.of(StopMoved)[-1].stop.status is StopStatus.DONE)
    assert (await trader.gateway.position(SYMBOL)).qty == Decimal("0.006")


async def test_a_stop_is_placed_with_the_right_time_after_the_clock_went_wrong(bench: Bench, trader: Trader) -> None:
    await opened(trader)
    await bench.fault(skew=60_000)
    placed = await trader.gateway.place_stop(SYMBOL, Side.SELL, Decimal(60_000), client_algo_id="sl")
    assert placed.status is StopStatus.WAITING


# --------------------------------------------------------------------------- what a key may do


@asynccontextmanager
async def permissions(answer: Any, status: int = 200) -> AsyncIterator[str]:
    """A venue's key service that answers so; its address."""

    async def restrictions(request: web.Request) -> web.Response:
        assert request.headers["X-MBX-APIKEY"]
        assert {"timestamp", "signature"} <= set(request.query)
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_get("/sapi/v1/account/apiRestrictions", restrictions)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def may(withdraw: bool) -> dict[str, Any]:
    return {"ipRestrict": False, "createTime": 1, "enableReading": True, "enableWithdrawals": withdraw}


async def test_a_key_that_may_withdraw_is_refused_unless_that_is_allowed(bench: Bench) -> None:
    async with permissions(may(True)) as bench.elsewhere["keys"]:
        with pytest.raises(KeyMayWithdraw):
            await bench.trader().connect()
        trader = bench.trader(allow_withdraw=True)
        await trader.connect()
        assert trader.gateway.health().withdrawals is Withdrawals.ALLOWED


async def test_a_key_that_may_not_withdraw_is_known_to_be_safe(bench: Bench) -> None:
    async with permissions(may(False)) as bench.elsewhere["keys"]:
        trader = await bench.connected()
        assert trader.gateway.health().withdrawals is Withdrawals.FORBIDDEN


@pytest.mark.parametrize("answer", ["refused", "garbage", "nobody", "nowhere"])
async def test_that_nobody_could_be_asked_is_said(
    bench: Bench, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    status, body = (400, refusal) if answer == "refused" else (200, {"what": 1})
    async with permissions(body, status) as address:
        bench.elsewhere["keys"] = {"nobody": "http://127.0.0.1:9", "nowhere": ""}.get(answer, address)
        trader = await bench.connected()
    assert trader.gateway.health().withdrawals is Withdrawals.UNKNOWN
    assert "withdrawals_unknown" in capsys.readouterr().out


# --------------------------------------------------------------------------- a whole grid


async def test_a_grid_trades_on_while_its_order_socket_comes_and_goes(tmp_path: Path) -> None:
    """Fills are answered over REST meanwhile: every level has one order, and no name was used twice."""
    async with Bench() as bench, bench.gate() as gate:
        database = Database(f"sqlite:///{tmp_path}/t.db")
        await database.open()
        account = await accounts.ensure(database, 1, "demo", "binance", Environment.DEMO, 1, bench.endpoints)
        journal = DatabaseJournal(database)

        async def opener(of: Account) -> Gateway:
            return open_gateway(of, Credentials("key", "secret"))

        desk = Desk(DatabaseBooks(database), journal, opener, lambda: time.time_ns() // 1_000_000)
        writing = asyncio.create_task(journal.run())
        await desk.open()

        async def until(condition: Callable[[], bool]) -> None:
            async with asyncio.timeout(20):
                while not condition():
                    await asyncio.sleep(0.01)

        venue = bench.sandbox.exchange.venue
        try:
            await until(lambda: desk.health()[0].ok)
            bot = await desk.create(1, account.id, GRID, "once")
            await desk.start(bot, 1, confirmed=True)
            await until(lambda: len(venue.open_orders("key", SYMBOL)) == 20)
            for step, price in enumerate(("64200", "65000", "63700", "65400", "64700", "66000", "65000")):
                gate.shut(step % 2 == 0)
                await bench.move(price)
                fills = len(venue.trades("key", SYMBOL))
                await until(lambda: desk.card(bot).fills == fills)  # noqa: B023 - awaited at once
                await until(lambda: len(venue.open_orders("key", SYMBOL)) == 20)
            names = [order.client_id for order in venue.all_orders("key")]
            assert len(names) == len(set(names))
            assert desk.card(bot).position == venue.position("key", SYMBOL).qty
            assert desk.card(bot).status == "RUNNING"
            assert desk.card(bot).pairs >= 3
        finally:
            await desk.close()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await journal.close()
            await database.close()
