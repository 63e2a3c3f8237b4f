"""The first screen: how the grids do, and the way to everything else."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from bot import numbers, words
from bot.menu import Button, Screen, button
from bot.words import say
from trading.views import Card, HealthRow

LIVE = frozenset({"WAITING", "STARTING", "RUNNING", "PAUSED", "RESETTING", "STOPPING"})


def home(cards: Sequence[Card], troubles: Sequence[HealthRow] = (), draft: str = "") -> Screen:
    """`draft` describes an unfinished draft, empty where there is none."""
    parts = [f"🌿 <b>{say('hello')}</b>"]
    parts.append(_summary(cards) if cards else say("home_none"))
    if troubles:
        lines = "\n".join(f"⚠️ {escape(words.health(row), quote=False)}" for row in troubles)
        parts.append(f"{say('home_trouble')}\n{lines}")
    if draft:
        parts.append("✏️ " + escape(say("home_draft", draft=draft), quote=False))
    return Screen("\n\n".join(parts), _rows(bool(draft)))


def _summary(cards: Sequence[Card]) -> str:
    running = sum(card.status.upper() == "RUNNING" for card in cards)
    lines = [say("home_summary", running=running, grids=words.count("grid", len(cards)))]
    for quote, badge in sorted({(card.quote, card.badge) for card in cards}):
        own = [card for card in cards if (card.quote, card.badge) == (quote, badge)]
        matched = sum((card.matched for card in own), Decimal(0))
        floating = [card.unmatched for card in own]
        totals = [card.total for card in own]
        lines.append(f"\n<b>{badge}</b>")
        lines.append(f"{say('home_grid')}  <b>{numbers.gain(matched, quote)}</b>")
        lines.append(f"{say('home_floating')}  <b>{numbers.gain(_sum(floating), quote)}</b>")
        lines.append(f"{say('home_total')}  <b>{numbers.gain(_sum(totals), quote)}</b>")
    return "\n".join(lines)


def _sum(values: Sequence[Decimal | None]) -> Decimal | None:
    """None as long as one of them is unknown: half a sum would mislead."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None


def _rows(has_draft: bool) -> tuple[tuple[Button, ...], ...]:
    new = button(say("b_new"), "new", 0, "fresh" if has_draft else "", style="success")
    first = (button(say("b_continue"), "draft", style="primary"), new) if has_draft else (new,)
    return (
        first,
        (button(say("b_grids"), "grids"), button(say("b_profit"), "profit")),
        (button(say("b_balance"), "balance"), button(say("b_positions"), "positions")),
        (button(say("b_orders"), "orders"), button(say("b_health"), "health")),
        (button(say("b_accounts"), "accounts"), button(say("b_settings"), "settings")),
        (button(say("b_help"), "help"), button(say("b_panic_short"), "panic")),
    )
