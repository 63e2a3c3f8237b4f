"""The promise: a service that is killed at any moment accounts for every order and every fill when it is back.

The exchange's own books are the judge. What they say is counted here anew, by other code than the ledger's.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import os
import random
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.acceptance.driver import ROOT, Chat, Service, alive, ask, demo, until
from trading.core.engine import Engine
from trading.core.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

DATA = Path(os.environ.get("TRELLIS_DATA") or ROOT.parent / "shared" / "data")
RECORDED = DATA / "klines" / "binance-spot_BTCUSDT_1m_crash_2021-05-17_23.csv.gz"
CRASH_DAY = 1621382400000
"""2021-05-19: from 42,850 down to 30,000 and back to 39,000."""
DAY = 86_400_000
LOWER, UPPER, GRIDS = 28_000, 46_000, 60
LINE = f"/new BTCUSDT neutral {LOWER}-{UPPER} {GRIDS} 5000u 2x"
OPEN = ("NEW", "PARTIALLY_FILLED")
DEPOSIT = Decimal(10_000)


# --------------------------------------------------------------------------- tapes


def recorded_day(folder: Path) -> Path:
    """The crash day alone."""
    if not RECORDED.exists():
        pytest.skip("the recorded crash (../shared/data or TRELLIS_DATA) is not here")
    tape = folder / "BTCUSDT-1m-crash.csv"
    with gzip.open(RECORDED, "rt") as rows, tape.open("w") as day:
        day.write(next(rows))
        day.writelines(row for row in rows if CRASH_DAY <= int(row.partition(",")[0]) < CRASH_DAY + DAY)
    return tape


def made_up_day(folder: Path) -> Path:
    """Half an hour that falls by a quarter and comes half way back, in jagged steps."""
    chance, price, tape = random.Random(7), 42_850.0, folder / "BTCUSDT-1m-made-up.csv"
    with tape.open("w") as rows:
        for minute in range(600):
            close = price + chance.uniform(-300, 300) + (-19 if minute < 400 else 22)
            high, low = max(price, close) + chance.uniform(0, 60), min(price, close) - chance.uniform(0, 60)
            rows.write(f"{CRASH_DAY + 60_000 * minute},{price:.1f},{high:.1f},{low:.1f},{close:.1f},1\n")
            price = close
    return tape


# --------------------------------------------------------------------------- what the service says


class Ours(Struct):
    """The service's own books, from its database."""

    status: str
    fills: set[tuple[Any, ...]]
    ledger: Ledger
    pairs_told: int


def ours(folder: Path) -> Ours:
    database = sqlite3.connect(f"file:{folder / 'trellis.db'}?mode=ro", uri=True, timeout=10)
    try:
        with database:
            (status,) = database.execute("SELECT status FROM bots WHERE id = 1").fetchone()
            (state,) = database.execute("SELECT state FROM checkpoints WHERE bot = 1").fetchone()
            rows = database.execute("SELECT trade, name, side, price, qty, fee FROM fills").fetchall()
            (told,) = database.execute("SELECT count(*) FROM outbox WHERE kind = 'pair'").fetchone()
    finally:
        database.close()
    fills = [(trade, name, side, *(Decimal(str(n)) for n in numbers)) for trade, name, side, *numbers in rows]
    assert len(set(fills)) == len(fills), "a fill stands twice in the database"
    return Ours(status, set(fills), Ledger(Engine.read(state).books), told)


# --------------------------------------------------------------------------- what the exchange says


class Slot(Struct):
    """A slot of the grid as the exchange's fills tell it."""

    turn: int = 0
    """Orders that are over."""
    last: str = ""
    """The side of the last one."""
    pairs: int = 0


def named(order: dict[str, Any]) -> tuple[int, int] | None:
    """(slot, turn) of an order of ours."""
    found = re.fullmatch(r"t[0-9a-v]{4}\.1\.(\d+)\.(\d+)", order["clientOrderId"])
    return (int(found[1]), int(found[2])) if found else None


