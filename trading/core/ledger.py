"""The books of one bot: fills in, position, pairs, matched and unmatched profit, fees and funding out.

Every lot keeps a signed quantity and a signed cost (Σ side · price · qty), so its worth at a mark is
`qty · mark − cost − fee` for longs and shorts alike, and sums of lots are lots. Hence the identity that the tests
hold on random runs: matched + unmatched + funding ≡ change of wallet + unrealised PnL (product.md §3.5).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec
from msgspec import Struct

from trading.messages import Filled, Foreign, Funding
from trading.model import MONEY, ZERO, Role, Side, Slot


class Lot(Struct):
    """Base quantity held with what it cost."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    """Entry fees in quote that belong to the open part."""


class Round(Struct):
    """What a slot's unfinished round has brought so far."""

    profit: Decimal = ZERO
    qty: Decimal = ZERO
    """Signed quantity of lots closed."""
    cost: Decimal = ZERO
    """Their signed entry cost."""

    @property
    def entry(self) -> Decimal:
        """Average entry price of what was closed."""
        return self.cost / self.qty if self.qty else ZERO


class Books(Struct):
    """The ledger's whole state, as kept in the checkpoint."""

    lots: dict[int, Lot] = {}
    pool: Lot = msgspec.field(default_factory=Lot)
    """Inventory of the initial order (and kept lots carried over): drawn on by slots at its average price."""
    outside: Lot = msgspec.field(default_factory=Lot)
    """Closings outside any slot (stop, flatten, liquidation): they stay in unmatched with their price as mark."""
    rounds: dict[int, Round] = {}
    """Each slot's unfinished round."""
    position: Decimal = ZERO
    entry_cost: Decimal = ZERO
    """Signed cost of the position at the venue's average entry."""
    cost: Decimal = ZERO
    """Σ cost of all lots."""
    open_fees: Decimal = ZERO
    """Σ fee of all lots."""
    matched: Decimal = ZERO
    funding: Decimal = ZERO
    fees: Decimal = ZERO
    """All fees paid, in quote."""
    fees_by_asset: dict[str, Decimal] = {}
    fills: int = 0
    pairs: int = 0
    foreign: Decimal = ZERO
    """Signed quantity of trades on the instrument that were not ours, since the start."""
    floor: int = 0
    """Every trade of ours up to this id is counted."""
    trades: set[int] = set()
    """Counted trades above the floor."""
    fundings: set[int] = set()
    """Settlement times already counted."""


_BUY = Side.BUY
_OPEN = Role.OPEN
_CLOSE = Role.CLOSE
_ONE = Decimal(1)
# reading a member off its Enum is slow, and these are asked for at every fill


