"""What Binance USD-M futures pushes over its streams, as Structs tagged by `e`.

Pure. Wire names stand in `name=` or follow from camel case; a field that the venue sends only sometimes is UNSET when
absent and is left out when encoding. Shapes: binance-usdm.md §10, §11.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType, field

from trading.gateways.binance.answers import Level, Number, Text
from trading.model import ZERO, Side

# --------------------------------------------------------------------------- user stream


class OrderUpdate(Struct, frozen=True, kw_only=True):
    """The order inside ORDER_TRADE_UPDATE."""

    symbol: str = field(name="s")
    client_id: str = field(name="c")
    side: Side = field(name="S")
    type: str = field(name="o")
    tif: str = field(name="f")
    qty: Decimal = field(name="q")
    price: Decimal = field(name="p")
    avg_price: Decimal = field(name="ap", default=ZERO)
    stop_price: Decimal = field(name="sp", default=ZERO)
    execution: str = field(name="x")
    """NEW, CANCELED, CALCULATED, EXPIRED, TRADE, AMENDMENT."""
    status: str = field(name="X")
    order_id: int = field(name="i")
    modify_id: str | int | UnsetType = field(name="M", default=UNSET)
    last_qty: Decimal = field(name="l", default=ZERO)
    executed: Decimal = field(name="z", default=ZERO)
    last_price: Decimal = field(name="L", default=ZERO)
    fee: Decimal | None = field(name="n", default=None)
    fee_asset: str | None = field(name="N", default=None)
    time: int = field(name="T")
    trade: int = field(name="t", default=0)
    bids: Decimal = field(name="b", default=ZERO)
    """Notional of the open buy orders."""
    asks: Decimal = field(name="a", default=ZERO)
    maker: bool = field(name="m", default=False)
    reduce_only: bool = field(name="R", default=False)
    working_type: str = field(name="wt", default="CONTRACT_PRICE")
    original_type: str = field(name="ot", default="LIMIT")
    position_side: str = field(name="ps", default="BOTH")
    close_position: bool = field(name="cp", default=False)
    activation_price: Number = field(name="AP", default=UNSET)
    callback_rate: Number = field(name="cr", default=UNSET)
    realized_pnl: Decimal = field(name="rp", default=ZERO)
    price_protect: bool = field(name="pP", default=False)
    si: int = 0
    ss: int = 0
    stp: str = field(name="V", default="EXPIRE_MAKER")
    price_match: str = field(name="pm", default="NONE")
    good_till: int = field(name="gtd", default=0)
    expiry: Text = field(name="er", default=UNSET)


class UserFrame(Struct, frozen=True, tag_field="e", kw_only=True):
    """A frame of the user stream."""

    event_time: int = field(name="E", default=0)
    time: int = field(name="T", default=0)


class OrderTradeUpdate(UserFrame, frozen=True, kw_only=True, tag="ORDER_TRADE_UPDATE"):
    order: OrderUpdate = field(name="o")


class TradeLite(UserFrame, frozen=True, kw_only=True, tag="TRADE_LITE"):
    """An early signal of a fill, without fee or status; the ORDER_TRADE_UPDATE that follows is what counts."""

    symbol: str = field(name="s")
    qty: Decimal = field(name="q")
    price: Decimal = field(name="p")
    maker: bool = field(name="m")
    client_id: str = field(name="c")
    side: Side = field(name="S")
    last_price: Decimal = field(name="L")
    last_qty: Decimal = field(name="l")
    trade: int = field(name="t")
    order_id: int = field(name="i")


class BalanceUpdate(Struct, frozen=True):
    asset: str = field(name="a")
    wallet: Decimal = field(name="wb")
    cross_wallet: Decimal = field(name="cw")
    change: Decimal = field(name="bc", default=ZERO)
    """Other than PnL and fees; the amount of a funding."""


class PositionUpdate(Struct, frozen=True):
    symbol: str = field(name="s")
    qty: Decimal = field(name="pa")
    entry: Decimal = field(name="ep")
    realized: Decimal = field(name="cr", default=ZERO)
    unrealized: Decimal = field(name="up", default=ZERO)
    margin_type: str = field(name="mt", default="cross")
    isolated_wallet: Decimal = field(name="iw", default=ZERO)
    position_side: str = field(name="ps", default="BOTH")
    margin_asset: Text = field(name="ma", default=UNSET)
    break_even: Decimal = field(name="bep", default=ZERO)


class AccountChange(Struct, frozen=True):
    reason: str = field(name="m")
    balances: list[BalanceUpdate] = field(name="B", default_factory=list)
    positions: list[PositionUpdate] = field(name="P", default_factory=list)
    symbol: Text = field(name="S", default=UNSET)
    """The symbol of a FUNDING_FEE, since 2026-08."""


class AccountUpdate(UserFrame, frozen=True, kw_only=True, tag="ACCOUNT_UPDATE"):
    change: AccountChange = field(name="a")


class LeverageChange(Struct, frozen=True):
    symbol: str = field(name="s")
    leverage: int = field(name="l")


class AssetModeChange(Struct, frozen=True):
    multi_assets: bool = field(name="j")


class AccountConfigUpdate(UserFrame, frozen=True, kw_only=True, tag="ACCOUNT_CONFIG_UPDATE"):
    leverage: LeverageChange | UnsetType = field(name="ac", default=UNSET)
    mode: AssetModeChange | UnsetType = field(name="ai", default=UNSET)


class ListenKeyExpired(Struct, frozen=True, tag_field="e", kw_only=True, tag="listenKeyExpired"):
    event_time: int = field(name="E", default=0)
    listen_key: Text = field(name="listenKey", default=UNSET)


class AlgoFields(Struct, frozen=True, kw_only=True):
    """The conditional order inside ALGO_UPDATE."""

    client_id: str = field(name="caid")
    algo_id: int = field(name="aid")
    algo_type: str = field(name="at", default="CONDITIONAL")
    type: str = field(name="o")
    symbol: str = field(name="s")
    side: Side = field(name="S")
    position_side: str = field(name="ps", default="BOTH")
    tif: str = field(name="f", default="GTC")
    qty: Decimal = field(name="q", default=ZERO)
    status: str = field(name="X")
    """NEW, TRIGGERING, TRIGGERED, FINISHED, CANCELED, EXPIRED, REJECTED."""
    order_id: str = field(name="ai", default="")
    """The order it became, "" before."""
    avg_price: Decimal = field(name="ap", default=ZERO)
    executed: Decimal = field(name="aq", default=ZERO)
    order_type: str = field(name="act", default="0")
    trigger_price: Decimal = field(name="tp", default=ZERO)
    price: Decimal = field(name="p", default=ZERO)
    stp: str = field(name="V", default="EXPIRE_MAKER")
    working_type: str = field(name="wt", default="CONTRACT_PRICE")
    price_match: str = field(name="pm", default="NONE")
    close_position: bool = field(name="cp", default=False)
    price_protect: bool = field(name="pP", default=False)
    reduce_only: bool = field(name="R", default=False)
    trigger_time: int = field(name="tt", default=0)
    good_till: int = field(name="gtd", default=0)
    reason: Text = field(name="rm", default=UNSET)
    """Why the triggered order was refused."""
    is_active: bool | UnsetType = field(name="ia", default=UNSET)


class AlgoUpdate(UserFrame, frozen=True, kw_only=True, tag="ALGO_UPDATE"):
    algo: AlgoFields = field(name="o")


class CalledPosition(Struct, frozen=True):
    """A position in danger."""

    symbol: str = field(name="s")
    position_side: str = field(name="ps")
    qty: Decimal = field(name="pa")
    margin_type: str = field(name="mt")
    """CROSSED or ISOLATED, upper case here."""
    isolated_wallet: Decimal = field(name="iw", default=ZERO)
    mark: Decimal = field(name="mp", default=ZERO)
    unrealized: Decimal = field(name="up", default=ZERO)
    maintenance: Decimal = field(name="mm", default=ZERO)


class MarginCall(Struct, frozen=True, tag_field="e", kw_only=True, tag="MARGIN_CALL"):
    """Advice that a liquidation may come; `cw` only for a cross position."""

    event_time: int = field(name="E", default=0)
    cross_wallet: Number = field(name="cw", default=UNSET)
    positions: list[CalledPosition] = field(name="p", default_factory=list)


UserEvent = (
    OrderTradeUpdate | TradeLite | AccountUpdate | AccountConfigUpdate | ListenKeyExpired | AlgoUpdate | MarginCall
)


# --------------------------------------------------------------------------- market streams


class MarketFrame(Struct, frozen=True, tag_field="e", kw_only=True):
    """A frame of a market stream."""

    event_time: int = field(name="E", default=0)
    symbol: str = field(name="s")


class BookTicker(MarketFrame, frozen=True, kw_only=True, tag="bookTicker"):
    update_id: int = field(name="u")
    time: int = field(name="T", default=0)
    bid: Decimal = field(name="b")
    bid_qty: Decimal = field(name="B", default=ZERO)
    ask: Decimal = field(name="a")
    ask_qty: Decimal = field(name="A", default=ZERO)
    pair: Text = field(name="ps", default=UNSET)
    kind: int | UnsetType = field(name="st", default=UNSET)


class MarkPriceUpdate(MarketFrame, frozen=True, kw_only=True, tag="markPriceUpdate"):
    mark: Decimal = field(name="p")
    average: Number = field(name="ap", default=UNSET)
    index: Decimal = field(name="i", default=ZERO)
    settle: Decimal = field(name="P", default=ZERO)
    rate: Text = field(name="r", default=UNSET)
    """Funding rate, "" where there is none."""
    next_funding: int = field(name="T", default=0)
    kind: int | UnsetType = field(name="st", default=UNSET)


class AggTrade(MarketFrame, frozen=True, kw_only=True, tag="aggTrade"):
    id: int = field(name="a")
    price: Decimal = field(name="p")
    qty: Decimal = field(name="q")
    first: int = field(name="f", default=0)
    last: int = field(name="l", default=0)
    time: int = field(name="T")
    buyer_maker: bool = field(name="m")


class TradeTick(MarketFrame, frozen=True, kw_only=True, tag="trade"):
    """The undocumented `<s>@trade`; only `X` = MARKET are trades."""

    time: int = field(name="T")
    id: int = field(name="t")
    price: Decimal = field(name="p")
    qty: Decimal = field(name="q")
    kind: str = field(name="X", default="MARKET")
    buyer_maker: bool = field(name="m")


class DepthUpdate(MarketFrame, frozen=True, kw_only=True, tag="depthUpdate"):
    time: int = field(name="T", default=0)
    first: int = field(name="U")
    last: int = field(name="u")
    previous: int = field(name="pu", default=0)
    bids: list[Level] = field(name="b", default_factory=list)
    asks: list[Level] = field(name="a", default_factory=list)


class KlineBar(Struct, frozen=True, kw_only=True):
    open_time: int = field(name="t")
    close_time: int = field(name="T")
    symbol: str = field(name="s")
    interval: str = field(name="i")
    first: int = field(name="f", default=0)
    last: int = field(name="L", default=0)
    open: Decimal = field(name="o")
    close: Decimal = field(name="c")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v", default=ZERO)
    trades: int = field(name="n", default=0)
    is_closed: bool = field(name="x", default=False)
    quote_volume: Decimal = field(name="q", default=ZERO)
    taker_base: Decimal = field(name="V", default=ZERO)
    taker_quote: Decimal = field(name="Q", default=ZERO)
    ignored: str = field(name="B", default="0")


class KlineUpdate(MarketFrame, frozen=True, kw_only=True, tag="kline"):
    bar: KlineBar = field(name="k")


class MiniTicker(MarketFrame, frozen=True, kw_only=True, tag="24hrMiniTicker"):
    close: Decimal = field(name="c")
    open: Decimal = field(name="o")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    quote_volume: Decimal = field(name="q")


class TickerUpdate(MarketFrame, frozen=True, kw_only=True, tag="24hrTicker"):
    change: Decimal = field(name="p")
    change_percent: Decimal = field(name="P")
    average: Decimal = field(name="w")
    close: Decimal = field(name="c")
    last_qty: Decimal = field(name="Q")
    open: Decimal = field(name="o")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    quote_volume: Decimal = field(name="q")
    open_time: int = field(name="O")
    close_time: int = field(name="C")
    first: int = field(name="F")
    last: int = field(name="L")
    trades: int = field(name="n")


class ContinuousBar(Struct, frozen=True, kw_only=True):
    """The candle inside continuous_kline: a kline's without its symbol."""

    open_time: int = field(name="t")
    close_time: int = field(name="T")
    interval: str = field(name="i")
    first: int = field(name="f", default=0)
    last: int = field(name="L", default=0)
    open: Decimal = field(name="o")
    close: Decimal = field(name="c")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v", default=ZERO)
    trades: int = field(name="n", default=0)
    is_closed: bool = field(name="x", default=False)
    quote_volume: Decimal = field(name="q", default=ZERO)
    taker_base: Decimal = field(name="V", default=ZERO)
    taker_quote: Decimal = field(name="Q", default=ZERO)
    ignored: str = field(name="B", default="0")


