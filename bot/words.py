"""Every sentence a reader sees, through one gettext seam: codes with values in, plain text out (never HTML).

Used by chat, CLI and REST. English is the source language; `use` chooses another for the current task. The keys that
each kind of notice carries are the blanks of its sentence in NOTICES.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from decimal import Decimal, InvalidOperation

from msgspec import Struct

from bot import numbers
from bot.sentences import (
    COUNTS,
    FRACTIONS,
    HEALTH,
    NOTICES,
    PARAMETERS,
    REASONS,
    REFUSALS,
    SAID_BY,
    SENTENCES,
    STATUSES,
    VALUES,
)
from trading.messages import Notice, NoticeKind
from trading.views import Declined, HealthRow, Refusal

_language: ContextVar[gettext.NullTranslations] = ContextVar("language", default=gettext.NullTranslations())  # noqa: B039


def use(translations: gettext.NullTranslations) -> None:
    """Speak this language in the current task from here on."""
    _language.set(translations)


def translated(text: str) -> str:
    """The seam: everything below passes through here."""
    return _language.get().gettext(text) if text else ""


class _Blanks(dict[str, str]):
    """Values for the blanks of a sentence; a missing one shows as an ellipsis rather than breaking the sentence."""

    def __missing__(self, key: str) -> str:
        return "…"


def _filled(text: str, values: Mapping[str, object]) -> str:
    return translated(text).format_map(_Blanks({key: str(value) for key, value in values.items()}))


def say(key: str, /, **values: object) -> str:
    """The sentence of `key`; values come formatted."""
    return _filled(SENTENCES[key], values)


def count(key: str, n: int) -> str:
    """`n` things, in the right number: `count("order", 2)` → `2 orders`."""
    one, many = COUNTS[key]
    return _language.get().ngettext(one, many, n).format(n=numbers.number(n))


# --------------------------------------------------------------------------- codes


def refusal(no: Refusal) -> str:
    """Why not, and what to do instead."""
    parts = REFUSALS.get(no.code)
    if parts is None:
        details = ", ".join(f"{key} {value}" for key, value in no.values.items())
        return say("refused_unknown", code=no.code.replace("_", " "), details=f" ({details})" if details else "")
    values = {key: _word(key, value, key in FRACTIONS.get(no.code, ())) for key, value in no.values.items()}
    if no.code == "unknown_parameter":
        values["name"] = no.values.get("name", "")
    return " ".join(_filled(part, values) for part in parts if _has_all(part, no.values))


def refusals(declined: Declined | Iterable[Refusal]) -> str:
    """All of them, a line each."""
    several = list(declined.refusals if isinstance(declined, Declined) else declined)
    codes = {no.code for no in several}
    return "\n".join(refusal(no) for no in several if not codes & SAID_BY.get(no.code, frozenset()))


def reason(code: str) -> str:
    """Why a slot has no order, or why a bot paused or failed."""
    known, _, detail = code.partition(":")
    text = translated(REASONS[known]) if known in REASONS else known.replace("_", " ")
    return f"{text} ({detail.strip()})" if detail.strip() else text


def status(code: str, why: str = "") -> str:
    """A life-cycle state with its reason."""
    name = translated(STATUSES[code.upper()][1]) if code.upper() in STATUSES else code.capitalize()
    return f"{name}: {reason(why)}" if why else name


def light(code: str) -> str:
    """The coloured sign of a life-cycle state."""
    return STATUSES.get(code.upper(), ("▫️", ""))[0]


def value_of(value: object) -> str:
    """A nominal value (direction, side, spacing, sizing, margin mode) as a word."""
    text = str(getattr(value, "value", value))
    return translated(VALUES[text.upper()]) if text.upper() in VALUES else text


def parameter(name: str, fallback: str = "") -> str:
    """The name of a parameter as a label."""
    plain = name if "=" in name else name.replace("_", " ").capitalize()
    return translated(PARAMETERS.get(name, fallback or plain))


def health(row: HealthRow) -> str:
    """One part of the service in one line."""
    part, _, name = row.part.partition(":")
    label = _filled(HEALTH.get(part, part.capitalize()), {"name": name})
    if row.ok and not row.code:
        return label
    values = {key: _word(key, value) for key, value in row.values.items()}
    why = _filled(HEALTH[row.code], values) if row.code in HEALTH else row.code.replace("_", " ")
    return f"{label}: {why}" if why else label


# --------------------------------------------------------------------------- notices


class Told(Struct, frozen=True):
    """A notice in words: a headline, lines under it, and whether it must not be missed."""

    title: str
    body: str
    is_critical: bool = False
    is_silent: bool = False


CRITICAL = frozenset(
    {NoticeKind.PAUSED, NoticeKind.FAILED, NoticeKind.FINISHED, NoticeKind.ERROR, NoticeKind.DISCONNECTED}
)
ASKED = frozenset({"user", "asked"})
"""Reasons that a person gave by pressing: nobody is told why."""
UNTOLD = frozenset({NoticeKind.FILL})
"""What may be switched off, because the pair is told."""


def notice(told: Notice) -> Told:
    """What to write for `told`."""
    title, lines = NOTICES[told.kind.value]
    values = _spoken(told.values)
    known = told.values if told.values.get("reason") not in ASKED else told.values | {"reason": ""}
    body = [_filled(line, values) for line in lines if _has_all(line, known)]
    return Told(
        _filled(title, values), "\n".join(body), told.kind in CRITICAL, told.kind in (NoticeKind.PAIR, NoticeKind.FILL)
    )


def event(told: Notice) -> str:
    """A notice in one short line, for where it is clear which bot it is of."""
    title = notice(told).title
    symbol = told.values.get("symbol", "")
    plain = title.replace(symbol, "").replace("  ", " ").strip(" ·:") if symbol else title
    why = told.values.get("reason", "")
    return f"{plain}: {reason(why)}" if why and told.kind is not NoticeKind.SLOT_WAITS else plain


def pairs(several: Iterable[Notice]) -> Told:
    """Pairs of one bot that came close together, as one message."""
    every = list(several)
    if len(every) == 1:
        return notice(every[0])
    last = max(every, key=lambda each: _decimal(each.values.get("pairs")) or Decimal(0))
    profit = sum((_decimal(each.values.get("profit")) or Decimal(0) for each in every), Decimal(0))
    values = _spoken(last.values | {"profit": str(profit)})
    title = _filled(SENTENCES["pairs_title"], values | {"count": str(len(every))})
    lines = [_filled(SENTENCES["pairs_line"], _spoken(each.values | {"quote": ""})) for each in every[:10]]
    if len(every) > 10:
        lines.append(say("and_more", count=len(every) - 10))
    if _has_all(SENTENCES["pairs_total"], last.values):
        lines.append(_filled(SENTENCES["pairs_total"], values))
    return Told(title, "\n".join(lines), is_silent=True)


_RAW = frozenset({"text", "symbol", "bot", "slot", "account", "why", "install", "problem", "client_id", "code"})
"""Values that are names or quotations: never formatted as numbers."""


def _spoken(values: Mapping[str, str]) -> dict[str, str]:
    """Codes turned into words and numbers formatted, by the key they come under."""
    quote = values.get("quote", "")
    spoken: dict[str, str] = {}
    for key, value in values.items():
        exact = _decimal(value)
        if key in ("profit", "matched", "total") and exact is not None:
            spoken[key] = numbers.gain(exact, quote)
        elif key == "reason" or (key == "code" and exact is None):
            spoken[key] = reason(value)
        elif key in ("side", "direction", "counter_side"):
            spoken[key] = value_of(value)
        elif key == "seconds" and exact is not None:
            spoken[key] = numbers.span(int(exact * 1000))
        elif key in ("bots", "orders", "fills") and exact is not None:
            spoken[key] = count(key.removesuffix("s"), int(exact))
        elif key == "closed":
            spoken[key] = say("closed_yes") if value in ("1", "true", "True", "yes") else say("closed_no")
        else:
            spoken[key] = numbers.number(value) if exact is not None and key not in _RAW else value
    return spoken


def _has_all(line: str, values: Mapping[str, str]) -> bool:
    """Whether every blank of `line` has a value that says something."""
    return all(values.get(key) for key in _blanks(line))


def _blanks(line: str) -> list[str]:
    return [part.partition("}")[0].partition(":")[0] for part in line.split("{")[1:]]


def _word(key: str, value: str, is_fraction: bool = False) -> str:
    exact = _decimal(value)
    if exact is not None and key not in _RAW:
        if key == "bots":
            return count("bot", int(exact))
        return numbers.percent(exact) if is_fraction else numbers.number(value)
    if key in ("status", "state"):
        known = value.upper() in STATUSES
        return status(value).lower() if known else value
    if key in ("name", "other"):
        return parameter(value)
    return value_of(value) if key in ("direction", "side") else value


def _decimal(value: str | None) -> Decimal | None:
    try:
        exact = Decimal(value) if value else None
    except InvalidOperation:
        return None
    return exact if exact is not None and exact.is_finite() else None
