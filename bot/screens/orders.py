"""Every resting order of the accounts, ours and others', a page at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from html import escape

from bot import numbers, words
from bot.menu import Screen, button, page, pager
from bot.words import say
from trading.ports import Account
from trading.views import OrderRow

SIZE = 20


def orders(resting: Sequence[tuple[Account, Sequence[OrderRow]]], now: int, number: int = 0) -> Screen:
    """`resting`: each account with its orders."""
    head = f"🧾 <b>{say('orders_title')}</b>"
    every = [(account, row) for account, rows in resting for row in sorted(rows, key=_rank)]
    here, pages, first = page(every, number, SIZE)
    lines: list[str] = []
    shown: Account | None = None
    for account, row in every[first : first + SIZE]:
        if account is not shown:
            lines.append(f"\n<b>{escape(account.name, quote=False)}</b> · {account.environment.badge}")
            shown = account
        lines.append(_line(row))
    text = "\n".join(lines) or f"\n{say('orders_none') if resting else say('no_account')}"
    turn = pager("orders", 0, here, pages)
    foot = (button(say("b_refresh"), "orders", 0, str(here) if here else ""), button(say("b_home"), "home"))
    stamp = f"<i>{say('card_updated', time=numbers.clock(now))}</i>"
    return Screen(f"{head}\n{text}\n\n{stamp}", (*((turn,) if turn else ()), foot))


def _rank(row: OrderRow) -> tuple[str, float, Decimal]:
    """By symbol, ours first, highest price first."""
    return (row.symbol, math.inf if row.bot is None else row.bot, -row.price)


def _line(row: OrderRow) -> str:
    sign = "🟩" if row.side.value == "BUY" else "🟥"
    whose = f"#{row.bot}" if row.bot is not None else say("orders_foreign")
    text = (
        f"{sign} {escape(row.symbol, quote=False)} {words.value_of(row.side)} <b>{numbers.price(row.price)}</b>"
        f" × {numbers.number(row.qty)} · {whose}"
    )
    return f"{text} · {say('orders_filled', filled=numbers.number(row.executed))}" if row.executed else text
