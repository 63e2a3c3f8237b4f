"""How a person wants to be told things and how pictures look."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from bot import switches
from bot.menu import Button, Screen, button
from bot.words import say

SIGNS = {"on": "🔔", "silent": "🔕", "off": "➖"}


def settings(wishes: Mapping[str, str], person: int, role: str) -> Screen:
    """Each press goes on to the next choice."""
    lines = [f"⚙️ <b>{say('settings_title')}</b>", "", f"<b>{say('settings_notices')}</b>"]
    for group in switches.GROUPS:
        mode = switches.of_group(wishes, group)
        lines.append(f"{SIGNS[mode]} {escape(say(f'set_{group}'), quote=False)}: <b>{say(f'mode_{mode}')}</b>")
    lines += ["", f"<i>{say('settings_modes')}</i>", ""]
    theme = wishes.get("charts", "dark")
    lines.append(f"{say('settings_quiet')}: <b>{_hours(wishes)}</b>")
    lines.append(f"{say('settings_charts')}: <b>{say(f'charts_{theme}')}</b>")
    lines.append(f"{say('settings_language')}: <b>English</b>")
    lines.append(say("settings_person", id=f"<code>{person}</code>", role=role))
    rows: list[tuple[Button, ...]] = [
        (button(f"{SIGNS[switches.of_group(wishes, group)]} {say(f'set_{group}')}", "setnotify", 0, group),)
        for group in switches.GROUPS
    ]
    quiet, charts = f"🌙 {say('settings_quiet')}", f"🎨 {say('settings_charts')}"
    rows.append((button(quiet, "setquiet"), button(charts, "setcharts")))
    rows.append((button(f"🌐 {say('settings_language')}", "setlanguage"), button(say("b_home"), "home")))
    return Screen("\n".join(lines), tuple(rows))


def _hours(wishes: Mapping[str, str]) -> str:
    hours = wishes.get("quiet", "")
    if hours not in switches.QUIET or not hours:
        return say("mode_off")
    begin, end = hours.split("-")
    return say("settings_hours", begin=f"{int(begin):02}:00", end=f"{int(end):02}:00")
