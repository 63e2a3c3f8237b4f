"""The minute's look at the bots of one account: a glance at all, a whole reading where it is due (decision 0009)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from trading.core.engine import Engine
from trading.core.orders import OrderStatus
from trading.live.session import Session
from trading.model import ZERO, ClientOrderId
from trading.ports import Gateway, Glance, Rejected, SnapshotRequest

log = structlog.get_logger("worker")

AT_ONCE = 16
"""Bots of an account that are read at the same time."""


async def read(sessions: Iterable[Session]) -> None:
    """Read each whole, without waiting for leisure."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(session: Session) -> None:
        async with gate:
            await session.reconcile()

    await asyncio.gather(*(one(session) for session in sessions))


async def audit(gateway: Gateway, sessions: Sequence[Session]) -> None:
    """Read whole the bot whose turn it is, and every other that a glance finds not to be as it believes.

    A glance changes nothing and forgets nothing: the next whole reading of a bot begins where its last one ended.
    Who is in doubt is read at once; who only moved meanwhile, when there is leisure.
    """
    free = [session for session in sessions if not session.is_reading]
    if not free:
        return
    due = [session for session in free if not is_settled(session.engine)]
    settled = sorted((each for each in free if each not in due), key=lambda each: each.engine.kept.read_from)
    due += settled[:1]
    others = settled[1:]
    if others:
        try:
            doubted, moved = await _glance(gateway, others)
        except Rejected as error:  # of one symbol, it may be, that is traded no longer: each for itself, then
            log.warning("glance_refused", error=str(error))
            doubted, moved = [], others
        await read(doubted)
        due += moved
    for session in due:
        await gateway.leisure()
        await session.look()


async def _glance(gateway: Gateway, sessions: Sequence[Session]) -> tuple[list[Session], list[Session]]:
    """Those that are not as they believe: those that stood still meanwhile, and those that moved."""
    await gateway.leisure(len(sessions))
    believed = [(session, session.engine.request(), session.engine.moves) for session in sessions]
    glance = await gateway.glance([request.symbol for _, request, _ in believed])
    doubted: list[Session] = []
    moved: list[Session] = []
    for session, request, moves in believed:
        if not agrees(glance, request):
            (doubted if session.engine.moves == moves else moved).append(session)
    return doubted, moved


def is_settled(engine: Engine) -> bool:
    """Whether nothing is under way or in doubt, so that orders and position alone tell if anything was missed."""
    is_certain = engine.is_synced and not engine.strays
    return is_certain and all(order.status is OrderStatus.WORKING for order in engine.orders.values())


def agrees(glance: Glance, request: SnapshotRequest) -> bool:
    """Whether a bot's orders rest as it believes, each executed as far as counted, and nothing else of its own does,
    and the position is the counted one."""
    if glance.positions.get(request.symbol, ZERO) != request.position:
        return False
    resting = glance.orders[request.symbol]
    names = {str(cid) for cid in request.expected}
    return all(resting.get(name) == request.counted.get(name, ZERO) for name in names) and not any(
        _is_of(name, request) for name in resting.keys() - names
    )


def _is_of(name: str, request: SnapshotRequest) -> bool:
    cid = ClientOrderId.parse(name)
    return cid is not None and (cid.install, cid.bot) == (request.install, request.bot)
