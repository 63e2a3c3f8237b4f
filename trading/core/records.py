"""What a venue keeps and tells: requests, orders, trades, income rows, positions and account events."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from trading.model import ZERO, Bracket, Instrument, MarginMode, OrderType, Side, TimeInForce


class VenueError(Exception):
    """A clear no, with Binance's number and words (binance-usdm.md §12-§14)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Status(StrEnum):
    """Where an order is in its life; the values are Binance's."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


_NEW = Status.NEW
_PARTIALLY_FILLED = Status.PARTIALLY_FILLED
# reading a member off its Enum is slow, and these are asked for at every order


class Execution(StrEnum):
    """What just happened to an order (`x` of ORDER_TRADE_UPDATE)."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    TRADE = "TRADE"
    AMENDMENT = "AMENDMENT"
    CALCULATED = "CALCULATED"


class PositionSide(StrEnum):
    """Which of an account's positions on a symbol: the only one, or a side of a hedge; the values are Binance's."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"

    def is_closed_by(self, side: Side) -> bool:
        """Whether an order of `side` can only close the position; never where there is but one."""
        return self is not _BOTH and (self is _LONG) is (side is _SELL)

    def key(self, symbol: str) -> str:
        """Under which an account keeps this position on `symbol`."""
        return symbol if self is _BOTH else f"{symbol}:{self.value}"


_BOTH = PositionSide.BOTH
_LONG = PositionSide.LONG
_SELL = Side.SELL


class SelfTrade(StrEnum):
    """Which side of a trade with oneself is expired; the taker's choice decides."""

    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    NONE = "NONE"


class OrderRequest(Struct, frozen=True):
    """An order as a client asks for it; an empty client id is filled in by the venue."""

    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    price: Decimal = ZERO
    tif: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    client_id: str = ""
    stp: str = "EXPIRE_MAKER"
    good_till: int = 0
    """ms, for GTD."""
    price_match: str = "NONE"
    """How its price was found."""
    position_side: PositionSide = PositionSide.BOTH


class Order(Struct):
    """An order as the venue knows it, open or over."""

    order_id: int
    """Increasing over the whole venue, so also per symbol."""
    client_id: str
    account: str
    symbol: str
    side: Side
    type: OrderType
    orig_type: OrderType
    tif: TimeInForce
    price: Decimal
    qty: Decimal
    """The whole quantity, filled part included."""
    reduce_only: bool
    stp: str
    good_till: int
    created: int
    updated: int
    rank: int
    """Place in the queue of its price: lower first; renewed by every amendment."""
    executed: Decimal = ZERO
    quote_executed: Decimal = ZERO
    """The sum of price * qty of its trades."""
    status: Status = Status.NEW
    amendments: int = 0
    price_match: str = "NONE"
    modify_id: str = ""
    """What the last amendment was called by who asked for it."""
    position_side: PositionSide = PositionSide.BOTH
    key: str = ""
    """Of the position it is about, as `PositionSide.key` makes it: looked up at every fill."""

    @property
    def remaining(self) -> Decimal:
        return self.qty - self.executed

    @property
    def is_open(self) -> bool:
        return self.status is _NEW or self.status is _PARTIALLY_FILLED

    @property
    def average(self) -> Decimal:
        """The average price of its trades, 0 without one (28 digits: round it for the wire)."""
        return self.quote_executed / self.executed if self.executed else ZERO


class Trade(Struct, frozen=True):
    """One side of one execution."""

    trade_id: int
    """Per symbol, increasing; both sides of one match bear the same."""
    order_id: int
    client_id: str
    account: str
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    """Positive = paid."""
    fee_asset: str
    maker: bool
    realized_pnl: Decimal
    time: int
    position_side: PositionSide = PositionSide.BOTH


class Income(Struct, frozen=True):
    """One row of the income history; `amount` is what the wallet changed by."""

    tran_id: int
    type: str
    """TRANSFER, REALIZED_PNL, COMMISSION, FUNDING_FEE, INSURANCE_CLEAR."""
    amount: Decimal
    asset: str
    symbol: str
    """Empty for a transfer."""
    time: int
    trade_id: int = 0
    """0 = none."""
    info: str = ""