def slots(books: dict[str, Any]) -> dict[int, Slot]:
    """Every slot, from the orders that filled."""
    found = {number: Slot() for number in range(GRIDS)}
    mine = [(name, order) for order in books["orders"] if (name := named(order))]
    assert len({name for name, _ in mine}) == len(mine), "a name was used for two orders"
    for (number, turn), order in sorted(mine, key=lambda each: each[0]):
        if order["status"] in OPEN:
            continue
        assert order["status"] == "FILLED", f"{order['clientOrderId']} was {order['status']}"
        slot = found[number]
        assert turn == slot.turn and order["side"] != slot.last, f"slot {number} went astray at {order}"
        slot.turn, slot.last = turn + 1, order["side"]
        slot.pairs = slot.turn // 2
    return found


def disagreements(books: dict[str, Any], said: Ours, last: Decimal) -> Iterator[str]:
    """Everything in which service and exchange differ."""
    names = {order["orderId"]: order["clientOrderId"] for order in books["orders"]}
    theirs = {
        (f["id"], names[f["orderId"]], f["side"], *(Decimal(f[n]) for n in ("price", "qty", "commission")))
        for f in books["fills"]
    }
    if theirs != said.fills:
        yield f"fills: only the exchange {sorted(theirs - said.fills)}, only the service {sorted(said.fills - theirs)}"
    if said.status != "RUNNING":
        yield f"status {said.status}"
    yield from _resting(books, last)
    yield from _money(books, said)
    pairs = sum(slot.pairs for slot in slots(books).values())
    if said.ledger.books.pairs != pairs or said.pairs_told != pairs:
        yield f"pairs: {pairs}, the ledger has {said.ledger.books.pairs}, {said.pairs_told} were told"


def _resting(books: dict[str, Any], last: Decimal) -> Iterator[str]:
    """One order in every slot: the next one of its turn, on the other side, at the right level."""
    step = Decimal(UPPER - LOWER) / GRIDS
    resting = {name: order for order in books["orders"] if (name := named(order)) and order["status"] in OPEN}
    for number, slot in slots(books).items():
        floor, ceiling = LOWER + number * step, LOWER + (number + 1) * step
        order = resting.pop((number, slot.turn), None)
        if order is not None:
            price = {"BUY": floor, "SELL": ceiling}[order["side"]]
            if order["side"] == slot.last or Decimal(order["price"]) != price:
                yield f"slot {number} rests {order}"
        elif not (slot.last == "BUY" and last >= ceiling) and not (slot.last == "SELL" and last <= floor):
            yield f"slot {number} rests nothing"  # and it would not cross, which is the one good reason
    if resting:
        yield f"too many: {sorted(resting)}"


def _money(books: dict[str, Any], said: Ours) -> Iterator[str]:
    position = Decimal(next((p["positionAmt"] for p in books["positions"] if p["symbol"] == "BTCUSDT"), "0"))
    if position != said.ledger.position:
        yield f"position {position}, the ledger has {said.ledger.position}"
    fees = sum((Decimal(f["commission"]) for f in books["fills"]), Decimal(0))
    if fees != said.ledger.books.fees:
        yield f"fees {fees}, the ledger has {said.ledger.books.fees}"
    wallet = next(Decimal(b["balance"]) for b in books["balances"] if b["asset"] == "USDT") - DEPOSIT
    row = next((p for p in books["positions"] if p["symbol"] == "BTCUSDT"), None)
    mark, unrealised = (
        (Decimal(row["markPrice"]), Decimal(row["unRealizedProfit"])) if row else (Decimal(0), Decimal(0))
    )
    if abs(said.ledger.total(mark) - wallet - unrealised) > Decimal("0.00001"):
        yield f"total {said.ledger.total(mark)}, the wallet says {wallet + unrealised}"


# --------------------------------------------------------------------------- acting


