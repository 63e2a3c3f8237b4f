"""Every payload we have of the real exchange decodes, and encodes to the same fields; fuzz on every decoder."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import tarfile
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.gateways.binance import answers, frames, wire

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TRELLIS_DATA", ROOT.parent / "shared" / "data"))


def recorded(name: str) -> bytes:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"recorded data is absent: {name}")
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" and not name.endswith(".tar.gz") else raw


def differences(expected: Any, encoded: Any, at: str = "") -> Iterator[str]:
    """Where `encoded` does not say what `expected` says; fields that only `encoded` has are defaults."""
    if isinstance(expected, dict) and isinstance(encoded, dict):
        for key, value in expected.items():
            if key not in encoded:
                yield f"{at}.{key} is lost"
            else:
                yield from differences(value, encoded[key], f"{at}.{key}")
    elif isinstance(expected, list) and isinstance(encoded, list):
        if len(expected) != len(encoded):
            yield f"{at} has {len(encoded)} items, not {len(expected)}"
        for number, (one, other) in enumerate(zip(expected, encoded, strict=False)):
            yield from differences(one, other, f"{at}[{number}]")
    elif expected != encoded and not _same_number(expected, encoded):
        yield f"{at} is {encoded!r}, not {expected!r}"


def _same_number(expected: Any, encoded: Any) -> bool:
    """JSON numbers of the venue are decimals here; text stays as it was, exactly."""
    if isinstance(expected, bool | str) or not isinstance(expected, int | float):
        return False
    try:
        return Decimal(str(expected)) == Decimal(str(encoded))
    except InvalidOperation:
        return False


# --------------------------------------------------------------------------- captured streams


def captured(name: str) -> Iterator[dict[str, Any]]:
    """The event frames of a capture."""
    for line in recorded(f"ticks/{name}").decode().splitlines():
        found = re.match(r"\d+(?:\.\d+)?:? (\{\"stream\".*)", line)
        if found is not None:
            yield json.loads(found[1])["data"]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("binance-um_BTCUSDT_raw_20230404.jsonl.gz", 13_000),
        ("binance-um_BTCUSDT_raw_20230405.jsonl.gz", 60_000),
        ("binance-um_cryptofeed_capture_2021-07-22.txt.gz", 1_500),
    ],
)
def test_every_captured_frame_decodes_and_encodes_to_the_very_same_fields(name: str, count: int) -> None:
    seen = 0
    for data in captured(name):
        seen += 1
        event = wire.market_event(json.dumps(data).encode())
        assert event is not None, data
        encoded = json.loads(wire.encode(event))
        assert encoded == data or not list(differences(data, encoded)), list(differences(data, encoded))
    assert seen >= count


@pytest.mark.real_data
def test_every_published_bracket_encodes_to_the_same_numbers() -> None:
    body = recorded("exchange_json/binance_fapi_leverageBracket_mainnet_2026-09.json.gz")
    rows = wire.one_or_many(body, wire.SymbolBrackets)
    expected = json.loads(body)
    assert len(rows) == len(expected) > 900
    unknown = {"notionalCoef"}
    for row, told in zip(rows, expected, strict=True):
        lost = list(differences(told, json.loads(wire.encode(row))))
        assert not [each for each in lost if each.rsplit(".", 1)[-1].split(" ")[0] not in unknown]


# --------------------------------------------------------------------------- documented examples

ENDPOINTS: dict[str, Any] = {
    "/fapi/v1/time": wire.ServerTime,
    "/fapi/v1/depth": wire.Depth,
    "/fapi/v1/trades": list[wire.PublicTrade],
    "/fapi/v1/historicalTrades": list[wire.PublicTrade],
    "/fapi/v1/aggTrades": list[wire.AggTradeRow],
    "/fapi/v1/klines": list[wire.KlineRow],
    "/fapi/v1/continuousKlines": list[wire.KlineRow],
    "/fapi/v1/indexPriceKlines": list[wire.KlineRow],
    "/fapi/v1/markPriceKlines": list[wire.KlineRow],
    "/fapi/v1/premiumIndexKlines": list[wire.KlineRow],
    "/fapi/v1/premiumIndex": wire.PremiumIndex,
    "/fapi/v1/ticker/24hr": wire.Ticker24h,
    "/fapi/v2/ticker/price": wire.PriceTicker,
    "/fapi/v1/ticker/bookTicker": wire.BookTickerRow,
    "/fapi/v1/exchangeInfo": wire.ExchangeInfo,
    "/fapi/v1/order": wire.Order,
    "/fapi/v1/openOrder": wire.Order,
    "/fapi/v1/openOrders": list[wire.Order],
    "/fapi/v1/allOrders": list[wire.Order],
    "/fapi/v1/forceOrders": list[wire.Order],
    "/fapi/v1/batchOrders": list[wire.Order | wire.Fault],
    "/fapi/v1/allOpenOrders": wire.Fault,
    "/fapi/v1/algoOpenOrders": wire.Fault,
    "/fapi/v1/marginType": wire.Fault,
    "/fapi/v1/orderAmendment": list[wire.Amendment],
    "/fapi/v1/userTrades": list[wire.UserTrade],
    "/fapi/v1/openAlgoOrders": list[wire.AlgoAnswer],
    "/fapi/v1/allAlgoOrders": list[wire.AlgoAnswer],
    "/fapi/v2/account": wire.AccountState,
    "/fapi/v3/account": wire.AccountState,
    "/fapi/v3/balance": list[wire.BalanceRow],
    "/fapi/v2/positionRisk": list[wire.PositionRisk],
    "/fapi/v3/positionRisk": list[wire.PositionRisk],
    "/fapi/v1/accountConfig": wire.AccountConfig,
    "/fapi/v1/symbolConfig": list[wire.SymbolConfig],
    "/fapi/v1/leverage": wire.LeverageAnswer,
    "/fapi/v1/leverageBracket": list[wire.SymbolBrackets],
    "/fapi/v1/commissionRate": wire.CommissionRate,
    "/fapi/v1/income": list[wire.Income],
    "/fapi/v1/positionMargin": wire.MarginMoved,
    "/fapi/v1/positionMargin/history": list[wire.MarginChange],
    "/fapi/v1/rateLimit/order": list[wire.RateLimit],
    "POST /fapi/v1/positionSide/dual": wire.Fault,
    "GET /fapi/v1/positionSide/dual": wire.PositionMode,
    "GET /fapi/v1/algoOrder": wire.AlgoAnswer,
    "POST /fapi/v1/algoOrder": wire.AlgoAnswer,
    "DELETE /fapi/v1/algoOrder": wire.AlgoAnswer,  # as documented in 2025; the SDK of today reads AlgoGone
    "POST /fapi/v1/listenKey": wire.ListenKey,
    "POST /fapi/v1/multiAssetsMargin": wire.Fault,
    "POST /fapi/v1/feeBurn": wire.Fault,
}
"""What each endpoint's answer decodes as."""
LOOSE = {
    "/fapi/v1/fundingRate", "/fapi/v1/fundingInfo", "/fapi/v1/openInterest", "/fapi/v1/assetIndex",
    "/fapi/v1/indexInfo", "/fapi/v1/constituents", "/fapi/v1/insuranceBalance", "/fapi/v1/adlQuantile",
    "/fapi/v1/apiTradingStatus", "/fapi/v1/countdownCancelAll", "/fapi/v1/feeBurn", "/fapi/v1/multiAssetsMargin",
    "/fapi/v1/listenKey",
}  # fmt: skip
"""Answers that the sandbox makes of dictionaries and nobody here decodes."""
UNKNOWN = {"unrealizedProfit", "settlePlan"}
"""Fields of the examples that we leave out: an old spelling in account.position, a leftover of 2019."""
SOCKET = {
    "PlaceOrder": wire.Order,
    "EditOrder": wire.Order,
    "CancelOrder": wire.Order,
    "GetOrder": wire.Order,
    "PlaceConditionalOrder": wire.AlgoAnswer,
    "CancelConditionalOrder": wire.AlgoAnswer,
    "GetPositions": list[wire.PositionRisk],
    "GetBalances": list[wire.BalanceRow],
    "GetAccountInfo": wire.AccountState,
    "GetOrderBook": wire.Depth,
    "GetPrice": wire.PriceTicker,
    "GetPrices": list[wire.PriceTicker],
    "GetBookPrice": wire.BookTickerRow,
    "GetBookPrices": list[wire.BookTickerRow],
}
STREAMS = {
    "user": ("AccountUpdate", "AlgoOrderUpdate", "OrderUpdate", "Leverage", "MarginUpdate", "MultiAssetMode",
             "TradeUpdate"),
    "market": ("BookTicker", "MarkPrice", "Ticker", "MiniTicker", "Book", "PartialBook", "AggTrades", "Klines"),
    "rare": ("ContKlines", "Liquidations", "SymbolUpdates"),
    "ignored": ("GridUpdate", "StrategyUpdate", "CompositIndex", "AssetIndex", "ConditionalTrigger"),
}  # fmt: skip


