"""An account's money and positions as Binance's messages (binance-usdm.md §7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from trading.core import records
from trading.gateways.binance import wire
from trading.model import Instrument, MarginMode
from trading.sandbox.shapes import fixed, margin_word, money, short

ASSETS = ("USDT", "BNB")


def alias(account: str) -> str:
    """The accountAlias of balances: a few letters that stay the same."""
    return (account + "xxxx")[:4]


def balances(account: str, funds: records.Funds) -> list[wire.BalanceRow]:
    zero = money(Decimal(0))
    others = [
        wire.BalanceRow(
            account_alias=alias(account),
            asset=asset,
            balance=zero,
            cross_wallet_balance=zero,
            cross_un_pnl=zero,
            available_balance=zero,
            max_withdraw_amount=zero,
            margin_available=True,
            update_time=0,
        )
        for asset in ASSETS
        if asset != funds.asset
    ]
    available = money(funds.available)
    return [
        wire.BalanceRow(
            account_alias=alias(account),
            asset=funds.asset,
            balance=money(funds.wallet),
            cross_wallet_balance=money(funds.cross_wallet),
            cross_un_pnl=money(funds.cross_unrealized_pnl),
            available_balance=available,
            max_withdraw_amount=money(withdrawable(funds)),
            margin_available=True,
            update_time=funds.updated,
        ),
        *others,
    ]


def withdrawable(funds: records.Funds) -> Decimal:
    """What may leave: unrealised profit may not."""
    return max(Decimal(0), min(funds.available, funds.available - max(Decimal(0), funds.cross_unrealized_pnl)))


def asset_row(funds: records.Funds, old: bool) -> wire.AccountAsset:
    """The quote asset inside the account answer; `old` = v2."""
    return wire.AccountAsset(
        asset=funds.asset,
        wallet_balance=money(funds.wallet),
        unrealized_profit=money(funds.unrealized_pnl),
        margin_balance=money(funds.wallet + funds.unrealized_pnl),
        maint_margin=money(funds.maintenance),
        initial_margin=money(funds.position_margin + funds.open_order_margin),
        position_initial_margin=money(funds.position_margin),
        open_order_initial_margin=money(funds.open_order_margin),
        cross_wallet_balance=money(funds.cross_wallet),
        cross_un_pnl=money(funds.cross_unrealized_pnl),
        available_balance=money(funds.available),
        max_withdraw_amount=money(withdrawable(funds)),
        margin_available=True if old else msgspec.UNSET,
        update_time=funds.updated,
    )


def empty_asset(asset: str, old: bool) -> wire.AccountAsset:
    nothing = records.Funds(asset, *(Decimal(0),) * 8, updated=0)
    return asset_row(nothing, old)


def account_new(
    funds: records.Funds, positions: Iterable[records.PositionView], rules: dict[str, Instrument]
) -> wire.AccountState:
    """GET v3/account."""
    held = [
        wire.AccountPosition(
            symbol=view.symbol,
            position_side=view.position_side,
            position_amt=fixed(view.qty, rules[view.symbol].qty_precision),
            unrealized_profit=money(view.unrealized_pnl),
            isolated_margin=money(isolated_margin(view)),
            notional=money(view.notional),
            isolated_wallet=money(view.isolated_wallet),
            initial_margin=money(view.initial_margin),
            maint_margin=money(view.maintenance),
            update_time=view.updated,
        )
        for view in positions
    ]
    return _account(funds, held, old=False)


def account_old(
    funds: records.Funds, positions: Iterable[records.PositionView], rules: dict[str, Instrument]
) -> wire.AccountState:
    """GET v2/account: a row for every symbol."""
    held = [
        wire.AccountPosition(
            symbol=view.symbol,
            position_side=view.position_side,
            position_amt=fixed(view.qty, rules[view.symbol].qty_precision),
            unrealized_profit=money(view.unrealized_pnl),
            isolated_wallet=money(view.isolated_wallet),
            notional=money(view.notional),
            initial_margin=money(view.initial_margin),
            maint_margin=money(view.maintenance),
            position_initial_margin=money(view.position_margin),
            open_order_initial_margin=money(view.open_order_margin),
            leverage=str(view.leverage),
            isolated=view.margin_mode is MarginMode.ISOLATED,
            entry_price=short(view.entry),
            break_even_price=short(view.break_even),
            max_notional=str(short(view.max_notional)),
            bid_notional=short(view.bid_notional),
            ask_notional=short(view.ask_notional),
            update_time=view.updated,
        )
        for view in positions
    ]
    return _account(funds, held, old=True)


def _account(funds: records.Funds, positions: list[wire.AccountPosition], old: bool) -> wire.AccountState:
    unset = msgspec.UNSET
    return wire.AccountState(
        fee_tier=0 if old else unset,
        fee_burn=False if old else unset,
        can_trade=True if old else unset,
        can_deposit=True if old else unset,
        can_withdraw=True if old else unset,
        update_time=0 if old else unset,
        multi_assets_margin=False if old else unset,
        trade_group_id=-1 if old else unset,
        total_initial_margin=money(funds.position_margin + funds.open_order_margin),
        total_maint_margin=money(funds.maintenance),
        total_wallet_balance=money(funds.wallet),
        total_unrealized_profit=money(funds.unrealized_pnl),
        total_margin_balance=money(funds.wallet + funds.unrealized_pnl),
        total_position_initial_margin=money(funds.position_margin),
        total_open_order_initial_margin=money(funds.open_order_margin),
        total_cross_wallet_balance=money(funds.cross_wallet),
        total_cross_un_pnl=money(funds.cross_unrealized_pnl),
        available_balance=money(funds.available),
        max_withdraw_amount=money(withdrawable(funds)),
        assets=[asset_row(funds, old), *(empty_asset(asset, old) for asset in ASSETS if asset != funds.asset)],
        positions=positions,
    )


def isolated_margin(view: records.PositionView) -> Decimal:
    """Isolated wallet with its unrealised PnL; 0 for cross."""
    return view.isolated_wallet + view.unrealized_pnl if view.margin_mode is MarginMode.ISOLATED else Decimal(0)


def risk_new(view: records.PositionView, rules: Instrument, adl: int) -> wire.PositionRisk:
    """A row of v3/positionRisk; `adl`: its place in the queue for deleveraging."""
    return wire.PositionRisk(
        symbol=view.symbol,
        position_side=view.position_side,
        position_amt=fixed(view.qty, rules.qty_precision),
        entry_price=short(view.entry),
        break_even_price=short(view.break_even),
        mark_price=fixed(view.mark, 8),
        un_realized_profit=money(view.unrealized_pnl),
        liquidation_price=short(view.liquidation_price),
        isolated_margin=money(isolated_margin(view)),
        notional=money(view.notional),
        margin_asset=rules.quote,
        isolated_wallet=money(view.isolated_wallet),
        initial_margin=money(view.initial_margin),
        maint_margin=money(view.maintenance),
        position_initial_margin=money(view.position_margin),
        open_order_initial_margin=money(view.open_order_margin),
        adl=adl,
        bid_notional=short(view.bid_notional),
        ask_notional=short(view.ask_notional),
        update_time=view.updated,
    )


def risk_old(view: records.PositionView, rules: Instrument) -> wire.PositionRisk:
    """A row of v2/positionRisk."""
    return wire.PositionRisk(
        symbol=view.symbol,
        position_side=view.position_side,
        position_amt=fixed(view.qty, rules.qty_precision),
        entry_price=short(view.entry),
        break_even_price=short(view.break_even),
        mark_price=fixed(view.mark, 8),
        un_realized_profit=money(view.unrealized_pnl),
        liquidation_price=short(view.liquidation_price),
        isolated_margin=money(isolated_margin(view)),
        notional=money(view.notional),
        isolated_wallet=money(view.isolated_wallet),
        margin_type=margin_word(view.margin_mode),
        is_auto_add_margin="false",
        leverage=str(view.leverage),
        max_notional_value=str(short(view.max_notional)),
        update_time=view.updated,
    )
