"""What the heart asks of the world: protocols and the error tree. Nothing here does anything.

    TradingError
    ├── Disconnected          the venue cannot be reached: reconnect
    ├── RateLimited(until)    wait until then
    ├── Uncertain             nobody knows whether it was executed: take a Snapshot
    ├── Rejected(reason)      a clear no: tell the person
    └── Broken                a fault of ours or of the venue: stop this bot, tell
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Protocol

from msgspec import Struct

from trading.messages import Event, Filled, Intent, Notice, Quote, Snapshot
from trading.model import (
    ZERO,
    Balance,
    Bracket,
    Candle,
    ClientOrderId,
    Environment,
    Instrument,
    MarginMode,
    Position,
    Side,
    Slot,
    StopOrder,
    Target,
)

OnEvent = Callable[[str, Event], None]
"""Takes (symbol, event)."""


class TradingError(Exception):
    """The root of everything a venue call may raise."""


class Disconnected(TradingError):
    """The venue cannot be reached."""


class RateLimited(TradingError):
    """The venue asks to wait; `until` is ms UTC."""

    def __init__(self, until: int, text: str = "") -> None:
        super().__init__(text or f"rate limited until {until}")
        self.until = until


class Uncertain(TradingError):
    """The outcome of a request is unknown."""


class Rejected(TradingError):
    """The venue said no. `code` is the venue's own number, `reason` ours for what a person can mend, else empty."""

    def __init__(self, code: int, text: str, reason: str = "") -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.reason = reason


class NotListed(TradingError):
    """The venue does not know the instrument any more, whatever rested there is gone with it."""


class Broken(TradingError):
    """Something is wrong that waiting will not mend."""


class KeyMayWithdraw(Broken):
    """The API key may take money off the venue, which trading never needs, and nobody allowed such a key."""


class Waits(Struct, frozen=True):
    """Why a slot wants no order now: a `Reason` value and numbers for the words."""

    reason: str
    price: Decimal | None = None


class Strategy(Protocol):
    """One way of trading one instrument, pure and deterministic (decision 0002: the state changes in place).

    A key names a place for one order: a slot number or a Role.
    """

    def step(self, event: Event) -> Iterable[Slot]:
        """Take in `event`; the keys whose wish may have changed."""

    def wish(self, key: Slot) -> Target | Waits | None:
        """What should rest at `key` now: an order, a reason for none, or nothing at all."""

    def keys(self) -> Iterable[Slot]:
        """Every key that may ever want an order."""

    def pack(self) -> bytes:
        """The state, for the checkpoint."""


class Credentials(Struct, frozen=True):
    """An API key and its secret. Never printed: repr is masked."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "Credentials(***)"

    __str__ = __repr__


class Endpoints(Struct, frozen=True):
    """Where a venue's services live; streams without the routed prefix (`/public` …)."""

    rest: str
    ws_api: str
    streams: str
    keys: str = ""
    """Where the permissions of an API key can be asked for; empty = nowhere."""


class Account(Struct, frozen=True):
    """One set of API credentials of one user on one venue in one environment."""

    id: int
    owner: int
    """The user's numeric Telegram id."""
    name: str
    venue: str
    environment: Environment
    endpoints: Endpoints | None = None
    """None = the environment's own."""


class Capabilities(Struct, frozen=True):
    """What a venue can do; what it lacks the engine does without."""

    amend: bool
    batch_place: int
    """Orders per batch request; 0 = none."""
    reduce_only: bool
    history: int
    """How far back fills can be read, ms."""
    stops: bool = False
    """Whether the venue keeps stops itself: place_stop, cancel_stop, stops, StopMoved."""


class Withdrawals(Enum):
    """What an API key may do with the money."""

    FORBIDDEN = "forbidden"
    ALLOWED = "allowed"
    UNKNOWN = "unknown"
    """The venue could not be asked."""


class Health(Struct, frozen=True):
    """How a gateway stands, in codes."""

    is_up: bool
    why: str
    """Why it is not up."""
    orders_by: str
    """`socket`, `rest` (the slower way, while the first is down) or "" (none)."""
    banned_until: int = 0
    """The venue answers nothing before, ms; 0 = it does."""
    withdrawals: Withdrawals = Withdrawals.UNKNOWN
    key_kind: str = ""
    """How requests are signed."""


