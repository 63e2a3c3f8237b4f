"""The preview: everything a person should know before money moves (product.md §3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from html import escape

from bot import form, numbers, words
from bot.form import Amounts, Draft
from bot.menu import Button, Press, Screen
from bot.screens.wizard import UNKNOWN, answer, enough_for, go
from bot.words import say
from trading.model import Spacing
from trading.views import Declined, Preview

VALID = 5 * 60
"""Seconds for which a preview may be acted on: prices move."""


def preview(draft: Draft, it: Preview, badge: str, now: int) -> Screen:
    """Create, create and start, edit, cancel; the first two expire with the numbers."""
    quote = it.plan.instrument.quote
    head = (
        f"🧭 <b>{escape(it.plan.instrument.symbol, quote=False)} {words.value_of(it.direction)}</b> · <b>{badge}</b>\n"
        f"{say('w_preview')} · {escape(_lean(it), quote=False)}"
    )
    groups = [head, _shape(it), _money(it, quote), _risk(it, quote)]
    if it.warnings:
        groups.append("\n".join(f"⚠️ {escape(words.refusal(each), quote=False)}" for each in it.warnings))
    groups.append(f"<i>{say('p_foot')}\n{say('card_updated', time=numbers.clock(now))}</i>")
    return Screen("\n\n".join(groups), _rows(draft, now))


def missing(draft: Draft, badge: str, no: Declined, amounts: Amounts = UNKNOWN) -> Screen:
    """A draft that cannot be previewed: why, and the ways to mend it, one tap each."""
    text = f"🧭 <b>{say('w_title')}</b> · <b>{badge}</b>\n{escape(form.describe(draft), quote=False)}"
    ways = tuple({way.press: way for way in _ways_out(draft, no, amounts)}.values())
    edit = go(draft, say("b_edit"), "edit", "" if ways else "primary")
    rows = (*((way,) for way in ways), (edit, go(draft, say("b_refresh"), "preview")), (_cancel(draft),))
    return Screen(f"{text}\n\n⚠️ {escape(words.refusals(no), quote=False)}", rows)


PLACES: dict[str, tuple[str, ...]] = {
    "outside_range": ("range", "ask.trigger"),
    "no_profit": ("grids", "range"),
    "liquidation_inside": ("range",),
    "liquidation_before_stop": ("ask.stop_loss", "leverage"),
    "already_beyond_stop": ("ask.stop_loss",),
    "already_beyond_target": ("ask.take_profit",),
    "below_min_price": ("range",),
    "above_max_price": ("range",),
    "order_above_maximum": ("investment",),
}
"""Questions that are worth going back to after a refusal."""


def _ways_out(draft: Draft, no: Declined, amounts: Amounts) -> Iterator[Button]:
    """What a refusal itself names as enough, then the questions to answer otherwise."""
    has_money = False
    for refusal in no.refusals:
        least, most = refusal.values.get("least", ""), refusal.values.get("most", "")
        if refusal.code == "below_minimum":
            is_free = bool(least) and (amounts.most is None or Decimal(least) <= amounts.most)
            if is_free and "per_order" not in draft.fields:
                yield _invest(draft, enough_for(Decimal(least), amounts.most))
            if grids := refusal.values.get("most_grids"):
                yield answer(draft, say("w_way_grids", count=grids), "grids", grids, "primary")
        elif refusal.code == "over_balance" and most and Decimal(most) > 0:
            has_money = amounts.least is None or Decimal(most) >= amounts.least
            if has_money and "per_order" not in draft.fields:
                yield _invest(draft, numbers.number(most))
        elif refusal.code == "equal_levels" and most:
            yield answer(draft, say("w_way_grids", count=most), "grids", most, "primary")
        elif refusal.code == "liquidation_inside" and (safe := refusal.values.get("leverage")):
            yield answer(draft, say("w_way_leverage", leverage=safe), "leverage", safe, "primary")
        elif refusal.code == "missing":
            name = refusal.values["name"]
            yield _place(draft, name if name in form.STEPS else f"ask.{name}")
    for refusal in no.refusals:
        for step in PLACES.get(refusal.code, ()):
            yield _place(draft, step)


def _invest(draft: Draft, amount: str) -> Button:
    return answer(draft, say("w_way_invest", amount=amount), "investment", amount.replace(",", ""), "primary")


def _place(draft: Draft, step: str) -> Button:
    return go(draft, f"✏️ {words.parameter(step.removeprefix('ask.'))}", step)


def _rows(draft: Draft, now: int) -> tuple[tuple[Button, ...], ...]:
    until = now // 1000 + VALID
    return (
        (Button(say("b_create_start"), Press("wmake", 0, "start", draft.nonce, until), "danger"),),
        (Button(say("b_create"), Press("wmake", 0, "", draft.nonce, until), "success"),),
        (go(draft, say("b_edit"), "edit"), go(draft, say("b_refresh"), "preview")),
        (go(draft, say("b_back"), "leverage"), _cancel(draft)),
    )


def _cancel(draft: Draft) -> Button:
    return Button(say("b_cancel"), Press("wcancel", 0, "", draft.nonce))


def _lean(it: Preview) -> str:
    return say("p_spacing", spacing=words.value_of(it.spacing), sizing=words.value_of(it.sizing))


def _line(key: str, value: str, more: str = "") -> str:
    return f"{say(key)}  <b>{escape(value, quote=False)}</b> {escape(more, quote=False)}".rstrip()


def _shape(it: Preview) -> str:
    low, high, price = it.plan.levels[0], it.plan.levels[-1], it.plan.price
    step = _between(it.step_low, it.step_high, numbers.near)
    if it.spacing is Spacing.GEOMETRIC and it.plan.levels[0]:
        step += f" ({numbers.percent(it.plan.levels[1] / low - 1)})"
    has_trigger = it.plan.trigger is not None
    lines = [
        _line("p_trigger" if has_trigger else "p_price", numbers.price(price)),
        _line("p_range", f"{numbers.price(low)} – {numbers.price(high)}"),
    ]
    if low < price < high:
        lean = say("p_lean", percent=numbers.percent(1 - low / price, 1), above=numbers.percent(high / price - 1, 1))
        lines.append(escape(lean, quote=False))
    lines.append(_line("p_levels", say("p_levels_step", count=len(it.plan.quantities), step=step)))
    lines.append(_line("p_profit", _between(it.profit_low, it.profit_high, numbers.percent), say("p_fees")))
    return "\n".join(lines)


def _money(it: Preview, quote: str) -> str:
    plan = it.plan
    sizes = sorted(set(plan.quantities))
    each = numbers.number(sizes[0]) if len(sizes) == 1 else f"{numbers.number(sizes[0])} – {numbers.number(sizes[-1])}"
    orders = words.count("order", it.orders)
    start = say("p_start_none", orders=orders)
    if it.initial_side is not None and it.initial_qty:
        start = say(
            "p_start_initial",
            side=words.value_of(it.initial_side),
            qty=numbers.number(it.initial_qty),
            base=plan.instrument.base,
            orders=orders,
        )
    least = say("p_least", least=numbers.amount(it.least_investment))
    return "\n".join(
        (
            _line("p_invest", numbers.amount(it.investment, quote), least),
            _line("p_power", numbers.amount(it.buying_power, quote), say("p_power_at", leverage=plan.leverage)),
            _line("p_order", f"{each} {plan.instrument.base}"),
            _line("p_start", start),
        )
    )


def _risk(it: Preview, quote: str) -> str:
    plan = it.plan
    has_stop = plan.stop_loss is not None or plan.stop_loss_high is not None
    stops = " / ".join(numbers.price(stop) for stop in (plan.stop_loss, plan.stop_loss_high) if stop is not None)
    where = say("p_worst_stop", stop=stops) if has_stop else say("p_worst_bound")
    lines = [_line("p_worst", numbers.amount(it.worst_loss, quote), where), *_liquidation(it)]
    if has_stop:
        lines.append(_line("p_stops", stops))
    if plan.take_profit is not None:
        lines.append(_line("p_take", numbers.price(plan.take_profit)))
    return "\n".join(lines)


def _liquidation(it: Preview) -> list[str]:
    """A line for each side on which the position could be liquidated."""
    found = [("p_liq_down", it.liquidation_low), ("p_liq_up", it.liquidation_high)]
    if it.liquidation_now and it.liquidation_now not in (it.liquidation_low, it.liquidation_high):
        found.insert(0, ("p_liq_now", it.liquidation_now))
    lines = [_line("p_liquidation", _whole(it, at), say(key, percent=_away(it, at))) for key, at in found if at]
    return lines or [_line("p_liquidation", say("p_liquidation_none"))]


def _whole(it: Preview, price: Decimal) -> str:
    return numbers.price(it.plan.instrument.round_price(price))


def _away(it: Preview, price: Decimal) -> str:
    change = price / it.plan.price - 1
    return ("+" if change > 0 else "") + numbers.percent(change, 1)


def _between(low: Decimal, high: Decimal, shown: Callable[[Decimal], str]) -> str:
    """Two values, their common unit said once."""
    first, last = shown(low), shown(high)
    return last if first == last else f"{first.removesuffix('%')} – {last}"
