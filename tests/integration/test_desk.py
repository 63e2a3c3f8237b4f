"""The desk over real sockets: sandbox exchange, Binance gateway, SQLite; no chat."""

import asyncio
import time
from contextlib import asynccontextmanager
from decimal import Decimal as D

import aiohttp
import pytest

from storage import accounts
from storage.books import DatabaseBooks
from storage.database import Database
from storage.journal import DatabaseJournal
from storage.vault import open_vault
from trading.core.venue import OrderRequest
from trading.gateways.catalog import local, open_gateway
from trading.live import desk, worker
from trading.live.desk import Desk
from trading.model import Environment, OrderType, Side
from trading.ports import Credentials
from trading.sandbox.drive import trade
from trading.sandbox.market import TradePrint
from trading.sandbox.server import Options, Sandbox
from trading.views import Declined

KEYS = Credentials("sandboxkey", "sandboxsecret")
GRID = {
    "symbol": "BTCUSDT", "direction": "NEUTRAL", "lower": "60000", "upper": "70000", "grids": "10",
    "investment": "2000", "leverage": "5",
}  # fmt: skip


def now() -> int:
    return time.time_ns() // 1_000_000


class Bench:
    """A sandbox whose price we move, and a desk on it."""

    def __init__(self, sandbox: Sandbox, database: Database) -> None:
        self.sandbox = sandbox
        self.database = database
        self.desk: Desk
        self.account = 0

    async def to(self, price: str, symbol: str = "BTCUSDT") -> None:
        url = f"http://127.0.0.1:{self.sandbox.port}/sandbox/market"
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, json={"reach": {"symbol": symbol, "price": price}}) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def fault(self, **order: object) -> None:
        url = f"http://127.0.0.1:{self.sandbox.port}/sandbox/faults"
        async with aiohttp.ClientSession() as http, http.post(url, json=order) as answer:
            assert answer.status == 200, await answer.text()

    def orders(self):
        venue = self.sandbox.exchange.venue
        return venue.open_orders("sandboxkey", "BTCUSDT")

    async def until(self, condition, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {self.desk.cards()}"
            await asyncio.sleep(0.01)

    async def running(self, **changes: str) -> int:
        bot = await self.desk.create(1, self.account, GRID | changes, "once-1")
        await self.desk.start(bot, 1, confirmed=True)
        await self.until(lambda: self.desk.card(bot).status == "RUNNING")
        return bot


@asynccontextmanager
async def opened(bench: Bench):
    """A service's life on the bench: desk and journal."""
    account = await accounts.ensure(
        bench.database, 1, "demo", "binance", Environment.DEMO, now(), local(bench.sandbox.port)
    )
    bench.account = account.id
    journal = DatabaseJournal(bench.database)

    async def open_it(of):
        return open_gateway(of, KEYS)

    bench.desk = Desk(DatabaseBooks(bench.database), journal, open_it, now)
    flusher = asyncio.create_task(journal.run())
    await bench.desk.open()
    try:
        await bench.until(lambda: bench.desk.health()[0].ok)
        yield bench
    finally:
        await bench.desk.close()
        flusher.cancel()
        await asyncio.gather(flusher, return_exceptions=True)
        await journal.close()


@pytest.fixture
async def bench(database):
    sandbox = Sandbox(Options(still=True))
    await sandbox.start()
    try:
        yield Bench(sandbox, database)
    finally:
        await sandbox.close()


async def test_a_grid_is_previewed_created_started_filled_and_stopped(bench):
    async with opened(bench):
        await bench.to("65000")
        preview = await bench.desk.preview(bench.account, GRID)
        assert len(preview.plan.levels) == 11
        bot = await bench.running()
        assert len(bench.orders()) == 10
        await bench.to("63900")
        await bench.until(lambda: bench.desk.card(bot).fills == 1)
        await bench.until(lambda: len(bench.orders()) == 10)
        await bench.to("65000")
        await bench.until(lambda: bench.desk.card(bot).pairs == 1)
        await bench.desk.stop(bot, 1, close=True)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        assert bench.orders() == []


async def test_a_new_service_on_the_same_database_resumes_without_flattening(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.to("63900")
        await bench.until(lambda: bench.desk.card(bot).fills == 1)
        before = bench.desk.card(bot)
    await bench.to("61900")
    async with opened(bench):
        await bench.until(lambda: bench.desk.card(bot).fills == 3)
        await bench.until(lambda: len(bench.orders()) == 10)
        assert bench.desk.card(bot).position > before.position
        assert bench.sandbox.exchange.venue.position("sandboxkey", "BTCUSDT").qty == bench.desk.card(bot).position


async def test_a_new_service_reads_a_partly_filled_order_and_goes_on_at_once(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        piece = TradePrint("BTCUSDT", 0, D(64000), D("0.002"), True)
        trade(bench.sandbox.exchange, piece)
        await bench.until(lambda: bench.desk.card(bot).fills == 1)
    async with opened(bench):
        await bench.until(lambda: bench.desk.card(bot).connected and not bench.desk.card(bot).missing, 4)
        assert bench.desk.card(bot).status == "RUNNING"
        assert [row.filled for row in bench.desk.levels(bot)].count(D("0.002")) == 1


async def test_a_directional_grid_takes_its_inventory(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(direction="LONG")
        card = bench.desk.card(bot)
        assert card.position > 0
        assert len(bench.orders()) == 10
        assert card.missing == ()


async def test_when_sockets_drop_the_bot_reconciles_and_nothing_is_lost(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.fault(drop=["user", "market", "wsapi"])
        await bench.to("61900")
        await bench.until(lambda: bench.desk.card(bot).fills == 3, 20)
        await bench.until(lambda: len(bench.orders()) == 10)
        names = [o.client_id for o in bench.sandbox.exchange.venue.all_orders("sandboxkey")]
        assert len(names) == len(set(names))


async def test_two_bots_on_one_instrument_are_refused(bench):
    async with opened(bench):
        await bench.to("65000")
        await bench.running()
        second = await bench.desk.create(1, bench.account, GRID, "once-2")
        with pytest.raises(Declined) as no:
            await bench.desk.start(second, 1)
        assert no.value.refusals[0].code == "instrument_taken"


async def test_pressed_twice_creates_and_starts_once(bench):
    async with opened(bench):
        await bench.to("65000")
        made = await asyncio.gather(*(bench.desk.create(1, bench.account, GRID, "nonce") for _ in range(3)))
        assert len(set(made)) == 1
        starts = await asyncio.gather(*(bench.desk.start(made[0], 1) for _ in range(2)), return_exceptions=True)
        assert sorted(type(s).__name__ for s in starts) == ["Declined", "NoneType"]


async def test_unknown_symbols_are_met_with_the_nearest_names(bench):
    async with opened(bench):
        for text in ("btc", "BTCUSDT", "BTC/USDT", "BTC/USDT:USDT", "btc-usdt", "binance:BTC-USDT-PERP"):
            assert (await bench.desk.resolve(bench.account, text)).symbol == "BTCUSDT"
        with pytest.raises(Declined) as no:
            await bench.desk.resolve(bench.account, "BTCUSD1T")
        assert "BTCUSDT" in no.value.refusals[0].values["nearest"]


async def test_a_position_that_is_not_the_bots_own_refuses_the_start(bench):
    async with opened(bench):
        await bench.to("65000")
        gateway = bench.desk.roster.gateway(bench.account)
        venue = bench.sandbox.exchange.venue
        venue.place("sandboxkey", OrderRequest("BTCUSDT", Side.BUY, OrderType.MARKET, D("0.01")), now())
        assert (await gateway.position("BTCUSDT")).qty == D("0.01")
        bot = await bench.desk.create(1, bench.account, GRID, "once")
        with pytest.raises(Declined) as no:
            await bench.desk.start(bot, 1)
        assert no.value.refusals[0].code == "foreign_position"


async def test_a_kept_position_that_was_closed_by_hand_refuses_the_start_in_its_own_words(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(direction="LONG")
        await bench.desk.stop(bot, 1, close=False)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        kept = bench.desk.card(bot).position
        venue = bench.sandbox.exchange.venue
        venue.place("sandboxkey", OrderRequest("BTCUSDT", Side.SELL, OrderType.MARKET, kept), now())
        with pytest.raises(Declined) as no:
            await bench.desk.start(bot, 1, confirmed=True)
        [refusal] = no.value.refusals
        assert (refusal.code, refusal.values["kept"]) == ("kept_position_changed", str(kept))
        assert D(refusal.values["qty"]) == 0


async def test_a_bot_with_a_trigger_waits_and_starts_when_the_price_comes(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"trigger": "63000"}, "once")
        await bench.desk.start(bot, 1)
        assert bench.desk.card(bot).status == "WAITING"
        await bench.to("64000")
        await asyncio.sleep(0.3)
        assert bench.orders() == []
        await bench.to("62900")
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")
        assert len(bench.orders()) == 10


async def test_a_waiting_bot_can_be_stopped(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"trigger": "63000"}, "once")
        await bench.desk.start(bot, 1)
        await bench.desk.stop(bot, 1, close=False)
        assert bench.desk.card(bot).status == "STOPPED"


async def test_a_stop_loss_cancels_closes_and_finishes(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(stop_loss="58000", stop_loss_high="72000")
        await bench.to("57900")
        await bench.until(lambda: bench.desk.card(bot).status == "FINISHED", 15)
        assert bench.desk.card(bot).reason == "stop_loss"
        assert bench.orders() == []
        assert bench.sandbox.exchange.venue.position("sandboxkey", "BTCUSDT").qty == 0


@pytest.mark.parametrize("flatten", [True, False])
async def test_a_reset_lays_the_grid_anew(bench, flatten):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.to("62900")
        await bench.until(lambda: bench.desk.card(bot).fills == 2)
        held = bench.desk.card(bot).position
        await bench.desk.reset(bot, 1, flatten)
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING" and len(bench.orders()) == 10)
        assert bench.desk.card(bot).position == (0 if flatten else held)
        names = [o.client_id for o in bench.sandbox.exchange.venue.all_orders("sandboxkey")]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("close_first", [True, False])
async def test_a_stopped_bot_starts_again_with_its_lots_carried_or_closed(bench, close_first):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(direction="LONG")
        await bench.desk.stop(bot, 1, close=False)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        held = bench.desk.card(bot).position
        assert held > 0
        await bench.desk.start(bot, 1, close_first=close_first)
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING" and len(bench.orders()) == 10)
        venue = bench.sandbox.exchange.venue
        assert venue.position("sandboxkey", "BTCUSDT").qty == bench.desk.card(bot).position > 0
        bought = [o for o in venue.all_orders("sandboxkey") if ".o." in o.client_id]
        closed = [o for o in venue.all_orders("sandboxkey") if ".c." in o.client_id]
        assert (len(bought), len(closed)) == ((2, 1) if close_first else (1, 0))


# --------------------------------------------------------------------------- editing


async def test_a_stop_edited_while_running_is_the_one_that_acts(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(stop_loss="50000")
        proposed = await bench.desk.propose(bot, {"stop_loss": "59,000"})
        assert [(each.name, each.before, each.after) for each in proposed.fields] == [("stop_loss", "50000", "59000")]
        assert 0 < proposed.worst_after < proposed.worst_before
        assert bench.desk.card(bot).stop_loss == 50000
        await bench.desk.edit(bot, 1, {"stop_loss": "59,000"})
        assert bench.desk.card(bot).stop_loss == 59000
        assert bench.desk.card(bot).parameters["stop_loss"] == "59000"
        assert len(bench.orders()) == 10
        await bench.to("58900")
        await bench.until(lambda: bench.desk.card(bot).status == "FINISHED", 15)
        assert bench.desk.card(bot).reason == "stop_loss"


async def test_an_edit_outlives_the_service_and_one_torn_by_a_crash_is_mended(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(stop_loss="50000")
        await bench.desk.edit(bot, 1, {"stop_loss": "", "stop_loss_high": "80000", "note": "mine & <b>yours</b>"})
        # as after a crash between the two commits: the row is as before, the checkpoint is not
        await DatabaseBooks(bench.database).set_parameters(bot, GRID | {"stop_loss": "50000"}, "mine")
    async with opened(bench):
        card = bench.desk.card(bot)
        assert (card.stop_loss, card.stop_loss_high, card.note) == (None, 80000, "mine")
        assert "stop_loss" not in card.parameters
        assert card.parameters["stop_loss_high"] == "80000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stop_loss": "61000"}, "stop_inside_range"),
        ({"stop_loss_high": "69000"}, "stop_not_above"),
        ({"take_profit": "80000"}, "no_target_for_neutral"),
        ({"stop_loss": "20000"}, "liquidation_before_stop"),
        ({"stop_loss": "many"}, "bad_number"),
        ({"stop_loss": "59000%"}, "price_wanted"),
        ({"grids": "20"}, "not_editable"),
        ({"note": "x" * 201}, "too_long"),
    ],
)
async def test_a_wrong_edit_is_refused_and_changes_nothing(bench, changes, code):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(leverage="10")
        before = bench.desk.card(bot)
        for verb in (bench.desk.propose(bot, changes), bench.desk.edit(bot, 1, changes)):
            with pytest.raises(Declined) as no:
                await verb
            assert code in [each.code for each in no.value.refusals]
        assert bench.desk.card(bot).parameters == before.parameters


async def test_a_stopped_bot_is_edited_and_starts_with_its_new_stop(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID, "once")
        await bench.desk.edit(bot, 1, {"stop_loss": "55000"})
        assert bench.desk.card(bot).stop_loss == 55000
        await bench.desk.start(bot, 1)
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")
        assert bench.desk.roster.bot(bot).engine.strategy.plan.stop_loss == 55000


async def test_a_stop_beyond_which_the_price_is_already_is_refused(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.to("59000")
        await bench.until(lambda: bench.desk.card(bot).price < 59100)
        with pytest.raises(Declined) as no:
            await bench.desk.edit(bot, 1, {"stop_loss": "59500"})
        assert no.value.refusals[0].code == "already_beyond_stop"


# --------------------------------------------------------------------------- panic


async def second(bench) -> int:
    grid = GRID | {"symbol": "ETHUSDT", "lower": "3000", "upper": "3500"}
    bot = await bench.desk.create(1, bench.account, grid, "once-eth")
    await bench.desk.start(bot, 1)
    await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")
    return bot


@pytest.mark.parametrize("close", [True, False])
async def test_panic_stops_every_bot_and_the_exchange_confirms(bench, close):
    async with opened(bench):
        await bench.to("65000")
        bots = [await bench.running(), await second(bench)]
        sol = {"symbol": "SOLUSDT", "lower": "100", "upper": "200", "investment": "500", "leverage": "2"}
        waiting = await bench.desk.create(1, bench.account, GRID | sol | {"trigger": "110"}, "once-sol")
        await bench.desk.start(waiting, 1)
        await bench.to("62900")
        await bench.until(lambda: bench.desk.card(bots[0]).fills == 2)
        going = await bench.desk.panic(bench.account, 1, close)
        assert set(going) == {*bots, waiting}
        await bench.until(lambda: all(row.status == "STOPPED" for row in bench.desk.panicking(going)))
        left = await bench.desk.aftermath(bench.account)
        assert (left.ours, left.foreign) == (0, 0)
        assert [row.symbol for row in left.positions] == ([] if close else ["BTCUSDT"])
        assert bench.sandbox.exchange.venue.open_orders("sandboxkey") == []


async def test_panic_while_the_exchange_is_away_is_done_when_it_is_back(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.fault(maintenance=True, drop=["user", "market", "wsapi"])
        await bench.until(lambda: not bench.desk.health()[0].ok)
        going = await bench.desk.panic(bench.account, 1, True)
        assert [row.status for row in bench.desk.panicking(going)] == ["STOPPING"]
        with pytest.raises(Declined) as no:
            await bench.desk.aftermath(bench.account)
        assert no.value.refusals[0].code == "venue_down"
        await bench.fault(maintenance=False)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED", 40)
        assert bench.orders() == []


async def test_the_aftermath_counts_orders_that_are_not_ours_and_leaves_them(bench):
    async with opened(bench):
        from trading.core.venue import OrderRequest
        from trading.model import OrderType, Side

        await bench.to("65000")
        order = OrderRequest("BTCUSDT", Side.BUY, OrderType.LIMIT, D("0.01"), price=D("50000"))
        await bench.running()
        bench.sandbox.exchange.venue.place("sandboxkey", order, now())
        await bench.desk.panic(bench.account, 1, True)
        await bench.until(lambda: len(bench.orders()) == 1)
        left = await bench.desk.aftermath(bench.account)
        assert (left.ours, left.foreign) == (0, 1)


# --------------------------------------------------------------------------- how it did


async def test_performance_adds_up_to_the_ledger(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        for price in ("63900", "65000", "66100", "62900"):
            await bench.to(price)
            await asyncio.sleep(0.3)
        await bench.until(lambda: bench.desk.card(bot).pairs >= 2)
        await asyncio.sleep(0.3)  # the grouped commit
        card, done = bench.desk.card(bot), await bench.desk.performance(bot)
        assert sum(day.matched for day in done.days) == card.matched > 0
        assert sum(day.pairs for day in done.days) == card.pairs
        assert sum(day.fills for day in done.days) == card.fills
        assert sum(day.fees for day in done.days) == card.fees
        assert done.grid_apr is None
        assert done.total_apr is None
        rows = await bench.desk.fills(bot)
        assert [row.time for row in rows] == sorted(row.time for row in rows)
        cash = sum(-row.side.sign * row.price * row.qty - row.fee for row in rows)
        assert cash + card.position * bench.desk.roster.bot(bot).engine.mark == card.total


# --------------------------------------------------------------------------- accounts


async def test_an_account_is_tested(bench):
    async with opened(bench):
        rows = await bench.desk.check_account(bench.account)
        assert {row.part: row.ok for row in rows} == {
            "reach": True, "keys": True, "funds": True, "mode": True, "withdrawals": True,
        }  # fmt: skip


async def test_an_account_is_removed_only_when_nothing_stands_on_it(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        with pytest.raises(Declined) as no:
            await bench.desk.remove_account(bench.account, 1)
        assert no.value.refusals[0].code == "account_in_use"
        await bench.desk.stop(bot, 1, close=True)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        await bench.desk.delete(bot, 1)
        with pytest.raises(Declined) as no:
            await bench.desk.remove_account(bench.account, 1)
        assert no.value.refusals[0].code == "account_of_environment"


async def test_a_stored_account_is_forgotten_with_its_keys(bench, tmp_path):
    vault = open_vault(tmp_path, None)
    kept = await accounts.add(
        bench.database, vault, 1, "stored", "binance", Environment.DEMO, KEYS, now(), local(bench.sandbox.port)
    )
    async with opened(bench):
        await bench.desk.remove_account(kept.id, 1)
        assert [each.name for each in bench.desk.accounts()] == ["demo"]
        with pytest.raises(accounts.NoKeys):
            await accounts.credentials(bench.database, vault, kept.id)


async def test_a_touch_that_moved_while_the_stream_was_silent_is_read_at_the_next_audit(bench, monkeypatch):
    monkeypatch.setattr(worker, "SILENT", 0)
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        one = bench.desk.roster.workers[bench.account]
        await bench.fault(stall={"market": 60_000})
        venue = bench.sandbox.exchange.venue
        venue.reach("BTCUSDT", D(64500), now())  # no order there: nothing but the touch says so
        await asyncio.sleep(0.2)
        assert one.quotes["BTCUSDT"].bid > D(64900)
        await bench.desk.audit_bots()
        assert one.quotes["BTCUSDT"].bid < D(64600)
        assert bench.desk.card(bot).price == D(64500)


async def test_an_account_that_cannot_be_read_holds_up_the_audit_of_no_other(bench, monkeypatch):
    monkeypatch.setattr(desk, "AUDIT_PATIENCE", 0.2)

    class Stuck:
        """A worker whose venue never answers."""

        async def audit(self) -> None:
            await asyncio.Event().wait()

    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        workers = bench.desk.roster.workers
        bench.desk.roster.workers = {0: Stuck(), **workers}
        before = bench.desk.roster.bots[bot].engine.kept.read_from
        async with asyncio.timeout(5):
            await bench.desk.audit_bots()
        bench.desk.roster.workers = workers
        await bench.until(lambda: bench.desk.roster.bots[bot].engine.kept.read_from > before)