class Gateway(Protocol):
    """One account on one venue. Requests for orders are fire and forget: answers are events.

    Every coroutine may raise any TradingError.
    """

    capabilities: Capabilities

    async def connect(self, on_event: OnEvent, on_state: Callable[[bool, str], None]) -> None:
        """Open the account stream and keep it open.

        `on_event(symbol, event)` gets every account event (Accepted, Filled, Closed, Refused, CancelRefused,
        Uncertain, Foreign, Funding), never dropped, in the venue's order, on the event loop's thread.
        `on_state(up, why)` tells when stream and order connection are (again) usable or not; after `up` the caller
        reconciles.
        """

    async def close(self) -> None: ...

    def now(self) -> int:
        """The venue's time, ms UTC."""

    def health(self) -> Health: ...

    async def keep_alive(self) -> None:
        """Refresh what the venue lets expire (scheduler, every 25 minutes)."""

    async def instruments(self) -> dict[str, Instrument]:
        """By symbol, as the venue lists them now."""

    async def brackets(self, symbol: str) -> tuple[Bracket, ...]: ...

    async def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker and taker rate of this account."""

    async def quote(self, symbol: str) -> Quote: ...

    async def candles(self, symbol: str, interval: str, limit: int) -> list[Candle]: ...

    async def balances(self) -> list[Balance]: ...

    async def position(self, symbol: str) -> Position: ...

    async def positions(self) -> dict[str, Position]:
        """By symbol; flat ones may be missing."""

    async def open_orders(self, symbol: str | None = None) -> list[tuple[str, object]]:
        """(symbol, Working) of every resting order."""

    async def is_hedge_mode(self) -> bool: ...

    async def prepare(self, symbol: str, leverage: int, mode: MarginMode) -> None:
        """Set leverage and margin mode. What is so already is not touched; `Rejected.reason` says what forbids it."""

    async def snapshot(self, request: SnapshotRequest) -> Snapshot:
        """Read the venue's truth until the reads agree (architecture §5); `Disagree` when they never do."""

    async def glance(self, symbols: Collection[str]) -> Glance:
        """Read what rests and what is held on `symbols`, without their trades."""

    async def leisure(self, symbols: int = 0) -> None:
        """Return when somebody who can wait may glance at so many symbols, or (0) read a Snapshot."""

    async def touches(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Best bid and ask now, by symbol; those that the venue does not tell are missing."""

    def send(self, intent: Intent) -> None:
        """Queue one intent; returns at once."""

    async def watch(self, symbol: str, on_event: OnEvent) -> None:
        """Deliver Quote and Mark events of `symbol`; counted, see unwatch."""

    async def unwatch(self, symbol: str, on_event: OnEvent) -> None: ...

    # where capabilities.stops

    async def place_stop(
        self,
        symbol: str,
        side: Side,
        trigger_price: Decimal,
        close_position: bool = True,
        client_algo_id: str = "",
        qty: Decimal = ZERO,
    ) -> StopOrder:
        """Have the venue close the position (or `qty` of it) at market when the mark price reaches `trigger_price`.

        Placing is not repeated: an unclear outcome is asked about by `client_algo_id`.
        """

    async def cancel_stop(self, symbol: str, client_algo_id: str) -> bool:
        """False = there was none (any more)."""

    async def stops(self, symbol: str | None = None) -> list[StopOrder]:
        """Those that wait."""


class SnapshotRequest(Struct, frozen=True):
    """What the gateway must know to read a consistent Snapshot for one bot."""

    symbol: str
    install: str
    bot: int
    since_trade: int
    """The floor: trades up to this id are counted or not ours. 0 with no counted trade."""
    since_time: int
    """Start of reading for orders and, where `is_first`, for trades, ms."""
    since_funding: int
    """Start of reading for funding, ms: before `since_time` where a position was kept while the bot was stopped."""
    expected: tuple[ClientOrderId, ...]
    """Names that should be resting: those that are not are asked about one by one."""
    counted: Mapping[str, Decimal]
    """Quantity already counted per order name, for orders that may still trade."""
    position: Decimal
    """The counted position."""
    counted_trades: frozenset[int]
    """Trade ids above the floor that are counted already."""
    is_first: bool
    """Whether no trade was settled since the bot's start: then only those from `since_time` on matter, and of those
    between the floor and that time the venue may have forgotten some."""


class Glance(Struct, frozen=True):
    """What rests and what is held on some instruments, without their trades (decision 0009)."""

    orders: Mapping[str, Mapping[str, Decimal]]
    """The executed quantity of each resting order by its name, by symbol."""
    positions: Mapping[str, Decimal]
    """Signed quantity by symbol; flat ones may be missing."""


class Disagree(TradingError):
    """Five rounds of reads did not agree: PAUSED(reads disagree), tried again at each audit.

    `is_forgotten`: the venue knows none of the orders that should rest there; it lost its books, or has others.
    """

    def __init__(self, text: str, is_forgotten: bool = False) -> None:
        super().__init__(text)
        self.is_forgotten = is_forgotten


class Booked(Struct, frozen=True):
    """What one fill brought when it was counted: grid profit net of fees, and pairs completed."""

    matched: Decimal = ZERO
    pairs: int = 0


class Record(Struct, frozen=True):
    """What one commit writes for one bot: state, new fills and new notices, all or nothing."""

    bot: int
    status: str
    """The life-cycle state, for lists and queries."""
    reason: str
    checkpoint: bytes
    fills: tuple[Filled, ...]
    notices: tuple[Notice, ...]
    booked: tuple[Booked, ...] = ()
    """One for each of `fills`, where known."""


class Recorder(Protocol):
    """Somebody with something to commit (a session)."""

    def take(self) -> Record:
        """Everything since the last take; the checkpoint is of this instant."""


class Journal(Protocol):
    """Where sessions commit. Fills are unique on (venue, account, symbol, trade), notices on (bot, kind, ref)."""

    async def now(self, source: Recorder) -> None:
        """Commit before returning."""

    def later(self, source: Recorder) -> None:
        """Commit soon, grouped with others."""

    async def tell(self, account: Account, notices: Iterable[Notice]) -> None:
        """Commit notices of an account's own (disconnect, recovery)."""


class BotRow(Struct, frozen=True):
    """A bot as stored."""

    id: int
    owner: int
    account: int
    symbol: str
    strategy: str
    """`grid` so far."""
    parameters: dict[str, str]
    """As `parameters.py` declares them, canonical names, values as text."""
    status: str
    reason: str
    created: int
    note: str = ""
    hidden: bool = False
    """Deleted; its books are kept."""


class Day(Struct, frozen=True):
    """What one UTC day brought a bot."""

    start: int
    """ms UTC, midnight."""
    matched: Decimal
    """Grid profit, net of both fees."""
    pairs: int
    fills: int
    fees: Decimal
    """In quote."""


class Books(Protocol):
    """What the desk keeps: accounts, bots, checkpoints, rules."""

    async def install(self) -> str:
        """The four-character tag of this database, drawn once."""

    async def accounts(self) -> list[Account]: ...

    async def bots(self) -> list[BotRow]:
        """All that are not deleted."""

    async def create_bot(
        self, owner: int, account: int, symbol: str, strategy: str, parameters: Mapping[str, str], now: int, once: str
    ) -> BotRow:
        """A CREATED bot; the same `once` (a nonce) gives the same bot again, so a double press creates one."""

    async def hide_bot(self, bot: int) -> None: ...

    async def checkpoint(self, bot: int) -> bytes | None: ...

    async def fills(self, bot: int, limit: int) -> list[Filled]:
        """Newest first."""

    async def history(self, bot: int, since: int = 0) -> list[tuple[Filled, Booked]]:
        """Every fill from `since` on, ms, oldest first, with what it brought."""

    async def days(self, bot: int) -> list[Day]:
        """What each UTC day with fills brought, oldest first."""

    async def set_parameters(self, bot: int, parameters: Mapping[str, str], note: str) -> None:
        """Replace what a bot will next be planned with."""

    async def forget_account(self, account: int) -> bool:
        """Forget an account and its keys; False, and nothing done, where the keys stand in the environment."""

    async def rules(self, venue: str, environment: str) -> tuple[int, dict[str, Instrument]] | None:
        """(fetched at, instruments by symbol) of the cache."""

    async def save_rules(self, venue: str, environment: str, now: int, rules: Mapping[str, Instrument]) -> None: ...

    async def audit(self, user: int, action: str, target: str, outcome: str, now: int) -> None: ...
