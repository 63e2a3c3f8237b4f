"""What every account holds."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bot import numbers
from bot.menu import Screen, button
from bot.words import say
from trading.views import BalanceRow


def balance(rows: Sequence[BalanceRow], now: int) -> Screen:
    """Grouped by account; assets with nothing in them are left out."""
    parts = [f"💰 <b>{say('balance_title')}</b>"]
    for account in dict.fromkeys(row.account for row in rows):
        own = [row for row in rows if row.account == account]
        head = f"<b>{escape(own[0].name, quote=False)}</b> · {own[0].badge}"
        held = [row for row in own if row.wallet or row.available or row.unrealized_pnl]
        parts.append("\n".join([head, *(_line(row) for row in held)]) if held else f"{head}\n{say('balance_empty')}")
    if not rows:
        parts.append(say("balance_none"))
    parts.append(f"<i>{say('card_updated', time=numbers.clock(now))}</i>")
    foot = (button(say("b_refresh"), "balance"), button(say("b_home"), "home"))
    return Screen("\n\n".join(parts), (foot,))


def _line(row: BalanceRow) -> str:
    asset = escape(row.asset, quote=False)
    lines = [
        say("balance_line", wallet=f"<b>{numbers.amount(row.wallet)} {asset}</b>"),
        say("balance_free", available=numbers.amount(row.available)),
    ]
    if row.unrealized_pnl:
        lines.append(say("grids_floating", floating=numbers.gain(row.unrealized_pnl)))
    return " · ".join(lines)
