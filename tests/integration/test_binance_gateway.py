"""The Binance gateway when things go wrong: lost sockets, lost answers, budgets, clocks, lying and lagging reads."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from tests.gateways import SYMBOL, Bench, Trader, inside, name
from tests.sandboxes import now
from trading.gateways.binance import history, orders, snapshot, wire
from trading.gateways.binance.gateway import BinanceGateway
from trading.gateways.binance.rates import Rates
from trading.gateways.binance.rest import Clock, Rest
from trading.gateways.binance.signing import Signer
from trading.gateways.binance.streams import Stream
from trading.gateways.catalog import BINANCE, open_gateway
from trading.gateways.limiter import Limiter
from trading.messages import (
    Accepted,
    Amend,
    CancelRefused,
    Closed,
    Filled,
    Funding,
    Quote,
    Reason,
    Refused,
    Uncertain,
)
from trading.model import Environment, MarginMode, Role, Side
from trading.ports import Account, Broken, Credentials, Disagree, Disconnected, RateLimited

pytestmark = pytest.mark.timeout(60)


# --------------------------------------------------------------------------- lost answers


async def test_a_socket_that_dies_between_sending_and_answer_leaves_a_doubt_that_a_snapshot_settles(
    bench: Bench, trader: Trader
) -> None:
    arrived, never = name(1), name(2)
    await bench.fault(next=[{"kind": "silent", "on": "order.place"}])
    trader.place(arrived, Side.BUY, "64000.0")
    await asyncio.sleep(0.1)
    await bench.fault(delay=400)
    trader.place(never, Side.BUY, "63000.0")
    await asyncio.sleep(0.05)
    await bench.fault(drop=["wsapi"])
    for cid in (arrived, never):
        await trader.hear(Uncertain, cid)
    assert [up for up, _ in trader.states] == [True], "REST stands in: the account is not down"
    found = await trader.gateway.snapshot(trader.request(expected=(arrived, never)))
    assert arrived in {order.cid for order in found.orders}
    # whichever way the second one went, the snapshot knows
    assert (never in found.absent) != (never in {order.cid for order in found.orders})


async def test_an_answer_that_never_comes_is_a_doubt_after_the_timeout(
    bench: Bench, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "TIMEOUT", 0.3)
    await bench.fault(next=[{"kind": "silent", "on": "order.place"}])
    trader.place(name(1), Side.BUY, "64000.0")
    trader.place(name(2), Side.BUY, "63000.0")
    await trader.hear(Uncertain, name(1))
    await trader.hear(Accepted, name(2))
    assert not trader.of(Uncertain, name(2))
    found = await trader.gateway.snapshot(trader.request(expected=(name(1),)))
    assert name(1) in {order.cid for order in found.orders}


@pytest.mark.parametrize(("kind", "is_there"), [("unknown", True), ("lost", False)])
async def test_an_answer_that_says_nobody_knows_is_a_doubt(
    bench: Bench, trader: Trader, kind: str, is_there: bool
) -> None:
    await bench.fault(next=[{"kind": kind, "on": "order.place"}])
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Uncertain, name(1))
    found = await trader.gateway.snapshot(trader.request(expected=(name(1),)))
    assert (name(1) in {order.cid for order in found.orders}) is is_there
    assert (name(1) in found.absent) is not is_there


async def test_what_cannot_leave_is_refused_as_unsent(bench: Bench, trader: Trader) -> None:
    await bench.fault(maintenance=True, drop=["wsapi", "user"])
    await trader.until(lambda: not trader.states[-1][0])
    trader.place(name(1), Side.BUY, "64000.0")
    trader.cancel(name(2))
    assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED
    await trader.hear(CancelRefused, name(2))
    assert not trader.of(Uncertain)


async def test_the_venue_that_throttles_makes_no_doubt(bench: Bench, trader: Trader) -> None:
    await bench.fault(next=[{"kind": "refuse", "code": -1008, "status": 503, "msg": "throttled"}])
    trader.place(name(1), Side.BUY, "64000.0")
    assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED


async def test_an_amend_is_said_not_to_be_possible(trader: Trader) -> None:
    trader.gateway.send(Amend(SYMBOL, name(1), Side.BUY, Decimal(1), Decimal(1)))
    await trader.hear(CancelRefused, name(1))


# --------------------------------------------------------------------------- lost connections


async def test_a_lost_user_stream_is_told_and_comes_back(bench: Bench, trader: Trader) -> None:
    for round_ in range(1, 3):
        await bench.fault(drop=["user"])
        await trader.until(lambda: len(trader.states) == 1 + 2 * round_)  # noqa: B023 - awaited at once
    assert [up for up, _ in trader.states] == [True, False, True, False, True]
    assert all(why for up, why in trader.states if not up)
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))


async def test_a_lost_market_stream_comes_back_with_its_subscriptions(bench: Bench, trader: Trader) -> None:
    def hear(symbol: str, event: Any) -> None:
        trader.market.append((symbol, event))

    await trader.gateway.watch(SYMBOL, hear)
    await trader.until(lambda: bool(trader.market))
    routes = [route for route in inside(trader)._market.routes if route.has_wishes]
    await trader.until(lambda: all(route.stream.is_open for route in routes))
    first = [route.stream.socket for route in routes]
    await bench.fault(drop=["market"])
    await trader.until(
        lambda: all(r.stream.is_open and r.stream.socket is not old for r, old in zip(routes, first, strict=True))
    )
    await asyncio.sleep(0.2)
    trader.market.clear()
    await bench.move("65300")
    await trader.until(lambda: any(isinstance(event, Quote) and event.bid > 65_000 for _, event in trader.market))
    assert [up for up, _ in trader.states] == [True], "the account streams were not touched"


async def test_two_watchers_share_a_subscription_and_the_last_one_ends_it(trader: Trader) -> None:
    first: list[Any] = []
    second: list[Any] = []

    def one(symbol: str, event: Any) -> None:
        first.append(event)

    def two(symbol: str, event: Any) -> None:
        second.append(event)

    await trader.gateway.watch(SYMBOL, one)
    await trader.gateway.watch(SYMBOL, two)
    await trader.gateway.unwatch(SYMBOL, one)
    await trader.until(lambda: bool(second))
    assert inside(trader)._market.routes[0]._wanted == {"btcusdt@bookTicker"}
    await trader.gateway.unwatch(SYMBOL, two)
    await trader.gateway.unwatch(SYMBOL, two)
    assert inside(trader)._market.routes[0]._wanted == set()


async def test_an_expired_listen_key_is_replaced(bench: Bench, trader: Trader) -> None:
    await bench.fault(expire_listen_key=["key"])
    await trader.until(lambda: [up for up, _ in trader.states] == [True, False, True])
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))


async def test_keeping_alive_extends_the_key_and_replaces_a_dead_one(bench: Bench, trader: Trader) -> None:
    await inside(trader).keep_alive()
    assert [up for up, _ in trader.states] == [True]
    bench.sandbox.exchange.listen_keys.close("key")  # without a word to the stream
    await inside(trader).keep_alive()
    await trader.until(lambda: [up for up, _ in trader.states] == [True, False, True])


async def test_malformed_frames_do_not_end_the_stream(trader: Trader) -> None:
    for frame in (b"garbage", b'{"e":"ORDER_TRADE_UPDATE"}', b'{"e":"BRAND_NEW"}'):
        inside(trader)._on_user_text(frame)
        inside(trader)._orders.on_text(frame)
        inside(trader)._market._on_text(frame)
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))


async def test_a_listener_that_breaks_costs_the_socket_not_the_gateway(bench: Bench) -> None:
    trader = bench.trader()
    is_broken = True

    def hear(symbol: str, event: Any) -> None:
        trader.events.append((symbol, event))
        if is_broken and isinstance(event, Filled):
            raise RuntimeError("a full queue")

    await trader.gateway.connect(hear, lambda up, why: trader.states.append((up, why)))
    await trader.until(lambda: bool(trader.states))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    trader.market_order(name(1), Side.BUY)
    await trader.until(lambda: [up for up, _ in trader.states] == [True, False, True])
    is_broken = False
    trader.market_order(name(2), Side.BUY)
    await trader.hear(Filled, name(2))


async def test_fragments_are_one_message() -> None:
    heard: list[bytes] = []
    from websockets.asyncio.server import serve

    async def talk(socket: Any) -> None:
        await socket.send(["one ", "mess", "age"], text=True)
        await socket.send("whole")
        await socket.wait_closed()

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        async def address() -> str:
            return f"ws://127.0.0.1:{port}"

        stream = Stream("test", address, heard.append, lambda socket: None, lambda why: None)
        task = asyncio.create_task(stream.run())
        while len(heard) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert heard == [b"one message", b"whole"]


# --------------------------------------------------------------------------- budgets and clock


async def test_orders_over_the_budget_wait_in_order_and_closing_ones_go_first(trader: Trader) -> None:
    gateway = inside(trader)
    gateway._limiter.configure([wire.RateLimit("ORDERS", "SECOND", 1, 3)])
    trader.market_order(name(Role.OPEN), Side.BUY)
    await trader.hear(Filled, name(Role.OPEN))
    for slot in range(6):
        trader.place(name(slot), Side.BUY, f"{64_000 - slot}.0")
    trader.market_order(name(Role.CLOSE), Side.SELL, reduce_only=True)
    trader.cancel(name(4))  # waits still: withdrawn without a request
    assert (await trader.hear(Refused, name(4))).text == "withdrawn"
    await trader.until(lambda: len({event.cid for event in trader.of(Accepted)}) == 7)
    sent = sorted({(event.order_id, event.cid.slot) for event in trader.of(Accepted)})
    assert [slot for _, slot in sent] == [Role.OPEN, 0, 1, Role.CLOSE, 2, 3, 5]
    assert [event.cid for event in trader.of(Refused)] == [name(4)], "nothing was dropped"


async def test_a_429_stops_sending_until_the_venue_allows_it(bench: Bench, trader: Trader) -> None:
    soon = inside(trader)._clock.now() + 700
    text = f"Too many requests; banned until {soon}."
    await bench.fault(next=[{"kind": "refuse", "code": -1003, "status": 429, "msg": text, "on": "order.place"}])
    trader.place(name(1), Side.BUY, "64000.0")
    assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED
    trader.place(name(2), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(2))
    assert inside(trader)._clock.now() >= soon


async def test_a_ban_is_obeyed_by_reads(trader: Trader) -> None:
    inside(trader)._limiter.block(inside(trader)._clock.now() + 60_000)
    with pytest.raises(RateLimited) as caught:
        await trader.gateway.balances()
    assert caught.value.until > inside(trader)._clock.now() + 50_000


async def test_a_clock_that_went_wrong_is_set_right(bench: Bench, trader: Trader) -> None:
    await bench.fault(skew=60_000)
    trader.place(name(1), Side.BUY, "64000.0")
    assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED
    await trader.until(lambda: trader.gateway.now() - now() > 50_000)
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))
    await bench.fault(skew=0)
    assert await trader.gateway.open_orders(SYMBOL), "a read sets the clock and asks again"
    assert trader.gateway.now() - now() < 10_000


async def test_a_venue_in_maintenance_is_unreachable_not_a_no(bench: Bench, trader: Trader) -> None:
    await bench.fault(maintenance=True)
    with pytest.raises(Disconnected):
        await trader.gateway.balances()
    trader.place(name(1), Side.BUY, "64000.0")
    assert (await trader.hear(Refused, name(1))).reason is Reason.THROTTLED


async def test_nobody_home_is_disconnected_at_connect() -> None:
    async with Bench() as bench:
        trader = bench.trader()
    with pytest.raises(Disconnected):
        await trader.gateway.connect(lambda s, e: None, lambda up, why: None)
    await trader.gateway.close()


# --------------------------------------------------------------------------- snapshots


async def test_a_restarted_gateway_joins_trades_to_names_it_never_heard(bench: Bench, trader: Trader) -> None:
    for slot in range(8):
        trader.market_order(name(slot), Side.BUY, "0.002")
    await trader.until(lambda: len(trader.of(Filled)) == 8)
    await trader.gateway.close()
    again = await bench.connected()
    few = trader.of(Filled)[5]
    found = await again.gateway.snapshot(again.request(since_trade=few.trade, position=Decimal("0.012")))
    assert [fill.cid for fill in found.fills] == [name(6), name(7)], "asked one by one"
    since = trader.of(Filled)[0].time - 1000
    found = await again.gateway.snapshot(again.request(since_time=since))
    assert list(found.fills) == trader.of(Filled), "asked as a list"


async def test_long_lists_of_trades_are_read_page_by_page(trader: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE", 2)
    for slot in range(7):
        trader.market_order(name(slot), Side.BUY, "0.002")
    await trader.until(lambda: len(trader.of(Filled)) == 7)
    found = await trader.gateway.snapshot(trader.request())
    assert [fill.cid.slot for fill in found.fills] == list(range(7))
    floor = found.fills[1].trade
    found = await trader.gateway.snapshot(trader.request(since_trade=floor, position=Decimal("0.004")))
    assert [fill.cid.slot for fill in found.fills] == [2, 3, 4, 5, 6]


async def test_snapshots_amid_a_storm_of_fills_always_agree_with_themselves() -> None:
    """Orders fill while the reads run: every Snapshot that comes out tells one story, and the last tells all of it."""
    async with Bench(limits=False) as bench:
        trader = await bench.connected()
        inside(trader)._limiter.weight.limit = 10**9
        await storm_of_fills(bench, trader)


async def storm_of_fills(bench: Bench, trader: Trader) -> None:
    for slot in range(40):
        trader.place(name(slot), Side.BUY, f"{64_900 - slot * 20}.0", "0.004")
    await trader.until(lambda: len({e.cid for e in trader.of(Accepted)}) == 40)
    is_over = False

    async def storm() -> None:
        for step in range(40):
            await bench.move(f"{64_895 - step * 20}.0")
            await asyncio.sleep(0.02)

    async def read() -> int:
        good = 0
        while not is_over:
            expected = tuple(name(slot) for slot in range(40))
            try:
                found = await trader.gateway.snapshot(trader.request(expected=expected))
            except Disagree:
                continue
            good += 1
            filled = {fill.cid for fill in found.fills}
            resting = {order.cid for order in found.orders}
            assert found.position.qty == sum((fill.qty for fill in found.fills), Decimal(0))
            assert filled | resting == set(expected), "nothing is lost between the lists"
            assert not found.absent
            assert {over.cid for over in found.over} <= filled, "nothing ended but what was filled"
        return good

    reading = asyncio.create_task(read())
    await storm()
    is_over = True
    await reading
    found = await trader.gateway.snapshot(trader.request())
    assert {fill.cid for fill in found.fills} == {name(slot) for slot in range(40)}
    assert {fill.trade for fill in found.fills} == {fill.trade for fill in trader.of(Filled)}


async def test_counted_trades_above_the_floor_and_partial_orders_are_reckoned_with(
    bench: Bench, trader: Trader
) -> None:
    trader.place(name(1), Side.BUY, "64000.0")
    trader.market_order(name(2), Side.BUY, "0.005")
    await trader.hear(Accepted, name(1))
    fill = await trader.hear(Filled, name(2))
    counted = trader.request(
        counted_trades=frozenset({fill.trade}),
        position=fill.qty,
        expected=(name(1),),
        counted={str(name(1)): Decimal(0)},
    )
    found = await trader.gateway.snapshot(counted)
    assert found.position.qty == fill.qty
    assert [trade.trade for trade in found.fills] == [fill.trade], "fills may overlap counted ones"


@pytest.mark.parametrize("changes", [{"position": Decimal("0.001")}, {"counted": {str(name(1)): Decimal("0.001")}}])
async def test_reads_that_never_agree_raise_disagree(
    trader: Trader, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr(snapshot, "FIRST_PAUSE", 0.01)
    trader.place(name(1), Side.BUY, "64000.0")
    await trader.hear(Accepted, name(1))
    with pytest.raises(Disagree):
        await trader.gateway.snapshot(trader.request(**changes))


async def test_a_name_that_shows_up_late_is_not_called_absent(bench: Bench, trader: Trader) -> None:
    """The first "no such order" may be lag: the order arrives between the two questions."""
    await bench.fault(delay=500)
    trader.place(name(1), Side.BUY, "64000.0")
    await asyncio.sleep(0.05)
    found = await trader.gateway.snapshot(trader.request(expected=(name(1),)))
    assert not found.absent
    assert [order.cid for order in found.orders] == [name(1)]


async def test_funding_is_told_live_and_in_the_snapshot(bench: Bench, trader: Trader) -> None:
    await trader.gateway.prepare(SYMBOL, 5, MarginMode.ISOLATED)
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))
    await bench.fund("0.0001")
    told = await trader.hear(Funding)
    assert told.amount < 0
    found = await trader.gateway.snapshot(trader.request())
    assert [funding.amount for funding in found.fundings] == [told.amount]


async def test_expired_orders_are_over_and_say_so(bench: Bench, trader: Trader) -> None:
    trader.place(name(1), Side.BUY, "64000.0")
    accepted = await trader.hear(Accepted, name(1))
    await bench.fault(expire_orders=[["key", accepted.order_id]])
    assert (await trader.hear(Closed, name(1))).reason is Reason.EXPIRED
    found = await trader.gateway.snapshot(trader.request(expected=(name(1),)))
    assert [(over.cid, over.reason) for over in found.over] == [(name(1), Reason.EXPIRED)]


# --------------------------------------------------------------------------- fees in another asset


async def test_fee_rates_come_from_the_minute_of_the_fill() -> None:
    asked: list[str] = []

    async def klines(request: web.Request) -> web.Response:
        asked.append(request.path)
        start = int(request.query["startTime"])
        assert request.query["symbol"] == "BNBUSDT"
        rows = [[start + i * 60_000, "1", "9", "1", str(600 + i), "5", start + 59_999, "0", 1] for i in range(3)]
        return web.Response(body=wire.encode(rows), content_type="application/json")

    async def book(request: web.Request) -> web.Response:
        if request.query["symbol"] == "NOSUCHUSDT":
            fault = wire.Fault(-1121, "Invalid symbol.")
            return web.Response(body=wire.encode(fault), status=400, content_type="application/json")
        row = wire.BookTickerRow(request.query["symbol"], Decimal(700), Decimal(1), Decimal(702), Decimal(1))
        return web.Response(body=wire.encode(row), content_type="application/json")

    app = web.Application()
    app.router.add_get("/fapi/v1/klines", klines)
    app.router.add_get("/fapi/v1/ticker/bookTicker", book)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    rest = Rest(f"http://127.0.0.1:{runner.addresses[0][1]}", Signer(Credentials("k", "s")), Limiter(), Clock())
    try:
        rates = Rates(rest)
        assert rates.now("BTCUSDT", "BNB") is None
        await rates.refresh()
        assert rates.now("BTCUSDT", "BNB") == 701
        minute = 60_000 * 29_000_000
        assert [await rates.at("BTCUSDT", "BNB", minute + i * 60_000 + 7) for i in range(3)] == [600, 601, 602]
        assert len(asked) == 1, "one page of candles serves all"
        assert await rates.at("BTCUSDT", "USDT", minute) == 1
        assert rates.now("BTCUSDT", "NOSUCH") is None
        await rates.refresh()
        assert rates.now("BTCUSDT", "NOSUCH") is None
        assert not rates.missing, "what has no market is not asked for at every fill"
    finally:
        await rest.close()
        await runner.cleanup()


# --------------------------------------------------------------------------- catalog and secrets


def test_the_catalog_knows_binance_and_refuses_the_rest() -> None:
    credentials = Credentials("k", "s")
    for environment in (Environment.MAINNET, Environment.TESTNET):
        gateway = open_gateway(Account(1, 1, "a", "binance", environment), credentials)
        assert isinstance(gateway, BinanceGateway)
        assert gateway._endpoints == BINANCE[environment]
    with pytest.raises(Broken):
        open_gateway(Account(1, 1, "a", "nowhere", Environment.MAINNET), credentials)
    with pytest.raises(Broken):
        open_gateway(Account(1, 1, "a", "binance", Environment.DEMO), credentials)


async def test_no_secret_is_ever_logged_or_raised(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    trader = bench.trader("key", "veryveryhidden")
    shown = []
    try:
        await trader.gateway.connect(lambda s, e: None, lambda up, why: shown.append(why))
    except Exception as error:  # every kind must be clean
        shown.append(f"{error!r} {error.__cause__!r} {error.__context__!r}")
    good = await bench.connected()
    await bench.fault(drop=["user", "wsapi"], maintenance=True)
    await good.until(lambda: not good.states[-1][0])
    with pytest.raises(Disconnected) as caught:
        await good.gateway.balances()
    shown += [f"{caught.value!r}", *(why for _, why in good.states), *capsys.readouterr()]
    key = bench.sandbox.exchange.listen_keys.current("key")
    text = " ".join(shown)
    assert shown
    assert "veryveryhidden" not in text
    assert "signature" not in text
    assert key is None or key not in text
