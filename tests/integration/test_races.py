"""The desk where two things happen at once, and where a session breaks: nothing is done twice, nothing is lost."""

import asyncio
from decimal import Decimal as D

import pytest

from storage import audit
from storage.books import DatabaseBooks
from tests.integration.test_desk import GRID, Bench, bench, now, opened
from trading.live import sessions
from trading.messages import Event
from trading.views import Declined

__all__ = ["bench"]


async def break_session(bench: Bench, bot: int) -> None:
    """A fault of ours: an event that no engine knows."""
    session = bench.desk.roster.bot(bot).session
    assert session is not None
    session.feed(Event(now()))
    await bench.until(lambda: bench.desk.roster.bot(bot).session is None)


def codes(answers: list[object]) -> list[str]:
    return [each.refusals[0].code for each in answers if isinstance(each, Declined)]


# ------------------------------------------------------------------ two at once


async def test_of_two_bots_on_one_instrument_started_at_once_one_is_declined(bench):
    async with opened(bench):
        await bench.to("65000")
        bots = [await bench.desk.create(1, bench.account, GRID, once) for once in ("a", "b")]
        starts = [bench.desk.start(bot, 1, confirmed=True) for bot in bots]
        assert codes(await asyncio.gather(*starts, return_exceptions=True)) == ["instrument_taken"]
        await bench.until(lambda: sorted(card.status for card in bench.desk.cards()) == ["CREATED", "RUNNING"])
        assert len(bench.orders()) == 10


async def test_two_bots_started_at_once_do_not_both_count_on_the_same_money(bench):
    eth = GRID | {"symbol": "ETHUSDT", "lower": "3000", "upper": "3400"}
    async with opened(bench):
        await bench.to("65000")
        grids = [each | {"investment": "6000"} for each in (GRID, eth)]  # of 10,000
        bots = [await bench.desk.create(1, bench.account, grid, grid["symbol"]) for grid in grids]
        starts = [bench.desk.start(bot, 1, confirmed=True) for bot in bots]
        assert codes(await asyncio.gather(*starts, return_exceptions=True)) == ["over_balance"]


async def test_a_bot_that_is_made_twice_at_once_enters_the_roster_once(bench):
    async with opened(bench):
        await bench.to("65000")
        made = await asyncio.gather(*(bench.desk.create(1, bench.account, GRID, "a") for _ in range(3)))
        assert len(set(made)) == 1
        assert [entry.action for entry in await audit.latest(bench.database, 9)] == ["create"]


async def test_a_bot_that_was_deleted_is_not_made_again_by_the_same_press(bench):
    async with opened(bench):
        await bench.to("65000")
        await bench.desk.delete(await bench.desk.create(1, bench.account, GRID, "a"), 1)
        again = bench.desk.create(1, bench.account, GRID, "a")
        assert codes(await asyncio.gather(again, return_exceptions=True)) == ["no_such_bot"]
        assert bench.desk.cards() == []


async def test_panic_stops_a_bot_that_is_just_being_started(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID, "a")
        start = asyncio.create_task(bench.desk.start(bot, 1, confirmed=True))
        await asyncio.sleep(0)
        assert await bench.desk.panic(bench.account, 1, close=True) == [bot]
        await start
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        assert bench.orders() == []


class Slow:
    """A gateway that does not answer how much money there is until it may."""

    def __init__(self, gateway: object) -> None:
        self._gateway = gateway
        self.may = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._gateway, name)

    async def balances(self) -> object:
        await self.may.wait()
        return await self._gateway.balances()


async def test_panic_waits_for_no_plan_that_is_being_made(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"trigger": "63000"}, "a")
        await bench.desk.start(bot, 1, confirmed=True)
        one = bench.desk.roster.worker(bench.account)
        slow = one.gateway = Slow(one.gateway)
        await bench.to("62900")
        await bench.until(bench.desk.roster.bot(bot).busy.locked)
        assert await asyncio.wait_for(bench.desk.panic(bench.account, 1, close=True), 2) == [bot]
        slow.may.set()
        await bench.until(lambda: not bench.desk.roster.bot(bot).busy.locked())
        assert bench.desk.card(bot).status == "STOPPED"
        assert bench.orders() == []


async def test_panic_names_no_bot_whose_start_was_declined(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID, "a")
        await bench.to("75000")
        start = asyncio.create_task(bench.desk.start(bot, 1, confirmed=True))
        await asyncio.sleep(0)
        assert await bench.desk.panic(bench.account, 1, close=True) == []
        assert codes(await asyncio.gather(start, return_exceptions=True)) == ["outside_range"]


async def test_a_bot_that_is_deleted_while_its_start_waits_does_not_start(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID, "a")
        both = bench.desk.delete(bot, 1), bench.desk.start(bot, 1, confirmed=True)
        assert codes(await asyncio.gather(*both, return_exceptions=True)) == ["no_such_bot"]
        assert bench.desk.cards() == []
        assert bench.orders() == []


