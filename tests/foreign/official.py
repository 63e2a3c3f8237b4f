"""The official binance-sdk-derivatives-trading-usds-futures on the sandbox (binance-usdm.md §17.2)."""

import asyncio

from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
    DerivativesTradingUsdsFutures,
)
from report import Report, port

HTTP, SOCKET = f"http://127.0.0.1:{port()}", f"ws://127.0.0.1:{port()}"
KEY, SECRET = "sandboxkey", "sandboxsecret"
report = Report()


def client(secret=SECRET):
    return DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(api_key=KEY, api_secret=secret, base_path=HTTP, timeout=5000),
        config_ws_api=ConfigurationWebSocketAPI(api_key=KEY, api_secret=SECRET, stream_url=SOCKET + "/ws-fapi/v1"),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=SOCKET),
    )


def plain(model):
    data = model.data() if callable(getattr(model, "data", None)) else model
    if isinstance(data, list):
        return [each.model_dump(by_alias=True) if hasattr(each, "model_dump") else each for each in data]
    if hasattr(data, "model_dump"):
        return data.model_dump(by_alias=True)
    return data


def whole(model):
    data = plain(model)
    return data.get("actual_instance", data) if isinstance(data, dict) else data


def markets(rest):
    rest.test_connectivity()
    report["time"] = plain(rest.check_server_time())["serverTime"]
    report["symbols"] = [each["symbol"] for each in plain(rest.exchange_information())["symbols"]]
    book = plain(rest.order_book(symbol="BTCUSDT", limit=5))
    report["bid"] = float(book["bids"][0][0])
    report["candles"] = len(plain(rest.kline_candlestick_data(symbol="BTCUSDT", interval="1m", limit=5)))
    rest.continuous_contract_kline_candlestick_data(pair="BTCUSDT", contract_type="PERPETUAL", interval="1m", limit=5)
    rest.mark_price_kline_candlestick_data(symbol="BTCUSDT", interval="1m", limit=5)
    rest.index_price_kline_candlestick_data(pair="BTCUSDT", interval="1m", limit=5)
    rest.premium_index_kline_data(symbol="BTCUSDT", interval="1m", limit=5)
    report["trades"] = len(plain(rest.recent_trades_list(symbol="BTCUSDT", limit=3)))
    rest.old_trades_lookup(symbol="BTCUSDT", limit=3)
    rest.compressed_aggregate_trades_list(symbol="BTCUSDT", limit=3)
    rest.rpi_order_book(symbol="BTCUSDT", limit=1000)
    report["mark"] = plain(rest.mark_price(symbol="BTCUSDT").data().actual_instance)["markPrice"]
    for call in (
        rest.mark_price,
        rest.symbol_price_ticker,
        rest.symbol_price_ticker_v2,
        rest.symbol_order_book_ticker,
        rest.ticker24hr_price_change_statistics,
        rest.adl_risk,
        rest.asset_index,
        rest.composite_index_symbol_information,
        rest.query_insurance_fund_balance_snapshot,
        rest.get_funding_rate_history,
        rest.get_funding_rate_info,
    ):
        call().data()
    rest.symbol_price_ticker(symbol="BTCUSDT").data()
    rest.ticker24hr_price_change_statistics(symbol="BTCUSDT").data()
    rest.query_index_price_constituents(symbol="BTCUSDT").data()
    rest.open_interest(symbol="BTCUSDT").data()
    rest.open_interest_statistics(symbol="BTCUSDT", period="5m").data()
    rest.basis(pair="BTCUSDT", contract_type="PERPETUAL", period="5m", limit=5).data()
    rest.long_short_ratio(symbol="BTCUSDT", period="5m").data()
    rest.taker_buy_sell_volume(symbol="BTCUSDT", period="5m").data()
    rest.top_trader_long_short_ratio_accounts(symbol="BTCUSDT", period="5m").data()
    rest.top_trader_long_short_ratio_positions(symbol="BTCUSDT", period="5m").data()
    return report.found["bid"]