@cache
def archive() -> dict[str, str]:
    """The example files by their path below `UsdFutures/`, e.g. `Endpoints/Trading/PlaceOrder`."""
    found = {}
    recorded("exchange_json/binance-net_usdfutures_fixtures.tar.gz")
    with tarfile.open(DATA / "exchange_json/binance-net_usdfutures_fixtures.tar.gz") as files:
        for member in files:
            if member.name.endswith(".txt"):
                file = files.extractfile(member)
                assert file is not None
                kind, rest = member.name.removesuffix(".txt").split("/", 1)[1].split("/UsdFutures/")
                found[f"{kind}/{rest}"] = file.read().decode("utf-8-sig")
    return found


def lost(expected: Any, kind: Any) -> list[str]:
    """What gets lost or changed when `expected` is decoded as `kind` and encoded again."""
    expected = json.loads(json.dumps(expected).replace('"0  "', '"0"'))  # a slip of the examples
    text = json.dumps(expected).encode()
    decoded = wire.one_or_many(text, get_args(kind)[0]) if _is_list(kind) else wire.decode(text, kind)
    encoded = json.loads(wire.encode(decoded))
    whole = expected if not _is_list(kind) or isinstance(expected, list) else [expected]
    found = list(differences(whole, encoded))
    return [each for each in found if each.rsplit(".", 1)[-1].split(" ")[0].split("[")[0] not in UNKNOWN]


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is list and not isinstance(get_args(kind)[0], UnionType)


