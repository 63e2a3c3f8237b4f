"""Every error code of binance-usdm.md §14: those a request can provoke, and those only a fault switch can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandboxes import Client, now, running, sign
from trading.sandbox.texts import TEXTS

pytestmark = pytest.mark.timeout(60)

ORDER = "/fapi/v1/order"
GOOD: dict[str, object] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.010",
    "price": "64000",
    "timeInForce": "GTX",
}
STOP: dict[str, object] = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.010",
    "triggerPrice": "60000",
}
CLOSE: dict[str, object] = {"quantity": "", "closePosition": "true"}
TRAILING: dict[str, object] = {"type": "TRAILING_STOP_MARKET", "triggerPrice": ""}


@pytest.fixture
async def still() -> AsyncIterator[Client]:
    async with running(still=True) as (_, client):
        yield client


PLACEMENTS: list[tuple[int, dict[str, object]]] = [
    (-1102, {"quantity": ""}),
    (-1106, {"type": "MARKET", "price": ""}),
    (-1106, {"priceMatch": "QUEUE"}),
    (-1111, {"price": "64000.001"}),
    (-1115, {"timeInForce": "X"}),
    (-1116, {"type": "MAGIC"}),
    (-1117, {"side": "HOLD"}),
    (-1121, {"symbol": "NOPEUSDT"}),
    (-1136, {"newOrderRespType": "FULL"}),
    (-2019, {"quantity": "40"}),
    (-2022, {"reduceOnly": "true"}),
    (-4001, {"price": "-1"}),
    (-4002, {"price": "4529764.1"}),
    (-4003, {"quantity": "0"}),
    (-4005, {"quantity": "2000"}),
    (-4013, {"price": "500"}),
    (-4014, {"price": "64000.05"}),
    (-4015, {"newClientOrderId": "bad id"}),
    (-4016, {"price": "90000"}),
    (-4024, {"side": "SELL", "price": "40000", "timeInForce": "GTC"}),
    (-4060, {"positionSide": "UP"}),
    (-4061, {"positionSide": "LONG"}),
    (-4120, {"type": "STOP_MARKET"}),
    (-4164, {"quantity": "0.001", "price": "40000"}),
    (-5022, {"price": "65000.1"}),
    (-5037, {"price": "", "priceMatch": "OPPONENT_20"}),
    (-5038, {"type": "MARKET", "timeInForce": "", "price": "", "priceMatch": "QUEUE"}),
    (-5039, {"selfTradePreventionMode": "MAYBE"}),
    (-5040, {"timeInForce": "GTD", "goodTillDate": "1000"}),
    (-5041, {"price": "", "priceMatch": "QUEUE_20"}),
]

ALGOS: list[tuple[int, dict[str, object]]] = [
    (-2007, TRAILING | {"callbackRate": "30"}),
    (-2021, {"triggerPrice": "66000"}),
    (-4006, {"triggerPrice": "0"}),
    (-4136, TRAILING | {"callbackRate": "1", "closePosition": "true", "quantity": ""}),
    (-4137, {"closePosition": "true"}),
    (-1106, {"closePosition": "true", "quantity": "", "reduceOnly": "false"}),
    (-4183, {"type": "STOP", "side": "BUY", "triggerPrice": "66000", "price": "70000"}),
    (-4184, {"type": "STOP", "price": "50000"}),
    (-1116, {"type": "LIMIT"}),
    (-1102, {"algoType": "VP"}),
]


@pytest.mark.parametrize(("code", "change"), PLACEMENTS)
async def test_an_order_is_refused_by_its_code(still: Client, code: int, change: dict[str, object]) -> None:
    before = len((await still.books())["orders"])
    assert await still.refused("POST", ORDER, **(GOOD | change)) == code
    assert len((await still.books())["orders"]) == before
    assert await still.refused("POST", "/fapi/v1/order/test", **(GOOD | change)) == code


@pytest.mark.parametrize(("code", "change"), ALGOS)
async def test_a_conditional_order_is_refused_by_its_code(still: Client, code: int, change: dict[str, object]) -> None:
    assert await still.refused("POST", "/fapi/v1/algoOrder", **(STOP | change)) == code
    assert (await still.books())["algos"] == []


# --------------------------------------------------------------------------- by circumstances

Recipe = Callable[[Client], Awaitable[int]]


async def too_many_requests(client: Client) -> int:
    for _ in range(700):
        status, _, answer = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", key=False)
        if status != 200:
            assert status == 429
            return int(answer["code"])
    return 0


async def too_many_orders(client: Client) -> int:
    for _ in range(400):
        status, _, answer = await client.full("POST", ORDER, **(GOOD | {"price": "65001"}))
        if answer["code"] != -5022:
            assert status == 429
            return int(answer["code"])
    return 0


async def maintenance(client: Client) -> int:
    await client.post("/sandbox/faults", maintenance=True)
    status, _, answer = await client.raw("GET", "/fapi/v1/time")
    assert status == 503
    return int(answer["code"])


async def late_in_the_engine(client: Client) -> int:
    await client.post("/sandbox/faults", delay=80)
    return await client.refused("POST", ORDER, **GOOD, recvWindow=50)


async def clock(client: Client) -> int:
    await client.post("/sandbox/faults", skew=-5000)
    return await client.refused("GET", "/fapi/v3/balance")


async def unsigned(client: Client) -> int:
    stamp = f"timestamp={now()}"
    _, _, answer = await client.raw("GET", "/fapi/v3/balance", f"{stamp}&signature={sign(stamp, 'other')}")
    return int(answer["code"])


async def keyless(client: Client) -> int:
    return int((await client.raw("GET", "/fapi/v3/balance", f"timestamp={now()}", key=False))[2]["code"])


async def stranger(client: Client) -> int:
    return await Client(client.http, int(client.base.rsplit(":", 1)[1]), "nobody", "x").refused(
        "GET", "/fapi/v3/balance"
    )


async def get(client: Client, path: str, **params: object) -> int:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return int((await client.raw("GET", path, query))[2]["code"])


async def hedged(client: Client, path: str, order: dict[str, object]) -> int:
    await client.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    return await client.refused("POST", path, **order)


async def full_book(client: Client) -> int:
    await client.signed("POST", "/fapi/v1/leverage", symbol="SOLUSDT", leverage=50)
    for _ in range(201):
        status, _, answer = await client.full(
            "POST", ORDER, **(GOOD | {"symbol": "SOLUSDT", "price": "140", "quantity": "0.1"})
        )
        if status != 200:
            return int(answer["code"])
    return 0


async def stops(client: Client) -> int:
    for _ in range(201):
        status, _, answer = await client.full("POST", "/fapi/v1/algoOrder", **STOP)
        if status != 200:
            return int(answer["code"])
    return 0


async def twice(client: Client) -> int:
    await client.limit("BUY", "64000", newClientOrderId="twin")
    return await client.refused("POST", ORDER, **GOOD, newClientOrderId="twin")


async def changed(client: Client, **change: object) -> int:
    order = await client.limit("BUY", "64000")
    fields = {"orderId": order["orderId"], "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "64000"}
    return await client.refused("PUT", ORDER, **(fields | change))


async def halted(client: Client, method: str) -> int:
    order = await client.limit("BUY", "64000")
    await client.post("/sandbox/market", halt={"symbol": "BTCUSDT", "status": "SETTLING"})
    if method == "POST":
        return await client.refused("POST", ORDER, **GOOD)
    return await client.refused(
        "PUT", ORDER, symbol="BTCUSDT", side="BUY", orderId=order["orderId"], quantity="0.01", price="63000"
    )


async def isolated(client: Client) -> None:
    await client.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    await client.market("BUY")


async def margin(client: Client, amount: str, way: int = 1, first: bool = True) -> int:
    if first:
        await isolated(client)
    return await client.refused("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount=amount, type=way)


async def flat_margin(client: Client) -> int:
    await client.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    return await margin(client, "1", first=False)


async def less_leverage(client: Client) -> int:
    await isolated(client)
    return await client.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)


async def poor_leverage(client: Client) -> int:
    await client.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=50)
    await client.limit("BUY", "64000", "5")
    return await client.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)


async def too_large_for_leverage(client: Client) -> int:
    await client.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
    await client.limit("BUY", "64000", "10")
    return await client.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=125)


async def margin_type(client: Client, wanted: str, holding: str = "") -> int:
    if holding == "order":
        await client.limit("BUY", "64000")
    elif holding:
        await client.market("BUY")
    return await client.refused("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType=wanted)


async def mode(client: Client, wanted: str, holding: str = "") -> int:
    if holding == "order":
        await client.limit("BUY", "64000")
    elif holding == "stop":
        await client.signed("POST", "/fapi/v1/algoOrder", **STOP)
    elif holding:
        await client.market("BUY")
    return await client.refused("POST", "/fapi/v1/positionSide/dual", dualSidePosition=wanted)


async def joint(client: Client, wanted: str = "true") -> int:
    return await client.refused("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin=wanted)


async def joint_isolated(client: Client) -> int:
    await client.signed("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
    return await joint(client)


async def isolated_joint(client: Client) -> int:
    await client.signed("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    return await margin_type(client, "ISOLATED")


async def joint_with_orders(client: Client) -> int:
    await client.limit("BUY", "64000")
    return await joint(client)


async def fok(client: Client) -> int:
    return await client.refused("POST", ORDER, **(GOOD | {"timeInForce": "FOK"}))


async def adl_without_position(client: Client) -> int:
    async with client.http.post(
        client.base + "/sandbox/market", json={"adl": {"account": client.key, "symbol": "BTCUSDT"}}
    ) as response:
        return int((await response.json())["code"])


RECIPES: list[tuple[int, Recipe]] = [
    (-1003, too_many_requests),
    (-1015, too_many_orders),
    (-1016, maintenance),
    (-1106, lambda c: hedged(c, ORDER, GOOD | {"positionSide": "LONG", "reduceOnly": "false"})),
    (-1021, clock),
    (-1022, unsigned),
    (-1120, lambda c: get(c, "/fapi/v1/klines", symbol="BTCUSDT", interval="1s")),
    (-1125, lambda c: c.refused("PUT", "/fapi/v1/listenKey")),
    (-1127, lambda c: get(c, "/fapi/v1/aggTrades", symbol="BTCUSDT", startTime=1, endTime=3_600_002)),
    (-1128, lambda c: c.refused("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=1, startTime=1)),
    (-1130, lambda c: get(c, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1501)),
    (-2011, lambda c: c.refused("DELETE", ORDER, symbol="BTCUSDT", orderId=7)),
    (-2011, lambda c: c.refused("DELETE", "/fapi/v1/algoOrder", algoId=7)),
    (-2013, lambda c: c.refused("GET", ORDER, symbol="BTCUSDT", orderId=7)),
    (-2013, lambda c: c.refused("GET", "/fapi/v1/algoOrder", clientAlgoId="x")),
    (-2014, keyless),
    (-2015, stranger),
    (-2022, lambda c: hedged(c, ORDER, GOOD | {"positionSide": "SHORT"})),
    (-2024, adl_without_position),
    (-2025, full_book),
    (-2027, too_large_for_leverage),
    (-2028, poor_leverage),
    (-4021, lambda c: get(c, "/fapi/v1/depth", symbol="BTCUSDT", limit=3)),
    (-4028, lambda c: c.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126)),
    (-4045, stops),
    (-4046, lambda c: margin_type(c, "CROSSED")),
    (-4047, lambda c: margin_type(c, "ISOLATED", "order")),
    (-4048, lambda c: margin_type(c, "ISOLATED", "position")),
    (-4049, lambda c: margin(c, "1", first=False)),
    (-4050, lambda c: margin(c, "100000")),
    (-4051, lambda c: margin(c, "30", 2)),
    (-4054, flat_margin),
    (-4055, lambda c: margin(c, "-1")),
    (-4056, lambda c: logon(c)),
    (-4059, lambda c: mode(c, "false")),
    (-4060, lambda c: hedged(c, ORDER, GOOD | {"positionSide": "UP"})),
    (-4061, lambda c: hedged(c, ORDER, GOOD)),
    (-4061, lambda c: hedged(c, ORDER, GOOD | {"reduceOnly": "true"})),
    (-4061, lambda c: hedged(c, "/fapi/v1/algoOrder", STOP)),
    (
        -4061,
        lambda c: c.refused("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", positionSide="LONG", amount=1, type=1),
    ),
    (-4067, lambda c: mode(c, "true", "order")),
    (-4067, lambda c: mode(c, "true", "stop")),
    (-4068, lambda c: mode(c, "true", "position")),
    (-4082, lambda c: c.refused("POST", "/fapi/v1/batchOrders", batchOrders="[]")),
    (-4116, twice),
    (-4138, lambda c: hedged(c, "/fapi/v1/algoOrder", STOP | CLOSE | {"positionSide": "SHORT"})),
    (-4140, lambda c: halted(c, "POST")),
    (-4161, less_leverage),
    (-4165, lambda c: c.refused("GET", "/fapi/v1/allOrders", symbol="BTCUSDT", startTime=1, endTime=10**12)),
    (-4167, lambda c: joint_isolated(c)),
    (-4168, lambda c: isolated_joint(c)),
    (-4170, lambda c: joint_with_orders(c)),
    (-4171, lambda c: joint(c, "false")),
    (-5000, lambda c: get(c, "/fapi/v1/account")),
    (-5021, fok),
    (-5024, lambda c: halted(c, "PUT")),
    (-5027, lambda c: changed(c)),
    (-5028, late_in_the_engine),
    (-5029, lambda c: changed(c, quantity="0.001", price="40000")),
    (-5047, lambda c: changed(c, price="63000", reduceOnly="true")),
]


async def logon(client: Client) -> int:
    async with client.http.ws_connect(client.ws + "/ws-fapi/v1") as socket:
        await socket.send_json(
            {"id": 1, "method": "session.logon", "params": {"apiKey": client.key, "timestamp": now(), "signature": "x"}}
        )
        return int((await socket.receive_json())["error"]["code"])


@pytest.mark.parametrize(("code", "recipe"), RECIPES)
async def test_circumstances_are_refused_by_their_code(still: Client, code: int, recipe: Recipe) -> None:
    assert await recipe(still) == code


# --------------------------------------------------------------------------- by a switch

FAULTS = [
    -1000, -1001, -1002, -1006, -1007, -1008, -1010, -1013, -1014, -1020, -1100, -1101, -1103, -1104, -1105, -1108,
    -1109, -1110, -1112, -1114, -1118, -1119, -2010, -2012, -2017, -2018, -2020, -2023, -2026, -4000, -4004, -4007,
    -4008, -4009, -4010, -4011, -4012, -4023, -4062, -4083, -4087, -4088, -4105, -4106, -4107, -4109, -4117, -4118,
    -4141, -4142, -4169, -4172, -4189, -4192, -4202, -4203, -4205, -4206, -4208, -4209, -4400, -4401, -4402, -4403,
    -4531, -5025, -5026, -5043,
]  # fmt: skip
"""What this exchange never finds by itself: other products, other rules of its own house, countries, KYC."""


async def test_every_other_code_comes_by_a_switch_with_its_text(still: Client) -> None:
    for code in FAULTS:
        await still.post("/sandbox/faults", next=[{"kind": "refuse", "code": code, "on": "POST /fapi/v1/order"}])
        status, headers, answer = await still.full("POST", ORDER, **GOOD)
        assert answer == {"code": code, "msg": TEXTS[code]} and headers["Content-Type"].startswith("application/json")
        assert status == {-1001: 503, -1002: 401, -1006: 503, -1007: 503, -1008: 503, -2017: 401}.get(code, 400)
    assert (await still.books())["orders"] == []


def test_no_code_of_the_reference_is_forgotten() -> None:
    told = {-4131} | {code for code, _ in PLACEMENTS + ALGOS} | {code for code, _ in RECIPES} | set(FAULTS)
    listed = {
        *range(-1003, -999), -1006, -1007, -1008, -1010, -1013, -1014, -1015, -1016, -1020, -1021, -1022,
        *range(-1106, -1099), -1128, -1130, -1108, -1109, -1110, -1111, -1112, *range(-1121, -1113), -1125, -1127,
        *range(-2015, -2009), *range(-2028, -2016), -4000, *range(-4016, -4000), -4021, -4023, -4024, -4028, -4045,
        -4046, -4047, -4048, -4050, -4051, -4059, -4060, -4061, -4062, -4067, -4068, -4531, -4082, -4083, -4087, -4088,
        -4105, -4106, -4107, -4109, -4116, -4117, -4118, -4120, -4131, -4137, -4138, -4140, -4141, -4142, -4161, -4164,
        *range(-4172, -4166), -4183, -4184, -4189, -4192, -4202, -4209, -4403, -4400, -4401, -4402, -5000, -5021,
        -5022, *range(-5029, -5023), *range(-5041, -5036), -5043, -5047,
    }  # fmt: skip
    assert not listed - told
    assert told <= TEXTS.keys() | {-1131}


async def test_a_market_order_into_a_far_book_is_refused() -> None:
    async with running(seed=3) as (_, client):  # a candle path has no book that could be far
        await client.post("/sandbox/market", mark={"symbol": "BTCUSDT", "price": "50000"})
        code = await client.refused("POST", ORDER, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        assert code == -4131


async def test_where_encoding_is_strict_raw_json_is_signed_in_vain() -> None:
    entry = json.dumps([GOOD])
    async with running(still=True, strict_encoding=True) as (_, client):
        for text, status in ((quote(entry, safe=""), 200), (entry, 400)):
            payload = f"batchOrders={text}&timestamp={now()}"
            signed = f"{payload}&signature={sign(payload)}"
            got, _, answer = await client.raw("POST", "/fapi/v1/batchOrders", "", signed)
            assert got == status and (status == 200 or answer["code"] == -1022)


@pytest.mark.parametrize(
    ("fault", "status", "code", "text"),
    [
        ({"kind": "unknown"}, 503, -1007, "Unknown error, please check your request or try again later."),
        ({"kind": "lost"}, 503, -1007, "Unknown error, please check your request or try again later."),
        ({"kind": "refuse", "code": -1001, "msg": "Service Unavailable."}, 503, -1001, "Service Unavailable."),
        ({"kind": "refuse", "code": -1008}, 503, -1008, TEXTS[-1008]),
        ({"kind": "refuse", "code": -1000, "status": 500}, 500, -1000, TEXTS[-1000]),
        ({"kind": "refuse", "code": -1003, "retry_after": 7}, 429, -1003, TEXTS[-1003]),
    ],
)
async def test_the_kinds_of_failing_servers(
    still: Client, fault: dict[str, Any], status: int, code: int, text: str
) -> None:
    await still.post("/sandbox/faults", next=[fault])
    got, headers, answer = await still.full("POST", ORDER, **GOOD)
    assert (got, answer) == (status, {"code": code, "msg": text})
    assert headers.get("Retry-After") == ("7" if "retry_after" in fault else None)
    executed = fault["kind"] == "unknown"
    assert len((await still.books())["orders"]) == executed


async def test_who_does_not_stop_is_banned_and_each_ban_is_longer(still: Client) -> None:
    assert await too_many_requests(still) == -1003
    for _ in range(30):
        status, headers, answer = await still.raw("GET", "/fapi/v1/ping")
        if status == 418:
            break
    assert status == 418 and answer["code"] == -1003 and "banned until" in answer["msg"]
    until = int(answer["msg"].split("banned until ")[1].split(".")[0])
    assert 110_000 < until - now() < 125_000
    assert 110 < int(headers["Retry-After"]) <= 121
    assert (await still.raw("GET", "/fapi/v1/time"))[0] == 418
    await still.post("/sandbox/faults", ban=0)
    assert (await still.raw("GET", "/fapi/v1/time"))[0] == 429
    await still.post("/sandbox/faults", ban=60_000)
    assert (await still.raw("GET", "/fapi/v1/time"))[0] == 418


async def test_the_funding_endpoints_have_a_pool_of_their_own(still: Client) -> None:
    used = (await still.raw("GET", "/fapi/v1/ping"))[1]["X-MBX-USED-WEIGHT-1M"]
    for _ in range(500):
        status, headers, _ = await still.raw("GET", "/fapi/v1/fundingInfo", key=False)
        assert status == 200
    assert headers["X-MBX-USED-WEIGHT-1M"] == used
    assert (await still.raw("GET", "/fapi/v1/fundingRate"))[0] == 429
    await asyncio.sleep(0)
    assert Decimal(used) > 0
