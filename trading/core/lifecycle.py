"""The life of a bot: one table of state x move -> state (product.md §3.4). The docs' diagram is drawn from it."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """Where a bot is in its life; kept in the database."""

    CREATED = "CREATED"
    WAITING = "WAITING"
    """For its trigger price: nothing is placed."""
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    RESETTING = "RESETTING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"

    @property
    def is_live(self) -> bool:
        """Whether it may have orders on the exchange."""
        return self in LIVE


class Move(Enum):
    """What may happen to a bot."""

    WAIT = "wait"
    START = "start"
    RUN = "run"
    PAUSE = "pause"
    RESUME = "resume"
    RESET = "reset"
    STOP = "stop"
    CLOSE = "close"
    """A stop that has kept lots to close, of a bot that rests nothing yet."""
    STOPPED = "stopped"
    FINISH = "finish"
    FAIL = "fail"
    EDIT = "edit"
    """Changes the plan and never the state."""


LIVE = frozenset({Status.WAITING, Status.STARTING, Status.RUNNING, Status.PAUSED, Status.RESETTING, Status.STOPPING})
OVER = frozenset({Status.STOPPED, Status.FINISHED, Status.FAILED})

_START = {(s, Move.START): Status.STARTING for s in (Status.CREATED, Status.WAITING, *OVER)}
_WAIT = {(s, Move.WAIT): Status.WAITING for s in (Status.CREATED, *OVER)}
_STOP = {
    (s, Move.STOP): Status.STOPPING
    for s in (Status.STARTING, Status.RUNNING, Status.PAUSED, Status.RESETTING, Status.STOPPING)
}

MOVES: dict[tuple[Status, Move], Status] = {
    **_START,
    **_WAIT,
    **_STOP,
    (Status.WAITING, Move.STOP): Status.STOPPED,
    (Status.WAITING, Move.CLOSE): Status.STOPPING,
    (Status.STARTING, Move.RUN): Status.RUNNING,
    (Status.STARTING, Move.PAUSE): Status.PAUSED,
    (Status.STARTING, Move.FAIL): Status.FAILED,
    (Status.RUNNING, Move.PAUSE): Status.PAUSED,
    (Status.PAUSED, Move.PAUSE): Status.PAUSED,
    (Status.PAUSED, Move.RESUME): Status.RUNNING,
    (Status.RUNNING, Move.RESET): Status.RESETTING,
    (Status.PAUSED, Move.RESET): Status.RESETTING,
    (Status.RESETTING, Move.RUN): Status.RUNNING,
    (Status.RESETTING, Move.PAUSE): Status.PAUSED,
    (Status.STOPPING, Move.STOPPED): Status.STOPPED,
    (Status.STOPPING, Move.FINISH): Status.FINISHED,
    (Status.STOPPING, Move.FAIL): Status.FAILED,
}


class IllegalMove(Exception):
    """A move that the table does not know; the state is untouched."""

    def __init__(self, status: Status, move: Move) -> None:
        super().__init__(f"{move.value} is not possible while {status.value}")
        self.status = status
        self.move = move


def after(status: Status, move: Move) -> Status:
    """The state that `move` leads to; IllegalMove where the table has no such row."""
    try:
        return MOVES[status, move]
    except KeyError:
        raise IllegalMove(status, move) from None
