"""What the Binance gateway sets and learns on an account: margin mode and leverage, funding, rules that changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from msgspec.structs import replace

from storage.database import Database
from tests.gateways import SYMBOL, Bench, Trader, inside, name
from tests.integration import test_desk as desks
from trading.gateways.binance import funding
from trading.gateways.binance.rest import Rest
from trading.messages import Accepted, Filled, Funding, Place, Snapshot
from trading.model import MarginMode, OrderType, Side, TimeInForce
from trading.ports import Disconnected, Rejected
from trading.sandbox.server import Options, Sandbox
from trading.views import Declined

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The settings that were sent, by path."""
    found: list[str] = []
    change = Rest.change

    async def noted(rest: Rest, path: str, params: dict[str, str | int]) -> bytes:
        found.append(path.rpartition("/")[2])
        return await change(rest, path, params)

    monkeypatch.setattr(Rest, "change", noted)
    return found


# --------------------------------------------------------------------------- margin mode and leverage


async def test_settings_that_are_as_wanted_are_not_sent(trader: Trader, changes: list[str]) -> None:
    await trader.gateway.prepare(SYMBOL, 7, MarginMode.ISOLATED)
    assert changes == ["marginType", "leverage"]
    await trader.gateway.prepare(SYMBOL, 7, MarginMode.ISOLATED)
    await trader.gateway.prepare(SYMBOL, 8, MarginMode.ISOLATED)
    assert changes == ["marginType", "leverage", "leverage"]


async def test_a_foreign_resting_order_matters_only_where_the_margin_mode_must_change(
    bench: Bench, trader: Trader
) -> None:
    await trader.gateway.prepare(SYMBOL, 7, MarginMode.ISOLATED)
    trader.place(name(1, install="zzzz"), Side.BUY, "64000.0")
    await trader.hear(Accepted)
    await trader.gateway.prepare(SYMBOL, 9, MarginMode.ISOLATED)
    assert (await trader.gateway.position(SYMBOL)).leverage == 9
    with pytest.raises(Rejected) as caught:
        await trader.gateway.prepare(SYMBOL, 9, MarginMode.CROSS)
    assert (caught.value.code, caught.value.reason) == (-4047, "margin_mode_orders")


async def test_a_position_that_forbids_a_setting_is_named_as_the_reason(trader: Trader) -> None:
    await trader.gateway.prepare(SYMBOL, 7, MarginMode.ISOLATED)
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))
    with pytest.raises(Rejected) as caught:
        await trader.gateway.prepare(SYMBOL, 7, MarginMode.CROSS)
    assert (caught.value.code, caught.value.reason) == (-4048, "margin_mode_position")
    with pytest.raises(Rejected) as caught:
        await trader.gateway.prepare(SYMBOL, 5, MarginMode.ISOLATED)
    assert (caught.value.code, caught.value.reason) == (-4161, "leverage_position")


# --------------------------------------------------------------------------- funding


@pytest.fixture
def incomes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The readings of the income list, by what was asked for."""
    found: list[str] = []
    read = Rest.read

    async def noted(rest: Rest, path: str, params: dict[str, str | int] | None = None, weight: int = 5) -> bytes:
        if path.endswith("/income"):
            found.append(str((params or {})["incomeType"]))
        return await read(rest, path, params, weight)

    monkeypatch.setattr(Rest, "read", noted)
    return found


async def look(trader: Trader) -> Snapshot:
    """A Snapshot of a bot that settled everything until a moment ago."""
    return await trader.gateway.snapshot(trader.request(since_time=trader.gateway.now() - 30_000))


async def test_funding_settled_while_the_service_was_away_is_found_at_any_hour(bench: Bench, trader: Trader) -> None:
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))
    await trader.gateway.close()
    await bench.fund("0.0001")
    again = await bench.connected()
    assert [funding.amount < 0 for funding in (await look(again)).fundings] == [True]


async def test_funding_of_a_position_kept_while_its_bot_was_stopped_is_found(bench: Bench, trader: Trader) -> None:
    trader.market_order(name(1), Side.BUY)
    fill = await trader.hear(Filled, name(1))
    kept_since = trader.gateway.now()
    await bench.fund("0.0001")
    await trader.hear(Funding)
    await bench.fund("-0.0001")
    await trader.hear(Funding, count=2)
    await asyncio.sleep(0.01)
    starts = trader.gateway.now()
    for since, signs in ((kept_since, [True, False]), (starts, [])):
        kept = trader.request(since_time=starts, since_funding=since, since_trade=fill.trade, position=fill.qty)
        found = await trader.gateway.snapshot(kept)
        assert [funding.amount < 0 for funding in found.fundings] == signs


async def test_funding_settled_while_the_stream_was_deaf_is_found(bench: Bench, trader: Trader) -> None:
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))
    await bench.fault(stall={"user": 60_000})
    await bench.fund("0.0001")
    await bench.fault(drop=["user"])
    await trader.until(lambda: [up for up, _ in trader.states] == [True, False, True])
    assert len((await look(trader)).fundings) == 1


async def test_a_settlement_has_one_time_however_it_is_told(bench: Bench, trader: Trader) -> None:
    """Binance stamps the event seconds after the income row (16:00:03.246 for 16:00): it must not count twice."""
    trader.market_order(name(1), Side.BUY)
    await trader.hear(Filled, name(1))
    await bench.fund("0.0001")
    await trader.hear(Funding)
    late = trader.gateway.now() + 3_246
    inside(trader)._on_user_text(
        f'{{"e":"ACCOUNT_UPDATE","T":{late},"E":{late},"a":{{"B":[{{"a":"USDT","wb":"9","cw":"9","bc":"-0.0650"}}],'
        f'"P":[],"m":"FUNDING_FEE"}}}}'.encode()
    )
    await asyncio.sleep(1.5)
    [row] = (await look(trader)).fundings
    assert {(told.time, told.amount) for told in trader.of(Funding)} == {(row.time, row.amount)}


async def test_special_funding_is_funding(bench: Bench, trader: Trader) -> None:
    floor = bench.sandbox.exchange.venue._floor
    now = trader.gateway.now()
    for kind in ("FUNDING_FEE", "SPECIAL_FUNDING_FEE", "REALIZED_PNL"):
        now += 1
        floor.earn(floor.accounts["key"], kind, Decimal("-0.5"), SYMBOL, now)
    assert [funding.time for funding in (await look(trader)).fundings] == [now - 2, now - 1]


async def test_funding_whose_reading_failed_is_found_by_the_next_one(
    bench: Bench, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await look(trader)
    floor, read = bench.sandbox.exchange.venue._floor, Rest.read

    async def fail(*_: object, **__: object) -> bytes:
        raise Disconnected("gone")

    inside(trader)._reader.fundings.doubt()
    floor.earn(floor.accounts["key"], "FUNDING_FEE", Decimal("-0.5"), SYMBOL, trader.gateway.now())
    monkeypatch.setattr(Rest, "read", fail)
    with pytest.raises(Disconnected):
        await look(trader)
    monkeypatch.setattr(Rest, "read", read)
    assert len((await look(trader)).fundings) == 1


async def test_funding_that_is_listed_long_after_its_event_is_found(
    bench: Bench, trader: Trader, incomes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A special one comes at any minute: no full hour makes anybody look again."""
    now, floor = trader.gateway.now(), bench.sandbox.exchange.venue._floor
    monkeypatch.setattr(funding, "HOUR", now - 600_000)  # the last full one was ten minutes ago
    monkeypatch.setattr(funding, "FRESH", 100)
    event = f'{{"e":"ACCOUNT_UPDATE","T":{now},"E":{now},"a":{{"B":[],"P":[],"m":"SPECIAL_FUNDING_FEE"}}}}'
    inside(trader)._on_user_text(event.encode())
    await trader.until(lambda: len(incomes) == 2)
    await asyncio.sleep(0.3)
    floor.earn(floor.accounts["key"], "SPECIAL_FUNDING_FEE", Decimal("-0.5"), SYMBOL, now)
    assert len((await look(trader)).fundings) == 1