@pytest.mark.real_data
def test_every_documented_answer_over_rest_comes_back_as_it_was() -> None:
    checked, wrong = 0, {}
    for name, text in archive().items():
        if not name.startswith("Endpoints/"):
            continue
        method, path, _, body = text.split("\n", 3)
        method, path = method.strip(), path.strip()
        if not path.startswith("/fapi/") or "/asyn" in path or "/convert/" in path:
            continue
        kind = ENDPOINTS.get(f"{method} {path}", ENDPOINTS.get(path))
        if kind is None:
            assert path in LOOSE, f"{name}: nobody knows {path}"
            continue
        expected = json.loads(body)
        if path == "/fapi/v1/batchOrders":
            expected = [each for each in expected if "orderId" in each]
            kind = list[wire.Order]
        checked += 1
        if found := lost(expected, kind):
            wrong[name] = found[:5]
    assert not wrong
    assert checked > 50


@pytest.mark.real_data
def test_every_documented_answer_of_the_websocket_api_comes_back_as_it_was() -> None:
    wrong, checked = {}, 0
    for name, text in archive().items():
        if name.startswith("Socket/"):
            body = text.split("\n= ", 1)[-1].split("\n=", 1)[-1].replace('"|1|"', "1").replace("|1|", "1")
            answer = wire.decode(body[body.index("{") :], wire.Answer)
            assert answer.status == 200 and answer.result is not msgspec.UNSET
            checked += 1
            if found := lost(json.loads(bytes(answer.result)), SOCKET[name.rsplit("/", 1)[1]]):
                wrong[name] = found[:5]
    assert not wrong
    assert checked == len(SOCKET)


@pytest.mark.real_data
def test_every_documented_stream_comes_back_as_it_was() -> None:
    wrong, seen = {}, set()
    rare = msgspec.json.Decoder(frames.RareEvent)
    for name, text in archive().items():
        if not name.startswith("Subscriptions/"):
            continue
        short = name.rsplit("/", 1)[1]
        if short == "Concurrent":  # a script of several sockets, with no frame of its own
            continue
        body = re.split(r"\n=\s*\n", text)[-1]
        data = json.loads(body)["data"]
        data = data if isinstance(data, list) else [data]
        seen.add(short)
        for each in data:
            raw = json.dumps(each).encode()
            if short in STREAMS["ignored"]:
                assert wire.user_event(raw) is None and wire.market_event(raw) is None
                continue
            if short in STREAMS["rare"]:
                event: Any = rare.decode(raw)
            else:
                event = wire.user_event(raw) if short in STREAMS["user"] else wire.market_event(raw)
            assert event is not None, name
            found = [row for row in differences(each, json.loads(wire.encode(event))) if not row.startswith(".x is")]
            if found := [row for row in found if row.split(" ")[0].rsplit(".", 1)[-1] not in ("nq", "ps", "st")]:
                wrong[short] = found[:5]
    assert not wrong
    assert seen == {name for group in STREAMS.values() for name in group}


