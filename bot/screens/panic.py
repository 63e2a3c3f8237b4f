"""The emergency stop of an account: the question, how far it is, and what the exchange says is left."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bot import numbers, words
from bot.menu import Press, Screen, button
from bot.screens.card import holding
from bot.screens.confirm import Seal
from bot.screens.grids import name
from bot.words import say
from trading.ports import Account
from trading.views import Aftermath, Card, PanicBot

SHOWN = 12
LIVE = ("WAITING", "STARTING", "RUNNING", "PAUSED", "RESETTING", "STOPPING")


def _title(account: Account) -> str:
    return f"{account.name} ({account.environment.badge})"


def choose(accounts: Sequence[Account]) -> Screen:
    rows = tuple((button(f"🛑 {_title(each)}", "panic", each.id),) for each in accounts)
    return Screen(f"🛑 <b>{say('panic_which')}</b>", (*rows, (button(say("b_home"), "home"),)))


def ask(account: Account, cards: Sequence[Card], seal: Seal) -> Screen:
    """What will be stopped; keep the positions or close them."""
    live = [it for it in cards if it.status in LIVE]
    lines = [f"🛑 <b>{escape(say('panic_ask', name=_title(account)), quote=False)}</b>", ""]
    if not live:
        lines.append(say("panic_nothing"))
    for it in live[:SHOWN]:
        about = f"{name(it)}: {words.count('order', it.orders_working)}, {say('card_position').lower()} {holding(it)}"
        lines.append(f"· {escape(about, quote=False)}")
    if len(live) > SHOWN:
        lines.append(say("and_more", count=len(live) - SHOWN))
    lines += ["", say("panic_what"), "", f"<i>{say('confirm_expiry')}</i>"]
    rows = [
        (seal(say("b_panic_keep"), Press("panicdo", account.id, "keep"), "danger"),),
        (seal(say("b_panic_close"), Press("panicdo", account.id, "close"), "danger"),),
    ]
    return Screen("\n".join(lines), (*rows, (button(say("b_home"), "home"),)))


def progress(account: Account, bots: Sequence[PanicBot], left: Aftermath | None, trouble: str, now: int) -> Screen:
    """`left` is None until everything is over and the exchange was read."""
    over = [bot for bot in bots if bot.status not in LIVE]
    lines = [f"🛑 <b>{escape(say('panic_title', name=_title(account)), quote=False)}</b>"]
    if left is None:
        lines.append(say("panic_progress", done=len(over), all=len(bots)))
    else:
        is_clean = not left.ours
        lines.append(say("panic_done" if is_clean else "panic_orders_left", orders=words.count("order", left.ours)))
    lines.append("")
    for bot in bots[:SHOWN]:
        state = words.status(bot.status, bot.reason if bot.status in LIVE else "")
        more = f" · {words.count('order', bot.orders)}" if bot.orders else ""
        sign = "✅" if bot.status not in LIVE else "⏳"
        lines.append(f"{sign} {escape(f'{bot.symbol} #{bot.bot}: {state}{more}', quote=False)}")
    if len(bots) > SHOWN:
        lines.append(say("and_more", count=len(bots) - SHOWN))
    if left is not None:
        lines += ["", *_left(left)]
    if trouble:
        lines += ["", f"⚠️ {escape(trouble, quote=False)}"]
    lines += ["", f"<i>{say('card_updated', time=numbers.clock(now))}</i>"]
    rows = (
        (button(say("b_refresh"), "panicsee", account.id), button(say("b_positions"), "positions")),
        (button(say("b_to_grids"), "grids"), button(say("b_home"), "home")),
    )
    return Screen("\n".join(lines), rows)


def _left(left: Aftermath) -> list[str]:
    """The verified end state."""
    lines = [f"<b>{say('panic_verified')}</b>", say("panic_ours", orders=words.count("order", left.ours))]
    if left.foreign:
        lines.append(say("panic_foreign", orders=words.count("order", left.foreign)))
    if not left.positions:
        lines.append(say("positions_none"))
    for row in left.positions[:SHOWN]:
        side = say("position_long" if row.qty > 0 else "position_short")
        floating = say("grids_floating", floating=numbers.gain(row.unrealized_pnl))
        text = f"{row.symbol} {side} {numbers.number(abs(row.qty))}, {floating}"
        lines.append(f"· {escape(text, quote=False)}")
    return lines
