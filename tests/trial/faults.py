"""What goes wrong in the trial: one catalogue of seeded faults, each a few orders to POST /sandbox/faults."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from msgspec import Struct

Order = dict[str, Any]
CUTS = (["user"], ["wsapi"], ["market"], ["user", "wsapi"], ["user", "market", "wsapi"])
REFUSALS = (
    (-2019, 400, "Margin is insufficient."),
    (-1008, 503, "Request throttled by system-level protection."),
    (-1001, 400, "Internal error; unable to process your request. Please try again."),
    (-5022, 400, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    (-4024, 400, "Limit price can't be lower than 61000."),
    (-2025, 400, "Reach max open order limit."),
)


class Fault(Struct, frozen=True):
    """One thing that goes wrong."""

    name: str
    order: Order


def _cut(chance: random.Random, accounts: list[str]) -> Order:
    return {"drop": chance.choice(CUTS)}


def _stall(chance: random.Random, accounts: list[str]) -> Order:
    where = chance.choice(("user", "wsapi", "market", "stream"))
    return {"stall": {where: chance.randint(200, 8_000)}}


def _delay(chance: random.Random, accounts: list[str]) -> Order:
    return {"delay": chance.choice((30, 200, 800, 2_000, 6_000))}


def _lag(chance: random.Random, accounts: list[str]) -> Order:
    return {"lag": chance.choice((20, 150, 700, 3_000))}


def _skew(chance: random.Random, accounts: list[str]) -> Order:
    return {"skew": chance.choice((-20_000, -3_000, 2_000, 30_000))}


def _twice(chance: random.Random, accounts: list[str]) -> Order:
    return {"duplicate": chance.randint(1, 30)}


def _unknown(chance: random.Random, accounts: list[str]) -> Order:
    """Answers that leave open whether it was executed: it was, it was not, or there is none."""
    kind = chance.choice(("unknown", "lost", "silent"))
    on = chance.choice(("order.place", "order.place", "order.cancel", ""))
    code, status = chance.choice(((-1007, 408), (-1006, 503), (-1000, 503)))
    return {"next": [{"kind": kind, "on": on, "count": chance.randint(1, 6), "code": code, "status": status}]}


def _refusal(chance: random.Random, accounts: list[str]) -> Order:
    code, status, text = chance.choice(REFUSALS)
    row = {"kind": "refuse", "on": "order.place", "count": chance.randint(1, 5), "code": code, "status": status}
    return {"next": [row | {"msg": text}]}


def _cancel_refusal(chance: random.Random, accounts: list[str]) -> Order:
    row = {"kind": "refuse", "on": "order.cancel", "count": chance.randint(1, 3), "code": -2011, "status": 400}
    return {"next": [row | {"msg": "Unknown order sent."}]}


def _too_many(chance: random.Random, accounts: list[str]) -> Order:
    """429: the wait that it asks for would be up to a minute, so it is said with a time."""
    row = {"kind": "refuse", "on": "order.place", "count": chance.randint(1, 3), "code": -1003, "status": 429}
    return {"next": [row | {"msg": "Too many requests; current limit is 2400 requests per minute."}]}


def _keys(chance: random.Random, accounts: list[str]) -> Order:
    return {"expire_listen_key": chance.sample(accounts, chance.randint(1, len(accounts)))}


def _closed(chance: random.Random, accounts: list[str]) -> Order:
    return {"maintenance": True}


CATALOGUE: tuple[tuple[str, float, Callable[[random.Random, list[str]], Order]], ...] = (
    ("drop", 5, _cut),
    ("stall", 3, _stall),
    ("delay", 2, _delay),
    ("lag", 3, _lag),
    ("skew", 1, _skew),
    ("duplicate", 2, _twice),
    ("unknown answer", 5, _unknown),
    ("refusal", 3, _refusal),
    ("cancel refused", 1, _cancel_refusal),
    ("429", 0.4, _too_many),
    ("listenKey", 1.5, _keys),
    ("maintenance", 1, _closed),
)
"""Name, weight, and how it is drawn."""


def draw(chance: random.Random, accounts: list[str]) -> Fault:
    """One fault at random."""
    (row,) = chance.choices(CATALOGUE, weights=[weight for _, weight, _ in CATALOGUE])
    return Fault(row[0], row[2](chance, accounts))
