"""Planted faults: engines that are wrong in one way each. The crash trial must catch every one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trading.core import placing
from trading.core.engine import Engine
from trading.messages import Closed, Disconnected, Filled, Snapshot
from trading.strategies.grid import Grid


class CountsTwice(Engine):
    """No dedupe by trade."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        right, books = self.ledger.count, self.ledger.books

        def wrong(fill: Filled):
            floor, books.floor = books.floor, 0
            books.trades.discard(fill.trade)
            counted = right(fill)
            books.floor = floor
            return counted

        self.ledger.count = wrong


class ForgetsPartials(Engine):
    """A fill that does not complete its order is not booked."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        right = self.ledger.count

        def wrong(fill: Filled):
            order = self.mine(fill.cid)
            return (order is None or order.executed + fill.qty >= order.qty) and right(fill)

        self.ledger.count = wrong


class _Twisted(Engine):
    """An engine whose grid is made wrong by `twist`."""

    @staticmethod
    def twist(grid: Grid) -> None:
        raise NotImplementedError

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.strategy is not None:
            self.twist(self.strategy)

    def adopt(self, strategy):
        self.twist(strategy)
        super().adopt(strategy)


class ReusesNames(_Twisted):
    """An order that ended is followed by one of the same name."""

    @staticmethod
    def twist(grid):
        right = grid._closed

        def wrong(end: Closed):
            changed = right(end)
            if isinstance(end.cid.slot, int):
                grid.state.slots[end.cid.slot].turn = end.cid.turn
            return changed

        grid._closed = wrong


class NeverTurns(ReusesNames):
    """The turn is not advanced when an order is filled, nor when it ends otherwise."""

    @staticmethod
    def twist(grid):
        ReusesNames.twist(grid)
        right = grid._filled

        def wrong(fill: Filled):
            key = fill.cid.slot
            before = grid.state.slots[key].turn if isinstance(key, int) else 0
            changed = right(fill)
            if isinstance(key, int):
                grid.state.slots[key].turn = before
            return changed

        grid._filled = wrong


class CountsSnapshotsAgain(Engine):
    """Fills that were counted are counted again when a Snapshot holds them."""

    def handle(self, event):
        if isinstance(event, Snapshot):
            self.ledger.books.trades -= {fill.trade for fill in event.fills}
        return super().handle(event)


class LosesFunding(Engine):
    """Funding is only booked when the stream brings it, not from a Snapshot."""

    def handle(self, event):
        return super().handle(msgspec.structs.replace(event, fundings=()) if isinstance(event, Snapshot) else event)


class DisownsKeptLots(Engine):
    """Funding is read from the start on, though lots were kept before it."""

    def request(self):
        asked = super().request()
        return msgspec.structs.replace(asked, since_funding=asked.since_time)


class ForgetsTurns(Engine):
    """A smaller grid forgets the turns of the slots that it does not have."""

    def adopt(self, strategy):
        strategy.state.later_turns = []
        super().adopt(strategy)


class TakesCancelsForFills(Engine):
    """An order that is gone is taken for filled, as pollers of open orders do."""

    def handle(self, event):
        order = self.mine(event.cid) if isinstance(event, Closed) else None
        if order is None or not isinstance(order.cid.slot, int):
            return super().handle(event)
        self.drop(order.cid.slot)
        rest = order.qty - order.executed
        fill = Filled(
            event.time, event.cid, 10**9 + self.moves, order.side, order.price, rest, order.qty * 0, "USDT",
            order.qty / order.qty, True,
        )  # fmt: skip
        return super().handle(fill)


class WrongSignForShorts(Engine):
    """Covering a short is booked as if it were opened."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        right = self.ledger._move_position

        def wrong(signed, price):
            right(-signed if self.ledger.books.position < 0 and signed > 0 else signed, price)

        self.ledger._move_position = wrong


class ActsWhileDeaf(Engine):
    """Acts on what it last knew though the line is down."""

    def handle(self, event):
        intents = super().handle(event)
        if isinstance(event, Disconnected):
            self.orders.clear()
            self.is_synced = True
            placing.diff_all(self)
        return intents


FAULTS: dict[str, tuple[Callable[..., Engine], bool]] = {
    "no dedupe by trade": (CountsTwice, False),
    "forgotten partial": (ForgetsPartials, False),
    "name reused": (ReusesNames, False),
    "command committed late": (Engine, True),
    "fill counted twice after a snapshot": (CountsSnapshotsAgain, False),
    "lost funding": (LosesFunding, False),
    "funding of kept lots lost": (DisownsKeptLots, False),
    "turns forgotten by a smaller grid": (ForgetsTurns, False),
    "cancel taken for a fill": (TakesCancelsForFills, False),
    "wrong sign for shorts": (WrongSignForShorts, False),
    "turn not advanced": (NeverTurns, False),
    "stale quote acted upon": (ActsWhileDeaf, False),
}