class ContinuousKline(Struct, frozen=True, tag_field="e", kw_only=True, tag="continuous_kline"):
    event_time: int = field(name="E", default=0)
    pair: str = field(name="ps")
    contract: str = field(name="ct")
    bar: ContinuousBar = field(name="k")


class ForcedOrder(Struct, frozen=True, kw_only=True):
    """A liquidation as the public sees it."""

    symbol: str = field(name="s")
    side: Side = field(name="S")
    type: str = field(name="o", default="LIMIT")
    tif: str = field(name="f", default="IOC")
    qty: Decimal = field(name="q")
    price: Decimal = field(name="p")
    avg_price: Decimal = field(name="ap", default=ZERO)
    status: str = field(name="X", default="FILLED")
    last_qty: Decimal = field(name="l", default=ZERO)
    executed: Decimal = field(name="z", default=ZERO)
    time: int = field(name="T", default=0)


class ForceOrder(Struct, frozen=True, tag_field="e", kw_only=True, tag="forceOrder"):
    event_time: int = field(name="E", default=0)
    order: ForcedOrder = field(name="o")
    pair: Text = field(name="ps", default=UNSET)
    kind: int | UnsetType = field(name="st", default=UNSET)


class ContractBracket(Struct, frozen=True, kw_only=True):
    """A leverage bracket inside contractInfo; JSON numbers."""

    number: int = field(name="bs")
    floor: Decimal = field(name="bnf")
    cap: Decimal = field(name="bnc")
    mmr: Decimal = field(name="mmr")
    cum: Decimal = field(name="cf", default=ZERO)
    least_leverage: int = field(name="mi", default=1)
    most_leverage: int = field(name="ma", default=1)


class ContractInfo(MarketFrame, frozen=True, kw_only=True, tag="contractInfo"):
    """A listing, delisting or bracket change."""

    pair: Text = field(name="ps", default=UNSET)
    contract: str = field(name="ct", default="PERPETUAL")
    delivery: int = field(name="dt", default=0)
    onboard: int = field(name="ot", default=0)
    status: str = field(name="cs", default="TRADING")
    brackets: list[ContractBracket] = field(name="bks", default_factory=list)
    kind: int | UnsetType = field(name="st", default=UNSET)


MarketEvent = (
    BookTicker | MarkPriceUpdate | AggTrade | TradeTick | DepthUpdate | KlineUpdate | MiniTicker | TickerUpdate
)
RareEvent = ContinuousKline | ForceOrder | ContractInfo
"""Of streams that the gateway does not listen to: `wire.market_event` leaves them out, the sandbox sends them."""
