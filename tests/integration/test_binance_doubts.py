"""The Binance gateway in doubt: nothing is lost, nothing sent twice, nothing waits for ever."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from tests.gateways import SYMBOL, Bench, Trader, inside, name
from tests.integration.test_binance_faults import Calls, by, logged_on, with_ed25519
from tests.sandboxes import Client, now
from trading.gateways.binance import history, orders, rest, wire
from trading.gateways.binance.rest import Clock, Rest
from trading.gateways.binance.signing import Signer
from trading.gateways.binance.streams import Stream
from trading.gateways.limiter import Limiter
from trading.messages import Accepted, CancelRefused, Closed, Event, Filled, Quote, Reason, Refused, Uncertain
from trading.model import MarginMode, Side, StopStatus
from trading.ports import Credentials, Disconnected, NotListed, RateLimited, Rejected, TradingError

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@asynccontextmanager
async def server(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Rest]:
    """A venue of which only REST exists, and that answers so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rest = Rest(f"http://127.0.0.1:{runner.addresses[0][1]}", Signer(Credentials("k", "s")), Limiter(), Clock())
    try:
        yield rest
    finally:
        await rest.close()
        await runner.cleanup()


# --------------------------------------------------------------------------- answers


@pytest.mark.parametrize("more", ['"result":{"orderId":"what"}', '"result":null', '"rateLimits":[]'])
async def test_a_success_that_cannot_be_read_is_a_doubt(bench: Bench, trader: Trader, more: str) -> None:
    await bench.fault(next=[{"kind": "silent", "on": "order.place"}])
    trader.place(name(1), Side.BUY, "64000.0")
    await asyncio.sleep(0.1)
    [number] = inside(trader)._orders._pending
    inside(trader)._orders.on_text(f'{{"id":"{number}","status":200,{more}}}'.encode())
    await trader.hear(Uncertain, name(1))
    assert not trader.of(Refused)


async def test_an_order_refused_for_want_of_a_session_is_sent_again_with_its_signature() -> None:
    """A session may end at any time (§3.4): that is no refusal of the keys, which would pause every bot."""
    async with with_ed25519() as (bench, trader):
        await logged_on(trader)
        await bench.fault(next=[{"kind": "refuse", "code": -2015, "status": 401, "on": "order.place"}])
        trader.place(name(1), Side.BUY, "64000.0")
        assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED
        assert b"signature" in inside(trader)._signer.cancel(1, SYMBOL, name(1), 1)
        trader.place(name(1), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(1))
        # and with its own signature it is the keys
        await bench.fault(next=[{"kind": "refuse", "code": -2015, "status": 401, "on": "order.place"}])
        trader.place(name(2), Side.BUY, "64000.0")
        assert (await trader.hear(Refused, name(2))).reason is Reason.NOT_ALLOWED


async def test_every_order_that_was_on_its_way_when_the_session_ended_may_be_sent_again() -> None:
    async with with_ed25519() as (bench, trader):
        await logged_on(trader)
        await bench.fault(next=[{"kind": "refuse", "code": -2015, "status": 401, "on": "order.place"}] * 3)
        for slot in range(3):
            trader.place(name(slot), Side.BUY, f"{64_000 - slot}.0")
        for slot in range(3):
            assert (await trader.hear(Refused, name(slot))).reason is Reason.THROTTLED


async def test_a_logon_outside_the_window_sets_the_clock() -> None:
    async with with_ed25519() as (bench, trader):
        await logged_on(trader)
        await bench.fault(skew=60_000, drop=["wsapi"])
        await trader.until(lambda: ahead(trader) > 50_000)


async def test_a_fill_before_its_own_answer_and_everything_twice_is_told_as_it_came(
    bench: Bench, trader: Trader
) -> None:
    await bench.fault(stall={"wsapi": 300}, duplicate=20)
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1), 2)
    answered = [type(event) for _, event in trader.events]
    assert Filled in answered
    await trader.until(lambda: inside(trader)._orders.accepted == 1)
    assert {fill.trade for fill in trader.of(Filled)} == {trader.of(Filled)[0].trade}


