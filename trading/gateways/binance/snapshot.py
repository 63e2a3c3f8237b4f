"""The venue's truth about one bot's instrument: reads repeated until they agree (architecture §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

from msgspec import UNSET, Struct

from trading.gateways.binance import history, wire
from trading.gateways.binance.errors import BAD_SYMBOL, UNKNOWN_ORDER
from trading.gateways.binance.events import end_of
from trading.gateways.binance.ferry import Ferry
from trading.gateways.binance.funding import Fundings
from trading.gateways.binance.names import Names
from trading.gateways.binance.rates import Rates
from trading.gateways.binance.rest import Rest, Unsent
from trading.messages import Closed, Filled, Foreign, Funding, Snapshot, Working
from trading.model import ZERO, ClientOrderId, Position
from trading.ports import Disagree, Glance, NotListed, Rejected, SnapshotRequest

ROUNDS = 5
FIRST_PAUSE = 0.2
LAG = 1.0
"""How long after "no such order" the venue is asked once more, s: reads may lag behind placements."""
MANY = 5
"""From so many unknown orders on, one list is cheaper than single questions."""
EVERY = 40
"""What the orders of every symbol cost to read, in weight; those of one symbol cost 1."""
HELD = 5
"""What positions cost to read, one or all."""
TRADES = 5
ROUND = 2 + TRADES + HELD
"""What a round of reads costs at least: orders twice, trades and positions once."""


class Reading(Struct):
    """One round of reads."""

    resting: list[wire.Order]
    position: wire.PositionRisk | None
    trades: list[wire.UserTrade]
    missing: dict[str, wire.Order | None]
    """What became of expected names that do not rest; None = the venue knows no such order."""
    listed: list[wire.Order]
    """Orders since the last Snapshot, open and over, where something happened since."""
    is_steady: bool
    """The resting orders were the same before and after."""


class _Resting(Struct, frozen=True, rename="camel"):
    """What a glance takes in of a resting order."""

    symbol: str
    client_order_id: str
    executed_qty: Decimal


def working(order: wire.Order) -> Working:
    """A resting order as the venue states it."""
    return Working(
        ClientOrderId.parse(order.client_order_id),
        order.client_order_id,
        order.order_id,
        order.side,
        order.price,
        order.orig_qty,
        order.executed_qty,
        order.update_time if order.time is UNSET else order.time,
    )


class Reader:
    """Reads Snapshots for the bots of one account."""

    def __init__(self, rest: Rest, names: Names, rates: Rates) -> None:
        self._rest = rest
        self._names = names
        self._rates = rates
        self.fundings = Fundings(rest)
        self.lag: Callable[[Iterable[str], int], float] = lambda names, since: 0.0
        """How long, s, the venue's not knowing these names proves nothing."""
        self._positions = Ferry(self._read_positions)

    async def snapshot(self, request: SnapshotRequest) -> Snapshot:
        """Raises Disagree after five rounds, NotListed, or any other TradingError."""
        try:
            return await self._agreed(request)
        except Rejected as error:
            if error.code == BAD_SYMBOL and not await self._is_listed(request.symbol):
                raise NotListed(f"{request.symbol} is not listed any more") from None
            raise

    async def _is_listed(self, symbol: str) -> bool:
        info = wire.exchange_info(await self._rest.get("/fapi/v1/exchangeInfo"))
        return any(row.symbol == symbol for row in info.symbols)

    async def _agreed(self, request: SnapshotRequest) -> Snapshot:
        began = self._rest.clock.now()
        incomes = await self.fundings.missed(request.symbol, request.since_funding, began)
        absent: set[str] = set()
        for number in range(ROUNDS):
            if number:
                await asyncio.sleep(FIRST_PAUSE * 2 ** (number - 1))
            reading = await self._read(request, began, absent)
            if agrees(reading, request):
                return await self._compose(request, reading, incomes, began)
            # who is believed not to exist is not asked about again: the next round is too short for the market to move
            absent = {name for name, order in reading.missing.items() if order is None}
        raise Disagree(f"{request.symbol}: reads disagree", _is_forgotten(reading, request))

    # ------------------------------------------------------------------ reads

    async def _read(self, request: SnapshotRequest, began: int, absent: Collection[str]) -> Reading:
        is_recent = not request.is_first and began - request.since_time < history.WEEK
        await self._rest.reserve(ROUND)
        try:
            before = await self.resting(request.symbol, weight=0)
        except Unsent:
            self._rest.release(ROUND)  # the venue cannot be reached, and has counted nothing
            raise
        rows, is_shared = await self._positions.share()
        if is_shared:
            self._rest.release(HELD)
        position = _one_way(rows, request.symbol)
        if is_recent:
            trades = await history.trades_after(self._rest, request.symbol, request.since_trade, weight=0)
        else:
            trades = await history.trades_since(
                self._rest, request.symbol, request.since_time, began, request.since_trade, weight=0
            )
        missing, listed = await self._missing(request, before, trades, began, absent)
        after = await self.resting(request.symbol, weight=0)
        return Reading(after, position, trades, missing, listed, _standing(before) == _standing(after))

    async def resting(self, symbol: str | None = None, weight: int | None = None) -> list[wire.Order]:
        """Open orders, of one symbol or all."""
        orders = wire.decode(await self._open(symbol, weight), list[wire.Order])
        self._learn(orders)
        return orders

    async def _open(self, symbol: str | None, weight: int | None = None) -> bytes:
        cost = (1 if symbol else EVERY) if weight is None else weight
        return await self._rest.read("/fapi/v1/openOrders", {"symbol": symbol} if symbol else {}, cost)

    async def position(self, symbol: str) -> wire.PositionRisk | None:
        """The one-way position; None when there is neither position nor order."""
        return _one_way(await self.positions(), symbol)

    async def positions(self) -> list[wire.PositionRisk]:
        """Every position; one read serves all who wait for it."""
        await self._rest.reserve(HELD)
        rows, is_shared = await self._positions.share()
        if is_shared:
            self._rest.release(HELD)
        return rows

    async def _read_positions(self) -> list[wire.PositionRisk]:
        """Paid for by whoever asks."""
        return wire.decode(await self._rest.read("/fapi/v3/positionRisk", weight=0), list[wire.PositionRisk])

    async def glance(self, symbols: Collection[str]) -> Glance:
        """See ports.Gateway."""
        asked = symbols if len(symbols) < EVERY else [None]
        bodies = await asyncio.gather(*(self._open(symbol) for symbol in asked))
        held = await self.positions()
        orders: dict[str, dict[str, Decimal]] = {symbol: {} for symbol in symbols}
        for body in bodies:
            for order in wire.decode(body, list[_Resting]):
                if order.symbol in orders:
                    orders[order.symbol][order.client_order_id] = order.executed_qty
        return Glance(orders, {row.symbol: row.position_amt for row in held if row.position_side == "BOTH"})

    def _learn(self, orders: Iterable[wire.Order]) -> None:
        for order in orders:
            self._names.learn(order.symbol, order.order_id, order.client_order_id)

    async def _missing(
        self,
        request: SnapshotRequest,
        resting: list[wire.Order],
        trades: list[wire.UserTrade],
        began: int,
        absent: Collection[str],
    ) -> tuple[dict[str, wire.Order | None], list[wire.Order]]:
        """Expected names that do not rest, asked about unless they are known to be `absent`; trades of unknown orders
        get their names on the way.

        Where there are trades that nobody counted, orders may have been sent, and ended, that nobody remembers:
        then the list of all orders since is read.
        """
        here = {order.client_order_id for order in resting}
        names = [str(cid) for cid in request.expected if str(cid) not in here]
        doubtful = [name for name in names if name not in absent]
        unknown = self._unnamed(request.symbol, trades)
        found: dict[str, wire.Order] = {}
        listed: list[wire.Order] = []
        is_listed = len(doubtful) + len(unknown) > MANY or any(_is_new(trade, request) for trade in trades)
        if is_listed:
            listed = await history.orders_since(self._rest, request.symbol, request.since_time, began)
            self._learn(listed)
            found = {order.client_order_id: order for order in listed}
            unknown = self._unnamed(request.symbol, trades)
        by_id = await asyncio.gather(*(self._order(request.symbol, "orderId", number) for number in unknown))
        self._learn(order for order in by_id if order is not None)
        asked = await self._ask(request, [name for name in doubtful if name not in found], is_listed)
        return {name: found.get(name) for name in names} | asked, listed

    def _unnamed(self, symbol: str, trades: list[wire.UserTrade]) -> list[int]:
        return sorted({t.order_id for t in trades if self._names.get(symbol, t.order_id) is None})

    async def _ask(
        self, request: SnapshotRequest, names: list[str], was_asked: bool
    ) -> dict[str, wire.Order | None]:
        """What became of each name. "No such order" is believed when it was said twice, a second apart."""
        answers: dict[str, wire.Order | None] = dict.fromkeys(names)
        for is_last in (False, True):
            asked = [name for name in names if answers[name] is None]
            if not asked:
                break
            if not is_last and was_asked:
                continue  # the list of all orders was the first time
            if is_last:
                await asyncio.sleep(max(LAG, self.lag(asked, request.since_time)))
            replies = await asyncio.gather(*(self._order(request.symbol, "origClientOrderId", name) for name in asked))
            answers.update(zip(asked, replies, strict=True))
        self._learn(order for order in answers.values() if order is not None)
        return answers

    async def _order(self, symbol: str, key: str, value: str | int) -> wire.Order | None:
        try:
            body = await self._rest.read("/fapi/v1/order", {"symbol": symbol, key: value}, weight=1)
        except Rejected as error:
            if error.code in UNKNOWN_ORDER:
                return None
            raise
        return wire.decode(body, wire.Order)

    # ------------------------------------------------------------------ compose

    async def _compose(
        self, request: SnapshotRequest, reading: Reading, incomes: list[wire.Income], began: int
    ) -> Snapshot:
        symbol = request.symbol
        fills: list[Filled] = []
        foreign: list[Foreign] = []
        for trade in reading.trades:
            name = self._names.get(symbol, trade.order_id) or ""
            cid = ClientOrderId.parse(name)
            if cid is not None and (cid.install, cid.bot) == (request.install, request.bot):
                fills.append(await self._fill(cid, trade))
            else:
                fee = trade.commission * await self._rate(trade)
                foreign.append(Foreign(trade.time, trade.id, trade.side, trade.price, trade.qty, name, fee))
        return Snapshot(
            time=began,
            orders=tuple(working(order) for order in reading.resting),
            over=tuple(_over(request, [*reading.missing.values(), *reading.listed])),
            absent=frozenset(cid for cid in request.expected if reading.missing.get(str(cid), ...) is None),
            fills=tuple(fills),
            foreign=tuple(foreign),
            fundings=tuple(Funding(row.time, row.income, row.asset) for row in incomes),
            position=stated(reading.position),
            last_trade=max((trade.id for trade in reading.trades), default=request.since_trade),
        )

    async def _fill(self, cid: ClientOrderId, trade: wire.UserTrade) -> Filled:
        return Filled(
            trade.time,
            cid,
            trade.id,
            trade.side,
            trade.price,
            trade.qty,
            trade.commission,
            trade.commission_asset,
            await self._rate(trade),
            trade.maker,
            trade.realized_pnl,
        )

    async def _rate(self, trade: wire.UserTrade) -> Decimal:
        """Quote for one unit of what its fee was paid in."""
        return await self._rates.at(trade.symbol, trade.commission_asset if trade.commission else "", trade.time)


