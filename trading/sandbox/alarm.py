"""Margin calls: advice to accounts whose positions come near their liquidation (binance-usdm.md §11.4)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from trading.core import records
from trading.core.venue import Venue
from trading.gateways.binance import wire
from trading.model import ZERO, Instrument, MarginMode
from trading.sandbox.holdings import isolated_margin
from trading.sandbox.shapes import fixed, short

CALL = Decimal("0.8")
"""The part of the margin balance that the maintenance margin may take before an account is called."""


class Alarm:
    """Calls an account once each time it comes into danger."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._turn = -1
        self._called: set[tuple[str, str]] = set()
        """Account and `PositionSide.key`; "" = the cross positions together."""

    def next_account(self) -> str:
        """Accounts take turns, so that no look at all of them at once holds the exchange up; "" = there are none."""
        accounts = self._venue.accounts
        self._turn += 1
        return accounts[self._turn % len(accounts)] if accounts else ""

    def calls(self, account: str, now: int, rules: dict[str, Instrument]) -> Iterator[wire.MarginCall]:
        """The calls that are due to `account`."""
        funds = self._venue.funds(account)
        balance = funds.cross_wallet + funds.cross_unrealized_pnl
        if funds.wallet == funds.cross_wallet and funds.maintenance < balance * CALL:
            self._called.discard((account, ""))
            return
        held = [view for view in self._venue.positions(account) if view.qty]
        cross = [view for view in held if view.margin_mode is MarginMode.CROSS]
        if self._is_due(account, "", cross, balance):
            yield _call(now, cross, rules, short(funds.cross_wallet))
        for view in held:
            own = [view] if view.margin_mode is MarginMode.ISOLATED else []
            if self._is_due(account, view.position_side.key(view.symbol), own, isolated_margin(view)):
                yield _call(now, own, rules, None)

    def _is_due(self, account: str, key: str, views: list[records.PositionView], balance: Decimal) -> bool:
        needed = sum((view.maintenance for view in views), ZERO)
        if not views or needed < balance * CALL:
            self._called.discard((account, key))
            return False
        if (account, key) in self._called:
            return False
        self._called.add((account, key))
        return True


def _call(
    now: int, views: list[records.PositionView], rules: dict[str, Instrument], wallet: Decimal | None
) -> wire.MarginCall:
    positions = [
        wire.CalledPosition(
            symbol=view.symbol,
            position_side=view.position_side,
            qty=fixed(view.qty, rules[view.symbol].qty_precision),
            margin_type="ISOLATED" if view.margin_mode is MarginMode.ISOLATED else "CROSSED",
            isolated_wallet=short(view.isolated_wallet),
            mark=short(view.mark),
            unrealized=short(view.unrealized_pnl),
            maintenance=short(view.maintenance),
        )
        for view in views
    ]
    if wallet is None:
        return wire.MarginCall(event_time=now, positions=positions)
    return wire.MarginCall(event_time=now, cross_wallet=wallet, positions=positions)
