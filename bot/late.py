"""Late messages: what was typed while the service was down is asked about again instead of being done.

Telegram keeps messages for a day. A `/stop 3` from last night may be the last thing its writer wants now. Looking is
harmless and is answered; presses carry no time of their own, their seals and drafts expire instead (`bot/seals.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from html import escape

from msgspec import Struct

from bot import numbers
from bot.menu import Button, Press, Screen, button
from bot.seals import nonce
from bot.words import say

LATE = 3 * 60_000
"""ms on its way after which a message is late."""
REMEMBERED = 200
SHOWN = 200
"""Characters of the message that the question repeats."""
LOOKS = frozenset(
    {
        "start",
        "help",
        "grids",
        "grid",
        "balance",
        "positions",
        "orders",
        "profit",
        "health",
        "version",
        "accounts",
        "settings",
        "audit",
    }
)
"""Commands that only show something."""


class _Kept(Struct):
    user: int
    text: str


class Late:
    """The messages that wait for a second yes, in memory: a restart makes their buttons outdated, which is safe."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def question(self, user: int, text: str, sent: int) -> Screen | None:
        """What to ask about a message that was `sent` (ms) long ago; None where it may be done at once."""
        age = self._clock() - sent
        if age < LATE or _is_look(text):
            return None
        word = nonce()
        self._kept[word] = _Kept(user, text)
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
        quoted = escape(text if len(text) <= SHOWN else text[:SHOWN] + "…", quote=False)
        body = f"{escape(say('late', span=numbers.span(age)), quote=False)}\n\n<code>{quoted}</code>"
        yes = Press("late", 0, "", word)
        rows = ((Button(say("b_late_yes"), yes), button(say("b_home"), "home")),)
        return Screen(body, rows)

    def take(self, user: int, press: Press) -> str | None:
        """The text that is wanted after all; None where that is not known, or was taken."""
        kept = self._kept.get(press.nonce)
        if kept is None or kept.user != user:
            return None
        del self._kept[press.nonce]
        return kept.text


def _is_look(text: str) -> bool:
    if not text.startswith("/"):
        return False
    name = text.split(maxsplit=1)[0][1:].partition("@")[0].lower()
    return name in LOOKS
