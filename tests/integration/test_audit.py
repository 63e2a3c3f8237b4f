"""Audits over real sockets: what they cost, and that what the stream never told is found."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D

import pytest

from tests.gateways import Bench as Venue
from tests.integration.test_desk import GRID, Bench, opened
from trading.core.engine import Engine
from trading.core.venue import OrderRequest
from trading.gateways.binance import funding
from trading.live.audit import is_settled
from trading.model import OrderType, Side, TimeInForce
from trading.sandbox.instruments import LISTINGS
from trading.sandbox.server import Options, Sandbox

GLANCE = 2 + 5
"""Weight of the orders of two symbols, and of all positions."""
WHOLE = 12
TOUCHES = 5
"""A still market is asked for prices each time."""


@pytest.fixture
async def bench(database):
    sandbox = Sandbox(Options(still=True, limits=False))
    await sandbox.start()
    try:
        yield Bench(sandbox, database)
    finally:
        await sandbox.close()


async def three(bench: Bench) -> list[int]:
    """A running grid on every symbol, in the order in which they will be read whole."""
    bots = []
    for number, (symbol, listing) in enumerate(LISTINGS.items()):
        tick = listing.instrument.tick_size
        lower, upper = (listing.start * D(part) // tick * tick for part in ("0.95", "1.05"))
        texts = GRID | {"symbol": symbol, "lower": str(lower), "upper": str(upper)}
        bot = await bench.desk.create(1, bench.account, texts, f"once-{number}")
        await bench.desk.start(bot, 1, confirmed=True)
        await bench.until(lambda bot=bot: bench.desk.card(bot).status == "RUNNING")
        bots.append(bot)
    for bot in bots:
        session = bench.desk.roster.bots[bot].session
        await bench.until(lambda session=session: is_settled(session.engine) and not session.is_reading)
        await session.reconcile()
        await asyncio.sleep(0.01)  # the next one's reading is later
    return bots


def engine(bench: Bench, bot: int) -> Engine:
    return bench.desk.roster.bots[bot].engine


def spent(sandbox: Sandbox) -> int:
    """Weight of this machine since it was last asked."""
    window = sandbox.exchange.quota.weight("127.0.0.1")
    used, window.count = window.used(sandbox.exchange.now()), 0
    return used


async def test_an_audit_reads_one_bot_whole_and_glances_at_the_others(bench):
    async with opened(bench):
        bots = await three(bench)
        spent(bench.sandbox)
        for turn in bots:
            before = {bot: engine(bench, bot).kept.read_from for bot in bots}
            await bench.desk.audit_bots()
            assert [bot for bot in bots if engine(bench, bot).kept.read_from != before[bot]] == [turn]
        assert spent(bench.sandbox) <= 3 * (GLANCE + WHOLE + TOUCHES)


async def test_what_happens_while_an_audit_waits_for_its_turn_is_nothing_to_doubt(bench, monkeypatch):
    async with opened(bench):
        *_, last = await three(bench)
        gateway = bench.desk.roster.workers[bench.account].gateway
        symbol, levels = bench.desk.card(last).symbol, engine(bench, last).strategy.plan.levels
        before = engine(bench, last).kept.read_from

        async def late(symbols: int = 0) -> None:
            if symbols:
                await bench.to(str(max(level for level in levels if level < LISTINGS[symbol].start) - 1), symbol)
                await bench.until(lambda: engine(bench, last).ledger.books.fills == 1)
                await asyncio.sleep(0.2)

        monkeypatch.setattr(gateway, "leisure", late)
        await bench.desk.audit_bots()
        assert engine(bench, last).ledger.books.fills == 1
        assert engine(bench, last).kept.read_from == before, "not read whole"


async def test_a_fill_that_the_stream_kept_to_itself_is_found_by_the_next_audit(bench):
    async with opened(bench):
        last = (await three(bench))[-1]
        symbol = bench.desk.card(last).symbol
        await bench.fault(stall={"user": 60_000})
        levels = engine(bench, last).strategy.plan.levels
        await bench.to(str(max(level for level in levels if level < LISTINGS[symbol].start) - 1), symbol)
        await asyncio.sleep(0.1)
        assert engine(bench, last).ledger.books.fills == 0
        await bench.desk.audit_bots()
        assert engine(bench, last).ledger.books.fills == 1


async def test_trades_by_hand_that_cancel_out_unheard_are_told_when_the_turn_comes(bench):
    async with opened(bench):
        *others, last = await three(bench)
        await bench.fault(stall={"user": 60_000})
        exchange, symbol = bench.sandbox.exchange, bench.desk.card(last).symbol
        for side in (Side.BUY, Side.SELL):
            request = OrderRequest(symbol, side, OrderType.MARKET, D(1), D(0), TimeInForce.GTC, client_id=f"web_{side}")
            exchange.venue.place("sandboxkey", request, exchange.now())
        for _ in others:
            await bench.desk.audit_bots()
            assert bench.desk.card(last).status == "RUNNING", "the position is what it was"
        await bench.desk.audit_bots()
        assert bench.desk.card(last).reason == "foreign_trade"


async def test_a_glance_costs_what_the_symbols_cost_and_never_more_than_all_of_them():
    async with Venue() as venue:
        trader = await venue.connected()
        spent(venue.sandbox)
        assert set((await trader.gateway.glance(list(LISTINGS))).orders) == set(LISTINGS)
        assert spent(venue.sandbox) == 3 + 5
        symbols = [*LISTINGS, *(f"NO{number}USDT" for number in range(47))]
        seen = await trader.gateway.glance(symbols)
        assert spent(venue.sandbox) == 40 + 5
        assert seen.orders == {symbol: {} for symbol in symbols}


async def test_funding_is_read_once_for_all_bots_however_long_their_recovery_takes(monkeypatch):
    async with Venue() as venue:
        trader = await venue.connected()
        now = trader.gateway.now()
        monkeypatch.setattr(funding, "FRESH", 0)
        monkeypatch.setattr(funding, "HOUR", now - 600_000)  # the last full one was ten minutes ago
        monkeypatch.setattr(funding, "LISTED", -600_000)
        spent(venue.sandbox)
        for symbol in LISTINGS:
            await trader.gateway.snapshot(trader.request(symbol=symbol, since_trade=1, since_time=now - 10_000))
            await asyncio.sleep(0.01)
        assert spent(venue.sandbox) == 3 * WHOLE + 2 * 30


async def test_bots_that_are_read_at_once_share_what_costs_the_same_for_all():
    async with Venue() as venue:
        trader = await venue.connected()
        spent(venue.sandbox)
        asked = {"since_trade": 1, "since_time": trader.gateway.now()}
        requests = [trader.request(symbol=symbol, **asked) for symbol in LISTINGS for _ in range(8)]
        await asyncio.gather(*(trader.gateway.snapshot(request) for request in requests))
        assert spent(venue.sandbox) - len(requests) * 7 in (5, 10, 15), "positions are not read 24 times"
