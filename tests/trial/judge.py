"""The judge of the trial: what service and exchange say of the same orders, fills and money, and where they differ.

Pure: the exchange's books and the service's words in, sentences out. Nothing here is the ledger's or the gateway's
code, so that a mistake of theirs is not made twice.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

D = Decimal
OPEN = ("NEW", "PARTIALLY_FILLED")
NAME = re.compile(r"t([0-9a-v]{4})\.(\d+)\.(-?\d+|o|c)\.(\d+)")
TOLERANCE = D("0.000001")
ROUNDING = D("0.00000002")
"""What a fill may add: the exchange books fee and realised profit in whole 1e-8 each."""
LASTING = ("below_minimum", "no_inventory", "max_position", "order_limit")
"""Why a slot of a running bot may rest nothing for long, whatever the market does."""


class Foreigner(Struct, frozen=True):
    """An order that a person placed beside the bots."""

    name: str
    symbol: str
    side: str
    price: Decimal
    qty: Decimal


class View(Struct, frozen=True, kw_only=True):
    """One account at one instant, from both sides."""

    account: str
    deposit: Decimal
    books: Mapping[str, Any]
    """GET /sandbox/books."""
    bots: list[Mapping[str, Any]]
    """The service's words about the bots of the account (`service.Service._bot`)."""
    fills: list[tuple[Any, ...]]
    """The service's fills table, this account's rows: symbol, trade, name, side, price, qty, fee."""
    foreigners: list[Foreigner]
    touched: frozenset[str] = frozenset()
    """Names of orders that a person cancelled."""
    traded: frozenset[str] = frozenset()
    """Names of market orders by hand."""
    prices: Mapping[str, tuple[Decimal, Decimal]] = {}
    """Bid and ask now."""


def name_of(text: str) -> tuple[int, str, int] | None:
    """(bot, slot, turn) of an order of ours."""
    found = NAME.fullmatch(text)
    return (int(found[2]), found[3], int(found[4])) if found else None


def always(names: Iterable[str]) -> Iterator[str]:
    """What may never be, not even for a moment: asked of the names of open orders at any time."""
    taken = Counter(name[:2] for text in names if (name := name_of(text)))
    for (bot, slot), count in taken.items():
        if count > 1:
            yield f"bot {bot} slot {slot} has {count} orders at once"


def violations(view: View) -> Iterator[str]:
    """Everything in which the two differ when the market stands and every fault is over."""
    orders = view.books["orders"]
    yield from always(order["clientOrderId"] for order in orders if order["status"] in OPEN)
    names = Counter((order["symbol"], order["clientOrderId"]) for order in orders)
    yield from (f"the name {name} was used {count} times" for (_, name), count in names.items() if count > 1)
    yield from _foreign(view)
    yield from _fills(view)
    yield from _money(view)
    for bot in view.bots:
        yield from (f"bot {bot['bot']} ({bot['symbol']}): {what}" for what in _bot(view, bot))


def _foreign(view: View) -> Iterator[str]:
    """Foreign orders rest as they were placed, and there are no others."""
    theirs = {order["clientOrderId"]: order for order in view.books["orders"] if not name_of(order["clientOrderId"])}
    for placed in view.foreigners:
        order = theirs.pop(placed.name, None)
        stands = order is not None and (
            (order["status"], order["symbol"], order["side"], D(order["price"]), D(order["origQty"]))
            == ("NEW", placed.symbol, placed.side, placed.price, placed.qty)
        )
        if not stands:
            yield f"the foreign order {placed.name} was touched: {order}"
    if theirs.keys() - view.traded:
        yield f"orders of nobody: {sorted(theirs)}"


def _fills(view: View) -> Iterator[str]:
    """The fills table has every trade of ours once, with the exchange's own numbers."""
    names = {(order["symbol"], order["orderId"]): order["clientOrderId"] for order in view.books["orders"]}
    theirs = {
        (
            *(f["symbol"], f["id"], names[f["symbol"], f["orderId"]], f["side"]),
            *(D(f[number]).normalize() for number in ("price", "qty", "commission")),
        )
        for f in view.books["fills"]
        if name_of(names[f["symbol"], f["orderId"]])
    }
    ours = [(*row[:4], *(D(number).normalize() for number in row[4:])) for row in view.fills]
    if len(set(ours)) != len(ours):
        yield "a fill stands twice in the table"
    if missing := theirs - set(ours):
        yield f"{len(missing)} fills are not in the table: {sorted(missing, key=str)[:3]}"
    if invented := set(ours) - theirs:
        yield f"{len(invented)} fills never were: {sorted(invented, key=str)[:3]}"


def _money(view: View) -> Iterator[str]:
    """Σ ledger totals = change of the wallet + unrealised profit."""
    positions = {row["symbol"]: row for row in view.books["positions"]}
    total = D(0)
    for bot in view.bots:
        row = positions.get(bot["symbol"])
        mark = D(row["markPrice"]) if row else D(0)
        owned = D(bot["position"]) * mark - D(bot["cost"]) - D(bot["open_fees"])
        total += D(bot["matched"]) + D(bot["funding"]) + owned
    names = {(order["symbol"], order["orderId"]): order["clientOrderId"] for order in view.books["orders"]}
    for fill in view.books["fills"]:
        if not name_of(names[fill["symbol"], fill["orderId"]]):
            signed = D(fill["qty"]) * (1 if fill["side"] == "BUY" else -1)
            row = positions.get(fill["symbol"])
            total += signed * ((D(row["markPrice"]) if row else D(0)) - D(fill["price"])) - D(fill["commission"])
    wallet = next(D(row["balance"]) for row in view.books["balances"] if row["asset"] == "USDT") - view.deposit
    unrealised = sum((D(row["unRealizedProfit"]) for row in positions.values()), D(0))
    allowed = TOLERANCE + ROUNDING * len(view.books["fills"])
    if abs(total - wallet - unrealised) > allowed:
        yield f"ledger total {total}, the wallet says {wallet + unrealised}"