def _one_way(rows: Iterable[wire.PositionRisk], symbol: str) -> wire.PositionRisk | None:
    return next((row for row in rows if row.symbol == symbol and row.position_side == "BOTH"), None)


def _standing(orders: list[wire.Order]) -> set[tuple[int, Decimal, Decimal, Decimal]]:
    return {(order.order_id, order.price, order.orig_qty, order.executed_qty) for order in orders}


def _over(request: SnapshotRequest, orders: Iterable[wire.Order | None]) -> Iterable[Closed]:
    """The ends of this bot's orders that are over, each once; also of those wholly filled: a hand may have made them
    smaller, and then their fills alone do not end them for the bot."""
    seen: set[int] = set()
    for order in orders:
        if order is None or order.status in ("NEW", "PARTIALLY_FILLED"):
            continue
        cid = ClientOrderId.parse(order.client_order_id)
        is_ours = cid is not None and (cid.install, cid.bot) == (request.install, request.bot)
        if cid is not None and is_ours and order.order_id not in seen:
            seen.add(order.order_id)
            yield Closed(order.update_time, cid, end_of(order.status), order.executed_qty)


def _is_forgotten(reading: Reading, request: SnapshotRequest) -> bool:
    """Whether there is no trace of a bot that should have several orders."""
    is_empty = not reading.resting and not reading.trades and not any(reading.missing.values())
    return is_empty and len(request.expected) > 1


