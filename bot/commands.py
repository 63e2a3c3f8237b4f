"""What commands and plain buttons open."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bot import form
from bot.access import Reader
from bot.editing import Editing
from bot.menu import Press, Screen, button
from bot.pages import Pages, Reply, Room
from bot.screens import grids, wizard
from bot.wizard import Wizard
from bot.words import say

_PAGES = {
    "grids": "grids",
    "balance": "balance",
    "positions": "positions",
    "orders": "orders",
    "health": "health",
    "help": "help",
    "profit": "profit",
}
_ROOMS = ("panic", "accounts", "settings", "audit")
"""Commands that open a room of the same name."""


class Commands:
    """Commands by name, and buttons that only open something."""

    def __init__(self, pages: Pages, wizard: Wizard, editing: Editing, rooms: Sequence[Room], version: str) -> None:
        self._pages = pages
        self._wizard = wizard
        self._editing = editing
        self._rooms = {verb: work for room in (editing, *rooms) for verb, work in room.verbs.items()}
        self._version = version

    async def obey(self, reader: Reader, name: str, rest: str) -> Reply:
        """The answer to `/name rest`."""
        if name == "start":
            return await self._home(reader)
        if name in _PAGES:
            return Reply(await self._pages.show(reader, Press(_PAGES[name])))
        if name in _ROOMS:
            return await self._rooms[name](reader, Press(name))
        if name == "new":
            await self._editing.clear(reader)
            return await self.line(reader, rest) if rest else await self._wizard.open(reader)
        if name == "grid":
            return await self._grid(reader, rest)
        if name == "stop":
            return await self._stop(reader, rest)
        if name == "version":
            return Reply(self.plain(say("version", version=self._version)))
        if name == "cancel":
            return await self._cancel(reader)
        return Reply(self.plain(say("unknown_command")))

    async def press(self, reader: Reader, press: Press) -> Reply:
        """A button that opens something."""
        if press.verb == "home":
            return await self._home(reader)
        if press.verb in self._rooms:
            return await self._rooms[press.verb](reader, press)
        if press.verb in ("new", "draft"):
            await self._editing.clear(reader)
            return await self._wizard.open(reader, fresh=press.argument == "fresh")
        if press.verb.startswith("ask_") and not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        if self._pages.has(press.verb):
            return Reply(await self._pages.show(reader, press), is_new=press.verb == "open")
        return Reply(await self._pages.anywhere(reader, press), say("outdated"), alert=True)

    async def line(self, reader: Reader, text: str) -> Reply:
        """A grid in one line; a lone symbol opens the wizard with it."""
        if " " in text or "=" in text:
            return await self._wizard.line(reader, text)
        opened = await self._wizard.open(reader, fresh=True)
        draft = await self._wizard.load(reader)
        if opened.screen is None or draft is None or draft.step != "symbol":
            return opened
        return Reply(await self._wizard.typed(reader, draft, text))

    async def _home(self, reader: Reader) -> Reply:
        draft = await self._wizard.load(reader)
        about = form.describe(draft) if draft is not None else ""
        return Reply(await self._pages.home(reader, Press("home"), about))

    async def _grid(self, reader: Reader, rest: str) -> Reply:
        number = _number(rest)
        if number is not None:
            return Reply(await self._pages.grid(reader, Press("grid", number)))
        cards = self._pages.cards(reader)
        if not cards:
            return Reply(grids.grids(cards))
        named = grids.named(cards, rest)
        if len(named) == 1:
            return Reply(await self._pages.grid(reader, Press("grid", named[0].id)))
        return Reply(grids.choose(named or cards, say("which_grid"), "grid"))

    async def _stop(self, reader: Reader, rest: str) -> Reply:
        if not reader.can_act:
            return Reply(self.plain(say("viewers_look")))
        number = _number(rest)
        if number is not None:
            return Reply(await self._pages.show(reader, Press("ask_stop", number)))
        return Reply(await self._pages.show(reader, Press("pick_stop", 0, rest)))

    async def _cancel(self, reader: Reader) -> Reply:
        if await self._editing.clear(reader):
            return Reply(self.plain(say("cancelled_edit")))
        if await self._wizard.load(reader) is None:
            return Reply(self.plain(say("nothing_to_cancel")))
        await self._wizard.clear(reader)
        return Reply(self.plain(say("cancelled")))

    def lost(self, text: str, key: str = "not_understood") -> Screen:
        """The answer to what means nothing."""
        return wizard.example(say(key)) if len(text) < 400 else wizard.example(say("too_long"))

    def plain(self, sentence: str) -> Screen:
        """One sentence, and the way home."""
        return Screen(escape(sentence, quote=False), ((button(say("b_home"), "home"),),))


def _number(text: str) -> int | None:
    word = text.strip().removeprefix("#")
    return int(word) if word.isascii() and word.isdigit() and len(word) < 12 else None
