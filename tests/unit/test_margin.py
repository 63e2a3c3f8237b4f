"""Margin and liquidation against the worked figures of binance-usdm.md §15 and against plain search."""

from __future__ import annotations

import gzip
import json
import os
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core import margin
from trading.model import Bracket, MarginMode

D = Decimal
LADDER = (
    Bracket(D(0), D(300_000), 125, D("0.004"), D(0)),
    Bracket(D(300_000), D(800_000), 100, D("0.005"), D(300)),
    Bracket(D(800_000), D(3_000_000), 75, D("0.0065"), D(1500)),
    Bracket(D(3_000_000), D(12_000_000), 50, D("0.01"), D(12_000)),
    Bracket(D(12_000_000), D(10**9), 1, D("0.5"), D(5_892_000)),
)


def single(mmr: str, cum: str = "0") -> tuple[Bracket, ...]:
    return (Bracket(D(0), D(10**12), 125, D(mmr), D(cum)),)


@pytest.mark.parametrize(
    ("brackets", "qty", "entry", "wallet", "cross", "maintenance", "pnl", "expected"),
    [
        (single("0.004"), "0.5", "60000", "1500", False, "0", "0", "57228.9157"),
        (single("0.004"), "0.5", "60000", "5000", True, "0", "0", "50200.8032"),
        (single("0.004"), "-0.5", "60000", "5000", True, "20", "-300", "69083.6653"),
        (single("0.005", "50"), "2", "60000", "3000", False, "0", "0", "58768.8442"),
    ],
)
def test_liquidation_prices_are_the_worked_figures_of_the_reference(
    brackets: tuple[Bracket, ...], qty: str, entry: str, wallet: str, cross: bool, maintenance: str, pnl: str,
    expected: str,
) -> None:  # fmt: skip
    price = margin.liquidation_price(
        brackets,
        D(qty),
        D(entry),
        D(wallet),
        mode=MarginMode.CROSS if cross else MarginMode.ISOLATED,
        other_maintenance=D(maintenance),
        other_pnl=D(pnl),
    )
    assert price is not None
    assert price.quantize(D("0.0001"), rounding=ROUND_HALF_UP) == D(expected)


def test_initial_margin_of_the_reference_takes_the_larger_side() -> None:
    assert margin.initial_margin(D(1), D(10_000), 2, D(1900), D(2200)) == D(5950)
    assert margin.initial_margin(D(-1), D(10_000), 2, D(1900), D(2200)) == D(6100)
    assert margin.initial_margin(D(0), D(10_000), 10, D(500), D(700)) == D(70)
    assert margin.initial_margin(D(0), D(10_000), 10) == 0


def test_maintenance_margin_uses_the_bracket_of_the_notional() -> None:
    assert margin.maintenance_margin(LADDER, D(5), D(50_000)) == D(1000)  # 250,000 · 0.4 %
    assert margin.maintenance_margin(LADDER, D(-8), D(50_000)) == D(1700)  # 400,000 · 0.5 % - 300
    assert margin.bracket(LADDER, D(2 * 10**9)) is LADDER[-1]


def test_maintenance_margin_has_no_jump_between_brackets() -> None:
    for low, high in pairwise(LADDER):
        assert high.floor * low.mmr - low.cum == high.floor * high.mmr - high.cum


def test_the_largest_notional_falls_with_the_leverage() -> None:
    assert margin.most_notional(LADDER, 125) == 300_000
    assert margin.most_notional(LADDER, 60) == 3_000_000
    assert margin.most_notional(LADDER, 126) == 0


def test_a_flat_position_and_a_fully_paid_long_are_never_liquidated() -> None:
    assert margin.liquidation_price(LADDER, D(0), D(0), D(100)) is None
    assert margin.liquidation_price(LADDER, D("0.1"), D(60_000), D(6_000)) is None
    assert margin.liquidation_price(LADDER, D("-0.1"), D(60_000), D(6_000)) is not None


def test_isolated_ignores_the_rest_of_the_account() -> None:
    alone = margin.liquidation_price(LADDER, D(1), D(60_000), D(5_000))
    assert alone == margin.liquidation_price(
        LADDER, D(1), D(60_000), D(5_000), other_maintenance=D(900), other_pnl=D(-900)
    )


def test_unrealized_pnl_is_signed() -> None:
    assert margin.unrealized_pnl(D("-0.5"), D(100), D(90)) == D(5)


@settings(max_examples=150, deadline=None)
@given(
    size=st.decimals(D("0.001"), D(200), places=3),
    short=st.booleans(),
    entry=st.decimals(D(20_000), D(120_000), places=1),
    share=st.decimals(D("0.008"), D("0.9"), places=3),
)
def test_at_the_liquidation_price_margin_balance_equals_maintenance_margin(
    size: Decimal, short: bool, entry: Decimal, share: Decimal
) -> None:
    qty = -size if short else size
    wallet = size * entry * share
    price = margin.liquidation_price(LADDER, qty, entry, wallet)
    if price is None:
        assert not short
        return
    with localcontext() as exact:
        exact.prec = 60
        balance = wallet + margin.unrealized_pnl(qty, entry, price)
        assert abs(balance - margin.maintenance_margin(LADDER, qty, price)) < D("1e-20")


@pytest.mark.real_data
def test_every_recorded_bracket_list_gives_a_price_where_balance_meets_maintenance() -> None:
    root = Path(os.environ.get("TRELLIS_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
    path = root / "exchange_json" / "binance_fapi_leverageBracket_mainnet_2026-09.json.gz"
    if not path.exists():
        pytest.skip("the recorded leverage brackets are not here")
    rows = json.loads(gzip.decompress(path.read_bytes()), parse_float=D)
    items = rows.items() if isinstance(rows, dict) else [(row["symbol"], row["brackets"]) for row in rows]
    count = 0
    for symbol, raw in items:
        brackets = tuple(
            Bracket(
                D(row["notionalFloor"]), D(row["notionalCap"]), int(row["initialLeverage"]),
                D(row["maintMarginRatio"]), D(row["cum"]),
            )
            for row in (entry.get("info", entry) if isinstance(entry, dict) else entry for entry in raw)
        )  # fmt: skip
        for notional in (D(5_000), brackets[0].cap, brackets[-1].floor):
            for qty in (D(10), D(-10)):
                entry = notional / 10
                wallet = notional / margin.bracket(brackets, notional).max_leverage
                price = margin.liquidation_price(brackets, qty, entry, wallet)
                if price is None:
                    continue
                balance = wallet + qty * (price - entry)
                # recorded `cum` values are rounded, so brackets may miss each other by a cent or so
                needed = margin.maintenance_margin(brackets, qty, price)
                assert abs(balance - needed) <= D("0.5"), (symbol, notional, qty)
                count += 1
    assert count > 500