def _share(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    return (whole * part / of).quantize(MONEY, ROUND_HALF_UP)  # by position: by name takes twice as long


class Ledger:
    """Counts each trade once; everything it says follows from what it counted."""

    def __init__(self, books: Books | None = None) -> None:
        self.books = books if books is not None else Books()

    @property
    def position(self) -> Decimal:
        """Signed base quantity that our own fills add up to."""
        return self.books.position

    @property
    def avg_entry(self) -> Decimal:
        """The average entry price as the venue keeps it; 0 when flat."""
        books = self.books
        return books.entry_cost / books.position if books.position else ZERO

    @property
    def lot_entry(self) -> Decimal:
        """The average entry of the open lots, to which `unmatched` relates; 0 when flat."""
        books = self.books
        return books.cost / books.position if books.position else ZERO

    def unmatched(self, mark: Decimal) -> Decimal:
        """Open lots at `mark` against their entry, less their entry fees, in quote."""
        books = self.books
        return books.position * mark - books.cost - books.open_fees

    @property
    def rest(self) -> Decimal:
        """What `total` is beside position · mark."""
        books = self.books
        return books.matched - books.cost - books.open_fees + books.funding

    def total(self, mark: Decimal) -> Decimal:
        return self.rest + self.books.position * mark

    def is_new(self, trade: int) -> bool:
        """Whether a trade id was not counted yet."""
        return trade > self.books.floor and trade not in self.books.trades

    def count(self, fill: Filled) -> bool:
        """Book `fill`; False, and nothing done, when this trade was counted before."""
        books, trade = self.books, fill.trade
        if trade <= books.floor or trade in books.trades:
            return False
        books.trades.add(trade)
        books.fills += 1
        fee = fill.fee
        if fee:
            books.fees_by_asset[fill.fee_asset] = books.fees_by_asset.get(fill.fee_asset, ZERO) + fee
            if fill.fee_rate != _ONE:
                fee = (fee * fill.fee_rate).quantize(MONEY, rounding=ROUND_HALF_UP)
            books.fees += fee
        price, slot = fill.price, fill.cid.slot
        signed = fill.qty if fill.side is _BUY else -fill.qty
        self._move_position(signed, price)
        if slot is _OPEN:
            self._open(books.pool, signed, price, fee)
        elif slot is _CLOSE:
            self._open(books.outside, signed, price, fee)
        else:
            self._trade(slot, signed, price, fee)
        return True

    def close(self, foreign: Foreign) -> None:
        """Book a closure by the venue (liquidation, deleveraging, delisting); to be asked once for each trade."""
        books = self.books
        books.trades.add(foreign.trade)
        books.fees += foreign.fee
        signed = foreign.qty * foreign.side.sign
        self._move_position(signed, foreign.price)
        self._open(books.outside, signed, foreign.price, foreign.fee)

    def pay(self, funding: Funding) -> bool:
        """Book a funding settlement, each time once."""
        if funding.time in self.books.fundings:
            return False
        self.books.fundings.add(funding.time)
        self.books.funding += funding.amount
        return True

    def pair(self, slot: int) -> Round:
        """A round of `slot` is complete: what it brought, net of both fees."""
        self.books.pairs += 1
        return self.books.rounds.pop(slot, None) or Round()

    def settle(self, last_trade: int) -> None:
        """Everything up to `last_trade` is counted or not ours: forget the single ids below it."""
        books = self.books
        if last_trade > books.floor:
            books.floor = last_trade
            books.trades = {trade for trade in books.trades if trade > last_trade}

    def carry(self) -> None:
        """Turn all lots into one, so that a new plan may begin; kept inventory goes to the pool."""
        books = self.books
        lot = Lot(books.position, books.cost, books.open_fees)
        books.lots, books.rounds = {}, {}
        books.pool, books.outside = (lot, Lot()) if lot.qty else (Lot(), lot)

    def _move_position(self, signed: Decimal, price: Decimal) -> None:
        books = self.books
        before = books.position
        after = before + signed
        if not before or (before > ZERO) is (signed > ZERO):
            books.entry_cost += signed * price
        elif not after:
            books.entry_cost = ZERO
        elif (after > ZERO) is (before > ZERO):
            books.entry_cost += _share(books.entry_cost, signed, before)
        else:
            books.entry_cost = after * price
        books.position = after

    def _open(self, lot: Lot, signed: Decimal, price: Decimal, fee: Decimal) -> None:
        cost = signed * price
        lot.qty += signed
        lot.cost += cost
        lot.fee += fee
        self.books.cost += cost
        self.books.open_fees += fee

    def _trade(self, slot: Slot, signed: Decimal, price: Decimal, fee: Decimal) -> None:
        books = self.books
        assert isinstance(slot, int)
        lot = books.lots.get(slot)
        if lot is None:
            lot = books.lots[slot] = Lot()
        for source in (lot, books.pool):
            held = source.qty
            if not held or (held > ZERO) is (signed > ZERO):
                continue
            if abs(signed) <= abs(held):
                self._close(slot, source, signed, price, fee)
                return
            paid = _share(fee, -held, signed)
            self._close(slot, source, -held, price, paid)
            signed += held
            fee -= paid
        self._open(lot, signed, price, fee)

    def _close(self, slot: int, lot: Lot, signed: Decimal, price: Decimal, fee: Decimal) -> None:
        books = self.books
        turn = books.rounds.get(slot)
        if turn is None:
            turn = books.rounds[slot] = Round()
        if signed == -lot.qty:
            cost, entry_fee = lot.cost, lot.fee
            lot.qty = lot.cost = lot.fee = ZERO
        else:
            cost, entry_fee = _share(lot.cost, -signed, lot.qty), _share(lot.fee, -signed, lot.qty)
            lot.qty += signed
            lot.cost -= cost
            lot.fee -= entry_fee
        books.cost -= cost
        books.open_fees -= entry_fee
        profit = -signed * price - cost - fee - entry_fee
        books.matched += profit
        turn.profit += profit
        turn.qty -= signed
        turn.cost += cost