def signed(service: Service, path: str, **parameters: str) -> Any:
    """A person's own order on the exchange, beside the bot's."""
    query = urllib.parse.urlencode({**parameters, "timestamp": str(time.time_ns() // 1_000_000)})
    signature = hmac.new(b"sandboxsecret", query.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"{service.exchange}{path}?{query}&signature={signature}", b"", {"X-MBX-APIKEY": "sandboxkey"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return answer.read()


def agreed(service: Service, seconds: float = 30) -> dict[str, Any]:
    """The books, once the service agrees with them while nothing moved in between."""
    left: list[str] = []

    def look() -> dict[str, Any] | None:
        before = service.books()
        said = ours(service.folder)
        market = ask(f"{service.exchange}/sandbox/market")
        after = service.books()
        if before["fills"] != after["fills"] or before["orders"] != after["orders"]:
            left[:] = ["the market did not stand still for a moment"]
            return None
        left[:] = disagreements(after, said, Decimal(market["last"]["BTCUSDT"]))
        return None if left else after

    try:
        return until(look, "agreement", seconds, pause=0.05)
    except AssertionError:
        raise AssertionError("\n".join(left)) from None


def card_agrees(service: Service) -> None:
    """The card in the chat says what the books say."""

    def look() -> bool:
        before = service.books()
        text = service.chat.asked("/grid 1", "orders resting", "floating pnl")["text"]
        numbers = re.search(r"\((\d[\d,]*) pairs?\)[\s\S]*resting\s+(\d+) · Fills\s+(\d[\d,]*)", text)
        assert numbers, text
        if before["fills"] != service.books()["fills"]:
            return False
        resting = sum(1 for order in before["orders"] if named(order) and order["status"] in OPEN)
        pairs = sum(slot.pairs for slot in slots(before).values())
        said = tuple(int(number.replace(",", "")) for number in numbers.groups())
        return said == (pairs, resting, len(before["fills"]))

    until(look, "a card that agrees with the books", 20)


def started(service: Service) -> None:
    """A grid made and started by thumb."""
    preview = service.chat.asked(LINE, "Create and start")
    service.chat.press(preview["id"], "create and start")
    service.chat.seen("started", after=preview["id"])
    until(lambda: sum(1 for o in service.books()["orders"] if named(o)) == GRIDS, f"{GRIDS} orders")


@pytest.mark.parametrize(
    ("tape", "kills", "speed"),
    [
        pytest.param(made_up_day, 4, 900, id="a made-up crash"),
        pytest.param(recorded_day, 20, 800, id="the recorded crash day", marks=pytest.mark.real_data),
    ],
)
def test_a_service_killed_again_and_again_during_a_crash_loses_no_order_and_no_fill(
    tmp_path: Path, tape: Any, kills: int, speed: int
) -> None:
    seed = int(os.environ.get("TRELLIS_SEED", time.time()))
    chance = random.Random(seed)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    options = ("--replay", f"BTCUSDT={tape(tmp_path)}", "--speed", str(speed), "--settle", "50", "--hold")
    with demo(tmp_path / "demo", *options) as service:
        started(service)
        signed(service, "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
               quantity="0.01", price="25000", newClientOrderId="by-hand")  # fmt: skip
        ask(f"{service.exchange}/sandbox/market", {"go": True})
        others = {kind: service.record[kind]["pid"] for kind in ("sandbox", "chat")}
        for kill in range(kills):
            time.sleep(chance.uniform(0, 3))
            if chance.random() < 0.3:  # one that is only just starting
                service.kill()
                service.spawn()
                time.sleep(chance.uniform(0.1, 2.5))
            service.kill()
            assert all(alive(pid) for pid in others.values())
            service.start()
            assert {kind: service.record[kind]["pid"] for kind in others} == others, "sandbox or chat was replaced"
            agreed(service)
            if kill % 5 == 4:
                card_agrees(service)
        books = agreed(service)
        card_agrees(service)
        by_hand = next(order for order in books["orders"] if order["clientOrderId"] == "by-hand")
        assert (by_hand["status"], Decimal(by_hand["origQty"])) == ("NEW", Decimal("0.01"))
        assert not [order for order in books["orders"] if named(order) is None and order is not by_hand]
        assert len(books["fills"]) > 5 * kills, "the tape hardly moved"
        told_once(service.chat)
        assert service.end() == 0
        assert not any(alive(pid) for pid in others.values())


def told_once(chat: Chat) -> None:
    """Every pair that was told was told once: their numbers rise."""
    texts = [message["text"] for message in chat.screen() if "Pairs so far" in message["text"]]
    numbers = [int(re.findall(r"Pairs so far: (\d[\d,]*)", text)[-1].replace(",", "")) for text in texts]
    assert numbers and numbers == sorted(set(numbers))
