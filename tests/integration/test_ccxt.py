"""ccxt and ccxt.pro trade on the sandbox with nothing changed but URLs (binance-usdm.md §17.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.foreign import heard
from trading.sandbox.server import Options, Sandbox

pytestmark = pytest.mark.timeout(90)

SYMBOL = "BTC/USDT:USDT"


def exchange_on(port: int) -> Any:
    """ccxt.pro's binanceusdm with the URLs of a local sandbox."""
    exchange = ccxt.pro.binanceusdm(
        {
            "apiKey": "sandboxkey",
            "secret": "sandboxsecret",
            "options": {"fetchCurrencies": False, "fetchMargins": False},
        }
    )
    base, socket, urls = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}", exchange.urls["api"]
    for version in ("", "V2", "V3"):
        path = f"{base}/fapi/{version.lower() or 'v1'}"
        urls[f"fapiPublic{version}"] = urls[f"fapiPrivate{version}"] = path
    urls["fapiData"] = base + "/futures/data"
    urls["ws"]["linear"] = socket + "/ws"
    urls["ws"]["ws-api"]["linear"] = socket + "/ws-fapi/v1"
    return exchange


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(Options(seed=11))
    await made.start()
    yield made
    heard.note("ccxt", made.exchange)
    await made.close()


@pytest.fixture
async def exchange(sandbox: Sandbox) -> AsyncIterator[Any]:
    made = exchange_on(sandbox.port)
    yield made
    await made.close()


async def test_ccxt_reads_markets_prices_and_balance(exchange: Any) -> None:
    markets = await exchange.load_markets()
    market = markets[SYMBOL]
    assert market["id"] == "BTCUSDT" and market["linear"] and market["swap"]
    assert market["precision"] == {"amount": 0.001, "price": 0.1, "base": 1e-08, "quote": 1e-08}
    assert market["limits"]["cost"]["min"] == 50
    ticker = await exchange.fetch_ticker(SYMBOL)
    assert 50_000 < ticker["last"] < 80_000
    book = await exchange.fetch_order_book(SYMBOL, 5)
    assert book["bids"][0][0] < book["asks"][0][0]
    candles = await exchange.fetch_ohlcv(SYMBOL, "5m", limit=10)
    assert len(candles) == 10 and len(candles[0]) == 6
    assert (await exchange.fetch_balance())["USDT"]["free"] == 10_000
    assert len(await exchange.fetch_trades(SYMBOL, limit=3)) > 0
    assert (await exchange.fetch_funding_rate(SYMBOL))["symbol"] == SYMBOL


async def test_ccxt_sets_leverage_and_margin_mode(exchange: Any) -> None:
    await exchange.load_markets()
    answer = await exchange.set_leverage(5, SYMBOL)
    assert answer["leverage"] == 5 or answer["leverage"] == "5"
    await exchange.set_margin_mode("isolated", SYMBOL)
    with pytest.raises(ccxt.BaseError):
        await exchange.set_margin_mode("isolated", SYMBOL)
    assert (await exchange.fetch_leverage(SYMBOL))["longLeverage"] == 5


async def test_ccxt_places_edits_and_cancels_a_post_only_order(exchange: Any) -> None:
    await exchange.load_markets()
    bid = (await exchange.fetch_order_book(SYMBOL, 5))["bids"][0][0]
    order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, bid - 500, {"postOnly": True})
    assert order["status"] == "open" and order["postOnly"]
    assert [each["id"] for each in await exchange.fetch_open_orders(SYMBOL)] == [order["id"]]
    edited = await exchange.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, bid - 600)
    assert edited["id"] == order["id"] and edited["amount"] == 0.02
    assert (await exchange.fetch_order(order["id"], SYMBOL))["price"] == pytest.approx(bid - 600)
    assert (await exchange.cancel_order(order["id"], SYMBOL))["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(order["id"], SYMBOL)
    with pytest.raises(ccxt.InvalidOrder):
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, bid + 1000, {"postOnly": True})
    many = await exchange.create_orders(
        [
            {
                "symbol": SYMBOL,
                "type": "limit",
                "side": "buy",
                "amount": 0.01,
                "price": bid - gap,
                "params": {"postOnly": True},
            }
            for gap in (700, 800, 900)
        ]
    )
    await exchange.cancel_orders([many[0]["id"]], SYMBOL)
    assert len(await exchange.fetch_open_orders(SYMBOL)) == 2
    await exchange.cancel_all_orders(SYMBOL)
    assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_ccxt_opens_and_closes_a_position(exchange: Any) -> None:
    await exchange.load_markets()
    order = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    assert order["status"] == "closed" and order["filled"] == 0.01
    (position,) = await exchange.fetch_positions([SYMBOL])
    assert position["side"] == "long" and position["contracts"] == 0.01
    await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
    assert await exchange.fetch_positions([SYMBOL]) == []
    with pytest.raises(ccxt.BaseError):
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
    trades = await exchange.fetch_my_trades(SYMBOL)
    assert [trade["side"] for trade in trades] == ["buy", "sell"] and trades[0]["fee"]["currency"] == "USDT"


