"""What Binance USD-M futures answers over REST and the WebSocket API, as Structs.

Pure. Wire names stand in `name=` or follow from camel case; a field that the venue sends only sometimes is UNSET when
absent and is left out when encoding. Shapes: binance-usdm.md §5-§7, §9.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType, field

from trading.model import ZERO, Candle, Side

Number = Decimal | UnsetType
Text = str | UnsetType
Id = int | str | None


# --------------------------------------------------------------------------- market data over REST


class ServerTime(Struct, frozen=True, rename="camel"):
    server_time: int


class RateLimit(Struct, frozen=True, rename="camel"):
    """A budget of the venue; `count` only in answers of the WebSocket API."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int | UnsetType = UNSET


class Filter(Struct, frozen=True, rename="camel"):
    """A trading rule of a symbol: `filterType` says which fields it has."""

    filter_type: str
    min_price: Number = UNSET
    max_price: Number = UNSET
    tick_size: Number = UNSET
    min_qty: Number = UNSET
    max_qty: Number = UNSET
    step_size: Number = UNSET
    limit: int | UnsetType = UNSET
    notional: Number = UNSET
    multiplier_up: Number = UNSET
    multiplier_down: Number = UNSET
    multiplier_decimal: str | int | UnsetType = UNSET
    position_control_side: Text = UNSET


class SymbolInfo(Struct, frozen=True, rename="camel", kw_only=True):
    """A symbol of exchangeInfo."""

    symbol: str
    pair: str = ""
    contract_type: str = "PERPETUAL"
    delivery_date: int = 4133404800000
    onboard_date: int = 1569398400000
    status: str = "TRADING"
    maint_margin_percent: str = "2.5000"
    required_margin_percent: str = "5.0000"
    base_asset: str
    quote_asset: str
    margin_asset: str = ""
    price_precision: int = 8
    quantity_precision: int = 8
    base_asset_precision: int = 8
    quote_precision: int = 8
    underlying_type: str = "COIN"
    underlying_sub_type: list[str] = []
    trigger_protect: str = "0.0500"
    liquidation_fee: str = "0.012500"
    market_take_bound: str = "0.05"
    max_move_order_limit: int = 10000
    filters: list[Filter] = []
    order_types: list[str] = []
    time_in_force: list[str] = []
    permission_sets: list[str] | UnsetType = UNSET


class Asset(Struct, frozen=True, rename="camel"):
    asset: str
    margin_available: bool = True
    auto_asset_exchange: str | int | None = "0"


class ExchangeInfo(Struct, frozen=True, rename="camel"):
    """Everything that may be traded, with its rules; symbols that do not decode are left out."""

    timezone: str = "UTC"
    server_time: int = 0
    futures_type: str = "U_MARGINED"
    rate_limits: list[RateLimit] = []
    exchange_filters: list[Any] = []
    assets: list[Asset] = []
    symbols: list[SymbolInfo] = []


class RawExchangeInfo(ExchangeInfo, frozen=True, rename="camel"):
    """The same with undecoded symbols, so that a strange one spoils only itself."""

    symbols: list[Raw] = []  # type: ignore[assignment]


class BracketRow(Struct, frozen=True, rename="camel"):
    """A leverage bracket; its numbers are JSON numbers, unlike everywhere else."""

    bracket: int
    initial_leverage: int
    notional_cap: Decimal
    notional_floor: Decimal
    maint_margin_ratio: Decimal
    cum: Decimal


class SymbolBrackets(Struct, frozen=True, rename="camel"):
    symbol: str
    brackets: list[BracketRow]
    notional_coef: Number = UNSET
    """Only where the account's own brackets are adjusted."""


class PriceTicker(Struct, frozen=True, rename="camel"):
    symbol: str
    price: Decimal
    time: int


class BookTickerRow(Struct, frozen=True, rename="camel"):
    """Best bid and ask as REST and `ticker.book` give it."""

    symbol: str
    bid_price: Decimal
    bid_qty: Decimal
    ask_price: Decimal
    ask_qty: Decimal
    time: int = 0
    last_update_id: int = 0


class PremiumIndex(Struct, frozen=True, rename="camel"):
    symbol: str
    mark_price: Decimal
    index_price: Decimal
    estimated_settle_price: Decimal = ZERO
    last_funding_rate: Decimal = ZERO
    interest_rate: Decimal = ZERO
    next_funding_time: int = 0
    time: int = 0


