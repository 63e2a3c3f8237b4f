"""How to use it: the one-liner, its settings from their declarations, and what the two kinds of profit mean."""

from __future__ import annotations

from html import escape

from bot import form
from bot.menu import Screen, button, page, pager
from bot.words import say
from trading.parameters.declaration import Parameter
from trading.parameters.vocabulary import PARAMETERS

SIZE = 12
COMMANDS = (
    "new", "grids", "grid", "profit", "balance", "positions", "orders", "stop", "panic", "accounts", "settings",
    "health", "audit", "version", "cancel", "help",
)  # fmt: skip
"""As the command menu lists them."""
_USUAL = {"stop_loss": "sl", "stop_loss_high": "sl_high", "take_profit": "tp", "margin_mode": "margin"}
_POSITIONAL = frozenset({"symbol", "direction", "lower", "upper", "grids", "investment", "leverage"})


def help(number: int = 0) -> Screen:
    """The first page explains, the others list the settings."""
    named = [each for each in PARAMETERS.values() if each.name not in _POSITIONAL and form.has_choice(each)]
    here, pages, _ = page(range(SIZE + len(named)), number, SIZE)
    if here == 0:
        text = _first()
    else:
        shown = named[(here - 1) * SIZE : here * SIZE]
        lines = [_setting(parameter) for parameter in shown]
        text = f"❓ <b>{say('help_title')}</b>\n\n{say('help_more')}\n\n" + "\n".join(lines)
    turn = pager("help", 0, here, pages)
    return Screen(text, (*((turn,) if turn else ()), (button(say("b_new"), "new"), button(say("b_home"), "home"))))


def _short(name: str) -> str:
    """The name that people type."""
    return _USUAL.get(name, name)


def _setting(it: Parameter) -> str:
    return f"<code>{_short(it.name)}={'|'.join(it.choices)}</code> {escape(form.help_line(it), quote=False)}"


def _first() -> str:
    commands = "\n".join(f"/{name} · {escape(say(f'c_{name}'), quote=False)}" for name in COMMANDS)
    return "\n\n".join(
        (
            f"❓ <b>{say('help_title')}</b>",
            f"{say('help_intro')}\n<code>{escape(say('help_example'), quote=False)}</code>",
            f"<code>{escape(say('help_line'), quote=False)}</code>",
            say("help_profit"),
            f"<b>{say('help_commands')}</b>\n{commands}",
        )
    )
