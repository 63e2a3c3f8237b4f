"""Conditional orders over the wire: REST, WebSocket API and ALGO_UPDATE (binance-usdm.md §8)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sandboxes import Client, now, read, running, sign

pytestmark = pytest.mark.timeout(60)

PATH = "/fapi/v1/algoOrder"


@pytest.fixture
async def still() -> AsyncIterator[Client]:
    async with running(still=True) as (_, client):
        yield client


async def stop(client: Client, trigger: object = "60000", **more: object) -> Any:
    order = {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.010",
        "triggerPrice": trigger,
    }
    return await client.signed("POST", PATH, **(order | more))


async def test_a_stop_waits_is_read_and_is_cancelled(still: Client) -> None:
    made = await stop(still, clientAlgoId="sl-1", reduceOnly="true", workingType="MARK_PRICE")
    assert (made["algoStatus"], made["clientAlgoId"], made["triggerPrice"]) == ("NEW", "sl-1", "60000.00")
    assert made["reduceOnly"] is True and made["workingType"] == "MARK_PRICE" and made["icebergQuantity"] is None
    assert "actualOrderId" not in made
    row = await still.signed("GET", PATH, clientAlgoId="sl-1")
    assert (row["actualOrderId"], row["actualPrice"], row["algoId"]) == ("", "0.00000", made["algoId"])
    assert [each["algoId"] for each in await still.signed("GET", "/fapi/v1/openAlgoOrders")] == [made["algoId"]]
    assert await still.signed("GET", "/fapi/v1/openOrders") == []
    await still.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert len(await still.signed("GET", "/fapi/v1/openAlgoOrders", symbol="BTCUSDT")) == 1
    gone = await still.signed("DELETE", PATH, algoId=made["algoId"])
    assert gone == {"algoId": made["algoId"], "clientAlgoId": "sl-1", "code": "200", "msg": "success"}
    assert await still.refused("DELETE", PATH, algoId=made["algoId"]) == -2011
    rows = await still.signed("GET", "/fapi/v1/allAlgoOrders", symbol="BTCUSDT")
    assert [each["algoStatus"] for each in rows] == ["CANCELED"]
    await stop(still)
    assert (await still.signed("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT"))["code"] == 200
    assert await still.signed("GET", "/fapi/v1/openAlgoOrders") == []


async def test_placing_counts_on_the_order_limits_and_not_on_the_weight(still: Client) -> None:
    order = "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.01&triggerPrice=60000"
    text = f"{order}&timestamp={now()}"
    before = (await still.raw("GET", "/fapi/v1/ping"))[1]["X-MBX-USED-WEIGHT-1M"]
    _, headers, _ = await still.raw("POST", PATH, f"{text}&signature={sign(text)}")
    assert headers["X-MBX-ORDER-COUNT-10S"] == "1" and headers["X-MBX-ORDER-COUNT-1M"] == "1"
    assert headers["X-MBX-USED-WEIGHT-1M"] == before


async def test_the_whole_life_is_told(still: Client) -> None:
    await still.market("BUY")
    async with still.user() as socket:
        made = await stop(still, clientAlgoId="sl-1", closePosition="true", quantity="")
        (new,) = await read(socket, 1)
        assert new["e"] == "ALGO_UPDATE" and new["o"]["X"] == "NEW" and new["o"]["aid"] == made["algoId"]
        assert (
            new["o"] | {"caid": "sl-1", "at": "CONDITIONAL", "o": "STOP_MARKET", "cp": True, "ai": "", "tp": "60000"}
            == new["o"]
        )
        await still.reach("59990")
        told = await read(socket, 7)
        life = [(each["o"]["X"], each["o"]["ai"]) for each in told if each["e"] == "ALGO_UPDATE"]
        order_id = str(next(each["o"]["i"] for each in told if each["e"] == "ORDER_TRADE_UPDATE"))
        assert life == [("TRIGGERING", ""), ("TRIGGERED", order_id), ("FINISHED", order_id)]
        orders = [each["o"] for each in told if each["e"] == "ORDER_TRADE_UPDATE"]
        assert [each["X"] for each in orders] == ["NEW", "FILLED"] and orders[0]["c"] == "sl-1"
        assert orders[1]["L"] == "59990.00" and orders[1]["R"] is True
        finished = [each["o"] for each in told if each["e"] == "ALGO_UPDATE"][-1]
        assert (finished["aq"], finished["ap"], finished["act"]) == ("0.01000", "59990.00000", "MARKET")
    row = await still.signed("GET", PATH, clientAlgoId="sl-1")
    assert row["algoStatus"] == "FINISHED" and row["actualOrderId"] == order_id and row["triggerTime"] > 0
    assert await still.signed("GET", "/fapi/v3/positionRisk") == []


async def test_a_refused_order_tells_why(still: Client) -> None:
    async with still.user() as socket:
        await stop(still, side="BUY", triggerPrice="66000", quantity="40")
        await read(socket, 1)
        await still.reach("66000")
        triggering, rejected = await read(socket, 2)
        assert triggering["o"]["X"] == "TRIGGERING" and rejected["o"]["X"] == "REJECTED"
        assert rejected["o"]["rm"] == "Margin is insufficient."


async def test_a_trailing_stop_is_new_twice(still: Client) -> None:
    async with still.user() as socket:
        made = await stop(still, type="TRAILING_STOP_MARKET", triggerPrice="", activatePrice="66000", callbackRate="1")
        assert (made["activatePrice"], made["callbackRate"]) == ("66000.00", "1")
        await still.reach("66000")
        await still.reach("67000")
        await still.reach("66330")
        told = [each["o"] for each in await read(socket, 8) if each["e"] == "ALGO_UPDATE"]
        assert [(each["X"], each["ia"]) for each in told[:3]] == [("NEW", False), ("NEW", True), ("TRIGGERING", True)]


async def test_the_mark_sets_off_who_watches_the_mark(still: Client) -> None:
    by_last = await stop(still)
    by_mark = await stop(still, workingType="MARK_PRICE")
    await still.post("/sandbox/market", mark={"symbol": "BTCUSDT", "price": "59999"})
    found = {each["algoId"]: each["algoStatus"] for each in (await still.books())["algos"]}
    assert found == {by_last["algoId"]: "NEW", by_mark["algoId"]: "FINISHED"}


async def test_the_websocket_api_places_and_cancels(still: Client) -> None:
    async with still.http.ws_connect(still.ws + "/ws-fapi/v1") as socket:

        async def ask(method: str, **params: object) -> Any:
            fields = {"apiKey": still.key, "timestamp": now(), **params}
            text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
            await socket.send_json({"id": method, "method": method, "params": fields | {"signature": sign(text)}})
            return json.loads(await socket.receive_str())

        made = await ask(
            "algoOrder.place",
            algoType="CONDITIONAL",
            symbol="BTCUSDT",
            side="BUY",
            type="TAKE_PROFIT",
            quantity="0.010",
            price="60000",
            triggerPrice="61000",
        )
        assert made["status"] == 200 and made["result"]["orderType"] == "TAKE_PROFIT"
        assert [limit["rateLimitType"] for limit in made["rateLimits"]] == ["REQUEST_WEIGHT", "ORDERS", "ORDERS"]
        gone = await ask("algoOrder.cancel", algoId=made["result"]["algoId"])
        assert gone["result"]["code"] == "200"
        again = await ask("algoOrder.cancel", algoId=made["result"]["algoId"])
        assert (again["status"], again["error"]["code"]) == (400, -2011)


async def test_waiting_orders_survive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(still=True, state=state) as (_, client):
        made = await stop(client, clientAlgoId="sl-1")
        order = await client.limit("BUY", "64000")
        await client.signed(
            "PUT",
            "/fapi/v1/order",
            symbol="BTCUSDT",
            side="BUY",
            orderId=order["orderId"],
            quantity="0.02",
            price="63000",
        )
    async with running(still=True, state=state) as (_, client):
        (row,) = await client.signed("GET", "/fapi/v1/openAlgoOrders")
        assert row["algoId"] == made["algoId"]
        (change,) = await client.signed("GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT", orderId=order["orderId"])
        assert change["amendment"]["price"] == {"before": "64000", "after": "63000"}
        await client.reach("59000")
        assert (await client.signed("GET", PATH, algoId=made["algoId"]))["algoStatus"] == "FINISHED"
        assert Decimal((await client.signed("GET", "/fapi/v3/positionRisk"))[0]["positionAmt"]) == Decimal("0.01")
