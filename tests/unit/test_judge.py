"""The judge of the fault trial finds what is planted: one that sees nothing would pass everything."""

from __future__ import annotations

import copy
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from tests.trial.judge import Foreigner, View, violations

NAME = "tab12.1.0.1"


def view() -> View:
    """A bot with two slots: slot 0 bought at 100 and rests its sell, slot 1 rests its sell at 102."""

    def order(number: int, name: str, side: str, price: str, status: str = "NEW", executed: str = "0") -> Any:
        return {
            "orderId": number, "clientOrderId": name, "symbol": "X", "side": side, "price": price,
            "origQty": "1", "executedQty": executed, "status": status,
        }  # fmt: skip

    fill = {"id": 5, "orderId": 1, "symbol": "X", "side": "BUY", "price": "100", "qty": "1", "commission": "0.02"}
    slot = {"quantity": D(1), "side": "SELL", "want": D(1), "done": D(0), "waits": ""}
    bot = {
        "bot": 1, "account": "a", "account_id": 1, "symbol": "X", "status": "RUNNING", "reason": "", "is_synced": True,
        "position": D(1), "foreign": D(0), "fills": 1, "pairs": 0, "told": 0, "fees": D("0.02"), "funding": D(0),
        "matched": D(0), "cost": D(100), "open_fees": D("0.02"), "orders": [], "strays": [],
        "levels": [{"slot": 0, "state": "working"}, {"slot": 1, "state": "working"}],
        "grid": {
            "direction": "NEUTRAL", "min_notional": D(5), "held": D(1), "undealt": D(0),
            "slots": [
                slot | {"slot": 0, "entry": "BUY", "price": D(101), "turn": 1, "lot": D(1)},
                slot | {"slot": 1, "entry": "SELL", "price": D(102), "turn": 0, "lot": D(0)},
            ],
        },
        "db_status": "RUNNING", "db_fills": 1, "db_position": D(1),
    }  # fmt: skip
    books = {
        "orders": [
            order(1, "tab12.1.0.0", "BUY", "100", "FILLED", "1"),
            order(2, NAME, "SELL", "101"),
            order(3, "tab12.1.1.0", "SELL", "102"),
            order(4, "hand-0", "BUY", "90"),
        ],
        "fills": [fill],
        "balances": [{"asset": "USDT", "balance": "999.98"}],
        "positions": [{"symbol": "X", "positionAmt": "1", "markPrice": "100.5", "unRealizedProfit": "0.5"}],
    }
    return View(
        account="a", deposit=D(1000), books=books, bots=[bot],
        fills=[("X", 5, "tab12.1.0.0", "BUY", "100", "1", "0.02")],
        foreigners=[Foreigner("hand-0", "X", "BUY", D(90), D(1))], prices={"X": (D(100), D(101))},
    )  # fmt: skip


def test_two_sides_that_agree_are_found_to_agree() -> None:
    assert list(violations(view())) == []


def planted(change: str) -> View:
    seen = msgspec.structs.replace(view(), books=copy.deepcopy(dict(view().books)))
    orders, fills, bot = seen.books["orders"], seen.books["fills"], seen.bots[0]
    match change:
        case "two orders in a slot":
            orders.append(orders[1] | {"orderId": 9, "clientOrderId": "tab12.1.0.2"})
        case "a name twice":
            orders.append(orders[1] | {"orderId": 9, "status": "CANCELED"})
        case "a fill that nobody counted":
            fills.append(fills[0] | {"id": 6})
        case "a fill twice in the table":
            return msgspec.structs.replace(seen, fills=seen.fills * 2)
        case "a fill that never was":
            return msgspec.structs.replace(seen, fills=[*seen.fills, ("X", 7, NAME, "BUY", "1", "1", "0")])
        case "money":
            seen.books["balances"][0]["balance"] = "999.97"
        case "a position":
            seen.books["positions"][0]["positionAmt"] = "2"
        case "a foreign order cancelled":
            orders[3]["status"] = "CANCELED"
        case "an order of nobody":
            orders.append(orders[3] | {"orderId": 9, "clientOrderId": "web_1"})
        case "a slot without an order":
            del orders[2]
            bot["levels"][1]["state"] = "uncertain"  # type: ignore[index]
        case "a wait for a price that is here":
            del orders[2]
            bot["levels"][1]["state"] = "would_cross"  # type: ignore[index]
        case "a cancel by nobody":
            del orders[2]
            bot["levels"][1]["state"] = "cancelled_elsewhere"  # type: ignore[index]
        case "a lot forgotten":
            bot["grid"]["slots"][0]["lot"] = D(0)  # type: ignore[index]
        case "a pair untold":
            bot["pairs"] = 1  # type: ignore[index]
        case "paused":
            bot["status"] = bot["db_status"] = "PAUSED"  # type: ignore[index]
        case "uncommitted":
            bot["db_fills"] = 0  # type: ignore[index]
    return seen


@pytest.mark.parametrize(
    "change",
    [
        "two orders in a slot", "a name twice", "a fill that nobody counted", "a fill twice in the table",
        "a fill that never was", "money", "a position", "a foreign order cancelled", "an order of nobody",
        "a slot without an order", "a wait for a price that is here", "a cancel by nobody", "a lot forgotten",
        "a pair untold", "paused", "uncommitted",
    ],
)  # fmt: skip
def test_what_is_planted_is_found(change: str) -> None:
    assert list(violations(planted(change)))
