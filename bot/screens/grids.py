"""The list of grids: one line and one button each, the liveliest first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bot import numbers, words
from bot.menu import Button, Screen, button, page, pager
from bot.words import say
from trading.views import Card

SIZE = 8
_ORDER = (
    "FAILED", "PAUSED", "STOPPING", "RUNNING", "STARTING", "RESETTING", "WAITING", "CREATED", "STOPPED", "FINISHED",
)  # fmt: skip


def name(card: Card) -> str:
    """How a grid is called in one breath."""
    return f"{card.symbol} {words.value_of(card.direction)} #{card.id}"


def title(card: Card) -> str:
    """The same with its badge: for anything that asks or confirms."""
    return f"{name(card)} ({card.badge})"


def named(cards: Sequence[Card], text: str) -> list[Card]:
    """Those whose symbol `text` is, or begins: `btc`, `BTC/USDT`, `BTCUSDT`; all of them where it is empty."""
    wanted = text.strip().upper().partition(":")[0].replace("/", "").replace("-", "")
    exact = [card for card in cards if card.symbol == wanted]
    return exact or [card for card in cards if card.symbol.startswith(wanted)]


def grids(cards: Sequence[Card], number: int = 0) -> Screen:
    """One page of the list."""
    if not cards:
        return Screen(f"📋 <b>{say('grids_title')}</b>\n\n{say('grids_none')}", _foot(0))
    every = sorted(cards, key=_rank)
    here, pages, first = page(every, number, SIZE)
    shown = every[first : first + SIZE]
    text = f"📋 <b>{say('grids_title')}</b>\n\n" + "\n\n".join(_line(card) for card in shown)
    rows = tuple((button(f"{words.light(card.status)} {name(card)}", "grid", card.id),) for card in shown)
    turn = pager("grids", 0, here, pages)
    return Screen(text, (*rows, *((turn,) if turn else ()), *_foot(here)))


def choose(cards: Sequence[Card], question: str, verb: str) -> Screen:
    """A question that is answered by one grid."""
    rows = tuple((button(f"{words.light(card.status)} {name(card)}", verb, card.id),) for card in cards)
    return Screen(f"<b>{escape(question, quote=False)}</b>", (*rows, (button(say("b_home"), "home"),)))


def _line(card: Card) -> str:
    head = f"{words.light(card.status)} <b>{escape(name(card), quote=False)}</b> · {card.badge}"
    why = words.status(card.status, card.reason if card.status.upper() in ("PAUSED", "FAILED", "STOPPING") else "")
    money = say("grids_line", grid=numbers.gain(card.matched), floating=numbers.gain(card.unmatched))
    place = f"{numbers.price(card.lower)} – {numbers.price(card.upper)}"
    return f"{head}\n{escape(why, quote=False)} · {place}\n{money}"


def _rank(card: Card) -> tuple[int, int]:
    status = card.status.upper()
    return (_ORDER.index(status) if status in _ORDER else len(_ORDER), -card.id)


def _foot(here: int) -> tuple[tuple[Button, ...], ...]:
    refresh = button(say("b_refresh"), "grids", 0, str(here) if here else "")
    return ((button(say("b_new"), "new"),), (refresh, button(say("b_home"), "home")))
