"""The exchange accounts: list, one account with its test, removal."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bot import numbers, words
from bot.menu import Press, Screen, button
from bot.screens.confirm import Seal
from bot.words import say
from trading.ports import Account
from trading.views import Card, HealthRow


def _name(account: Account) -> str:
    return f"{account.name} · {account.environment.badge}"


def accounts(every: Sequence[tuple[Account, bool, int]]) -> Screen:
    """Each account, whether it is connected, and how many grids stand on it."""
    lines = [f"🔑 <b>{say('accounts_title')}</b>", ""]
    for account, is_up, grids in every:
        state = say("accounts_up" if is_up else "accounts_down")
        text = f"{_name(account)} · {account.venue}\n{state} · {words.count('bot', grids)}"
        lines.append(f"{'🟢' if is_up else '🔌'} {escape(text, quote=False)}")
    if not every:
        lines.append(say("balance_none"))
    lines += ["", f"<i>{say('accounts_foot')}</i>"]
    rows = tuple((button(_name(account), "account", account.id),) for account, _, _ in every)
    return Screen("\n".join(lines), (*rows, (button(say("b_refresh"), "accounts"), button(say("b_home"), "home"))))


def account(it: Account, cards: Sequence[Card], found: Sequence[HealthRow] | None, now: int, can_act: bool) -> Screen:
    """`found`: what the test said, None before it."""
    lines = [f"🔑 <b>{escape(_name(it), quote=False)}</b>", escape(f"{it.venue} · #{it.id}", quote=False), ""]
    lines.append(words.count("bot", len(cards)))
    if found is not None:
        lines += ["", f"<b>{say('accounts_tested')}</b>"]
        lines += [f"{sign(row)} {escape(words.health(row), quote=False)}" for row in found]
        lines += ["", f"<i>{say('card_updated', time=numbers.clock(now))}</i>"]
    rows = [(button(say("b_test"), "acctest", it.id, style="primary"),)]
    if can_act:
        rows.append((button(say("b_remove"), "accremove", it.id, style="danger"),))
        rows.append((button(say("b_panic"), "panic", it.id, style="danger"),))
    return Screen("\n".join(lines), (*rows, (button(say("b_to_accounts"), "accounts"), button(say("b_home"), "home"))))


def sign(row: HealthRow) -> str:
    """Known to be so, known not to be so, or not known."""
    if row.code.endswith("unknown"):
        return "❔"
    return "✅" if row.ok else "⚠️"


def remove(it: Account, seal: Seal) -> Screen:
    text = f"❗️ <b>{escape(say('accounts_remove', name=_name(it)), quote=False)}</b>\n\n· {say('accounts_remove_1')}"
    action = seal(say("b_remove_now"), Press("accgone", it.id), "danger")
    back = button(say("b_back"), "account", it.id)
    return Screen(f"{text}\n\n<i>{say('confirm_expiry')}</i>", ((action,), (back,)))
