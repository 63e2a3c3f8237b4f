"""Clients that nobody here wrote trade on the sandbox, each in an environment of its own (binance-usdm.md §17)."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from tests.foreign import environments, heard
from tests.sandboxes import running

pytestmark = [pytest.mark.foreign, pytest.mark.slow, pytest.mark.timeout(900)]

EVENTS = {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE", "ALGO_UPDATE", "ACCOUNT_CONFIG_UPDATE"}
GTX = "Due to the order could not be executed as maker, the Post Only order will be rejected."


async def found(name: str, **options: Any) -> tuple[dict[str, Any], set[str]]:
    """What the script found, and what it used of the sandbox."""
    environments.python_of(name)
    async with running(seed=5, **options) as (sandbox, _):
        told = await environments.run(name, sandbox.port)
        heard.note(name, sandbox.exchange)
        return told, heard.used(sandbox.exchange)


def check_common(told: dict[str, Any]) -> None:
    """What the official SDK and python-binance both went through."""
    assert abs(told["time"] - time.time() * 1000) < 120_000
    assert told["symbols"] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"] and 50_000 < told["bid"] < 80_000
    assert told["candles"] == 5 and told["trades"] > 0 and float(told["mark"]) > 0
    assert (told["balance"], told["leverage"], told["margin_type"]) == ("10000.00000000", 10, 200)
    assert told["dual"] is False and told["brackets"] == 3
    assert told["placed"][0] == "NEW" and told["read"] == "NEW" and told["open"] == 1 and told["amendments"] == 1
    assert told["cancelled"] == "CANCELED"
    assert told["batch"] == ["NEW", "NEW", -4016, "NEW"] and told["batch_cancelled"] == ["CANCELED", -2011]
    assert (told["all_cancelled"], told["left"]) == (200, 0)
    assert (told["position"], told["my_trades"], told["all_orders"]) == ("0.010", 1, 5)
    assert told["income"] == ["COMMISSION", "TRANSFER"]
    assert told["algo"][0] == "NEW" and told["algo_read"] == "NEW" and told["algo_open"] == 1
    assert (told["algo_cancelled"], told["algo_all"]) == ("200", ["CANCELED"])
    assert (told["ws_placed"], told["ws_modified"], told["ws_read"]) == ("NEW", "0.020", "NEW")
    assert (told["ws_cancelled"], told["ws_algo"], told["ws_algo_cancelled"]) == ("CANCELED", "NEW", "200")
    assert told["streams_silent"] == []


async def test_the_official_sdk_trades_and_listens() -> None:
    told, used = await found("official")
    check_common(told)
    assert told["modified"] == ["0.020", -10.0] and told["batch_modified"] == ["NEW"]
    assert told["wallet"] == "10000.00000000" and told["can_trade"] is True and told["symbol_config"] == 10
    assert set(told["user_events"]) == {
        "AccountConfigUpdate",
        "AccountUpdate",
        "AlgoUpdate",
        "OrderTradeUpdate",
        "TradeLite",
    }
    codes = {
        "same_margin_type": "(-4046, 'No need to change margin type.')",
        "same_mode": "(-4059, 'No need to change position side.')",
        "margin_of_cross": "(-4049, 'Add margin only support for isolated position.')",
        "margin": "(-2019, 'Margin is insufficient.')",
        "unknown_symbol": "(-1121, 'Invalid symbol.')",
        "unknown_order": "(-2011, 'Unknown order sent.')",
        "signature": "(-1022, 'Signature for this request is not valid.')",
    }
    assert {name: told[name] for name in codes} == {name: ["BadRequestError", text] for name, text in codes.items()}
    assert told["would_cross"][0] == "BadRequestError" and GTX in told["would_cross"][1]
    assert told["multi_assets"][0] == "BadRequestError" and "-4171" in told["multi_assets"][1]
    assert set(heard.kept()["official"]) <= used


async def test_python_binance_trades_and_listens() -> None:
    told, used = await found("unofficial")
    check_common(told)
    assert told["modified"] == "0.020" and told["account"] == [True, 3]
    assert set(told["user_events"]) == EVENTS
    codes = {
        "same_margin_type": "APIError(code=-4046): No need to change margin type.",
        "same_mode": "APIError(code=-4059): No need to change position side.",
        "margin_of_cross": "APIError(code=-4049): Add margin only support for isolated position.",
        "margin": "APIError(code=-2019): Margin is insufficient.",
        "unknown_symbol": "APIError(code=-1121): Invalid symbol.",
        "unknown_order": "APIError(code=-2011): Unknown order sent.",
        "signature": "APIError(code=-2015): Invalid API-key, IP, or permissions for action.",
    }
    wanted = {name: ["BinanceAPIException", text] for name, text in codes.items()}
    assert {name: told[name] for name in codes} == wanted
    for name in ("would_cross", "ws_would_cross"):
        assert told[name][0] == "BinanceAPIException" and GTX in told[name][1]
    assert set(heard.kept()["unofficial"]) <= used


async def test_nautilus_trader_goes_through_an_orders_whole_life() -> None:
    told, used = await found("trader")
    assert told["instrument"] == ["0.10", "0.001"] and told["balance"] == "10000.00000000 USDT"
    assert told["stage"] == "over", told
    # Compared as numbers: Nautilus drops a trailing zero when both prices are whole.
    assert [Decimal(one) for one in told["amended"]] == [Decimal("0.020"), Decimal(-600)]
    assert "-5022" in told["would_cross"] and "-2019" in told["margin"]
    assert told["fill"][0] == "0.010" and told["fill"][1].endswith(" USDT")
    assert told["heard"] == ["book", "mark", "quote", "trade"]
    counted = {name: told["life"].count(name) for name in set(told["life"])}
    assert counted["OrderAccepted"] == 6 and counted["OrderCanceled"] == 4 and counted["OrderFilled"] == 2
    assert counted["OrderRejected"] == 2 and counted["OrderUpdated"] == 1
    assert told["flat"] is True and told["positions"] == ["Position"]
    assert set(heard.kept()["trader"]) <= used


@pytest.mark.parametrize("name", ["official", "unofficial"])
async def test_what_production_closed_is_no_trouble_for_clients_of_today(name: str) -> None:
    """Routed streams only, no average prices in placements."""
    told, _ = await found(name, strict_routes=True, legacy_avg_price=False)
    assert told["streams_silent"] == [] and len(told["user_events"]) == 5
