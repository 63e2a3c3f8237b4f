"""The state of the service: one line for each part."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bot import numbers, words
from bot.menu import Screen, button
from bot.words import say
from trading.views import HealthRow


def health(rows: Sequence[HealthRow], now: int, version: str) -> Screen:
    verdict = say("health_good" if all(row.ok for row in rows) else "health_bad")
    lines = [f"{'✅' if row.ok else '⚠️'} {escape(words.health(row), quote=False)}" for row in rows]
    stamp = f"{say('version', version=version)} · {say('card_updated', time=numbers.clock(now))}"
    text = f"🩺 <b>{say('health_title')}</b>\n{verdict}\n\n" + "\n".join(lines)
    foot = (button(say("b_refresh"), "health"), button(say("b_home"), "home"))
    return Screen(f"{text}\n\n<i>{escape(stamp, quote=False)}</i>", (foot,))
