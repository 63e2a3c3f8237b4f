"""python-binance 1.0.37 on the sandbox (binance-usdm.md §17.3)."""

import asyncio

from binance import AsyncClient, BinanceSocketManager
from report import Report, port

HTTP, SOCKET = f"http://127.0.0.1:{port()}", f"ws://127.0.0.1:{port()}"
report = Report()
AsyncClient.API_URL = HTTP + "/api"
AsyncClient.FUTURES_URL = HTTP + "/fapi"
AsyncClient.FUTURES_DATA_URL = HTTP + "/futures/data"
AsyncClient.WS_FUTURES_URL = SOCKET + "/ws-fapi/v1"
AsyncClient.WS_API_URL = SOCKET + "/ws-api/v3"
BinanceSocketManager.FSTREAM_URL = SOCKET + "/"
BinanceSocketManager.STREAM_URL = SOCKET + "/"
BTC = {"symbol": "BTCUSDT"}


async def markets(client):
    await client.futures_ping()
    report["time"] = (await client.futures_time())["serverTime"]
    report["symbols"] = [each["symbol"] for each in (await client.futures_exchange_info())["symbols"]]
    bid = float((await client.futures_order_book(**BTC, limit=5))["bids"][0][0])
    report["bid"] = bid
    report["candles"] = len(await client.futures_klines(**BTC, interval="1m", limit=5))
    await client.futures_mark_price_klines(**BTC, interval="1m", limit=5)
    await client.futures_index_price_klines(pair="BTCUSDT", interval="1m", limit=5)
    await client.futures_premium_index_klines(**BTC, interval="1m", limit=5)
    await client.futures_continuous_klines(pair="BTCUSDT", contractType="PERPETUAL", interval="1m", limit=5)
    report["trades"] = len(await client.futures_recent_trades(**BTC, limit=3))
    await client.futures_historical_trades(**BTC, limit=3)
    await client.futures_aggregate_trades(**BTC, limit=3)
    report["mark"] = (await client.futures_mark_price(**BTC))["markPrice"]
    await client.futures_funding_rate(**BTC)
    await client.futures_v1_get_funding_info()
    await client.futures_ticker(**BTC)
    await client.futures_symbol_ticker(**BTC)
    await client.futures_orderbook_ticker(**BTC)
    await client.futures_open_interest(**BTC)
    await client.futures_open_interest_hist(**BTC, period="5m")
    await client.futures_index_info()
    await client.futures_index_price_constituents(**BTC)
    await client.futures_symbol_adl_risk(**BTC)
    await client.futures_rpi_depth(**BTC, limit=1000)
    await client.futures_v1_get_asset_index()
    return bid


async def settings(client):
    rows = await client.futures_account_balance()
    report["balance"] = next(each["balance"] for each in rows if each["asset"] == "USDT")
    account = await client.futures_account()
    report["account"] = [account["canTrade"], len(account["positions"])]
    report["leverage"] = (await client.futures_change_leverage(**BTC, leverage=10))["leverage"]
    report["margin_type"] = (await client.futures_change_margin_type(**BTC, marginType="ISOLATED"))["code"]
    await report.error_of("same_margin_type", client.futures_change_margin_type(**BTC, marginType="ISOLATED"))
    await client.futures_change_margin_type(**BTC, marginType="CROSSED")
    report["dual"] = (await client.futures_get_position_mode())["dualSidePosition"]
    await report.error_of("same_mode", client.futures_change_position_mode(dualSidePosition="false"))
    await client.futures_get_multi_assets_mode()
    await client.futures_account_config()
    await client.futures_symbol_config(**BTC)
    await client.futures_commission_rate(**BTC)
    await client.futures_adl_quantile_estimate()
    await client.futures_api_trading_status()
    report["brackets"] = len(await client.futures_leverage_bracket())
    await client.futures_v1_get_rate_limit_order()
    await client.futures_v1_get_fee_burn()
    await client.futures_v1_post_fee_burn(feeBurn="false")


