"""What a bot has to tell its owner, as notices of codes and numbers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

from trading.core.ledger import Round
from trading.core.orders import Order
from trading.messages import Filled, Notice, NoticeKind, Reason, Refused
from trading.model import Instrument, Role, Side, Slot, Target, plain
from trading.ports import Waits


class Teller:
    """Collects the notices of one bot until the session takes them with the checkpoint.

    What a fill has to tell is put into words only then: its answer must not wait for it.
    """

    def __init__(self, bot: int, labels: dict[str, str]) -> None:
        self.bot = bot
        self.labels = labels
        """What every notice carries: symbol, badge, range …"""
        self._notices: list[Notice] = []
        self._unworded: list[Callable[[], None]] = []
        self.is_silent = False
        """A backtest has nobody to tell."""

    @property
    def notices(self) -> list[Notice]:
        """In the order in which they came about."""
        unworded, self._unworded = self._unworded, []
        for word in unworded:
            word()
        return self._notices

    def tell(self, kind: NoticeKind, ref: str, now: int, **values: object) -> None:
        if self.is_silent:
            return
        texts = {name: _text(value) for name, value in values.items()}
        self.notices.append(Notice(self.bot, kind, ref, now, {**self.labels, **texts}))

    def fill(self, key: Slot, fill: Filled, answer: Target | Waits | None) -> None:
        """An order was filled, and this is its answer; not to be asked of one that is silent."""
        self._unworded.append(partial(self._word_fill, key, fill, answer))

    def _word_fill(self, key: Slot, fill: Filled, answer: Target | Waits | None) -> None:
        values: dict[str, object] = {"side": fill.side.value, "price": fill.price, "qty": fill.qty, "slot": key}
        if isinstance(answer, Target):
            values |= {"counter_side": answer.side.value, "counter_price": answer.price, "qty": answer.qty}
        self.tell(NoticeKind.FILL, str(fill.cid), fill.time, **values)

    def pair(self, fill: Filled, turn: Round, pairs: int, matched: Decimal, instrument: Instrument) -> None:
        """A round of a slot is complete."""
        if not self.is_silent:
            self._unworded.append(partial(self._word_pair, fill, turn, pairs, matched, instrument))

    def _word_pair(self, fill: Filled, turn: Round, pairs: int, matched: Decimal, instrument: Instrument) -> None:
        buy, sell = (turn.entry, fill.price) if fill.side is Side.SELL else (fill.price, turn.entry)
        self.tell(
            NoticeKind.PAIR,
            str(fill.cid),
            fill.time,
            slot=fill.cid.slot,
            buy=buy.quantize(instrument.tick_size, rounding=ROUND_HALF_UP),
            sell=sell.quantize(instrument.tick_size, rounding=ROUND_HALF_UP),
            qty=abs(turn.qty),
            profit=turn.profit,
            pairs=pairs,
            matched=matched,
        )

    def waiting(self, key: Slot, order: Order, reason: Reason, now: int) -> None:
        """A slot lost its order for a reason a person should know."""
        values = {"slot": key, "side": order.side.value, "price": order.price, "reason": reason.value}
        self.tell(NoticeKind.SLOT_WAITS, f"{order.cid}:{reason.value}", now, **values)

    def error(self, event: Refused) -> None:
        values = {"code": event.code, "text": event.text, "reason": event.reason.value}
        self.tell(NoticeKind.ERROR, f"{event.cid}:{event.code}", event.time, **values)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return str(value.value) if isinstance(value, Role) else str(value)