async def test_ccxt_pro_hears_its_orders_and_trades_over_the_websocket_api(exchange: Any) -> None:
    await exchange.load_markets()
    bid = (await exchange.watch_order_book(SYMBOL))["bids"][0][0]
    heard: list[tuple[str, str, float]] = []

    async def listen() -> None:
        while True:
            heard.extend((each["id"], each["status"], each["amount"]) for each in await exchange.watch_orders(SYMBOL))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        listening = group.create_task(listen())
        while not any("listenKey" in url for url in exchange.clients):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        order = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, bid - 500, {"postOnly": True})
        edited = await exchange.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, bid - 600)
        assert edited["id"] == order["id"]
        await exchange.cancel_order_ws(order["id"], SYMBOL)
        wanted = [(order["id"], "open", 0.01), (order["id"], "open", 0.02), (order["id"], "canceled", 0.02)]
        while heard[-1:] != wanted[-1:]:
            await asyncio.sleep(0.02)
        assert [told for told in wanted if told in heard] == wanted
        mine = asyncio.create_task(exchange.watch_my_trades(SYMBOL))
        await asyncio.sleep(0.1)
        await exchange.create_order_ws(SYMBOL, "market", "buy", 0.01)
        assert (await mine)[0]["amount"] == 0.01
        with pytest.raises(ccxt.BaseError):
            await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, bid + 1000, {"postOnly": True})
        listening.cancel()


async def test_ccxt_pro_watches_the_market(exchange: Any) -> None:
    await exchange.load_markets()
    async with asyncio.timeout(30):
        assert len(await exchange.watch_trades(SYMBOL)) > 0
        assert (await exchange.watch_bids_asks([SYMBOL]))[SYMBOL]["bid"] > 0
        assert (await exchange.watch_ticker(SYMBOL))["last"] > 0
        assert (await exchange.watch_mark_price(SYMBOL))["markPrice"] > 0
        assert len(await exchange.watch_ohlcv(SYMBOL, "1m")) > 0
        book = await exchange.watch_order_book(SYMBOL)
        for _ in range(10):
            book = await exchange.watch_order_book(SYMBOL)
            assert book["bids"][0][0] < book["asks"][0][0]


async def test_ccxt_places_conditional_orders(exchange: Any) -> None:
    await exchange.load_markets()
    last = (await exchange.fetch_ticker(SYMBOL))["last"]
    made = await exchange.create_order(
        SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": round(last - 5000, 1), "reduceOnly": True}
    )
    assert made["status"] == "open" and made["triggerPrice"] == pytest.approx(last - 5000, abs=0.2)
    opened = await exchange.fetch_open_orders(SYMBOL, params={"trigger": True})
    assert [each["id"] for each in opened] == [made["id"]]
    await exchange.cancel_order(made["id"], SYMBOL, {"trigger": True})
    assert await exchange.fetch_open_orders(SYMBOL, params={"trigger": True}) == []
    trailing = await exchange.create_order(
        SYMBOL, "market", "buy", 0.01, None, {"trailingPercent": 2, "trailingTriggerPrice": round(last - 3000, 1)}
    )
    assert trailing["status"] == "open"
    await exchange.cancel_all_orders(SYMBOL, {"trigger": True})


async def test_ccxt_reads_the_account_in_every_way(exchange: Any) -> None:
    await exchange.load_markets()
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    assert (await exchange.fetch_account_positions([SYMBOL]))[0]["contracts"] == 0.01
    assert (await exchange.fetch_positions_risk([SYMBOL]))[0]["side"] == "long"
    assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is False
    with pytest.raises(ccxt.BaseError):
        await exchange.set_position_mode(False, SYMBOL)
    assert SYMBOL in await exchange.fetch_leverage_tiers([SYMBOL])
    assert (await exchange.fetch_trading_fee(SYMBOL))["maker"] == 0.0002
    assert {row["type"] for row in await exchange.fetch_ledger("USDT")} == {"commission", "transfer"}
    assert len(await exchange.fetch_orders(SYMBOL)) == 1
    assert await exchange.fetch_my_liquidations(SYMBOL) == []
    with pytest.raises(ccxt.MarginModeAlreadySet):
        await exchange.set_margin_mode("cross", SYMBOL)
    assert (await exchange.fetch_open_interest(SYMBOL))["openInterestAmount"] == 0.01
    assert await exchange.fetch_funding_history(SYMBOL) == []


