"""The only list of venues: which gateway serves an account."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

from trading.gateways.binance import wire
from trading.gateways.binance.gateway import BinanceGateway
from trading.gateways.binance.public import Prices
from trading.gateways.binance.signing import PEM as PEM
from trading.gateways.binance.signing import signer
from trading.gateways.limiter import Address
from trading.gateways.paper import PaperGateway
from trading.model import Bracket, Environment, Instrument
from trading.ports import Account, Broken, Credentials, Endpoints, Gateway

BINANCE = {
    Environment.MAINNET: Endpoints(
        rest="https://fapi.binance.com",
        ws_api="wss://ws-fapi.binance.com/ws-fapi/v1",
        streams="wss://fstream.binance.com",
        keys="https://api.binance.com",
    ),
    Environment.TESTNET: Endpoints(
        rest="https://demo-fapi.binance.com",
        ws_api="wss://testnet.binancefuture.com/ws-fapi/v1",
        streams="wss://fstream.binancefuture.com",
    ),
}
"""Where Binance's environments live (binance-usdm.md §2.1); a sandbox brings its own endpoints."""

VENUES = ("binance", "paper")
_ADDRESSES: WeakValueDictionary[str, Address] = WeakValueDictionary()
"""By REST endpoint: the budgets and bans that the accounts of this process share there."""


def local(port: int, host: str = "127.0.0.1") -> Endpoints:
    """The endpoints of a sandbox exchange."""
    return Endpoints(
        rest=f"http://{host}:{port}", ws_api=f"ws://{host}:{port}/ws-fapi/v1", streams=f"ws://{host}:{port}"
    )


def check_keys(credentials: Credentials) -> None:
    """Whether these can sign at all; Broken says what is wrong with them."""
    signer(credentials)


def open_gateway(
    account: Account, credentials: Credentials, allow_withdraw: bool = False, keep: Path | None = None
) -> Gateway:
    """The gateway of `account`, not yet connected; raises Broken for what we cannot serve.

    A key that may withdraw is refused at connect unless `allow_withdraw`. `keep`: the file of an account of paper.
    """
    if account.venue not in VENUES:
        raise Broken(f"no such venue: {account.venue}")
    is_paper = account.venue == "paper"
    endpoints = account.endpoints or BINANCE.get(Environment.MAINNET if is_paper else account.environment)
    if endpoints is None:
        raise Broken(f"{account.environment.value} accounts need endpoints")
    address = _ADDRESSES.get(endpoints.rest)
    if address is None:
        address = _ADDRESSES[endpoints.rest] = Address()
    if is_paper:
        return PaperGateway(Prices(endpoints, address), keep)
    return BinanceGateway(endpoints, credentials, address, allow_withdraw)


def recorded_rules(answer: bytes) -> dict[str, Instrument]:
    """The instruments in a kept answer of a venue (Binance's exchangeInfo), by symbol; raises Broken."""
    found = {}
    for info in wire.exchange_info(answer).symbols:
        try:
            found[info.symbol] = wire.instrument(info)
        except wire.Malformed:
            continue
    return found


def recorded_brackets(answer: bytes) -> dict[str, tuple[Bracket, ...]]:
    """The leverage brackets in a kept answer (Binance's leverageBracket), by symbol; raises Broken."""
    return {rows.symbol: wire.brackets(rows) for rows in wire.one_or_many(answer, wire.SymbolBrackets)}
