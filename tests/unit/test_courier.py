"""Whatever a batch's answer looks like, each of its requests ends in exactly one way."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.gateways.binance import wire
from trading.gateways.binance.courier import PER_BATCH, PER_CANCEL, Courier, Request
from trading.gateways.binance.rest import Clock, Reply, Rest
from trading.gateways.binance.signing import Signer
from trading.gateways.limiter import Limiter
from trading.messages import Cancel, Place
from trading.model import ClientOrderId, OrderType, Side, TimeInForce
from trading.ports import Credentials


def cid(slot: int) -> ClientOrderId:
    return ClientOrderId("ab12", 1, slot, 0)


def place(slot: int) -> Place:
    return Place("BTCUSDT", cid(slot), Side.BUY, OrderType.LIMIT, TimeInForce.GTX, Decimal(60_000), Decimal("0.01"))


def order(slot: int) -> dict[str, object]:
    fields = {"orderId": slot + 1, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": str(cid(slot)), "side": "BUY"}
    return {**fields, "updateTime": 1}


class Heard:
    """A courier with the memory of what it said."""

    def __init__(self) -> None:
        rest = Rest("http://127.0.0.1:9", Signer(Credentials("k", "s")), Limiter(), Clock())
        self.settled: list[tuple[Request, int]] = []
        self.doubts: list[Request] = []
        self.refused: list[Request] = []
        self.courier = Courier(rest, self.settle, self.doubts.append, self.refused.append)

    def settle(self, intent: Request, status: int, answer: wire.Order | wire.Fault) -> None:
        self.settled.append((intent, status))

    def deal(self, load: list[Request], body: bytes) -> None:
        self.courier._load = list(load)
        self.courier._deal(load, Reply(200, body))


def test_a_batch_is_dealt_out_in_its_order() -> None:
    heard = Heard()
    load: list[Request] = [place(slot) for slot in range(3)]
    fault = {"code": -5022, "msg": "Post Only"}
    heard.deal(load, json.dumps([order(0), fault, order(2)]).encode())
    assert heard.settled == [(load[0], 200), (load[1], 400), (load[2], 200)]
    assert not heard.doubts


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"[]", b"[1,2,3]", b"[{},{}]", b'[{"code":1},{}]', b"<html>"])
def test_an_answer_that_is_none_leaves_every_request_in_doubt(body: bytes) -> None:
    heard = Heard()
    load: list[Request] = [place(slot) for slot in range(3)]
    heard.deal(load, body)
    assert heard.doubts == load
    assert not heard.settled


ELEMENT = st.one_of(
    st.just(order(0)),
    st.builds(lambda code: {"code": code, "msg": "no"}, st.integers(-9000, 0)),
    st.just({}),
    st.none(),
    st.integers(),
    st.text(max_size=5),
)


@given(st.lists(ELEMENT, max_size=6), st.integers(2, 5))
@settings(max_examples=150, deadline=None)
def test_every_request_ends_once_whatever_comes_back(elements: list[object], size: int) -> None:
    heard = Heard()
    load: list[Request] = [place(slot) for slot in range(size)]
    heard.deal(load, json.dumps(elements).encode())
    ended = [*heard.doubts, *(intent for intent, _ in heard.settled)]
    assert sorted(map(str, ended)) == sorted(map(str, load))


@given(st.lists(st.sampled_from(["place", "BTCUSDT", "ETHUSDT"]), min_size=1, max_size=40))
def test_loads_keep_the_order_and_the_venues_sizes(kinds: list[str]) -> None:
    heard, sent = Heard(), []
    line: list[Request] = [
        place(slot) if kind == "place" else Cancel(kind, cid(slot)) for slot, kind in enumerate(kinds)
    ]
    heard.courier._line.extend(line)
    while heard.courier._line:
        load = heard.courier._next()
        assert len({(type(each), getattr(each, "symbol", "") * isinstance(each, Cancel)) for each in load}) == 1
        assert 1 <= len(load) <= (PER_BATCH if isinstance(load[0], Place) else PER_CANCEL)
        sent += load
    assert sent == line


def test_giving_up_says_of_what_waits_that_it_never_left_and_of_the_rest_that_nobody_knows() -> None:
    heard = Heard()
    heard.courier._load = [place(1)]
    heard.courier._line.append(place(2))
    heard.courier.drop()
    assert heard.doubts == [place(1)]
    assert heard.refused == [place(2)]
    assert not heard.courier.is_busy
    # the answer that comes after all changes nothing
    heard.courier._deal([place(1)], Reply(200, json.dumps(order(1)).encode()))
    assert not heard.settled