class PositionView(Struct, frozen=True):
    """A position with everything the venue reckons about it, at one instant."""

    symbol: str
    qty: Decimal
    entry: Decimal
    break_even: Decimal
    mark: Decimal
    unrealized_pnl: Decimal
    accumulated: Decimal
    """Realised so far on this symbol, before fees (`cr`)."""
    leverage: int
    margin_mode: MarginMode
    isolated_wallet: Decimal
    initial_margin: Decimal
    """Of position and open orders."""
    position_margin: Decimal
    open_order_margin: Decimal
    maintenance: Decimal
    bid_notional: Decimal
    ask_notional: Decimal
    liquidation_price: Decimal
    """0 = none."""
    max_notional: Decimal
    """The largest position at this leverage; 0 = unlimited."""
    updated: int
    position_side: PositionSide = PositionSide.BOTH

    @property
    def notional(self) -> Decimal:
        """Signed, at the mark."""
        return self.qty * self.mark


class PositionLine(Struct, frozen=True):
    """What an account update says about one position."""

    symbol: str
    qty: Decimal
    entry: Decimal
    break_even: Decimal
    accumulated: Decimal
    unrealized_pnl: Decimal
    margin_mode: MarginMode
    isolated_wallet: Decimal
    position_side: PositionSide = PositionSide.BOTH


class Funds(Struct, frozen=True):
    """An account's money at one instant, in the quote asset."""

    asset: str
    wallet: Decimal
    cross_wallet: Decimal
    """The wallet less what stands in isolated positions."""
    unrealized_pnl: Decimal
    cross_unrealized_pnl: Decimal
    position_margin: Decimal
    open_order_margin: Decimal
    maintenance: Decimal
    available: Decimal
    updated: int


class OrderUpdate(Struct, frozen=True, tag=True):
    """Something happened to an order; `order` is a copy of that moment."""

    account: str
    order: Order
    execution: Execution
    trade: Trade | None
    expiry_reason: str
    """Binance's `er`, "0" for none."""
    bid_notional: Decimal
    """Of the account's open orders on the symbol, in a hedge on its side of it, after this."""
    ask_notional: Decimal
    time: int


class BalanceUpdate(Struct, frozen=True, tag=True):
    """Wallet or positions changed; holds only what changed."""

    account: str
    reason: str
    """ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW, MARGIN_TYPE_CHANGE, MARGIN_TRANSFER, INSURANCE_CLEAR."""
    asset: str
    wallet: Decimal
    cross_wallet: Decimal
    change: Decimal
    """Change of the wallet that is neither PnL nor fee (`bc`)."""
    positions: tuple[PositionLine, ...]
    symbol: str
    """What a FUNDING_FEE is for; else empty."""
    time: int


class LeverageUpdate(Struct, frozen=True, tag=True):
    """The leverage of a symbol was set."""

    account: str
    symbol: str
    leverage: int
    time: int


AccountEvent = OrderUpdate | BalanceUpdate | LeverageUpdate


class Level(Struct, frozen=True):
    """Liquidity of the world outside at one price."""

    price: Decimal
    qty: Decimal


class MarketState(Struct):
    """One symbol's market as it is kept between runs."""

    instrument: Instrument
    brackets: tuple[Bracket, ...]
    last: Decimal
    marked: Decimal
    """The mark as set; 0 = the last price."""
    walks: bool
    """Candle mode: the price walks a path, there is no liquidity to share."""
    bids: list[Level]
    asks: list[Level]
    trades: int
    """The last trade id."""


class PositionState(Struct):
    """One position of an account, as kept between runs."""

    symbol: str
    leverage: int = 20
    margin_mode: MarginMode = MarginMode.CROSS
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    """Unsigned: what the open quantity was opened for, exact."""
    fees: Decimal = ZERO
    """Fees since the position was flat."""
    accumulated: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    updated: int = 0
    position_side: PositionSide = PositionSide.BOTH


class AccountState(Struct):
    """One account as kept between runs; `orders` are all, open and over, in order of their ids."""

    name: str
    wallet: Decimal
    positions: dict[str, PositionState]
    """By `PositionSide.key`."""
    orders: list[Order]
    trades: list[Trade]
    income: list[Income]
    updated: int
    is_hedged: bool = False


class VenueState(Struct):
    """A whole venue, ready for msgspec."""

    quote_asset: str
    markets: list[MarketState]
    accounts: list[AccountState]
    orders: int
    """The last order id."""
    ranks: int
    transactions: int
    pending: list[AccountEvent]
    """Events not drained yet."""