def _bot(view: View, bot: Mapping[str, Any]) -> Iterator[str]:
    traded = [f for f in view.books["fills"] if f["symbol"] == bot["symbol"]]
    orders = [order for order in view.books["orders"] if order["symbol"] == bot["symbol"]]
    names = {order["orderId"]: order["clientOrderId"] for order in orders}
    summed = defaultdict[str, Decimal](Decimal)
    for fill in traded:
        name = name_of(names[fill["orderId"]])
        key = "foreign" if name is None else "ours" if name[0] == bot["bot"] else "another"
        summed[key] += D(fill["qty"]) * (1 if fill["side"] == "BUY" else -1)
    row = next((row for row in view.books["positions"] if row["symbol"] == bot["symbol"]), None)
    position = D(row["positionAmt"]) if row else D(0)
    if position != sum(summed.values()):
        yield f"position {position}, its fills make {dict(summed)}"
    if D(bot["position"]) != summed["ours"]:
        yield f"the ledger has {bot['position']}, the exchange's fills make {summed['ours']}"
    if bot["fills"] != sum(1 for f in traded if (n := name_of(names[f["orderId"]])) and n[0] == bot["bot"]):
        yield f"the ledger counts {bot['fills']} fills of {len(traded)}"
    fees = sum((D(f["commission"]) for f in traded if name_of(names[f["orderId"]])), D(0))
    if fees != D(bot["fees"]):
        yield f"fees {fees}, the ledger has {bot['fees']}"
    if bot["pairs"] != bot["told"]:
        yield f"{bot['pairs']} pairs, {bot['told']} were told"
    if (bot["status"], bot["fills"], D(bot["position"])) != (
        bot["db_status"],
        bot["db_fills"],
        D(bot["db_position"]),
    ):
        yield f"the database is behind: {bot['db_status']}, {bot['db_fills']} fills, position {bot['db_position']}"
    yield from _standing(view, bot)


def _standing(view: View, bot: Mapping[str, Any]) -> Iterator[str]:
    """The resting orders are those of the bot's state."""
    resting = {
        (name[1], name[2]): order
        for order in view.books["orders"]
        if order["status"] in OPEN and (name := name_of(order["clientOrderId"])) and name[0] == bot["bot"]
    }
    if bot["status"] != "RUNNING":
        yield f"status {bot['status']} ({bot['reason']})"
        return
    grid, levels = bot["grid"], {row["slot"]: row for row in bot["levels"]}
    for slot in grid["slots"]:
        order = resting.pop((str(slot["slot"]), slot["turn"]), None)
        yield from (f"slot {slot['slot']}: {what}" for what in _slot(view, bot, slot, order, levels[slot["slot"]]))
    if resting:
        yield f"orders of no slot: {sorted(resting)}"
    lots = sum((D(s["lot"]) * (1 if s["entry"] == "BUY" else -1) for s in grid["slots"]), D(0))
    lots += D(grid["undealt"]) * {"LONG": 1, "SHORT": -1, "NEUTRAL": 0}[grid["direction"]]
    if lots != D(grid["held"]):
        yield f"the slots hold {lots}, together {grid['held']}"


Row = Mapping[str, Any]


def _slot(view: View, bot: Row, slot: Row, order: Row | None, level: Row) -> Iterator[str]:
    """A slot rests exactly what it lacks or holds, or says why it does not."""
    if order is None:
        yield from _reasons(view, bot, slot, level["state"])
        return
    wanted = (slot["side"], D(slot["price"]), D(slot["want"]), D(slot["done"]))
    rests = (order["side"], D(order["price"]), D(order["origQty"]), D(order["executedQty"]))
    if wanted != rests:
        yield f"wants {wanted}, rests {rests}"
    if level["state"] != "working":
        yield f"rests an order and is shown as {level['state']}"
    left = rests[2] - rests[3]
    lacks = D(slot["lot"]) if slot["side"] != slot["entry"] else D(slot["quantity"]) - D(slot["lot"])
    small = D(slot["price"]) * abs(lacks - left) < D(bot["grid"]["min_notional"])
    if left != lacks and not small:
        yield f"{left} rests, {lacks} is lacking: {slot}"


def _reasons(view: View, bot: Mapping[str, Any], slot: Mapping[str, Any], state: str) -> Iterator[str]:
    bid, ask = view.prices[bot["symbol"]]
    price, name = D(slot["price"]), f".{bot['bot']}.{slot['slot']}."
    if state == "would_cross":
        if not (price >= ask if slot["side"] == "BUY" else price <= bid):
            yield f"waits to {slot['side']} at {price} as if it crossed {bid}/{ask}"
    elif state == "cancelled_elsewhere":
        if not any(name in touched for touched in view.touched):
            yield "says cancelled elsewhere, and nobody did"
    elif state not in LASTING:
        yield f"rests nothing: {state}"
