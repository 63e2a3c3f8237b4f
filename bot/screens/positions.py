"""Open positions, account by account."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bot import numbers, words
from bot.menu import Screen, button
from bot.words import say
from trading.ports import Account
from trading.views import PositionRow


def positions(held: Sequence[tuple[Account, Sequence[PositionRow]]], now: int) -> Screen:
    """`held`: each account with its positions; flat ones are left out."""
    parts = [f"📊 <b>{say('positions_title')}</b>"]
    for account, rows in held:
        head = f"<b>{escape(account.name, quote=False)}</b> · {account.environment.badge}"
        lines = [_line(row) for row in rows if row.qty]
        parts.append("\n".join([head, *(lines or [say("positions_none")])]))
    if not held:
        parts.append(say("no_account"))
    parts.append(f"<i>{say('card_updated', time=numbers.clock(now))}</i>")
    foot = (button(say("b_refresh"), "positions"), button(say("b_home"), "home"))
    return Screen("\n\n".join(parts), (foot,))


def _line(row: PositionRow) -> str:
    side = say("position_long" if row.qty > 0 else "position_short")
    mode = words.value_of(row.margin_mode)
    risk = (
        say("position_risk", liquidation=numbers.near(row.liquidation_price), leverage=row.leverage, mode=mode)
        if row.liquidation_price
        else say("position_safe", leverage=row.leverage, mode=mode)
    )
    entry = say("position_entry", entry=numbers.near(row.entry), mark=numbers.near(row.mark))
    return (
        f"\n{escape(row.symbol, quote=False)} {side} <b>{numbers.number(abs(row.qty))}</b>\n"
        f"{say('card_floating')}  <b>{numbers.gain(row.unrealized_pnl)}</b>\n"
        f"{entry}\n{escape(risk, quote=False)}"
    )
