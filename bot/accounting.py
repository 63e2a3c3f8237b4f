"""The room of exchange accounts: look, test, remove. Keys are never typed into a chat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot.access import Reader
from bot.menu import Press
from bot.pages import Pages, Reply, declined
from bot.screens import accounts
from bot.seals import Seals, Verdict
from bot.words import say
from trading.live.desk import Desk
from trading.views import Card, Declined


class Accounting:
    """What a person may do with the accounts that are theirs."""

    def __init__(self, desk: Desk, pages: Pages, seals: Seals, clock: Callable[[], int]) -> None:
        self._desk = desk
        self._pages = pages
        self._seals = seals
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Reader, Press], Awaitable[Reply]]] = {
            "accounts": self._list,
            "account": self._one,
            "acctest": self._test,
            "accremove": self._ask,
            "accgone": self._remove,
        }

    async def _list(self, reader: Reader, press: Press) -> Reply:
        up = {row.part.removeprefix("account:"): row.ok for row in self._desk.health()}
        every = [
            (each, up.get(each.name, False), len(self._cards(reader, each.id))) for each in self._pages.accounts(reader)
        ]
        return Reply(accounts.accounts(every))

    def _cards(self, reader: Reader, account: int) -> list[Card]:
        return [it for it in self._pages.cards(reader) if it.account == account]

    async def _one(self, reader: Reader, press: Press) -> Reply:
        it = self._pages.account_of(reader, press.target)
        return Reply(accounts.account(it, self._cards(reader, it.id), None, self._clock(), reader.can_act))

    async def _test(self, reader: Reader, press: Press) -> Reply:
        it = self._pages.account_of(reader, press.target)
        found = await self._desk.check_account(it.id)
        return Reply(accounts.account(it, self._cards(reader, it.id), found, self._clock(), reader.can_act))

    async def _ask(self, reader: Reader, press: Press) -> Reply:
        if not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        return Reply(accounts.remove(self._pages.account_of(reader, press.target), self._pages.seal(reader)))

    async def _remove(self, reader: Reader, press: Press) -> Reply:
        if not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        verdict = self._seals.take(self._clock(), reader.id, press)
        if verdict is Verdict.USED:
            return Reply((await self._list(reader, press)).screen, say("done_already"))
        it = self._pages.account_of(reader, press.target)
        if verdict is Verdict.STALE:
            return Reply((await self._one(reader, press)).screen, say("outdated"), alert=True, outcome="outdated")
        try:
            await self._desk.remove_account(it.id, reader.id)
        except Declined as no:
            return declined(no, (await self._one(reader, press)).screen)
        return Reply((await self._list(reader, press)).screen, say("done_removed"), outcome="done")
