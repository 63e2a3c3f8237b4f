"""The deterministic heart of one bot: an event or a command in, order intents out.

The strategy says what should rest; the engine holds that against what works and asks for the difference. It never
reads an answer: a refusal, an end, a doubt are events like any other. Nothing is sent while the account stream is
down; the Snapshot that follows settles what happened meanwhile (architecture §5), by the same steps as live fills.

What a bot knows is in `state`; each room beside has one part of what changes it, and knows only those before it:
`placing` (orders wanted against orders that work), `life` (its moves), `market` (prices and time), `execution` and
`refusal` (what the venue tells of orders), `recovery` (Snapshots).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trading.core import execution, life, market, placing, recovery, refusal
from trading.core.checkpoint import Checkpoint
from trading.core.recovery import ORDERS_UNKNOWN
from trading.core.state import READS_DISAGREE, OpeningStrategy, State
from trading.messages import (
    Accepted,
    Begin,
    CancelRefused,
    Closed,
    Command,
    Delisted,
    Disconnected,
    Edit,
    Event,
    Fail,
    Filled,
    Foreign,
    Funding,
    Intent,
    Mark,
    Notice,
    Pause,
    PlaceAgain,
    Quote,
    Refused,
    Reset,
    Resume,
    Snapshot,
    Start,
    Stop,
    Tick,
    Uncertain,
)
from trading.model import Slot
from trading.ports import SnapshotRequest

__all__ = ["ORDERS_UNKNOWN", "READS_DISAGREE", "Checkpoint", "Engine", "OpeningStrategy"]

HANDLERS: dict[type, Callable[[State, Any], None]] = {
    Quote: market.on_quote,
    Mark: market.on_mark,
    Tick: market.on_tick,
    Accepted: execution.on_accepted,
    Filled: execution.on_filled,
    Closed: execution.on_closed,
    Refused: refusal.on_refused,
    CancelRefused: execution.on_doubt,
    Uncertain: execution.on_doubt,
    Foreign: execution.on_foreign,
    Funding: execution.on_funding,
    Snapshot: recovery.on_snapshot,
    Disconnected: recovery.on_disconnected,
    Delisted: recovery.on_delisted,
    Start: life.on_start,
    Begin: life.on_begin,
    Fail: life.on_fail,
    Reset: life.on_reset,
    Stop: life.on_stop,
    Pause: life.on_pause,
    Resume: life.on_resume,
    PlaceAgain: life.on_place_again,
    Edit: life.on_edit,
}


class Engine(State):
    """One bot. Call `handle` with one event at a time; it returns what to ask of the venue, in order."""

    def handle(self, event: Event | Command) -> list[Intent]:
        """Take in one event; the intents to send, in order. Raises IllegalMove for a command out of turn."""
        kind = type(event)
        if kind is Quote:
            self.see(event)  # type: ignore[arg-type]
            if not (self.holds.crossing or self.kept.trigger_side or self.watches_quotes):
                return []
        self.now = event.time
        intents: list[Intent] = []
        self.intents = intents
        self.must_commit = False
        HANDLERS[kind](self, event)
        if kind is not Quote or self.must_commit:
            life.progress(self)
        return intents

    @property
    def notices(self) -> list[Notice]:
        """What is to be told and not yet committed."""
        return self.teller.notices

    def adopt(self, strategy: OpeningStrategy) -> None:
        """The strategy that the next Start begins with."""
        self.strategy = strategy

    def wish(self, key: Slot) -> placing.Wish:
        """What should rest at `key` now, or why nothing does."""
        return placing.wish(self, key)

    def request(self) -> SnapshotRequest:
        """What a gateway must know to read a Snapshot for this bot."""
        return recovery.request(self)

    def checkpoint(self) -> bytes:
        """The state of this instant, for the journal."""
        self.kept.strategy = self.strategy.pack() if self.strategy is not None else b""
        return msgspec.msgpack.encode(self.kept)

    @staticmethod
    def read(checkpoint: bytes) -> Checkpoint:
        """A checkpoint as `checkpoint` wrote it."""
        return msgspec.msgpack.decode(checkpoint, type=Checkpoint)
