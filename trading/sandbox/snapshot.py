"""Instruments from what the real exchange published: snapshots of exchangeInfo and leverageBracket."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import msgspec

from trading.gateways.binance import wire
from trading.model import Bracket, Instrument
from trading.sandbox.instruments import LISTINGS, Listing, generic_brackets
from trading.sandbox.recording import Unreadable


def read(path: Path) -> bytes:
    """A file, unpacked where it ends in .gz."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.name.endswith(".gz") else data
    except (OSError, EOFError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def listings(
    rules: Path | None, brackets: Path | None = None, wanted: Collection[str] = ()
) -> Mapping[str, Listing]:
    """What may be traded: the built-in instruments, or by a snapshot the USDT perpetuals that are TRADING or `wanted`.

    Prices start where a built-in instrument does, else in the (geometric) middle of what PRICE_FILTER allows.
    """
    tiers = _tiers(brackets) if brackets is not None else {}
    if rules is None:
        return {
            symbol: msgspec.structs.replace(listing, brackets=tiers.get(symbol, listing.brackets))
            for symbol, listing in LISTINGS.items()
        }
    try:
        info = wire.exchange_info(read(rules))
    except wire.Malformed as error:
        raise Unreadable(f"{rules}: no exchangeInfo ({error})") from None
    found: dict[str, Listing] = {}
    for symbol in info.symbols:
        made = _listing(symbol, tiers) if _is_wanted(symbol, wanted) else None
        if made is not None:
            found[symbol.symbol] = made
    if lost := set(wanted) - found.keys():
        raise Unreadable(f"{rules}: has no {', '.join(sorted(lost))} that can be traded in USDT")
    if not found:
        raise Unreadable(f"{rules}: lists no USDT perpetual")
    return found


def _tiers(path: Path) -> dict[str, tuple[Bracket, ...]]:
    try:
        return {row.symbol: wire.brackets(row) for row in wire.one_or_many(read(path), wire.SymbolBrackets)}
    except wire.Malformed as error:
        raise Unreadable(f"{path}: no leverageBracket ({error})") from None


def _is_wanted(symbol: wire.SymbolInfo, wanted: Collection[str]) -> bool:
    if wanted and symbol.symbol not in wanted:
        return False
    is_open = symbol.status == "TRADING" or bool(wanted)
    return is_open and symbol.contract_type == "PERPETUAL" and symbol.quote_asset == "USDT"


def _listing(symbol: wire.SymbolInfo, tiers: Mapping[str, tuple[Bracket, ...]]) -> Listing | None:
    try:
        rules = wire.instrument(symbol)
        bound, protect = Decimal(symbol.market_take_bound), Decimal(symbol.trigger_protect)
    except (wire.Malformed, ArithmeticError):
        return None
    built_in = LISTINGS.get(rules.symbol)
    brackets = tiers.get(rules.symbol) or (built_in.brackets if built_in else generic_brackets())
    rules = msgspec.structs.replace(
        rules,
        max_leverage=max(bracket.max_leverage for bracket in brackets),
        market_max_qty=rules.market_max_qty or rules.max_qty,
        market_take_bound=bound,
        trigger_protect=protect,
    )
    start = built_in.start if built_in else _middle(rules)
    return Listing(rules, brackets, start, symbol) if start > 0 else None


def _middle(rules: Instrument) -> Decimal:
    low, high = max(rules.min_price, rules.tick_size), rules.max_price or rules.tick_size * 10**6
    ticks = ((low * high).sqrt() / rules.tick_size).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return ticks * rules.tick_size
