"""A made-up exchange: an exchangeInfo with as many alike instruments as a benchmark wants, each starting at 100."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path

import msgspec

from trading.gateways.binance import wire
from trading.gateways.binance.wire import Filter, SymbolInfo

MIDDLE = D(100)
"""Where every price starts: the sandbox begins in the geometric middle of what PRICE_FILTER allows."""
TICK = D("0.0001")
QTY = D(1)


def symbols(count: int) -> list[str]:
    return [f"Q{number:03}USDT" for number in range(count)]


def _symbol(name: str) -> SymbolInfo:
    lot = {"min_qty": D("0.01"), "max_qty": D(1_000_000), "step_size": D("0.01")}
    return SymbolInfo(
        symbol=name,
        pair=name,
        base_asset=name.removesuffix("USDT"),
        quote_asset="USDT",
        margin_asset="USDT",
        price_precision=4,
        quantity_precision=2,
        filters=[
            Filter("PRICE_FILTER", min_price=D(1), max_price=MIDDLE * MIDDLE, tick_size=TICK),
            Filter("LOT_SIZE", **lot),
            Filter("MARKET_LOT_SIZE", **lot),
            Filter("MAX_NUM_ORDERS", limit=1000),
            Filter("MIN_NOTIONAL", notional=D(5)),
            Filter("PERCENT_PRICE", multiplier_up=D(2), multiplier_down=D("0.5"), multiplier_decimal="4"),
        ],
        order_types=["LIMIT", "MARKET"],
        time_in_force=["GTC", "IOC", "FOK", "GTX"],
    )


def write(folder: Path, count: int) -> Path:
    """The file for `--rules`."""
    file = folder / f"exchangeInfo-{count}.json"
    file.write_bytes(wire.encode(wire.ExchangeInfo(symbols=[_symbol(name) for name in symbols(count)])))
    return file


def main() -> None:
    """Print one, for `run.py sandbox --rules`."""
    print(msgspec.json.format(wire.encode(wire.ExchangeInfo(symbols=[_symbol(name) for name in symbols(50)]))).decode())


if __name__ == "__main__":
    main()
