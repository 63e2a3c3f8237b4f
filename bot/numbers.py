"""Numbers and times as readers like them: grouped thousands, sensible digits, signs where profit is meant.

Pure. English formats; the locale is chosen here when there are more.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation

MINUS = "−"


def number(value: Decimal | str | int) -> str:
    """Exactly `value`, thousands grouped, without trailing zeros; text that is no number stays as it is."""
    try:
        exact = Decimal(value)
    except InvalidOperation:
        return str(value)
    if not exact.is_finite():
        return str(value)
    text = f"{exact:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text.replace("-", MINUS)


def rounded(value: Decimal, places: int) -> str:
    """`value` with exactly `places` decimals, half up."""
    quantum = Decimal(1).scaleb(-places)
    text = f"{value.quantize(quantum, rounding=ROUND_HALF_UP):,f}"
    return text.replace("-", MINUS) if Decimal(text.replace(",", "")) else text.removeprefix("-")


def amount(value: Decimal, quote: str = "") -> str:
    """Money: two decimals, four below one unit."""
    size = abs(value)
    text = rounded(value, 4 if 0 < size < 1 else 2)
    return f"{text} {quote}" if quote else text


def gain(value: Decimal | None, quote: str = "") -> str:
    """Money won or lost, signed; a dash while unknown."""
    if value is None:
        return "–"
    text = amount(value, quote)
    return f"+{text}" if value > 0 and not re.match(r"[0.]+(\s|$)", text) else text


def price(value: Decimal | None) -> str:
    """A price as the venue gave it; a dash while unknown."""
    return "–" if value is None else number(value)


def near(value: Decimal) -> str:
    """A computed price, to five significant digits or two decimals, whichever is finer."""
    if not value:
        return "0"
    places = min(max(2, 4 - value.adjusted()), 12)
    return number(value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN))


def percent(fraction: Decimal, places: int = 2) -> str:
    """A fraction as per cent."""
    return f"{rounded(fraction * 100, places)}%"


def clock(ms: int) -> str:
    """Time of day, UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%H:%M:%S} UTC"


def moment(ms: int, now: int) -> str:
    """Time of day, UTC, with the day where it is not today's."""
    at, today = (datetime.fromtimestamp(each / 1000, UTC) for each in (ms, now))
    return f"{at:%H:%M}" if at.date() == today.date() else f"{at.day} {at:%b} {at:%H:%M}"


def span(ms: int) -> str:
    """A duration in its two largest units."""
    seconds = max(0, ms // 1000)
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    parts: list[str] = []
    for size, name in units:
        count, seconds = divmod(seconds, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2])

