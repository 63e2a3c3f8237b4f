"""One grid at a glance: its state, its money with grid profit and floating PnL apart, and what may be done now."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from bot import numbers, words
from bot.menu import Button, Screen, button, page, pager
from bot.screens.grids import name
from bot.screens.ladder import ladder
from bot.words import say
from trading.messages import Notice, Reason
from trading.model import Side
from trading.views import Card, LevelRow

SHOWN = 5
SIZE = 20
PLACED = Reason.CANCELLED_ELSEWHERE.value
"""A reason that a press can mend."""
_STARTABLE = frozenset({"STOPPED", "FINISHED", "FAILED"})
_STOPPABLE = frozenset({"WAITING", "STARTING", "RUNNING", "PAUSED"})


def card(
    it: Card, now: int, can_act: bool = True, rows: Sequence[LevelRow] = (), events: Sequence[Notice] = ()
) -> Screen:
    """The card of `it` with its levels and last events; a viewer gets no buttons that act."""
    parts = [_head(it), _place(it, rows), _money(it), _holding(it)]
    if it.missing:
        parts.append(_missing(it))
    if events:
        parts.append(_events(it, events, now))
    if it.note:
        parts.append(f"📝 {escape(it.note, quote=False)}")
    parts.append(_foot(it, now))
    return Screen("\n\n".join(parts), _rows(it, can_act))


def levels(it: Card, rows: Sequence[LevelRow], number: int | None = None) -> Screen:
    """Every slot with its order, or the reason why it has none, highest price first; the price's page by default."""
    head = f"🧾 <b>{escape(say('levels_title', symbol=it.symbol, id=it.id), quote=False)}</b> · {it.badge}"
    lines, at = ladder(sorted(rows, key=lambda row: (-row.price, row.slot)), it.price, _level)
    here, pages, first = page(lines, at // SIZE if number is None else number, SIZE)
    text = "\n".join(lines[first : first + SIZE]) or say("levels_none")
    turn = pager("levels", it.id, here, pages)
    foot = (
        button(say("b_refresh"), "levels", it.id, str(here)),
        button(say("b_to_card"), "grid", it.id),
    )
    return Screen(f"{head}\n\n{text}", (*((turn,) if turn else ()), foot))


def _level(row: LevelRow) -> str:
    sign = "🟩" if row.side.value == "BUY" else "🟥"
    text = f"{sign} {words.value_of(row.side)} <b>{numbers.price(row.price)}</b> × {numbers.number(row.qty)}"
    if row.filled:
        text += " · " + say("orders_filled", filled=numbers.number(row.filled))
    if row.state != "working":
        text += f" · <i>{escape(words.reason(row.state), quote=False)}</i>"
    return text


def _head(it: Card) -> str:
    title = say("card_title", symbol=it.symbol, direction=words.value_of(it.direction))
    lines = [
        f"{words.light(it.status)} <b>{escape(title, quote=False)}</b> #{it.id} · <b>{it.badge}</b>",
        escape(words.status(it.status, it.reason), quote=False),
    ]
    account = escape(it.account_name, quote=False)
    lines.append(say("card_online", account=account) if it.connected else f"🔌 {say('card_offline')}")
    return "\n".join(lines)


def _nearest(rows: Sequence[LevelRow]) -> str:
    """The resting orders next to the price."""
    resting = [row for row in rows if row.state in ("working", "sent")]
    buy = max((row.price for row in resting if row.side is Side.BUY), default=None)
    sell = min((row.price for row in resting if row.side is Side.SELL), default=None)
    parts = [say("card_next_buy", price=numbers.price(buy))] if buy is not None else []
    parts += [say("card_next_sell", price=numbers.price(sell))] if sell is not None else []
    return f"{say('card_next')}  {' · '.join(parts)}" if parts else ""


def _events(it: Card, events: Sequence[Notice], now: int) -> str:
    """What was told of it last, the newest first."""
    lines = [say("card_events")]
    for each in events:
        text = words.event(each)
        lines.append(f"<i>{escape(numbers.moment(each.time, now), quote=False)}</i>  {escape(text, quote=False)}")
    return "\n".join(lines)


def _protections(it: Card) -> list[str]:
    stops = " / ".join(numbers.price(stop) for stop in (it.stop_loss, it.stop_loss_high) if stop is not None)
    lines = [f"{say('card_stops')}  {stops or say('w_default_none')}"]
    if it.take_profit is not None:
        lines.append(f"{say('card_take')}  {numbers.price(it.take_profit)}")
    return lines


def _place(it: Card, rows: Sequence[LevelRow]) -> str:
    price = numbers.near(it.price) if it.price is not None else numbers.price(None)
    lines = [f"{say('card_price')}  <b>{price}</b>"]
    lines.append(f"{say('card_range')}  {numbers.price(it.lower)} – {numbers.price(it.upper)}")
    if it.price is not None:
        lines.append(f"<code>{_ruler(it.lower, it.upper, it.price)}</code>  {_where(it.lower, it.upper, it.price)}")
    lines.append(
        say(
            "card_shape",
            grids=words.count("grid", it.grids),
            leverage=it.leverage,
            investment=numbers.amount(it.investment, it.quote),
        )
    )
    near = _nearest(rows)
    if near:
        lines.append(near)
    return "\n".join([*lines, *_protections(it)])


def _ruler(lower: Decimal, upper: Decimal, price: Decimal, width: int = 13) -> str:
    """The range as a line with the price on it."""
    if price < lower:
        return "●" + "┄" * (width - 1)
    if price > upper:
        return "┄" * (width - 1) + "●"
    at = int((price - lower) / (upper - lower) * (width - 1)) if upper > lower else 0
    return "─" * at + "●" + "─" * (width - 1 - at)


def _where(lower: Decimal, upper: Decimal, price: Decimal) -> str:
    if price < lower:
        return say("card_below", percent=numbers.percent((lower - price) / lower))
    if price > upper:
        return say("card_above", percent=numbers.percent((price - upper) / upper))
    share = (price - lower) / (upper - lower) if upper > lower else Decimal(0)
    return say("card_inside", percent=numbers.percent(share, 0))


def _money(it: Card) -> str:
    lines = [
        f"{say('card_grid')}  <b>{numbers.gain(it.matched, it.quote)}</b>  ({words.count('pair', it.pairs)})",
        f"{say('card_floating')}  <b>{numbers.gain(it.unmatched, it.quote)}</b>{_realized(it)}",
    ]
    if it.funding:
        lines.append(f"{say('card_funding')}  {numbers.gain(it.funding, it.quote)}")
    total = f"{say('card_total')}  <b>{numbers.gain(it.total, it.quote)}</b>"
    if it.total is not None and it.investment:
        total += f"  ({numbers.percent(it.total / it.investment)})"
    lines.append(total)
    if it.fees:
        lines.append(f"<i>{say('card_fees', fees=numbers.amount(it.fees, it.quote))}</i>")
    return "\n".join(lines)


def _realized(it: Card) -> str:
    """Lots that a stop has closed keep their place in the sums, but float no more."""
    return f"  ({say('card_realized')})" if it.unmatched and not it.position and it.fills else ""


def holding(it: Card) -> str:
    """The position in words, plain."""
    if not it.position:
        return say("card_flat")
    side = say("position_long" if it.position > 0 else "position_short")
    qty, entry = numbers.number(abs(it.position)), numbers.near(it.avg_entry)
    return say("card_position_at", side=side, qty=qty, base=it.base, entry=entry)


def _holding(it: Card) -> str:
    return (
        f"{say('card_position')}  {escape(holding(it), quote=False)}\n"
        f"{say('card_orders')}  {it.orders_working} · {say('card_fills')}  {numbers.number(it.fills)}"
    )


def _missing(it: Card) -> str:
    """What a press can mend first, then by the price; where all wait for the same, that is said once."""
    reasons = {row.state for row in it.missing}
    if len(reasons) == 1 and len(it.missing) > SHOWN:
        why = words.reason(reasons.pop())
        return escape(say("card_missing_all", count=len(it.missing), reason=why), quote=False)
    middle = it.price if it.price is not None else (it.lower + it.upper) / 2
    lines = [say("card_missing", count=len(it.missing))]
    for row in sorted(it.missing, key=lambda row: (row.state != PLACED, abs(row.price - middle)))[:SHOWN]:
        line = say(
            "card_missing_line",
            side=words.value_of(row.side),
            price=numbers.price(row.price),
            reason=words.reason(row.state),
        )
        lines.append(f"· {escape(line, quote=False)}")
    if len(it.missing) > SHOWN:
        lines.append(say("and_more", count=len(it.missing) - SHOWN))
    return "\n".join(lines)


def _foot(it: Card, now: int) -> str:
    words_ = [say("card_updated", time=numbers.clock(now))]
    if it.started is not None and it.status.upper() in _STOPPABLE:
        words_.insert(0, say("card_for", span=numbers.span(now - it.started)))
    return f"<i>{escape(' · '.join(words_), quote=False)}</i>"


def _rows(it: Card, can_act: bool) -> tuple[tuple[Button, ...], ...]:
    rows: list[tuple[Button, ...]] = [
        (button(say("b_refresh"), "grid", it.id), button(say("b_chart"), "picture", it.id)),
        (button(say("b_orders"), "levels", it.id), button(say("b_performance"), "perf", it.id)),
    ]
    if can_act:
        rows += _actions(it)
    return (*rows, (button(say("b_to_grids"), "grids"), button(say("b_home"), "home")))


def _actions(it: Card) -> list[tuple[Button, ...]]:
    """What the state allows; each opens a confirmation and moves nothing by itself."""
    status = it.status.upper()
    stop = button(say("b_stop"), "ask_stop", it.id, style="danger")
    delete = button(say("b_delete"), "ask_delete", it.id, style="danger")
    edit, reset = button(say("b_edit"), "edit", it.id), button(say("b_reset"), "ask_reset", it.id)
    rows: list[tuple[Button, ...]] = []
    if status == "CREATED":
        rows += [(button(say("b_start"), "ask_start", it.id, style="success"), delete), (edit,)]
    elif status in _STARTABLE:
        rows += [(button(say("b_start_again"), "ask_start", it.id, style="success"), delete), (edit,)]
    elif status == "RUNNING":
        rows += [(edit, reset), (button(say("b_pause"), "ask_pause", it.id), stop)]
    elif status == "PAUSED":
        rows += [(edit, reset), (button(say("b_resume"), "ask_resume", it.id, style="success"), stop)]
    elif status in _STOPPABLE:
        rows.append((edit, stop))
    for row in it.missing:
        if row.state == Reason.CANCELLED_ELSEWHERE.value and len(rows) < 5:
            text = say("b_place", side=words.value_of(row.side), price=numbers.price(row.price))
            rows.append((button(text, "ask_place", it.id, str(row.slot)),))
    return rows


__all__ = ["card", "holding", "levels", "name"]
