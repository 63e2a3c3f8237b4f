"""Nonsense sent to every door of the sandbox: refused by a code, never a crash, and the sockets live on."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_sandbox import frame
from tests.integration.test_sandbox_recorded import SYMBOL, written
from tests.sandboxes import KEY, now, running, sign
from trading.sandbox.routes import REST, SOCKET

pytestmark = pytest.mark.timeout(120)

NAMES = (
    "symbol", "side", "type", "quantity", "price", "timeInForce", "orderId", "origClientOrderId", "newClientOrderId",
    "limit", "startTime", "endTime", "fromId", "interval", "pair", "leverage", "marginType", "dualSidePosition",
    "algoType", "triggerPrice", "callbackRate", "activatePrice", "closePosition", "reduceOnly", "positionSide",
    "countdownTime", "batchOrders", "orderIdList", "amount", "incomeType", "goodTillDate", "priceMatch", "recvWindow",
    "workingType", "clientAlgoId", "algoId", "feeBurn", "multiAssetsMargin", "selfTradePreventionMode", "modifyId",
    "autoCloseType", "newOrderRespType", "contractType",
)  # fmt: skip
VALUES = (
    "", "BTCUSDT", "btcusdt", "ETHUSDT", "BUY", "SELL", "LIMIT", "MARKET", "STOP_MARKET", "TRAILING_STOP_MARKET", "GTX",
    "GTC", "GTD", "IOC", "FOK", "0", "-1", "1", "5", "1e9", "1E-9", "NaN", "Infinity", "9" * 40, "0.001", "0.010",
    "65000", "64000.05", "true", "False", "maybe", "[]", "[1,2]", '["a"]', '[{"symbol":"BTCUSDT"}]', '[{"symbol":[]}]',
    "{", "null", "ISOLATED", "CROSSED", "CONDITIONAL", "1m", "1s", "QUEUE", "OPPONENT_5", "\u00e4\u4f60", "x" * 50,
    "%00",     "1700000000000", "LIQUIDATION", "RESULT", "LONG", "MARK_PRICE",
)  # fmt: skip
GOOD = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.010",
    "price": "64000",
    "timeInForce": "GTX",
    "algoType": "CONDITIONAL",
    "triggerPrice": "60000",
    "interval": "1m",
    "pair": "BTCUSDT",
}


def params(chance: random.Random) -> dict[str, str]:
    """Something near a sensible request, or nothing like one."""
    chosen = dict(GOOD) if chance.random() < 0.6 else {}
    for name in chance.sample(NAMES, chance.randint(0, 4)):
        chosen[name] = chance.choice(VALUES)
    return chosen


@pytest.mark.parametrize(("seed", "sides"), [(1, ()), (2, ()), (3, ("LONG", "SHORT"))])
async def test_no_request_breaks_an_endpoint(seed: int, sides: tuple[str, ...]) -> None:
    chance = random.Random(seed)
    async with running(still=True, limits=False) as (_, client):
        if sides:
            await client.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
        for (method, path), route in REST.items():
            for _ in range(12):
                chosen = {name: value for name, value in params(chance).items() if name != "recvWindow" or value}
                chosen = {"positionSide": chance.choice(sides)} | chosen if sides else chosen
                status, _, answer = await client.full(method, path, **chosen)
                assert status < 500, (method, path, chosen, answer)
                if status != 200:
                    assert isinstance(answer["code"], int) and answer["msg"], (method, path, chosen, answer)
            assert route.weight is not None
        assert (await client.signed("GET", "/fapi/v3/balance"))[0]["asset"] == "USDT"


async def test_no_request_breaks_the_websocket_api() -> None:
    chance = random.Random(7)
    frames: list[Any] = ["", "{", "[]", "7", '"x"', "null", '{"method":7}', '{"id":[1],"method":"x"}', '{"id":1}']
    frames += ['{"id":1,"method":"order.place","params":[]}', '{"id":1,"method":"order.place","params":{"symbol":{}}}']
    async with (
        running(still=True, limits=False) as (_, client),
        client.http.ws_connect(client.ws + "/ws-fapi/v1") as ws,
    ):
        for frame in frames:
            await ws.send_str(frame)
            answer = json.loads(await ws.receive_str(timeout=3))
            assert answer["status"] in (400, 401) and isinstance(answer["error"]["code"], int), frame
        for method in SOCKET:
            for _ in range(8):
                fields: dict[str, Any] = {**params(chance), "apiKey": KEY, "timestamp": now()}
                text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
                await ws.send_json({"id": 5, "method": method, "params": fields | {"signature": sign(text)}})
                answer = json.loads(await ws.receive_str(timeout=3))
                assert answer["id"] == 5 and answer["status"] < 500, (method, fields, answer)


HUGE: list[tuple[str, dict[str, str]]] = [
    ("order.place", {"quantity": "1e30"}),
    ("order.place", {"price": "9" * 40}),
    ("order.place", {"price": "-1e20"}),
    ("algoOrder.place", {"type": "STOP_MARKET", "triggerPrice": "1e40"}),
    ("algoOrder.place", {"type": "TRAILING_STOP_MARKET", "callbackRate": "1", "activatePrice": "1e40"}),
]
PATHS = {"order.place": "/fapi/v1/order", "algoOrder.place": "/fapi/v1/algoOrder"}


async def test_numbers_beyond_all_measure_are_imprecise_at_every_door() -> None:
    async with (
        running(still=True, limits=False) as (_, client),
        client.http.ws_connect(client.ws + "/ws-fapi/v1") as ws,
    ):
        for method, change in HUGE:
            order = {name: value for name, value in (GOOD | change).items() if name not in ("interval", "pair")}
            assert await client.refused("POST", PATHS[method], **order) == -1111, change
            await ws.send_str(frame(method, **order))
            assert json.loads(await ws.receive_str(timeout=3))["error"]["code"] == -1111, change
        entries = [GOOD, GOOD | {"quantity": 1e30}, GOOD | {"price": "1e30"}, GOOD]
        answers = await client.signed("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(entries))
        assert [answer.get("code", answer.get("status")) for answer in answers] == ["NEW", -1111, -1111, "NEW"]


async def test_whole_numbers_that_no_machine_holds_are_malformed(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(still=True, state=state) as (_, client):
        order = await client.limit("BUY", "64000")
        change = {"symbol": "BTCUSDT", "orderId": order["orderId"], "side": "BUY", "quantity": "0.010"}
        assert await client.refused("PUT", "/fapi/v1/order", **change, price="63000", modifyId=10**30) == -1102
        timer = {"symbol": "BTCUSDT", "countdownTime": 10**30}
        assert await client.refused("POST", "/fapi/v1/countdownCancelAll", **timer) == -1102
    async with running(still=True, state=state) as (_, client):
        assert len(await client.signed("GET", "/fapi/v1/openOrders")) == 1


async def test_what_cannot_be_reckoned_is_an_unknown_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Rules so fine and so wide that twenty-eight digits do not hold a price in ticks."""
    fine: dict[str, Any] = json.loads(json.dumps(SYMBOL)) | {"pricePrecision": 15}
    fine["filters"][0] |= {"minPrice": "0", "maxPrice": "0", "tickSize": "0.000000000000001"}
    rules, _ = written(tmp_path, fine)
    order = {"symbol": "DOGEUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "100"}
    wild = order | {"price": "900000000000000"}
    async with running(still=True, rules=rules) as (_, client), client.http.ws_connect(client.ws + "/ws-fapi/v1") as ws:
        await client.reach("0.25", "DOGEUSDT")
        assert await client.refused("POST", "/fapi/v1/order", **wild) == -1000
        await ws.send_str(frame("order.place", 1, **wild))
        assert json.loads(await ws.receive_str(timeout=3))["error"]["code"] == -1000
        entries = [order | {"price": "0.26"}, wild, order | {"price": "0.27"}]
        answers = await client.signed("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(entries))
        assert [answer.get("code", answer.get("status")) for answer in answers] == ["NEW", -1000, "NEW"]


async def test_no_frame_breaks_a_stream() -> None:
    frames = ["", "{", "[]", "7", "null", '{"method":7}', '{"id":1}', '{"method":"SUBSCRIBE","params":[{}],"id":1}']
    frames += ['{"method":"SUBSCRIBE","params":"x","id":1}', '{"method":"SUBSCRIBE","params":["@","!","a@b@c"],"id":1}']
    frames += ['{"method":"SUBSCRIBE","params":["\\u00e4@kline_","btcusdt@depth@7ms"],"id":"\\u0000"}']
    path = "/stream?streams=btcusdt@bookTicker"
    async with running(seed=3, limits=False) as (_, client), client.http.ws_connect(client.ws + path) as socket:
        for frame in frames:
            await socket.send_str(frame)
        answers = 0
        async with asyncio.timeout(5):
            while answers < len(frames):
                answers += "stream" not in json.loads(await socket.receive_str())
        while "bookTicker" not in await socket.receive_str(timeout=3):
            pass
