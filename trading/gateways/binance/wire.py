"""Binance USD-M futures messages, both directions: the gateway decodes what the sandbox encodes with the same Structs.

Pure. Unknown fields, enum values and event names are ignored; malformed messages raise `Malformed`. The Structs live
in `answers` (REST and WebSocket API) and `frames` (streams) and are all reachable here as `wire.X`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from trading.gateways.binance.answers import *  # noqa: F403 - both sides write `wire.Order`
from trading.gateways.binance.answers import (
    ExchangeInfo,
    Filter,
    Number,
    RawExchangeInfo,
    SymbolBrackets,
    SymbolInfo,
    Text,
)
from trading.gateways.binance.frames import *  # noqa: F403
from trading.gateways.binance.frames import MarketEvent, UserEvent
from trading.model import ZERO, Bracket, Instrument, plain
from trading.ports import Broken


class Malformed(Broken):
    """A message that does not have the shape its venue documents."""


class _Named(Struct, frozen=True):
    e: Text = UNSET


T = TypeVar("T")
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}
_USER: msgspec.json.Decoder[UserEvent] = msgspec.json.Decoder(UserEvent)
_MARKET: msgspec.json.Decoder[MarketEvent] = msgspec.json.Decoder(MarketEvent)
_USER_NAMES = frozenset(
    {
        "ORDER_TRADE_UPDATE",
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "ACCOUNT_CONFIG_UPDATE",
        "listenKeyExpired",
        "ALGO_UPDATE",
        "MARGIN_CALL",
    }
)
_LITE, _ACCOUNT, _BY_ORDER = b'{"e":"TRADE_LITE",', b'{"e":"ACCOUNT_UPDATE",', b'"m":"ORDER"'
_MARKET_NAMES = frozenset(
    {"bookTicker", "markPriceUpdate", "aggTrade", "trade", "depthUpdate", "kline", "24hrMiniTicker", "24hrTicker"}
)


def decode(data: bytes | str | Raw, kind: type[T]) -> T:
    """`data` as `kind` (a Struct, `list[Struct]`, …); raises Malformed."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        decoded: T = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError) as error:
        raise Malformed(str(error)) from None
    return decoded


def user_event(data: bytes | str) -> UserEvent | None:
    """The event of a user stream frame, None for one we do not know; raises Malformed."""
    try:
        return _USER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError) as error:
        _refuse_unless_unknown(data, _USER_NAMES, error)
        return None


def is_idle(data: bytes) -> bool:
    """Whether a user stream frame surely says nothing that an ORDER_TRADE_UPDATE does not: known without decoding.

    Of every fill TRADE_LITE and ACCOUNT_UPDATE come too, often before it. A frame laid out otherwise is not idle.
    """
    return data.startswith(_LITE) or (data.startswith(_ACCOUNT) and _BY_ORDER in data)


def market_event(data: bytes | str) -> MarketEvent | None:
    """The event of a market stream frame, None for control answers and unknown ones; raises Malformed."""
    try:
        return _MARKET.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError) as error:
        _refuse_unless_unknown(data, _MARKET_NAMES, error)
        return None


def _refuse_unless_unknown(data: bytes | str, known: frozenset[str], error: Exception) -> None:
    if decode(data, _Named).e in known:
        raise Malformed(str(error)) from None


def exchange_info(data: bytes | str) -> ExchangeInfo:
    """The answer of exchangeInfo; a symbol that does not decode is left out, not the whole list."""
    raw = decode(data, RawExchangeInfo)
    symbols = []
    for entry in raw.symbols:
        try:
            symbols.append(decode(entry, SymbolInfo))
        except Malformed:
            continue
    return ExchangeInfo(
        raw.timezone, raw.server_time, raw.futures_type, raw.rate_limits, raw.exchange_filters, raw.assets, symbols
    )


def one_or_many(data: bytes | str, kind: type[T]) -> list[T]:
    """Answers that are an object or an array of them depending on the request (leverageBracket, premiumIndex)."""
    text = data.lstrip()
    if text[:1] in (b"[", "["):
        return decode(text, list[kind])  # type: ignore[valid-type]
    return [decode(text, kind)]


_EXPONENT = re.compile(rb'"-?\d(?:\.\d+)?E[+-]?\d+"')
_ENCODER = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """`value` (Structs, lists, dicts) as the venue writes it: decimals are plain strings, never with an exponent."""
    data = _ENCODER.encode(value)
    if _EXPONENT.search(data):
        return _ENCODER.encode(_plainly(value))
    return data


def _plainly(value: Any) -> Any:
    """`value` as builtins with every Decimal spelled out."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Struct):
        return _plain_struct(value)
    if isinstance(value, Mapping):
        return {key: _plainly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plainly(item) for item in value]
    return value


def _plain_struct(value: Struct) -> Any:
    config = value.__struct_config__
    if config.array_like:
        return [_plainly(getattr(value, name)) for name in value.__struct_fields__]
    spelled: dict[str, Any] = {config.tag_field: config.tag} if config.tag_field else {}
    for name, wire_name in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
        item = getattr(value, name)
        if item is not UNSET:
            spelled[wire_name] = _plainly(item)
    return spelled


# --------------------------------------------------------------------------- to the nouns of trading


def instrument(info: SymbolInfo) -> Instrument:
    """The Instrument of a symbol; a missing filter means no limit. Raises Malformed without price or lot rule."""
    rules = {rule.filter_type: rule for rule in info.filters}
    price, lot = rules.get("PRICE_FILTER"), rules.get("LOT_SIZE")
    if price is None or lot is None or not _number(price.tick_size) or not _number(lot.step_size):
        raise Malformed(f"{info.symbol} has no price or lot rule")
    none = Filter("")
    market, band = rules.get("MARKET_LOT_SIZE", none), rules.get("PERCENT_PRICE", none)
    orders = rules.get("MAX_NUM_ORDERS", none).limit
    return Instrument(
        key=f"binance:{info.base_asset}-{info.quote_asset}-{_contract(info)}",
        symbol=info.symbol,
        base=info.base_asset,
        quote=info.quote_asset,
        tick_size=_number(price.tick_size),
        lot_size=_number(lot.step_size),
        min_qty=_number(lot.min_qty),
        max_qty=_number(lot.max_qty),
        market_max_qty=_number(market.max_qty),
        min_notional=_number(rules.get("MIN_NOTIONAL", none).notional),
        max_orders=200 if isinstance(orders, UnsetType) else orders,
        min_price=_number(price.min_price),
        max_price=_number(price.max_price),
        multiplier_up=_number(band.multiplier_up),
        multiplier_down=_number(band.multiplier_down),
        price_precision=info.price_precision,
        qty_precision=info.quantity_precision,
        status=info.status,
        liquidation_fee=_rate(info.liquidation_fee),
    )


def _rate(text: str) -> Decimal:
    try:
        return Decimal(text or 0)
    except ArithmeticError:
        raise Malformed(f"{text!r} is no number") from None


def _number(value: Number) -> Decimal:
    return ZERO if isinstance(value, UnsetType) else value


def _contract(info: SymbolInfo) -> str:
    _, _, delivery = info.symbol.partition("_")
    return delivery or "PERP"


def brackets(rows: SymbolBrackets) -> tuple[Bracket, ...]:
    """Ascending by notional."""
    found = [
        Bracket(row.notional_floor, row.notional_cap, row.initial_leverage, row.maint_margin_ratio, row.cum)
        for row in rows.brackets
    ]
    return tuple(sorted(found, key=lambda bracket: bracket.floor))
