"""What every gateway must do, whatever its venue: one list of behaviours, run for each of them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.gateways import SYMBOL, Bench, Trader, name
from trading.messages import Accepted, CancelRefused, Closed, Filled, Mark, Quote, Reason, Refused, Working
from trading.model import MarginMode, Side, TimeInForce
from trading.ports import Rejected

pytestmark = pytest.mark.timeout(60)

GATEWAYS = ("binance",)
"""Each is built by a Bench: a venue that stands at 65,000 until told to move."""


@pytest.fixture(params=GATEWAYS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with Bench() as bench:
        yield bench


@pytest.fixture
async def trader(bench: Bench) -> Trader:
    return await bench.connected()


# --------------------------------------------------------------------------- reads


async def test_it_lists_instruments_with_usable_rules(trader: Trader) -> None:
    rules = (await trader.gateway.instruments())[SYMBOL]
    assert (rules.base, rules.quote, rules.status) == ("BTC", "USDT", "TRADING")
    assert rules.tick_size > 0
    assert rules.lot_size > 0
    assert rules.max_leverage >= 20


async def test_its_brackets_ascend_without_gaps(trader: Trader) -> None:
    brackets = await trader.gateway.brackets(SYMBOL)
    assert brackets[0].floor == 0
    assert all(below.cap == above.floor for below, above in itertools.pairwise(brackets))


async def test_fees_quote_candles_and_balances_can_be_read(trader: Trader) -> None:
    maker, taker = await trader.gateway.fees(SYMBOL)
    assert maker < taker < Decimal("0.01")
    quote = await trader.gateway.quote(SYMBOL)
    assert 0 < quote.bid < quote.ask
    candles = await trader.gateway.candles(SYMBOL, "1m", 3)
    assert [c.time for c in candles] == sorted(c.time for c in candles)
    [usdt] = [balance for balance in await trader.gateway.balances() if balance.asset == "USDT"]
    assert usdt.wallet == usdt.available == 10_000


async def test_settings_can_be_made_twice_and_are_stated(trader: Trader) -> None:
    for _ in range(2):
        await trader.gateway.prepare(SYMBOL, 7, MarginMode.ISOLATED)
    position = await trader.gateway.position(SYMBOL)
    assert (position.qty, position.leverage, position.margin_mode) == (0, 7, MarginMode.ISOLATED)
    assert await trader.gateway.is_hedge_mode() is False


async def test_wrong_keys_are_a_clear_no(bench: Bench) -> None:
    for key, secret in (("key", "wrong"), ("nobody", "secret")):
        with pytest.raises(Rejected):
            await bench.trader(key, secret).connect()


async def test_watching_tells_quotes_and_marks_until_it_ends(bench: Bench, trader: Trader) -> None:
    def hear(symbol: str, event: object) -> None:
        trader.market.append((symbol, event))  # type: ignore[arg-type]

    await trader.gateway.watch(SYMBOL, hear)
    await trader.until(lambda: {type(event) for _, event in trader.market} >= {Quote, Mark})
    await bench.move("65100")
    await trader.until(lambda: any(isinstance(e, Quote) and e.bid > 65_000 for _, e in trader.market))
    await trader.gateway.unwatch(SYMBOL, hear)
    trader.market.clear()
    await bench.move("65200")
    assert not trader.market


# --------------------------------------------------------------------------- orders


async def test_a_post_only_order_rests_under_its_name_until_cancelled(trader: Trader) -> None:
    cid = name(1)
    trader.place(cid, Side.BUY, "64000.0")
    accepted = await trader.hear(Accepted, cid)
    [(symbol, order)] = await trader.gateway.open_orders(SYMBOL)
    assert isinstance(order, Working)
    assert (symbol, order.cid, order.order_id, order.price) == (SYMBOL, cid, accepted.order_id, 64_000)
    trader.cancel(cid)
    closed = await trader.hear(Closed, cid)
    assert (closed.reason, closed.executed) == (Reason.CANCELLED, 0)
    assert await trader.gateway.open_orders(SYMBOL) == []


async def test_a_post_only_order_that_would_take_is_refused_and_its_name_stays_free(trader: Trader) -> None:
    cid = name(1)
    trader.place(cid, Side.BUY, "65500.0")
    assert (await trader.hear(Refused, cid)).reason is Reason.WOULD_CROSS
    snapshot = await trader.gateway.snapshot(trader.request(expected=(cid,)))
    assert snapshot.absent == {cid}
    trader.place(cid, Side.BUY, "64000.0")
    await trader.hear(Accepted, cid)


async def test_a_resting_order_that_is_reached_fills_at_its_price_as_maker(bench: Bench, trader: Trader) -> None:
    cid = name(2)
    trader.place(cid, Side.BUY, "64500.0", "0.020")
    await trader.hear(Accepted, cid)
    await bench.move("64400")
    await trader.until(lambda: sum(fill.qty for fill in trader.of(Filled, cid)) == Decimal("0.020"))
    for fill in trader.of(Filled, cid):
        assert (fill.side, fill.price, fill.maker, fill.fee_rate) == (Side.BUY, 64_500, True, 1)
        assert fill.fee == fill.price * fill.qty * Decimal("0.0002")
    assert (await trader.gateway.position(SYMBOL)).qty == Decimal("0.020")


async def test_a_market_order_fills_as_taker_and_reduce_only_ends_the_position(trader: Trader) -> None:
    trader.market_order(name(3), Side.SELL)
    fill = await trader.hear(Filled, name(3))
    assert (fill.side, fill.maker, fill.qty) == (Side.SELL, False, Decimal("0.010"))
    assert set(await trader.gateway.positions()) == {SYMBOL}
    trader.market_order(name(4), Side.BUY, "0.010", reduce_only=True)
    await trader.hear(Filled, name(4))
    assert await trader.gateway.positions() == {}


@pytest.mark.parametrize(
    ("side", "price", "qty", "tif", "reduce_only", "reason"),
    [
        (Side.BUY, "64000.0", "0.0001", TimeInForce.GTX, False, Reason.FILTER),
        (Side.BUY, "64000.05", "0.010", TimeInForce.GTX, False, Reason.FILTER),
        (Side.BUY, "64000.0", "900", TimeInForce.GTX, False, Reason.MARGIN),
        (Side.SELL, "66000.0", "0.010", TimeInForce.GTX, True, Reason.REDUCE_ONLY),
        (Side.BUY, "90000.0", "0.010", TimeInForce.GTC, False, Reason.PRICE_BAND),
    ],
)
async def test_every_refusal_has_a_reason(
    trader: Trader, side: Side, price: str, qty: str, tif: TimeInForce, reduce_only: bool, reason: Reason
) -> None:
    trader.place(name(1), side, price, qty, tif=tif, reduce_only=reduce_only)
    refused = await trader.hear(Refused, name(1))
    assert refused.reason is reason, refused


async def test_a_name_that_rests_is_a_duplicate(trader: Trader) -> None:
    for _ in range(2):
        trader.place(name(1), Side.BUY, "64000.0")
    assert (await trader.hear(Refused, name(1))).reason is Reason.DUPLICATE
    assert len(await trader.gateway.open_orders(SYMBOL)) == 1


async def test_cancelling_what_is_not_there_is_refused(trader: Trader) -> None:
    trader.cancel(name(9))
    await trader.hear(CancelRefused, name(9))


# --------------------------------------------------------------------------- snapshots


async def test_a_snapshot_tells_what_rests_what_filled_what_ended_and_what_never_was(
    bench: Bench, trader: Trader
) -> None:
    rests, fills, ends, never = name(1), name(2), name(3), name(4)
    for cid, price in ((rests, "64000.0"), (fills, "64800.0"), (ends, "63000.0")):
        trader.place(cid, Side.BUY, price)
        await trader.hear(Accepted, cid)
    trader.cancel(ends)
    await trader.hear(Closed, ends)
    await bench.move("64700")
    fill = await trader.hear(Filled, fills)
    snapshot = await trader.gateway.snapshot(trader.request(expected=(rests, fills, ends, never)))
    assert [order.cid for order in snapshot.orders] == [rests]
    assert [(over.cid, over.reason, over.executed) for over in snapshot.over] == [(ends, Reason.CANCELLED, 0)]
    assert snapshot.absent == {never}
    assert snapshot.fills == (fill,)
    assert snapshot.foreign == ()
    assert snapshot.position.qty == fill.qty
    assert snapshot.last_trade == fill.trade
    # and once counted, the floor hides it
    later = trader.request(since_trade=fill.trade, position=fill.qty, expected=(rests,))
    assert (await trader.gateway.snapshot(later)).fills == ()


async def test_orders_and_trades_of_others_are_told_as_foreign(bench: Bench, trader: Trader) -> None:
    foreign = name(1, install="zzzz")
    other_bot = name(1, bot=2)
    trader.market_order(foreign, Side.BUY)
    trader.market_order(other_bot, Side.BUY)
    await trader.hear(Filled, other_bot)
    snapshot = await trader.gateway.snapshot(trader.request())
    assert [trade.client_id for trade in snapshot.foreign] == [str(foreign), str(other_bot)]
    assert snapshot.fills == ()
    assert snapshot.position.qty == Decimal("0.020")