class Level(Struct, frozen=True, array_like=True):
    """A price level: `["price", "quantity"]`, quantity "0" = gone."""

    price: Decimal
    qty: Decimal


class Depth(Struct, frozen=True):
    last_update_id: int = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]
    event_time: int = field(name="E", default=0)
    time: int = field(name="T", default=0)


class KlineRow(Struct, frozen=True, array_like=True):
    """A candle as REST lists it; the last row is still open."""

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: int
    quote_volume: Decimal = ZERO
    trades: int = 0
    taker_base: Decimal = ZERO
    taker_quote: Decimal = ZERO
    ignored: str = "0"

    def candle(self) -> Candle:
        return Candle(self.open_time, self.open, self.high, self.low, self.close, self.volume)


class Ticker24h(Struct, frozen=True, rename="camel"):
    symbol: str
    price_change: Decimal
    price_change_percent: Decimal
    weighted_avg_price: Decimal
    last_price: Decimal
    last_qty: Decimal
    open_price: Decimal
    high_price: Decimal
    low_price: Decimal
    volume: Decimal
    quote_volume: Decimal
    open_time: int
    close_time: int
    first_id: int
    last_id: int
    count: int


class AggTradeRow(Struct, frozen=True):
    a: int
    p: Decimal
    q: Decimal
    f: int
    l: int  # noqa: E741 - the wire's name
    T: int
    m: bool


class PublicTrade(Struct, frozen=True, rename="camel"):
    id: int
    price: Decimal
    qty: Decimal
    quote_qty: Decimal
    time: int
    is_buyer_maker: bool
    is_rpi: bool | UnsetType = field(name="isRPITrade", default=UNSET)


# --------------------------------------------------------------------------- orders and account over REST / WS API


class Order(Struct, frozen=True, rename="camel", kw_only=True):
    """An order: `cumQty` in answers to place and cancel, `avgPrice`, `cumQuote` and `time` where it is read."""

    order_id: int
    symbol: str
    pair: Text = UNSET
    status: str
    client_order_id: str
    price: Decimal = ZERO
    avg_price: Number = UNSET
    orig_qty: Decimal = ZERO
    executed_qty: Decimal = ZERO
    cum_qty: Number = UNSET
    cum_quote: Number = UNSET
    cum_base: Text = UNSET
    time_in_force: str = "GTC"
    type: str = "LIMIT"
    reduce_only: bool = False
    close_position: bool = False
    side: Side
    position_side: str = "BOTH"
    stop_price: Decimal = ZERO
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    orig_type: str = "LIMIT"
    price_match: str = "NONE"
    self_trade_prevention_mode: str = "EXPIRE_MAKER"
    good_till_date: int = 0
    activate_price: Text = UNSET
    """Of a trailing order, with the next."""
    price_rate: Text = UNSET
    modify_id: int | UnsetType = UNSET
    time: int | UnsetType = UNSET
    update_time: int = 0


class UserTrade(Struct, frozen=True, rename="camel", kw_only=True):
    """One of the account's trades; it carries no client order id."""

    symbol: str
    pair: Text = UNSET
    id: int
    order_id: int
    side: Side
    price: Decimal
    qty: Decimal
    quote_qty: Decimal = ZERO
    base_qty: Text = UNSET
    margin_asset: Text = UNSET
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    commission_asset: str = "USDT"
    position_side: str = "BOTH"
    time: int
    buyer: bool
    maker: bool


class BalanceRow(Struct, frozen=True, rename="camel", kw_only=True):
    account_alias: str = ""
    asset: str
    balance: Decimal
    cross_wallet_balance: Decimal = ZERO
    cross_un_pnl: Decimal = ZERO
    available_balance: Decimal = ZERO
    max_withdraw_amount: Decimal = ZERO
    margin_available: bool = True
    update_time: int = 0


class AccountAsset(Struct, frozen=True, rename="camel", kw_only=True):
    asset: str
    wallet_balance: Decimal
    unrealized_profit: Decimal = ZERO
    margin_balance: Decimal = ZERO
    maint_margin: Decimal = ZERO
    initial_margin: Decimal = ZERO
    position_initial_margin: Decimal = ZERO
    open_order_initial_margin: Decimal = ZERO
    cross_wallet_balance: Decimal = ZERO
    cross_un_pnl: Decimal = ZERO
    available_balance: Decimal = ZERO
    max_withdraw_amount: Decimal = ZERO
    margin_available: bool | UnsetType = UNSET
    """v2 only."""
    update_time: int = 0


