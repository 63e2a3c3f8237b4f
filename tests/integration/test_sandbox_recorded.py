"""The sandbox on what the real exchange published: rules, brackets, trades, quotes and captured streams."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sandboxes import Client, running, until
from trading.sandbox.server import Foreign, Options, Sandbox, Unreadable

pytestmark = pytest.mark.timeout(90)

SYMBOL: dict[str, Any] = {
    "symbol": "DOGEUSDT",
    "pair": "DOGEUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "onboardDate": 1569398400000,
    "status": "TRADING",
    "maintMarginPercent": "2.5000",
    "requiredMarginPercent": "5.0000",
    "baseAsset": "DOGE",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 6,
    "quantityPrecision": 0,
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "underlyingType": "COIN",
    "underlyingSubType": ["Meme"],
    "triggerProtect": "0.0500",
    "liquidationFee": "0.015000",
    "marketTakeBound": "0.10",
    "maxMoveOrderLimit": 10000,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.002440", "maxPrice": "30", "tickSize": "0.000010"},
        {"filterType": "LOT_SIZE", "minQty": "10", "maxQty": "50000000", "stepSize": "1"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "10", "maxQty": "30000000", "stepSize": "1"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 3},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1000", "multiplierDown": "0.9000", "multiplierDecimal": "4"},
    ],
    "orderTypes": ["LIMIT", "MARKET"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
}
BRACKETS = [
    {
        "symbol": "DOGEUSDT",
        "brackets": [
            {
                "bracket": 1,
                "initialLeverage": 40,
                "notionalCap": 5000,
                "notionalFloor": 0,
                "maintMarginRatio": 0.01,
                "cum": 0.0,
            },
            {
                "bracket": 2,
                "initialLeverage": 20,
                "notionalCap": 50000,
                "notionalFloor": 5000,
                "maintMarginRatio": 0.02,
                "cum": 50.0,
            },
        ],
    }
]


def written(folder: Path, *symbols: dict[str, Any]) -> tuple[Path, Path]:
    rules, brackets = folder / "rules.json", folder / "brackets.json.gz"
    info = {"timezone": "UTC", "serverTime": 1, "rateLimits": [], "exchangeFilters": [], "symbols": list(symbols)}
    rules.write_text(json.dumps(info))
    brackets.write_bytes(gzip.compress(json.dumps(BRACKETS).encode()))
    return rules, brackets


async def test_published_rules_are_told_as_published_and_kept(tmp_path: Path) -> None:
    quarterly = SYMBOL | {"symbol": "BTCUSDT_261225", "contractType": "CURRENT_QUARTER"}
    rules, brackets = written(tmp_path, SYMBOL, quarterly, {"symbol": 7})
    async with running(still=True, rules=rules, brackets=brackets) as (_, client):
        info = await client.get("/fapi/v1/exchangeInfo")
        assert info["symbols"] == [SYMBOL]
        assert await client.signed("GET", "/fapi/v1/leverageBracket", symbol="DOGEUSDT") == BRACKETS
        order = {"symbol": "DOGEUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "100"}
        price = Decimal((await client.get("/fapi/v2/ticker/price", symbol="DOGEUSDT"))["price"])
        assert Decimal("0.2") < price < Decimal("0.4")
        path = "/fapi/v1/order"
        assert await client.refused("POST", path, **order, price="0.200005") == -4014
        assert await client.refused("POST", path, **(order | {"quantity": "5"}), price="0.2") == -4004
        assert await client.refused("POST", path, **(order | {"quantity": "10"}), price="0.2") == -4164
        assert await client.refused("POST", "/fapi/v1/leverage", symbol="DOGEUSDT", leverage=41) == -4028
        for _ in range(3):
            made = await client.signed("POST", path, **order, price="0.2")
            assert (made["price"], made["origQty"]) == ("0.200000", "100")
        assert await client.refused("POST", path, **order, price="0.2") == -2025


async def test_a_cheap_coin_is_traded_in_amounts_that_fill_real_orders(tmp_path: Path) -> None:
    rules, brackets = written(tmp_path, SYMBOL)
    async with running(seed=2, rules=rules, brackets=brackets) as (_, client):
        ticker = await client.get("/fapi/v1/ticker/bookTicker", symbol="DOGEUSDT")
        for price, qty in (("bidPrice", "bidQty"), ("askPrice", "askQty")):
            assert Decimal(ticker[price]) * Decimal(ticker[qty]) >= 400
        order = {"symbol": "DOGEUSDT", "side": "BUY", "type": "MARKET", "quantity": "400"}
        made = await client.signed("POST", "/fapi/v1/order", **order, newOrderRespType="RESULT")
        assert (made["status"], made["executedQty"]) == ("FILLED", "400")
        traded = [Decimal(row["quoteQty"]) for row in await client.get("/fapi/v1/trades", symbol="DOGEUSDT")]
        assert max(traded) > 50


async def test_published_bounds_of_market_orders_and_triggers_hold(tmp_path: Path) -> None:
    rules, brackets = written(tmp_path, SYMBOL | {"triggerProtect": "0.0100"})
    async with running(still=True, rules=rules, brackets=brackets) as (sandbox, client):
        venue, price = sandbox.exchange.venue, Decimal("0.25")
        venue.set_mark("DOGEUSDT", price, 1)
        far = Decimal("0.27"), Decimal(100)
        venue.set_quote("DOGEUSDT", price, Decimal(1000), price, Decimal(100), 1, asks=(far,))
        order = {"symbol": "DOGEUSDT", "side": "BUY", "type": "MARKET", "quantity": "200"}
        made = await client.signed("POST", "/fapi/v1/order", **order, newOrderRespType="RESULT")
        assert (made["status"], made["executedQty"]) == ("FILLED", "200")
        stop = {"algoType": "CONDITIONAL", "symbol": "DOGEUSDT", "side": "SELL", "type": "STOP_MARKET"}
        stop |= {"quantity": "100", "triggerPrice": "0.245", "priceProtect": "true"}
        made = await client.signed("POST", "/fapi/v1/algoOrder", **stop)
        for mark, waiting in ((price, 1), (Decimal("0.245"), 0)):
            venue.set_mark("DOGEUSDT", mark, 2)
            await client.reach("0.245", "DOGEUSDT")
            assert len(await client.signed("GET", "/fapi/v1/openAlgoOrders")) == waiting
    for bound in ("far", ""):
        with pytest.raises(Unreadable):
            Sandbox(Options(rules=written(tmp_path, SYMBOL | {"marketTakeBound": bound})[0]))


async def test_candles_of_weeks_open_on_monday_and_those_of_months_on_the_first(tmp_path: Path) -> None:
    day, first = 86_400_000, 1_735_603_200_000  # Tuesday, 2024-12-31
    path = tmp_path / "x_BTCUSDT_1m.csv"
    path.write_text("".join(f"{first + number * day},60000,60000,60000,60000,1\n" for number in range(60)))
    async with running(replay=(str(path),), speed=0, settle=0) as (sandbox, client):
        async with asyncio.timeout(10):
            while not sandbox.drive.is_over:
                await asyncio.sleep(0.05)
        asked = {"symbol": "BTCUSDT", "limit": 100}
        months = await client.get("/fapi/v1/klines", interval="1M", **asked)
        weeks = await client.get("/fapi/v1/klines", interval="1w", **asked)
        latest = await client.get("/fapi/v1/klines", interval="1M", symbol="BTCUSDT", limit=1)
        dates = [[time.strftime("%a %Y-%m-%d", time.gmtime(row[0] / 1000)) for row in rows] for rows in (months, weeks)]
        assert dates[0] == ["Sun 2024-12-01", "Wed 2025-01-01", "Sat 2025-02-01"]
        assert (dates[1][0], dates[1][-1], len(dates[1])) == ("Mon 2024-12-30", "Mon 2025-02-24", 9)
        for rows, length in ((months[:2], 31), (months[2:], 28), (weeks, 7)):
            assert all(row[6] - row[0] == length * day - 1 for row in rows)
        assert [row[8] for row in months] == [4, 4 * 31, 4 * 28] and latest == months[-1:]
        url = f"{client.ws}/market/ws/btcusdt@kline_1M"
        async with client.http.ws_connect(url) as socket:
            bar = (await until(socket, "kline"))["k"]
            assert (bar["t"], bar["T"]) == (months[-1][0], months[-1][6])


async def test_rules_that_cannot_be_used_are_refused_with_a_sentence(tmp_path: Path) -> None:
    rules, _ = written(tmp_path, SYMBOL)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for options in (
        Options(rules=broken),
        Options(rules=tmp_path / "absent.json"),
        Options(rules=rules, listed=("BTCUSDT",)),
        Options(rules=written(tmp_path, SYMBOL | {"quoteAsset": "USDC"})[0]),
    ):
        with pytest.raises(Unreadable):
            Sandbox(options)
    state = tmp_path / "state.json"
    async with running(still=True, state=state):
        pass
    with pytest.raises(Foreign):
        Sandbox(Options(still=True, state=state, rules=written(tmp_path, SYMBOL)[0]))


async def end(sandbox: Sandbox) -> None:
    async with asyncio.timeout(30):
        while not sandbox.drive.is_over:
            await asyncio.sleep(0.01)


TRADES = """agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker
1,65000.0,0.010,1,1,1700000000000,false
2,64990.0,0.004,2,2,1700000000100,true
3,64990.0,0.003,3,4,1700000000200,true
4,64980.0,0.500,5,5,1700000000300,true
5,65010.0,1.000,6,6,1700000000400,false
"""


async def test_traded_quantity_fills_resting_orders_by_price_and_time(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-aggTrades-2023-11-14.csv"
    path.write_text(TRADES)
    async with running(replay=(str(path),), speed=0, settle=30, hold=True) as (sandbox, client):
        first = await client.limit("BUY", "64990", "0.010", newClientOrderId="first")
        second = await client.limit("BUY", "64985", "0.100", newClientOrderId="second")
        await client.limit("SELL", "65005", "2", newClientOrderId="big")
        await client.post("/sandbox/market", go=True)
        await end(sandbox)
        fills = [(row["orderId"], row["price"], row["qty"]) for row in (await client.books())["fills"]]
        assert fills == [
            (first["orderId"], "64990.00", "0.004"),
            (first["orderId"], "64990.00", "0.003"),
            (first["orderId"], "64990.00", "0.003"),
            (second["orderId"], "64985.00", "0.100"),
            (second["orderId"] + 1, "65005.00", "1.000"),
        ]
        assert sandbox.drive.passed == 5 and sandbox.drive.time == 1700000000400


async def test_a_tape_of_trades_goes_on_after_a_restart(tmp_path: Path) -> None:
    path, state = tmp_path / "BTCUSDT-aggTrades.csv", tmp_path / "state.json"
    path.write_text(TRADES)
    options: dict[str, Any] = {"replay": (str(path),), "speed": 0, "state": state, "hold": True}
    async with running(**options) as (sandbox, _):
        assert sandbox.drive.passed == 1
    async with running(**options) as (sandbox, client):
        assert sandbox.drive.passed == 1
        await client.post("/sandbox/market", go=True)
        await end(sandbox)
        assert sandbox.drive.passed == 5
        assert Decimal((await client.get("/fapi/v2/ticker/price", symbol="BTCUSDT"))["price"]) == 65010


RAW = [
    (0, {"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": "64999.9", "B": "1", "a": "65000.0", "A": "2", "T": 1}),
    (1, {"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "65001.5", "i": "65000", "P": "0", "r": "0", "T": 1}),
    (2, {"e": "newThing", "s": "BTCUSDT"}),
    (3, {"e": "trade", "E": 1, "T": 1, "s": "BTCUSDT", "t": 1, "p": "64900", "q": "0.01", "X": "MARKET", "m": True}),
    (4, {"e": "trade", "T": 1, "s": "BTCUSDT", "t": 2, "p": "60000", "q": "9", "X": "INSURANCE_FUND", "m": True}),
    (5, {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 1, "p": "64000", "q": "9", "f": 1, "l": 1, "T": 1, "m": True}),
    (6, {"e": "bookTicker", "u": 2, "s": "BTCUSDT", "b": "64899", "B": "1", "a": "64900", "A": "2", "T": 1, "E": 1}),
    (7, {"e": "bookTicker", "u": 2, "s": "ETHUSDT", "b": "3", "B": "1", "a": "4", "A": "2", "T": 1, "E": 1}),
]  # fmt: skip


async def test_captured_frames_move_quotes_trades_and_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT_raw.jsonl"
    snapshot = {"lastUpdateId": 1, "E": 1, "T": 1, "bids": [["64899", "1"], ["64800", "7"]], "asks": [["64950", "3"]]}
    frames = [json.dumps({"stream": "x", "data": data}) for _, data in RAW]
    lines = [f"{1680652700_000000 + number * 100_000} {body}" for number, body in enumerate(frames)]
    lines.insert(1, f"1680652700000001 {json.dumps(snapshot)}")
    path.write_text("\n".join([*lines, "not a frame"]))
    async with running(replay=(str(path),), speed=0, settle=0, hold=True) as (sandbox, client):
        await client.limit("BUY", "64950", "0.05")
        await client.post("/sandbox/market", go=True)
        await end(sandbox)
        fills = [(row["price"], row["qty"]) for row in (await client.books())["fills"]]
        assert fills == [("64950.00", "0.010"), ("64950.00", "0.040")]
        assert (await client.get("/fapi/v1/premiumIndex", symbol="BTCUSDT"))["markPrice"] == "65001.50000000"
        book = await client.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
        assert book["bids"] == [["64899.00", "1.000"], ["64800.00", "7.000"]]
        assert book["asks"][0][0] == "64900.00"


async def test_candles_and_trades_do_not_run_together(tmp_path: Path) -> None:
    trades, candles = tmp_path / "BTCUSDT-aggTrades.csv", tmp_path / "ETHUSDT-1m.csv"
    trades.write_text(TRADES)
    candles.write_text("1700000000000,1,1,1,1,1\n")
    with pytest.raises(Unreadable, match="together"):
        Sandbox(Options(replay=(str(trades), str(candles))))
    trades.write_text(TRADES.replace("65010.0", "many"))
    sandbox = Sandbox(Options(replay=(str(trades),), speed=0))
    await sandbox.start()
    with pytest.raises((Unreadable, ExceptionGroup)):
        await sandbox.wait()
    await sandbox.close()


# --------------------------------------------------------------------------- the real files


@pytest.fixture
def real_data() -> Path:
    root = Path(os.environ.get("TRELLIS_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no recorded data at {root}")
    return root


INFO = "exchange_json/binance_fapi_exchangeInfo_{}.json.gz"
TIERS = "exchange_json/binance_fapi_leverageBracket_mainnet_2026-09.json.gz"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "least"), [("mainnet_2021-07-21", 110), ("mainnet_2025-10-30", 500), ("testnet_2025-11-26", 500)]
)
async def test_a_real_snapshot_is_traded(real_data: Path, name: str, least: int) -> None:
    path = real_data / INFO.format(name)
    published = {row["symbol"]: row for row in json.loads(gzip.decompress(path.read_bytes()))["symbols"]}
    async with running(rules=path, brackets=real_data / TIERS, limits=False) as (_, client):
        info = await client.get("/fapi/v1/exchangeInfo")
        assert len(info["symbols"]) >= least
        for row in info["symbols"]:
            for key in published[row["symbol"]].keys() & row.keys():
                assert row[key] == published[row["symbol"]][key], (row["symbol"], key)
        tiers = {row["symbol"]: row for row in await client.signed("GET", "/fapi/v1/leverageBracket")}
        assert len(tiers["ETHUSDT"]["brackets"]) > 5
        for row in info["symbols"][:: len(info["symbols"]) // 25]:
            await _lives(client, row)


async def _lives(client: Client, row: dict[str, Any]) -> None:
    """An order by the symbol's own rules rests and is cancelled."""
    rules = {each["filterType"]: each for each in row["filters"]}
    tick, step = Decimal(rules["PRICE_FILTER"]["tickSize"]), Decimal(rules["LOT_SIZE"]["stepSize"])
    bid = Decimal((await client.get("/fapi/v1/ticker/bookTicker", symbol=row["symbol"]))["bidPrice"])
    price = (bid * Decimal("0.99")) // tick * tick
    least = Decimal(rules["MIN_NOTIONAL"]["notional"]) / price // step * step + step
    qty = max(least, Decimal(rules["LOT_SIZE"]["minQty"]))
    made = await client.signed(
        "POST",
        "/fapi/v1/order",
        symbol=row["symbol"],
        side="BUY",
        type="LIMIT",
        timeInForce="GTX",
        price=format(price, "f"),
        quantity=format(qty, "f"),
    )
    assert made["status"] == "NEW", made
    await client.signed("DELETE", "/fapi/v1/order", symbol=row["symbol"], orderId=made["orderId"])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("tape", "symbol", "moves", "last"),
    [
        ("binance-um_BTCUSDT_raw_20230404.jsonl.gz", "BTCUSDT", 9061, "28155.20"),
        ("binance-um_APEUSDT_aggTrades_2024-10-18.csv.gz", "APEUSDT", 45342, "0.7365"),
        ("binance-um_ETHUSDT_trades_2024-08-08.csv.gz", "ETHUSDT", 14076, "2681.38"),
        ("binance-um_cryptofeed_capture_2021-07-22.txt.gz", "SUSHIUSDT", 345, "7.6110"),
    ],
)
async def test_a_real_capture_plays_to_its_end(real_data: Path, tape: str, symbol: str, moves: int, last: str) -> None:
    rules = real_data / INFO.format("mainnet_2025-10-30")
    async with running(replay=(f"{symbol}={real_data / 'ticks' / tape}",), speed=0, rules=rules) as (sandbox, client):
        await end(sandbox)
        assert sandbox.drive.passed == moves
        price = await client.get("/fapi/v2/ticker/price", symbol=symbol)
        assert Decimal(price["price"]) == Decimal(last)
