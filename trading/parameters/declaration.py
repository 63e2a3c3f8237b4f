"""The declaration of one parameter: what it is called, what it may be, and how a person's text for it is read.

Pure. Reading never guesses: a text is turned into the one canonical text of its value, or refused with a code.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from enum import Enum

from msgspec import Struct

from trading.views import Declined, Refusal

CODES: dict[str, tuple[str, ...]] = {
    "bad_number": ("name", "text"),
    "not_whole": ("name", "text"),
    "not_positive": ("name", "text"),
    "out_of_bounds": ("name", "text", "least", "most"),
    "bad_choice": ("name", "text", "choices"),
    "bad_symbol": ("name", "text"),
    "price_wanted": ("name", "text"),
    "too_long": ("name", "most"),
}
"""Every refusal of this module with the names of its values; an empty `least` or `most` means none."""

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−~〜∼到至"), "-")
_MARKS = {ord("。"): ".", ord("٫"): ".", ord("٬"): ",", ord("’"): "'", ord("‘"): "'"} | _DASHES
_PLAIN = re.compile(r"[+-]?(\d*)\.?(\d*)")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+|(?:'\d{3})+|(?:_\d{3})+)(?:\.\d+)?")
QUOTE = r"(?:u|usd|usdt|usdc|fdusd|usde)"
_MONEY = re.compile(rf"\$?\s*([^a-z$%]*?)\s*({QUOTE})?", re.IGNORECASE)
_SYMBOL = re.compile(r"[^\W_][\w/:.-]{0,39}")
_WHOLE, _PLACES, _SHOWN = 15, 12, 40
NOTE_LENGTH = 200


class Kind(Enum):
    """What sort of value a parameter takes, which decides how its text is read and asked for."""

    SYMBOL = "symbol"
    CHOICE = "choice"
    FLAG = "flag"
    PRICE = "price"
    PRICES = "list"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MONEY = "money"
    AMOUNT = "amount"
    """Money (`50u`) or a quantity of the base asset (`0.001`)."""
    STEP = "step"
    """A price (`100`) or a percentage (`1%`)."""
    PERCENT = "percent"
    TEXT = "text"


class Parameter(Struct, frozen=True):
    """One parameter, declared once for chat form, one-liner, files and REST."""

    name: str
    kind: Kind
    help: str
    """One English line, also its gettext id."""
    unit: str = ""
    """`quote`, `base`, `grids`, `x`, `orders`, `%` or nothing."""
    least: Decimal | None = None
    most: Decimal | None = None
    default: str = ""
    """Canonical text; empty = none."""
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    spellings: dict[str, str] = {}
    """Other words for the choices."""

    def read(self, text: str) -> str:
        """The canonical text of `text`; raises Declined with one refusal."""
        return _READERS[self.kind](self, simple(text))

    def refuse(self, code: str, text: str = "", **values: str) -> Declined:
        shown = {"text": text[:_SHOWN]} if "text" in CODES[code] else {}
        return Declined(Refusal(code, {"name": self.name, **shown, **values}))


def simple(text: str) -> str:
    """`text` with ASCII digits, hyphens and spaces, whatever script or width it was typed in."""
    text = unicodedata.normalize("NFKC", text).translate(_MARKS)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    return " ".join(text.split())


def number(text: str) -> Decimal | None:
    """The number in an already simple `text`, thousands separators allowed; None where there is none."""
    text = text.strip()
    if _GROUPED.fullmatch(text):
        text = re.sub("[, '_]", "", text)
    found = _PLAIN.fullmatch(text)
    if found is None:
        return None
    whole, places = found.groups()
    if not whole + places or len(whole) > _WHOLE or len(places) > _PLACES:
        return None
    return Decimal(text)


def shown(value: Decimal) -> str:
    """`value` as canonical text: plain, without idle zeros."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0"} else text


def _number(p: Parameter, text: str, original: str | None = None) -> Decimal:
    value = number(text)
    if value is None:
        raise p.refuse("bad_number", text if original is None else original)
    return value


