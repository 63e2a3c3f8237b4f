"""Binance's wire against what Binance really sent, and against itself."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.gateways.binance import errors, wire
from trading.gateways.binance.events import Translator, is_settlement
from trading.gateways.binance.names import Names
from trading.gateways.binance.signing import Signer
from trading.messages import Accepted, Closed, Filled, Foreign, Place, Reason, Uncertain
from trading.model import ClientOrderId, OrderType, Side, TimeInForce
from trading.ports import Broken, Credentials, Disconnected, RateLimited, Rejected
from trading.ports import Uncertain as Unknown

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TRELLIS_DATA", ROOT.parent / "shared" / "data")) / "exchange_json"


def read(name: str) -> bytes:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"recorded data is absent: {name}")
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read(name).splitlines() if line.strip()]


# --------------------------------------------------------------------------- recorded


@pytest.mark.real_data
def test_every_recorded_user_event_decodes_and_encodes_to_the_very_same_fields() -> None:
    recorded = [row["msg"] for row in lines("binance_fapi_userdata_recorded.jsonl")]
    assert len(recorded) >= 17
    for message in recorded:
        event = wire.user_event(json.dumps(message).encode())
        assert event is not None
        assert json.loads(wire.encode(event)) == message


@pytest.mark.real_data
def test_the_frames_that_are_passed_over_tell_the_gateway_nothing() -> None:
    idle: set[str] = set()
    for row in lines("binance_fapi_userdata_recorded.jsonl"):
        for spaces in ((",", ":"), (", ", ": ")):
            text = json.dumps(row["msg"], separators=spaces).encode()
            if wire.is_idle(text):
                frame = wire.user_event(text)
                assert frame is not None
                assert (translator().events(frame), is_settlement(frame)) == ([], False)
                idle.add(row["msg"]["e"])
    assert idle == {"TRADE_LITE", "ACCOUNT_UPDATE"}


@pytest.mark.parametrize(
    "text",
    [
        b'{"E":1,"e":"TRADE_LITE"}',
        b'{ "e":"TRADE_LITE"}',
        b'{"e":"ACCOUNT_UPDATE","T":5,"E":6,"a":{"m":"FUNDING_FEE","B":[],"P":[]}}',
        b'{"e":"ACCOUNT_UPDATE","T":5,"E":6,"a":{"m":"ORDERLY","B":[],"P":[]}}',
        b'{"e":"ORDER_TRADE_UPDATE","o":{"m":"ORDER"}}',
        b'{"e":"listenKeyExpired"}',
        b'{"e":"serverShutdown"}',
    ],
)
def test_whatever_is_laid_out_otherwise_or_says_something_is_not_passed_over(text: bytes) -> None:
    assert not wire.is_idle(text)


@pytest.mark.real_data
def test_every_recorded_error_body_decodes_and_means_something() -> None:
    for row in lines("binance_error_responses.jsonl"):
        body = row["body"]
        fault = wire.decode(json.dumps(body).encode(), wire.Fault)
        assert (fault.code, fault.msg) == (body["code"], body.get("msg", ""))
        reason = errors.refusal(400, fault.code, fault.msg)
        assert reason is None or isinstance(reason, Reason)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["mainnet_2021-07-21", "mainnet_2025-10-30", "testnet_2025-11-26"])
def test_recorded_exchange_info_becomes_instruments_and_comes_back(name: str) -> None:
    body = read(f"binance_fapi_exchangeInfo_{name}.json.gz")
    info, plain = wire.exchange_info(body), json.loads(body)
    assert [row.symbol for row in info.symbols] == [row["symbol"] for row in plain["symbols"]]
    for row, expected in zip(info.symbols, plain["symbols"], strict=True):
        encoded = json.loads(wire.encode(row))
        for key in expected.keys() & encoded.keys() - {"filters"}:
            assert encoded[key] == expected[key], (row.symbol, key)
        assert encoded["filters"] == expected["filters"]
        by_type = {rule["filterType"]: rule for rule in expected["filters"]}
        tick = by_type.get("PRICE_FILTER", {}).get("tickSize", "0")
        if not Decimal(tick) or not Decimal(by_type["LOT_SIZE"]["stepSize"]):
            with pytest.raises(wire.Malformed):  # testnet has one with step 0
                wire.instrument(row)
            continue
        rules = wire.instrument(row)
        assert rules.tick_size == Decimal(tick)
        assert rules.key.startswith("binance:")
    assert {row.rate_limit_type for row in info.rate_limits} == {"REQUEST_WEIGHT", "ORDERS"}


@pytest.mark.real_data
def test_bitcoin_has_the_rules_that_mainnet_published() -> None:
    info = wire.exchange_info(read("binance_fapi_exchangeInfo_mainnet_2025-10-30.json.gz"))
    rules = wire.instrument(next(row for row in info.symbols if row.symbol == "BTCUSDT"))
    assert (rules.key, rules.tick_size, rules.lot_size) == (
        "binance:BTC-USDT-PERP",
        Decimal("0.10"),
        Decimal("0.001"),
    )
    assert (rules.min_notional, rules.market_max_qty) == (100, 120)
    assert (rules.max_orders, rules.multiplier_up) == (200, Decimal("1.05"))
    dated = next(row for row in info.symbols if "_" in row.symbol)
    assert wire.instrument(dated).key.endswith("-" + dated.symbol.partition("_")[2])


@pytest.mark.real_data
def test_recorded_leverage_brackets_are_continuous() -> None:
    rows = wire.one_or_many(read("binance_fapi_leverageBracket_mainnet_2026-09.json.gz"), wire.SymbolBrackets)
    assert len(rows) > 900
    for row in rows:
        found = wire.brackets(row)
        assert found[0].floor == 0
        for below, above in itertools.pairwise(found):
            assert below.cap == above.floor
            assert above.cum == pytest.approx(below.cum + above.floor * (above.mmr - below.mmr), abs=1)


# --------------------------------------------------------------------------- tolerance


def test_unknown_event_names_are_ignored_and_unknown_fields_and_values_too() -> None:
    assert wire.user_event(b'{"e":"STRATEGY_UPDATE","T":1,"E":2,"su":{}}') is None
    assert wire.user_event(b'{"e":"GRID_UPDATE","E":1,"gu":{}}') is None
    assert wire.market_event(b'{"result":null,"id":7}') is None
    assert wire.market_event(b'{"e":"forceOrder","E":1,"o":{}}') is None
    event = wire.market_event(b'{"e":"bookTicker","u":1,"s":"X","b":"1","B":"2","a":"3","A":"4","E":5,"T":6,"new":[1]}')
    assert isinstance(event, wire.BookTicker)
    order = wire.decode(
        b'{"orderId":1,"symbol":"X","status":"HALF_FROZEN","clientOrderId":"c","side":"BUY","type":"NEW_TYPE"}',
        wire.Order,
    )
    assert order.status == "HALF_FROZEN"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b'{"e":"ORDER_TRADE_UPDATE"}',
        b'{"e":"ORDER_TRADE_UPDATE","o":{"s":1}}',
        b'{"e":"TRADE_LITE","E":"x"}',
        b"\xff\xfe",
    ],
)
def test_malformed_user_frames_raise_one_exception(frame: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.user_event(frame)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    for decode in (wire.user_event, wire.market_event):
        with contextlib.suppress(wire.Malformed):
            decode(data)


def test_a_symbol_that_does_not_decode_does_not_spoil_the_list() -> None:
    body = b'{"symbols":[{"symbol":"A","baseAsset":"A","quoteAsset":"U"},{"symbol":7},{"symbol":"B","filters":3}]}'
    assert [row.symbol for row in wire.exchange_info(body).symbols] == ["A"]


def test_a_symbol_without_price_rule_is_no_instrument() -> None:
    with pytest.raises(wire.Malformed):
        wire.instrument(wire.SymbolInfo(symbol="A", base_asset="A", quote_asset="U"))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**9), max_value=10**9))
@settings(max_examples=200, deadline=None)
def test_numbers_are_written_plainly_and_read_back_exactly(value: Decimal) -> None:
    data = wire.encode(wire.PriceTicker("1E5", value, 1))
    assert "E" not in json.loads(data)["price"]
    assert json.loads(data)["symbol"] == "1E5"
    assert wire.decode(data, wire.PriceTicker).price == value


def test_exponents_are_spelled_out_in_nested_and_array_like_messages() -> None:
    tiny = Decimal("0E-8")
    depth = wire.Depth(1, [wire.Level(Decimal("1E-8"), tiny)], [])
    assert json.loads(wire.encode({"x": [depth]}))["x"][0]["bids"] == [["0.00000001", "0.00000000"]]
    update = wire.DepthUpdate(symbol="X", first=1, last=2, bids=[wire.Level(tiny, tiny)])
    encoded = json.loads(wire.encode(update))
    assert encoded["e"] == "depthUpdate"
    assert encoded["b"] == [["0.00000000", "0.00000000"]]


def test_absent_optional_fields_stay_absent() -> None:
    order = wire.Order(order_id=1, symbol="X", status="NEW", client_order_id="c", side=Side.BUY)
    assert not {"avgPrice", "cumQuote", "time", "pair", "modifyId"} & json.loads(wire.encode(order)).keys()


# --------------------------------------------------------------------------- signing


def test_the_published_vectors_are_signed_as_published() -> None:
    official = Signer(Credentials("key", "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"))
    text = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
        "&recvWindow=5000&timestamp=1591702613943"
    )
    assert official.signature(text) == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    params = dict(pair.split("=") for pair in text.split("&")[:-2])
    assert official.query(params, 1591702613943) == text + "&signature=" + official.signature(text)


def test_a_request_of_the_websocket_api_is_signed_over_its_sorted_parameters() -> None:
    signer = Signer(Credentials("sandboxkey", "sandboxsecret"))
    params = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "price": "60000.0",
        "quantity": "0.010",
        "timeInForce": "GTX",
        "newClientOrderId": "g-1",
    }
    request = wire.decode(signer.request(5, "order.place", params, 1790000000000), wire.Request)
    assert request.params["signature"] == "4cb4de865e193a70d1f38eaad1bac4e412f957e60000967502edd5d856dd8206"


@pytest.mark.parametrize("reduce_only", [False, True])
@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.MARKET])
def test_a_hand_built_order_says_and_signs_the_same_as_a_general_request(kind: OrderType, reduce_only: bool) -> None:
    signer = Signer(Credentials("sandboxkey", "sandboxsecret"))
    cid = ClientOrderId("ab12", 3, -4, 17)
    order = Place("BTCUSDT", cid, Side.SELL, kind, TimeInForce.GTX, Decimal("6E+4"), Decimal("0.010"), reduce_only)
    params: dict[str, str | int] = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": kind.value,
        "quantity": "0.010",
        "newClientOrderId": "tab12.3.-4.17",
    }
    if kind is OrderType.LIMIT:
        params |= {"price": "60000", "timeInForce": "GTX"}
    if reduce_only:
        params["reduceOnly"] = "true"
    assert json.loads(signer.place(9, order, 1790000000000)) == json.loads(
        signer.request(9, "order.place", params, 1790000000000)
    )


def test_a_hand_built_cancel_says_and_signs_the_same_as_a_general_request() -> None:
    signer = Signer(Credentials("sandboxkey", "sandboxsecret"))
    params: dict[str, str | int] = {"symbol": "BTCUSDT", "origClientOrderId": "tab12.3.o.0"}
    cid = ClientOrderId.parse("tab12.3.o.0")
    assert cid is not None
    assert json.loads(signer.cancel(2, "BTCUSDT", cid, 5)) == json.loads(signer.request(2, "order.cancel", params, 5))


def test_the_secret_shows_nowhere() -> None:
    credentials = Credentials("publickey", "topsecretvalue")
    signer = Signer(credentials)
    shown = f"{credentials!r} {credentials} {signer!r} {signer}"
    assert "topsecret" not in shown
    assert "publickey" not in shown


# --------------------------------------------------------------------------- meaning


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (400, -5022, "", Reason.WOULD_CROSS),
        (400, -2019, "", Reason.MARGIN),
        (400, -4116, "", Reason.DUPLICATE),
        (400, -1111, "", Reason.FILTER),
        (400, -4014, "", Reason.FILTER),
        (400, -2025, "", Reason.TOO_MANY_ORDERS),
        (400, -4024, "", Reason.PRICE_BAND),
        (400, -2022, "", Reason.REDUCE_ONLY),
        (401, -2015, "", Reason.NOT_ALLOWED),
        (429, -1003, "", Reason.THROTTLED),
        (429, -1015, "", Reason.THROTTLED),
        (503, -1008, "", Reason.THROTTLED),
        (400, -1021, "", Reason.THROTTLED),
        (503, 0, "Service Unavailable.", Reason.THROTTLED),
        (503, 0, "Unknown error, please check your request or try again later.", None),
        (400, -1006, "", None),
        (400, -1007, "", None),
        (408, 0, "", None),
        (500, 0, "Request occur unknown error.", None),
        (400, -99999, "something new", Reason.REFUSED),
    ],
)
def test_refusals_have_the_meaning_of_the_reference(status: int, code: int, text: str, expected: Reason | None) -> None:
    assert errors.refusal(status, code, text) is expected


def test_failed_reads_raise_what_may_follow() -> None:
    banned = errors.failure(418, -1003, "Way too many; IP banned until 1790000000123.", "", 5, True)
    assert isinstance(banned, RateLimited)
    assert banned.until == 1790000000123
    limited = errors.failure(429, -1003, "", "7", 1000, True)
    assert isinstance(limited, RateLimited)
    assert limited.until == 8000
    assert isinstance(errors.failure(400, -1121, "Invalid symbol.", "", 0, True), Rejected)
    assert isinstance(errors.failure(503, 0, "Unknown error", "", 0, True), Disconnected)
    assert isinstance(errors.failure(503, 0, "Unknown error", "", 0, False), Unknown)
    assert isinstance(errors.failure(404, -5000, "Path gone", "", 0, True), Broken)


def order_frame(**fields: Any) -> wire.UserEvent:
    order = {
        "s": "BTCUSDT",
        "c": "tab12.3.5.0",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTX",
        "q": "0.010",
        "p": "60000.0",
        "x": "NEW",
        "X": "NEW",
        "i": 77,
        "T": 1000,
    }
    frame = wire.user_event(json.dumps({"e": "ORDER_TRADE_UPDATE", "E": 1001, "T": 1000, "o": order | fields}).encode())
    assert frame is not None
    return frame


CID = ClientOrderId("ab12", 3, 5, 0)
TRADE = {"x": "TRADE", "X": "FILLED", "l": "0.010", "z": "0.010", "L": "60000.0", "t": 9, "m": True}


def translator(rate: Decimal | None = None) -> Translator:
    return Translator(Names(), lambda symbol, asset: rate)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Accepted(1000, CID, 77)),
        ({"x": "CANCELED", "X": "CANCELED", "z": "0.004"}, Closed(1000, CID, Reason.CANCELLED, Decimal("0.004"))),
        ({"x": "EXPIRED", "X": "EXPIRED_IN_MATCH"}, Closed(1000, CID, Reason.EXPIRED, Decimal(0))),
        ({"x": "EXPIRED", "X": "EXPIRED", "er": "5"}, Closed(1000, CID, Reason.LIQUIDATED, Decimal(0))),
        ({"x": "AMENDMENT"}, Uncertain(1000, CID)),
        ({"x": "SOMETHING_NEW"}, None),
        ({"c": "web_1"}, None),
        (
            {"c": "autoclose-1", "x": "CALCULATED", "l": "0.010", "L": "1", "t": 4},
            Foreign(1000, 4, Side.BUY, Decimal(1), Decimal("0.010"), "autoclose-1"),
        ),
    ],
)
def test_order_updates_mean_events(fields: dict[str, Any], expected: object) -> None:
    found = translator().events(order_frame(**fields))
    assert found == ([] if expected is None else [("BTCUSDT", expected)])


def test_a_fee_in_quote_counts_one_to_one_and_a_rebate_is_negative() -> None:
    [(_, fill)] = translator().events(order_frame(**TRADE, n="-0.012", N="USDT", rp="1.5"))
    assert fill == Filled(
        1000, CID, 9, Side.BUY, Decimal(60000), Decimal("0.010"), Decimal("-0.012"), "USDT", Decimal(1), True,
        Decimal("1.5"),
    )  # fmt: skip


def test_a_fee_in_another_asset_is_told_with_its_rate_or_left_to_the_snapshot() -> None:
    frame = order_frame(**TRADE, n="0.0001", N="BNB")
    [(_, fill)] = translator(Decimal(900)).events(frame)
    assert isinstance(fill, Filled)
    assert (fill.fee_asset, fill.fee_rate) == ("BNB", 900)
    assert translator(None).events(frame) == [("BTCUSDT", Uncertain(1000, CID))]


def test_a_fill_without_fee_fields_has_fee_zero() -> None:
    [(_, fill)] = translator().events(order_frame(**TRADE))
    assert isinstance(fill, Filled)
    assert (fill.fee, fill.fee_rate) == (0, 1)


def test_what_funding_was_paid_is_left_to_the_income_list() -> None:
    """The event is stamped later than its row, and often names no symbol."""
    body = '{"e":"ACCOUNT_UPDATE","T":5,"E":6,"a":{"m":"%s","B":[{"a":"USDT","wb":"1","cw":"1","bc":"-2"}]%s}}'
    named = ("FUNDING_FEE", ',"S":"BTCUSDT","P":[]')
    for reason, more in (named, ("FUNDING_FEE", ',"P":[]'), ("SPECIAL_FUNDING_FEE", "")):
        frame = wire.user_event((body % (reason, more)).encode())
        assert frame is not None
        assert is_settlement(frame)
        assert translator().events(frame) == []
    order = wire.user_event((body % ("ORDER", ',"P":[]')).encode())
    assert order is not None
    assert not is_settlement(order)
