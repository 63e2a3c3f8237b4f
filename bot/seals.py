"""Seals: single-use tickets for the buttons that move money, forgotten by a restart on purpose.

A press whose seal is unknown, used, late, or made for another person, verb or object does nothing: the reader gets a
fresh screen instead (telegram.md §3: a callback has no time of its own).
"""

from __future__ import annotations

import secrets
from enum import Enum

from msgspec import Struct

from bot.menu import Button, Press

LIFE = 5 * 60
"""Seconds."""
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Verdict(Enum):
    """What became of a sealed press."""

    GOOD = "good"
    USED = "used"
    STALE = "stale"


class _Seal(Struct):
    user: int
    verb: str
    target: int
    argument: str
    expires: int
    is_used: bool = False


def nonce() -> str:
    """Eight unguessable characters: 41 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8))


class Seals:
    """The seals that are out, in memory."""

    def __init__(self, life: int = LIFE) -> None:
        self._life = life
        self._out: dict[str, _Seal] = {}

    def button(self, now: int, user: int, text: str, press: Press, style: str = "danger") -> Button:
        """A button that works once, for `user`, within the life of a seal; `now` in ms."""
        seconds = now // 1000
        self._forget(seconds)
        word, expires = nonce(), seconds + self._life
        self._out[word] = _Seal(user, press.verb, press.target, press.argument, expires)
        return Button(text, Press(press.verb, press.target, press.argument, word, expires), style)

    def take(self, now: int, user: int, press: Press) -> Verdict:
        """Judge a press and use its seal up."""
        seal = self._out.get(press.nonce)
        wanted = (user, press.verb, press.target, press.argument)
        if seal is None or (seal.user, seal.verb, seal.target, seal.argument) != wanted:
            return Verdict.STALE
        if seal.is_used:
            return Verdict.USED
        if now // 1000 > seal.expires:
            return Verdict.STALE
        seal.is_used = True
        return Verdict.GOOD

    def _forget(self, seconds: int) -> None:
        """Used and late seals are kept a while so that a second press can be told from a stale one."""
        gone = [word for word, seal in self._out.items() if seconds > seal.expires + self._life]
        for word in gone:
            del self._out[word]
