"""What of a bot must outlive a crash."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Struct

from trading.core.ledger import Books
from trading.core.lifecycle import Move, Status
from trading.model import ZERO, ClientOrderId


class Checkpoint(Struct):
    """One bot at one instant, as the journal keeps it."""

    status: Status = Status.CREATED
    reason: str = ""
    ending: Move = Move.STOPPED
    """Where STOPPING leads."""
    close: bool = False
    """Whether the position is to be closed on the way (stop, reset, a start that closes first)."""
    trigger_side: int = 0
    """While WAITING: +1 = the price was below the trigger at the start command, -1 = above."""
    close_turn: int = 0
    close_done: Decimal = ZERO
    """Filled of the present closing order."""
    rested: ClientOrderId | None = None
    """The latest order of ours that the venue took since the start or the last resume: a venue must know its name."""
    transition: int = 0
    started: int = 0
    """When the present run began, ms."""
    compared: int = 0
    """When the start command came, ms: the venue's position was the ledger's then, whatever had been traded before."""
    floor: int = 0
    """The ledger's floor at that time: while it has not moved, the venue may have forgotten trades above it."""
    read_from: int = 0
    """Trades and fundings before this were settled by a Snapshot, ms."""
    held_from: int = 0
    """When a run last began without a position, ms: fundings before that are not this bot's."""
    resumed: int = 0
    """The last resume, ms: it places everything anew, whoever cancelled it before."""
    first_started: int = 0
    books: Books = msgspec.field(default_factory=Books)
    strategy: bytes = b""
