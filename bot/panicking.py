"""The room of the emergency stop: asks, stops everything, edits its progress in place, ends with what is verified."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from bot import words
from bot.access import Reader
from bot.menu import Press, Screen
from bot.pages import Pages, Reply
from bot.panel import Panel
from bot.screens import panic
from bot.seals import Seals, Verdict
from bot.words import say
from trading.live.desk import Desk
from trading.ports import Account
from trading.views import Aftermath, Declined

log = structlog.get_logger("bot.panicking")
PATIENCE = 90_000
"""ms for which progress is followed; after that Refresh does."""
PACE = 1.1
"""Seconds between two edits of the progress."""


class Panicking:
    """One emergency stop per account at a time."""

    def __init__(self, desk: Desk, pages: Pages, panel: Panel, seals: Seals, clock: Callable[[], int]) -> None:
        self._desk = desk
        self._pages = pages
        self._panel = panel
        self._seals = seals
        self._clock = clock
        self._going: dict[int, list[int]] = {}
        """The bots that the last emergency stop of each account found."""
        self.verbs: Mapping[str, Callable[[Reader, Press], Awaitable[Reply]]] = {
            "panic": self._ask,
            "panicdo": self._do,
            "panicsee": self._see,
        }

    async def _ask(self, reader: Reader, press: Press) -> Reply:
        accounts = self._pages.accounts(reader)
        if not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        if not accounts:
            return Reply(await self._pages.home(reader, press), say("no_account"), alert=True)
        if not press.target and len(accounts) > 1:
            return Reply(panic.choose(accounts))
        account = self._account(reader, press.target or accounts[0].id)
        cards = [it for it in self._pages.cards(reader) if it.account == account.id]
        return Reply(panic.ask(account, cards, self._pages.seal(reader)))

    def _account(self, reader: Reader, number: int) -> Account:
        return self._pages.account_of(reader, number)

    async def _do(self, reader: Reader, press: Press) -> Reply:
        if not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        account = self._account(reader, press.target)
        verdict = self._seals.take(self._clock(), reader.id, press)
        if verdict is Verdict.USED:
            return Reply(await self._shown(account), say("done_already"))
        if verdict is Verdict.STALE:
            return Reply((await self._ask(reader, press)).screen, say("outdated"), alert=True, outcome="outdated")
        self._going[account.id] = await self._desk.panic(account.id, reader.id, close=press.argument == "close")

        async def watch(message: int) -> None:
            await self._watch(reader, account, message)

        screen = panic.progress(account, self._desk.panicking(self._going[account.id]), None, "", self._clock())
        return Reply(screen, say("done_panic"), after=watch, outcome="done")

    async def _see(self, reader: Reader, press: Press) -> Reply:
        return Reply(await self._shown(self._account(reader, press.target)))

    async def _watch(self, reader: Reader, account: Account, message: int) -> None:
        """Edit the progress in place until the exchange has confirmed the end."""
        until = self._clock() + PATIENCE
        while self._clock() < until:
            await asyncio.sleep(PACE)
            left, trouble = await self._left(account)
            message = await self._panel.edit(reader.id, message, self._progress(account, left, trouble))
            if left is not None and not left.ours:
                return
        log.warning("panic takes long", account=account.id)
        await self._panel.edit(reader.id, message, self._progress(account, None, say("panic_long")))

    async def _shown(self, account: Account) -> Screen:
        return self._progress(account, *await self._left(account))

    def _bots(self, account: Account) -> list[int]:
        """Those of the last stop; after a restart, those that are on their way down."""
        if account.id in self._going:
            return self._going[account.id]
        return [it.id for it in self._desk.cards() if it.account == account.id and it.status == "STOPPING"]

    async def _left(self, account: Account) -> tuple[Aftermath | None, str]:
        """What is left once all are over, or why that is not known yet."""
        if any(bot.status in panic.LIVE for bot in self._desk.panicking(self._bots(account))):
            is_up = all(row.ok for row in self._desk.health() if row.part == f"account:{account.name}")
            return None, "" if is_up else say("panic_away")
        try:
            return await self._desk.aftermath(account.id), ""
        except Declined as no:
            return None, words.refusals(no)

    def _progress(self, account: Account, left: Aftermath | None, trouble: str) -> Screen:
        return panic.progress(account, self._desk.panicking(self._bots(account)), left, trouble, self._clock())
