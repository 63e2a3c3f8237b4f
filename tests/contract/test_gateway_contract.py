"""What every gateway must do, whatever its venue: one list of behaviours, run for each of them.

Real venues are asked by `pytest -m live` only, and only where their keys are in the environment.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.gateways import LIVE, VENUES, Missing, Trader, Venue
from trading.messages import (
    Accepted,
    Amend,
    CancelRefused,
    Closed,
    Filled,
    Funding,
    Mark,
    Quote,
    Reason,
    Refused,
    StopMoved,
    Working,
)
from trading.model import MarginMode, Side, StopStatus, TimeInForce
from trading.ports import Disagree, Rejected

pytestmark = pytest.mark.timeout(60)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "venue" in metafunc.fixturenames:
        is_live = "live" in metafunc.config.getoption("markexpr")
        real = [pytest.param(each, marks=pytest.mark.live) for each in LIVE] if is_live else []
        metafunc.parametrize("venue", [*VENUES, *real], indirect=True)


@pytest.fixture
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[Venue]:
    try:
        opened = (VENUES | LIVE)[request.param]()
    except Missing as why:
        pytest.skip(str(why))
    async with opened as venue:
        yield venue


@pytest.fixture
async def trader(venue: Venue) -> Trader:
    try:
        trader = await venue.connected()
    except Missing as why:
        pytest.skip(str(why))
    await trader.look()
    return trader


@pytest.fixture
def obedient(venue: Venue) -> Venue:
    """A venue whose market goes where it is told."""
    if not venue.moves:
        pytest.skip("nobody moves a real market")
    return venue


# --------------------------------------------------------------------------- reads


async def test_it_lists_instruments_with_usable_rules(trader: Trader) -> None:
    rules = trader.rules
    assert rules is not None
    assert rules.status == "TRADING"
    assert trader.symbol.startswith(rules.base)
    assert rules.tick_size > 0
    assert rules.lot_size > 0
    assert rules.max_leverage >= 20


async def test_its_brackets_ascend_without_gaps(trader: Trader) -> None:
    brackets = await trader.gateway.brackets(trader.symbol)
    assert brackets[0].floor == 0
    assert all(below.cap == above.floor for below, above in itertools.pairwise(brackets))


async def test_fees_quote_candles_and_balances_can_be_read(trader: Trader) -> None:
    maker, taker = await trader.gateway.fees(trader.symbol)
    assert maker <= taker < Decimal("0.01")
    quote = await trader.gateway.quote(trader.symbol)
    assert 0 < quote.bid < quote.ask
    candles = await trader.gateway.candles(trader.symbol, "1m", 3)
    assert [c.time for c in candles] == sorted(c.time for c in candles)
    [usdt] = [balance for balance in await trader.gateway.balances() if balance.asset == "USDT"]
    assert 0 < usdt.available <= usdt.wallet


async def test_settings_can_be_made_twice_and_are_stated(trader: Trader) -> None:
    for _ in range(2):
        await trader.gateway.prepare(trader.symbol, 7, MarginMode.ISOLATED)
    position = await trader.gateway.position(trader.symbol)
    assert (position.qty, position.leverage, position.margin_mode) == (0, 7, MarginMode.ISOLATED)
    assert await trader.gateway.is_hedge_mode() is False


async def test_settings_that_are_so_already_are_fine_beside_resting_orders(trader: Trader) -> None:
    await trader.gateway.prepare(trader.symbol, 7, MarginMode.ISOLATED)
    trader.place(trader.name(1), Side.BUY, trader.at("-1.5"), trader.qty)
    await trader.hear(Accepted, trader.name(1))
    await trader.gateway.prepare(trader.symbol, 7, MarginMode.ISOLATED)


async def test_what_forbids_a_setting_has_a_reason(trader: Trader) -> None:
    await trader.gateway.prepare(trader.symbol, 7, MarginMode.ISOLATED)
    trader.market_order(trader.name(1), Side.BUY, trader.qty)
    await trader.until(lambda: sum(fill.qty for fill in trader.of(Filled)) == trader.qty)
    with pytest.raises(Rejected) as caught:
        await trader.gateway.prepare(trader.symbol, 7, MarginMode.CROSS)
    assert caught.value.reason == "margin_mode_position"


async def test_its_time_is_the_venues(trader: Trader) -> None:
    trader.place(trader.name(1), Side.BUY, trader.at("-1.5"), trader.qty)
    accepted = await trader.hear(Accepted, trader.name(1))
    assert abs(trader.gateway.now() - accepted.time) < 5_000


async def test_keeping_alive_disturbs_nothing(trader: Trader) -> None:
    await trader.gateway.keep_alive()
    trader.place(trader.name(1), Side.BUY, trader.at("-1.5"), trader.qty)
    await trader.hear(Accepted, trader.name(1))
    assert [up for up, _ in trader.states] == [True]


async def test_wrong_keys_are_a_clear_no(venue: Venue) -> None:
    for stranger in venue.strangers():
        with pytest.raises(Rejected):
            await stranger.connect()


async def test_its_health_says_that_it_is_up_and_how_orders_go(trader: Trader) -> None:
    health = trader.gateway.health()
    assert (health.is_up, health.why, health.banned_until) == (True, "", 0)
    assert health.orders_by


async def test_watching_tells_quotes_and_marks_until_it_ends(obedient: Venue, trader: Trader) -> None:
    def hear(symbol: str, event: object) -> None:
        trader.market.append((symbol, event))  # type: ignore[arg-type]

    await trader.gateway.watch(trader.symbol, hear)
    await trader.until(lambda: {type(event) for _, event in trader.market} >= {Quote, Mark})
    await obedient.move(trader.at("0.15"))
    await trader.until(lambda: any(isinstance(e, Quote) and e.bid > trader.mid for _, e in trader.market))
    await trader.gateway.unwatch(trader.symbol, hear)
    trader.market.clear()
    await obedient.move(trader.at("0.3"))
    assert not trader.market


async def test_each_watcher_is_told_and_the_last_to_go_ends_it(obedient: Venue, trader: Trader) -> None:
    heard: dict[str, list[object]] = {"one": [], "two": []}

    def one(symbol: str, event: object) -> None:
        heard["one"].append(event)

    def two(symbol: str, event: object) -> None:
        heard["two"].append(event)

    await trader.gateway.watch(trader.symbol, one)
    await trader.gateway.watch(trader.symbol, two)
    await trader.until(lambda: bool(heard["one"] and heard["two"]))
    await trader.gateway.unwatch(trader.symbol, one)
    await trader.gateway.unwatch(trader.symbol, one)
    heard["one"].clear()
    await obedient.move(trader.at("0.15"))
    await trader.until(lambda: any(isinstance(e, Quote) and e.bid > trader.mid for e in heard["two"]))
    await trader.gateway.unwatch(trader.symbol, two)
    assert heard["one"] == []


# --------------------------------------------------------------------------- orders


async def test_nothing_is_told_from_within_send(trader: Trader) -> None:
    before = len(trader.events)
    for slot in range(3):
        trader.place(trader.name(slot), Side.BUY, trader.at("-1.5"), trader.qty)
    trader.cancel(trader.name(9))
    assert len(trader.events) == before
    for slot in range(3):
        await trader.hear(Accepted, trader.name(slot))
    await trader.hear(CancelRefused, trader.name(9))


async def test_what_it_cannot_amend_it_says(trader: Trader) -> None:
    if trader.gateway.capabilities.amend:
        pytest.skip("this venue amends")
    trader.place(trader.name(1), Side.BUY, trader.at("-1.5"), trader.qty)
    await trader.hear(Accepted, trader.name(1))
    trader.gateway.send(Amend(trader.symbol, trader.name(1), Side.BUY, trader.at("-2"), trader.qty))
    await trader.hear(CancelRefused, trader.name(1))
    [(_, order)] = await trader.gateway.open_orders(trader.symbol)
    assert getattr(order, "price", None) == trader.at("-1.5")


async def test_orders_rest_on_when_a_gateway_closes_and_the_next_one_finds_them(venue: Venue, trader: Trader) -> None:
    trader.place(trader.name(1), Side.BUY, trader.at("-1.5"), trader.qty)
    await trader.hear(Accepted, trader.name(1))
    await trader.gateway.close()
    again = await venue.connected()
    again.install, again.began = trader.install, trader.began
    mine = {(symbol, getattr(order, "cid", None)) for symbol, order in await again.gateway.open_orders()}
    assert (trader.symbol, trader.name(1)) in mine
    again.cancel(trader.name(1))
    assert (await again.hear(Closed, trader.name(1))).reason is Reason.CANCELLED


async def test_a_post_only_order_rests_under_its_name_until_cancelled(trader: Trader) -> None:
    cid, price = trader.name(1), trader.at("-1.5")
    trader.place(cid, Side.BUY, price, trader.qty)
    accepted = await trader.hear(Accepted, cid)
    [(symbol, order)] = await trader.gateway.open_orders(trader.symbol)
    assert isinstance(order, Working)
    assert (symbol, order.cid, order.order_id, order.price) == (trader.symbol, cid, accepted.order_id, price)
    trader.cancel(cid)
    closed = await trader.hear(Closed, cid)
    assert (closed.reason, closed.executed) == (Reason.CANCELLED, 0)
    assert await trader.gateway.open_orders(trader.symbol) == []


async def test_a_post_only_order_that_would_take_is_refused_and_its_name_stays_free(trader: Trader) -> None:
    cid = trader.name(1)
    trader.place(cid, Side.BUY, trader.at("0.8"), trader.qty)
    assert (await trader.hear(Refused, cid)).reason is Reason.WOULD_CROSS
    snapshot = await trader.gateway.snapshot(trader.request(expected=(cid,)))
    assert snapshot.absent == {cid}
    trader.place(cid, Side.BUY, trader.at("-1.5"), trader.qty)
    await trader.hear(Accepted, cid)


async def test_a_resting_order_that_is_reached_fills_at_its_price_as_maker(obedient: Venue, trader: Trader) -> None:
    cid, price, qty = trader.name(2), trader.at("-0.8"), trader.qty * 2
    maker, _ = await trader.gateway.fees(trader.symbol)
    trader.place(cid, Side.BUY, price, qty)
    await trader.hear(Accepted, cid)
    await obedient.move(trader.at("-1"))
    await trader.until(lambda: sum(fill.qty for fill in trader.of(Filled, cid)) == qty)
    for fill in trader.of(Filled, cid):
        assert (fill.side, fill.price, fill.maker, fill.fee_rate) == (Side.BUY, price, True, 1)
        assert fill.fee == fill.price * fill.qty * maker
    assert (await trader.gateway.position(trader.symbol)).qty == qty


async def test_a_market_order_fills_as_taker_and_reduce_only_ends_the_position(trader: Trader) -> None:
    trader.market_order(trader.name(3), Side.SELL, trader.qty)
    await trader.until(lambda: sum(fill.qty for fill in trader.of(Filled, trader.name(3))) == trader.qty)
    assert {(fill.side, fill.maker) for fill in trader.of(Filled)} == {(Side.SELL, False)}
    assert trader.symbol in await trader.gateway.positions()
    trader.market_order(trader.name(4), Side.BUY, trader.qty, reduce_only=True)
    await trader.until(lambda: sum(fill.qty for fill in trader.of(Filled, trader.name(4))) == trader.qty)
    assert trader.symbol not in await trader.gateway.positions()


@pytest.mark.parametrize(
    ("side", "percent", "ticks", "lots", "tif", "reduce_only", "reason"),
    [
        (Side.BUY, "-1.5", "0", "0.1", TimeInForce.GTX, False, Reason.FILTER),
        (Side.BUY, "-1.5", "0.5", "", TimeInForce.GTX, False, Reason.FILTER),
        (Side.BUY, "-1.5", "0", "900000", TimeInForce.GTX, False, Reason.MARGIN),
        (Side.SELL, "1.5", "0", "", TimeInForce.GTX, True, Reason.REDUCE_ONLY),
        (Side.BUY, "38", "0", "", TimeInForce.GTC, False, Reason.PRICE_BAND),
    ],
)
async def test_every_refusal_has_a_reason(
    trader: Trader, side: Side, percent: str, ticks: str, lots: str, tif: TimeInForce, reduce_only: bool, reason: Reason
) -> None:
    """`ticks` are added to the price; `lots` replace the ordinary quantity."""
    assert trader.rules is not None
    price = trader.at(percent) + Decimal(ticks) * trader.rules.tick_size
    qty = Decimal(lots) * trader.rules.lot_size if lots else trader.qty
    trader.place(trader.name(1), side, price, qty, tif=tif, reduce_only=reduce_only)
    refused = await trader.hear(Refused, trader.name(1))
    assert refused.reason is reason, refused


async def test_a_placement_that_is_under_way_does_not_leave_twice(trader: Trader) -> None:
    for _ in range(2):
        trader.market_order(trader.name(1), Side.BUY)
    fill = await trader.hear(Filled, trader.name(1))
    await asyncio.sleep(0.5)
    assert (await trader.gateway.position(trader.symbol)).qty == fill.qty
    assert not trader.of(Refused)


async def test_a_name_that_rests_is_a_duplicate(trader: Trader) -> None:
    for _ in range(2):
        trader.place(trader.name(1), Side.BUY, trader.at("-1.5"), trader.qty)
        await asyncio.sleep(0.5)
    assert (await trader.hear(Refused, trader.name(1))).reason is Reason.DUPLICATE
    assert len(await trader.gateway.open_orders(trader.symbol)) == 1


async def test_cancelling_what_is_not_there_is_refused(trader: Trader) -> None:
    trader.cancel(trader.name(9))
    await trader.hear(CancelRefused, trader.name(9))


async def test_a_burst_of_orders_is_wholly_answered(trader: Trader) -> None:
    names = [trader.name(slot) for slot in range(20)]
    for slot, cid in enumerate(names):
        trader.place(cid, Side.BUY, trader.at(f"{-2 - slot / 10}"), trader.qty)
    for cid in names:
        await trader.hear(Accepted, cid)
    assert len(await trader.gateway.open_orders(trader.symbol)) == 20
    for cid in names:
        trader.cancel(cid)
    for cid in names:
        await trader.hear(Closed, cid)
    assert await trader.gateway.open_orders(trader.symbol) == []


# --------------------------------------------------------------------------- snapshots


async def test_a_snapshot_tells_what_rests_what_filled_what_ended_and_what_never_was(
    obedient: Venue, trader: Trader
) -> None:
    rests, fills, ends, never = (trader.name(slot) for slot in (1, 2, 3, 4))
    for cid, percent in ((rests, "-1.5"), (fills, "-0.3"), (ends, "-3")):
        trader.place(cid, Side.BUY, trader.at(percent), trader.qty)
        await trader.hear(Accepted, cid)
    trader.cancel(ends)
    await trader.hear(Closed, ends)
    await obedient.move(trader.at("-0.45"))
    fill = await trader.hear(Filled, fills)
    snapshot = await trader.gateway.snapshot(trader.request(expected=(rests, fills, ends, never)))
    assert [order.cid for order in snapshot.orders] == [rests]
    over = {(over.cid, over.reason, over.executed) for over in snapshot.over}
    assert over == {(ends, Reason.CANCELLED, 0), (fills, Reason.EXPIRED, fill.qty)}
    assert snapshot.absent == {never}
    assert snapshot.fills == (fill,)
    assert snapshot.foreign == ()
    assert snapshot.position.qty == fill.qty
    assert snapshot.last_trade == fill.trade
    # and once counted, the floor hides it
    later = trader.request(since_trade=fill.trade, position=fill.qty, expected=(rests,))
    assert (await trader.gateway.snapshot(later)).fills == ()


async def test_a_glance_shows_what_rests_how_far_it_is_filled_and_what_is_held(
    obedient: Venue, trader: Trader
) -> None:
    rests, fills = trader.name(1), trader.name(2)
    for cid, percent in ((rests, "-1.5"), (fills, "-0.3")):
        trader.place(cid, Side.BUY, trader.at(percent), trader.qty)
        await trader.hear(Accepted, cid)
    await obedient.move(trader.at("-0.45"))
    await trader.hear(Filled, fills)
    await trader.gateway.leisure()
    seen = await trader.gateway.glance([trader.symbol])
    assert seen.orders == {trader.symbol: {str(rests): 0}}
    assert seen.positions[trader.symbol] == trader.qty
    touch = (await trader.gateway.touches([trader.symbol]))[trader.symbol]
    assert 0 < touch.bid < touch.ask


async def test_orders_and_trades_of_others_are_told_as_foreign(trader: Trader) -> None:
    foreign, other_bot = trader.name(1), trader.name(1, bot=2)
    trader.install = "zzzz" if trader.install != "zzzz" else "yyyy"  # from here on we are somebody else
    trader.market_order(foreign, Side.BUY, trader.qty)
    await trader.hear(Filled, foreign)
    trader.market_order(other_bot, Side.BUY, trader.qty)
    await trader.hear(Filled, other_bot)
    snapshot = await trader.gateway.snapshot(trader.request())
    assert {trade.client_id for trade in snapshot.foreign} == {str(foreign), str(other_bot)}
    assert snapshot.fills == ()
    assert snapshot.position.qty == trader.qty * 2


async def test_a_funding_settlement_is_told_and_has_one_time_wherever_it_is_told(
    obedient: Venue, trader: Trader
) -> None:
    trader.market_order(trader.name(1), Side.BUY, trader.qty)
    await trader.until(lambda: sum(fill.qty for fill in trader.of(Filled)) == trader.qty)
    await obedient.fund("0.0001")
    told = await trader.hear(Funding)
    assert told.amount < 0
    assert (await trader.gateway.snapshot(trader.request())).fundings == (told,)


async def test_reads_that_contradict_what_was_counted_are_no_snapshot(trader: Trader) -> None:
    with pytest.raises(Disagree):
        await trader.gateway.snapshot(trader.request(position=trader.qty))


# --------------------------------------------------------------------------- stops


async def with_position(trader: Trader) -> None:
    """A long position; skips where the venue keeps no stops."""
    if not trader.gateway.capabilities.stops:
        pytest.skip("this venue keeps no stops")
    trader.market_order(trader.name(1), Side.BUY, trader.qty)
    await trader.until(lambda: sum(fill.qty for fill in trader.of(Filled)) == trader.qty)


async def test_a_stop_waits_on_the_venue_until_it_is_cancelled(trader: Trader) -> None:
    await with_position(trader)
    name = f"{trader.install}-stop-{trader.began}"
    placed = await trader.gateway.place_stop(trader.symbol, Side.SELL, trader.at("-8"), client_algo_id=name)
    assert (placed.client_id, placed.status, placed.qty) == (name, StopStatus.WAITING, 0)
    [waiting] = await trader.gateway.stops(trader.symbol)
    assert (waiting.stop_id, waiting.trigger, waiting.side) == (placed.stop_id, trader.at("-8"), Side.SELL)
    await trader.until(lambda: [moved.stop.status for moved in trader.of(StopMoved)] == [StopStatus.WAITING])
    assert await trader.gateway.cancel_stop(trader.symbol, name) is True
    assert await trader.gateway.cancel_stop(trader.symbol, name) is False
    await trader.until(lambda: trader.of(StopMoved)[-1].stop.status is StopStatus.CANCELLED)
    assert await trader.gateway.stops(trader.symbol) == []


async def test_a_stop_that_would_go_off_at_once_is_refused(trader: Trader) -> None:
    await with_position(trader)
    with pytest.raises(Rejected):
        await trader.gateway.place_stop(trader.symbol, Side.SELL, trader.at("3"), client_algo_id="at-once")
    assert await trader.gateway.stops(trader.symbol) == []


async def test_a_stop_that_is_reached_closes_the_position(obedient: Venue, trader: Trader) -> None:
    await with_position(trader)
    await trader.gateway.place_stop(trader.symbol, Side.SELL, trader.at("-2"), client_algo_id="sl")
    await obedient.move(trader.at("-2.5"))
    await trader.until(lambda: trader.of(StopMoved)[-1].stop.status is StopStatus.DONE)
    assert await trader.gateway.positions() == {}
    last = trader.of(StopMoved)[-1].stop
    assert last.order_id > 0
    assert last.client_id == "sl"