async def test_a_cancel_that_comes_too_late_leaves_the_fill(bench: Bench, trader: Trader) -> None:
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))
    await bench.fault(delay=300)
    trader.cancel(name(1))
    await asyncio.sleep(0.05)
    await bench.move("63900")
    fill = await trader.hear(Filled, name(1))
    await trader.until(lambda: any(getattr(event, "code", 0) == -2011 for _, event in trader.events))
    assert not trader.of(Closed, name(1))
    found = await trader.gateway.snapshot(trader.request(expected=(name(1),)))
    assert found.fills == (fill,)


# --------------------------------------------------------------------------- doubts


async def test_a_doubted_name_is_not_called_absent_before_its_request_is_out_of_date(
    bench: Bench, trader: Trader
) -> None:
    """A request may be executed as long as its window is open: 5 s. Placed again before, it could be there twice."""
    await bench.fault(next=[{"kind": "lost", "on": "order.place"}])
    began = time.monotonic()
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Uncertain, name(1))
    found = await trader.gateway.snapshot(trader.request(expected=(name(1), name(2))))
    assert found.absent == {name(1), name(2)}
    assert 5 < time.monotonic() - began < 8
    began = time.monotonic()
    found = await trader.gateway.snapshot(trader.request(expected=(name(3),)))
    assert found.absent == {name(3)}
    assert time.monotonic() - began < 3, "what was never sent is not waited for"


async def test_while_the_socket_is_well_a_hanging_rest_holds_up_no_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "TIMEOUT", aiohttp.ClientTimeout(total=1.0, connect=0.5))
    async with bench.gate() as gate, bench.gate("rest") as hanging:
        trader = await bench.connected()
        await trader.until(lambda: by(trader) == "socket")
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        hanging.deafen(newcomers=True)
        for slot in range(30):
            trader.place(name(slot), Side.BUY, f"{64_000 - slot}.0")
        gate.shut(False)
        await trader.until(lambda: inside(trader)._order_stream.is_open)
        trader.place(name(50), Side.BUY, "63000.0")
        began = time.monotonic()
        await trader.hear(Accepted, name(50))
        assert time.monotonic() - began < 2.5
        first, rest_of = {name(slot) for slot in range(5)}, {name(slot) for slot in (*range(5, 30), 50)}
        await trader.until(lambda: {event.cid for event in trader.of(Accepted)} == rest_of)
        await trader.until(lambda: {event.cid for event in trader.of(Uncertain)} == first)


# --------------------------------------------------------------------------- bans and limits


@pytest.mark.parametrize(("status", "code"), [(418, -1003), (429, -1003)])
async def test_what_waits_for_rest_is_not_sent_against_a_limit(
    bench: Bench, calls: Calls, status: int, code: int
) -> None:
    async with bench.gate() as gate:
        trader = await bench.connected()
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        until = trader.gateway.now() + 1_500
        text = f"Way too many requests; IP banned until {until}."
        on = "POST /fapi/v1/batchOrders"
        await bench.fault(next=[{"kind": "refuse", "code": code, "status": status, "msg": text, "on": on}])
        await bench.fault(delay=100)
        names = [name(slot) for slot in range(25)]
        for slot, cid in enumerate(names):
            trader.place(cid, Side.BUY, f"{64_000 - slot}.0")
        await trader.hear(Refused, name(0))
        await asyncio.sleep(0.5)
        assert calls == ["POST batchOrders"]
        answers = (Accepted, Refused, Uncertain)
        await trader.until(lambda: {e.cid for kind in answers for e in trader.of(kind)} == set(names))
        assert not trader.of(Uncertain)
        if status == 429:
            assert len(trader.of(Accepted)) >= 20, "what waited leaves when it may"


async def test_stops_are_not_placed_or_cancelled_against_a_ban(trader: Trader, calls: Calls) -> None:
    inside(trader)._limiter.block(trader.gateway.now() + 300_000, is_ban=True)
    began = time.monotonic()
    with pytest.raises(RateLimited):
        await trader.gateway.place_stop(SYMBOL, Side.SELL, Decimal(60_000), client_algo_id="sl")
    with pytest.raises(RateLimited):
        await trader.gateway.cancel_stop(SYMBOL, "sl")
    assert time.monotonic() - began < 1
    assert calls == []


