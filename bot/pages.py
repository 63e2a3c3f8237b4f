"""The pages of the chat: each asks the desk and shows the answer as a screen. They look and never act."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from bot import words
from bot.access import Reader
from bot.menu import Button, Press, Screen
from bot.screens import balance, card, confirm, grids, health, help, home, orders, performance, positions
from bot.seals import Seals
from bot.words import say
from trading.live.desk import Desk
from trading.messages import Notice
from trading.ports import Account
from trading.views import Card, Declined, HealthRow, OrderRow, PositionRow, Refusal

After = Callable[[int], Awaitable[None]]
"""Goes on with a message once it is shown: progress, edited in place."""


class Document(Struct, frozen=True):
    """A file to be sent."""

    name: str
    content: bytes
    caption: str
    """HTML."""


class Reply(Struct, frozen=True):
    """What a press or a text leads to."""

    screen: Screen | None = None
    toast: str = ""
    alert: bool = False
    is_new: bool = False
    """Shown as a message of its own instead of in place."""
    is_gone: bool = False
    """The message that was pressed goes away."""
    document: Document | None = None
    after: After | None = None
    outcome: str = "shown"
    """For the audit."""


class Room(Protocol):
    """A part of the chat with verbs of its own."""

    @property
    def verbs(self) -> Mapping[str, Callable[[Reader, Press], Awaitable[Reply]]]: ...


class Pages:
    """Every page, by the verb of the button that opens it."""

    def __init__(
        self,
        desk: Desk,
        seals: Seals,
        clock: Callable[[], int],
        version: str,
        own: Callable[[], Awaitable[list[HealthRow]]],
        events: Callable[[int], Awaitable[list[Notice]]] | None = None,
    ) -> None:
        self._desk = desk
        self._seals = seals
        self._clock = clock
        self._version = version
        self._own = own
        self._events = events
        self._pages: dict[str, Callable[[Reader, Press], Awaitable[Screen]]] = {
            "home": self.home,
            "grids": self.grids,
            "grid": self.grid,
            "open": self.grid,
            "levels": self.levels,
            "balance": self.balance,
            "positions": self.positions,
            "perf": self.performance,
            "profit": self.profit,
            "orders": self.orders,
            "health": self.health,
            "help": self.help,
            "pick_stop": self.pick_stop,
            "ask_start": self.ask_start,
            "ask_stop": self.ask_stop,
            "ask_pause": self.ask_pause,
            "ask_resume": self.ask_resume,
            "ask_delete": self.ask_delete,
            "ask_place": self.ask_place,
            "ask_reset": self.ask_reset,
        }

    def has(self, verb: str) -> bool:
        return verb in self._pages

    async def show(self, reader: Reader, press: Press) -> Screen:
        """The page of `press`; Declined where the desk says no."""
        return await self._pages[press.verb](reader, press)

    # ------------------------------------------------------------------ what a reader may see

    def cards(self, reader: Reader) -> list[Card]:
        return [it for it in self._desk.cards() if reader.may_see(it.owner)]

    def card_of(self, reader: Reader, bot: int) -> Card:
        """Declined(no_such_bot) also where it is somebody else's."""
        it = self._desk.card(bot)
        if not reader.may_see(it.owner):
            raise Declined(Refusal("no_such_bot", {"bot": str(bot)}))
        return it

    def accounts(self, reader: Reader) -> list[Account]:
        return [account for account in self._desk.accounts() if reader.may_see(account.owner)]

    async def look(self, reader: Reader, bot: int) -> Card:
        """The same with the price of now."""
        self.card_of(reader, bot)
        return await self._desk.look(bot)

    def account_of(self, reader: Reader, number: int) -> Account:
        """Declined(no_such_account) also where it is somebody else's."""
        found = next((account for account in self.accounts(reader) if account.id == number), None)
        if found is None:
            raise Declined(Refusal("no_such_account", {"account": str(number)}))
        return found

    def card_to_act_on(self, reader: Reader, bot: int) -> Card:
        """The grid, for one who may act; raises Declined."""
        if not reader.can_act:
            raise Declined(Refusal("may_only_look"))
        return self.card_of(reader, bot)

    # ------------------------------------------------------------------ pages

    async def home(self, reader: Reader, press: Press, draft: str = "") -> Screen:
        troubles = [row for row in await self._health(reader) if not row.ok]
        return home.home(self.cards(reader), troubles, draft)

    async def grids(self, reader: Reader, press: Press) -> Screen:
        return grids.grids(self.cards(reader), _page(press))

    async def grid(self, reader: Reader, press: Press) -> Screen:
        it = await self.look(reader, press.target)
        events = await self._events(it.id) if self._events is not None else []
        return card.card(it, self._clock(), reader.can_act, self._desk.levels(it.id), events)

    async def performance(self, reader: Reader, press: Press) -> Screen:
        it = await self.look(reader, press.target)
        return performance.performance(it, await self._desk.performance(it.id), self._clock())

    async def profit(self, reader: Reader, press: Press) -> Screen:
        done = [(it, await self._desk.performance(it.id)) for it in self.cards(reader)]
        return performance.profit(done, self._clock())

    async def levels(self, reader: Reader, press: Press) -> Screen:
        it = self.card_of(reader, press.target)
        return card.levels(it, self._desk.levels(it.id), _page(press) if press.argument else None)

    async def balance(self, reader: Reader, press: Press) -> Screen:
        mine = {account.id for account in self.accounts(reader)}
        rows = [row for row in await self._desk.balances() if row.account in mine]
        return balance.balance(rows, self._clock())

    async def positions(self, reader: Reader, press: Press) -> Screen:
        held: list[tuple[Account, Sequence[PositionRow]]] = []
        for account in self.accounts(reader):
            held.append((account, await self._desk.positions(account.id)))
        return positions.positions(held, self._clock())

    async def orders(self, reader: Reader, press: Press) -> Screen:
        resting: list[tuple[Account, Sequence[OrderRow]]] = []
        for account in self.accounts(reader):
            resting.append((account, await self._desk.orders(account.id)))
        prices = {(it.account, it.symbol): it.price for it in self.cards(reader) if it.price is not None}
        return orders.orders(resting, prices, self._clock(), _page(press) if press.argument else None)

    async def health(self, reader: Reader, press: Press) -> Screen:
        return health.health(await self._health(reader), self._clock(), self._version)

    async def _health(self, reader: Reader) -> list[HealthRow]:
        names = {f"account:{account.name}" for account in self.accounts(reader)}
        rows = [row for row in self._desk.health() if not row.part.startswith("account:") or row.part in names]
        return [*await self._own(), *rows]

    async def help(self, reader: Reader, press: Press) -> Screen:
        return help.help(_page(press))

    # ------------------------------------------------------------------ questions

    def seal(self, reader: Reader) -> confirm.Seal:
        """Makes buttons that work once, for this reader."""

        def seal(text: str, press: Press, style: str) -> Button:
            return self._seals.button(self._clock(), reader.id, text, press, style)

        return seal

    async def pick_stop(self, reader: Reader, press: Press) -> Screen:
        """`/stop` without a number, perhaps with a symbol."""
        live = [it for it in self.cards(reader) if it.status.upper() in home.LIVE]
        meant = grids.named(live, press.argument)
        if len(meant) == 1:
            return await self.ask_stop(reader, Press("ask_stop", meant[0].id))
        if not live:
            return grids.grids(self.cards(reader)).with_notice(say("nothing_to_stop"))
        return grids.choose(meant or live, say("which_grid"), "ask_stop")

    async def ask_start(self, reader: Reader, press: Press) -> Screen:
        it = self.card_of(reader, press.target)
        preview = await self._desk.preview(it.account, it.parameters)
        return confirm.start(it, preview, self.seal(reader))

    def ask_anyway(self, reader: Reader, it: Card, warnings: Sequence[Refusal], closes: bool = False) -> Screen:
        return confirm.start_anyway(it, warnings, self.seal(reader), closes)

    async def ask_stop(self, reader: Reader, press: Press) -> Screen:
        return confirm.stop(await self.look(reader, press.target), self.seal(reader))

    async def ask_pause(self, reader: Reader, press: Press) -> Screen:
        return confirm.pause(self.card_of(reader, press.target), self.seal(reader))

    async def ask_resume(self, reader: Reader, press: Press) -> Screen:
        return confirm.resume(self.card_of(reader, press.target), self.seal(reader))

    async def ask_reset(self, reader: Reader, press: Press) -> Screen:
        return confirm.reset(self.card_of(reader, press.target), self.seal(reader))

    async def ask_delete(self, reader: Reader, press: Press) -> Screen:
        return confirm.delete(self.card_of(reader, press.target), self.seal(reader))

    async def ask_place(self, reader: Reader, press: Press) -> Screen:
        it = self.card_of(reader, press.target)
        slot = int(press.argument) if press.argument.lstrip("-").isdigit() else 0
        return confirm.place(it, slot, self.seal(reader))

    async def anywhere(self, reader: Reader, press: Press) -> Screen:
        """The fresh screen behind an outdated button: the grid it named, else home."""
        try:
            if press.target and press.verb not in ("w", "wgo", "wmake", "wcancel"):
                return await self.grid(reader, press)
        except Declined:
            pass
        return await self.home(reader, press)


def declined(no: Declined, screen: Screen | None = None) -> Reply:
    """A no as a reply: above the screen where there is one, in a pop-up else."""
    text = words.refusals(no)
    outcome = f"declined: {','.join(each.code for each in no.refusals)}"
    if screen is not None:
        return Reply(screen.with_notice(f"⚠️ {text}"), outcome=outcome)
    return Reply(toast=text, alert=True, outcome=outcome)


def _page(press: Press) -> int:
    return int(press.argument) if press.argument.isascii() and press.argument.isdigit() else 0
