"""Who is there: every account with its worker, every bot with its engine and its session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from trading.core.engine import Engine
from trading.core.lifecycle import IllegalMove, Move, Status, after
from trading.live import cards
from trading.live.session import Session
from trading.live.worker import Worker
from trading.messages import Command
from trading.ports import Books, BotRow, Broken, Gateway, TradingError
from trading.views import Card, Declined, Refusal


class Bot:
    """A bot as the desk holds it: its row, its engine, and its session while it is live."""

    def __init__(self, row: BotRow, engine: Engine, since: int) -> None:
        self.row = row
        self.engine = engine
        self.since = since
        """When it was loaded, ms."""
        self.wait = 0.0
        """How long that had to wait after its session broke, seconds."""
        self.session: Session | None = None
        self.idle = asyncio.Event()
        """Set while it has no session: the end of the last one is committed."""
        self.idle.set()
        self.busy = asyncio.Lock()
        """One verb at a time: pressed twice is done once."""
        self.is_starting = False
        """Not live yet, and about to be."""
        self.successor: asyncio.Future[Bot] | None = None
        """Once its session broke: the same bot, built again from its checkpoint."""

    async def do(self, command: Command) -> None:
        """Carry out a command; returns when it is committed. Declined, and nothing changed, where it cannot be."""
        try:
            if self.session is None:
                raise Broken("no session")
            await self.session.do(command)
        except IllegalMove as error:
            raise self.cannot(error.move, error.status) from None
        except Broken:
            values = {"bot": str(self.row.id), "status": self.engine.status.value}
            raise Declined(Refusal("not_live", values)) from None

    def check(self, move: Move) -> None:
        """Decline a move that the life of a bot does not have now."""
        try:
            after(self.engine.status, move)
        except IllegalMove:
            raise self.cannot(move) from None

    def cannot(self, move: Move, status: Status | None = None) -> Declined:
        values = {"status": (status or self.engine.status).value, "move": move.value}
        return Declined(Refusal("illegal_move", {"bot": str(self.row.id), **values}))


class Roster:
    """Everybody by number; who is not there is declined."""

    def __init__(self, books: Books, clock: Callable[[], int]) -> None:
        self.books = books
        self.clock = clock
        self.install = ""
        self.workers: dict[int, Worker] = {}
        self.bots: dict[int, Bot] = {}

    # ------------------------------------------------------------------ accounts

    def worker(self, account: int) -> Worker:
        worker = self.workers.get(account)
        if worker is None:
            raise Declined(Refusal("no_such_account", {"account": str(account)}))
        return worker

    def gateway(self, account: int) -> Gateway:
        """Of an account that can be reached now."""
        worker = self.worker(account)
        if worker.gateway is None or not worker.is_up:
            raise Declined(Refusal("venue_down", {"account": worker.account.name, "why": worker.why}))
        return worker.gateway

    def down(self, account: int, error: TradingError) -> Declined:
        name = self.worker(account).account.name
        return Declined(Refusal("venue_down", {"account": name, "why": str(error)}))

    def now(self, account: int) -> int:
        """The venue's time: a bot's waits, and the start that recovery reads from, are by the venue's clock."""
        return self.worker(account).now()

    # ------------------------------------------------------------------ bots

    def bot(self, number: int) -> Bot:
        found = self.bots.get(number)
        if found is None:
            raise Declined(Refusal("no_such_bot", {"bot": str(number)}))
        return found

    @asynccontextmanager
    async def hold(self, number: int) -> AsyncIterator[Bot]:
        """The bot for one verb: nobody else acts on it meanwhile. One that broke is waited for."""
        while True:
            bot = self.bot(number)
            if bot.successor is not None:
                await asyncio.shield(bot.successor)
                continue
            async with bot.busy:
                if self.bots.get(number) is bot and bot.successor is None:
                    yield bot
                    return

    def of(self, account: int) -> list[Bot]:
        return [bot for bot in self.bots.values() if bot.row.account == account]

    def card(self, bot: Bot) -> Card:
        return cards.card(bot.row, bot.engine, self.workers.get(bot.row.account))

    async def audit(self, user: int, action: str, target: str, outcome: str = "done") -> None:
        """Write down who did what."""
        await self.books.audit(user, action, target, outcome, self.clock())
