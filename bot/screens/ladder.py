"""Orders from the highest price to the lowest, and where the price of now stands among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape
from typing import Protocol, TypeVar

from bot import numbers
from bot.words import say


class Rung(Protocol):
    """What has a price."""

    @property
    def price(self) -> Decimal: ...


R = TypeVar("R", bound=Rung)


def ladder(
    rows: Sequence[R], price: Decimal | None, line: Callable[[R], str], symbol: str = ""
) -> tuple[list[str], int]:
    """The text of each of `rows`, that at the price with the price's own line; and the place of that."""
    texts = [line(row) for row in rows]
    if price is None or not texts:
        return texts, 0
    said = escape(f"{symbol} {say('levels_price', price=numbers.near(price))}".strip(), quote=False)
    mark = f"<i>— {said} —</i>"
    at = sum(row.price >= price for row in rows)
    if at < len(texts):
        texts[at] = f"{mark}\n{texts[at]}"
    else:
        at -= 1
        texts[at] = f"{texts[at]}\n{mark}"
    return texts, at
