"""How a grid has done: day by day, and what that would be a year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from bot import numbers
from bot.menu import Screen, button
from bot.screens.grids import name
from bot.words import count, say
from trading.views import Card, DayRow, Performance

DAYS = 10
DAY = 86_400_000
_WIDTH = 8


def performance(it: Card, done: Performance, now: int) -> Screen:
    head = f"📈 <b>{escape(name(it), quote=False)}</b> · <b>{it.badge}</b>\n{say('perf_title')}"
    parts = [head, _sums(it, done), _rates(done), _days(done.days)]
    parts.append(f"<i>{say('perf_foot')}\n{say('card_updated', time=numbers.clock(now))}</i>")
    rows = (
        (button(say("b_refresh"), "perf", it.id), button(say("b_equity"), "picture", it.id, "equity")),
        (button(say("b_to_card"), "grid", it.id),),
    )
    return Screen("\n\n".join(part for part in parts if part), rows)


def _sums(it: Card, done: Performance) -> str:
    lines = [
        f"{say('card_grid')}  <b>{numbers.gain(it.matched, it.quote)}</b>  ({count('pair', it.pairs)})",
        f"{say('card_floating')}  <b>{numbers.gain(it.unmatched, it.quote)}</b>",
        f"{say('card_funding')}  {numbers.gain(it.funding, it.quote)}",
        f"{say('card_total')}  <b>{numbers.gain(it.total, it.quote)}</b>",
        f"<i>{say('card_fees', fees=numbers.amount(it.fees, it.quote))}</i>",
    ]
    if it.pairs:
        each = numbers.gain(it.matched / it.pairs, it.quote)
        lines.insert(1, escape(say("perf_each", each=each), quote=False))
    return "\n".join(lines)


def _rates(done: Performance) -> str:
    span = say("card_for", span=numbers.span(done.running)) if done.running else ""
    if done.grid_apr is None:
        return "\n".join(part for part in (span, say("perf_apr_later")) if part)
    grid, total = _percent(done.grid_apr), _percent(done.total_apr)
    return "\n".join((span, say("perf_apr", grid=f"<b>{grid}</b>", total=f"<b>{total}</b>")))


def _percent(fraction: Decimal | None) -> str:
    return "–" if fraction is None else ("+" if fraction > 0 else "") + numbers.percent(fraction, 1)


def _days(days: Sequence[DayRow]) -> str:
    """A line and a bar for each of the last days with fills."""
    if not days:
        return say("perf_none")
    shown = days[-DAYS:]
    most = max((abs(day.matched) for day in shown), default=Decimal(0)) or Decimal(1)
    lines = [f"<b>{say('perf_days')}</b>"]
    for day in reversed(shown):
        bar = "▇" * max(1 if day.matched else 0, round(float(abs(day.matched) / most) * _WIDTH))
        at = datetime.fromtimestamp(day.start / 1000, UTC)
        text = f"{at.day:>2} {at:%b}  {numbers.gain(day.matched):>9}  {day.pairs:>4}  {bar}"
        lines.append(f"<code>{escape(text, quote=False)}</code>")
    if len(days) > DAYS:
        rest = sum((day.matched for day in days[:-DAYS]), Decimal(0))
        lines.append(escape(say("perf_before", total=numbers.gain(rest)), quote=False))
    return "\n".join(lines)


# --------------------------------------------------------------------------- all grids


def profit(done: Sequence[tuple[Card, Performance]], now: int) -> Screen:
    """Every grid: today, seven days, all; grid profit and floating PnL apart."""
    parts = [f"📈 <b>{say('profit_title')}</b>"]
    for quote, badge in sorted({(it.quote, it.badge) for it, _ in done}):
        own = [(it, perf) for it, perf in done if (it.quote, it.badge) == (quote, badge)]
        parts.append(_group(own, quote, badge, now))
    if not done:
        parts.append(say("grids_none"))
    parts.append(f"<i>{say('card_updated', time=numbers.clock(now))}</i>")
    rows = tuple((button(f"📈 {name(it)}", "perf", it.id),) for it, _ in done[:8])
    return Screen("\n\n".join(parts), (*rows, (button(say("b_refresh"), "profit"), button(say("b_home"), "home"))))


def _group(own: Sequence[tuple[Card, Performance]], quote: str, badge: str, now: int) -> str:
    today = now - now % DAY
    matched = sum((it.matched for it, _ in own), Decimal(0))
    floating = [it.unmatched for it, _ in own]
    known = [value for value in floating if value is not None]
    all_floating = sum(known, Decimal(0)) if len(known) == len(floating) else None
    funding = sum((it.funding for it, _ in own), Decimal(0))
    lines = [
        f"<b>{badge}</b>",
        f"{say('card_grid')}  <b>{numbers.gain(matched, quote)}</b>",
        say("profit_spans", today=numbers.gain(_since(own, today)), week=numbers.gain(_since(own, today - 6 * DAY))),
        f"{say('card_floating')}  <b>{numbers.gain(all_floating, quote)}</b>",
    ]
    if funding:
        lines.append(f"{say('card_funding')}  {numbers.gain(funding, quote)}")
    total = None if all_floating is None else matched + all_floating + funding
    lines.append(f"{say('card_total')}  <b>{numbers.gain(total, quote)}</b>")
    for it, _ in own[:20]:
        sums = say("grids_line", grid=numbers.gain(it.matched), floating=numbers.gain(it.unmatched))
        lines.append(f"\n<b>{escape(name(it), quote=False)}</b>\n{escape(sums, quote=False)}")
    return "\n".join(lines)


def _since(own: Sequence[tuple[Card, Performance]], start: int) -> Decimal:
    return sum((day.matched for _, perf in own for day in perf.days if day.start >= start), Decimal(0))
