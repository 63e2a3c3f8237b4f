"""docs/sandbox.md says what the sandbox does, all of it and no more."""

from __future__ import annotations

from pathlib import Path

from docs import exchange
from trading.sandbox.feeds import stream_of
from trading.sandbox.routes import REST, SOCKET

PAGE = Path(exchange.__file__).with_name("sandbox.md").read_text("utf-8")


def test_the_page_is_what_the_routes_say() -> None:
    assert exchange.page() == PAGE, "run python -m docs.exchange"


def test_every_endpoint_method_stream_and_event_has_its_row() -> None:
    for method, path in REST:
        assert f"| {method} `{path}` |" in PAGE
    for name in (*SOCKET, *exchange.STREAMS, *exchange.EVENTS):
        assert f"| `{name}` |" in PAGE


def test_every_stream_of_the_table_is_one_that_is_served_on_its_route() -> None:
    for name, route in exchange.STREAMS.items():
        asked = name.replace("<s>", "btcusdt").replace("<i>", "1m").replace("<N>", "5").replace("<listenKey>", "k" * 64)
        stream = stream_of(asked)
        assert stream is not None and (stream.route, stream.pattern) == (route, name)


def test_what_clients_used_is_in_the_tables() -> None:
    listed = {f"{method} {path}" for method, path in REST} | {*SOCKET, *exchange.STREAMS, *exchange.EVENTS}
    used = exchange.heard()
    assert used.keys() == exchange.CLIENTS.keys()
    for client, names in used.items():
        assert names <= listed | set(exchange.SESSION), client


def test_what_is_absent_is_absent() -> None:
    for path in ("/fapi/v1/convert/getQuote", "/fapi/v1/order/asyn", "/fapi/v1/pmAccountInfo"):
        assert ("GET", path) not in REST and ("POST", path) not in REST
    assert stream_of("defiusdt@compositeIndex") is None
