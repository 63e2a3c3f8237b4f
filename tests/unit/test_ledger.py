"""The ledger: what fills add up to, whatever their order."""

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.ledger import Ledger
from trading.messages import Filled, Funding
from trading.model import ClientOrderId, Role, Side


def fill(slot, side, price, qty, trade, fee="0", asset="USDT", rate="1"):
    cid = ClientOrderId("abcd", 1, slot, 0)
    return Filled(trade, cid, trade, side, D(price), D(qty), D(fee), asset, D(rate), True)


def test_a_pair_earns_the_step_less_both_fees():
    ledger = Ledger()
    ledger.count(fill(3, Side.BUY, "100", "2", 1, "0.04"))
    assert ledger.unmatched(D(103)) == D("5.96")
    ledger.count(fill(3, Side.SELL, "110", "2", 2, "0.044"))
    assert ledger.books.matched == D("19.916")
    assert ledger.unmatched(D(50)) == 0
    assert ledger.pair(3).profit == D("19.916")
    assert ledger.books.pairs == 1


def test_the_closed_part_of_a_lot_counts_at_once_and_the_pair_when_it_is_closed():
    ledger = Ledger()
    ledger.count(fill(0, Side.BUY, "100", "3", 1, "0.3"))
    ledger.count(fill(0, Side.SELL, "110", "1", 2, "0.1"))
    assert ledger.books.matched == D("9.8")
    ledger.count(fill(0, Side.SELL, "110", "2", 3, "0.2"))
    turn = ledger.pair(0)
    assert (turn.profit, turn.qty, turn.entry) == (D("29.4"), D(3), D(100))


def test_a_short_pair_sells_first():
    ledger = Ledger()
    ledger.count(fill(0, Side.SELL, "110", "1", 1, "0.1"))
    assert ledger.position == -1
    assert ledger.avg_entry == 110
    ledger.count(fill(0, Side.BUY, "100", "1", 2, "0.1"))
    assert ledger.books.matched == D("9.8")
    assert ledger.avg_entry == 0


def test_initial_lots_are_drawn_at_the_average_of_the_initial_fills():
    ledger = Ledger()
    ledger.count(fill(Role.OPEN, Side.BUY, "100", "1", 1))
    ledger.count(fill(Role.OPEN, Side.BUY, "104", "1", 2))
    ledger.count(fill(5, Side.SELL, "110", "1", 3))
    assert ledger.books.matched == D(8)
    assert ledger.unmatched(D(102)) == 0


def test_what_is_closed_outside_its_slot_stays_in_unmatched_at_its_exit_price():
    ledger = Ledger()
    ledger.count(fill(0, Side.BUY, "100", "1", 1, "0.1"))
    ledger.count(fill(Role.CLOSE, Side.SELL, "90", "1", 2, "0.2"))
    assert ledger.position == 0
    assert ledger.books.matched == 0
    assert ledger.unmatched(D(1000)) == D("-10.3") == ledger.unmatched(D(1))
    ledger.carry()
    assert ledger.unmatched(D(7)) == D("-10.3")


def test_a_fee_in_another_asset_is_booked_in_that_asset_and_in_quote():
    ledger = Ledger()
    ledger.count(fill(0, Side.BUY, "100", "1", 1, "0.0001", "BNB", "600"))
    assert ledger.books.fees_by_asset == {"BNB": D("0.0001")}
    assert ledger.books.fees == D("0.06")
    assert ledger.unmatched(D(100)) == D("-0.06")


def test_each_trade_and_each_settlement_counts_once():
    ledger = Ledger()
    one = fill(0, Side.BUY, "100", "1", 7)
    assert ledger.count(one) and not ledger.count(one)
    ledger.settle(7)
    assert not ledger.count(one)
    assert ledger.books.trades == set()
    ledger.settle(3)
    assert ledger.books.floor == 7
    paid = Funding(1_000, D("-0.5"), "USDT")
    assert ledger.pay(paid) and not ledger.pay(paid)
    assert ledger.total(D(100)) == D("-0.5")


def test_kept_lots_are_carried_into_the_pool_with_their_cost():
    ledger = Ledger()
    ledger.count(fill(0, Side.BUY, "100", "1", 1))
    ledger.count(fill(1, Side.BUY, "110", "1", 2))
    ledger.carry()
    ledger.count(fill(4, Side.SELL, "120", "1", 3))
    assert ledger.books.matched == D(15)
    assert ledger.position == 1


def test_a_flip_starts_a_new_entry():
    ledger = Ledger()
    ledger.count(fill(0, Side.BUY, "100", "1", 1))
    ledger.count(fill(0, Side.SELL, "110", "3", 2, "0.3"))
    assert ledger.position == -2
    assert ledger.avg_entry == 110
    assert ledger.books.matched == D("9.9")


trades = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, Role.OPEN, Role.CLOSE]),
        st.sampled_from(list(Side)),
        st.decimals("1", "200", places=1),
        st.decimals("0.001", "3", places=3),
        st.decimals("-0.01", "0.05", places=8),
        st.sampled_from(["1", "600.123"]),
    ),
    max_size=40,
)


@given(trades, st.decimals("1", "200", places=1))
@settings(max_examples=300, deadline=None)
def test_total_is_cash_plus_position_at_the_mark_for_any_fills(rows, mark):
    """matched + unmatched + funding ≡ Σ −side·price·qty − Σ fees + position · mark."""
    ledger, cash, position = Ledger(), D(0), D(0)
    for n, (slot, side, price, qty, fee, rate) in enumerate(rows):
        ledger.count(fill(slot, side, price, qty, n + 1, fee, "USDT" if rate == "1" else "BNB", rate))
        cash -= side.sign * price * qty + (fee * D(rate)).quantize(D("1e-10"))
        position += side.sign * qty
        if n % 7 == 3:
            ledger.pay(Funding(n, D("0.25"), "USDT"))
            cash += D("0.25")
        if n == 20:
            ledger.carry()
    assert ledger.position == position
    assert abs(ledger.total(mark) - (cash + position * mark)) < D("1e-8")