async def test_a_stop_is_given_up_only_when_it_can_no_longer_arrive(bench: Bench, trader: Trader) -> None:
    await bench.fault(next=[{"kind": "lost", "on": "POST /fapi/v1/algoOrder"}])
    began = time.monotonic()
    with pytest.raises(Disconnected):
        await trader.gateway.place_stop(SYMBOL, Side.SELL, Decimal(60_000), client_algo_id="sl")
    assert time.monotonic() - began > orders.VALID


async def test_a_stop_whose_answer_cannot_be_read_is_asked_about(
    bench: Bench, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))
    attempt = Rest.attempt

    async def garbled(rest: Rest, *args: Any) -> Any:
        reply = await attempt(rest, *args)
        return type(reply)(reply.status, b"<html>", reply.retry_after)

    monkeypatch.setattr(Rest, "attempt", garbled)
    placed = await trader.gateway.place_stop(SYMBOL, Side.SELL, Decimal(60_000), client_algo_id="sl")
    assert placed.status is StopStatus.WAITING


# --------------------------------------------------------------------------- the clock


def ahead(trader: Trader) -> int:
    """How far the gateway's time is ahead of the machine's, ms."""
    return trader.gateway.now() - now()


async def test_waiting_for_leave_to_ask_does_not_set_the_clock_wrong(trader: Trader) -> None:
    gateway = inside(trader)
    gateway._limiter.block(gateway.now() + 1_200)
    await gateway._rest.sync()
    assert abs(ahead(trader)) < 200


async def test_a_gateway_that_asked_nobody_yet_goes_by_the_machines_clock(bench: Bench) -> None:
    assert abs(ahead(bench.trader())) < 200


@pytest.mark.parametrize("hours", [8, -8])
async def test_a_step_of_the_machines_clock_is_none_of_the_venues(
    bench: Bench, trader: Trader, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    stepped = SimpleNamespace(**vars(time))
    stepped.time_ns = lambda: time.time_ns() + hours * 3_600_000_000_000
    monkeypatch.setattr(rest, "time", stepped)
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))
    await inside(trader)._rest.sync()
    assert abs(ahead(trader)) < 200


@pytest.mark.parametrize("skew", [30_000, -30_000])
async def test_a_step_of_the_venues_clock_leaves_nothing_to_wait_for(bench: Bench, trader: Trader, skew: int) -> None:
    for turn, skewed in enumerate((skew, 0)):
        await bench.fault(skew=skewed)
        began = time.monotonic()
        trader.place(name(1, turn), Side.BUY, "64000.0")
        refused = await trader.hear(Refused, name(1, turn))
        assert refused.reason is Reason.THROTTLED
        assert abs(refused.time - bench.sandbox.exchange.now()) < 500, "a bot waits from that time on"
        trader.place(name(2, turn), Side.BUY, "64000.0")
        await trader.hear(Accepted, name(2, turn))
        for _ in range(3):
            await trader.gateway.leisure()
        await trader.gateway.snapshot(trader.request())
        assert time.monotonic() - began < 4


async def test_a_refusal_for_a_wrong_clock_is_told_though_nobody_says_the_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "TIMEOUT", 0.5)
    async with bench.gate("rest") as gate:
        trader = await bench.connected()
        gate.deafen(newcomers=True)
        await bench.fault(skew=60_000)
        trader.place(name(1), Side.BUY, "64000.0")
        trader.cancel(name(2))
        await asyncio.sleep(0.2)
        assert not trader.of(Refused)
        assert inside(trader)._orders.under_way() == {name(1)}, "nobody may call it absent"
        await trader.hear(Refused, name(1))
        await trader.hear(CancelRefused, name(2))
        assert not inside(trader)._orders.under_way()


