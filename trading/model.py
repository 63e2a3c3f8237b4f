"""The nouns of trading: frozen values that every other module speaks in.

Pure: standard library and msgspec only. Money is `Decimal`, times are int milliseconds UTC.
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from enum import Enum

from msgspec import Struct

ZERO = Decimal(0)
MONEY = Decimal("1E-10")
"""The quantum of booked money: what the database keeps, finer than any venue's own rounding."""


class Side(Enum):
    """The side of an order or a fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class Direction(Enum):
    """What a grid hopes for."""

    LONG = "LONG"
    NEUTRAL = "NEUTRAL"
    SHORT = "SHORT"


class Spacing(Enum):
    """How the levels of a grid are spread over its range."""

    ARITHMETIC = "ARITHMETIC"
    GEOMETRIC = "GEOMETRIC"
    CUSTOM = "CUSTOM"


class Sizing(Enum):
    """How buying power is shared among the slots."""

    EQUAL_NOTIONAL = "EQUAL_NOTIONAL"
    EQUAL_QUANTITY = "EQUAL_QUANTITY"
    WEIGHTED = "WEIGHTED"


class MarginMode(Enum):
    ISOLATED = "ISOLATED"
    CROSS = "CROSS"


class OrderType(Enum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(Enum):
    """GTX is post-only: it is refused rather than take."""

    GTC = "GTC"
    GTX = "GTX"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class Environment(Enum):
    """Where an account's orders go; every card and message carries the badge."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    DEMO = "demo"
    PAPER = "paper"

    @property
    def badge(self) -> str:
        return {"mainnet": "LIVE", "testnet": "TESTNET", "demo": "DEMO", "paper": "PAPER"}[self.value]


class Role(Enum):
    """Orders that belong to a bot but to no slot."""

    OPEN = "o"
    """The initial order, which buys or sells the inventory of a directional grid."""
    CLOSE = "c"
    """The reduce-only order that closes the position (stop, flatten)."""


Slot = int | Role

_NAME = re.compile(r"t([0-9a-v]{4})\.(\d+)\.(-?\d+|o|c)\.(\d+)")


class ClientOrderId(Struct, frozen=True, cache_hash=True):
    """Names one order for ever; on the wire `t<install>.<bot>.<slot>.<turn>`, at most 36 characters.

    `install` is drawn once per database, `turn` counts the orders of this slot that are over and never restarts.
    """

    install: str
    bot: int
    slot: Slot
    turn: int

    def __str__(self) -> str:
        slot = self.slot.value if isinstance(self.slot, Role) else self.slot
        return f"t{self.install}.{self.bot}.{slot}.{self.turn}"

    @staticmethod
    def parse(text: str) -> ClientOrderId | None:
        """The name in `text`, or None where it is foreign."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        install, bot, slot, turn = found.groups()
        return ClientOrderId(install, int(bot), Role(slot) if slot in "oc" else int(slot), int(turn))


class Instrument(Struct, frozen=True):
    """What is traded, with the venue's rules for orders on it.

    Prices are in `quote`, quantities in `base`. A limit of 0 means "none".
    """

    key: str
    """Canonical: `VENUE:BASE-QUOTE-KIND`, e.g. `binance:BTC-USDT-PERP`."""
    symbol: str
    """The venue's own name, e.g. `BTCUSDT`."""
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal
    max_orders: int = 200
    max_leverage: int = 125
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    multiplier_up: Decimal = ZERO
    """A buy above mark * multiplier_up is refused (PERCENT_PRICE)."""
    multiplier_down: Decimal = ZERO
    price_precision: int = 8
    qty_precision: int = 8
    status: str = "TRADING"
    liquidation_fee: Decimal = Decimal("0.0125")
    """Of the notional that a liquidation closes."""
    market_take_bound: Decimal = Decimal("0.05")
    """How far from the mark a MARKET order may reach, of the mark."""
    trigger_protect: Decimal = Decimal("0.05")
    """How far last and mark price may be apart for a protected trigger, of the mark."""

    def round_price(self, price: Decimal) -> Decimal:
        """`price` on the tick, half up (product.md §3.3)."""
        return (price / self.tick_size).quantize(Decimal(1), rounding=ROUND_HALF_UP) * self.tick_size

    def floor_qty(self, qty: Decimal) -> Decimal:
        """`qty` floored to the lot."""
        return (qty / self.lot_size).quantize(Decimal(1), rounding=ROUND_DOWN) * self.lot_size

    def ceil_qty(self, qty: Decimal) -> Decimal:
        """`qty` raised to the lot: for naming minimums to a person, never for sizing an order."""
        return (qty / self.lot_size).quantize(Decimal(1), rounding=ROUND_UP) * self.lot_size

    def is_too_small(self, price: Decimal, qty: Decimal) -> bool:
        """Whether the venue would refuse a non-reduce-only order for its size."""
        return qty < self.min_qty or price * qty < self.min_notional


class Bracket(Struct, frozen=True):
    """One leverage bracket: notionals from `floor` up to `cap` (quote)."""

    floor: Decimal
    cap: Decimal
    max_leverage: int
    mmr: Decimal
    """Maintenance margin rate, a fraction."""
    cum: Decimal
    """Maintenance amount: what to subtract so that margin is continuous at the floor (quote)."""


class Target(Struct, frozen=True):
    """An order a strategy wants resting now."""

    cid: ClientOrderId
    side: Side
    price: Decimal
    """Limit price; 0 for MARKET."""
    qty: Decimal
    """The whole quantity of the order, filled part included."""
    type: OrderType = OrderType.LIMIT
    tif: TimeInForce = TimeInForce.GTX
    reduce_only: bool = False


class Position(Struct, frozen=True):
    """A one-way position: `qty` is signed, short below zero."""

    qty: Decimal
    entry: Decimal
    """Average entry price as the venue keeps it; 0 when flat."""
    mark: Decimal = ZERO
    unrealized_pnl: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    liquidation_price: Decimal = ZERO
    """0 = none."""
    leverage: int = 0
    margin_mode: MarginMode = MarginMode.CROSS


class StopStatus(Enum):
    """Where a stop on the venue stands."""

    WAITING = "waiting"
    TRIGGERED = "triggered"
    """Set off: a market order of the same client id is (or was) at work."""
    DONE = "done"
    """That order is over."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"
    """Set off, but the venue would not have the order: see `reason`."""

    @property
    def is_over(self) -> bool:
        return self not in (StopStatus.WAITING, StopStatus.TRIGGERED)


class StopOrder(Struct, frozen=True):
    """A stop kept by the venue: it sets off a reduce-only market order when the price reaches `trigger`."""

    client_id: str
    """The order that it sets off bears the same client id."""
    stop_id: int
    symbol: str
    side: Side
    trigger: Decimal
    qty: Decimal
    """0 = whatever the position is then."""
    status: StopStatus = StopStatus.WAITING
    order_id: int = 0
    """The order it set off."""
    reason: str = ""


class Balance(Struct, frozen=True):
    asset: str
    wallet: Decimal
    available: Decimal
    """What may be used for new orders (`availableBalance`)."""
    unrealized_pnl: Decimal = ZERO


class Candle(Struct, frozen=True, gc=False):
    """One bar; `time` is its open time."""

    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO

    def path(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """The four points the price visits: open, low, high, close when it rose, else open, high, low, close."""
        if self.close >= self.open:
            return (self.open, self.low, self.high, self.close)
        return (self.open, self.high, self.low, self.close)


def plain(value: Decimal) -> str:
    """`value` as a plain decimal string, never with an exponent: what every venue wants to read."""
    return format(value, "f")