def settings(rest):
    rows = plain(rest.futures_account_balance_v3())
    report["balance"] = next(each["balance"] for each in rows if each["asset"] == "USDT")
    rest.futures_account_balance_v2().data()
    report["wallet"] = plain(rest.account_information_v3())["totalWalletBalance"]
    report["can_trade"] = plain(rest.account_information_v2())["canTrade"]
    report["leverage"] = plain(rest.change_initial_leverage(symbol="BTCUSDT", leverage=10))["leverage"]
    report["margin_type"] = plain(rest.change_margin_type(symbol="BTCUSDT", margin_type="ISOLATED"))["code"]
    report.error("same_margin_type", lambda: rest.change_margin_type(symbol="BTCUSDT", margin_type="ISOLATED"))
    rest.change_margin_type(symbol="BTCUSDT", margin_type="CROSSED")
    report["symbol_config"] = plain(rest.symbol_configuration(symbol="BTCUSDT"))[0]["leverage"]
    report["dual"] = plain(rest.get_current_position_mode())["dualSidePosition"]
    report.error("same_mode", lambda: rest.change_position_mode(dual_side_position="false"))
    rest.get_current_multi_assets_mode().data()
    report.error("multi_assets", lambda: rest.change_multi_assets_mode(multi_assets_margin="false"))
    rest.futures_account_configuration().data()
    rest.user_commission_rate(symbol="BTCUSDT").data()
    rest.query_user_rate_limit().data()
    rest.get_bnb_burn_status().data()
    rest.toggle_bnb_burn_on_futures_trade(fee_burn="true").data()
    brackets = rest.notional_and_leverage_brackets().data()
    report["brackets"] = len(plain(brackets.actual_instance if hasattr(brackets, "actual_instance") else brackets))


def orders(rest, bid):
    price = round(bid - 500, 1)
    order = plain(
        rest.new_order(
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            time_in_force="GTX",
            quantity=0.01,
            price=price,
            new_client_order_id="sdk-1",
        )
    )
    report["placed"] = [order["status"], order["clientOrderId"]]
    changed = plain(
        rest.modify_order(
            symbol="BTCUSDT", side="BUY", quantity=0.02, price=price - 10, order_id=order["orderId"], modify_id=5
        )
    )
    report["modified"] = [changed["origQty"], float(changed["price"]) - price]
    report["amendments"] = len(plain(rest.get_order_modify_history(symbol="BTCUSDT", order_id=order["orderId"])))
    report["read"] = plain(rest.query_order(symbol="BTCUSDT", orig_client_order_id="sdk-1"))["status"]
    rest.query_current_open_order(symbol="BTCUSDT", order_id=order["orderId"]).data()
    report["open"] = len(plain(rest.current_all_open_orders()))
    report["cancelled"] = plain(rest.cancel_order(symbol="BTCUSDT", order_id=order["orderId"]))["status"]
    entries = [
        {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.01",
         "price": str(round(price - step, 1))}
        for step in (20, 30, -100000, 40)
    ]  # fmt: skip
    batch = plain(rest.place_multiple_orders(batch_orders=entries))
    report["batch"] = [each.get("status") or each.get("code") for each in batch]
    ids = [each["orderId"] for each in batch if each.get("status")]
    moved = [
        {"symbol": "BTCUSDT", "side": "BUY", "orderId": ids[0], "quantity": "0.01", "price": str(round(price - 60, 1))}
    ]
    report["batch_modified"] = [each.get("status") for each in plain(rest.modify_multiple_orders(batch_orders=moved))]
    report["batch_cancelled"] = [
        each.get("status") or each.get("code")
        for each in plain(rest.cancel_multiple_orders(symbol="BTCUSDT", order_id_list=[ids[0], 7]))
    ]
    report["all_cancelled"] = plain(rest.cancel_all_open_orders(symbol="BTCUSDT"))["code"]
    report["left"] = len(plain(rest.current_all_open_orders(symbol="BTCUSDT")))
    rest.auto_cancel_all_open_orders(symbol="BTCUSDT", countdown_time=60000)
    rest.auto_cancel_all_open_orders(symbol="BTCUSDT", countdown_time=0)
    rest.test_order(symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTX", quantity=0.01, price=price)
    rest.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01, new_order_resp_type="RESULT")
    report["position"] = plain(rest.position_information_v3(symbol="BTCUSDT"))[0]["positionAmt"]
    rest.position_information_v2(symbol="BTCUSDT").data()
    report["my_trades"] = len(plain(rest.account_trade_list(symbol="BTCUSDT")))
    report["income"] = sorted({each["incomeType"] for each in plain(rest.get_income_history())})
    report["all_orders"] = len(plain(rest.all_orders(symbol="BTCUSDT")))
    rest.position_adl_quantile_estimation().data()
    rest.futures_trading_quantitative_rules_indicators().data()
    rest.users_force_orders().data()
    report.error("margin_of_cross", lambda: rest.modify_isolated_position_margin(symbol="BTCUSDT", amount=1, type=1))
    rest.get_position_margin_change_history(symbol="BTCUSDT").data()