async def test_one_reading_of_the_income_serves_every_bot(trader: Trader, incomes: list[str]) -> None:
    await asyncio.gather(*(look(trader) for _ in range(10)))
    assert sorted(incomes) == ["FUNDING_FEE", "SPECIAL_FUNDING_FEE"]


async def test_while_the_stream_tells_of_funding_the_income_is_not_read(
    trader: Trader, incomes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = trader.gateway.now()
    monkeypatch.setattr(funding, "HOUR", 10 * now)  # no full hour passes
    await trader.gateway.snapshot(trader.request(since_time=now - 60_000))
    assert incomes
    incomes.clear()
    await asyncio.sleep(0.05)
    await trader.gateway.snapshot(trader.request(since_time=trader.gateway.now()))
    assert incomes == []


# --------------------------------------------------------------------------- as the desk meets them


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[desks.Bench]:
    """A desk on a still sandbox."""
    sandbox = Sandbox(Options(still=True))
    await sandbox.start()
    try:
        yield desks.Bench(sandbox, database)
    finally:
        await sandbox.close()


async def test_a_refused_margin_mode_is_declined_with_a_reason_that_can_be_worded(shop: desks.Bench) -> None:
    async with desks.opened(shop):
        bot = await shop.desk.create(1, shop.account, desks.GRID, "once")
        gateway = shop.desk.roster.gateway(shop.account)
        await gateway.prepare(SYMBOL, 5, MarginMode.CROSS)
        gateway.send(
            Place(SYMBOL, name(1, bot=99, install=await shop.desk.books.install()), Side.BUY, OrderType.LIMIT,
                  TimeInForce.GTX, Decimal(64_000), Decimal("0.01"))
        )  # fmt: skip
        await shop.until(lambda: len(shop.orders()) == 1)
        with pytest.raises(Declined) as caught:
            await shop.desk.start(bot, 1, confirmed=True)
        [no] = caught.value.refusals
        assert (no.code, no.values["symbol"]) == ("margin_mode_orders", SYMBOL)
        assert shop.desk.card(bot).status == "CREATED"


async def test_orders_that_break_rules_bring_the_rules_of_now(shop: desks.Bench) -> None:
    """The exchange made its steps coarser an hour ago; our copy is a day old at most, and would be wrong for hours."""
    async with desks.opened(shop):
        true = (await shop.desk.instruments(shop.account))[SYMBOL]
        stale = replace(true, lot_size=true.lot_size / 10)
        shop.desk._rules._known[shop.account] = (desks.now() - 3_600_000, {SYMBOL: stale})
        bot = await shop.desk.create(1, shop.account, desks.GRID, "once")
        await shop.desk.start(bot, 1, confirmed=True)
        async with asyncio.timeout(10):
            while (await shop.desk.instruments(shop.account))[SYMBOL] != true:
                await asyncio.sleep(0.05)
        # and the next try goes by them
        await shop.desk.stop(bot, 1, close=False)
        await shop.until(lambda: shop.desk.card(bot).status == "STOPPED")
        await shop.desk.start(bot, 1, confirmed=True)
        await shop.until(lambda: len(shop.orders()) == 10)
