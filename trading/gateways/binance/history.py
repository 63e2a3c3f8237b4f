"""Binance's paged lists read whole: trades, orders and funding since a point."""

from __future__ import annotations

from trading.gateways.binance import wire
from trading.gateways.binance.rest import Rest
from trading.gateways.binance.signing import Parameter

WEEK = 7 * 86_400_000
"""The widest window these lists may be asked for."""
PAGE = 1000
FUNDINGS = ("FUNDING_FEE", "SPECIAL_FUNDING_FEE")
KEPT = 90 * 86_400_000
"""How long the venue remembers, ms."""


def windows(since: int, now: int) -> list[tuple[int, int]]:
    """[since, now] in pieces of at most seven days; the last one is open to what happens meanwhile."""
    since = max(since, now - KEPT)
    starts = range(since, max(now, since + 1), WEEK)
    return [(start, start + WEEK - 1) for start in starts]


async def trades_after(rest: Rest, symbol: str, floor: int, weight: int = 5) -> list[wire.UserTrade]:
    """Every trade of the account on `symbol` with an id above `floor`, ascending; the first page costs `weight`."""
    found: list[wire.UserTrade] = []
    while True:
        query: dict[str, Parameter] = {"symbol": symbol, "fromId": floor + 1, "limit": PAGE}
        page = wire.decode(await rest.read("/fapi/v1/userTrades", query, weight), list[wire.UserTrade])
        weight = 5
        found += [trade for trade in page if trade.id > floor]
        if len(page) < PAGE:
            return sorted(found, key=lambda trade: trade.id)
        floor = max(trade.id for trade in page)


async def trades_since(
    rest: Rest, symbol: str, since: int, now: int, floor: int = 0, weight: int = 5
) -> list[wire.UserTrade]:
    """Every trade of the account on `symbol` not older than `since` and with an id above `floor`, ascending.

    By windows of time: without one the venue speaks of the last week alone. The first page costs `weight`.
    """
    found: dict[int, wire.UserTrade] = {}
    for start, end in windows(since, now):
        while start <= end:
            query: dict[str, Parameter] = {"symbol": symbol, "startTime": start, "endTime": end, "limit": PAGE}
            page = wire.decode(await rest.read("/fapi/v1/userTrades", query, weight), list[wire.UserTrade])
            weight = 5
            found.update((trade.id, trade) for trade in page)
            if len(page) < PAGE:
                break
            last = max(trade.time for trade in page)
            if last == start:  # more in one millisecond than on a page: only their ids tell them apart
                found.update((trade.id, trade) for trade in await trades_after(rest, symbol, max(found)))
                break
            start = last
    return sorted((trade for trade in found.values() if trade.id > floor), key=lambda trade: trade.id)


async def orders_since(rest: Rest, symbol: str, since: int, now: int) -> list[wire.Order]:
    """Orders of every state created since; a full page may hide some, whoever needs one asks for it by name."""
    found: list[wire.Order] = []
    for start, end in windows(since, now):
        query: dict[str, Parameter] = {"symbol": symbol, "startTime": start, "endTime": end, "limit": PAGE}
        found += wire.decode(await rest.read("/fapi/v1/allOrders", query), list[wire.Order])
    return found


async def fundings_since(rest: Rest, since: int, now: int) -> list[wire.Income]:
    """Funding payments since, of every symbol, ascending, each once."""
    found: dict[tuple[str, int | str], wire.Income] = {}
    for kind in FUNDINGS:
        for start, end in windows(since, now):
            while start <= end:
                query: dict[str, Parameter] = {"incomeType": kind, "limit": PAGE, "startTime": start, "endTime": end}
                page = wire.decode(await rest.read("/fapi/v1/income", query, weight=30), list[wire.Income])
                found.update(((kind, row.tran_id), row) for row in page)
                if len(page) < PAGE:
                    break
                start = max(start + 1, *(row.time for row in page))
    return sorted(found.values(), key=lambda row: row.time)
