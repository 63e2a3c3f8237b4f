"""Every path and method the exchange knows, with its weight, its security and what it does."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from trading.sandbox import accounts, algos, history, orders, quotes, risk
from trading.sandbox.exchange import Caller, Exchange
from trading.sandbox.fields import Fields

Op = Callable[[Exchange, Caller, Fields], object]
"""Answers with bytes (encoded already) or something to encode."""


class Security(Enum):
    NONE = "none"
    KEY = "key"
    """The API key alone."""
    SIGNED = "signed"


class Route(Struct, frozen=True):
    """One thing the exchange does on request."""

    op: Op
    weight: int | Callable[[Fields], int] = 1
    security: Security = Security.NONE
    orders: tuple[int, int] | None = None
    """What it counts on the 10 second and 1 minute order limits."""
    is_funding: bool = False
    """Counts on the pool of the funding endpoints."""
    needs: Callable[[Fields], None] | None = None
    """Refuses a request in which something is missing."""
    acts: bool = False
    """A signed request that is no GET: the tape settles after it, faults strike it."""

    def cost(self, fields: Fields) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(fields)


def _read(op: Op, weight: int | Callable[[Fields], int]) -> Route:
    return Route(op, weight, Security.SIGNED)


def _act(
    op: Op,
    weight: int = 1,
    counted: tuple[int, int] | None = None,
    needs: Callable[[Fields], None] | None = None,
) -> Route:
    return Route(op, weight, Security.SIGNED, counted, needs=needs, acts=True)


def _one(single: int, every: int) -> Callable[[Fields], int]:
    """The weight with and without a symbol."""
    return lambda fields: single if fields.get("symbol") else every


_PUBLIC: dict[str, Route] = {
    "/fapi/v1/ping": Route(quotes.ping),
    "/fapi/v1/time": Route(quotes.server_time),
    "/api/v3/ping": Route(quotes.ping),
    "/api/v3/time": Route(quotes.server_time),
    "/fapi/v1/exchangeInfo": Route(quotes.exchange_info),
    "/fapi/v1/depth": Route(quotes.depth, quotes.depth_weight),
    "/fapi/v1/trades": Route(quotes.trades, 5),
    "/fapi/v1/historicalTrades": Route(quotes.old_trades, 200, Security.KEY),
    "/fapi/v1/aggTrades": Route(quotes.agg_trades, 20),
    "/fapi/v1/klines": Route(quotes.klines, quotes.kline_weight),
    "/fapi/v1/continuousKlines": Route(quotes.continuous_klines, quotes.kline_weight),
    "/fapi/v1/indexPriceKlines": Route(quotes.index_klines, quotes.kline_weight),
    "/fapi/v1/markPriceKlines": Route(quotes.klines, quotes.kline_weight),
    "/fapi/v1/premiumIndex": Route(quotes.premium_index, _one(1, 10)),
    "/fapi/v1/fundingRate": Route(quotes.funding_rates, 0, is_funding=True),
    "/fapi/v1/fundingInfo": Route(quotes.funding_info, 0, is_funding=True),
    "/fapi/v1/ticker/24hr": Route(quotes.day_ticker, _one(1, 40)),
    "/fapi/v1/ticker/price": Route(quotes.price_ticker, _one(1, 2)),
    "/fapi/v2/ticker/price": Route(quotes.price_ticker, _one(1, 2)),
    "/fapi/v1/ticker/bookTicker": Route(quotes.book_ticker, _one(2, 5)),
    "/fapi/v1/openInterest": Route(quotes.open_interest),
    "/fapi/v1/rpiDepth": Route(quotes.rpi_depth, 20),
    "/fapi/v1/premiumIndexKlines": Route(quotes.premium_klines, quotes.kline_weight),
    "/fapi/v1/symbolAdlRisk": Route(risk.adl_risk),
    "/fapi/v1/assetIndex": Route(quotes.asset_index, _one(1, 10)),
    "/fapi/v1/insuranceBalance": Route(risk.insurance),
    "/fapi/v1/indexInfo": Route(quotes.none, _one(1, 10)),
    "/fapi/v1/constituents": Route(quotes.constituents, 2),
}

_STATISTICS = (
    "openInterestHist",
    "topLongShortPositionRatio",
    "topLongShortAccountRatio",
    "globalLongShortAccountRatio",
    "takerlongshortRatio",
    "basis",
    "delivery-price",
)
"""Under /futures/data/: a sandbox has no crowd to count, the lists are empty."""

_SIGNED_GETS: dict[str, Route] = {
    "/fapi/v1/order": _read(history.query, 1),
    "/fapi/v1/openOrder": _read(history.query_open, 1),
    "/fapi/v1/openOrders": _read(history.open_orders, _one(1, 40)),
    "/fapi/v1/allOrders": _read(history.all_orders, 5),
    "/fapi/v1/userTrades": _read(history.user_trades, 5),
    "/fapi/v1/orderAmendment": _read(history.amendments, 1),
    "/fapi/v1/forceOrders": _read(history.force_orders, _one(20, 50)),
    "/fapi/v1/algoOrder": _read(algos.query, 1),
    "/fapi/v1/openAlgoOrders": _read(algos.open_orders, _one(1, 40)),
    "/fapi/v1/allAlgoOrders": _read(algos.all_orders, 5),
    "/fapi/v2/account": _read(accounts.account_old, 5),
    "/fapi/v3/account": _read(accounts.account_new, 5),
    "/fapi/v2/balance": _read(accounts.balance, 5),
    "/fapi/v3/balance": _read(accounts.balance, 5),
    "/fapi/v2/positionRisk": _read(accounts.risk_old, 5),
    "/fapi/v3/positionRisk": _read(accounts.risk_new, 5),
    "/fapi/v1/accountConfig": _read(accounts.account_config, 5),
    "/fapi/v1/symbolConfig": _read(accounts.symbol_config, 5),
    "/fapi/v1/positionSide/dual": _read(accounts.position_mode, 30),
    "/fapi/v1/multiAssetsMargin": _read(accounts.asset_mode, 30),
    "/fapi/v1/positionMargin/history": _read(risk.margin_history, 1),
    "/fapi/v1/leverageBracket": _read(accounts.brackets, 1),
    "/fapi/v1/commissionRate": _read(accounts.commission, 20),
    "/fapi/v1/income": _read(accounts.income, 30),
    "/fapi/v1/feeBurn": _read(risk.fee_burn, 30),
    "/fapi/v1/adlQuantile": _read(risk.adl_quantile, 5),
    "/fapi/v1/rateLimit/order": _read(accounts.order_limits, 1),
    "/fapi/v1/apiTradingStatus": _read(risk.trading_status, _one(1, 10)),
}

REST: dict[tuple[str, str], Route] = {
    **{("GET", path): route for path, route in (_PUBLIC | _SIGNED_GETS).items()},
    **{("GET", f"/futures/data/{name}"): Route(quotes.none, 0) for name in _STATISTICS},
    ("POST", "/fapi/v1/order"): _act(orders.place, 0, (1, 1), orders.sent_order),
    ("PUT", "/fapi/v1/order"): _act(orders.modify, 0, (1, 1), orders.sent_change),
    ("DELETE", "/fapi/v1/order"): _act(orders.cancel, needs=orders.sent_name),
    ("POST", "/fapi/v1/order/test"): _act(orders.test, needs=orders.sent_order),
    ("POST", "/fapi/v1/batchOrders"): _act(orders.place_batch, 5, (5, 1)),
    ("PUT", "/fapi/v1/batchOrders"): _act(orders.modify_batch, 5, (5, 1)),
    ("DELETE", "/fapi/v1/batchOrders"): _act(orders.cancel_batch),
    ("DELETE", "/fapi/v1/allOpenOrders"): _act(orders.cancel_all),
    ("POST", "/fapi/v1/countdownCancelAll"): _act(orders.countdown, 10),
    ("POST", "/fapi/v1/algoOrder"): _act(algos.place, 0, (1, 1)),
    ("DELETE", "/fapi/v1/algoOrder"): _act(algos.cancel),
    ("DELETE", "/fapi/v1/algoOpenOrders"): _act(algos.cancel_all),
    ("POST", "/fapi/v1/leverage"): _act(accounts.set_leverage),
    ("POST", "/fapi/v1/marginType"): _act(accounts.set_margin_type),
    ("POST", "/fapi/v1/positionMargin"): _act(risk.move_margin),
    ("POST", "/fapi/v1/feeBurn"): _act(risk.set_fee_burn),
    ("POST", "/fapi/v1/positionSide/dual"): _act(accounts.set_position_mode),
    ("POST", "/fapi/v1/multiAssetsMargin"): _act(accounts.set_asset_mode),
    ("POST", "/fapi/v1/listenKey"): Route(accounts.open_listen_key, 1, Security.KEY),
    ("PUT", "/fapi/v1/listenKey"): Route(accounts.extend_listen_key, 1, Security.KEY),
    ("DELETE", "/fapi/v1/listenKey"): Route(accounts.close_listen_key, 1, Security.KEY),
}

SOCKET: dict[str, Route] = {
    "order.place": _act(orders.place, 0, (1, 1), orders.sent_order),
    "order.modify": _act(orders.modify, 0, (1, 1), orders.sent_change),
    "order.cancel": _act(orders.cancel, needs=orders.sent_name),
    "order.status": _read(history.query, 1),
    "algoOrder.place": _act(algos.place, 0, (1, 1)),
    "algoOrder.cancel": _act(algos.cancel),
    "account.balance": _read(accounts.balance, 5),
    "v2/account.balance": _read(accounts.balance, 5),
    "account.status": _read(accounts.account_old, 5),
    "v2/account.status": _read(accounts.account_new, 5),
    "account.position": _read(accounts.risk_old, 5),
    "v2/account.position": _read(accounts.risk_new, 5),
    "depth": Route(quotes.depth, quotes.depth_weight),
    "ticker.price": Route(quotes.price_ticker, _one(1, 2)),
    "ticker.book": Route(quotes.book_ticker, _one(2, 5)),
    "userDataStream.start": Route(accounts.open_listen_key, 1, Security.KEY),
    "userDataStream.ping": Route(accounts.extend_listen_key, 1, Security.KEY),
    "userDataStream.stop": Route(accounts.close_listen_key, 1, Security.KEY),
}

RETIRED = {
    "/fapi/v1/account": "/fapi/v2/account",
    "/fapi/v1/balance": "/fapi/v2/balance",
    "/fapi/v1/positionRisk": "/fapi/v2/positionRisk",
}
