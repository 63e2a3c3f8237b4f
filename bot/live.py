"""Live cards: the grid's card that a person looks at follows the grid, after everything else that is to be said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from msgspec import Struct
from telegram.error import BadRequest, Forbidden, TelegramError

from bot.access import Reader
from bot.budget import Budget, Rank
from bot.menu import Press, Screen
from bot.panel import Panel
from bot.words import say
from storage import users
from storage.database import Database
from storage.journal import OUT_OF_REACH
from trading.views import Declined

log = structlog.get_logger("bot.live")
EVERY = 5.0
"""Seconds between two looks at a card."""
LONG = 600.0
"""Seconds after the last touch; then nobody looks any more."""
CARDS = frozenset({"grid", "open"})


class _Watch(Struct):
    reader: Reader
    press: Press
    message: int
    until: float
    next: float


class Live:
    """One card for each person: the one that was opened or touched last."""

    def __init__(
        self,
        database: Database,
        panel: Panel,
        budget: Budget,
        show: Callable[[Reader, Press], Awaitable[Screen]],
        is_up: Callable[[], bool],
    ) -> None:
        self._database = database
        self._panel = panel
        self._budget = budget
        self._show = show
        self._is_up = is_up
        self._watches: dict[int, _Watch] = {}

    def follow(self, reader: Reader, screen: Screen, message: int) -> None:
        """What `message` shows now; only cards are followed."""
        press = refreshed(screen)
        watch = self._watches.get(reader.id)
        if press is not None:
            now = asyncio.get_running_loop().time()
            self._watches[reader.id] = _Watch(reader, press, message, now + LONG, now + EVERY)
        elif watch is not None and watch.message == message:
            del self._watches[reader.id]

    def card(self, chat: int, bot: int) -> int | None:
        """The message that shows this grid's card."""
        watch = self._watches.get(chat)
        return watch.message if watch is not None and watch.press.target == bot else None

    async def run(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            for person, watch in list(self._watches.items()):
                if loop.time() > watch.until:
                    self._watches.pop(person)
                elif loop.time() >= watch.next and self._is_up():
                    watch.next = loop.time() + EVERY
                    await self._look(person, watch)

    async def _look(self, person: int, watch: _Watch) -> None:
        """Draw the card again; what cannot be drawn is followed no more."""
        wish = self._panel.wishes(person, watch.message)
        try:
            known = await users.get(self._database, person)
            if known is None:
                raise Declined
            if self._budget.take(person, Rank.LIVE, is_edit=True):
                return  # the next look shows what is true then
            screen = await self._show(Reader(known.id, known.role), watch.press)
            if self._watches.get(person) is watch:
                await self._panel.refresh(person, watch.message, screen, wish)
        except (Declined, BadRequest, Forbidden):
            if self._watches.get(person) is watch:
                del self._watches[person]
        except (TelegramError, *OUT_OF_REACH) as error:
            log.debug("card not drawn", error=type(error).__name__)


def refreshed(screen: Screen) -> Press | None:
    """What the refresh button of a card opens; None where this is no card."""
    caption = say("b_refresh")
    for row in screen.rows:
        for button in row:
            if button.text == caption and button.press.verb in CARDS and button.press.target:
                return button.press
    return None