def _within(p: Parameter, value: Decimal) -> str:
    if (p.least is not None and value < p.least) or (p.most is not None and value > p.most):
        least, most = ("" if bound is None else shown(bound) for bound in (p.least, p.most))
        raise p.refuse("out_of_bounds", shown(value), least=least, most=most)
    return shown(value)


def _positive(p: Parameter, value: Decimal) -> str:
    if value <= 0:
        raise p.refuse("not_positive", shown(value))
    return _within(p, value)


def _price(p: Parameter, text: str) -> str:
    if text.endswith("%"):
        raise p.refuse("price_wanted", text)
    return _positive(p, _number(p, text.removeprefix("$")))


def _prices(p: Parameter, text: str) -> str:
    parts = text.split(";") if ";" in text else re.split(r"[, ]+", text)
    values = sorted(Decimal(_price(p, part.strip())) for part in parts if part.strip())
    return ",".join(map(shown, values))


def _integer(p: Parameter, text: str) -> str:
    bare = re.sub(r"\s*[x×]$|^[x×]\s*", "", text.lower()) if p.unit == "x" else text
    value = _number(p, bare, text)
    if value != value.to_integral_value():
        raise p.refuse("not_whole", text)
    return _within(p, value)


def _decimal(p: Parameter, text: str) -> str:
    return _within(p, _number(p, text))


def _split_money(p: Parameter, text: str) -> tuple[Decimal, bool]:
    """The number, and whether it was called money."""
    found = _MONEY.fullmatch(text)
    if found is None:
        raise p.refuse("bad_number", text)
    return _number(p, found[1], text), found[2] is not None or text.startswith("$")


def _money(p: Parameter, text: str) -> str:
    return _positive(p, _split_money(p, text)[0])


def _amount(p: Parameter, text: str) -> str:
    value, is_money = _split_money(p, text)
    return _positive(p, value) + ("u" if is_money else "")


def _step(p: Parameter, text: str) -> str:
    return _positive(p, _number(p, text.removesuffix("%"), text)) + ("%" if text.endswith("%") else "")


def _percent(p: Parameter, text: str) -> str:
    """`5%`, or a bare fraction under 1 (0.05); a bare number from 1 on is percent."""
    value = _number(p, text.removesuffix("%"), text)
    if not text.endswith("%") and value < 1:
        value = value.scaleb(2)
    return _within(p, value) + "%"


def _choice(p: Parameter, text: str) -> str:
    word = re.sub(r"[ -]+", "_", text.casefold())
    word = p.spellings.get(word, word)
    if word not in p.choices:
        raise p.refuse("bad_choice", text, choices=", ".join(p.choices))
    return word


def _symbol(p: Parameter, text: str) -> str:
    if _SYMBOL.fullmatch(text.upper()) is None:
        raise p.refuse("bad_symbol", text)
    return text.upper()


def symbols_meant(text: str) -> tuple[str, ...]:
    """The symbols a person may mean by `btc`, `BTC/USDT`, `BTC/USDT:USDT`, `binance:BTC-USDT-PERP`, likeliest first."""
    wanted = text.strip().upper()
    flat = wanted.split(":")[-1] if wanted.count(":") == 1 and "-" in wanted else wanted.split(":")[0]
    flat = flat.removesuffix("-PERP").replace("/", "").replace("-", "")
    return wanted, flat, flat + "USDT", flat + "USDC"


def _text(p: Parameter, text: str) -> str:
    if len(text) > NOTE_LENGTH:
        raise p.refuse("too_long", most=str(NOTE_LENGTH))
    return " ".join("".join(c if c.isprintable() else " " for c in text).replace('"', "'").split())


_READERS: dict[Kind, Callable[[Parameter, str], str]] = {
    Kind.SYMBOL: _symbol,
    Kind.CHOICE: _choice,
    Kind.FLAG: _choice,
    Kind.PRICE: _price,
    Kind.PRICES: _prices,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.MONEY: _money,
    Kind.AMOUNT: _amount,
    Kind.STEP: _step,
    Kind.PERCENT: _percent,
    Kind.TEXT: _text,
}
