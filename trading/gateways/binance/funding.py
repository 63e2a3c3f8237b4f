"""Funding that an account paid and got: only the income list names each settlement once.

The user stream tells of it too, but stamps it seconds later, often without the symbol, and not while it is down.
"""

from __future__ import annotations

import asyncio

from trading.gateways.binance import history, wire
from trading.gateways.binance.rest import Rest

HOUR = 3_600_000
"""Settlements are at full hours, but for special ones."""
LATELY = 300_000
"""How long before its event a settlement may be dated, ms."""
LISTED = 60_000
"""How long after the full hour, or its event, every settlement is in the list, ms."""
FRESH = 5_000
"""How old a reading may be, ms, that answers the next bot too while the list of the hour may still grow."""


class Fundings:
    """One account's settlements; a reading is of all its symbols, for one costs as much as all."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._rows: list[wire.Income] = []
        self._since = self._until = 0
        """What the last reading covers, ms."""
        self._blind = 0
        self._told: set[tuple[str, int | str]] = set()
        self._reading = asyncio.Lock()

    def doubt(self) -> None:
        """From here back there may be settlements that nobody told of."""
        self._blind = self._rest.clock.now()

    async def missed(self, symbol: str, since: int, now: int) -> list[wire.Income]:
        """Those of `symbol` since, ascending; none where the stream was awake all the time and no hour is full."""
        if since > self._blind and since // HOUR == now // HOUR:
            return []
        return [row for row in await self.read(since, now) if row.symbol == symbol and row.time >= since]

    async def news(self, now: int) -> list[wire.Income]:
        """Those of the last minutes that were not among the news before."""
        rows = [row for row in await self.read(now - LATELY, now) if row.time >= now - LATELY]
        news = [row for row in rows if (row.income_type, row.tran_id) not in self._told]
        self._told = {(row.income_type, row.tran_id) for row in rows}
        return news

    async def read(self, since: int, now: int) -> list[wire.Income]:
        """Those of every symbol since `since` or longer, ascending."""
        async with self._reading:
            listed = min(max(now - now % HOUR, self._blind) + LISTED, now - FRESH)
            if self._since > since or self._until < max(listed, self._blind):
                until, start = self._rest.clock.now(), since - since % HOUR
                # what failed covers nothing
                self._rows = await history.fundings_since(self._rest, start, now)
                self._until, self._since = until, start
            return self._rows
