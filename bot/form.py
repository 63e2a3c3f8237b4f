"""One form for any parameter declaration: its question, its bounds, its choices and the reading of an answer.

Pure. A draft is what a person has filled in so far; it lives in the database, so a restart loses no step.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from bot import numbers, words
from bot.words import say
from trading.parameters.declaration import Kind, Parameter, simple
from trading.parameters.vocabulary import PARAMETERS
from trading.views import Declined, Refusal

STEPS = ("symbol", "direction", "range", "grids", "investment", "leverage")
"""The questions of the short wizard, in order; everything else has a default and is under "more settings"."""
FIELDS: dict[str, tuple[str, ...]] = {"range": ("lower", "upper")}
"""The parameters behind a step, where they are not the step's own name."""
STANDS_IN: dict[str, tuple[str, ...]] = {
    "range": ("levels",),
    "grids": ("step", "levels"),
    "investment": ("per_order",),
}
"""Any of these answers the step too."""
PREVIEW = "preview"


class Draft(Struct, frozen=True):
    """A grid being described, and where its wizard stands."""

    nonce: str
    """Names this draft in its buttons, and makes its bot once."""
    account: int
    """0 while not chosen."""
    step: str = STEPS[0]
    fields: dict[str, str] = {}
    """Canonical parameter names and values."""
    message: int = 0
    """The chat message that shows it."""


class Amounts(Struct, frozen=True):
    """Bounds of the investment; None where nobody can say."""

    least: Decimal | None = None
    most: Decimal | None = None


class Leverages(Struct, frozen=True):
    """Bounds of the leverage, both within what the instrument allows."""

    least: int
    most: int


def fields_of(step: str) -> tuple[str, ...]:
    return FIELDS.get(step, (step,))


def is_answered(draft: Draft, step: str) -> bool:
    stands_in = any(name in draft.fields for name in STANDS_IN.get(step, ()))
    return stands_in or all(name in draft.fields for name in fields_of(step))


def following(draft: Draft) -> str:
    """The first question without an answer, else the preview."""
    return next((step for step in STEPS if not is_answered(draft, step)), PREVIEW)


def before(step: str) -> str:
    """Where Back leads; empty from the first question."""
    if step == PREVIEW:
        return STEPS[-1]
    if step in STEPS:
        at = STEPS.index(step)
        return STEPS[at - 1] if at else ""
    return "more" if step.startswith("ask.") else PREVIEW


def put(draft: Draft, values: Mapping[str, str]) -> Draft:
    """The draft with these answers, at its next question. Another symbol makes old prices meaningless."""
    fields = dict(draft.fields)
    if "symbol" in values and values["symbol"] != fields.get("symbol", values["symbol"]):
        priced = {p.name for p in PARAMETERS.values() if p.kind in (Kind.PRICE, Kind.PRICES, Kind.STEP, Kind.AMOUNT)}
        fields = {name: value for name, value in fields.items() if name not in priced}
    for step, others in STANDS_IN.items():
        if any(name in values for name in fields_of(step)):
            fields = {name: value for name, value in fields.items() if name not in others}
            if "levels" in others and fields.get("spacing") == "custom" and "levels" not in values:
                del fields["spacing"]
    fields |= values
    changed = replace(draft, fields=fields)
    return replace(changed, step=following(changed))


def drop(draft: Draft, name: str) -> Draft:
    """The draft with the default of `name`."""
    return replace(draft, fields={key: value for key, value in draft.fields.items() if key != name}, step="more")


def read(step: str, text: str) -> dict[str, str]:
    """The answer to `step` in typed `text`; raises Declined."""
    if step == "range":
        return _range(text)
    parameter = PARAMETERS[step.removeprefix("ask.")]
    return {parameter.name: parameter.read(text)}


def _range(text: str) -> dict[str, str]:
    """Two prices in any order of typing: `58000-72000`, `58,000 to 72,000`, `58000 72000`."""
    plain = simple(text).lower()
    if not any(character.isdigit() for character in plain):
        raise Declined(Refusal("range_wanted", {"text": text[:40]}))
    for parting in ("-", " to ", " bis ", "..", ";", "/", " "):
        left, found, right = plain.partition(parting)
        if found and left.strip() and right.strip():
            lower, upper = (PARAMETERS[name].read(each) for name, each in (("lower", left), ("upper", right)))
            if Decimal(lower) >= Decimal(upper):
                raise Declined(Refusal("upper_not_above_lower", {"lower": lower, "upper": upper}))
            return {"lower": lower, "upper": upper}
    raise Declined(Refusal("range_wanted", {"text": text[:40]}))