async def orders(client, bid):
    price = round(bid - 500, 1)
    limit = {**BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.01"}
    order = await client.futures_create_order(**limit, price=price, newClientOrderId="pb-1")
    report["placed"] = [order["status"], order["clientOrderId"]]
    number = order["orderId"]
    changed = await client.futures_modify_order(
        **BTC, orderId=number, side="BUY", quantity="0.02", price=round(price - 10, 1)
    )
    report["modified"] = changed["origQty"]
    report["amendments"] = len(await client.futures_v1_get_order_amendment(**BTC, orderId=number))
    report["read"] = (await client.futures_get_order(**BTC, origClientOrderId="pb-1"))["status"]
    await client.futures_v1_get_open_order(**BTC, orderId=number)
    report["open"] = len(await client.futures_get_open_orders())
    report["cancelled"] = (await client.futures_cancel_order(**BTC, orderId=number))["status"]
    entries = [limit | {"price": str(round(price - step, 1))} for step in (20, 30, -100000, 40)]
    batch = await client.futures_place_batch_order(batchOrders=entries)
    report["batch"] = [each.get("status") or each.get("code") for each in batch]
    gone = await client.futures_cancel_orders(**BTC, orderidlist=[batch[0]["orderId"], 7])
    report["batch_cancelled"] = [each.get("status") or each.get("code") for each in gone]
    report["all_cancelled"] = (await client.futures_cancel_all_open_orders(**BTC))["code"]
    report["left"] = len(await client.futures_get_open_orders(**BTC))
    await client.futures_countdown_cancel_all(**BTC, countdownTime=60000)
    await client.futures_countdown_cancel_all(**BTC, countdownTime=0)
    await client.futures_create_test_order(**limit, price=price)
    await client.futures_create_order(**BTC, side="BUY", type="MARKET", quantity="0.01")
    report["position"] = (await client.futures_position_information(**BTC))[0]["positionAmt"]
    report["my_trades"] = len(await client.futures_account_trades(**BTC))
    report["income"] = sorted({each["incomeType"] for each in await client.futures_income_history()})
    report["all_orders"] = len(await client.futures_get_all_orders(**BTC))
    await report.error_of("margin_of_cross", client.futures_change_position_margin(**BTC, amount=1, type=1))
    await client.futures_position_margin_history(**BTC)


async def conditional(client, bid):
    stop = {**BTC, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.01"}
    order = await client.futures_create_order(**stop, triggerPrice=round(bid - 5000, 1), clientAlgoId="pb-sl")
    report["algo"] = [order["algoStatus"], order["clientAlgoId"]]
    report["algo_read"] = (await client.futures_get_algo_order(clientAlgoId="pb-sl"))["algoStatus"]
    report["algo_open"] = len(await client.futures_get_open_algo_orders())
    report["algo_cancelled"] = (await client.futures_cancel_algo_order(algoId=order["algoId"]))["code"]
    report["algo_all"] = [each["algoStatus"] for each in await client.futures_get_all_algo_orders(**BTC)]
    await client.futures_cancel_all_algo_open_orders(**BTC)


async def errors(client, bid):
    limit = {
        **BTC,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTX",
        "quantity": "0.01",
        "price": round(bid - 500, 1),
    }
    place = client.futures_create_order
    await report.error_of("would_cross", place(**(limit | {"price": round(bid + 500, 1)})))
    await report.error_of("margin", place(**(limit | {"quantity": "100"})))
    await report.error_of("unknown_symbol", place(**(limit | {"symbol": "NOPEUSDT"})))
    await report.error_of("unknown_order", client.futures_cancel_order(**BTC, orderId=7))
    stranger = await AsyncClient.create("nobody", "x")
    await report.error_of("signature", stranger.futures_account_balance())
    await stranger.close_connection()


async def socket_api(client, bid):
    limit = {
        **BTC,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTX",
        "quantity": "0.01",
        "price": round(bid - 700, 1),
    }
    order = await client.ws_futures_create_order(**limit)
    number = order["orderId"]
    report["ws_placed"] = order["status"]
    changed = await client.ws_futures_edit_order(
        **BTC, orderId=number, side="BUY", quantity="0.02", price=round(bid - 700, 1)
    )
    report["ws_modified"] = changed["origQty"]
    report["ws_read"] = (await client.ws_futures_get_order(**BTC, orderId=number))["status"]
    report["ws_cancelled"] = (await client.ws_futures_cancel_order(**BTC, orderId=number))["status"]
    algo = await client.ws_futures_create_algo_order(
        **BTC,
        side="BUY",
        type="STOP_MARKET",
        quantity="0.01",
        triggerPrice=round(bid + 5000, 1),
        algoType="CONDITIONAL",
    )
    report["ws_algo"] = algo["algoStatus"]
    report["ws_algo_cancelled"] = (await client.ws_futures_cancel_algo_order(algoId=algo["algoId"]))["code"]
    await client.ws_futures_account_balance()
    await client.ws_futures_v2_account_balance()
    await client.ws_futures_account_status()
    await client.ws_futures_v2_account_status()
    await client.ws_futures_account_position()
    await client.ws_futures_v2_account_position()
    await client.ws_futures_get_order_book(**BTC)
    await client.ws_futures_get_all_tickers()
    await client.ws_futures_get_order_book_ticker()
    await report.error_of("ws_would_cross", client.ws_futures_create_order(**(limit | {"price": round(bid + 900, 1)})))


async def listen(socket, enough, found):
    async with socket as stream:
        while not enough():
            found(await stream.recv())


async def streams(client, bid):
    manager = BinanceSocketManager(client)
    heard, events = set(), set()
    sockets = {
        "kline": manager.kline_futures_socket("BTCUSDT"),
        "aggTrade": manager.aggtrade_futures_socket("BTCUSDT"),
        "markPrice": manager.symbol_mark_price_socket("BTCUSDT"),
        "markPrices": manager.all_mark_price_socket(),
        "bookTicker": manager.symbol_ticker_futures_socket("BTCUSDT"),
        "ticker": manager.individual_symbol_ticker_futures_socket("BTCUSDT"),
        "depth": manager.futures_depth_socket("BTCUSDT"),
        "multiplex": manager.futures_multiplex_socket(["btcusdt@miniTicker", "ethusdt@ticker"]),
    }
    wanted = {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE", "ALGO_UPDATE", "ACCOUNT_CONFIG_UPDATE"}

    async def trade():
        await asyncio.sleep(1)
        await client.futures_create_order(**BTC, side="BUY", type="MARKET", quantity="0.01")
        await client.futures_change_leverage(**BTC, leverage=12)
        await client.futures_create_order(
            **BTC, side="SELL", type="STOP_MARKET", quantity="0.01", triggerPrice=round(bid - 5000, 1)
        )

    async def hear(name, socket):
        async with socket as stream:
            message = await stream.recv()
            if message and "error" not in str(message)[:20]:
                heard.add(name)

    try:
        async with asyncio.timeout(25):
            await asyncio.gather(
                *(hear(name, socket) for name, socket in sockets.items()),
                listen(manager.futures_user_socket(), lambda: wanted <= events, lambda data: events.add(data.get("e"))),
                trade(),
            )
    except TimeoutError:
        pass
    report["streams_silent"] = sorted(set(sockets) - heard)
    report["user_events"] = sorted(events - {None})


async def main():
    client = await AsyncClient.create("sandboxkey", "sandboxsecret")
    bid = await markets(client)
    await settings(client)
    await orders(client, bid)
    await conditional(client, bid)
    await errors(client, bid)
    await socket_api(client, bid)
    await streams(client, bid)
    await client.close_connection()
    report.print()


asyncio.run(main())
