"""Notices as messages: one, several of one grid, a storm on many grids, all that came in an outage, or a reminder.

Pure: parcels in, a letter out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from html import escape

import msgspec
from msgspec import Struct

from bot import numbers, words
from bot.menu import Button, Screen, button
from bot.words import count, say
from storage.outbox import Parcel
from trading.messages import Notice, NoticeKind, Reason

FOLDED = frozenset({NoticeKind.PAIR.value, NoticeKind.FILL.value})
"""Kinds that come in storms."""
LINES = 8
"""Lines of a kind that one message holds."""
_ASKED = frozenset({"", "user", "asked"})
_PLAIN_ENDS = frozenset({"", "user", "asked", "take_profit"})
_SETTLES = {
    NoticeKind.RECOVERED: (NoticeKind.DISCONNECTED,),
    NoticeKind.RESUMED: (NoticeKind.PAUSED, NoticeKind.ERROR),
    NoticeKind.STARTED: (NoticeKind.PAUSED, NoticeKind.ERROR, NoticeKind.FAILED, NoticeKind.FINISHED),
    NoticeKind.STOPPED: (NoticeKind.PAUSED, NoticeKind.ERROR),
    NoticeKind.FINISHED: (NoticeKind.PAUSED, NoticeKind.ERROR),
}


class Letter(Struct, frozen=True):
    """One message and what it is about."""

    screen: Screen
    account: int = 0
    bot: int = 0
    """The grid it is about; 0 = none or several."""


def notice_of(parcel: Parcel) -> Notice:
    return msgspec.json.decode(parcel.payload, type=Notice)


def is_urgent(told: Notice) -> bool:
    """Whether it is told again until somebody acknowledges it: what a person did not ask for and money hangs on."""
    why = told.values.get("reason", "")
    match told.kind:
        case NoticeKind.FAILED | NoticeKind.ERROR | NoticeKind.DISCONNECTED:
            return True
        case NoticeKind.PAUSED:
            return why not in _ASKED
        case NoticeKind.FINISHED | NoticeKind.STOPPED:
            return why not in _PLAIN_ENDS
    return False


def settled_by(told: Notice) -> tuple[str, ...]:
    """The kinds of earlier notices that need no acknowledgement after this one."""
    return tuple(kind.value for kind in _SETTLES.get(told.kind, ()))


# --------------------------------------------------------------------------- one


def single(parcel: Parcel) -> Letter:
    """A notice of its own."""
    first = notice_of(parcel)
    told = words.notice(first)
    again = parcel.claimed is not None
    screen = _screen(told.title, told.body, first.values.get("badge", ""), _rows([parcel], first), again)
    return Letter(screen, parcel.account, parcel.bot)


def reminder(parcels: Sequence[Parcel]) -> Letter:
    """What nobody has acknowledged yet, once more."""
    notices = [notice_of(parcel) for parcel in parcels]
    if len(parcels) == 1:
        told = words.notice(notices[0])
        title, body = say("still", title=told.title), told.body
    else:
        title = say("still_several", count=len(parcels))
        body = "\n".join(_listed([_line(each) for each in notices]))
    badges = {each.values.get("badge", "") for each in notices}
    screen = _screen(title, body, badges.pop() if len(badges) == 1 else "", _rows(parcels, notices[0]), False)
    bots = {parcel.bot for parcel in parcels}
    return Letter(screen, parcels[0].account, bots.pop() if len(bots) == 1 else 0)


def _rows(parcels: Sequence[Parcel], first: Notice) -> tuple[tuple[Button, ...], ...]:
    rows: list[tuple[Button, ...]] = []
    if first.kind.value in FOLDED:
        return ()
    if any(is_urgent(notice_of(parcel)) for parcel in parcels):
        whole = "all" if len(parcels) > 1 else ""
        rows.append((button(say("b_acknowledge"), "ack", max(parcel.id for parcel in parcels), whole, "primary"),))
    slot = first.values.get("slot", "")
    if first.kind is NoticeKind.SLOT_WAITS and first.values.get("reason") == Reason.CANCELLED_ELSEWHERE.value:
        rows.append((button(say("b_place_now"), "ask_place", first.bot, slot),))
    bots = list(dict.fromkeys(parcel.bot for parcel in parcels if parcel.bot))
    if len(bots) == 1:
        name = f"{first.values.get('symbol', '')} #{bots[0]}".strip()
        rows.append((button(say("b_open", name=name), "open", bots[0]),))
    elif bots:
        rows.append((button(say("b_grids"), "grids"),))
    return tuple(rows)


# --------------------------------------------------------------------------- many


class Share(Struct):
    """What one grid has to tell."""

    name: str
    badge: str
    quote: str
    fills: int = 0
    pairs: int = 0
    profit: Decimal = Decimal(0)

    def line(self) -> str:
        return f"{self.name}: {_counted(self.fills, self.pairs, {self.quote: self.profit})}"


class Tally:
    """Notices added up, so that any number of them is one message."""

    def __init__(self) -> None:
        self.bots: dict[int, Share] = {}
        self.lines: list[str] = []
        """Of what happened besides fills and pairs, newest last."""
        self.others = self.errors = 0
        self.urgent = 0
        self.urgent_up_to = 0
        self.oldest = 0

    def add(self, parcel: Parcel) -> None:
        told = notice_of(parcel)
        self.oldest = min(self.oldest or parcel.created, parcel.created)
        if told.kind.value not in FOLDED:
            self.others += 1
            self.errors += told.kind in (NoticeKind.ERROR, NoticeKind.FAILED)
            self.lines = [*self.lines, f"{numbers.clock(told.time)[:5]} {_line(told)}"][-LINES:]
            if is_urgent(told):
                self.urgent += 1
                self.urgent_up_to = max(self.urgent_up_to, parcel.id)
            return
        values = told.values
        share = self.bots.get(parcel.bot)
        if share is None:
            name = f"{values.get('symbol', '')} #{parcel.bot}"
            share = self.bots[parcel.bot] = Share(name, values.get("badge", ""), values.get("quote", ""))
        if told.kind is NoticeKind.FILL:
            share.fills += 1
        else:
            share.pairs += 1
            share.profit += _money(values.get("profit"))

    @property
    def fills(self) -> int:
        return sum(share.fills for share in self.bots.values())

    @property
    def pairs(self) -> int:
        return sum(share.pairs for share in self.bots.values())

    def headline(self) -> str:
        """`214 fills, 96 pairs +12.30 USDT on 3 grids`; empty where nothing was traded."""
        if not self.bots:
            return ""
        profit: dict[str, Decimal] = {}
        for share in self.bots.values():
            profit[share.quote] = profit.get(share.quote, Decimal(0)) + share.profit
        counted = _counted(self.fills, self.pairs, profit)
        return say("on_grids", counted=counted, grids=count("grid", len(self.bots)))

    def shares(self) -> list[str]:
        """A line for each grid."""
        badges = {share.badge for share in self.bots.values()}
        ranked = sorted(self.bots.values(), key=lambda share: -(share.fills + share.pairs))
        marks = [f" · {share.badge}" if len(badges) > 1 and share.badge else "" for share in ranked]
        return _listed([share.line() + mark for share, mark in zip(ranked, marks, strict=True)])

    def badge(self) -> str:
        badges = {share.badge for share in self.bots.values()}
        return badges.pop() if len(badges) == 1 else ""


def folded(parcels: Sequence[Parcel]) -> Letter:
    """Fills and pairs of one chat that came close together."""
    bots = {parcel.bot for parcel in parcels}
    if len(parcels) == 1:
        return single(parcels[0])
    if len(bots) == 1:
        return _of_one(parcels)
    tally = Tally()
    for parcel in parcels:
        tally.add(parcel)
    rows = ((button(say("b_grids"), "grids"),),)
    return Letter(_screen(tally.headline(), "\n".join(tally.shares()), tally.badge(), rows, False))


def _of_one(parcels: Sequence[Parcel]) -> Letter:
    notices = [notice_of(parcel) for parcel in parcels]
    pairs = [each for each in notices if each.kind is NoticeKind.PAIR]
    fills = [each for each in notices if each.kind is NoticeKind.FILL]
    told = words.pairs(pairs) if pairs else words.notice(fills[-1])
    title = told.title if pairs else f"{notices[0].values.get('symbol', '')} · {count('fill', len(fills))}"
    lines = [told.body] if pairs else []
    if len(fills) <= LINES:
        lines += [words.event(each) for each in fills]
    elif pairs:
        lines.append(say("and_fills", fills=count("fill", len(fills))))
    screen = _screen(title, "\n".join(line for line in lines if line), notices[0].values.get("badge", ""), (), False)
    return Letter(screen, parcels[0].account, parcels[0].bot)


def summary(tally: Tally, now: int, is_late: bool, again: bool) -> Letter:
    """Everything that waited, as one message."""
    head = [tally.headline()] if tally.bots else []
    if tally.errors:
        head.append(count("error", tally.errors))
    title = say("away", span=numbers.span(now - tally.oldest)) if is_late else say("many", count=tally.others)
    parts = [", ".join(head), "\n".join(tally.shares())]
    others = [*tally.lines]
    if tally.others > len(others):
        others.append(say("and_more", count=tally.others - len(others)))
    parts.append("\n".join(others))
    rows: list[tuple[Button, ...]] = []
    if tally.urgent:
        rows.append((button(say("b_acknowledge"), "ack", tally.urgent_up_to, "all", "primary"),))
    rows.append((button(say("b_grids"), "grids"),))
    body = "\n\n".join(part for part in parts if part)
    return Letter(_screen(title, body, tally.badge(), tuple(rows), again))


# --------------------------------------------------------------------------- parts


def _screen(title: str, body: str, badge: str, rows: tuple[tuple[Button, ...], ...], again: bool) -> Screen:
    mark = f"({say('again')}) " if again else ""
    head = f"<b>{escape(mark + title, quote=False)}</b>" + (f" · {escape(badge, quote=False)}" if badge else "")
    return Screen(f"{head}\n{escape(body, quote=False)}" if body else head, rows)


def _line(told: Notice) -> str:
    """A notice as one line: its title and the first thing it says."""
    said = words.notice(told)
    first = said.body.split("\n", 1)[0]
    return f"{said.title}. {first}" if first else said.title


def _counted(fills: int, pairs: int, profit: dict[str, Decimal]) -> str:
    parts = [count("fill", fills)] if fills else []
    if pairs:
        parts.append(f"{count('pair', pairs)} {' '.join(numbers.gain(each, quote) for quote, each in profit.items())}")
    return ", ".join(parts)


def _listed(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    more = [say("and_more", count=len(every) - LINES)] if len(every) > LINES else []
    return [*every[:LINES], *more]


def _money(text: str | None) -> Decimal:
    try:
        found = Decimal(text or 0)
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)