def stated(row: wire.PositionRisk | None) -> Position:
    """A position without its configuration, which v3 does not tell."""
    if row is None:
        return Position(ZERO, ZERO)
    return Position(
        row.position_amt,
        row.entry_price,
        row.mark_price,
        row.un_realized_profit,
        row.isolated_wallet,
        max(row.liquidation_price, ZERO),
    )


def agrees(reading: Reading, request: SnapshotRequest) -> bool:
    """Whether one round of reads tells one story."""
    if not reading.is_steady:
        return False
    new = [trade for trade in reading.trades if _is_new(trade, request)]
    moved = sum((trade.qty * trade.side.sign for trade in new), ZERO)
    amount = reading.position.position_amt if reading.position is not None else ZERO
    if amount != request.position + moved:
        return False
    traded: dict[int, Decimal] = {}
    for trade in new:
        traded[trade.order_id] = traded.get(trade.order_id, ZERO) + trade.qty
    expected = {str(cid) for cid in request.expected} | set(request.counted)
    for order in [*reading.resting, *(order for order in reading.missing.values() if order is not None)]:
        if order.client_order_id not in expected:
            continue
        counted = request.counted.get(order.client_order_id, ZERO)
        if order.executed_qty != counted + traded.get(order.order_id, ZERO):
            return False
    resting = {order.order_id for order in reading.resting}
    return all(
        order is None or order.status not in ("NEW", "PARTIALLY_FILLED") or order.order_id in resting
        for order in reading.missing.values()
    )


def _is_new(trade: wire.UserTrade, request: SnapshotRequest) -> bool:
    return trade.id > request.since_trade and trade.id not in request.counted_trades