class AccountPosition(Struct, frozen=True, rename="camel", kw_only=True):
    """A position inside the account answer; UNSET fields belong to v2 (leverage … askNotional) or v3 only."""

    symbol: str
    position_side: str = "BOTH"
    position_amt: Decimal
    unrealized_profit: Decimal = ZERO
    isolated_margin: Number = UNSET
    notional: Number = UNSET
    isolated_wallet: Number = UNSET
    initial_margin: Decimal = ZERO
    maint_margin: Decimal = ZERO
    position_initial_margin: Number = UNSET
    open_order_initial_margin: Number = UNSET
    leverage: Text = UNSET
    isolated: bool | UnsetType = UNSET
    entry_price: Number = UNSET
    break_even_price: Number = UNSET
    max_notional: Text = UNSET
    bid_notional: Number = UNSET
    ask_notional: Number = UNSET
    update_time: int = 0


class AccountState(Struct, frozen=True, rename="camel", kw_only=True):
    """GET account: v3, or v2 with its flags (feeTier … tradeGroupId)."""

    fee_tier: int | UnsetType = UNSET
    fee_burn: bool | UnsetType = UNSET
    can_trade: bool | UnsetType = UNSET
    can_deposit: bool | UnsetType = UNSET
    can_withdraw: bool | UnsetType = UNSET
    update_time: int | UnsetType = UNSET
    multi_assets_margin: bool | UnsetType = UNSET
    trade_group_id: int | UnsetType = UNSET
    total_initial_margin: Decimal = ZERO
    total_maint_margin: Decimal = ZERO
    total_wallet_balance: Decimal = ZERO
    total_unrealized_profit: Decimal = ZERO
    total_margin_balance: Decimal = ZERO
    total_position_initial_margin: Decimal = ZERO
    total_open_order_initial_margin: Decimal = ZERO
    total_cross_wallet_balance: Decimal = ZERO
    total_cross_un_pnl: Decimal = ZERO
    available_balance: Decimal = ZERO
    max_withdraw_amount: Decimal = ZERO
    assets: list[AccountAsset] = []
    positions: list[AccountPosition] = []


class PositionRisk(Struct, frozen=True, rename="camel", kw_only=True):
    """A position: v3 has margins and `adl`, v2 has `marginType`, `leverage` and `isAutoAddMargin` (a string)."""

    symbol: str
    position_side: str = "BOTH"
    position_amt: Decimal
    entry_price: Decimal = ZERO
    break_even_price: Decimal = ZERO
    mark_price: Decimal = ZERO
    un_realized_profit: Decimal = ZERO
    liquidation_price: Decimal = ZERO
    isolated_margin: Decimal = ZERO
    notional: Decimal = ZERO
    margin_asset: Text = UNSET
    isolated_wallet: Decimal = ZERO
    initial_margin: Number = UNSET
    maint_margin: Number = UNSET
    position_initial_margin: Number = UNSET
    open_order_initial_margin: Number = UNSET
    adl: int | UnsetType = UNSET
    bid_notional: Number = UNSET
    ask_notional: Number = UNSET
    margin_type: Text = UNSET
    is_auto_add_margin: str | bool | UnsetType = UNSET
    leverage: Text = UNSET
    max_notional_value: Text = UNSET
    update_time: int = 0


class SymbolConfig(Struct, frozen=True, rename="camel"):
    symbol: str
    margin_type: str
    """CROSSED or ISOLATED."""
    is_auto_add_margin: bool | str
    """A few answers spell it as text."""
    leverage: int
    max_notional_value: str = "0"


class AccountConfig(Struct, frozen=True, rename="camel"):
    fee_tier: int = 0
    can_trade: bool = True
    can_deposit: bool = True
    can_withdraw: bool = True
    dual_side_position: bool = False
    update_time: int = 0
    multi_assets_margin: bool = False
    trade_group_id: int = -1


class LeverageAnswer(Struct, frozen=True, rename="camel"):
    leverage: int
    max_notional_value: str
    symbol: str


class PositionMode(Struct, frozen=True, rename="camel"):
    dual_side_position: bool


class CommissionRate(Struct, frozen=True, rename="camel"):
    symbol: str
    maker_commission_rate: Decimal
    taker_commission_rate: Decimal
    rpi_commission_rate: Number = UNSET


