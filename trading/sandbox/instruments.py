"""The instruments the sandbox trades when nobody says otherwise (product.md §9)."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from trading.gateways.binance.wire import SymbolInfo
from trading.model import Bracket, Instrument


class Listing(Struct, frozen=True):
    """An instrument with its leverage brackets and where its price starts."""

    instrument: Instrument
    brackets: tuple[Bracket, ...]
    start: Decimal
    info: SymbolInfo | None = None
    """What the exchange published of it; None for a built-in one."""


def _brackets(*rows: tuple[int, int, str]) -> tuple[Bracket, ...]:
    """Rows of (cap, leverage, maintenance rate); the amounts keep the margin continuous (binance-usdm.md §7.2)."""
    made: list[Bracket] = []
    floor = cum = rate = Decimal(0)
    for cap, leverage, text in rows:
        mmr = Decimal(text)
        cum += floor * (mmr - rate)
        made.append(Bracket(floor, Decimal(cap), leverage, mmr, cum))
        floor, rate = Decimal(cap), mmr
    return tuple(made)


def _instrument(
    base: str,
    tick: str,
    lot: str,
    minimum: str,
    precision: tuple[int, int],
    bounds: tuple[str, str],
    most: tuple[str, str],
    leverage: int,
) -> Instrument:
    return Instrument(
        key=f"binance:{base}-USDT-PERP",
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_qty=Decimal(lot),
        max_qty=Decimal(most[0]),
        market_max_qty=Decimal(most[1]),
        min_notional=Decimal(minimum),
        max_orders=200,
        max_leverage=leverage,
        min_price=Decimal(bounds[0]),
        max_price=Decimal(bounds[1]),
        multiplier_up=Decimal("1.0500"),
        multiplier_down=Decimal("0.9500"),
        price_precision=precision[0],
        qty_precision=precision[1],
    )


LISTINGS: dict[str, Listing] = {
    listing.instrument.symbol: listing
    for listing in (
        Listing(
            _instrument("BTC", "0.10", "0.001", "50", (2, 3), ("556.80", "4529764"), ("1000", "120"), 125),
            _brackets(
                (300_000, 125, "0.004"),
                (800_000, 100, "0.005"),
                (3_000_000, 75, "0.0065"),
                (12_000_000, 50, "0.01"),
                (70_000_000, 25, "0.02"),
                (100_000_000, 20, "0.025"),
                (230_000_000, 10, "0.05"),
                (480_000_000, 5, "0.1"),
                (600_000_000, 4, "0.125"),
                (800_000_000, 3, "0.15"),
                (1_200_000_000, 2, "0.25"),
                (1_800_000_000, 1, "0.5"),
            ),
            Decimal(65_000),
        ),
        Listing(
            _instrument("ETH", "0.01", "0.001", "20", (2, 3), ("39.86", "306177"), ("10000", "2000"), 100),
            _brackets(
                (300_000, 100, "0.005"),
                (800_000, 75, "0.0065"),
                (3_000_000, 50, "0.01"),
                (12_000_000, 25, "0.02"),
                (50_000_000, 20, "0.025"),
                (65_000_000, 10, "0.05"),
                (150_000_000, 5, "0.1"),
                (320_000_000, 4, "0.125"),
                (400_000_000, 3, "0.15"),
                (530_000_000, 2, "0.25"),
                (800_000_000, 1, "0.5"),
            ),
            Decimal(3_200),
        ),
        Listing(
            _instrument("SOL", "0.01", "0.01", "5", (4, 2), ("0.42", "6857"), ("1000000", "8000"), 100),
            _brackets(
                (50_000, 100, "0.005"),
                (300_000, 75, "0.0065"),
                (1_000_000, 50, "0.01"),
                (3_000_000, 25, "0.02"),
                (8_000_000, 20, "0.025"),
                (20_000_000, 10, "0.05"),
                (40_000_000, 5, "0.1"),
                (60_000_000, 4, "0.125"),
                (80_000_000, 3, "0.15"),
                (120_000_000, 2, "0.25"),
                (200_000_000, 1, "0.5"),
            ),
            Decimal(150),
        ),
    )
}
"""Built-in listings by symbol."""


def generic_brackets() -> tuple[Bracket, ...]:
    """For an instrument whose brackets nobody published here: those of a middling one."""
    return LISTINGS["SOLUSDT"].brackets
