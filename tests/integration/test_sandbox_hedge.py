"""Hedge mode over the wire: LONG and SHORT in every answer and event (binance-usdm.md §12.3, §12.4)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sandboxes import KEY, SECRET, Client, now, read, running, sign, until
from trading.sandbox.server import Opening

pytestmark = pytest.mark.timeout(60)

ORDER, ALGO, RISK = "/fapi/v1/order", "/fapi/v1/algoOrder", "/fapi/v3/positionRisk"


async def hedge(client: Client) -> Client:
    await client.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    return client


@pytest.fixture
async def still() -> AsyncIterator[Client]:
    async with running(still=True) as (_, client):
        yield await hedge(client)


async def opened(client: Client, long: str = "0.02", short: str = "0.01") -> None:
    await client.market("BUY", long, positionSide="LONG")
    await client.market("SELL", short, positionSide="SHORT")


def sides(rows: list[Any], name: str = "positionAmt") -> list[tuple[str, str]]:
    return [(row["positionSide"], row[name]) for row in rows if row["symbol"] == "BTCUSDT"]


async def test_two_positions_are_traded_and_told_apart(still: Client) -> None:
    await opened(still)
    waiting = await still.limit("SELL", "66000", "0.02", positionSide="LONG")
    assert (waiting["positionSide"], waiting["reduceOnly"]) == ("LONG", True), "the live exchange says so unasked"
    opening = await still.limit("SELL", "66000", "0.01", positionSide="SHORT")
    assert (opening["positionSide"], opening["reduceOnly"]) == ("SHORT", False)
    assert sides(await still.signed("GET", RISK)) == [("LONG", "0.020"), ("SHORT", "-0.010")]
    account = await still.signed("GET", "/fapi/v3/account")
    assert sides(account["positions"]) == [("LONG", "0.020"), ("SHORT", "-0.010")]
    assert Decimal(account["totalPositionInitialMargin"]) == Decimal("0.03") * 65000 / 20
    for path in ("/fapi/v2/positionRisk", "/fapi/v2/account"):
        rows = await still.signed("GET", path)
        rows = rows["positions"] if isinstance(rows, dict) else rows
        assert sides(rows) == [("LONG", "0.020"), ("SHORT", "-0.010")]
        assert sorted({row["positionSide"] for row in rows}) == ["LONG", "SHORT"]
        assert len(rows) == 6, "every symbol"
    told = await still.signed("GET", "/fapi/v1/openOrders")
    assert [(row["side"], row["positionSide"], row["reduceOnly"]) for row in told] == [
        ("SELL", "LONG", True),
        ("SELL", "SHORT", False),
    ]
    rows = await still.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")
    assert [row["positionSide"] for row in rows] == ["LONG", "SHORT", "LONG", "SHORT"]
    trades = await still.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [(row["side"], row["positionSide"]) for row in trades] == [("BUY", "LONG"), ("SELL", "SHORT")]
    assert (await still.signed("GET", ORDER, symbol="BTCUSDT", orderId=waiting["orderId"]))["positionSide"] == "LONG"
    assert sides((await still.books())["positions"]) == [("LONG", "0.020"), ("SHORT", "-0.010")]
    assert Decimal((await still.get("/fapi/v1/openInterest", symbol="BTCUSDT"))["openInterest"]) == Decimal("0.03")
    await still.reach("66000")
    assert sides(await still.signed("GET", RISK)) == [("SHORT", "-0.020")]


async def test_events_say_which_side_and_tell_the_hedge_whole(still: Client) -> None:
    async with still.user() as socket:
        await still.market("BUY", "0.02", positionSide="LONG")
        first = await read(socket, 4)
        await still.market("SELL", "0.01", positionSide="SHORT")
        await read(socket, 4)
        await still.market("SELL", "0.02", positionSide="LONG")
        last = await read(socket, 4)
    orders = [each["o"] for each in first + last if each["e"] == "ORDER_TRADE_UPDATE"]
    assert [(each["S"], each["ps"], each["R"], each["x"]) for each in orders] == [
        ("BUY", "LONG", False, "NEW"),
        ("BUY", "LONG", False, "TRADE"),
        ("SELL", "LONG", True, "NEW"),
        ("SELL", "LONG", True, "TRADE"),
    ]
    changes = [each["a"] for each in first + last if each["e"] == "ACCOUNT_UPDATE"]
    assert [[(row["ps"], row["pa"]) for row in each["P"]] for each in changes] == [
        [("BOTH", "0.000"), ("LONG", "0.020"), ("SHORT", "0.000")],
        [("BOTH", "0.000"), ("LONG", "0.000"), ("SHORT", "-0.010")],
    ]
    assert [each["e"] for each in first].count("TRADE_LITE") == 1


async def test_a_side_that_shrinks_ends_what_waits_to_close_it(still: Client) -> None:
    await opened(still)
    await still.limit("SELL", "66000", "0.02", positionSide="LONG")
    assert await still.refused(
        "POST", ORDER, symbol="BTCUSDT", side="SELL", type="LIMIT", price="67000", quantity="0.001",
        timeInForce="GTC", positionSide="LONG",
    ) == -2022  # fmt: skip
    async with still.user() as socket:
        await still.market("SELL", "0.02", positionSide="LONG")
        while (told := await until(socket, "ORDER_TRADE_UPDATE"))["o"]["x"] != "EXPIRED":
            pass
    assert (told["o"]["er"], told["o"]["ps"], told["o"]["X"]) == ("4", "LONG", "EXPIRED")


async def test_the_test_order_the_amendment_and_the_batch_know_sides(still: Client) -> None:
    await opened(still)
    order = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "66000"}
    tried = await still.signed("POST", ORDER + "/test", **order, side="SELL", positionSide="LONG")
    assert (tried["orderId"], tried["positionSide"], tried["reduceOnly"]) == (0, "LONG", True)
    entries = [
        order | {"side": "SELL", "positionSide": "LONG"},
        order | {"side": "SELL", "positionSide": "BOTH"},
        order | {"side": "SELL", "positionSide": "SHORT", "reduceOnly": "true"},
        order | {"side": "BUY", "positionSide": "SHORT", "price": "64000"},
        order | {"side": "BUY", "positionSide": "SHORT", "price": "64000"},
    ]
    made = await still.signed("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(entries))
    assert [each.get("code", each.get("positionSide")) for each in made] == ["LONG", -4061, -1106, "SHORT", -2022]
    change = {"symbol": "BTCUSDT", "side": "SELL", "orderId": made[0]["orderId"], "quantity": "0.001", "price": "65500"}
    assert await still.refused("PUT", ORDER, **change, reduceOnly="true") == -1106
    changed = await still.signed("PUT", ORDER, **change | {"quantity": "0.02"})
    assert (changed["positionSide"], changed["origQty"]) == ("LONG", "0.020")
    assert await still.refused("PUT", ORDER, **change | {"quantity": "0.021"}) == -2022
    async with still.user() as socket:
        await still.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=1)
        ends = [(told["o"]["x"], told["o"]["ps"]) for told in await read(socket, 2)]
    assert ends == [("CANCELED", "LONG"), ("CANCELED", "SHORT")]
    assert await still.signed("GET", "/fapi/v1/openOrders") == []


async def test_the_socket_speaks_of_sides_too(still: Client) -> None:
    async with still.http.ws_connect(still.ws + "/ws-fapi/v1") as socket:

        async def ask(method: str, **params: object) -> Any:
            asked: dict[str, Any] = {"apiKey": KEY, "timestamp": now(), **params}
            text = "&".join(f"{name}={asked[name]}" for name in sorted(asked))
            await socket.send_json({"id": 1, "method": method, "params": asked | {"signature": sign(text, SECRET)}})
            answer = await socket.receive_json()
            return answer.get("result", answer.get("error"))

        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        made = await ask("order.place", **order, positionSide="LONG")
        assert made["positionSide"] == "LONG"
        assert (await ask("order.place", **order))["code"] == -4061
        row = await ask("order.status", symbol="BTCUSDT", orderId=made["orderId"])
        assert (row["positionSide"], row["status"]) == ("LONG", "FILLED")
        assert sides(await ask("v2/account.position")) == [("LONG", "0.010")]
        assert sides(await ask("account.position")) == [("LONG", "0.010"), ("SHORT", "0.000")]
        assert sides((await ask("v2/account.status"))["positions"]) == [("LONG", "0.010")]
        assert sides((await ask("account.status"))["positions"]) == [("LONG", "0.010"), ("SHORT", "0.000")]
        stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
        algo = await ask("algoOrder.place", **stop, triggerPrice="60000", quantity="0.01", positionSide="LONG")
        assert (algo["positionSide"], algo["reduceOnly"]) == ("LONG", True)


async def test_conditional_orders_have_a_side(still: Client) -> None:
    await opened(still)
    stop: dict[str, object] = {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "triggerPrice": "64000",
        "closePosition": "true",
        "positionSide": "LONG",
    }
    assert await still.refused("POST", ALGO, **stop | {"side": "BUY", "triggerPrice": "66000"}) == -4138
    made = await still.signed("POST", ALGO, **stop)
    assert (await still.signed("GET", ALGO, algoId=made["algoId"]))["positionSide"] == "LONG"
    async with still.user() as socket:
        await still.reach("63900")
        update = (await until(socket, "ALGO_UPDATE"))["o"]
        assert (update["ps"], update["X"]) == ("LONG", "TRIGGERING")
        assert (await until(socket, "ORDER_TRADE_UPDATE"))["o"]["ps"] == "LONG"
    assert sides(await still.signed("GET", RISK)) == [("SHORT", "-0.010")]


async def test_margin_type_and_leverage_are_of_the_symbol_and_margin_of_the_side(still: Client) -> None:
    async with still.user() as socket:
        await still.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
        (told,) = await read(socket, 1)
    assert [(row["ps"], row["mt"]) for row in told["a"]["P"]] == [
        (each, "isolated") for each in ("BOTH", "LONG", "SHORT")
    ]
    await still.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=10)
    await opened(still)
    move: dict[str, object] = {"symbol": "BTCUSDT", "amount": "50", "type": 1}
    assert await still.refused("POST", "/fapi/v1/positionMargin", **move) == -4061
    await still.signed("POST", "/fapi/v1/positionMargin", **move, positionSide="SHORT")
    rows = await still.signed("GET", RISK)
    assert [Decimal(row["isolatedWallet"]) for row in rows] == [130, 115]
    (row,) = await still.signed("GET", "/fapi/v1/positionMargin/history", symbol="BTCUSDT")
    assert row["positionSide"] == "SHORT"
    assert await still.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5) == -4161
    (row,) = await still.signed("GET", "/fapi/v1/adlQuantile")
    assert row["adlQuantile"] == {"LONG": 1, "SHORT": 1, "BOTH": 0}
    await still.post("/sandbox/market", funding={"symbol": "BTCUSDT", "rate": "0.0001"})
    paid = await still.signed("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")
    assert [Decimal(row["income"]) for row in paid] == [Decimal("-0.13"), Decimal("0.065")]


async def test_the_sides_of_a_cross_hedge_share_their_place_in_the_queue_and_their_price() -> None:
    openings = tuple(Opening(f"key{n}", f"secret{n}", Decimal(2000)) for n in range(4))
    async with running(still=True, accounts=openings) as (sandbox, client):
        first, *others = [Client(client.http, sandbox.port, each.key, each.secret) for each in openings]
        await opened(await hedge(first), "0.2", "0.1")
        await client.reach("65500")
        for each in others:
            await each.market("SELL", "0.01")
        await client.reach("66000")
        (row,) = await first.signed("GET", "/fapi/v1/adlQuantile")
        assert row["adlQuantile"] == {"LONG": 1, "SHORT": 1, "HEDGE": 0}
        await others[0].market("BUY", "0.02")
        await client.reach("67000")
        (row,) = await first.signed("GET", "/fapi/v1/adlQuantile")
        assert row["adlQuantile"] == {"LONG": 3, "SHORT": 3, "HEDGE": 0}
        rows = await first.signed("GET", RISK)
        assert [each["adl"] for each in rows] == [3, 3]
        assert rows[0]["liquidationPrice"] == rows[1]["liquidationPrice"] != "0"
        await client.post("/sandbox/market", adl={"account": "key0", "symbol": "BTCUSDT", "positionSide": "SHORT"})
        assert sides(await first.signed("GET", RISK)) == [("LONG", "0.200")]


async def test_a_hedge_in_danger_is_called_and_liquidated_side_by_side() -> None:
    async with running(still=True, accounts=(Opening(KEY, SECRET, Decimal(400)),)) as (_, client):
        await hedge(client)
        await client.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
        await opened(client, "0.11", "0.01")
        async with client.user() as socket:
            await client.reach("61400")
            call = await until(socket, "MARGIN_CALL")
            assert [(each["ps"], each["pa"]) for each in call["p"]] == [("LONG", "0.110"), ("SHORT", "-0.010")]
            await client.reach("61000")
            ends = []
            while len(ends) < 2:
                told = (await until(socket, "ORDER_TRADE_UPDATE"))["o"]
                ends += [(told["S"], told["ps"])] if told["x"] == "CALCULATED" else []
        assert ends == [("SELL", "LONG"), ("BUY", "SHORT")]
        rows = await client.signed("GET", "/fapi/v1/forceOrders")
        assert [row["positionSide"] for row in rows] == ["LONG", "SHORT"]
        assert await client.signed("GET", RISK) == []


async def test_a_hedge_survives_a_restart(tmp_path: Path) -> None:
    kept = tmp_path / "state.json"
    async with running(still=True, state=kept) as (_, client):
        await opened(await hedge(client))
        await client.limit("SELL", "66000", "0.02", positionSide="LONG")
        books = await client.books()
    async with running(still=True, state=kept) as (_, client):
        assert await client.books() == books
        assert (await client.signed("GET", "/fapi/v1/positionSide/dual"))["dualSidePosition"] is True
        await client.reach("66000")
        assert sides(await client.signed("GET", RISK)) == [("SHORT", "-0.010")]
        assert await client.refused("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false") == -4068
        await client.market("BUY", "0.01", positionSide="SHORT")
        await client.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false")
        await client.market("BUY", "0.01")
        assert sides(await client.signed("GET", RISK)) == [("BOTH", "0.010")]


async def test_a_state_from_before_there_were_hedges_is_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    openings = (Opening(KEY, SECRET, Decimal(1000)), Opening("other", "secret", Decimal(1000)))
    async with running(still=True, state=path, accounts=openings) as (_, client):
        await client.limit("BUY", "64000")
        await client.market("BUY")
    kept = json.loads(path.read_text())
    for account in kept["venue"]["accounts"]:
        del account["is_hedged"]
        for row in (*account["positions"].values(), *account["orders"], *account["trades"]):
            del row["position_side"]
            row.pop("key", None)
    kept["hedged"] = ["other"]
    path.write_text(json.dumps(kept))
    async with running(still=True, state=path, accounts=openings) as (sandbox, client):
        await client.reach("64000")
        assert sides(await client.signed("GET", RISK)) == [("BOTH", "0.020")]
        other = Client(client.http, sandbox.port, "other", "secret")
        await other.market("BUY", positionSide="LONG")
        assert sides(await other.signed("GET", RISK)) == [("LONG", "0.010")]


async def test_two_accounts_of_one_market_keep_their_modes_apart() -> None:
    openings = (Opening(KEY, SECRET), Opening("other", "secret"))
    async with running(still=True, accounts=openings) as (sandbox, client):
        other = await hedge(Client(client.http, sandbox.port, "other", "secret"))
        await client.market("BUY", "0.02")
        await opened(other, "0.01", "0.02")
        assert sides(await client.signed("GET", RISK)) == [("BOTH", "0.020")]
        assert await client.refused(
            "POST", ORDER, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01", positionSide="LONG"
        ) == -4061  # fmt: skip
