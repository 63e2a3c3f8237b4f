"""Every resting order of the accounts, ours and others', a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from itertools import groupby
from operator import attrgetter

from bot import numbers, words
from bot.menu import Screen, button, page, pager
from bot.screens.ladder import ladder
from bot.words import say
from trading.ports import Account
from trading.views import OrderRow

SIZE = 20


def orders(
    resting: Sequence[tuple[Account, Sequence[OrderRow]]],
    prices: Mapping[tuple[int, str], Decimal],
    now: int,
    number: int | None = None,
) -> Screen:
    """`resting`: each account with its orders; `prices` of now by account and symbol. The first price's by default."""
    head = f"🧾 <b>{say('orders_title')}</b>"
    every, at = _ladders(resting, prices)
    here, pages, first = page(every, at // SIZE if number is None else number, SIZE)
    lines: list[str] = []
    shown: Account | None = None
    for account, line in every[first : first + SIZE]:
        if account is not shown:
            lines.append(f"\n<b>{escape(account.name, quote=False)}</b> · {account.environment.badge}")
            shown = account
        lines.append(line)
    text = "\n".join(lines) or f"\n{say('orders_none') if resting else say('no_account')}"
    turn = pager("orders", 0, here, pages)
    foot = (button(say("b_refresh"), "orders", 0, str(here)), button(say("b_home"), "home"))
    stamp = f"<i>{say('card_updated', time=numbers.clock(now))}</i>"
    return Screen(f"{head}\n{text}\n\n{stamp}", (*((turn,) if turn else ()), foot))


def _ladders(
    resting: Sequence[tuple[Account, Sequence[OrderRow]]], prices: Mapping[tuple[int, str], Decimal]
) -> tuple[list[tuple[Account, str]], int]:
    """A text for each order, symbol by symbol, and the place of the first price."""
    every: list[tuple[Account, str]] = []
    place: int | None = None
    for account, rows in resting:
        for symbol, own in groupby(sorted(rows, key=_rank), key=attrgetter("symbol")):
            price = prices.get((account.id, symbol))
            texts, at = ladder(list(own), price, _line, symbol)
            if price is not None and place is None:
                place = len(every) + at
            every += [(account, text) for text in texts]
    return every, place or 0


def _rank(row: OrderRow) -> tuple[str, Decimal]:
    """By symbol, highest price first."""
    return (row.symbol, -row.price)


def _line(row: OrderRow) -> str:
    sign = "🟩" if row.side.value == "BUY" else "🟥"
    whose = f"#{row.bot}" if row.bot is not None else say("orders_foreign")
    text = (
        f"{sign} {escape(row.symbol, quote=False)} {words.value_of(row.side)} <b>{numbers.price(row.price)}</b>"
        f" × {numbers.number(row.qty)} · {whose}"
    )
    return f"{text} · {say('orders_filled', filled=numbers.number(row.executed))}" if row.executed else text