# --------------------------------------------------------------------------- fuzz

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("1.5"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
STRUCTS = sorted(
    (
        each
        for module in (answers, frames)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, msgspec.Struct) and each.__module__ == module.__name__
    ),
    key=lambda each: each.__name__,
)
EXAMPLES: dict[str, dict[str, Any]] = {
    "ORDER_TRADE_UPDATE": {
        "e": "ORDER_TRADE_UPDATE", "E": 2, "T": 1,
        "o": {"s": "X", "c": "g", "S": "BUY", "o": "LIMIT", "f": "GTX", "q": "1", "p": "2", "x": "NEW", "X": "NEW",
              "i": 7, "T": 1},
    },
    "TRADE_LITE": {"e": "TRADE_LITE", "E": 1, "T": 1, "s": "X", "q": "1", "p": "2", "m": True, "c": "g", "S": "BUY",
                   "L": "2", "l": "1", "t": 1, "i": 1},
    "ACCOUNT_UPDATE": {"e": "ACCOUNT_UPDATE", "E": 1, "T": 1,
                       "a": {"m": "ORDER", "B": [{"a": "USDT", "wb": "1", "cw": "1"}], "P": []}},
    "ALGO_UPDATE": {"e": "ALGO_UPDATE", "E": 1, "T": 1,
                    "o": {"caid": "c", "aid": 1, "o": "STOP", "s": "X", "S": "BUY", "X": "NEW"}},
    "MARGIN_CALL": {"e": "MARGIN_CALL", "E": 1, "cw": "3", "p": [{"s": "X", "ps": "BOTH", "pa": "1", "mt": "CROSSED"}]},
    "bookTicker": {"e": "bookTicker", "u": 1, "s": "X", "b": "1", "a": "2"},
    "depthUpdate": {"e": "depthUpdate", "s": "X", "U": 1, "u": 2, "b": [["1", "2"]]},
    "aggTrade": {"e": "aggTrade", "s": "X", "a": 1, "p": "1", "q": "1", "T": 1, "m": False},
}  # fmt: skip
NAMES_OF_USERS = {"ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ALGO_UPDATE", "MARGIN_CALL"}


@given(st.sampled_from(STRUCTS), JSON)
@settings(max_examples=400, deadline=None)
def test_any_json_decodes_or_is_malformed(kind: type[Any], value: Any) -> None:
    for wanted in (kind, list[kind]):  # type: ignore[valid-type]
        try:
            wire.decode(json.dumps(value).encode(), wanted)
        except wire.Malformed:
            continue


@given(st.sampled_from(sorted(EXAMPLES)), st.dictionaries(st.from_regex(r"[a-zA-Z]{4,9}", fullmatch=True), JSON))
@settings(max_examples=200, deadline=None)
def test_unknown_fields_change_nothing(name: str, more: dict[str, Any]) -> None:
    example = EXAMPLES[name]
    decode = wire.user_event if name in NAMES_OF_USERS else wire.market_event
    plain = decode(json.dumps(example).encode())
    assert plain is not None
    assert decode(json.dumps(more | example, allow_nan=True).replace("NaN", "0").replace("Infinity", "0")) == plain


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
@settings(max_examples=300, deadline=None)
def test_a_spoiled_field_is_refused_or_read_and_nothing_else(name: str, data: st.DataObject) -> None:
    example = json.loads(json.dumps(EXAMPLES[name]))
    inner = data.draw(st.sampled_from([each for each in example.values() if isinstance(each, dict)] or [example]))
    key = data.draw(st.sampled_from(sorted(inner)))
    inner[key] = data.draw(JSON)
    text = json.dumps(example)
    for decode in (wire.user_event, wire.market_event):
        try:
            decode(text)
        except wire.Malformed:
            continue


@given(st.text(min_size=1, max_size=12).filter(lambda name: name not in EXAMPLES), JSON)
@settings(max_examples=150, deadline=None)
def test_events_that_nobody_knows_are_passed_over(name: str, value: Any) -> None:
    known = {
        "ACCOUNT_CONFIG_UPDATE",
        "listenKeyExpired",
        "markPriceUpdate",
        "trade",
        "kline",
        "24hrMiniTicker",
        "24hrTicker",
    }
    if name in known:
        return
    frame = json.dumps({"e": name, "x": value}).replace("NaN", "0").replace("Infinity", "0")
    assert wire.user_event(frame) is None
    assert wire.market_event(frame) is None


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_any_exchange_info_is_read_or_malformed(value: Any) -> None:
    row = value if isinstance(value, dict) else {"symbol": "A", "baseAsset": "B", "quoteAsset": "C", "filters": value}
    body = json.dumps({"symbols": [row, value]}).encode()
    try:
        for symbol in wire.exchange_info(body).symbols:
            wire.instrument(symbol)
    except wire.Malformed:
        pass


@given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_rules_become_an_instrument_or_are_malformed(tick: str, step: str, fee: str) -> None:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": fee},
        {"filterType": "LOT_SIZE", "stepSize": step},
    ]
    row = {"symbol": "A", "baseAsset": "B", "quoteAsset": "C", "filters": filters, "liquidationFee": fee}
    with contextlib.suppress(wire.Malformed):
        wire.instrument(wire.decode(json.dumps(row).encode(), wire.SymbolInfo))
