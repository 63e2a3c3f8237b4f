"""The only list of venues: which gateway serves an account."""

from __future__ import annotations

from trading.gateways.binance.gateway import BinanceGateway
from trading.model import Environment
from trading.ports import Account, Broken, Credentials, Endpoints, Gateway

BINANCE = {
    Environment.MAINNET: Endpoints(
        rest="https://fapi.binance.com",
        ws_api="wss://ws-fapi.binance.com/ws-fapi/v1",
        streams="wss://fstream.binance.com",
    ),
    Environment.TESTNET: Endpoints(
        rest="https://demo-fapi.binance.com",
        ws_api="wss://testnet.binancefuture.com/ws-fapi/v1",
        streams="wss://fstream.binancefuture.com",
    ),
}
"""Where Binance's environments live (binance-usdm.md §2.1); a sandbox brings its own endpoints."""

VENUES = ("binance",)


def local(port: int, host: str = "127.0.0.1") -> Endpoints:
    """The endpoints of a sandbox exchange."""
    return Endpoints(
        rest=f"http://{host}:{port}", ws_api=f"ws://{host}:{port}/ws-fapi/v1", streams=f"ws://{host}:{port}"
    )


def open_gateway(account: Account, credentials: Credentials) -> Gateway:
    """The gateway of `account`, not yet connected; raises Broken for what we cannot serve."""
    if account.venue != "binance":
        raise Broken(f"no such venue: {account.venue}")
    endpoints = account.endpoints or BINANCE.get(account.environment)
    if endpoints is None:
        raise Broken(f"{account.environment.value} accounts need endpoints")
    return BinanceGateway(endpoints, credentials)
