"""The one-line description of a grid: `BTCUSDT neutral 58000-72000 40 5000u 5x geo sl=55000 sl=75000` (product.md §2).

Pure. Lenient about case, width and script of digits, thousands separators and dashes; a word that means nothing is
refused, never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from trading.parameters.declaration import QUOTE, simple
from trading.parameters.vocabulary import PARAMETERS, read, resolve
from trading.views import Declined, Refusal

LONGEST = 4096
_NUM = r"\$?\d[\d,_']*(?:\.\d+)?"
_DASH = r"\s*(?:-|~|\.\.|\bto\b)\s*"
_NAMED = re.compile(
    r"""(?<!\S)(?:(?P<list>levels|prices)\s*=\s*(?P<prices>\d[\d.]*(?:\s*[,;]\s*\d[\d.]*)*)(?=[\s,]|$)"""
    r"""|(?P<name>[^\W\d][\w.-]*)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s="'][^\s="]*))""",
    re.IGNORECASE,
)
_RANGES = tuple(
    re.compile(rf"(?<!\S)(?P<lower>{low}){_DASH}(?P<upper>{high})(?=[\s,]|$)", re.IGNORECASE)
    for low, high in (
        # spaces may group thousands only where both bounds do it alike: `58 000 - 72 000 40`
        *((rf"\d{{1,3}}(?: \d{{3}}){{{n}}}(?:\.\d+)?",) * 2 for n in (3, 2, 1)),
        (_NUM, _NUM),
    )
)
_BARE = re.compile(_NUM)
_LEVERAGE = re.compile(r"(?:\d[\d.,]*[x×]|[x×]\d[\d.,]*)", re.IGNORECASE)
_MONEY = re.compile(rf"(?:{_NUM}{QUOTE}|\${_NUM})", re.IGNORECASE)
_UNIT = re.compile(QUOTE, re.IGNORECASE)
_WORDS = {
    word: name
    for name in ("direction", "spacing", "margin_mode")
    for word in (*PARAMETERS[name].choices, *PARAMETERS[name].spellings)
}
_SHORT = {"spacing": {"arithmetic": "arith", "geometric": "geo"}}
_FIRST = ("symbol", "direction", "lower", "upper", "grids", "investment", "leverage", "spacing", "stop_loss",
          "stop_loss_high", "take_profit", "trigger")  # fmt: skip


def parse_line(text: str) -> dict[str, str]:
    """The canonical dictionary of what a line says, without defaults; raises Declined with every problem.

    What it does not say is simply absent: `clean` tells what is missing.
    """
    if len(text) > LONGEST:
        raise Declined(Refusal("too_long", {"name": "line", "most": str(LONGEST)}))
    reading = _Reading()
    rest = reading.take_named(simple(text))
    rest = reading.take_range(rest)
    reading.take_words([word.strip(",") for word in rest.split() if word.strip(",")])
    if reading.problems:
        raise Declined(*reading.problems)
    return reading.found


class _Reading:
    """A line while it is read: what was found and what was wrong."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.problems: list[Refusal] = []

    def put(self, name: str, text: str) -> None:
        try:
            declared = resolve(name, text)
            value = read(declared, text)
        except Declined as declined:
            self.problems += declined.refusals
            return
        if declared == "stop_loss" and declared in self.found and "stop_loss_high" not in self.found:
            both = sorted((self.found["stop_loss"], value), key=Decimal)
            self.found["stop_loss"], self.found["stop_loss_high"] = both
        elif not value:
            return
        elif declared in self.found:
            self.problems.append(Refusal("given_twice", {"name": declared}))
        else:
            self.found[declared] = value

    def refuse(self, word: str) -> None:
        self.problems.append(Refusal("unexpected", {"text": word[:40]}))

    def take_named(self, text: str) -> str:
        for match in _NAMED.finditer(text):
            value = match["prices"] or match["value"]
            quoted = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]
            self.put(match["list"] or match["name"], value[1:-1] if quoted else value.rstrip(","))
        return _NAMED.sub(" ", text)

    def take_range(self, text: str) -> str:
        for pattern in _RANGES:
            match = pattern.search(text)
            if match is not None:
                self.put("lower", match["lower"])
                self.put("upper", match["upper"])
                return text[: match.start()] + " " + text[match.end() :]
        return text

    def take_words(self, words: list[str]) -> None:
        """Positional words: told apart by their shape, except that the first unknown one is the symbol."""
        bare: list[str] = []
        for at, word in enumerate(words):
            lower = word.casefold()
            if lower in _WORDS and _WORDS[lower] not in self.found:
                self.put(_WORDS[lower], lower)
            elif at == 0 and "symbol" not in self.found and not _BARE.fullmatch(word):
                self.put("symbol", word)
            elif _LEVERAGE.fullmatch(word):
                self.put("leverage", word)
            elif _MONEY.fullmatch(word) or (_UNIT.fullmatch(word) and bare):
                self.put("investment", " ".join([*bare, word]))
                bare = []
            elif _BARE.fullmatch(word):
                bare = self.take_bare(bare, word)
            elif "symbol" not in self.found:
                self.put("symbol", word)
            else:
                self.refuse(word)
        for word in bare:
            self.refuse(word)

    def take_bare(self, bare: list[str], word: str) -> list[str]:
        """The first bare number is the count; further ones are groups of the investment: `40 5 000u`."""
        if bare or "grids" in self.found:
            return [*bare, word]
        self.put("grids", word)
        return []


def format_line(params: Mapping[str, str]) -> str:
    """The line that `parse_line` reads back as `params`, which must be canonical."""
    if "symbol" not in params:  # whose place the first word would take
        return " ".join(_named(name, value) for name, value in params.items())
    words = [_symbol(params["symbol"])]
    words += [params["direction"]] if "direction" in params else []
    if "lower" in params and "upper" in params:
        words.append(f"{params['lower']}-{params['upper']}")
    else:
        words += [_named(name, params[name]) for name in ("lower", "upper") if name in params]
    words += [params["grids"]] if "grids" in params else []
    words += [f"{params['investment']}u"] if "investment" in params else []
    words += [f"{params['leverage']}x"] if "leverage" in params else []
    if "spacing" in params:
        words.append(_SHORT["spacing"].get(params["spacing"], f"spacing={params['spacing']}"))
    words += _stops(params)
    words += [f"{short}={params[name]}" for name, short in (("take_profit", "tp"), ("trigger", "trigger"))
              if name in params]  # fmt: skip
    words += [_named(name, value) for name, value in params.items() if name not in _FIRST]
    return " ".join(words)


def _named(name: str, value: str) -> str:
    return f'{name}="{value}"' if name == "note" else f"{name}={value}"


def _symbol(symbol: str) -> str:
    """Bare where it cannot be taken for a number or another word."""
    is_plain = symbol[:1].isalpha() and symbol.casefold() not in _WORDS and not _LEVERAGE.match(symbol)
    return symbol if is_plain else f"symbol={symbol}"


def _stops(params: Mapping[str, str]) -> list[str]:
    low, high = params.get("stop_loss"), params.get("stop_loss_high")
    if low is not None and high is not None and Decimal(low) < Decimal(high):
        return [f"sl={low}", f"sl={high}"]
    return [f"{name}={value}" for name, value in (("sl", low), ("sl_high", high)) if value is not None]
