"""The sandbox's price drivers: the synthetic walk and the replay of recorded candles."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, pairwise

import pytest

from trading.core.venue import OrderRequest, OrderUpdate, Status, Venue
from trading.model import Candle, OrderType, Side, TimeInForce
from trading.sandbox.instruments import LISTINGS
from trading.sandbox.market import Move, QuoteMove, TradePrint, replay, synthetic

D = Decimal
STARTS = {symbol: listing.start for symbol, listing in LISTINGS.items()}
INSTRUMENTS = [listing.instrument for listing in LISTINGS.values()]
BTC = LISTINGS["BTCUSDT"].instrument


def moves(seed: int, seconds: int, instruments: list = INSTRUMENTS) -> Iterator[tuple[int, Move]]:
    """The moves of so many seconds with their times in ms."""
    now = 0
    for move in synthetic(seed, instruments, STARTS):
        now += move.delay
        if now >= seconds * 1000:
            return
        yield now, move


class TestSynthetic:
    def test_the_same_seed_gives_the_same_market_and_another_one_another(self) -> None:
        first, again, other = (list(islice(synthetic(seed, INSTRUMENTS, STARTS), 300)) for seed in (7, 7, 8))
        assert first == again
        assert first != other

    def test_a_symbol_moves_the_same_whoever_stands_beside_it(self) -> None:
        together = [move for _, move in moves(7, 20) if move.symbol == "BTCUSDT"]
        alone = [move for _, move in moves(7, 20, [BTC])]
        assert [getattr(m, "bid", None) for m in together] == [getattr(m, "bid", None) for m in alone]

    def test_it_opens_at_the_start_prices(self) -> None:
        opening = {move.symbol: move for now, move in moves(3, 1) if now == 0 and isinstance(move, QuoteMove)}
        for symbol, start in STARTS.items():
            assert opening[symbol].bid <= start <= opening[symbol].ask

    def test_every_instrument_has_four_quotes_and_trades_a_second_and_five_units_at_the_touch(self) -> None:
        seen = list(moves(3, 30))
        for instrument in INSTRUMENTS:
            quotes = [m for _, m in seen if isinstance(m, QuoteMove) and m.symbol == instrument.symbol]
            trades = [m for _, m in seen if isinstance(m, TradePrint) and m.symbol == instrument.symbol]
            assert len(quotes) >= 120 and len(trades) >= 120
            assert all(quote.bid_qty >= 5 and quote.ask_qty >= 5 for quote in quotes)
            for quote in quotes:
                prices = [p for p, _ in reversed(quote.bids)] + [quote.bid, quote.ask] + [p for p, _ in quote.asks]
                assert prices == sorted(set(prices))
                assert all(not price % instrument.tick_size for price in prices)
                sizes = [quote.bid_qty, quote.ask_qty, *(q for _, q in quote.bids), *(q for _, q in quote.asks)]
                assert all(not qty % instrument.lot_size for qty in (*sizes, *(t.qty for t in trades)))

    def test_it_walks_six_hundredths_of_a_percent_a_second_and_stays_near_its_start(self) -> None:
        mids = [(m.bid + m.ask) / 2 for _, m in moves(5, 3600, [BTC]) if isinstance(m, QuoteMove)]
        seconds = mids[::5]
        steps = [abs(b / a - 1) for a, b in pairwise(seconds)]
        assert D("0.0005") < sum(steps) / len(steps) < D("0.0007")
        assert all(abs(mid / 65000 - 1) < D("0.10") for mid in mids)

    @pytest.mark.parametrize("seed", [1, 2, 3, 7, 42, 2024])
    def test_a_grid_of_forty_completes_a_pair_within_two_minutes(self, seed: int) -> None:
        venue = Venue([BTC], {"BTCUSDT": LISTINGS["BTCUSDT"].brackets})
        venue.open_account("bot", D(10_000), 0)
        levels = [D(58_000 + 350 * number) for number in range(41)]
        slots: dict[int, int] = {}

        def place(slot: int, side: Side, now: int) -> None:
            price = levels[slot] if side is Side.BUY else levels[slot + 1]
            request = OrderRequest("BTCUSDT", side, OrderType.LIMIT, D("0.003"), price, TimeInForce.GTX)
            slots[venue.place("bot", request, now).order_id] = slot

        turns: dict[int, int] = {}
        for now, move in moves(seed, 120, [BTC]):
            if isinstance(move, QuoteMove):
                venue.set_quote(move.symbol, move.bid, move.bid_qty, move.ask, move.ask_qty, now, move.bids, move.asks)
            else:
                venue.print_trade(move.symbol, move.price, move.qty, move.is_buyer_maker, now)
            if not slots:
                for slot in range(40):
                    if slot != 20:
                        place(slot, Side.BUY if slot < 20 else Side.SELL, now)
            for event in venue.drain():
                if isinstance(event, OrderUpdate) and event.order.status is Status.FILLED:
                    slot = slots[event.order.order_id]
                    turns[slot] = turns.get(slot, 0) + 1
                    place(slot, event.order.side.opposite, now)
            if max(turns.values(), default=0) >= 2:
                return
        pytest.fail("no pair in two minutes")


class TestReplay:
    def test_a_candle_gives_four_points_evenly_spaced_in_its_time(self) -> None:
        up = Candle(60_000, D(100), D(110), D(95), D(105))
        down = Candle(120_000, D(105), D(107), D(90), D(91))
        points = list(replay("BTCUSDT", [up, down], D("0.1")))
        assert [(point.time, point.price) for point in points] == [
            (60_000, D(100)), (75_000, D(95)), (90_000, D(110)), (105_000, D(105)),
            (120_000, D(105)), (135_000, D(107)), (150_000, D(90)), (165_000, D(91)),
        ]  # fmt: skip
        assert [point.index for point in points] == [0, 1, 2, 3] * 2
        assert points[5].candle is down

    def test_prices_are_rounded_half_up_to_the_tick(self) -> None:
        candle = Candle(0, D("100.05"), D("100.15"), D("100.04"), D("100.1"))
        assert [p.price for p in replay("X", [candle], D("0.1"))] == [D("100.1"), D("100.0"), D("100.2"), D("100.1")]

    def test_a_hole_in_the_tape_stretches_no_candle(self) -> None:
        flat = [Candle(minute * 60_000, D(1), D(1), D(1), D(1)) for minute in (0, 30, 31)]
        assert [point.time for point in replay("X", flat, D("0.1"))][3] == 45_000
        assert list(replay("X", [], D("0.1"))) == []


def test_the_built_in_instruments_are_those_of_the_product() -> None:
    rows = {
        symbol: (x.start, x.instrument.tick_size, x.instrument.lot_size, x.instrument.min_notional)
        for symbol, x in LISTINGS.items()
    }
    assert rows == {
        "BTCUSDT": (D(65000), D("0.1"), D("0.001"), D(50)),
        "ETHUSDT": (D(3200), D("0.01"), D("0.001"), D(20)),
        "SOLUSDT": (D(150), D("0.01"), D("0.01"), D(5)),
    }
    for listing in LISTINGS.values():
        instrument, brackets = listing.instrument, listing.brackets
        assert (instrument.max_orders, instrument.maker_fee, instrument.taker_fee) == (200, D("0.0002"), D("0.0005"))
        assert brackets[0].floor == brackets[0].cum == 0
        for low, high in pairwise(brackets):
            assert low.cap == high.floor and low.max_leverage > high.max_leverage and low.mmr < high.mmr
            # Maintenance margin has no step where one bracket meets the next.
            assert low.cap * low.mmr - low.cum == high.floor * high.mmr - high.cum