def conditional(rest, bid):
    order = plain(
        rest.new_algo_order(
            algo_type="CONDITIONAL",
            symbol="BTCUSDT",
            side="SELL",
            type="STOP_MARKET",
            quantity=0.01,
            trigger_price=round(bid - 5000, 1),
            client_algo_id="sdk-sl",
            reduce_only="true",
        )
    )
    report["algo"] = [order["algoStatus"], order["clientAlgoId"]]
    report["algo_read"] = plain(rest.query_algo_order(client_algo_id="sdk-sl"))["algoStatus"]
    report["algo_open"] = len(plain(rest.current_all_algo_open_orders()))
    report["algo_cancelled"] = plain(rest.cancel_algo_order(algo_id=order["algoId"]))["code"]
    report["algo_all"] = [each["algoStatus"] for each in plain(rest.query_all_algo_orders(symbol="BTCUSDT"))]
    rest.cancel_all_algo_open_orders(symbol="BTCUSDT").data()


def errors(rest, bid):
    def order(**more):
        fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTX", "quantity": 0.01}
        return rest.new_order(**(fields | {"price": round(bid - 500, 1)} | more))

    report.error("would_cross", lambda: order(price=round(bid + 500, 1)))
    report.error("margin", lambda: order(quantity=100))
    report.error("unknown_symbol", lambda: order(symbol="NOPEUSDT"))
    report.error("unknown_order", lambda: rest.cancel_order(symbol="BTCUSDT", order_id=7))
    report.error("signature", lambda: client("wrong").rest_api.futures_account_balance_v3())


async def socket_api(connection_of, bid):
    connection = await connection_of.create_connection()
    price = round(bid - 700, 1)
    order = (
        (
            await connection.new_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTX", quantity=0.01, price=price
            )
        )
        .data()
        .result
    )
    report["ws_placed"] = order.status
    changed = await connection.modify_order(
        symbol="BTCUSDT", side="BUY", order_id=order.order_id, quantity=0.02, price=price
    )
    report["ws_modified"] = changed.data().result.orig_qty
    report["ws_read"] = (await connection.query_order(symbol="BTCUSDT", order_id=order.order_id)).data().result.status
    report["ws_cancelled"] = (
        (await connection.cancel_order(symbol="BTCUSDT", order_id=order.order_id)).data().result.status
    )
    algo = await connection.new_algo_order(
        algo_type="CONDITIONAL",
        symbol="BTCUSDT",
        side="BUY",
        type="STOP_MARKET",
        quantity=0.01,
        trigger_price=round(bid + 5000, 1),
    )
    report["ws_algo"] = algo.data().result.algo_status
    gone = await connection.cancel_algo_order(algo_id=algo.data().result.algo_id)
    report["ws_algo_cancelled"] = gone.data().result.code
    await connection.futures_account_balance()
    await connection.futures_account_balance_v2()
    await connection.account_information()
    await connection.account_information_v2()
    await connection.position_information()
    await connection.position_information_v2()
    await connection.order_book(symbol="BTCUSDT")
    await connection.symbol_price_ticker(symbol="BTCUSDT")
    await connection.symbol_order_book_ticker(symbol="BTCUSDT")
    await connection.start_user_data_stream()
    await connection.keepalive_user_data_stream()
    await report.error_of(
        "ws_would_cross",
        connection.new_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTX", quantity=0.01, price=bid + 900
        ),
    )
    await connection.close_connection(close_session=True)