# --------------------------------------------------------------------------- words about a declaration


def label(parameter: Parameter) -> str:
    return words.parameter(parameter.name)


def help_line(parameter: Parameter) -> str:
    """What it is for, with its bounds."""
    text = words.translated(parameter.help)
    bounds = _bounds(parameter)
    return f"{text} ({bounds})" if bounds else text


def _bounds(parameter: Parameter) -> str:
    unit = "" if parameter.unit in ("", "quote", "base", "grids", "orders") else parameter.unit
    least, most = ("" if bound is None else numbers.number(bound) + unit for bound in (parameter.least, parameter.most))
    if least and most:
        return say("f_between", least=least, most=most)
    if least or most:
        return say("f_least", least=least) if least else say("f_most", most=most)
    return ""


def has_choice(parameter: Parameter) -> bool:
    """Whether there is more than one value that it may have."""
    return parameter.least is None or parameter.least != parameter.most


def shown(parameter: Parameter, value: str) -> str:
    """A canonical value as a reader likes it."""
    if parameter.kind in (Kind.CHOICE, Kind.FLAG):
        return words.value_of(value)
    if parameter.kind in (Kind.PRICE, Kind.MONEY, Kind.INTEGER, Kind.DECIMAL):
        return numbers.number(value) + (parameter.unit if parameter.unit == "x" else "")
    return value


def describe(draft: Draft) -> str:
    """The draft in one short line."""
    fields = draft.fields
    named = (fields.get("symbol", ""), words.value_of(fields["direction"]) if "direction" in fields else "")
    parts = [" ".join(part for part in named if part)]
    if "lower" in fields and "upper" in fields:
        parts.append(f"{numbers.number(fields['lower'])} – {numbers.number(fields['upper'])}")
    if "grids" in fields:
        parts.append(words.count("grid", int(fields["grids"])))
    return " · ".join(part for part in parts if part)


# --------------------------------------------------------------------------- presets

SHARES = (10, 25, 50)
SHARE = Parameter("investment", Kind.PERCENT, "A share of what is free.", "%", Decimal(0), Decimal(100))
COUNTS = (10, 20, 30, 40, 60, 100)
LEVERAGES = (1, 2, 3, 5, 10, 20)
_WIDTHS = {"neutral": ((5, 5), (10, 10), (20, 20)), "long": ((3, 6), (6, 12), (12, 24))}


class Range(Struct, frozen=True):
    """A proposed range: whole per cent under and over the price."""

    down: int
    up: int
    lower: Decimal
    upper: Decimal


def ranges(direction: str, price: Decimal, tick: Decimal) -> list[Range]:
    """Presets that lean with the direction (product.md §3.2): LONG 1:2 down:up, SHORT mirrored, NEUTRAL even."""
    widths = _WIDTHS["neutral" if direction == "neutral" else "long"]
    found = []
    for down, up in widths:
        less, more = (up, down) if direction == "short" else (down, up)
        lower = round_price(price * (100 - less) / 100, tick)
        upper = round_price(price * (100 + more) / 100, tick)
        if 0 < lower < upper:
            found.append(Range(less, more, lower, upper))
    return found


def round_up(money: Decimal) -> Decimal:
    """An amount that is at least `money`, of three digits: what a person would have typed."""
    quantum = max(Decimal(1).scaleb(money.adjusted() - 2), Decimal("0.01"))
    return (money / quantum).quantize(Decimal(1), rounding="ROUND_CEILING") * quantum


def round_price(price: Decimal, tick: Decimal) -> Decimal:
    """A price of four digits, on the tick: what a person would have typed."""
    quantum = max(Decimal(1).scaleb(price.adjusted() - 3), tick)
    steps = (price / quantum).quantize(Decimal(1), rounding="ROUND_HALF_EVEN")
    near = steps * quantum
    return (near / tick).quantize(Decimal(1), rounding="ROUND_HALF_EVEN") * tick
