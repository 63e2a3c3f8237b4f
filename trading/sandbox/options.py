"""What a sandbox is started with."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path

from msgspec import Struct

from trading.sandbox.recording import Unreadable, symbol_of


class Opening(Struct, frozen=True):
    """An account of the sandbox: its API key, secret and first deposit in USDT. Its repr hides the secret."""

    key: str
    secret: str
    usdt: Decimal = Decimal(10_000)

    def __repr__(self) -> str:
        return f"Opening({self.key}:***:{self.usdt})"

    __str__ = __repr__

    @staticmethod
    def parse(text: str) -> Opening:
        """`KEY:SECRET[:USDT]`; ValueError otherwise."""
        key, _, rest = text.partition(":")
        secret, _, amount = rest.partition(":")
        try:
            usdt = Decimal(amount) if amount else Decimal(10_000)
        except InvalidOperation:
            raise ValueError("an account is KEY:SECRET:USDT, the last being a number") from None
        if not key or not secret or not usdt.is_finite() or usdt < 0:
            raise ValueError("an account is KEY:SECRET:USDT")
        return Opening(key, secret, usdt)


DEFAULT_ACCOUNT = Opening("sandboxkey", "sandboxsecret")


class Options(Struct, frozen=True, kw_only=True):
    """Accounts, market and manners of a sandbox (product.md §9)."""

    accounts: tuple[Opening, ...] = (DEFAULT_ACCOUNT,)
    seed: int = 1
    """Of the synthetic market."""
    replay: tuple[str, ...] = ()
    """`[SYMBOL=]FILE` of recorded candles; only these symbols are listed then."""
    speed: float = 300
    """How many times faster than life a tape runs; 0 = as fast as settling allows."""
    hold: bool = False
    """Stand at the first open until POST /sandbox/market {"go": true}."""
    settle: int = 200
    """ms without a signed non-GET request before the tape leaves a point where an order filled; 0 never waits."""
    limits: bool = True
    """Whether rate limits refuse (`--limits real`) or only count (`off`), and then tell limits that never bind."""
    ping: float = 180
    """Seconds between the server's pings; who answers none for ten thirds of it is closed."""
    day: float = 86_400
    """Seconds after which every socket is closed."""
    rules: Path | None = None
    """A snapshot of exchangeInfo (.json or .json.gz); its symbols are listed instead of the built-in ones."""
    brackets: Path | None = None
    """A snapshot of leverageBracket."""
    listed: tuple[str, ...] = ()
    """Only these symbols of the rules; empty = all."""
    state: Path | None = None
    """Where books and market position are kept between runs."""
    funding: tuple[str, ...] = ()
    """`[SYMBOL=]FILE` of funding rates, settled at tape time."""
    still: bool = False
    """No market of its own: prices stand at their start and move by POST /sandbox/market {"reach": …} only."""
    strict_routes: bool = False
    """Unrouted sockets get public streams only, as in production since 2026-04-23."""
    strict_encoding: bool = False
    """Parameters that were not percent-encoded before they were signed are -1022, as announced for 2026-01-15."""
    legacy_avg_price: bool = False
    """Placements answer avgPrice and cumQuote as before 2026-06-30."""
    scramble: bool = True
    """Events race answers and one another in every order that Binance allows (seeded)."""

    def tapes(self) -> dict[str, Path]:
        return _named(self.replay)

    def fundings(self) -> dict[str, Path]:
        return _named(self.funding)


def _named(entries: tuple[str, ...]) -> dict[str, Path]:
    """Files by symbol; the symbol stands before `=` or in the file's name."""
    found: dict[str, Path] = {}
    for entry in entries:
        symbol, equals, name = entry.partition("=")
        path = Path(name if equals else entry)
        if not path.is_file():
            raise Unreadable(f"{path}: no such file")
        found[symbol.upper() if equals else symbol_of(path)] = path
    return found
