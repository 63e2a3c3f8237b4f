"""Binance's paged lists read whole: trades, orders and funding since a point."""

from __future__ import annotations

from trading.gateways.binance import wire
from trading.gateways.binance.rest import Rest
from trading.gateways.binance.signing import Parameter

WEEK = 7 * 86_400_000
"""The widest window these lists may be asked for."""
PAGE = 1000
HOUR = 3_600_000
KEPT = 90 * 86_400_000
"""How long the venue remembers, ms."""


def windows(since: int, now: int) -> list[tuple[int, int]]:
    """[since, now] in pieces of at most seven days; the last one is open to what happens meanwhile."""
    since = max(since, now - KEPT)
    starts = range(since, max(now, since + 1), WEEK)
    return [(start, start + WEEK - 1) for start in starts]


async def trades_after(rest: Rest, symbol: str, floor: int) -> list[wire.UserTrade]:
    """Every trade of the account on `symbol` with an id above `floor`, ascending."""
    found: list[wire.UserTrade] = []
    while True:
        query: dict[str, Parameter] = {"symbol": symbol, "fromId": floor + 1, "limit": PAGE}
        page = wire.decode(await rest.read("/fapi/v1/userTrades", query), list[wire.UserTrade])
        found += [trade for trade in page if trade.id > floor]
        if len(page) < PAGE:
            return sorted(found, key=lambda trade: trade.id)
        floor = max(trade.id for trade in page)


async def trades_since(rest: Rest, symbol: str, since: int, now: int) -> list[wire.UserTrade]:
    """Every trade of the account on `symbol` not older than `since`, ascending; by windows until the first is found."""
    for start, end in windows(since, now):
        query: dict[str, Parameter] = {"symbol": symbol, "startTime": start, "endTime": end, "limit": PAGE}
        page = wire.decode(await rest.read("/fapi/v1/userTrades", query), list[wire.UserTrade])
        if page:
            first = min(trade.id for trade in page)
            return await trades_after(rest, symbol, first - 1)
    return []


async def orders_since(rest: Rest, symbol: str, since: int, now: int) -> list[wire.Order]:
    """Orders of every state created since; a full page may hide some, whoever needs one asks for it by name."""
    found: list[wire.Order] = []
    for start, end in windows(since, now):
        query: dict[str, Parameter] = {"symbol": symbol, "startTime": start, "endTime": end, "limit": PAGE}
        found += wire.decode(await rest.read("/fapi/v1/allOrders", query), list[wire.Order])
    return found


async def fundings_since(rest: Rest, symbol: str, since: int, now: int) -> list[wire.Income]:
    """Funding payments since, ascending, each once."""
    found: dict[int | str, wire.Income] = {}
    for start, end in windows(since, now):
        while start <= end:
            query: dict[str, Parameter] = {"symbol": symbol, "incomeType": "FUNDING_FEE", "limit": PAGE}
            query |= {"startTime": start, "endTime": end}
            page = wire.decode(await rest.read("/fapi/v1/income", query, weight=30), list[wire.Income])
            found.update((row.tran_id, row) for row in page if row.symbol == symbol)
            if len(page) < PAGE:
                break
            start = max(start + 1, *(row.time for row in page))
    return sorted(found.values(), key=lambda row: row.time)


def had_settlement(since: int, now: int) -> bool:
    """Whether funding may have been settled in between: it is at full hours. Long gaps are always asked about."""
    return now - since > HOUR // 6 or since // HOUR != now // HOUR