async def test_a_bot_that_waits_for_its_trigger_cannot_be_started_again(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"trigger": "63000"}, "a")
        await bench.desk.start(bot, 1, confirmed=True)
        session = bench.desk.roster.bot(bot).session
        with pytest.raises(Declined) as no:
            await bench.desk.start(bot, 1, confirmed=True)
        assert no.value.refusals[0].code == "illegal_move"
        assert bench.desk.roster.bot(bot).session is session
        await bench.to("62900")
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")


# ------------------------------------------------------------------ kept lots and a trigger


@pytest.mark.parametrize("close_first", [True, False])
async def test_lots_that_a_trigger_is_to_close_first_are_not_taken_for_carried(bench, close_first):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"direction": "LONG", "trigger": "64500"}, "a")
        await bench.desk.start(bot, 1, confirmed=True)
        await bench.to("64500")
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")
        await bench.desk.stop(bot, 1, close=False)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        assert bench.desk.card(bot).position > 0
        await bench.to("65000")
        await bench.desk.start(bot, 1, confirmed=True, close_first=close_first)
        assert bench.desk.card(bot).status == "WAITING"
        await bench.to("64500")
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")
        engine = bench.desk.roster.bot(bot).engine
        held = bench.sandbox.exchange.venue.position("sandboxkey", "BTCUSDT").qty
        assert engine.ledger.position == held
        assert engine.strategy.state.held == held, "the grid believes to hold what there is"


async def test_a_stop_that_closes_closes_what_a_waiting_bot_kept(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"direction": "LONG", "trigger": "64500"}, "a")
        await bench.desk.start(bot, 1, confirmed=True)
        await bench.to("64500")
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")
        await bench.desk.stop(bot, 1, close=False)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        await bench.to("65000")
        await bench.desk.start(bot, 1, confirmed=True)
        assert await bench.desk.panic(bench.account, 1, close=True) == [bot]
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        assert bench.sandbox.exchange.venue.position("sandboxkey", "BTCUSDT").qty == 0


# ------------------------------------------------------------------ a session that breaks


async def test_a_stop_that_comes_while_a_broken_bot_is_built_again_is_obeyed(bench, monkeypatch):
    monkeypatch.setattr(sessions, "REVIVE_AFTER", 0.2)
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await break_session(bench, bot)
        await bench.desk.stop(bot, 1, close=True)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        assert bench.orders() == []


async def test_a_broken_bot_catches_up_with_what_it_missed(bench, monkeypatch):
    monkeypatch.setattr(sessions, "REVIVE_AFTER", 0.2)
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await break_session(bench, bot)
        await bench.to("62900")
        await bench.until(lambda: bench.desk.card(bot).fills == 2 and len(bench.orders()) == 10)


class Faltering(DatabaseBooks):
    """Books whose database does not answer for a while."""

    is_away = False

    async def checkpoint(self, bot: int) -> bytes | None:
        if self.is_away:
            raise OSError("the database does not answer")
        return await super().checkpoint(bot)


async def test_a_broken_bot_comes_back_however_long_the_database_is_away(bench, monkeypatch):
    monkeypatch.setattr(sessions, "REVIVE_AFTER", 0.1)
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        books = Faltering(bench.database)
        bench.desk.roster.books = books
        books.is_away = True
        await break_session(bench, bot)
        await asyncio.sleep(0.5)
        assert bench.desk.roster.bot(bot).session is None
        books.is_away = False
        await bench.until(lambda: bench.desk.roster.bot(bot).session is not None)
        await bench.to("63900")
        await bench.until(lambda: bench.desk.card(bot).fills == 1)


async def test_a_session_that_breaks_again_and_again_is_built_again_ever_later(bench, monkeypatch):
    monkeypatch.setattr(sessions, "REVIVE_AFTER", 0.1)
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        rests = []
        for _ in range(3):
            await bench.until(lambda: bench.desk.roster.bot(bot).session is not None)
            rests.append(D(str(bench.desk.roster.bot(bot).wait)))
            await break_session(bench, bot)
        assert rests[1] * 2 == rests[2]


# ------------------------------------------------------------------ clocks


@pytest.mark.parametrize("skew", [120_000, -120_000])
async def test_waits_are_measured_by_the_clock_of_the_exchange(bench, skew):
    await bench.fault(skew=skew)
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        refusal = {"kind": "refuse", "on": "order.place", "code": -1008, "msg": "Request throttled.", "count": 2}
        await bench.fault(next=[refusal])
        await bench.to("63900")
        await bench.until(lambda: bench.desk.card(bot).fills == 1 and len(bench.orders()) == 10)
        await bench.desk.stop(bot, 1, close=True)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")


@pytest.mark.parametrize("skew", [30_000, -30_000])
async def test_a_bot_goes_on_within_seconds_when_the_clock_of_the_exchange_steps_there_and_back(bench, skew):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        for price, skewed in (("63900", skew), ("65100", 0)):
            await bench.fault(skew=skewed)
            fills = bench.desk.card(bot).fills
            await bench.to(price)
            await bench.until(lambda: bench.desk.card(bot).fills > fills and len(bench.orders()) == 10)  # noqa: B023
            await asyncio.wait_for(bench.desk.roster.worker(bench.account).audit(), 10)
            assert bench.desk.card(bot).status == "RUNNING"
