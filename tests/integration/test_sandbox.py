"""The sandbox exchange over real sockets, with raw clients that know nothing of our own gateway."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest

from tests.sandboxes import KEY, SECRET, Client, now, read, running, sign
from trading.sandbox import auth
from trading.sandbox.refusal import Refusal
from trading.sandbox.server import Foreign, Opening, Options, Sandbox, Unreadable, serve

pytestmark = pytest.mark.timeout(60)

GTX_TEXT = (
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history"
)


@pytest.fixture
async def still() -> AsyncIterator[Client]:
    """A sandbox whose prices stand at 65000 until told."""
    async with running(still=True) as (_, client):
        yield client


# --------------------------------------------------------------------------- signatures

VECTOR_SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
VECTORS = [
    (
        VECTOR_SECRET,
        b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943",
        b"",
        b"3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
    ),
    (
        VECTOR_SECRET,
        b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC",
        b"quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943",
        b"30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4",
    ),
    (
        SECRET,
        b"",
        b"batchOrders=%5B%7B%22symbol%22%3A%22BTCUSDT%22%2C%22side%22%3A%22BUY%22%2C%22type%22%3A%22LIMIT%22%2C%22quantity"
        b"%22%3A%220.010%22%2C%22price%22%3A%2260000.0%22%2C%22timeInForce%22%3A%22GTX%22%7D%5D&timestamp=1790000000000",
        b"aeca0122f99f88942c1f1fc69bf0f96688e5501e73b2615b693d4e8ca8a17c39",
    ),
]


def test_the_documented_vectors_verify_and_a_changed_byte_does_not() -> None:
    for secret, query, body, signature in VECTORS:
        for at_query in (True, False):
            mark = b"signature=" + signature
            sent = (query + b"&" * bool(query) + mark, body) if at_query else (query, body + b"&" * bool(body) + mark)
            auth.check_rest(secret, *sent)
            with pytest.raises(Refusal, match="-1022"):
                auth.check_rest(secret + "x", *sent)
            with pytest.raises(Refusal, match="-1022"):
                auth.check_rest(secret, sent[0].replace(b"BTC", b"ETH"), sent[1].replace(b"BTC", b"ETH") + b"&x=1")
    order = {
        "apiKey": KEY,
        "newClientOrderId": "g-1",
        "price": "60000.0",
        "quantity": "0.010",
        "recvWindow": "5000",
        "side": "BUY",
        "symbol": "BTCUSDT",
        "timeInForce": "GTX",
        "timestamp": "1790000000000",
        "type": "LIMIT",
    }
    auth.check_socket(SECRET, order | {"signature": "4cb4de865e193a70d1f38eaad1bac4e412f957e60000967502edd5d856dd8206"})


async def test_the_public_answers_need_no_key(still: Client) -> None:
    assert await still.get("/fapi/v1/ping") == {}
    assert abs((await still.get("/fapi/v1/time"))["serverTime"] - now()) < 2000
    assert await still.get("/api/v3/ping") == {}
    info = await still.get("/fapi/v1/exchangeInfo")
    assert abs(info["serverTime"] - now()) < 2000
    assert [row["symbol"] for row in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    filters = {row["filterType"]: row for row in info["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["MIN_NOTIONAL"]["notional"] == "50"
    assert filters["MAX_NUM_ORDERS"]["limit"] == 200


async def test_parameters_may_come_in_the_query_the_body_or_both(still: Client) -> None:
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    rest = f"quantity=0.001&price=60000&recvWindow=5000&timestamp={now()}"
    both = f"{order}&{rest}"
    status, _, answer = await still.raw("POST", "/fapi/v1/order", f"{both}&signature={sign(both)}")
    assert status == 200, answer
    status, _, answer = await still.raw("POST", "/fapi/v1/order", "", f"{both}&signature={sign(both)}")
    assert status == 200, answer
    # Query and body are joined without a separator, as in Binance's vector B.
    status, _, answer = await still.raw("POST", "/fapi/v1/order", order, f"{rest}&signature={sign(order + rest)}")
    assert status == 200, answer
    status, _, answer = await still.raw(
        "DELETE", "/fapi/v1/allOpenOrders", "", signed_body(f"symbol=BTCUSDT&timestamp={now()}")
    )
    assert (status, answer["code"]) == (200, 200)


def signed_body(payload: str) -> str:
    return f"{payload}&signature={sign(payload)}"


async def test_the_signature_covers_the_bytes_that_were_sent(still: Client) -> None:
    entry = json.dumps(
        [
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "quantity": "0.010",
                "price": "60000.0",
                "timeInForce": "GTX",
            }
        ]
    )
    for text in (quote(entry, safe=""), quote(entry, safe="").replace("%20", "+"), entry):
        payload = f"batchOrders={text}&timestamp={now()}"
        status, _, answer = await still.raw("POST", "/fapi/v1/batchOrders", "", signed_body(payload))
        assert status == 200 and answer[0]["status"] == "NEW", answer
    decoded_signature = sign(f"batchOrders={entry}&timestamp=1")
    payload = f"batchOrders={quote(entry, safe='')}&timestamp={now()}"
    status, _, answer = await still.raw("POST", "/fapi/v1/batchOrders", "", f"{payload}&signature={decoded_signature}")
    assert (status, answer["code"]) == (400, -1022)


async def test_keys_clocks_and_signatures_are_refused_by_their_codes(still: Client) -> None:
    stamp = f"timestamp={now()}"
    cases = [
        (f"{stamp}&signature={sign(stamp)}", False, 401, -2014),
        (f"{stamp}&signature={sign(stamp, 'other')}", True, 400, -1022),
        (stamp, True, 400, -1102),
        (f"recvWindow=5000&signature={sign('recvWindow=5000')}", True, 400, -1102),
    ]
    for query, key, status, code in cases:
        got, _, answer = await still.raw("GET", "/fapi/v3/balance", query, key=key)
        assert (got, answer["code"]) == (status, code)
    for shift, window, code in [(-6000, 5000, -1021), (1500, 5000, -1021), (-6000, 10000, 0), (900, 5000, 0)]:
        text = f"recvWindow={window}&timestamp={now() + shift}"
        _, _, answer = await still.raw("GET", "/fapi/v3/balance", f"{text}&signature={sign(text)}")
        assert (answer["code"] if isinstance(answer, dict) else 0) == code
    stranger = Client(still.http, int(still.base.rsplit(":", 1)[1]), "nobody", "x")
    status, _, answer = await stranger.full("GET", "/fapi/v3/balance")
    assert (status, answer["code"]) == (401, -2015)
    upper = f"timestamp={now()}"
    status, _, _ = await still.raw("GET", "/fapi/v3/balance", f"{upper}&signature={sign(upper).upper()}")
    assert status == 200


async def test_an_unknown_or_retired_path_is_a_404_in_json(still: Client) -> None:
    for path in ("/fapi/v1/nothing", "/fapi/v1/account", "/"):
        status, headers, answer = await still.raw("GET", path)
        assert (status, answer["code"]) == (404, -5000)
        assert headers["Content-Type"].startswith("application/json")


# --------------------------------------------------------------------------- orders


async def test_a_post_only_order_lives_rests_and_is_cancelled(still: Client) -> None:
    order = await still.limit("BUY", "64000", newClientOrderId="g-1")
    assert order["status"] == "NEW" and order["price"] == "64000.00" and order["origQty"] == "0.010"
    assert "avgPrice" not in order and "cumQuote" not in order
    row = await still.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="g-1")
    assert row["avgPrice"] == "0.00000" and row["time"] > 0 and row["orderId"] == order["orderId"]
    assert [each["orderId"] for each in await still.signed("GET", "/fapi/v1/openOrders")] == [order["orderId"]]
    changed = await still.signed(
        "PUT",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        orderId=order["orderId"],
        quantity="0.020",
        price="64100.0",
        modifyId=7,
    )
    assert (changed["price"], changed["origQty"], changed["modifyId"]) == ("64100.00", "0.020", 7)
    gone = await still.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    assert gone["status"] == "CANCELED"
    assert await still.refused("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"]) == -2011
    assert await still.refused("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=order["orderId"]) == -2013
    assert (await still.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT"))[0]["status"] == "CANCELED"


async def test_orders_that_break_a_rule_are_refused_by_their_codes(still: Client) -> None:
    good = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.010",
        "price": "64000",
        "timeInForce": "GTX",
    }
    cases: list[tuple[int, dict[str, object]]] = [
        (-1121, {"symbol": "NOPEUSDT"}),
        (-1117, {"side": "HOLD"}),
        (-1116, {"type": "MAGIC"}),
        (-1115, {"timeInForce": "X"}),
        (-1102, {"quantity": ""}),
        (-1102, {"price": ""}),
        (-1102, {"timeInForce": ""}),
        (-1102, {"quantity": "ten"}),
        (-4120, {"type": "STOP_MARKET"}),
        (-4014, {"price": "64000.05"}),
        (-1111, {"price": "64000.001"}),
        (-1111, {"quantity": "0.0001"}),
        (-4003, {"quantity": "0"}),
        (-4005, {"quantity": "2000"}),
        (-4164, {"quantity": "0.001", "price": "40000"}),
        (-5022, {"price": "65000.1"}),
        (-4016, {"price": "90000"}),
        (-2019, {"quantity": "100"}),
        (-4061, {"positionSide": "LONG"}),
        (-4015, {"newClientOrderId": "bad id"}),
        (-4015, {"newClientOrderId": "x" * 37}),
        (-2022, {"reduceOnly": "true"}),
        (-1106, {"type": "MARKET"}),
        (-1136, {"newOrderRespType": "FULL"}),
    ]
    for code, change in cases:
        assert await still.refused("POST", "/fapi/v1/order", **(good | change)) == code, change
    await still.limit("BUY", "64000", newClientOrderId="twin")
    assert await still.refused("POST", "/fapi/v1/order", **(good | {"newClientOrderId": "twin"})) == -4116
    assert len((await still.books())["orders"]) == 1
    _, _, answer = await still.full("POST", "/fapi/v1/order", **(good | {"price": "65000.1"}))
    assert answer["msg"] == GTX_TEXT


async def test_a_batch_answers_each_order_in_turn(still: Client) -> None:
    entries = [
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.010",
            "price": price,
            "timeInForce": "GTX",
            "newClientOrderId": f"b{number}",
        }
        for number, price in enumerate(["64000.0", "66000.0", "63000.0"])
    ]
    answers = await still.signed("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(entries))
    assert [row.get("code", row.get("status")) for row in answers] == ["NEW", -5022, "NEW"]
    assert await still.refused("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(entries * 2)) == -4082
    gone = await still.signed("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origclientorderidlist='["b0","zz"]')
    assert [row.get("code", row.get("status")) for row in gone] == ["CANCELED", -2011]
    gone = await still.signed(
        "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=json.dumps([answers[2]["orderId"]])
    )
    assert gone[0]["clientOrderId"] == "b2"


async def test_a_market_order_fills_and_books_everything(still: Client) -> None:
    filled = await still.market("BUY", newOrderRespType="RESULT")
    assert (filled["status"], filled["executedQty"]) == ("FILLED", "0.010")
    assert (await still.market("BUY"))["status"] == "NEW"
    position = (await still.signed("GET", "/fapi/v3/positionRisk"))[0]
    assert Decimal(position["positionAmt"]) == Decimal("0.020") and Decimal(position["entryPrice"]) == 65000
    trades = await still.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [row["commission"] for row in trades] == ["0.32500000"] * 2 and not trades[0]["maker"]
    assert await still.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=trades[1]["id"]) == trades[1:]
    incomes = await still.signed("GET", "/fapi/v1/income", incomeType="COMMISSION")
    assert [row["income"] for row in incomes] == ["-0.32500000"] * 2
    balance = (await still.signed("GET", "/fapi/v3/balance"))[0]
    assert balance["balance"] == "9999.35000000"
    await still.reach("66000")
    assert (await still.signed("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT"))[0][
        "unRealizedProfit"
    ] == "20.00000000"
    account = await still.signed("GET", "/fapi/v3/account")
    assert account["totalMarginBalance"] == "10019.35000000" and account["positions"][0]["symbol"] == "BTCUSDT"
    closed = await still.market("SELL", "0.5", reduceOnly="True", newOrderRespType="RESULT")
    assert closed["executedQty"] == "0.020"
    assert await still.signed("GET", "/fapi/v3/positionRisk") == []
    old = await still.signed("GET", "/fapi/v2/account")
    assert old["canTrade"] is True and len(old["positions"]) == 3 and old["positions"][0]["leverage"] == "20"


async def test_settings_are_set_read_and_refused(still: Client) -> None:
    answer = await still.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)
    assert answer["leverage"] == 5 and Decimal(answer["maxNotionalValue"]) > 0
    assert await still.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126) == -4028
    assert (await still.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED"))["code"] == 200
    assert await still.refused("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED") == -4046
    config = await still.signed("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")
    assert (config[0]["leverage"], config[0]["marginType"]) == (5, "ISOLATED")
    assert await still.signed("GET", "/fapi/v1/positionSide/dual") == {"dualSidePosition": False}
    assert await still.refused("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false") == -4059
    assert (await still.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true"))["code"] == 200
    assert (await still.signed("GET", "/fapi/v1/accountConfig"))["dualSidePosition"] is True
    assert (
        await still.refused("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        == -4061
    )
    await still.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false")
    brackets = await still.signed("GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")
    assert brackets[0]["brackets"][0]["initialLeverage"] == 125 and isinstance(brackets[0]["brackets"][0]["cum"], float)
    rate = await still.signed("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert (rate["makerCommissionRate"], rate["takerCommissionRate"]) == ("0.000200", "0.000500")


async def test_the_dead_mans_switch_cancels_everything(still: Client) -> None:
    await still.limit("BUY", "64000")
    answer = await still.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=50)
    assert answer == {"symbol": "BTCUSDT", "countdownTime": "50"}
    await asyncio.sleep(0.2)
    assert await still.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDT") == []


# --------------------------------------------------------------------------- user events


async def test_a_fill_tells_trade_lite_first_then_order_and_account(still: Client) -> None:
    async with still.user() as socket:
        order = await still.limit("BUY", "64900", newClientOrderId="g-7")
        (new,) = await read(socket, 1)
        assert new["e"] == "ORDER_TRADE_UPDATE" and new["o"]["x"] == "NEW" and new["o"]["c"] == "g-7"
        assert new["o"]["b"] == "649" and new["o"]["n"] == "0"
        await still.reach("64800")
        lite, *pair = await read(socket, 3)
        assert lite["e"] == "TRADE_LITE" and lite["m"] is True and lite["L"] == "64900.00"
        told = {event["e"]: event for event in pair}
        trade, account = told["ORDER_TRADE_UPDATE"]["o"], told["ACCOUNT_UPDATE"]["a"]
        assert (trade["X"], trade["L"], trade["z"], trade["n"], trade["N"]) == (
            "FILLED",
            "64900.00",
            "0.010",
            "0.12980000",
            "USDT",
        )
        assert trade["t"] == lite["t"] > 0 and trade["i"] == order["orderId"]
        assert account["m"] == "ORDER" and account["B"][0]["wb"] == "9999.87020000"
        assert (account["P"][0]["pa"], account["P"][0]["ep"]) == ("0.010", "64900")
        needed = {"b", "a", "pP", "si", "ss", "rp", "gtd", "wt", "ot", "ps", "R", "m", "t", "er", "V", "pm"}
        assert needed <= trade.keys()


async def test_a_refused_post_only_order_tells_nobody(still: Client) -> None:
    async with still.user() as socket:
        assert (
            await still.refused(
                "POST",
                "/fapi/v1/order",
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                quantity="0.01",
                price="65100",
                timeInForce="GTX",
                newClientOrderId="g-8",
            )
            == -5022
        )
        assert await still.refused("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="g-8") == -2013
        await still.limit("BUY", "64000", newClientOrderId="g-8")
        (event,) = await read(socket, 1)
        assert event["o"]["x"] == "NEW" and event["o"]["c"] == "g-8"


async def test_amending_cancelling_and_leverage_are_told(still: Client) -> None:
    async with still.user("&events=ORDER_TRADE_UPDATE/ACCOUNT_CONFIG_UPDATE") as socket:
        order = await still.limit("BUY", "64000")
        ids = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
        await still.signed("PUT", "/fapi/v1/order", **ids, side="BUY", quantity="0.010", price="63000")
        await still.signed("DELETE", "/fapi/v1/order", **ids)
        await still.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
        new, amended, cancelled, config = await read(socket, 4)
        assert [event["o"]["x"] for event in (new, amended, cancelled)] == ["NEW", "AMENDMENT", "CANCELED"]
        assert config["ac"] == {"s": "BTCUSDT", "l": 7}


async def test_a_listen_key_is_shared_extended_expired_and_closed(still: Client) -> None:
    _, _, first = await still.raw("POST", "/fapi/v1/listenKey")
    _, _, second = await still.raw("POST", "/fapi/v1/listenKey")
    assert first == second and len(first["listenKey"]) == 64
    _, _, extended = await still.raw("PUT", "/fapi/v1/listenKey")
    assert extended == first
    async with still.user() as socket:
        await still.post("/sandbox/faults", expire_listen_key=[KEY])
        (event,) = await read(socket, 1)
        assert event == {"e": "listenKeyExpired", "E": event["E"], "listenKey": first["listenKey"]}
        await still.limit("BUY", "64000")
        with pytest.raises(TimeoutError):
            await read(socket, 1, wait=0.2)
    status, _, answer = await still.raw("PUT", "/fapi/v1/listenKey")
    assert (status, answer["code"]) == (400, -1125)
    _, _, fresh = await still.raw("POST", "/fapi/v1/listenKey")
    assert fresh != first
    _, _, closed = await still.raw("DELETE", "/fapi/v1/listenKey")
    assert closed == {}


async def test_funding_is_booked_and_told(still: Client) -> None:
    await still.market("BUY", "0.100")
    async with still.user() as socket:
        await still.post("/sandbox/market", funding={"symbol": "BTCUSDT", "rate": "0.0001"})
        (event,) = await read(socket, 1)
        assert event["a"]["m"] == "FUNDING_FEE" and event["a"]["P"] == [] and event["a"]["S"] == "BTCUSDT"
    (row,) = await still.signed("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")
    assert row["income"] == "-0.65000000" and row["symbol"] == "BTCUSDT"


async def test_a_funding_that_was_ordered_is_history_too_and_stays_it(tmp_path: Path) -> None:
    began, kept = now(), tmp_path / "state.json"
    async with running(still=True, state=kept) as (_, client):
        await client.post("/sandbox/market", funding={"symbol": "BTCUSDT", "rate": "-0.0002"})
        (row,) = before = await client.get("/fapi/v1/fundingRate", symbol="BTCUSDT")
        assert (row["fundingRate"], row["markPrice"]) == ("-0.00020000", "65000.00000000")
        assert began <= row["fundingTime"] <= now()
    async with running(still=True, state=kept) as (_, client):
        assert await client.get("/fapi/v1/fundingRate") == before


# --------------------------------------------------------------------------- WebSocket API


def frame(method: str, ident: object = 1, secret: str = SECRET, encode: bool = False, **params: object) -> str:
    fields = {"apiKey": KEY, "timestamp": now(), **params}
    spelled = sorted(
        (name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in fields.items()
    )
    text = urlencode(spelled) if encode else "&".join(f"{name}={value}" for name, value in spelled)
    return json.dumps({"id": ident, "method": method, "params": {**fields, "signature": sign(text, secret)}})


async def test_orders_over_the_websocket_api_answer_by_id(still: Client) -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.010",
        "price": "64000.0",
        "timeInForce": "GTX",
    }
    async with still.http.ws_connect(f"{still.ws}/ws-fapi/v1") as socket:
        for ident, name in (("a-uuid", "w:1"), (17, "w/2"), (None, "w3")):
            await socket.send_str(frame("order.place", ident, encode=ident == 17, **order, newClientOrderId=name))
        for ident, answer in zip(("a-uuid", 17, None), await read(socket, 3), strict=True):
            assert answer["id"] == ident and answer["status"] == 200 and answer["result"]["status"] == "NEW"
            assert [row["rateLimitType"] for row in answer["rateLimits"]] == ["REQUEST_WEIGHT", "ORDERS", "ORDERS"]
        assert answer["rateLimits"][1]["count"] == 3
        await socket.send_str(frame("order.place", "x", **(order | {"price": "66000.0"}), returnRateLimits=False))
        await socket.send_str(
            frame(
                "order.modify",
                2,
                symbol="BTCUSDT",
                side="BUY",
                origClientOrderId="w3",
                price="63000.0",
                quantity="0.010",
            )
        )
        await socket.send_str(frame("order.cancel", 3, symbol="BTCUSDT", origClientOrderId="w:1"))
        await socket.send_str(frame("order.status", 4, symbol="BTCUSDT", origClientOrderId="w:1"))
        refused, changed, gone, row = await read(socket, 4)
        assert refused == {"id": "x", "status": 400, "error": {"code": -5022, "msg": GTX_TEXT}}
        assert changed["result"]["price"] == "63000.00" and gone["result"]["status"] == "CANCELED"
        assert row["result"]["status"] == "CANCELED" and "avgPrice" in row["result"]


async def test_the_rest_of_the_websocket_api_answers(still: Client) -> None:
    async with still.http.ws_connect(f"{still.ws}/ws-fapi/v1?returnRateLimits=false") as socket:
        signed = [
            "v2/account.balance",
            "account.balance",
            "v2/account.status",
            "account.status",
            "v2/account.position",
            "account.position",
        ]
        for method in signed:
            await socket.send_str(frame(method, method))
        for answer in await read(socket, len(signed)):
            assert answer["status"] == 200, answer
            assert "rateLimits" not in answer
        for method, params in [
            ("depth", {"symbol": "BTCUSDT", "limit": 5}),
            ("ticker.price", {}),
            ("ticker.book", {"symbol": "BTCUSDT"}),
            ("userDataStream.start", {"apiKey": KEY}),
            ("userDataStream.ping", {"apiKey": KEY}),
            ("session.status", {}),
        ]:
            await socket.send_str(json.dumps({"id": method, "method": method, "params": params}))
            (answer,) = await read(socket, 1)
            assert answer["status"] == 200 and answer["id"] == method, answer
        bad = [
            (frame("order.cancel", 1, secret="wrong", symbol="BTCUSDT", orderId=1), 400, -1022),
            (frame("order.cancel", 1, symbol="BTCUSDT", orderId=1), 400, -2011),
            (json.dumps({"id": 1, "method": "order.place", "params": {"apiKey": "nobody"}}), 401, -2015),
            (json.dumps({"id": 1, "method": "order.place", "params": {}}), 401, -2014),
            (frame("session.logon", 1), 400, -4056),
            (json.dumps({"id": 1, "method": "no.such"}), 400, -5000),
            (json.dumps({"id": 1}), 400, -1102),
            ("{", 400, -1135),
        ]
        for text, status, code in bad:
            await socket.send_str(text)
            (answer,) = await read(socket, 1)
            assert (answer["status"], answer["error"]["code"]) == (status, code), answer


# --------------------------------------------------------------------------- market streams


async def test_the_synthetic_market_streams_everything() -> None:
    async with running(seed=3) as (_, client):
        names = ["btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@depth5@100ms", "btcusdt@trade"]
        others = [
            "btcusdt@aggTrade",
            "btcusdt@markPrice@1s",
            "btcusdt@kline_1m",
            "btcusdt@miniTicker",
            "btcusdt@ticker",
        ]
        async with (
            client.http.ws_connect(f"{client.ws}/public/stream?streams={'/'.join(names)}") as public,
            client.http.ws_connect(f"{client.ws}/market/stream?streams={'/'.join(others)}") as market,
        ):
            for socket, wanted in ((public, set(names)), (market, set(others))):
                async with asyncio.timeout(6):
                    while wanted:
                        event = json.loads(await socket.receive_str())
                        wanted.discard(event["stream"])
                        assert event["data"]["s"] == "BTCUSDT"


async def test_depth_events_keep_a_local_book_in_step() -> None:
    async with (
        running(seed=4) as (_, client),
        client.http.ws_connect(f"{client.ws}/public/ws/btcusdt@depth@100ms") as socket,
    ):
        buffered = [json.loads(await socket.receive_str())]
        book = await client.get("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
        sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
        previous = None
        for _ in range(12):
            event = buffered.pop() if buffered else json.loads(await socket.receive_str())
            if event["u"] < book["lastUpdateId"]:
                continue
            if previous is None:
                assert event["U"] <= book["lastUpdateId"] + 1 and book["lastUpdateId"] <= event["u"]
            else:
                assert event["pu"] == previous
            previous = event["u"]
            for side in "ba":
                for price, qty in event[side]:
                    sides[side].pop(price, None) if Decimal(qty) == 0 else sides[side].update({price: qty})
        best = max(map(Decimal, sides["b"])), min(map(Decimal, sides["a"]))
        assert best[0] < best[1] and best[1] - best[0] <= Decimal("0.2")


async def test_control_frames_answer_as_documented(still: Client) -> None:
    async with still.http.ws_connect(f"{still.ws}/public/ws/0") as socket:
        for text, answer in [
            (
                {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "btcusdt@kline_1m"], "id": "u-1"},
                {"result": None, "id": "u-1"},
            ),
            (
                {"method": "LIST_SUBSCRIPTIONS", "id": 2},
                {"result": ["btcusdt@bookTicker", "btcusdt@kline_1m"], "id": 2},
            ),
            ({"method": "UNSUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 3}, {"result": None, "id": 3}),
            ({"method": "GET_PROPERTY", "params": ["combined"], "id": 4}, {"result": False, "id": 4}),
            ({"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}, {"result": None, "id": 5}),
            (
                {"method": "SET_PROPERTY", "params": ["combined", 1], "id": 6},
                {"code": 1, "msg": "Invalid value type: expected Boolean"},
            ),
        ]:
            await socket.send_str(json.dumps(text))
            assert (await read(socket, 1))[0] == answer
        await socket.send_str("{")
        assert (await read(socket, 1))[0]["code"] == 3
        await still.reach("65010")
        (event,) = await read(socket, 1)
        assert event["stream"] == "btcusdt@bookTicker"
        assert (event["data"]["b"], event["data"]["a"]) == ("65009.90", "65010.10")


async def test_a_stream_on_the_wrong_route_stays_silent_and_unrouted_sockets_are_served(still: Client) -> None:
    async with (
        still.http.ws_connect(f"{still.ws}/market/ws/btcusdt@bookTicker") as wrong,
        still.http.ws_connect(f"{still.ws}/ws/btcusdt@bookTicker") as legacy,
    ):
        await still.reach("65010")
        await read(legacy, 1)
        with pytest.raises(TimeoutError):
            await read(wrong, 1, wait=0.2)


async def test_a_listen_key_works_as_a_stream_name(still: Client) -> None:
    _, _, answer = await still.raw("POST", "/fapi/v1/listenKey")
    key = answer["listenKey"]
    async with (
        still.http.ws_connect(f"{still.ws}/stream?streams={key}") as nautilus,
        still.http.ws_connect(f"{still.ws}/private/stream") as sdk,
        still.http.ws_connect(f"{still.ws}/private/ws/{key}") as raw,
    ):
        await sdk.send_str(json.dumps({"method": "SUBSCRIBE", "params": [key], "id": "uuid"}))
        await read(sdk, 1)
        await still.limit("BUY", "64000")
        for socket in (nautilus, sdk):
            (event,) = await read(socket, 1)
            assert event["stream"] == key and event["data"]["e"] == "ORDER_TRADE_UPDATE"
        assert (await read(raw, 1))[0]["e"] == "ORDER_TRADE_UPDATE"


async def test_market_data_over_rest_has_its_shapes() -> None:
    async with running(seed=5) as (_, client):
        await asyncio.sleep(0.5)
        assert len(await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m")) == 500
        hours = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1h", limit=5)
        assert [len(row) for row in hours] == [12] * 5 and hours[-1][6] == hours[-1][0] + 3_599_999
        depth = await client.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
        assert len(depth["bids"]) == 5 and Decimal(depth["bids"][0][1]) >= 5
        premium = await client.get("/fapi/v1/premiumIndex", symbol="BTCUSDT")
        assert {"markPrice", "indexPrice", "lastFundingRate", "nextFundingTime"} <= premium.keys()
        assert len(await client.get("/fapi/v1/ticker/24hr")) == 3
        assert (await client.get("/fapi/v2/ticker/price", symbol="ETHUSDT"))["symbol"] == "ETHUSDT"
        assert (await client.get("/fapi/v1/ticker/bookTicker", symbol="SOLUSDT"))["lastUpdateId"] > 0
        assert len(await client.get("/fapi/v1/trades", symbol="BTCUSDT", limit=1)) == 1
        assert "nq" in (await client.get("/fapi/v1/aggTrades", symbol="BTCUSDT"))[0]
        assert await client.get("/fapi/v1/fundingRate", symbol="BTCUSDT") == []
        status, _, answer = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=3")
        assert (status, answer) == (400, {"code": -4021, "msg": "3 is not valid depth limit"})
        status, _, answer = await client.raw("GET", "/fapi/v1/klines", "symbol=BTCUSDT&interval=1m&limit=1501")
        assert answer["code"] == -1130


# --------------------------------------------------------------------------- limits


async def test_order_limits_count_placements_and_not_cancels() -> None:
    async with running(still=True) as (sandbox, client):
        order = await client.limit("BUY", "64000")
        _, headers, _ = await client.full("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
        assert "X-MBX-ORDER-COUNT-10S" not in headers
        _, headers, _ = await client.full(
            "POST",
            "/fapi/v1/order",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            quantity="0.01",
            price="64000",
            timeInForce="GTX",
        )
        assert headers["X-MBX-ORDER-COUNT-10S"] == "2" and int(headers["X-MBX-USED-WEIGHT-1M"]) >= 1
        sandbox.exchange.quota.orders(KEY)[1].count = 1200
        status, headers, answer = await client.full(
            "POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01"
        )
        assert (status, answer["code"]) == (429, -1015) and int(headers["Retry-After"]) >= 1
        sandbox.exchange.quota.weight("127.0.0.1").count = 2400
        status, _, answer = await client.raw("GET", "/fapi/v1/ping")
        assert (status, answer["code"]) == (429, -1003)
        sandbox.exchange.quota.is_real = False
        assert (await client.raw("GET", "/fapi/v1/ping"))[0] == 200


@pytest.mark.parametrize("has_limits", [True, False])
async def test_limits_that_never_refuse_are_told_as_such_wherever_they_are_told(has_limits: bool) -> None:
    usual = {"REQUEST_WEIGHT/1/MINUTE": 2400, "ORDERS/1/MINUTE": 1200, "ORDERS/10/SECOND": 300}
    told = usual if has_limits else dict.fromkeys(usual, 1_000_000_000)

    def by_name(rows: list[dict[str, Any]]) -> dict[str, int]:
        return {f"{row['rateLimitType']}/{row['intervalNum']}/{row['interval']}": row["limit"] for row in rows}

    async with running(still=True, limits=has_limits) as (_, client):
        assert by_name((await client.get("/fapi/v1/exchangeInfo"))["rateLimits"]) == told
        orders = await client.signed("GET", "/fapi/v1/rateLimit/order")
        assert by_name(orders) == {name: limit for name, limit in told.items() if name.startswith("ORDERS")}
        async with client.http.ws_connect(f"{client.ws}/ws-fapi/v1") as socket:
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
            await socket.send_str(frame("order.place", 1, **order))
            (answer,) = await read(socket, 1)
            assert by_name(answer["rateLimits"]) == told


# --------------------------------------------------------------------------- replay


def tape(folder: Path, *candles: tuple[str, str, str, str], name: str = "x_BTCUSDT_1m.csv") -> str:
    lines = ["open_time,open,high,low,close,volume"]
    lines += [f"{1_700_000_000_000 + 60_000 * number},{','.join(row)},12" for number, row in enumerate(candles)]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return str(path)


async def finished(client: Client, wait: float = 10) -> Any:
    async with asyncio.timeout(wait):
        while not (state := await client.get("/sandbox/market"))["over"]:
            await asyncio.sleep(0.01)
    return state


async def test_a_replay_holds_goes_and_fills_at_own_prices_in_path_order(tmp_path: Path) -> None:
    path = tape(tmp_path, ("60000", "60100", "59000", "60050"), ("60050", "60060", "59950", "59960"))
    async with running(replay=(path,), speed=0, hold=True, settle=60) as (_, client):
        assert [row["symbol"] for row in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]] == ["BTCUSDT"]
        book = await client.get("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
        assert (book["bidPrice"], book["askPrice"]) == ("59999.90", "60000.10")
        for price in ("59500", "59100", "59800", "58999.9"):
            await client.limit("BUY", price)
        await asyncio.sleep(0.1)
        assert (await client.get("/sandbox/market"))["held"]
        began = time.monotonic()
        await client.post("/sandbox/market", go=True)
        state = await finished(client)
        assert time.monotonic() - began >= 0.06
        assert state["passed"] == 8 and state["last"]["BTCUSDT"] == "59960.00"
        fills = (await client.books())["fills"]
        assert [row["price"] for row in fills] == ["59800.00", "59500.00", "59100.00"]
        assert all(row["maker"] and row["qty"] == "0.010" for row in fills)
        bars = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m")
        assert bars[0][1:6] == ["60000.00", "60100.00", "59000.00", "60050.00", "12.000"]
        assert await client.get("/fapi/v1/premiumIndex", symbol="BTCUSDT")


async def test_the_tape_stands_while_its_trader_is_busy(tmp_path: Path) -> None:
    path = tape(tmp_path, ("60000", "60000", "59000", "59500"), ("59500", "61000", "59500", "60900"))
    async with running(replay=(path,), speed=0, hold=True, settle=500) as (_, client):
        await client.limit("BUY", "59500")
        await client.post("/sandbox/market", go=True)
        await asyncio.sleep(0.05)
        # Every request in time keeps the tape at the fill; the counter-order is there before the price comes back.
        for number in range(4):
            state = await client.get("/sandbox/market")
            assert (state["standing"], state["last"]["BTCUSDT"]) == (True, "59000.00")
            await client.limit("BUY", 58000 + number)
            await asyncio.sleep(0.25)
        await client.limit("SELL", "60500")
        await asyncio.sleep(0.1)
        await client.get("/fapi/v1/ping")
        await finished(client)
        fills = (await client.books())["fills"]
        assert [(row["side"], row["price"]) for row in fills] == [("BUY", "59500.00"), ("SELL", "60500.00")]
        assert fills[1]["realizedPnl"] == "10.00000000"


async def test_a_taker_order_fills_whole_at_the_path_price(tmp_path: Path) -> None:
    path = tape(tmp_path, ("60000", "60100", "59000", "60050"))
    async with running(replay=(path,), hold=True) as (_, client):
        assert (await client.market("BUY", "1", newOrderRespType="RESULT"))["executedQty"] == "1.000"
        assert (await client.books())["fills"][0]["price"] == "60000.00"
        assert (
            await client.refused(
                "POST",
                "/fapi/v1/order",
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                quantity="0.01",
                price="60000.1",
                timeInForce="GTX",
            )
            == -5022
        )
        await client.limit("BUY", "60000.0")


async def test_a_replay_keeps_its_pace_and_pays_funding_at_tape_time(tmp_path: Path) -> None:
    path = tape(tmp_path, *[("60000", "60010", "59990", "60000")] * 5)
    rates = tmp_path / "BTCUSDT_funding.csv"
    rates.write_text(f"funding_time,funding_rate\n{1_700_000_000_000 - 1},0.5\n{1_700_000_120_000},0.0001\n")
    async with running(replay=(path,), speed=600, hold=True, settle=0, funding=(f"BTCUSDT={rates}",)) as (_, client):
        await client.market("BUY", "0.100")
        began = time.monotonic()
        await client.post("/sandbox/market", go=True)
        await finished(client)
        assert 0.4 < time.monotonic() - began < 0.8
        rows = [row for row in (await client.books())["income"] if row["incomeType"] == "FUNDING_FEE"]
        assert [row["income"] for row in rows] == ["-0.60000000"]
        assert (await client.get("/fapi/v1/fundingRate", symbol="BTCUSDT"))[0]["fundingRate"] == "0.00010000"


async def test_brackets_of_a_file_hold_for_the_built_in_instruments_too(tmp_path: Path) -> None:
    row = {"bracket": 1, "initialLeverage": 7, "notionalCap": 9000, "notionalFloor": 0, "maintMarginRatio": 0.01}
    file = tmp_path / "brackets.json"
    file.write_text(json.dumps([{"symbol": "ETHUSDT", "brackets": [row | {"cum": 0.0}]}]))
    async with running(brackets=file) as (_, client):
        [told] = await client.signed("GET", "/fapi/v1/leverageBracket", symbol="ETHUSDT")
        assert [(each["initialLeverage"], each["notionalCap"]) for each in told["brackets"]] == [(7, 9000)]
        [others] = await client.signed("GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")
        assert len(others["brackets"]) > 1


async def test_files_that_cannot_be_played_are_refused_with_a_sentence(tmp_path: Path) -> None:
    for bad, word in (
        (str(tmp_path / "none.csv"), "no such file"),
        (tape(tmp_path, name="what.csv"), "holds no symbol"),
        (tape(tmp_path, name="x_NOPEUSDT_1m.csv"), "no such instrument"),
    ):
        with pytest.raises(Unreadable, match=word):
            Sandbox(Options(replay=(bad,)))
    broken = tmp_path / "x_ETHUSDT_1m.csv"
    broken.write_text("1,2,3\n")
    for options, word in (
        (Options(rules=tmp_path / "none.json"), "none.json: No such file or directory"),
        (Options(rules=broken), "no exchangeInfo"),
        (Options(brackets=broken), "no leverageBracket"),
    ):
        with pytest.raises(Unreadable, match=word):
            Sandbox(options)
    with pytest.raises(Unreadable, match="line 1 is no candle"):
        await Sandbox(Options(replay=(str(broken),))).start()


@pytest.mark.real_data
async def test_a_real_tape_plays(real_data: Path) -> None:
    path = real_data / "klines" / "binance-um_BTCUSDT_1m_2025-05-04_2025-06-24.csv.gz"
    async with running(replay=(str(path),), speed=0, settle=20, hold=True) as (_, client):
        first = Decimal((await client.get("/fapi/v2/ticker/price", symbol="BTCUSDT"))["price"])
        assert first == Decimal("95505.40")
        await client.limit("BUY", str(first - 500))
        await client.post("/sandbox/market", go=True)
        async with asyncio.timeout(20):
            while not (await client.books())["fills"]:
                await asyncio.sleep(0.05)


@pytest.fixture
def real_data() -> Path:
    import os

    folder = Path(os.environ.get("TRELLIS_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the recorded market data is not here (TRELLIS_DATA)")
    return folder


# --------------------------------------------------------------------------- state, accounts, faults


async def test_books_and_market_position_survive_a_restart(tmp_path: Path) -> None:
    path, kept = tape(tmp_path, *[("60000", "60100", "59000", "60050")] * 40), tmp_path / "state.json"
    options = {"replay": (path,), "speed": 6000, "settle": 0, "state": kept}
    async with running(**options) as (_, client):
        resting = await client.limit("BUY", "50000", newClientOrderId="rest")
        await client.market("BUY", "0.010")
        await asyncio.sleep(0.1)
        before = await client.books()
    async with running(**options) as (sandbox, client):
        after = await client.books()
        assert (
            after["orders"] == before["orders"]
            and after["fills"] == before["fills"]
            and after["income"] == before["income"]
        )
        assert sandbox.drive.passed >= 1
        again = await client.limit("BUY", "50001")
        assert again["orderId"] > resting["orderId"] + 1
        assert len(await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m")) >= 1
    with pytest.raises(Foreign, match="another market"):
        Sandbox(Options(still=True, state=kept))
    kept.write_text("{")
    with pytest.raises(Foreign, match="not a state file"):
        Sandbox(Options(**options))


async def test_a_dead_mans_switch_outlives_a_restart(tmp_path: Path) -> None:
    kept, path = tmp_path / "state.json", "/fapi/v1/countdownCancelAll"
    async with running(still=True, state=kept) as (_, client):
        for symbol, price, left in (("BTCUSDT", "64000", 300), ("SOLUSDT", "140", 60_000)):
            await client.limit("BUY", price, "1" if symbol == "SOLUSDT" else "0.010", symbol=symbol)
            await client.signed("POST", path, symbol=symbol, countdownTime=left)
    await asyncio.sleep(0.3)
    async with running(still=True, state=kept) as (_, client):
        await asyncio.sleep(0.1)
        assert [order["symbol"] for order in await client.signed("GET", "/fapi/v1/openOrders")] == ["SOLUSDT"]


async def test_a_restart_gives_no_number_of_books_and_conditional_orders_again(tmp_path: Path) -> None:
    stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    stop |= {"quantity": "0.010", "triggerPrice": "60000"}
    for options in ({}, {"state": tmp_path / "state.json"}):
        updates, algos = [], []
        for _ in range(2):
            async with running(still=True, **options) as (_, client):
                await client.limit("BUY", "64000")
                updates.append((await client.get("/fapi/v1/depth", symbol="BTCUSDT"))["lastUpdateId"])
                algos.append((await client.signed("POST", "/fapi/v1/algoOrder", **stop))["algoId"])
        assert 10**12 < updates[0] < updates[1] and algos[0] < algos[1] < 2**53


async def test_accounts_do_not_see_one_another_and_trade_together() -> None:
    accounts = (Opening("k1", "s1", Decimal(5000)), Opening.parse("k2:s2:7000"))
    async with running(accounts=accounts, seed=9) as (_, client):
        port = int(client.base.rsplit(":", 1)[1])
        one, two = Client(client.http, port, "k1", "s1"), Client(client.http, port, "k2", "s2")
        assert (await one.signed("GET", "/fapi/v3/balance"))[0]["balance"] == "5000.00000000"
        await one.limit("BUY", "60000")
        assert await two.signed("GET", "/fapi/v1/openOrders") == []
        assert (await two.books())["orders"] == []
        assert "s1" not in repr(accounts)


async def test_an_unknown_answer_may_hide_an_order_that_was_executed(still: Client) -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.01",
        "price": "64000",
        "timeInForce": "GTX",
    }
    await still.post("/sandbox/faults", next=[{"kind": "unknown", "on": "POST /fapi/v1/order"}, {"kind": "lost"}])
    for name, exists in (("a", True), ("b", False)):
        status, _, answer = await still.full("POST", "/fapi/v1/order", **order, newClientOrderId=name)
        assert status == 503 and "Unknown error" in answer["msg"]
        found = await still.full("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=name)
        assert (found[0] == 200) is exists
    await still.post("/sandbox/faults", next=[{"kind": "refuse", "code": -2019, "count": 2}])
    for _ in range(2):
        assert await still.refused("POST", "/fapi/v1/order", **order) == -2019
    await still.post("/sandbox/faults", next=[{"kind": "silent"}])
    with pytest.raises(aiohttp.ClientError):
        await still.full("POST", "/fapi/v1/order", **order, newClientOrderId="c")
    assert (await still.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="c"))["status"] == "NEW"
    await still.post("/sandbox/faults", maintenance=True)
    assert (await still.raw("GET", "/fapi/v1/ping"))[0] == 503
    await still.post("/sandbox/faults", clear=True)
    await still.get("/fapi/v1/ping")


async def test_sockets_are_dropped_stalled_and_fed_twice_on_demand(still: Client) -> None:
    async with still.user() as socket:
        await still.post("/sandbox/faults", stall={"user": 300})
        began = time.monotonic()
        await still.limit("BUY", "64000")
        await read(socket, 1)
        assert time.monotonic() - began > 0.25
        await still.post("/sandbox/faults", duplicate=1)
        await still.limit("BUY", "63000")
        first, second = await read(socket, 2)
        assert first == second
        async with still.http.ws_connect(f"{still.ws}/public/ws/btcusdt@bookTicker") as market:
            assert (await still.post("/sandbox/faults", drop=["user"]))["dropped"] == 1
            message = await socket.receive(timeout=2)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
            assert not market.closed
    order = await still.limit("BUY", "62000", newClientOrderId="sys")
    async with still.user() as socket:
        await still.post("/sandbox/faults", expire_orders=[[KEY, order["orderId"]]])
        (event,) = await read(socket, 1)
        assert (event["o"]["x"], event["o"]["X"], event["o"]["er"]) == ("EXPIRED", "EXPIRED", "6")


async def test_an_order_over_the_websocket_api_takes_well_under_a_millisecond() -> None:
    async with (
        running(still=True, limits=False, scramble=False) as (_, client),
        client.http.ws_connect(f"{client.ws}/ws-fapi/v1") as socket,
        client.user(),
    ):
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "timeInForce": "GTX"}
        taken = []
        for number in range(150):
            text = frame("order.place", number, **order, price=str(60000 + number))
            began = time.perf_counter()
            await socket.send_str(text)
            await socket.receive_str()
            taken.append(time.perf_counter() - began)
        # Client and server share this process; the median leaves the machine's other work out.
        assert sorted(taken)[75] < 0.002


async def test_strict_routes_serve_only_public_streams_to_unrouted_sockets() -> None:
    async with running(still=True, strict_routes=True) as (_, client):
        _, _, answer = await client.raw("POST", "/fapi/v1/listenKey")
        async with client.http.ws_connect(
            f"{client.ws}/stream?streams=btcusdt@bookTicker/{answer['listenKey']}"
        ) as socket:
            await client.limit("BUY", "64000")
            await client.reach("65010")
            (event,) = await read(socket, 1)
            assert event["stream"] == "btcusdt@bookTicker"


async def test_too_many_control_frames_end_the_connection() -> None:
    async with running(still=True) as (_, client), client.http.ws_connect(f"{client.ws}/public/ws") as socket:
        for number in range(40):
            await socket.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        async with asyncio.timeout(3):
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1008


async def test_served_until_cancelled_and_saved(tmp_path: Path) -> None:
    kept, ready = tmp_path / "state.json", asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(Options(still=True, state=kept), ready=ready))
    port = await ready
    async with aiohttp.ClientSession() as http:
        client = Client(http, port)
        await client.limit("BUY", "64000", newClientOrderId="kept")
        async with client.user() as socket:
            serving.cancel()
            assert (await socket.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSE
        await asyncio.wait([serving])
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get("/fapi/v1/ping")
    orders = Sandbox(Options(still=True, state=kept)).exchange.venue.open_orders(KEY)
    assert [order.client_id for order in orders] == ["kept"]
