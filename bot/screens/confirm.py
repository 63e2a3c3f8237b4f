"""Questions before something moves: what will happen, spelled out, and one sealed button that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from bot import numbers, words
from bot.menu import Button, Press, Screen, button
from bot.screens.card import holding
from bot.screens.grids import title
from bot.words import say
from trading.model import Side
from trading.views import Card, Preview, Refusal

Seal = Callable[[str, Press, str], Button]
"""(text, press, style) -> a button that works once, for this reader, for a while."""


def _ask(question: str, lines: Sequence[str], actions: Sequence[Button], back: Button) -> Screen:
    body = "\n".join(f"· {escape(line, quote=False)}" for line in lines)
    text = f"❗️ <b>{escape(question, quote=False)}</b>\n\n{body}\n\n<i>{say('confirm_expiry')}</i>"
    return Screen(text, (*((action,) for action in actions), (back,)))


def _about(card: Card) -> str:
    return numbers.price(None) if card.price is None else numbers.near(card.price)


def _back(card: Card) -> Button:
    return button(say("b_to_card"), "grid", card.id)


def start(card: Card, preview: Preview, seal: Seal) -> Screen:
    """Before the first order leaves."""
    plan = preview.plan
    lines = [
        say(
            "confirm_start_orders",
            orders=words.count("order", preview.orders),
            lower=numbers.price(plan.levels[0]),
            upper=numbers.price(plan.levels[-1]),
        )
    ]
    if preview.initial_side is not None and preview.initial_qty:
        lines.insert(0, _initial(preview, card))
    lines.append(say("confirm_start_loss", loss=numbers.amount(preview.worst_loss, card.quote)))
    lines += [words.refusal(warning) for warning in preview.warnings]
    style = "success"
    if card.badge == "LIVE":
        lines.append(say("confirm_start_real"))
        style = "danger"
    actions = [seal(say("b_start_now"), Press("start", card.id), style)]
    if card.position:
        lines += [say("confirm_start_kept", position=holding(card)), say("confirm_start_carry")]
        lines.append(say("confirm_start_close", price=numbers.price(card.price or plan.price)))
        actions = [
            seal(say("b_start_carry"), Press("start", card.id), style),
            seal(say("b_start_close"), Press("start", card.id, "close"), "danger"),
        ]
    return _ask(say("confirm_start", name=title(card)), lines, actions, _back(card))


def _initial(preview: Preview, card: Card) -> str:
    return say(
        "confirm_start_initial",
        side=words.value_of(preview.initial_side or Side.BUY),
        qty=numbers.number(preview.initial_qty),
        base=card.base,
        price=numbers.price(preview.plan.price),
    )


def start_anyway(card: Card, warnings: Sequence[Refusal], seal: Seal, closes: bool = False) -> Screen:
    """The desk wants these warnings confirmed; `closes`: what is kept is closed first."""
    lines = [words.refusal(warning) for warning in warnings]
    how = "close.confirmed" if closes else "confirmed"
    action = seal(say("b_start_anyway"), Press("start", card.id, how), "danger")
    return _ask(say("confirm_start", name=title(card)), lines, [action], _back(card))


def pause(card: Card, seal: Seal) -> Screen:
    orders = words.count("order", card.orders_working)
    lines = [say("confirm_pause_1", orders=orders, position=holding(card)), say("confirm_pause_2")]
    action = seal(say("b_pause_now"), Press("pause", card.id), "danger")
    return _ask(say("confirm_pause", name=title(card)), lines, [action], _back(card))


def resume(card: Card, seal: Seal) -> Screen:
    """After PAUSED(initial order) there are two ways on."""
    question = say("confirm_resume", name=title(card))
    if card.reason.partition(":")[0] == "initial_order":
        retry = seal(say("b_resume_retry"), Press("resume", card.id), "danger")
        skip = seal(say("b_resume_skip"), Press("resume", card.id, "skip"), "danger")
        return _ask(question, [say("confirm_resume_initial")], [retry, skip], _back(card))
    lines = [say("confirm_resume_1", lower=numbers.price(card.lower), upper=numbers.price(card.upper))]
    return _ask(question, lines, [seal(say("b_resume_now"), Press("resume", card.id), "danger")], _back(card))


def stop(card: Card, seal: Seal) -> Screen:
    """Keep the position or close it."""
    lines = [say("confirm_stop_1", orders=words.count("order", card.orders_working))]
    keep = Press("stop", card.id, "keep")
    if not card.position:
        lines.append(say("confirm_stop_flat"))
        actions = [seal(say("b_stop_flat"), Press("stop", card.id, "flat"), "danger")]
    else:
        floating = numbers.gain(card.unmatched, card.quote)
        lines.append(say("confirm_stop_2", position=holding(card), floating=floating))
        lines += [say("confirm_stop_keep"), say("confirm_stop_close", price=_about(card))]
        actions = [
            seal(say("b_stop_keep"), keep, "danger"),
            seal(say("b_stop_close"), Press("stop", card.id, "close"), "danger"),
        ]
    return _ask(say("confirm_stop", name=title(card)), lines, actions, _back(card))


def reset(card: Card, seal: Seal) -> Screen:
    """Lay the grid anew at the price of now: close the position first, or carry it."""
    lines = [say("confirm_reset_1", orders=words.count("order", card.orders_working)), say("confirm_reset_2")]
    carry = Press("reset", card.id, "carry")
    actions = [seal(say("b_reset_flat"), carry, "danger")]
    if card.position:
        floating = numbers.gain(card.unmatched, card.quote)
        lines.append(say("confirm_stop_2", position=holding(card), floating=floating))
        lines += [say("confirm_reset_carry"), say("confirm_reset_flatten", price=_about(card))]
        actions = [
            seal(say("b_reset_carry"), carry, "danger"),
            seal(say("b_reset_flatten"), Press("reset", card.id, "flatten"), "danger"),
        ]
    return _ask(say("confirm_reset", name=title(card)), lines, actions, _back(card))


def delete(card: Card, seal: Seal) -> Screen:
    action = seal(say("b_delete_now"), Press("delete", card.id), "danger")
    lines = [say("confirm_delete_1")]
    if card.position:
        lines.append(say("confirm_delete_position", position=holding(card), symbol=card.symbol))
    return _ask(say("confirm_delete", name=title(card)), lines, [action], _back(card))


def place(card: Card, slot: int, seal: Seal) -> Screen:
    """An order that somebody cancelled on the exchange."""
    row = next((row for row in card.missing if row.slot == slot), None)
    side = words.value_of(row.side) if row else ""
    price = numbers.price(row.price) if row else ""
    action = seal(say("b_place_now"), Press("place", card.id, str(slot)), "danger")
    lines = [title(card), say("confirm_place_1")]
    return _ask(say("confirm_place", side=side, price=price), lines, [action], _back(card))