async def test_a_first_try_that_hangs_does_not_set_the_clock_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "TIMEOUT", aiohttp.ClientTimeout(total=0.8))
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.sleep(1.5)
        elif asked == 2:
            await asyncio.sleep(0.6)  # a slow way back: the next one will be better
        return web.json_response({"serverTime": time.time_ns() // 1_000_000})

    async with server(answer) as venue:
        await venue.sync()
        assert abs(venue.clock.now() - now()) < 100


# --------------------------------------------------------------------------- strange servers


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (302, {"Location": "/elsewhere"}, Disconnected),
        (451, {}, TradingError),
        (429, {"Retry-After": "\u00b2"}, RateLimited),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, RateLimited),
        (503, {}, Disconnected),
        (200, {}, TradingError),
    ],
)
async def test_whatever_a_server_answers_is_a_trading_error_and_no_redirect_is_followed(
    status: int, headers: dict[str, str], error: type[TradingError]
) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers=headers, text="<html>")

    async with server(answer) as venue:
        with pytest.raises(error):
            wire.decode(await venue.read("/fapi/v3/balance"), list[wire.BalanceRow])
    assert set(asked) == {"/fapi/v3/balance"}


async def test_a_closed_gateway_asks_nothing_more(bench: Bench, trader: Trader) -> None:
    reading = asyncio.create_task(trader.gateway.balances())
    await asyncio.sleep(0)
    await trader.gateway.close()
    with pytest.raises(Disconnected):
        await trader.gateway.balances()
    await asyncio.gather(reading, return_exceptions=True)
    assert inside(trader)._rest._http is None
    assert not trader.gateway.health().is_up


async def test_all_tasks_end_on_close(bench: Bench) -> None:
    before = asyncio.all_tasks()
    trader = await bench.connected()
    await trader.gateway.watch(SYMBOL, lambda symbol, event: None)
    await bench.fault(drop=["user", "wsapi"])
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.gateway.close()
    assert not [task for task in asyncio.all_tasks() - before if "gateways/binance" in repr(task)]


# --------------------------------------------------------------------------- listen keys


async def test_a_stream_on_a_key_that_is_no_longer_ours_is_opened_anew(bench: Bench, trader: Trader) -> None:
    """Another program with the same API key closed ours and opened its own: ours is silent for ever."""
    keys = bench.sandbox.exchange.listen_keys
    keys.close("key")
    keys.open("key", trader.gateway.now())
    await trader.gateway.keep_alive()
    await trader.until(lambda: [up for up, _ in trader.states] == [True, False, True])
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))


# --------------------------------------------------------------------------- long gaps


