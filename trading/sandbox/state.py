"""What a sandbox keeps between runs: its books and where its market stands."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct, field

from trading.core.algo import AlgoState
from trading.core.records import VenueState
from trading.gateways.binance import wire

VERSION = 1


class Saved(Struct):
    """Everything of a sandbox that a restart needs."""

    version: int
    market: str
    """Which market it was: `synthetic`, `still` or the tapes by name and size."""
    passed: int
    """Points of the tape that are behind."""
    is_held: bool
    venue: VenueState
    amendments: list[wire.Amendment] = []
    margin_moves: list[tuple[str, wire.MarginChange]] = []
    burning: list[str] = []
    joint: list[str] = []
    algos: AlgoState = field(default_factory=AlgoState)
    countdowns: list[tuple[str, str, int]] = []
    """Account, symbol and when all orders there are cancelled, ms."""
    settled: list[tuple[str, int, Decimal, Decimal]] = []
    hedged: list[str] = []
    """Accounts in hedge mode, in files from before they could trade in it; now the venue keeps it."""


class Foreign(ValueError):
    """A state file that this sandbox cannot go on from, with why."""


def save(path: Path, saved: Saved) -> None:
    """Write the whole file beside the old one, then take its place: a crash leaves one of the two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(saved))
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def load(path: Path, market: str) -> Saved | None:
    """What was saved, None where nothing was; raises Foreign for a broken file or another market's."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        saved = msgspec.json.decode(data, type=Saved)
    except msgspec.DecodeError as error:
        raise Foreign(f"{path}: not a state file of this sandbox ({error})") from None
    if saved.version != VERSION:
        raise Foreign(f"{path}: written by another version of the sandbox")
    if saved.market != market:
        raise Foreign(f"{path}: belongs to another market ({saved.market}); remove it to begin anew with {market}")
    return saved


def market_name(tapes: dict[str, Path], still: bool, rules: Path | None = None) -> str:
    """How a market is recognised."""
    if rules is not None:
        return f"{rules.name}:{rules.stat().st_size} {market_name(tapes, still)}"
    if not tapes:
        return "still" if still else "synthetic"
    return " ".join(f"{symbol}={path.name}:{path.stat().st_size}" for symbol, path in sorted(tapes.items()))
