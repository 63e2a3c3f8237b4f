"""Writes `docs/sandbox.md` from the sandbox's own routes and what foreign clients used: `python -m docs.exchange`."""

from __future__ import annotations

import json
from pathlib import Path

from trading.sandbox.routes import REST, RETIRED, SOCKET, Security

HERE = Path(__file__).parent
HEARD = HERE.parent / "tests" / "foreign" / "heard.json"
CLIENTS = {
    "ccxt": "ccxt 4.5.90",
    "official": "official SDK 18.0.1",
    "unofficial": "python-binance 1.0.37",
    "trader": "NautilusTrader 1.221",
}

STREAMS = {
    "<s>@aggTrade": "market",
    "<s>@trade": "public",
    "<s>@markPrice": "market",
    "!markPrice@arr": "market",
    "<s>@kline_<i>": "market",
    "<s>_perpetual@continuousKline_<i>": "market",
    "<s>@miniTicker": "market",
    "!miniTicker@arr": "market",
    "<s>@ticker": "market",
    "!ticker@arr": "market",
    "<s>@bookTicker": "public",
    "!bookTicker": "public",
    "<s>@depth<N>": "public",
    "<s>@depth": "public",
    "<s>@forceOrder": "market",
    "!forceOrder@arr": "market",
    "!contractInfo": "market",
    "<listenKey>": "private",
}
"""Every stream of the sandbox with its route; `@rpiDepth@500ms` is `@depth` here."""
EVENTS = {
    "ORDER_TRADE_UPDATE": "orders, fills, liquidations (`autoclose-…`), deleveragings (`adl_autoclose`)",
    "TRADE_LITE": "before the ORDER_TRADE_UPDATE of the same fill",
    "ACCOUNT_UPDATE": "ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW, MARGIN_TRANSFER, MARGIN_TYPE_CHANGE",
    "ACCOUNT_CONFIG_UPDATE": "leverage, multi-assets mode",
    "ALGO_UPDATE": "conditional orders",
    "MARGIN_CALL": "once when the maintenance margin reaches 80 % of the margin balance",
    "listenKeyExpired": "the socket then stays open and silent",
}
SESSION = {"session.logon": "Ed25519 keys; others are refused with -4056", "session.status": "", "session.logout": ""}
ABSENT = {
    "Multi-assets mode": "can be set, read and told; USDT is the only collateral, so no sum differs",
    "BNB for fees": "`feeBurn` is kept, but nobody has BNB, so fees stay in USDT",
    "Convert (`/fapi/v1/convert/*`)": "-5000",
    "Downloads (`/fapi/v1/*/asyn`)": "-5000",
    "`/fapi/v1/pmAccountInfo`, `/fapi/v1/tradingSchedule`, `/fapi/v1/stock/contract`": "-5000",
    "`/futures/data/*`": "answer with empty lists: a sandbox has no crowd to count",
    "`/fapi/v1/indexInfo`, `<s>@compositeIndex`, `!assetIndex@arr`, `tradingSession`": "empty, or silent streams",
    "STRATEGY_UPDATE, GRID_UPDATE": "nothing here sets them off",
    "Trades and quotes of one symbol from two files": "one file per symbol; captured streams hold both",
    "Delivery contracts": "snapshots may hold them; only USDT perpetuals are listed",
    "RPI orders": "refused with -1115; the RPI book is the plain book",
    "Partial liquidation": "a liquidation closes the whole position, and the insurance has no bottom",
    "ADL by itself": 'comes by `POST /sandbox/market {"adl": …}` only',
    "`serverShutdown`": "never sent: unconfirmed for futures",
    "`priceMatch` of a conditional order": "its price is found when it is placed, not when it triggers",
    "`b` and `a` of a NEW event": "an order that takes is not in them yet",
    "Position-bound `GTE_GTC`": "refused with -1115",
}
"""What a client might miss, and what it gets."""


def heard() -> dict[str, set[str]]:
    """What each client used in the tests."""
    return {name: set(used) for name, used in json.loads(HEARD.read_text("utf-8")).items()}


def _row(name: str, label: str, note: str, used: dict[str, set[str]]) -> str:
    cells = ["✓" if name in used.get(client, ()) else "" for client in CLIENTS]
    return f"| {label} | {note} | " + " | ".join(cells) + " |"


def _table(head: str, note: str, rows: list[str]) -> str:
    top = f"| {head} | {note} | " + " | ".join(CLIENTS.values()) + " |"
    return "\n".join([top, "|---|---|" + ":-:|" * len(CLIENTS), *rows])


def endpoints() -> str:
    used, rows = heard(), []
    for (method, path), route in REST.items():
        secured = {Security.NONE: "", Security.KEY: "key", Security.SIGNED: "signed"}[route.security]
        rows.append(_row(f"{method} {path}", f"{method} `{path}`", secured, used))
    rows += [
        _row(f"GET {path}", f"GET `{path}`", f"retired: -5000, use `{now}`", used) for path, now in RETIRED.items()
    ]
    return _table("endpoint", "security", rows)


def methods() -> str:
    used = heard()
    rows = [_row(name, f"`{name}`", "", used) for name in SOCKET]
    return _table("method", "", rows + [_row(name, f"`{name}`", note, used) for name, note in SESSION.items()])


def streams() -> str:
    used = heard()
    return _table("stream", "route", [_row(name, f"`{name}`", route, used) for name, route in STREAMS.items()])


def events() -> str:
    used = heard()
    return _table("event", "", [_row(name, f"`{name}`", note, used) for name, note in EVENTS.items()])


def absent() -> str:
    return "\n".join(["| what | instead |", "|---|---|", *(f"| {what} | {how} |" for what, how in ABSENT.items())])


def page() -> str:
    """`docs/sandbox.md`."""
    text = (HERE / "sandbox.txt").read_text("utf-8")
    made = {
        "endpoints": endpoints(),
        "methods": methods(),
        "streams": streams(),
        "events": events(),
        "absent": absent(),
    }
    for name, table in made.items():
        text = text.replace(f"{{{name}}}", table)
    return text


if __name__ == "__main__":
    (HERE / "sandbox.md").write_text(page(), "utf-8")
