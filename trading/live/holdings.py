"""What the exchange says of an account: money, positions, resting orders, what its keys may do."""

from __future__ import annotations

from trading.live import cards
from trading.live.roster import Roster
from trading.messages import Cancel
from trading.model import ClientOrderId
from trading.ports import TradingError
from trading.views import Aftermath, BalanceRow, Declined, HealthRow, OrderRow, PositionRow


async def balances(roster: Roster) -> list[BalanceRow]:
    """Of every account that can be reached; declines when none can."""
    rows: list[BalanceRow] = []
    down: Declined | None = None
    for worker in list(roster.workers.values()):
        account = worker.account
        try:
            held = await roster.gateway(account.id).balances()
        except TradingError as error:
            down = roster.down(account.id, error)
        except Declined as error:
            down = error
        else:
            rows += [cards.balance(account, each) for each in held if each.wallet or each.available]
    if down is not None and not rows:
        raise down
    return rows


async def positions(roster: Roster, account: int) -> list[PositionRow]:
    try:
        held = await roster.gateway(account).positions()
    except TradingError as error:
        raise roster.down(account, error) from error
    return [cards.position(symbol, position) for symbol, position in held.items() if position.qty]


async def orders(roster: Roster, account: int) -> list[OrderRow]:
    try:
        resting = await roster.gateway(account).open_orders()
    except TradingError as error:
        raise roster.down(account, error) from error
    return [cards.order(symbol, working, roster.install) for symbol, working in resting]


async def aftermath(roster: Roster, account: int) -> Aftermath:
    """What is left after everything was stopped; orders of ours that no live bot owns are cancelled on the way."""
    gateway = roster.gateway(account)
    try:
        resting = await gateway.open_orders()
        ours = [(symbol, cid) for symbol, working in resting if (cid := _ours(roster, working)) is not None]
        for symbol, cid in ours:
            owner = roster.bots.get(cid.bot)
            if owner is None or not owner.engine.status.is_live:
                gateway.send(Cancel(symbol, cid))
    except TradingError as error:
        raise roster.down(account, error) from error
    held = tuple(await positions(roster, account))
    return Aftermath(len(ours), len(resting) - len(ours), held, roster.clock())


def _ours(roster: Roster, working: object) -> ClientOrderId | None:
    cid: ClientOrderId | None = getattr(working, "cid", None)
    return cid if cid is not None and cid.install == roster.install else None


async def check(roster: Roster, account: int) -> list[HealthRow]:
    """Whether the keys work and what they may do: one row for each question."""
    worker = roster.worker(account)
    rows = [HealthRow("reach", worker.is_up, "" if worker.is_up else "down", {"why": worker.why})]
    gateway = worker.gateway
    if gateway is None:
        return rows
    try:
        found = await gateway.balances()
        rows.append(HealthRow("keys", True))
        held = {each.asset: each for each in found if each.wallet}
        rows.append(HealthRow("funds", bool(held), "" if held else "empty", {"assets": ", ".join(held)}))
        is_hedge = await gateway.is_hedge_mode()
        rows.append(HealthRow("mode", not is_hedge, "hedge" if is_hedge else ""))
    except TradingError as error:
        rows.append(HealthRow("keys", False, "refused", {"why": str(error)[:200]}))
        return rows
    withdrawals = gateway.health().withdrawals.value
    rows.append(HealthRow("withdrawals", withdrawals != "allowed", f"withdrawals_{withdrawals}"))
    return rows
