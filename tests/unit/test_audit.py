"""An audit that only glances misses nothing that lasts: random lives whose stream loses what it should tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal as D

import pytest

from tests.crash import Trial
from tests.unit.pit import Pit, neutral
from tests.unit.test_session import Life
from trading.gateways.binance.ferry import Ferry
from trading.live.audit import agrees, audit, is_settled
from trading.messages import Closed, Filled
from trading.model import Side
from trading.ports import Disagree, Disconnected, Glance, Rejected, SnapshotRequest, TradingError

LIVES = 1000
Judge = Callable[[Glance, SnapshotRequest], bool]


def glance(pit: Pit, orders: Mapping[str, D] | None = None) -> Glance:
    """What the pit's venue would let an account see at a glance."""
    resting = {order.client_id: order.executed for order in pit.venue.open_orders("me")}
    return Glance({"BTCUSDT": resting if orders is None else orders}, {"BTCUSDT": pit.position()})


class Deaf(Trial):
    """A life whose stream loses fills and ends without breaking, and whose audits glance before they read."""

    def __init__(self, seed: int, judge: Judge = agrees) -> None:
        super().__init__(seed)
        self.judge = judge
        self.glances = 0

    def _deeds(self):
        return [*super()._deeds(), (self.lose, 6)]

    def lose(self) -> None:
        self.inbox = [event for event in self.inbox if not isinstance(event, Filled | Closed)]

    def audit(self) -> None:
        if self.engine.status.is_live and is_settled(self.engine) and self.judge(glance(self), self.engine.request()):
            self.glances += 1
        else:
            super().audit()


def lived(seed: int, judge: Judge = agrees) -> int:
    """Glances that were enough; an AssertionError where bot and venue do not agree in the end."""
    life = Deaf(seed, judge)
    life.run()
    return life.glances


def test_whatever_the_stream_loses_a_glance_finds():
    assert sum(lived(seed) for seed in range(LIVES)) > 3 * LIVES, "most audits are glances"


def _blind_to_position(seen: Glance, request: SnapshotRequest) -> bool:
    return agrees(Glance(seen.orders, {request.symbol: request.position}), request)


def _blind_to_executed(seen: Glance, request: SnapshotRequest) -> bool:
    names = {str(cid): request.counted.get(str(cid), D(0)) for cid in request.expected}
    resting = {name: names.get(name, done) for name, done in seen.orders[request.symbol].items()}
    return _blind_to_position(Glance({request.symbol: resting}, seen.positions), request)


def _blind_to_orders(seen: Glance, request: SnapshotRequest) -> bool:
    return seen.positions.get(request.symbol, D(0)) == request.position


@pytest.mark.parametrize("judge", [_blind_to_executed, _blind_to_orders])
def test_a_glance_that_looks_past_something_is_caught(judge: Judge):
    for seed in range(LIVES):
        try:
            lived(seed, judge)
        except AssertionError:
            return
    pytest.fail(f"{judge.__name__}: not caught in {LIVES} lives")


@pytest.fixture
def pit() -> Pit:
    found = Pit(neutral())
    found.start()
    return found


def seen(pit: Pit) -> bool:
    return not agrees(glance(pit), pit.engine.request())


def test_a_quiet_bot_is_as_it_believes(pit: Pit):
    assert is_settled(pit.engine)
    assert not seen(pit)


def test_a_fill_nobody_told_is_seen(pit: Pit):
    pit.walk("63900", deliver=False)
    assert seen(pit)


def test_part_of_a_fill_nobody_told_is_seen(pit: Pit):
    order = max(pit.resting(Side.BUY), key=lambda each: each.price)
    pit.venue.print_trade("BTCUSDT", order.price, D("0.004"), True, pit.now)
    assert seen(pit)


def test_an_order_that_ended_untold_is_seen(pit: Pit):
    pit.venue.cancel("me", "BTCUSDT", pit.resting()[0].order_id, None, pit.now)
    assert seen(pit)


def test_an_order_of_the_bot_that_it_does_not_know_is_seen(pit: Pit):
    pit.foreign_order(Side.BUY, "50000", "0.01", client_id="tabcd.7.3.9")
    assert seen(pit)


def test_orders_of_others_are_none_of_its_business(pit: Pit):
    pit.foreign_order(Side.BUY, "50000", "0.01")
    pit.foreign_order(Side.BUY, "50000", "0.01", client_id="tabcd.8.3.0")
    pit.foreign_order(Side.BUY, "50000", "0.01", client_id="tzzzz.7.3.0")
    assert not seen(pit)


def test_a_trade_by_somebody_else_is_seen_by_the_position(pit: Pit):
    pit.foreign_order(Side.BUY, "65100", "0.01")
    assert seen(pit)


def test_what_is_under_way_or_in_doubt_is_not_left_to_a_glance(pit: Pit):
    pit.venue.reach("BTCUSDT", D("63900"), pit.now)
    fill = next(event for _, event in pit.broker.take() if isinstance(event, Filled))
    pit.engine.handle(fill)  # its counter-order is on its way
    assert not is_settled(pit.engine)


# --------------------------------------------------------------------------- whose turn it is


class Account:
    """What an audit asks the gateway of an account, of the first of its bots."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.trouble: TradingError | None = None

    async def leisure(self, count: int = 1) -> None: ...

    async def glance(self, symbols: object) -> Glance:
        if self.trouble is not None:
            raise self.trouble
        return glance(self.life.pit)


async def two() -> tuple[Life, Life]:
    lives = Life(), Life()
    for life in lives:
        await life.begin()
        life.pit.now += 60_000
    return lives


async def test_a_bot_whose_reads_never_agree_takes_no_others_turn():
    bad, good = await two()
    bad.venue.trouble = Disagree("reads disagree")
    for _ in range(2):
        await audit(Account(good), [bad.session, good.session])  # type: ignore[arg-type]
    assert good.pit.engine.kept.read_from == good.pit.now


async def test_where_a_glance_is_refused_each_is_read_whole():
    lives = await two()
    account = Account(lives[0])
    account.trouble = Rejected(-1121, "Invalid symbol.")
    await audit(account, [life.session for life in lives])  # type: ignore[arg-type]
    assert [life.pit.engine.kept.read_from for life in lives] == [life.pit.now for life in lives]


# --------------------------------------------------------------------------- one read for many


class Water:
    """A read that takes as long as it is told."""

    def __init__(self) -> None:
        self.reads = 0
        self.gate = asyncio.Event()
        self.is_stormy = False

    async def read(self) -> int:
        self.reads += 1
        number = self.reads
        await self.gate.wait()
        if self.is_stormy:
            raise Disconnected("storm")
        return number


async def test_who_comes_while_a_read_is_under_way_shares_the_next_one():
    water = Water()
    ferry = Ferry(water.read)
    first = asyncio.ensure_future(ferry.ask())
    await asyncio.sleep(0)
    late = [asyncio.ensure_future(ferry.ask()) for _ in range(5)]
    await asyncio.sleep(0)
    water.gate.set()
    assert await first == 1, "nobody is given what was asked for before they came"
    assert await asyncio.gather(*late) == [2] * 5
    assert await ferry.ask() == 3


async def test_an_error_is_for_who_made_the_read_and_the_next_one_tries_again():
    water = Water()
    water.is_stormy = True
    ferry = Ferry(water.read)
    asked = [asyncio.ensure_future(ferry.ask()) for _ in range(3)]
    await asyncio.sleep(0)
    asked[1].cancel()
    water.gate.set()
    await asyncio.sleep(0)
    water.is_stormy = False
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(results[0], Disconnected)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] == 2
