"""What endangers an account, on the wire: margin, liquidation, deleveraging, halted symbols."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.sandboxes import Client, now, read, running, sign, until
from trading.sandbox.server import Opening

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def still() -> AsyncIterator[Client]:
    async with running(still=True) as (_, client):
        yield client


async def test_margin_moves_into_and_out_of_an_isolated_position(still: Client) -> None:
    await still.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    await still.market("BUY")
    async with still.user() as socket:
        answer = await still.signed("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount="100", type=1)
        assert answer == {"amount": 100.0, "code": 200, "msg": "Successfully modify position margin.", "type": 1}
        (told,) = await read(socket, 1)
        assert told["a"]["m"] == "MARGIN_TRANSFER" and told["a"]["P"][0]["iw"] == "132.5"
    (row,) = await still.signed("GET", "/fapi/v3/positionRisk")
    assert Decimal(row["isolatedWallet"]) == Decimal("132.5")
    await still.signed("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount="50", type=2)
    rows = await still.signed("GET", "/fapi/v1/positionMargin/history", symbol="BTCUSDT")
    assert [(each["type"], each["amount"], each["deltaType"]) for each in rows] == [
        (1, "100", "USER_ADJUST"),
        (2, "50", "USER_ADJUST"),
    ]
    assert len(await still.signed("GET", "/fapi/v1/positionMargin/history", symbol="BTCUSDT", type=2)) == 1


async def test_a_liquidation_is_told_to_its_account_and_to_everybody() -> None:
    async with running(still=True, accounts=(Opening("sandboxkey", "sandboxsecret", Decimal(400)),)) as (_, still):
        await still.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
        await still.limit("SELL", "66000", "0.01")
        await still.market("BUY", "0.1")
        names = ["btcusdt@forceOrder", "!forceOrder@arr"]
        async with (
            still.user() as socket,
            still.http.ws_connect(f"{still.ws}/market/stream?streams={'/'.join(names)}") as public,
        ):
            await asyncio.sleep(0.2)
            await still.reach("61300")
            call = await until(socket, "MARGIN_CALL")
            assert call["p"][0] | {"s": "BTCUSDT", "mt": "CROSSED", "ps": "BOTH", "pa": "0.100"} == call["p"][0]
            await still.reach("61000")
            told: list[Any] = []
            async with asyncio.timeout(3):
                while not any(each["e"] == "ACCOUNT_UPDATE" for each in told) or len(told) < 4:
                    told.append(json.loads(await socket.receive_str()))
            updates = [each["o"] for each in told if each["e"] == "ORDER_TRADE_UPDATE"]
            assert [(each["x"], each["X"]) for each in updates] == [
                ("EXPIRED", "EXPIRED"),
                ("NEW", "NEW"),
                ("CALCULATED", "FILLED"),
            ]
            assert updates[0]["er"] == "5"
            assert all(each["c"].startswith("autoclose-") and each["f"] == "IOC" for each in updates[1:])
            assert not any(each["e"] == "TRADE_LITE" for each in told)
            heard = {}
            async with asyncio.timeout(3):
                while len(heard) < 2:
                    frame = json.loads(await public.receive_str())
                    heard[frame["stream"]] = frame["data"]
            forced = heard["btcusdt@forceOrder"]["o"]
            assert forced | {"s": "BTCUSDT", "S": "SELL", "f": "IOC", "X": "FILLED", "z": "0.100"} == forced
            assert heard["!forceOrder@arr"]["st"] == 1 and heard["!forceOrder@arr"]["o"] == forced
        (row,) = await still.signed("GET", "/fapi/v1/forceOrders", autoCloseType="LIQUIDATION")
        assert row["status"] == "FILLED" and row["clientOrderId"].startswith("autoclose-")
        assert await still.signed("GET", "/fapi/v1/forceOrders", autoCloseType="ADL") == []
        assert await still.signed("GET", "/fapi/v3/positionRisk") == []
        assert Decimal((await still.signed("GET", "/fapi/v3/balance"))[0]["balance"]) >= 0


async def test_a_deleveraging_closes_a_position_under_its_own_name(still: Client) -> None:
    await still.market("SELL", "0.02")
    assert (await still.signed("GET", "/fapi/v1/adlQuantile"))[0]["adlQuantile"]["BOTH"] == 1
    async with still.user() as socket:
        await still.post("/sandbox/market", adl={"account": still.key, "symbol": "BTCUSDT", "qty": "0.005"})
        told = [each["o"] for each in await read(socket, 3) if each["e"] == "ORDER_TRADE_UPDATE"]
        assert [(each["c"], each["x"]) for each in told] == [("adl_autoclose", "NEW"), ("adl_autoclose", "CALCULATED")]
    (row,) = await still.signed("GET", "/fapi/v1/forceOrders", autoCloseType="ADL")
    assert (row["side"], row["executedQty"]) == ("BUY", "0.005")
    (left,) = await still.signed("GET", "/fapi/v3/positionRisk")
    assert left["positionAmt"] == "-0.015"


async def test_positions_queue_for_deleveraging_by_profit_and_leverage() -> None:
    openings = tuple(Opening(f"key{n}", f"secret{n}") for n in range(4))
    async with running(still=True, accounts=openings) as (sandbox, client):
        clients = [Client(client.http, sandbox.port, each.key, each.secret) for each in openings]
        for number, each in enumerate(clients):
            await each.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=(number + 1) * 5)
            await each.market("BUY")
        await client.reach("66000")
        ranks = [(await each.signed("GET", "/fapi/v1/adlQuantile", symbol="BTCUSDT"))[0] for each in clients]
        assert [each["adlQuantile"]["BOTH"] for each in ranks] == [1, 2, 3, 4]
        assert [(await each.signed("GET", "/fapi/v3/positionRisk"))[0]["adl"] for each in clients] == [1, 2, 3, 4]


async def test_a_halted_symbol_is_told_and_cancelling_still_works(still: Client) -> None:
    order = await still.limit("BUY", "64000")
    async with still.http.ws_connect(f"{still.ws}/market/ws/!contractInfo") as socket:
        await asyncio.sleep(0.05)
        await still.post("/sandbox/market", halt={"symbol": "BTCUSDT", "status": "SETTLING"})
        (told,) = await read(socket, 1)
        assert (told["e"], told["s"], told["cs"]) == ("contractInfo", "BTCUSDT", "SETTLING")
        assert told["bks"][0] | {"bs": 1, "bnf": 0, "mmr": 0.004, "ma": 125} == told["bks"][0]
    info = await still.get("/fapi/v1/exchangeInfo")
    assert info["symbols"][0]["status"] == "SETTLING"
    gone = await still.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    assert gone["status"] == "CANCELED"
    await still.post("/sandbox/market", halt={"symbol": "BTCUSDT", "status": "TRADING"})
    await still.limit("BUY", "64000")


async def test_the_trading_rules_are_counted(still: Client) -> None:
    order = await still.limit("BUY", "64000", timeInForce="GTC")
    await still.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    await still.market("BUY")
    told = (await still.signed("GET", "/fapi/v1/apiTradingStatus", symbol="BTCUSDT"))["indicators"]["BTCUSDT"]
    assert {each["indicator"]: each["value"] for each in told} == {"UFR": 0.5, "IFER": 0, "GCR": 0.5, "DR": 0}
    assert not any(each["isLocked"] for each in told)


async def test_amendments_are_remembered_newest_first(still: Client) -> None:
    order = await still.limit("BUY", "64000")
    for number, price in enumerate(["64100", "64200"]):
        await still.signed(
            "PUT",
            "/fapi/v1/order",
            symbol="BTCUSDT",
            side="BUY",
            orderId=order["orderId"],
            quantity="0.010",
            price=price,
            modifyId=number,
        )
    rows = await still.signed("GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT", orderId=order["orderId"])
    assert [row["amendment"]["price"] for row in rows] == [
        {"before": "64100", "after": "64200"},
        {"before": "64000", "after": "64100"},
    ]
    assert rows[0]["amendment"] | {"count": 2, "modifyId": 1} == rows[0]["amendment"]


async def test_a_test_order_is_checked_in_full_and_leaves_nothing(still: Client) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "timeInForce": "GTX"}
    answer = await still.signed("POST", "/fapi/v1/order/test", **order, price="64000", newClientOrderId="t-1")
    assert (answer["orderId"], answer["clientOrderId"], answer["status"]) == (0, "t-1", "NEW")
    assert (answer["price"], answer["avgPrice"], answer["cumQuote"]) == ("64000.00", "0.00000", "0.00000")
    assert await still.refused("POST", "/fapi/v1/order/test", **order, price="65001") == -5022
    books = await still.books()
    assert books["orders"] == []


async def test_histories_forget_orders_without_a_fill_after_three_days_and_all_after_three_months(
    still: Client,
) -> None:
    async def at(days: int, path: str, **params: object) -> Any:
        """What a read answers when the clock is so many days on: rows, or a code."""
        skew = days * 86_400_000 + 60_000
        await still.post("/sandbox/faults", skew=skew)
        text = urlencode({"symbol": "BTCUSDT", **params, "timestamp": now() + skew})
        status, _, answer = await still.raw("GET", f"/fapi/v1/{path}", f"{text}&signature={sign(text)}")
        await still.post("/sandbox/faults", skew=0)
        return answer if status == 200 else answer["code"]

    resting, gone = [(await still.limit("BUY", "64000"))["orderId"] for _ in range(2)]
    change = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "63000"}
    for number in (resting, gone):
        await still.signed("PUT", "/fapi/v1/order", **change, orderId=number)
    await still.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=gone)
    filled = (await still.market("BUY"))["orderId"]
    for days, known in ((2, [resting, gone, filled]), (4, [resting, filled]), (91, [resting])):
        rows = await at(days, "allOrders", orderId=1)
        assert [row["orderId"] for row in rows] == known, days
        for number in (resting, gone, filled):
            found = await at(days, "order", orderId=number)
            assert (found if found == -2013 else found["orderId"]) == (number if number in known else -2013)
        changes = await at(days, "orderAmendment", orderId=gone)
        assert (changes if changes == -2013 else len(changes)) == (1 if gone in known else -2013)
        reach = days < 91
        assert len(await at(days, "orderAmendment", orderId=resting)) == reach
        assert len(await at(days, "userTrades", fromId=0)) == len(await at(days, "userTrades", orderId=filled)) == reach
        assert len(await at(days, "income", startTime=1)) == reach


async def test_the_switch_for_fees_in_bnb_is_kept(still: Client) -> None:
    assert await still.signed("GET", "/fapi/v1/feeBurn") == {"feeBurn": False}
    assert (await still.signed("POST", "/fapi/v1/feeBurn", feeBurn="true"))["code"] == 200
    assert await still.signed("GET", "/fapi/v1/feeBurn") == {"feeBurn": True}
    assert await still.refused("POST", "/fapi/v1/feeBurn") == -1102


async def test_the_rare_market_endpoints_answer_in_their_shapes(still: Client) -> None:
    for asked in ({}, {"limit": 1000}):
        assert (await still.get("/fapi/v1/rpiDepth", symbol="BTCUSDT", **asked))["bids"]
    status, _, answer = await still.raw("GET", "/fapi/v1/rpiDepth", "symbol=BTCUSDT&limit=500", key=False)
    assert (status, answer["code"], answer["msg"]) == (400, -4021, "500 is not valid depth limit")
    rows = await still.get("/fapi/v1/premiumIndexKlines", symbol="BTCUSDT", interval="1m", limit=2)
    assert rows and rows[0][1:5] == ["0.00000000"] * 4
    assert (await still.get("/fapi/v1/symbolAdlRisk", symbol="BTCUSDT"))["adlRisk"] == "low"
    assert len(await still.get("/fapi/v1/symbolAdlRisk")) == 3
    assert (await still.get("/fapi/v1/assetIndex"))[0]["symbol"] == "USDTUSD"
    assert (await still.get("/fapi/v1/insuranceBalance"))["assets"][0]["asset"] == "USDT"
    assert (await still.get("/fapi/v1/constituents", symbol="BTCUSDT"))["constituents"][0]["weight"] == "1.00000000"
    assert await still.get("/futures/data/openInterestHist", symbol="BTCUSDT", period="5m") == []
    assert await still.get("/fapi/v1/indexInfo") == []


async def test_a_dead_mans_switch_is_pushed_on_and_stopped(still: Client) -> None:
    path = "/fapi/v1/countdownCancelAll"
    await still.limit("BUY", "64000")
    sol = {"symbol": "SOLUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "price": "140", "quantity": "1"}
    await still.signed("POST", "/fapi/v1/order", **sol)
    started = now()
    for _ in range(4):
        await still.signed("POST", path, symbol="BTCUSDT", countdownTime=150)
        await asyncio.sleep(0.06)
    assert now() - started > 150 and len(await still.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")) == 1
    await still.signed("POST", path, symbol="BTCUSDT", countdownTime=0)
    await asyncio.sleep(0.25)
    assert len(await still.signed("GET", "/fapi/v1/openOrders")) == 2
    await still.signed("POST", path, symbol="BTCUSDT", countdownTime=20)
    await asyncio.sleep(0.15)
    assert [row["symbol"] for row in await still.signed("GET", "/fapi/v1/openOrders")] == ["SOLUSDT"]
    assert await still.refused("POST", path, symbol="BTCUSDT", countdownTime=-1) == -1102


# --------------------------------------------------------------------------- faults


async def test_the_day_ends_for_every_socket() -> None:
    async with running(still=True, day=0.3) as (_, client):
        sockets = [
            await client.http.ws_connect(client.ws + path)
            for path in ("/ws-fapi/v1", "/public/ws/btcusdt@bookTicker", "/market/stream")
        ]
        for socket in sockets:
            async with asyncio.timeout(3):
                while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1001


async def test_sockets_are_closed_politely_on_demand(still: Client) -> None:
    async with still.user() as socket:
        await still.post("/sandbox/faults", close=["user"])
        async with asyncio.timeout(3):
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_event_types_are_mixed_but_each_keeps_its_order(still: Client) -> None:
    await still.post("/sandbox/faults", reorder=50)
    async with still.user() as socket:
        for _ in range(12):
            await still.market("BUY", "0.001")
        told = await read(socket, 48)
        for name in ("TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"):
            times = [each["T"] for each in told if each["e"] == name]
            assert times == sorted(times)
        fills = [each["o"]["t"] for each in told if each["e"] == "ORDER_TRADE_UPDATE" and each["o"]["x"] == "TRADE"]
        assert fills == sorted(fills) and len(fills) == 12
        seen: dict[int, list[str]] = {}
        for each in told:
            trade = each["t"] if each["e"] == "TRADE_LITE" else each["o"]["t"] if "o" in each else 0
            if trade:
                seen.setdefault(trade, []).append(each["e"])
        assert any(order[0] == "ORDER_TRADE_UPDATE" for order in seen.values())


async def test_one_type_of_event_may_lag(still: Client) -> None:
    await still.post("/sandbox/faults", lag_of={"ORDER_TRADE_UPDATE": 150})
    async with still.user() as socket:
        await still.market("BUY", "0.001")
        told = [each["e"] for each in await read(socket, 4)]
        assert told == ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE"]


async def test_a_lost_depth_event_breaks_the_chain(still: Client) -> None:
    async with still.http.ws_connect(f"{still.ws}/public/ws/btcusdt@depth@100ms") as socket:
        await asyncio.sleep(0.15)
        await still.limit("BUY", "64000")
        (first,) = await read(socket, 1)
        await still.post("/sandbox/faults", skip_depth=1)
        await still.limit("BUY", "63000")
        await asyncio.sleep(0.25)
        await still.limit("BUY", "62000")
        (after,) = await read(socket, 1)
        assert after["pu"] > first["u"]
        assert [level[0] for level in after["b"]] == ["62000.00"]


async def test_the_clock_runs_ahead_and_behind(still: Client) -> None:
    await still.post("/sandbox/faults", skew=60_000)
    assert (await still.get("/fapi/v1/time"))["serverTime"] - now() > 55_000
    assert await still.refused("GET", "/fapi/v3/balance") == -1021
    await still.post("/sandbox/faults", clear=True)
    assert (await still.signed("GET", "/fapi/v3/balance"))[0]["asset"] == "USDT"


async def test_maintenance_answers_nothing_but_503(still: Client) -> None:
    await still.post("/sandbox/faults", maintenance=True)
    for method, path in (("GET", "/fapi/v1/exchangeInfo"), ("POST", "/fapi/v1/order"), ("POST", "/fapi/v1/listenKey")):
        assert (await still.raw(method, path))[0] == 503
    await still.post("/sandbox/faults", maintenance=False)
    assert (await still.raw("GET", "/fapi/v1/ping"))[0] == 200
