"""The wizard's conductor: keeps the draft in the database, asks the desk for facts, and answers with screens."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec.structs import replace

from bot import form, limits, presets, words
from bot.access import Reader
from bot.actions import Actions
from bot.form import Draft
from bot.menu import Press, Screen, button
from bot.pages import Pages, Reply, declined
from bot.screens import preview, wizard
from bot.screens.home import LIVE
from bot.seals import nonce
from bot.words import say
from storage import drafts
from storage.database import Database
from trading.live.desk import Desk
from trading.model import Candle, Instrument
from trading.parameters import clean
from trading.parameters.line import parse_line
from trading.parameters.vocabulary import PARAMETERS
from trading.ports import Account
from trading.views import Declined, Refusal

LONGEST = 500
"""Characters of a typed answer or line; more is no grid."""
VERBS = frozenset({"w", "wgo", "wmake", "wcancel"})
_MADE = 200


class Wizard:
    """One draft per person, from the first question to Create."""

    def __init__(
        self, desk: Desk, database: Database, pages: Pages, actions: Actions, clock: Callable[[], int]
    ) -> None:
        self._desk = desk
        self._database = database
        self._pages = pages
        self._actions = actions
        self._clock = clock
        self._made: OrderedDict[str, int] = OrderedDict()

    # ------------------------------------------------------------------ the draft

    async def load(self, reader: Reader) -> Draft | None:
        """The reader's draft, as the database has it."""
        kept = await drafts.load(self._database, reader.id)
        if kept is None:
            return None
        fields = {name: value for name, value in kept.fields.items() if not name.startswith("_")}
        account = kept.fields.get("_account", "0")
        message = int(kept.message) if kept.message.isdigit() else 0
        return Draft(kept.fields.get("_nonce", ""), int(account), kept.step, fields, message)

    async def save(self, reader: Reader, draft: Draft) -> None:
        fields = draft.fields | {"_nonce": draft.nonce, "_account": str(draft.account)}
        await drafts.save(self._database, reader.id, draft.step, fields, self._clock(), str(draft.message))

    async def clear(self, reader: Reader) -> None:
        await drafts.clear(self._database, reader.id)

    async def follow(self, reader: Reader, screen: Screen, message: int) -> None:
        """Remember which message shows the draft, once `screen` of it is shown there."""
        names = {each.press.nonce for row in screen.rows for each in row if each.press.verb in VERBS}
        if not names:
            return
        draft = await self.load(reader)
        if draft is not None and draft.nonce in names and draft.message != message:
            await self.save(reader, replace(draft, message=message))

    # ------------------------------------------------------------------ entries

    async def open(self, reader: Reader, fresh: bool = False) -> Reply:
        """Go on with the draft, or begin one."""
        accounts = self._pages.accounts(reader)
        if not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        if not accounts:
            return Reply(await self._pages.home(reader, Press("home")), say("no_account"), alert=True)
        draft = None if fresh else await self.load(reader)
        if draft is not None and draft.fields:
            screen = await self.show(reader, draft)
            over = button(say("b_start_over"), "new", 0, "fresh")
            return Reply(replace(screen, rows=(*screen.rows, (over,))).with_notice(say("w_resumed")))
        return Reply(await self._keep(reader, self._begin(accounts)))

    def _begin(self, accounts: list[Account]) -> Draft:
        only = accounts[0].id if len(accounts) == 1 else 0
        return Draft(nonce(), only, "symbol" if only else "account")

    async def line(self, reader: Reader, text: str) -> Reply:
        """`/new …`: straight to the preview, or to the first thing the line leaves open."""
        accounts = self._pages.accounts(reader)
        if not reader.can_act or not accounts:
            return await self.open(reader)
        if len(text) > LONGEST:
            return Reply(wizard.example(say("too_long")))
        begun = self._begin(accounts)
        try:
            fields = parse_line(text)
            account = begun.account or accounts[0].id
            if "symbol" in fields:
                fields["symbol"] = (await self._desk.resolve(account, fields["symbol"])).symbol
            _check(fields)
        except Declined as no:
            return Reply(wizard.example(words.refusals(no)))
        if "lower" in fields or "levels" in fields:
            for name in ("direction", "leverage"):
                fields.setdefault(name, PARAMETERS[name].default)
        draft = form.put(begun, fields)
        return Reply(await self._keep(reader, draft if begun.account else replace(draft, step="account")))

    def looks_like_line(self, text: str) -> bool:
        """Whether `text` describes a grid: at least a symbol and a range that are understood."""
        try:
            fields = parse_line(text)
        except Declined:
            return False
        return "symbol" in fields and (("lower" in fields and len(fields) > 2) or "levels" in fields)

    async def typed(self, reader: Reader, draft: Draft, text: str) -> Screen:
        """An answer typed to the draft's question; a wrong one keeps the draft and says what is wanted."""
        step = draft.step
        if len(text) > LONGEST:
            return (await self.show(reader, draft)).with_notice("⚠️ " + say("too_long"))
        if step in ("account", "edit", "more", form.PREVIEW):
            if "=" not in text or step == "account":
                return (await self.show(reader, draft)).with_notice("⚠️ " + say("w_needs_choice"))
            step = "line"
        try:
            values = parse_line(text) if step == "line" else await self._read(draft, step, text)
        except Declined as no:
            return (await self.show(reader, draft)).with_notice("⚠️ " + words.refusals(no))
        return await self._answered(reader, draft, step, values)

    async def _read(self, draft: Draft, step: str, text: str) -> dict[str, str]:
        if step == "symbol":
            return {"symbol": (await self._desk.resolve(draft.account, text)).symbol}
        if step == "investment":
            return await self._money(draft, text)
        return form.read(step, text)

    async def _money(self, draft: Draft, text: str) -> dict[str, str]:
        """An amount, or a share of what is free in per cent; never more than that."""
        if text.strip().endswith("%"):
            share = Decimal(form.SHARE.read(text).rstrip("%"))
            free = (await self._amounts(draft)).most
            if free is not None:
                text = f"{(free * share / 100).quantize(Decimal('0.01'), rounding='ROUND_DOWN'):f}"
        values = form.read("investment", text)
        most = (await limits.amounts(self._desk, draft)).most
        if most is not None and Decimal(values["investment"]) > most:
            raise Declined(Refusal("over_balance", {**values, "most": str(most)}))
        return values

    async def _answered(self, reader: Reader, draft: Draft, step: str, values: dict[str, str]) -> Screen:
        changed = form.put(draft, values)
        if step.startswith("ask."):
            changed = replace(changed, step="more")
        return await self._keep(reader, changed)

    async def _keep(self, reader: Reader, draft: Draft) -> Screen:
        await self.save(reader, draft)
        return await self.show(reader, draft)

    # ------------------------------------------------------------------ presses

    async def press(self, reader: Reader, press: Press) -> Reply:
        """A button of the wizard; one of another draft does nothing."""
        if not reader.can_act:
            return Reply(toast=say("viewers_look"), alert=True)
        if press.verb == "wmake" and press.nonce in self._made:
            it = Press("grid", self._made[press.nonce])
            return Reply(await self._pages.anywhere(reader, it), say("done_already"))
        draft = await self.load(reader)
        if draft is None or draft.nonce != press.nonce or not press.nonce:
            return Reply(await self._pages.anywhere(reader, press), say("outdated"), alert=True)
        if press.verb == "wcancel":
            await self.clear(reader)
            home = await self._pages.home(reader, Press("home"))
            return Reply(home.with_notice(say("cancelled")))
        if press.verb == "wmake":
            return await self._make(reader, draft, press)
        if press.verb == "wgo":
            return Reply(await self._go(reader, draft, press.argument))
        return Reply(await self._choose(reader, draft, press.argument))

    async def _choose(self, reader: Reader, draft: Draft, argument: str) -> Screen:
        step, _, text = argument.partition("=")
        if step == "account":
            mine = {str(account.id) for account in self._pages.accounts(reader)}
            changed = replace(draft, account=int(text)) if text in mine else draft
            return await self._keep(reader, replace(changed, step=form.following(changed)))
        if step == "preset":
            return await self._proposed(reader, draft, text)
        if step not in form.STEPS and step.removeprefix("ask.") not in PARAMETERS:
            return await self.show(reader, draft)
        return await self.typed(reader, replace(draft, step=step), text)

    async def _proposed(self, reader: Reader, draft: Draft, text: str) -> Screen:
        """A preset: range, count, leverage, stops and sizing at once; whatever stops there were are replaced."""
        try:
            instrument = await self._instrument(draft)
            fields = presets.fields(text, draft.fields.get("direction", "neutral"), instrument.tick_size)
        except Declined as no:
            return (await self.show(reader, draft)).with_notice("⚠️ " + words.refusals(no))
        except (ValueError, ArithmeticError):
            return await self.show(reader, draft)
        kept = {name: value for name, value in draft.fields.items() if name not in presets.REPLACED}
        return await self._keep(reader, form.put(replace(draft, fields=kept), fields))

    async def _go(self, reader: Reader, draft: Draft, step: str) -> Screen:
        if step.startswith("drop.") and step.removeprefix("drop.") in PARAMETERS:
            return await self._keep(reader, form.drop(draft, step.removeprefix("drop.")))
        known = step in form.STEPS or step in ("edit", "more", form.PREVIEW) or step.removeprefix("ask.") in PARAMETERS
        if step == form.PREVIEW:
            step = form.following(draft)
        return await self._keep(reader, replace(draft, step=step)) if known else await self.show(reader, draft)

    async def _make(self, reader: Reader, draft: Draft, press: Press) -> Reply:
        """Create once, and start where asked; late numbers are shown anew first."""
        if self._clock() // 1000 > press.expires:
            screen = await self.show(reader, replace(draft, step=form.PREVIEW))
            return Reply(screen.with_notice(say("expired_preview")))
        try:
            bot = await self._desk.create(reader.id, draft.account, draft.fields, once=draft.nonce)
        except Declined as no:
            screen = await self.show(reader, replace(draft, step=form.PREVIEW))
            if any(each.code == "venue_down" for each in no.refusals):
                return declined(no)
            return Reply(screen, words.refusals(no))
        self._made[draft.nonce] = bot
        while len(self._made) > _MADE:
            self._made.popitem(last=False)
        await self.clear(reader)
        it = self._pages.card_of(reader, bot)
        if press.argument != "start":
            return Reply(await self._pages.grid(reader, Press("grid", bot)), say("done_created"))
        try:
            return await self._actions.start(reader, it)
        except Declined as no:
            return declined(no, await self._pages.grid(reader, Press("grid", bot)))

    # ------------------------------------------------------------------ screens

    async def show(self, reader: Reader, draft: Draft) -> Screen:
        """The question the draft stands at, and whether another grid stands in its way."""
        screen = await self._question(reader, draft)
        taken = self._taken(draft) if draft.step in ("direction", form.PREVIEW) else None
        return screen if taken is None else screen.with_notice("⚠️ " + words.refusal(taken))

    def _taken(self, draft: Draft) -> Refusal | None:
        """What the desk would say at the start: one account carries one grid per symbol."""
        symbol = draft.fields.get("symbol")
        for it in self._desk.cards():
            if (it.account, it.symbol) == (draft.account, symbol) and it.status in LIVE:
                return Refusal("instrument_taken", {"symbol": it.symbol, "bot": str(it.id)})
        return None

    async def _question(self, reader: Reader, draft: Draft) -> Screen:
        """The question alone, with what the desk knows about it."""
        accounts = self._pages.accounts(reader)
        here = next((account for account in accounts if account.id == draft.account), None)
        if here is None:
            return wizard.account(draft, accounts)
        badge, step = here.environment.badge, draft.step
        if step == form.PREVIEW:
            return await self._preview(draft, badge)
        if step.startswith("ask."):
            return wizard.ask(draft, badge, PARAMETERS[step.removeprefix("ask.")])
        simple = {"symbol": wizard.symbol, "direction": wizard.direction, "grids": wizard.grids}
        simple |= {"edit": wizard.edit, "more": wizard.more}
        if step in simple:
            return simple[step](draft, badge)
        return await self._with_facts(draft, badge)

    async def _with_facts(self, draft: Draft, badge: str) -> Screen:
        try:
            instrument = await self._instrument(draft)
            if draft.step == "leverage":
                most = min(instrument.max_leverage, form.LEVERAGES[-1])
                suits = await limits.leverages(self._desk, draft, most)
                return wizard.leverage(draft, badge, instrument.max_leverage, suits)
            if draft.step == "investment":
                return wizard.investment(draft, badge, instrument.quote, await self._amounts(draft))
            quote = await self._desk.price(draft.account, instrument.symbol)
            price = instrument.round_price((quote.bid + quote.ask) / 2)
            usual = presets.swing(await self._candles(draft, instrument.symbol))
            direction = draft.fields.get("direction", "neutral")
            offered = presets.presets(direction, price, instrument.tick_size, usual, instrument.max_leverage)
            return wizard.range_(draft, badge, price, instrument, offered, usual)
        except Declined as no:
            return _bare(draft, badge).with_notice("⚠️ " + words.refusals(no))

    async def _candles(self, draft: Draft, symbol: str) -> list[Candle]:
        """The last week by the hour, or nothing to learn from."""
        with contextlib.suppress(Declined):
            return await self._desk.candles(draft.account, symbol, "1h", 24 * 7)
        return []

    async def _instrument(self, draft: Draft) -> Instrument:
        return await self._desk.resolve(draft.account, draft.fields.get("symbol", ""))

    async def _amounts(self, draft: Draft) -> form.Amounts:
        """What may be invested; where the plan itself is refused, the balance is the most."""
        found = await limits.amounts(self._desk, draft)
        if found.most is not None:
            return found
        quote = (await self._instrument(draft)).quote
        for row in await self._desk.balances():
            if row.account == draft.account and row.asset == quote:
                return replace(found, most=row.available)
        return found

    async def _preview(self, draft: Draft, badge: str) -> Screen:
        try:
            shown = await self._desk.preview(draft.account, draft.fields)
        except Declined as no:
            return preview.missing(draft, badge, no, await limits.amounts(self._desk, draft))
        return preview.preview(draft, shown, badge, self._clock())


def _check(fields: Mapping[str, str]) -> None:
    """What cannot be right is said at once; what is merely missing is asked for later. Raises Declined."""
    assumed = {} if "per_order" in fields else {"investment": "1"}
    try:
        clean(assumed | dict(fields))
    except Declined as no:
        wrong = [each for each in no.refusals if each.code != "missing"]
        if wrong:
            raise Declined(*wrong) from None


def _bare(draft: Draft, badge: str) -> Screen:
    """The question without what only the venue knows: typing still works."""
    if draft.step == "leverage":
        return wizard.leverage(draft, badge, 20)
    if draft.step == "investment":
        return wizard.investment(draft, badge, "USDT")
    return wizard.range_(draft, badge, None, None)
