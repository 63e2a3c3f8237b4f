"""The room where stops and note of a grid are changed: a question, an answer by tap or typed, before → after, done.

What a person is being asked is kept in the database, so a restart in the middle loses nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bot import words
from bot.access import Reader
from bot.menu import Press, Screen
from bot.pages import Pages, Reply, declined
from bot.screens import edit
from bot.seals import Seals, Verdict, nonce
from bot.words import say
from storage import preferences
from storage.database import Database
from trading.live.desk import Desk
from trading.parameters.vocabulary import PARAMETERS
from trading.views import Card, Declined

KEY = "_form"
"""Under which preference the open question is kept."""
LIFE = 15 * 60_000
"""ms after which a question is no longer waiting for typed text."""
LONGEST = 500
VERBS = frozenset({"ecancel"})
"""On every screen of a question."""


class Question(Struct, frozen=True):
    """What a person was asked and has answered so far."""

    bot: int
    name: str
    nonce: str
    at: int
    value: str = ""
    message: int = 0
    """The chat message that shows it."""


class Editing:
    """One open question per person."""

    def __init__(
        self, desk: Desk, database: Database, pages: Pages, seals: Seals, clock: Callable[[], int]
    ) -> None:
        self._desk = desk
        self._database = database
        self._pages = pages
        self._seals = seals
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Reader, Press], Awaitable[Reply]]] = {
            "edit": self._menu,
            "eask": self._ask,
            "evalue": self._choose,
            "edo": self._apply,
            "ecancel": self._leave,
        }

    # ------------------------------------------------------------------ the question

    async def load(self, reader: Reader) -> Question | None:
        """What the reader is being asked, if it still waits."""
        kept = await preferences.get(self._database, reader.id, KEY)
        if not kept:
            return None
        question = msgspec.json.decode(kept, type=Question)
        return question if self._clock() - question.at < LIFE else None

    async def _save(self, reader: Reader, question: Question) -> None:
        await preferences.put(self._database, reader.id, KEY, msgspec.json.encode(question).decode())

    async def clear(self, reader: Reader) -> bool:
        """Whether there was one."""
        was = await self.load(reader) is not None
        await preferences.put(self._database, reader.id, KEY, "")
        return was

    async def follow(self, reader: Reader, screen: Screen, message: int) -> None:
        """Remember which message shows the question."""
        if any(each.press.verb in VERBS for row in screen.rows for each in row):
            question = await self.load(reader)
            if question is not None and question.message != message:
                await self._save(reader, replace(question, message=message))

    # ------------------------------------------------------------------ steps

    async def _menu(self, reader: Reader, press: Press) -> Reply:
        it = self._its(reader, press)
        await self.clear(reader)
        return Reply(edit.menu(it))

    async def _ask(self, reader: Reader, press: Press) -> Reply:
        it = self._its(reader, press)
        if press.argument not in edit.fields(it):
            return Reply(edit.menu(it))
        await self._save(reader, Question(it.id, press.argument, nonce(), self._clock()))
        return Reply(await self._question(it, press.argument))

    async def _question(self, it: Card, name: str) -> Screen:
        return edit.ask(it, name, (await self._desk.resolve(it.account, it.symbol)).tick_size)

    async def _choose(self, reader: Reader, press: Press) -> Reply:
        it = self._its(reader, press)
        name, _, text = press.argument.partition("=")
        if name not in edit.fields(it):
            return Reply(edit.menu(it))
        return Reply(await self._answered(reader, it, Question(it.id, name, nonce(), self._clock()), text))

    async def typed(self, reader: Reader, question: Question, text: str) -> Screen:
        """An answer typed; a wrong one keeps the question and says what is wanted."""
        it = self._pages.card_of(reader, question.bot)
        if len(text) > LONGEST:
            return (await self._question(it, question.name)).with_notice("⚠️ " + say("too_long_value"))
        return await self._answered(reader, it, question, text)

    async def _answered(self, reader: Reader, it: Card, question: Question, text: str) -> Screen:
        try:
            value = PARAMETERS[question.name].read(text) if text else ""
            change = await self._desk.propose(it.id, {question.name: value})
        except Declined as no:
            await self._save(reader, question)
            return (await self._question(it, question.name)).with_notice("⚠️ " + words.refusals(no))
        if not change.fields:
            await self._save(reader, question)
            return (await self._question(it, question.name)).with_notice(say("edit_same"))
        fresh = replace(question, value=value, nonce=nonce(), at=self._clock())
        await self._save(reader, fresh)
        return edit.confirm(it, change, fresh.nonce, self._pages.seal(reader))

    async def _leave(self, reader: Reader, press: Press) -> Reply:
        await self.clear(reader)
        return Reply(await self._pages.grid(reader, Press("grid", press.target)), say("cancelled_edit"))

    async def _apply(self, reader: Reader, press: Press) -> Reply:
        it = self._its(reader, press)
        verdict = self._seals.take(self._clock(), reader.id, press)
        if verdict is Verdict.USED:
            return Reply(await self._pages.grid(reader, Press("grid", it.id)), say("done_already"))
        question = await self.load(reader)
        if verdict is Verdict.STALE or question is None or question.nonce != press.argument:
            shown = await self._pages.anywhere(reader, press)
            return Reply(shown, say("outdated"), alert=True, outcome="outdated")
        await self.clear(reader)
        try:
            await self._desk.edit(it.id, reader.id, {question.name: question.value})
        except Declined as no:
            return declined(no, await self._pages.grid(reader, Press("grid", it.id)))
        return Reply(await self._pages.grid(reader, Press("grid", it.id)), say("done_edited"), outcome="done")

    def _its(self, reader: Reader, press: Press) -> Card:
        """The grid of a press, for one who may act. Raises Declined."""
        return self._pages.card_to_act_on(reader, press.target)