async def streams(of, rest, bid):
    """Every stream says something, and the user's says what happens to the user."""
    key = plain(rest.start_user_data_stream())["listenKey"]
    rest.keepalive_user_data_stream()
    connection = await of.create_connection()
    heard, events = set(), []
    names = {
        "aggTrade": lambda: connection.aggregate_trade_streams(symbol="btcusdt"),
        "kline": lambda: connection.kline_candlestick_streams(symbol="btcusdt", interval="1m"),
        "continuousKline": lambda: connection.continuous_contract_kline_candlestick_streams(
            pair="btcusdt", contract_type="perpetual", interval="1m"
        ),
        "markPrice": lambda: connection.mark_price_stream(symbol="btcusdt", update_speed="1s"),
        "markPrices": lambda: connection.mark_price_stream_for_all_market(update_speed="1s"),
        "miniTicker": lambda: connection.individual_symbol_mini_ticker_stream(symbol="btcusdt"),
        "miniTickers": lambda: connection.all_market_mini_tickers_stream(),
        "ticker": lambda: connection.individual_symbol_ticker_streams(symbol="btcusdt"),
        "tickers": lambda: connection.all_market_tickers_streams(),
        "bookTicker": lambda: connection.individual_symbol_book_ticker_streams(symbol="btcusdt"),
        "bookTickers": lambda: connection.all_book_tickers_stream(),
        "depth": lambda: connection.diff_book_depth_streams(symbol="btcusdt", update_speed="100ms"),
        "depth5": lambda: connection.partial_book_depth_streams(symbol="btcusdt", levels=5, update_speed="100ms"),
        "rpiDepth": lambda: connection.rpi_diff_book_depth_streams(symbol="btcusdt"),
    }
    for name, subscribe in names.items():
        stream = await subscribe()
        stream.on("message", lambda data, name=name: heard.add(name))
    for subscribe in (
        lambda: connection.liquidation_order_streams(symbol="btcusdt"),
        lambda: connection.all_market_liquidation_order_streams(),
        lambda: connection.contract_info_stream(),
    ):
        await subscribe()
    user = await connection.user_data(key)
    user.on("message", lambda data: events.append(getattr(data, "actual_instance", data)))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(rest.new_order, symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01)
    await asyncio.to_thread(rest.change_initial_leverage, symbol="BTCUSDT", leverage=12)
    algo = await asyncio.to_thread(
        rest.new_algo_order,
        algo_type="CONDITIONAL",
        symbol="BTCUSDT",
        side="SELL",
        type="STOP_MARKET",
        quantity=0.01,
        trigger_price=round(bid - 5000, 1),
    )
    await asyncio.to_thread(rest.cancel_algo_order, algo_id=plain(algo)["algoId"])
    for _ in range(120):
        kinds = {str(getattr(each, "e", type(each).__name__)) for each in events}
        if len(heard) == len(names) and len(kinds) >= 5:
            break
        await asyncio.sleep(0.1)
    report["streams_silent"] = sorted(set(names) - heard)
    report["user_events"] = sorted(kinds)
    await connection.close_connection(close_session=True)
    rest.close_user_data_stream()


def main():
    made = client()
    rest = made.rest_api
    bid = markets(rest)
    settings(rest)
    orders(rest, bid)
    conditional(rest, bid)
    errors(rest, bid)
    asyncio.run(socket_api(made.websocket_api, bid))
    asyncio.run(streams(made.websocket_streams, rest, bid))
    report.print()


main()
