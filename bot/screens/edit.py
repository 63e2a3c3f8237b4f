"""Changing stops and note of a grid: what there is, the question, and before → after to be confirmed."""

from __future__ import annotations

from decimal import Decimal
from html import escape

from bot import form, numbers, words
from bot.menu import Button, Press, Screen, button, grid
from bot.screens.confirm import Seal
from bot.screens.grids import title
from bot.words import say
from trading.model import Direction
from trading.parameters.declaration import shown
from trading.parameters.vocabulary import PARAMETERS
from trading.views import Card, Change

DISTANCES = (2, 5, 10)
"""Per cent beyond the range that are offered."""


def fields(it: Card) -> tuple[str, ...]:
    """What may be edited, in the order shown."""
    if it.direction is Direction.NEUTRAL:
        return ("stop_loss", "stop_loss_high", "note")
    return ("stop_loss", "take_profit", "note")


def value(it: Card, name: str) -> str:
    """Canonical text of what is set; empty = none."""
    if name == "note":
        return it.note
    at: Decimal | None = getattr(it, name)
    return "" if at is None else shown(at)


def label(it: Card, name: str) -> str:
    """A neutral grid has a stop on each side."""
    if name == "stop_loss" and it.direction is Direction.NEUTRAL:
        return say("edit_low")
    return words.parameter(name)


def menu(it: Card) -> Screen:
    lines = [f"✏️ <b>{escape(say('edit_title', name=title(it)), quote=False)}</b>", ""]
    lines += [f"{escape(label(it, name), quote=False)}  <b>{_shown(it, name)}</b>" for name in fields(it)]
    lines += ["", f"<i>{say('edit_more')}</i>"]
    rows = [(button(label(it, name), "eask", it.id, name),) for name in fields(it)]
    return Screen("\n".join(lines), (*rows, (_back(it),)))


def _shown(it: Card, name: str) -> str:
    text = value(it, name)
    if not text:
        return say("w_default_none")
    if name == "note":
        return escape(text, quote=False)
    return escape(f"{numbers.number(text)}{_away(it, Decimal(text))}", quote=False)


def _away(it: Card, price: Decimal) -> str:
    """How far from the price now."""
    if not it.price:
        return ""
    change = price / it.price - 1
    return f" ({'+' if change > 0 else ''}{numbers.percent(change, 1)})"


def ask(it: Card, name: str, tick: Decimal) -> Screen:
    """One value, by tap or typed."""
    now = value(it, name)
    shows = numbers.number(now) if now and name != "note" else now or say("w_default_none")
    lines = [
        f"✏️ <b>{escape(title(it), quote=False)}</b>",
        f"<b>{escape(label(it, name), quote=False)}</b>\n{escape(form.help_line(PARAMETERS[name]), quote=False)}",
        escape(say("w_now", value=shows), quote=False),
        say("edit_ask_note" if name == "note" else "edit_ask_price"),
    ]
    rows = [(each,) for each in _offers(it, name, tick)] if name != "note" else []
    if now:
        rows.append((button(say("edit_none"), "evalue", it.id, f"{name}="),))
    return Screen("\n\n".join(lines), (*rows, _foot(it)))


def _offers(it: Card, name: str, tick: Decimal) -> tuple[Button, ...]:
    """Prices beyond the range on this value's own side."""
    is_short = it.direction is Direction.SHORT
    is_above = name == "stop_loss_high" or (name == "take_profit") is not is_short
    if it.direction is Direction.NEUTRAL:
        is_above = name == "stop_loss_high"
    bound = it.upper if is_above else it.lower
    found = []
    for percent in DISTANCES:
        price = form.round_price(bound * (100 + percent if is_above else 100 - percent) / 100, tick)
        if price > 0:
            text = say("edit_above" if is_above else "edit_below", price=numbers.price(price), percent=percent)
            found.append(button(text, "evalue", it.id, f"{name}={shown(price)}"))
    return tuple(found)


def confirm(it: Card, change: Change, nonce: str, seal: Seal) -> Screen:
    """Before → after, and what it means."""
    lines = [f"❗️ <b>{escape(say('edit_confirm', name=title(it)), quote=False)}</b>", ""]
    for each in change.fields:
        before, after = (_plain(each.name, text) for text in (each.before, each.after))
        lines.append(escape(f"{label(it, each.name)}: {before} → {after}", quote=False))
    if change.worst_before is not None and change.worst_after is not None and change.worst_before != change.worst_after:
        worst = (numbers.amount(at, it.quote) for at in (change.worst_before, change.worst_after))
        lines.append(escape(f"{say('p_worst')}: {' → '.join(worst)}", quote=False))
    lines.append("")
    if any(each.name != "note" for each in change.fields):
        is_live = change.worst_after is not None
        lines.append(f"{say('edit_at_once' if is_live else 'edit_at_start')}\n")
    lines.append(f"<i>{say('confirm_expiry')}</i>")
    action = seal(say("b_edit_now"), Press("edo", it.id, nonce), "danger")
    return Screen("\n".join(lines), ((action,), _foot(it)))


def _foot(it: Card) -> tuple[Button, ...]:
    return button(say("b_back"), "edit", it.id), button(say("b_cancel"), "ecancel", it.id)


def _plain(name: str, text: str) -> str:
    if not text:
        return say("w_default_none")
    return text if name == "note" else numbers.number(text)


def _back(it: Card) -> Button:
    return button(say("b_to_card"), "grid", it.id)


__all__ = ["ask", "confirm", "fields", "grid", "label", "menu", "value"]
