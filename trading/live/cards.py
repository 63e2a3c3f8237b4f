"""Views of bots, orders and positions, made from engines and gateway answers. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trading.core.engine import Engine
from trading.core.lifecycle import Status
from trading.core.orders import OrderStatus
from trading.live.worker import Worker
from trading.messages import Quote, Reason, Working
from trading.model import ZERO, Balance, Instrument, Position, Side, plain
from trading.parameters import GridParameters, clean
from trading.ports import Account, BotRow, Waits
from trading.strategies.grid import Grid, GridPlan
from trading.views import BalanceRow, Card, LevelRow, OrderRow, PanicBot, PositionRow


def labels(
    row: BotRow, account: Account | None, instrument: Instrument, plan: GridPlan | None = None
) -> dict[str, str]:
    """What every notice of a bot carries, so that its message says which bot on which account."""
    texts = {
        "symbol": row.symbol,
        "badge": account.environment.badge if account is not None else "",
        "quote": instrument.quote,
        "base": instrument.base,
    }
    if plan is not None:
        texts |= {
            "direction": plan.direction.value,
            "lower": plain(plan.levels[0]),
            "upper": plain(plan.levels[-1]),
            "grids": str(len(plan.quantities)),
        }
    return texts


def levels(engine: Engine) -> list[LevelRow]:
    """Every slot with its order, or why it has none."""
    grid = engine.strategy
    if not isinstance(grid, Grid):
        return []
    rows = []
    for i, slot in enumerate(grid.state.slots):
        order = engine.orders.get(i)
        price = grid.plan.levels[i] if slot.side is Side.BUY else grid.plan.levels[i + 1]
        if order is not None:
            state = "sent" if order.status is OrderStatus.SENT else "working"
            if order.status in (OrderStatus.DOUBT, OrderStatus.DRAINING):
                state = Reason.UNCERTAIN.value
            rows.append(LevelRow(i, order.side, order.price, order.qty, order.executed, state))
            continue
        wish = grid.wish(i)
        hold = engine.holds.get(i)
        if isinstance(wish, Waits):
            state = wish.reason
        elif hold is not None:
            state = hold.reason.value
        elif not engine.is_synced:
            state = "not_connected" if engine.status is not Status.STARTING else "sent"
        else:
            state = engine.status.value.lower()
        rows.append(LevelRow(i, slot.side, price, slot.want, slot.done, state))
    return rows


def card(row: BotRow, engine: Engine, worker: Worker | None, asked: Quote | None = None) -> Card:
    """One bot at a glance; `asked`: a quote for one whose prices nobody watches."""
    account = worker.account if worker is not None else None
    quote = asked or (worker.quotes.get(row.symbol) if worker is not None and worker.is_up else None)
    mid = (quote.bid + quote.ask) / 2 if quote is not None else None
    rows = levels(engine) if engine.status in (Status.RUNNING, Status.PAUSED) else []
    return Card(
        id=row.id,
        owner=row.owner,
        account=row.account,
        account_name=account.name if account is not None else "",
        badge=account.environment.badge if account is not None else "",
        symbol=row.symbol,
        base=engine.instrument.base,
        quote=engine.instrument.quote,
        status=engine.status.value,
        reason=engine.kept.reason,
        connected=worker.is_up if worker is not None else False,
        price=mid,
        started=engine.kept.first_started or None,
        created=row.created,
        orders_working=len(engine.orders),
        missing=tuple(r for r in rows if r.state not in ("working", "sent")),
        parameters=dict(row.parameters),
        note=row.note or row.parameters.get("note", ""),
        **_shape(row, engine),
        **_result(engine, engine.mark if engine.mark and quote is not None and asked is None else mid),
    )


def _shape(row: BotRow, engine: Engine) -> dict[str, Any]:
    """Range, size and stops: of the plan, or before there is one of the parameters."""
    if not isinstance(engine.strategy, Grid):
        params = clean(row.parameters)
        return {
            "direction": params.direction,
            "lower": params.lower,
            "upper": params.upper,
            "grids": params.grids or 0,
            "leverage": params.leverage,
            "investment": params.investment or ZERO,
            **_stops(params),
        }
    plan = engine.strategy.plan
    return {
        "direction": plan.direction,
        "lower": plan.levels[0],
        "upper": plan.levels[-1],
        "grids": len(plan.quantities),
        "leverage": plan.leverage,
        "investment": plan.investment,
        # a grid that is over starts next with what was edited since
        **_stops(plan if engine.status.is_live else clean(row.parameters)),
    }


def _stops(of: GridPlan | GridParameters) -> dict[str, Decimal | None]:
    return {"stop_loss": of.stop_loss, "stop_loss_high": of.stop_loss_high, "take_profit": of.take_profit}


def _result(engine: Engine, mark: Decimal | None) -> dict[str, Any]:
    """What it holds and what it has brought; floating and total only at a known price."""
    books, ledger = engine.ledger.books, engine.ledger
    unmatched = ledger.unmatched(mark or ZERO) if mark is not None or not ledger.position else None
    return {
        "position": ledger.position,
        "avg_entry": ledger.avg_entry,
        "pairs": books.pairs,
        "fills": books.fills,
        "matched": books.matched,
        "unmatched": unmatched,
        "funding": books.funding,
        "fees": books.fees,
        "total": books.matched + unmatched + books.funding if unmatched is not None else None,
    }


def panicking(row: BotRow, engine: Engine) -> PanicBot:
    """How far a bot is on its way down."""
    return PanicBot(
        row.id, row.symbol, engine.status.value, engine.kept.reason, len(engine.orders), engine.ledger.position
    )


def balance(account: Account, held: Balance) -> BalanceRow:
    return BalanceRow(
        account.id,
        account.name,
        account.environment.badge,
        held.asset,
        held.wallet,
        held.available,
        held.unrealized_pnl,
    )


def position(symbol: str, held: Position) -> PositionRow:
    return PositionRow(
        symbol,
        held.qty,
        held.entry,
        held.mark,
        held.unrealized_pnl,
        held.liquidation_price,
        held.leverage,
        held.margin_mode.value,
    )


def order(symbol: str, working: object, install: str) -> OrderRow:
    """A resting order; those of this installation name their bot and slot."""
    assert isinstance(working, Working)
    cid = working.cid if working.cid is not None and working.cid.install == install else None
    slot = "" if cid is None else str(cid.slot if isinstance(cid.slot, int) else cid.slot.value)
    return OrderRow(
        symbol,
        cid.bot if cid is not None else None,
        slot,
        working.side,
        working.price,
        working.qty,
        working.executed,
        working.time,
    )
