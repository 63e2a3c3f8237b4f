"""Why a wish is not sent just now, and when it may be: one hold per slot."""

from __future__ import annotations

from msgspec import Struct

from trading.messages import Reason
from trading.model import Slot


class Hold(Struct, frozen=True):
    """A reason with its term."""

    reason: Reason
    until: int
    """ms; 0 = not by time alone."""


class Holds:
    """The holds of one bot; those that wait for a quote are kept apart, so that quotes cost nothing otherwise."""

    def __init__(self) -> None:
        self.by_slot: dict[Slot, Hold] = {}
        self.crossing: set[Slot] = set()
        """Held until a quote at which they no longer cross."""
        self.has_room = False
        """Whether something ended since the last look: margin or a place may be free."""

    def __contains__(self, key: Slot) -> bool:
        return key in self.by_slot

    def get(self, key: Slot) -> Hold | None:
        return self.by_slot.get(key)

    def put(self, key: Slot, reason: Reason, until: int = 0) -> None:
        self.by_slot[key] = Hold(reason, until)
        if reason is Reason.WOULD_CROSS:
            self.crossing.add(key)

    def release(self, key: Slot) -> None:
        self.by_slot.pop(key, None)
        self.crossing.discard(key)

    def release_all(self) -> None:
        self.by_slot.clear()
        self.crossing.clear()

    def release_due(self, now: int) -> list[Slot]:
        """Let go of those whose time is up, or for which there may be room again."""
        room, self.has_room = self.has_room, False
        due = [key for key, hold in self.by_slot.items() if _is_due(hold, now, room)]
        for key in due:
            self.release(key)
        return due


def _is_due(hold: Hold, now: int, room: bool) -> bool:
    freed = room and hold.reason in (Reason.MARGIN, Reason.TOO_MANY_ORDERS)
    return freed or bool(hold.until and hold.until <= now)
