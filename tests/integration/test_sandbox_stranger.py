"""What a client nobody here wrote looks at: fields, texts and orders of refusal, each beside the reference."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.test_sandbox import frame
from tests.integration.test_sandbox_recorded import SYMBOL, written
from tests.sandboxes import KEY, Client, now, read, running, sign, until
from trading.sandbox.server import Opening

pytestmark = pytest.mark.timeout(60)

ORDER = "/fapi/v1/order"
GOOD: dict[str, object] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.010",
    "price": "64000",
    "timeInForce": "GTC",
}
PLACED = {
    *("orderId", "symbol", "status", "clientOrderId", "price", "origQty", "executedQty", "cumQty", "timeInForce"),
    *("type", "reduceOnly", "closePosition", "side", "positionSide", "stopPrice", "workingType", "priceProtect"),
    *("origType", "priceMatch", "selfTradePreventionMode", "goodTillDate", "updateTime"),
}
"""The fields of a placement (binance-usdm.md §6.2)."""
READ = PLACED - {"cumQty"} | {"avgPrice", "cumQuote", "time"}


@pytest.fixture
async def still() -> AsyncIterator[Client]:
    async with running(still=True) as (_, client):
        yield client


# --------------------------------------------------------------------------- orders


async def test_every_answer_about_an_order_has_the_fields_of_its_kind(still: Client) -> None:
    placed = await still.limit("BUY", "64000", newClientOrderId="g-1")
    assert set(placed) == PLACED
    name = {"symbol": "BTCUSDT", "origClientOrderId": "g-1"}
    changed = await still.signed("PUT", ORDER, **name, side="BUY", quantity="0.010", price="63000")
    assert set(changed) == PLACED | {"pair"}
    changed = await still.signed("PUT", ORDER, **name, side="BUY", quantity="0.010", price="63100", modifyId=17)
    assert set(changed) == PLACED | {"pair", "modifyId"} and changed["modifyId"] == 17
    assert set(await still.signed("GET", ORDER, **name)) == READ
    assert set((await still.signed("GET", "/fapi/v1/openOrders"))[0]) == READ
    (row,) = await still.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")
    assert set(row) == READ | {"pair", "cumBase"}
    assert set(await still.signed("DELETE", ORDER, **name)) == PLACED


async def test_an_amendment_names_its_id_and_counts_the_order_it_changed(still: Client) -> None:
    async with still.user() as socket:
        await still.limit("BUY", "64000", newClientOrderId="g-1")
        (new,) = await read(socket, 1)
        assert "M" not in new["o"] and new["o"]["b"] == "640"
        body = {"symbol": "BTCUSDT", "origClientOrderId": "g-1", "side": "BUY", "quantity": "0.011"}
        assert await still.refused("PUT", ORDER, **body, price="1", modifyId=16) == -4013
        await still.signed("PUT", ORDER, **body, price="63000", modifyId=17)
        (amended,) = await read(socket, 1)
        assert (amended["o"]["M"], amended["o"]["b"], amended["o"]["a"]) == ("17", "693", "0")
        await still.signed("PUT", ORDER, **body, price="63100")
        (again,) = await read(socket, 1)
        assert "M" not in again["o"] and again["o"]["b"] == "694.1"
        assert (await still.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT"))[0]["price"] == "63100.00"


@pytest.mark.parametrize("way", ["market", "stop"])
async def test_what_closes_at_the_market_comes_before_resting_orders_that_only_reduce(still: Client, way: str) -> None:
    await still.market("BUY", "0.010")
    await still.limit("SELL", "66000", "0.010", reduceOnly="true", newClientOrderId="profit")
    if way == "market":
        await still.market("SELL", "0.010", reduceOnly="true", newClientOrderId="loss")
    else:
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
        stop |= {"closePosition": "true", "triggerPrice": "64000", "clientAlgoId": "loss"}
        await still.signed("POST", "/fapi/v1/algoOrder", **stop)
        await still.reach("63990")
    name = {"symbol": "BTCUSDT", "origClientOrderId": "loss"}
    assert (await still.signed("GET", ORDER, **name))["status"] == "FILLED"
    assert await still.signed("GET", "/fapi/v3/positionRisk") == []
    assert (await still.signed("GET", ORDER, **(name | {"origClientOrderId": "profit"})))["status"] == "EXPIRED"


async def test_an_order_tells_the_price_match_it_was_placed_with() -> None:
    async with running(seed=3) as (_, client), client.user() as socket:
        order = {name: value for name, value in GOOD.items() if name != "price"}
        placed = await client.signed("POST", ORDER, **order, priceMatch="QUEUE_5", newClientOrderId="m-1")
        assert placed["priceMatch"] == "QUEUE_5" and float(placed["price"]) > 0
        event = await until(socket, "ORDER_TRADE_UPDATE")
        assert event["o"]["pm"] == "QUEUE_5"
        row = await client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="m-1")
        assert row["priceMatch"] == "QUEUE_5"


async def test_a_changed_order_tells_how_its_price_of_now_was_found() -> None:
    async with running(seed=3) as (_, client):
        order = {name: value for name, value in GOOD.items() if name != "price"}
        await client.signed("POST", ORDER, **order, priceMatch="QUEUE_5", newClientOrderId="m-1")
        change: dict[str, object] = {"symbol": "BTCUSDT", "origClientOrderId": "m-1", "side": "BUY"}
        change |= {"quantity": "0.010"}
        assert await client.refused("PUT", ORDER, **change, price="63000", priceMatch="QUEUE_20") == -1106
        changed = await client.signed("PUT", ORDER, **change, price="63000")
        assert (changed["price"], changed["priceMatch"]) == ("63000.00", "NONE")
        async with client.user() as socket:
            changed = await client.signed("PUT", ORDER, **change, priceMatch="QUEUE_5")
            assert changed["priceMatch"] == "QUEUE_5" and changed["price"] != "63000.00"
            event = await until(socket, "ORDER_TRADE_UPDATE")
            assert (event["o"]["x"], event["o"]["pm"]) == ("AMENDMENT", "QUEUE_5")


async def test_a_change_that_trades_is_answered_as_the_order_stood_before_it_did() -> None:
    async with running(still=True) as (sandbox, client):
        change = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020"}

        async def resting(filled: str) -> Any:
            placed = await client.limit("BUY", "64000", timeInForce="GTC")
            sandbox.exchange.venue.print_trade("BTCUSDT", Decimal(64000), Decimal(filled), True, now())
            return placed["orderId"]

        whole = await resting("0")
        changed = await client.signed("PUT", ORDER, **change, orderId=whole, price="66000")
        assert (changed["status"], changed["executedQty"], changed["origQty"]) == ("NEW", "0.000", "0.020")
        assert (await client.signed("GET", ORDER, symbol="BTCUSDT", orderId=whole))["status"] == "FILLED"
        async with client.http.ws_connect(f"{client.ws}/ws-fapi/v1") as socket:
            await socket.send_str(frame("order.modify", **change, orderId=await resting("0.004"), price="66000"))
            (answer,) = await read(socket, 1)
        assert (answer["result"]["status"], answer["result"]["executedQty"]) == ("PARTIALLY_FILLED", "0.004")
        change["quantity"] = "0.003"
        gone = await client.signed("PUT", ORDER, **change, orderId=await resting("0.004"), price="64100")
        assert (gone["status"], gone["executedQty"]) == ("CANCELED", "0.004")


@pytest.mark.parametrize("path", [ORDER, "/fapi/v1/order/test", "/fapi/v1/batchOrders", "order.place"])
async def test_a_conditional_order_is_sent_elsewhere_even_without_a_quantity(still: Client, path: str) -> None:
    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "closePosition": "true", "stopPrice": "64000"}
    if path == "order.place":
        async with still.http.ws_connect(f"{still.ws}/ws-fapi/v1") as socket:
            await socket.send_str(frame(path, **order))
            assert (await read(socket, 1))[0]["error"]["code"] == -4120
    elif path.endswith("batchOrders"):
        (answer,) = await still.signed("POST", path, batchOrders=json.dumps([order]))
        assert answer["code"] == -4120
    else:
        assert await still.refused("POST", path, **order) == -4120


async def test_averages_of_a_cheap_coin_keep_its_decimals(tmp_path: Path) -> None:
    cheap: dict[str, Any] = json.loads(json.dumps(SYMBOL)) | {"pricePrecision": 7}
    cheap["filters"][0] |= {"minPrice": "0.0000010", "maxPrice": "2", "tickSize": "0.0000001"}
    rules, brackets = written(tmp_path, cheap)
    async with running(still=True, rules=rules, brackets=brackets) as (_, client), client.user() as socket:
        await client.reach("0.0081234", "DOGEUSDT")
        await client.signed("POST", ORDER, symbol="DOGEUSDT", side="BUY", type="MARKET", quantity="1001")
        while (event := await until(socket, "ORDER_TRADE_UPDATE"))["o"]["x"] != "TRADE":
            pass
        assert event["o"]["ap"] == event["o"]["L"] == "0.0081234"
        (row,) = await client.signed("GET", "/fapi/v1/allOrders", symbol="DOGEUSDT")
        assert (row["avgPrice"], row["cumQuote"]) == ("0.0081234", "8.1315234")
        (trade,) = await client.signed("GET", "/fapi/v1/userTrades", symbol="DOGEUSDT")
        assert trade["quoteQty"] == "8.1315234"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (-1102, {"quantity": "", "symbol": "NOPE"}),
        (-1102, {"price": "", "side": "HOLD"}),
        (-1102, {"timeInForce": "", "symbol": "NOPE"}),
        (-1121, {"symbol": "NOPE", "side": "HOLD"}),
        (-1117, {"side": "HOLD", "price": "64000.001"}),
        (-1111, {"price": "64000.001", "newClientOrderId": "bad id"}),
        (-4015, {"price": "1", "newClientOrderId": "bad id"}),
        (-4013, {"price": "1", "positionSide": "LONG"}),
        (-4164, {"quantity": "0.001", "price": "40000", "positionSide": "LONG"}),
        (-4061, {"positionSide": "LONG", "reduceOnly": "true"}),
        (-2022, {"reduceOnly": "true", "price": "90000"}),
        (-2019, {"quantity": "40", "price": "68300"}),
        (-4016, {"price": "68300", "timeInForce": "GTX"}),
    ],
)
async def test_of_two_faults_the_earlier_check_speaks(still: Client, code: int, change: dict[str, object]) -> None:
    assert await still.refused("POST", ORDER, **(GOOD | change)) == code


async def test_what_is_missing_is_told_before_clock_and_signature_are_looked_at(still: Client) -> None:
    async def code(method: str, **params: object) -> int:
        _, _, answer = await still.raw(method, ORDER, urlencode(params | {"timestamp": 1, "signature": "0"}))
        return int(answer["code"])

    name: dict[str, object] = {"symbol": "BTCUSDT", "origClientOrderId": "x"}
    assert await code("POST", **(GOOD | {"quantity": ""})) == -1102
    assert await code("POST", **GOOD) == -1021
    assert await code("PUT", **name, side="BUY", quantity="1") == -1102
    assert await code("PUT", **name, side="BUY", quantity="1", priceMatch="QUEUE") == -1021
    assert await code("DELETE", symbol="BTCUSDT") == -1102
    assert await code("DELETE", **name) == -1021
    async with still.http.ws_connect(f"{still.ws}/ws-fapi/v1") as socket:
        await socket.send_json({"id": 1, "method": "order.cancel", "params": {"apiKey": KEY, "timestamp": 1}})
        (answer,) = await read(socket, 1)
        assert answer["error"]["code"] == -1102 and "symbol" in answer["error"]["msg"]


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("Limit price can't be higher than 68250.00.", {"price": "70000"}),
        ("Limit price can't be lower than 61750.00.", {"price": "50000", "side": "SELL"}),
    ],
)
async def test_refusals_with_values_are_worded_as_documented(
    still: Client, text: str, change: dict[str, object]
) -> None:
    _, _, answer = await still.full("POST", ORDER, **(GOOD | change))
    assert answer["msg"] == text


async def test_a_trigger_with_too_many_decimals_is_imprecise_and_one_above_all_bounds_too_high(still: Client) -> None:
    stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "quantity": "0.010"}
    assert await still.refused("POST", "/fapi/v1/algoOrder", **stop, triggerPrice="66000.001") == -1111
    assert await still.refused("POST", "/fapi/v1/algoOrder", **stop, triggerPrice="66000.05") == -4014
    assert await still.refused("POST", "/fapi/v1/algoOrder", **stop, triggerPrice="5000000") == -4007


# --------------------------------------------------------------------------- settings


async def test_the_multi_assets_mode_is_set_told_and_kept(tmp_path: Path) -> None:
    path, state = "/fapi/v1/multiAssetsMargin", tmp_path / "state.json"
    async with running(still=True, state=state) as (_, client):
        await client.signed("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
        assert await client.refused("POST", path, multiAssetsMargin="true") == -4167
        await client.signed("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="CROSSED")
        await client.limit("BUY", "64000", newClientOrderId="o")
        assert await client.refused("POST", path, multiAssetsMargin="true") == -4170
        await client.signed("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="o")
        async with client.user() as socket:
            answer = await client.signed("POST", path, multiAssetsMargin="true")
            assert answer == {"code": 200, "msg": "success"}
            event = await until(socket, "ACCOUNT_CONFIG_UPDATE")
            assert event["ai"] == {"j": True} and "ac" not in event and event["T"] <= event["E"]
        assert await client.refused("POST", path, multiAssetsMargin="true") == -4171
        assert (
            await client.refused("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED") == -4168
        )
    async with running(still=True, state=state) as (_, client):
        assert await client.signed("GET", path) == {"multiAssetsMargin": True}
        assert (await client.signed("GET", "/fapi/v1/accountConfig"))["multiAssetsMargin"] is True
        assert (await client.signed("GET", "/fapi/v2/account"))["multiAssetsMargin"] is True
        await client.signed("POST", path, multiAssetsMargin="false")
        assert await client.signed("GET", path) == {"multiAssetsMargin": False}


async def test_a_changed_margin_type_is_told_as_a_change_of_the_position(still: Client) -> None:
    async with still.user() as socket:
        await still.signed("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
        event = await until(socket, "ACCOUNT_UPDATE")
        assert (event["a"]["m"], event["a"]["B"]) == ("MARGIN_TYPE_CHANGE", [])
        (position,) = event["a"]["P"]
        assert (position["s"], position["mt"], position["pa"]) == ("ETHUSDT", "isolated", "0.000")


async def test_the_switch_for_fees_in_bnb_shows_in_the_account(still: Client) -> None:
    assert (await still.signed("GET", "/fapi/v2/account"))["feeBurn"] is False
    await still.signed("POST", "/fapi/v1/feeBurn", feeBurn="true")
    assert (await still.signed("GET", "/fapi/v2/account"))["feeBurn"] is True


async def test_the_commission_rates_name_the_retail_rate_too(still: Client) -> None:
    row = await still.signed("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert set(row) == {"symbol", "makerCommissionRate", "takerCommissionRate", "rpiCommissionRate"}
    assert row["makerCommissionRate"] == "0.000200"


# --------------------------------------------------------------------------- market data


async def test_summed_trades_tell_what_was_no_retail_order() -> None:
    async with running(seed=3) as (_, client):
        (row,) = await client.get("/fapi/v1/aggTrades", symbol="BTCUSDT", limit=1)
        assert set(row) == {"a", "p", "q", "nq", "f", "l", "T", "m"} and row["nq"] == row["q"]
        async with client.http.ws_connect(f"{client.ws}/market/ws/btcusdt@aggTrade") as socket:
            event = await until(socket, "aggTrade")
            assert event["nq"] == event["q"]


async def test_candles_of_a_pair_want_its_name_and_its_kind(still: Client) -> None:
    async def fault(path: str, **params: object) -> tuple[int, str]:
        query = "&".join(f"{name}={value}" for name, value in params.items())
        _, _, answer = await still.raw("GET", f"/fapi/v1/{path}", query, key=False)
        return answer["code"], answer["msg"]

    missing = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
    assert await fault("indexPriceKlines", interval="1m") == (-1102, missing.format("pair"))
    assert await fault("continuousKlines", pair="BTCUSDT", interval="1m") == (-1102, missing.format("contractType"))
    assert await fault("klines", interval="1m") == (-1102, missing.format("symbol"))
    assert await fault("markPriceKlines", pair="BTCUSDT", interval="1m") == (-1102, missing.format("symbol"))
    kind = {"contractType": "PERPETUAL", "interval": "1m", "limit": 1}
    assert len(await still.get("/fapi/v1/continuousKlines", pair="BTCUSDT", **kind)) <= 1


async def test_a_partial_book_is_shown_to_whoever_comes_even_while_it_stands_still(still: Client) -> None:
    await still.reach("65010")
    url = f"{still.ws}/public/ws/btcusdt@depth5@100ms"
    async with still.http.ws_connect(url) as first:
        await read(first, 1)
        async with still.http.ws_connect(url) as second:
            (book,) = await read(second, 1)
            assert book["b"][0][0] == "65009.90"
    async with still.http.ws_connect(url) as again:
        await read(again, 1)


async def test_who_comes_later_to_a_partial_book_breaks_nobodys_chain(still: Client) -> None:
    async def chained(socket: ClientWebSocketResponse, seen: int) -> int:
        """Moves the book; the last update id of the frames until then, each of which follows the one before."""
        await still.limit("BUY", "64000")
        while True:
            (book,) = await read(socket, 1)
            assert book["U"] <= book["u"] and book["pu"] == seen
            seen = book["u"]
            if len(book["b"]) > 1:
                await still.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
                return seen

    url = f"{still.ws}/public/ws/btcusdt@depth5@100ms"
    async with still.http.ws_connect(url) as first:
        (book,) = await read(first, 1)
        assert 1 < book["U"] <= book["u"] and 0 < book["pu"] <= book["u"]
        seen = await chained(first, book["u"])
        async with still.http.ws_connect(url) as second:
            await read(second, 1)
            await chained(first, seen)


# --------------------------------------------------------------------------- sockets


async def test_stream_sockets_cost_no_weight_and_the_websocket_api_five(still: Client) -> None:
    async def used() -> int:
        _, headers, _ = await still.raw("GET", "/fapi/v1/ping")
        return int(headers["X-MBX-USED-WEIGHT-1M"])

    before = await used()
    async with still.http.ws_connect(f"{still.ws}/market/stream"):
        assert await used() == before + 1
    async with still.http.ws_connect(f"{still.ws}/ws-fapi/v1"):
        assert await used() == before + 1 + 5 + 1


ERRORS = [
    ({"method": "SET_PROPERTY", "params": ["foo", True], "id": 1}, 0, "Unknown property"),
    ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1, "Invalid value type: expected Boolean"),
    ({"method": "SET_PROPERTY", "params": ["combined", True, 1], "id": 1}, 2, "Invalid request: too many parameters"),
    ({"method": "GET_PROPERTY", "params": [7], "id": 1}, 2, "Invalid request: property name must be a string"),
    ({"method": "LIST_SUBSCRIPTIONS", "id": -1}, 2, "Invalid request: request ID must be an unsigned integer"),
    ({"method": "LIST_SUBSCRIPTIONS", "id": 1.5}, 2, "Invalid request: request ID must be an unsigned integer"),
    ({"method": "LIST_SUBSCRIPTIONS", "id": {}}, 2, "Invalid request: request ID must be an unsigned integer"),
    ({"method": "FOO", "id": 1}, 2, "Invalid request: unknown variant `FOO`, expected one of `SUBSCRIBE`, "),
    ({"id": 1}, 2, "Invalid request: missing field `method` at line 1 column "),
    ("nonsense", 3, "Invalid JSON: expected value at line 1 column 1"),
]


@pytest.mark.parametrize(("asked", "code", "text"), ERRORS)
async def test_a_control_frame_is_refused_without_wrapper_or_id(
    still: Client, asked: object, code: int, text: str
) -> None:
    async with still.http.ws_connect(f"{still.ws}/public/ws") as socket:
        await socket.send_str(asked if isinstance(asked, str) else json.dumps(asked))
        (answer,) = await read(socket, 1)
        assert set(answer) == {"code", "msg"} and answer["code"] == code
        assert answer["msg"].startswith(text)


@pytest.mark.parametrize("path", ["/market/stream", "/ws-fapi/v1"])
async def test_who_answers_no_ping_is_closed_and_who_copies_it_stays(path: str) -> None:
    async with running(still=True, ping=0.25) as (_, client):
        async with client.http.ws_connect(client.ws + path, autoping=False) as socket:
            seen = [await socket.receive(timeout=3) for _ in range(4)]
            assert {message.type for message in seen} == {WSMsgType.PING} and len({m.data for m in seen}) == 4
            await socket.pong(b"not what was asked")
            while (last := await socket.receive(timeout=3)).type is WSMsgType.PING:
                pass
            assert (last.type, last.data) == (WSMsgType.CLOSE, 1008)
        async with client.http.ws_connect(client.ws + path, autoping=False) as socket:
            for _ in range(8):
                message = await socket.receive(timeout=3)
                assert message.type is WSMsgType.PING
                await socket.pong(message.data)


@pytest.mark.parametrize(("path", "most"), [("/market/stream", 10), ("/ws-fapi/v1", 5)])
async def test_pings_are_answered_and_too_many_end_the_connection(still: Client, path: str, most: int) -> None:
    async with still.http.ws_connect(still.ws + path, autoping=False) as socket:
        await asyncio.sleep(1 - asyncio.get_running_loop().time() % 1)
        for number in range(most + 1):
            await socket.ping(b"%d" % number)
        for number in range(most + 1):
            pong = await socket.receive(timeout=3)
            assert (pong.type, pong.data) == (WSMsgType.PONG, b"%d" % number)
        last = await socket.receive(timeout=3)
        assert (last.type, last.data) == (WSMsgType.CLOSE, 1008)


async def test_numbers_are_signed_as_the_client_spelled_them(still: Client) -> None:
    params = {"apiKey": KEY, "quantity": "1.0", "price": "140.10", "symbol": "SOLUSDT", "side": "BUY"}
    params |= {"type": "LIMIT", "timeInForce": "GTC", "timestamp": str(now())}
    signature = sign("&".join(f"{name}={params[name]}" for name in sorted(params)))
    bare = ("quantity", "price", "timestamp")
    spelled = ",".join(f'"{name}":{text}' if name in bare else f'"{name}":"{text}"' for name, text in params.items())
    async with still.http.ws_connect(f"{still.ws}/ws-fapi/v1") as socket:
        await socket.send_str(
            f'{{"id":1,"method":"order.place","params":{{{spelled},"reduceOnly":null,"signature":"{signature}"}}}}'
        )
        (answer,) = await read(socket, 1)
        assert answer["status"] == 200, answer
        assert (answer["result"]["price"], answer["result"]["origQty"]) == ("140.1000", "1.00")


async def test_a_session_that_logged_on_is_told_its_order_limits() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async with (
        running(still=True, accounts=(Opening(KEY, public),)) as (_, client),
        client.http.ws_connect(f"{client.ws}/ws-fapi/v1") as socket,
    ):
        timestamp = now()
        signature = base64.b64encode(private.sign(f"apiKey={KEY}&timestamp={timestamp}".encode())).decode()
        params: dict[str, object] = {"apiKey": KEY, "timestamp": timestamp, "signature": signature}
        await socket.send_json({"id": 1, "method": "session.logon", "params": params})
        await read(socket, 1)
        await socket.send_json({"id": 2, "method": "order.place", "params": GOOD | {"timestamp": now()}})
        (answer,) = await read(socket, 1)
        assert answer["status"] == 200, answer
        assert [row.get("count") for row in answer["rateLimits"][1:]] == [1, 1]