async def test_ccxt_trades_both_sides_of_a_hedge(exchange: Any) -> None:
    await exchange.load_markets()
    await exchange.set_position_mode(True, SYMBOL)
    assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is True
    await exchange.create_order(SYMBOL, "market", "buy", 0.02, None, {"positionSide": "LONG"})
    await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"hedged": True})
    held = {row["side"]: row["contracts"] for row in await exchange.fetch_positions([SYMBOL])}
    assert held == {"long": 0.02, "short": 0.01}
    assert {row["hedged"] for row in await exchange.fetch_positions([SYMBOL])} == {True}
    closing = await exchange.create_order(SYMBOL, "market", "sell", 0.02, None, {"hedged": True, "reduceOnly": True})
    assert closing["info"]["positionSide"] == "LONG" and closing["reduceOnly"] is True
    with pytest.raises(ccxt.BaseError, match="-2022"):
        await exchange.create_order(SYMBOL, "market", "buy", 0.02, None, {"positionSide": "SHORT"})
    (left,) = await exchange.fetch_positions([SYMBOL])
    assert (left["side"], left["contracts"]) == ("short", 0.01)


SAME = {
    -1003: ccxt.RateLimitExceeded,
    -1006: ccxt.OperationFailed,
    -1007: ccxt.RequestTimeout,
    -1015: ccxt.RateLimitExceeded,
    -1021: ccxt.InvalidNonce,
    -1022: ccxt.AuthenticationError,
    -1111: ccxt.BadRequest,
    -1121: ccxt.BadSymbol,
    -2010: ccxt.InvalidOrder,
    -2011: ccxt.OrderNotFound,
    -2013: ccxt.OrderNotFound,
    -2014: ccxt.AuthenticationError,
    -2015: ccxt.AuthenticationError,
}
"""Classes that do not depend on the host."""
LOCAL = dict.fromkeys(
    (-1008, -2018, -2019, -2021, -2022, -2025, -2027, -4116, -4120, -4131, -4164, -5025, -5027), ccxt.ExchangeError
) | dict.fromkeys((-5021, -5022, -5028), ccxt.InvalidOrder)
PRODUCTION = {
    -1008: ccxt.OperationFailed,
    -2018: ccxt.InsufficientFunds,
    -2019: ccxt.InsufficientFunds,
    -2021: ccxt.OrderImmediatelyFillable,
    -2022: ccxt.InvalidOrder,
    -2025: ccxt.OperationRejected,
    -2027: ccxt.OperationRejected,
    -4116: ccxt.InvalidOrder,
    -4120: ccxt.InvalidOrder,
    -4131: ccxt.OperationRejected,
    -4164: ccxt.InvalidOrder,
    -5025: ccxt.OperationRejected,
    -5027: ccxt.OperationRejected,
    -5021: ccxt.OrderNotFillable,
    -5022: ccxt.OrderNotFillable,
    -5028: ccxt.BadRequest,
}


async def classes(exchange: Any, codes: Any) -> dict[int, type[Exception]]:
    """What ccxt makes of each code that an order is refused with."""
    faults = exchange.urls["api"]["fapiPublic"].replace("/fapi/v1", "/sandbox/faults")
    found = {}
    for code in codes:
        await exchange.session.post(faults, json={"next": [{"kind": "refuse", "code": code, "status": 400}]})
        try:
            await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 60_000, {"postOnly": True})
        except ccxt.BaseError as error:
            found[code] = type(error)
    return found


async def test_ccxt_raises_the_classes_of_its_own_host(exchange: Any) -> None:
    await exchange.load_markets()
    wanted = SAME | LOCAL
    assert await classes(exchange, wanted) == wanted


async def test_ccxt_raises_productions_classes_where_it_is_told_so(exchange: Any) -> None:
    await exchange.load_markets()
    exchange.get_exceptions_by_url = lambda url, kind: exchange.exceptions["linear"].get(kind, {})
    wanted = SAME | PRODUCTION
    assert await classes(exchange, wanted) == wanted
