"""Which client order id an order number has: Binance's trades tell only the number."""

from __future__ import annotations

KEPT = 50_000


class Names:
    """Order numbers to client order ids, per symbol; the oldest are forgotten, the venue can be asked again."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, int], str] = {}

    def learn(self, symbol: str, order_id: int, name: str) -> None:
        key = (symbol, order_id)
        if key in self._names:
            return
        self._names[key] = name
        if len(self._names) > KEPT:
            del self._names[next(iter(self._names))]

    def get(self, symbol: str, order_id: int) -> str | None:
        return self._names.get((symbol, order_id))