async def test_trades_are_found_after_more_than_a_week_whatever_the_venue_makes_of_from_id(
    bench: Bench, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binance gives the last seven days where no time is named; whether that holds beside `fromId`, nobody says."""
    monkeypatch.setattr(history, "WEEK", 2_000)
    monkeypatch.setattr(history, "PAGE", 2)
    for slot in range(5):
        trader.market_order(name(slot), Side.BUY, "0.002")
        await trader.hear(Filled, name(slot))
    await asyncio.sleep(2.5)
    trader.market_order(name(9), Side.BUY, "0.002")
    last = await trader.hear(Filled, name(9))
    read = Rest.read

    async def forgetful(rest: Rest, path: str, params: Any = None, weight: int = 5) -> bytes:
        body = await read(rest, path, params, weight)
        if path.endswith("/userTrades") and "fromId" in params:
            rows = wire.decode(body, list[wire.UserTrade])
            return wire.encode([row for row in rows if row.time > rest.clock.now() - 2_000])
        return body

    monkeypatch.setattr(Rest, "read", forgetful)
    first = trader.of(Filled, name(0))[0]
    asked = trader.request(since_trade=first.trade, since_time=first.time, position=first.qty)
    found = await trader.gateway.snapshot(asked)
    assert [fill.cid.slot for fill in found.fills] == [1, 2, 3, 4, 9]
    assert found.last_trade == last.trade


# --------------------------------------------------------------------------- watching


async def test_who_stopped_watching_hears_nothing_of_the_first_quote(trader: Trader) -> None:
    heard: list[Event] = []

    def hear(symbol: str, event: Event) -> None:
        heard.append(event)

    watching = asyncio.create_task(trader.gateway.watch(SYMBOL, hear))
    await asyncio.sleep(0)
    await trader.gateway.unwatch(SYMBOL, hear)
    await watching
    assert heard == []


async def test_who_comes_late_to_a_quiet_symbol_hears_its_price(bench: Bench, trader: Trader) -> None:
    """An account of paper watches what its bots watch already: without a price it refuses their orders."""
    heard: list[Event] = []
    await trader.gateway.watch(SYMBOL, lambda symbol, event: None)
    await asyncio.sleep(0.5)
    await bench.move("65010")
    await trader.until(lambda: inside(trader)._market.last(SYMBOL) is not None)
    await asyncio.sleep(0.2)
    await trader.gateway.watch(SYMBOL, lambda symbol, event: heard.append(event))
    assert [event.bid for event in heard if isinstance(event, Quote)]


async def test_why_an_account_is_down_is_the_latest_reason(bench: Bench, trader: Trader) -> None:
    await bench.fault(drop=["user"], maintenance=True)
    await trader.until(lambda: not trader.states[-1][0])
    await trader.until(lambda: "Service Unavailable" in trader.gateway.health().why)


# --------------------------------------------------------------------------- storms


async def test_a_server_that_hangs_up_at_once_is_not_stormed() -> None:
    opened: list[float] = []

    async def hang_up(socket: ServerConnection) -> None:
        opened.append(time.monotonic())
        socket.transport.abort()

    async with serve(hang_up, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]

        async def address() -> str:
            return f"ws://127.0.0.1:{port}"

        downs: list[str] = []
        stream = Stream("test", address, lambda data: None, lambda socket: None, downs.append)
        task = asyncio.create_task(stream.run())
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert 3 <= len(opened) <= 6
    assert all(later - earlier > 0.1 for earlier, later in itertools.pairwise(opened))
    assert len(downs) >= len(opened) - 1, "each loss is told"


@pytest.mark.parametrize("answers", [3, 40])
async def test_a_batch_that_answers_other_than_it_was_asked_leaves_doubts_and_never_refusals(
    bench: Bench, calls: Calls, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    """Fewer or more answers than orders: which is whose, nobody knows."""
    attempt = Rest.attempt

    async def cut(rest: Rest, method: str, path: str, params: Any, weight: int) -> Any:
        reply = await attempt(rest, method, path, params, weight)
        if path.endswith("batchOrders"):
            rows = wire.decode(reply.body, list[wire.Order])
            return type(reply)(200, wire.encode((rows * answers)[:answers]))
        return reply

    monkeypatch.setattr(Rest, "attempt", cut)
    async with bench.gate() as gate:
        trader = await bench.connected()
        gate.shut()
        await trader.until(lambda: by(trader) == "rest")
        names = [name(slot) for slot in range(5)]
        for slot, cid in enumerate(names):
            trader.place(cid, Side.BUY, f"{64_000 - slot}.0")
        for cid in names:
            await trader.hear(Uncertain, cid)
        assert not trader.of(Refused)
        found = await trader.gateway.snapshot(trader.request(expected=tuple(names)))
        assert {order.cid for order in found.orders} == set(names)


async def test_a_rotated_key_is_told_and_nothing_secret_with_it(
    bench: Bench, trader: Trader, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person made a new key on the exchange: ours is refused from one request to the next."""
    secrets = bench.sandbox.exchange.secrets
    secrets["key"] = "another"
    trader.place(name(1), Side.BUY, "64000.0")
    assert (await trader.hear(Refused, name(1))).reason is Reason.NOT_ALLOWED
    with pytest.raises(Rejected) as caught:
        await trader.gateway.balances()
    del secrets["key"]
    await bench.fault(drop=["user", "wsapi"])
    await trader.until(lambda: "-2015" in trader.gateway.health().why)
    text = f"{caught.value!r} {trader.gateway.health()!r} {trader.states!r} {capsys.readouterr()}"
    assert "signature" not in text
    assert "secret" not in text.replace("secrets", "")


async def test_what_a_killed_process_sent_last_may_arrive_while_its_successor_reads(bench: Bench) -> None:
    """Orders are executed for as long as their recvWindow: until then "no such order" proves nothing."""
    dead = await bench.connected()
    before = dead.gateway.now()
    await bench.fault(delay=2500)
    dead.place(name(1), Side.BUY, "64000.0")
    await asyncio.sleep(0.1)
    await dead.gateway.close()
    await bench.fault(delay=0)
    alive = await bench.connected()
    found = await alive.gateway.snapshot(alive.request(expected=(name(1),), since_time=before))
    assert [order.cid for order in found.orders] == [name(1)]
    assert found.absent == frozenset()


async def test_a_market_that_never_rests_does_not_keep_a_name_that_nobody_knows_from_being_read(
    bench: Bench, trader: Trader
) -> None:
    """To hear twice that there is no such order takes a second, and in it an order fills: the next round is short."""
    expected = tuple(name(slot) for slot in range(30))
    for slot in range(30):
        trader.place(name(slot), Side.BUY, f"{64_900 - slot * 20}.0", "0.004")
    await trader.until(lambda: len({e.cid for e in trader.of(Accepted)}) == 30)

    async def market() -> None:
        for step in range(30):
            await bench.move(f"{64_895 - step * 20}.0")
            await asyncio.sleep(0.3)

    moving = asyncio.create_task(market())
    found = await trader.gateway.snapshot(trader.request(expected=(*expected, name(30))))
    assert not moving.done()
    moving.cancel()
    assert found.absent == {name(30)}
    assert {fill.cid for fill in found.fills} | {order.cid for order in found.orders} == set(expected)


# --------------------------------------------------------------------------- what others do to a bot


async def test_an_order_that_a_hand_changed_is_in_doubt_until_it_is_read(bench: Bench, trader: Trader) -> None:
    trader.place(name(1), Side.BUY, "64000.0", "0.010")
    await trader.hear(Accepted, name(1))
    async with aiohttp.ClientSession() as http:
        hand = Client(http, bench.sandbox.port, "key", "secret")
        change = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.005", "price": "64100"}
        await hand.signed("PUT", "/fapi/v1/order", origClientOrderId=str(name(1)), **change)
    assert (await trader.hear(Uncertain)).cid == name(1)
    asked = {"expected": (name(1),), "counted": {str(name(1)): Decimal(0)}}
    [order] = (await trader.gateway.snapshot(trader.request(**asked))).orders
    assert (order.price, order.qty) == (Decimal(64_100), Decimal("0.005"))
    await bench.move("64050.0")
    await trader.hear(Filled, name(1))
    found = await trader.gateway.snapshot(trader.request(**asked))
    assert [(end.cid, end.executed) for end in found.over] == [(name(1), Decimal("0.005"))]


async def test_a_liquidation_that_nobody_heard_of_is_read_with_its_fee(bench: Bench, trader: Trader) -> None:
    await trader.gateway.prepare(SYMBOL, 50, MarginMode.ISOLATED)
    trader.market_order(name(1), Side.BUY, "0.100")
    await trader.hear(Filled, name(1))
    await trader.gateway.close()
    await bench._post("/sandbox/market", {"mark": {"symbol": SYMBOL, "price": "50000"}})
    again = await bench.connected()
    found = await again.gateway.snapshot(trader.request())
    assert [each.client_id.partition("-")[0] for each in found.foreign] == ["autoclose"]
    [row] = [row for row in bench.sandbox.exchange.venue.trades("key") if row.client_id.startswith("autoclose")]
    assert found.foreign[0].fee == row.fee > 0


async def test_a_symbol_that_is_listed_no_more_is_told_apart_from_a_passing_no(bench: Bench, trader: Trader) -> None:
    exchange = bench.sandbox.exchange
    assert exchange._cached, "exchangeInfo as it was, which lists it"
    del exchange.rules[SYMBOL]
    with pytest.raises(Rejected, match="-1121"):
        await trader.gateway.snapshot(trader.request())
    exchange._cached.clear()
    with pytest.raises(NotListed):
        await trader.gateway.snapshot(trader.request())


async def test_what_cannot_be_reached_costs_nothing(bench: Bench) -> None:
    """Hundreds of bots that go on trying would else have to wait for the next minute when the venue is back."""
    async with bench.gate("rest"):
        trader = await bench.connected()
    with pytest.raises(Disconnected):  # by connections that were open: nobody knows what was counted
        await trader.gateway.balances()
    used = inside(trader)._limiter.weight._used
    for _ in range(3):
        with pytest.raises(Disconnected):
            await trader.gateway.snapshot(trader.request())
        with pytest.raises(Disconnected):
            await trader.gateway.balances()
    assert inside(trader)._limiter.weight._used <= used