class Income(Struct, frozen=True, rename="camel"):
    """A movement of the wallet; `tranId` is unique per type."""

    symbol: str
    income_type: str
    income: Decimal
    asset: str
    info: str
    time: int
    tran_id: int | str
    """A number; a few answers spell it as text."""
    trade_id: str | int = ""
    """Text; a few answers have a number."""


class ListenKey(Struct, frozen=True, rename="camel"):
    listen_key: str


class KeyPermissions(Struct, frozen=True, rename="camel"):
    """GET /sapi/v1/account/apiRestrictions, as far as it concerns us."""

    enable_withdrawals: bool
    enable_futures: bool = False
    ip_restrict: bool = False


class Patience(Struct, frozen=True, rename="camel"):
    """What a refusal of the WebSocket API says about waiting."""

    retry_after: int = 0
    """A time, ms."""
    server_time: int = 0


class Fault(Struct, frozen=True):
    """The body of every refusal, and of `code: 200` confirmations."""

    code: int
    msg: str = ""
    data: Patience | UnsetType = UNSET


# --------------------------------------------------------------------------- WebSocket API


class Request(Struct, frozen=True):
    id: Id
    method: str
    params: dict[str, Any] = {}


class Answer(Struct, frozen=True, kw_only=True):
    """An answer of the WebSocket API: `result` stays undecoded until its request is known."""

    id: Id = None
    status: int
    result: Raw | UnsetType = UNSET
    error: Fault | UnsetType = UNSET
    rate_limits: list[RateLimit] | UnsetType = field(name="rateLimits", default=UNSET)


class Control(Struct, frozen=True):
    """A frame of a stream that is not an event: an answer to SUBSCRIBE and the like."""

    id: Id = None
    result: Any = None
    code: int | UnsetType = UNSET
    msg: Text = UNSET


# --------------------------------------------------------------------------- conditional orders and what is rare


class AlgoAnswer(Struct, frozen=True, rename="camel", kw_only=True):
    """A conditional order; the fields from `actualOrderId` to `tpOrderType` only where it is read."""

    algo_id: int
    client_algo_id: str
    algo_type: str = "CONDITIONAL"
    order_type: str
    symbol: str
    side: Side
    position_side: str = "BOTH"
    time_in_force: str = "GTC"
    quantity: Decimal = ZERO
    algo_status: str
    actual_order_id: Text = UNSET
    """ "" until it is triggered."""
    actual_price: Number = UNSET
    actual_qty: Number = UNSET
    actual_type: Text = UNSET
    trigger_price: Decimal = ZERO
    price: Decimal = ZERO
    iceberg_quantity: Decimal | None = None
    tp_trigger_price: Number = UNSET
    tp_price: Number = UNSET
    sl_trigger_price: Number = UNSET
    sl_price: Number = UNSET
    tp_order_type: Text = UNSET
    self_trade_prevention_mode: str = "EXPIRE_MAKER"
    working_type: str = "CONTRACT_PRICE"
    price_match: str = "NONE"
    close_position: bool = False
    price_protect: bool = False
    reduce_only: bool = False
    is_activated: bool | UnsetType = UNSET
    activate_price: Text = UNSET
    """ "" where there is none."""
    callback_rate: Text = UNSET
    create_time: int = 0
    update_time: int = 0
    trigger_time: int = 0
    good_till_date: int = 0


class AlgoGone(Struct, frozen=True, rename="camel"):
    """A cancelled conditional order; its code is a string."""

    algo_id: int
    client_algo_id: str
    code: str = "200"
    msg: str = "success"


class MarginMoved(Struct, frozen=True):
    """The answer to positionMargin; its amount is a JSON number."""

    amount: float
    code: int
    msg: str
    type: int


class MarginChange(Struct, frozen=True, rename="camel"):
    """A row of positionMargin/history."""

    symbol: str
    type: int
    delta_type: str
    amount: Decimal
    asset: str
    time: int
    position_side: str = "BOTH"


class Change(Struct, frozen=True):
    before: Decimal
    after: Decimal


class AmendmentFields(Struct, frozen=True, rename="camel", kw_only=True):
    price: Change
    orig_qty: Change
    count: int
    modify_id: int | UnsetType = UNSET


class Amendment(Struct, frozen=True, rename="camel", kw_only=True):
    """A row of orderAmendment."""

    amendment_id: int
    symbol: str
    pair: str
    order_id: int
    client_order_id: str
    time: int
    amendment: AmendmentFields
    price_match: Text = UNSET
