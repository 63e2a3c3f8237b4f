"""Which parts of the sandbox each foreign client has used: kept in a file that docs/sandbox.md is made from."""

from __future__ import annotations

import json
import os
from pathlib import Path

from trading.sandbox.exchange import Exchange

FILE = Path(__file__).with_name("heard.json")


def used(exchange: Exchange) -> set[str]:
    """Endpoints, methods, streams and events since the exchange began."""
    return exchange.heard | exchange.hub.heard


def kept() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return found


def note(client: str, exchange: Exchange) -> None:
    """Add to the file what `client` used, where TRELLIS_HEARD=write asks for it."""
    if os.environ.get("TRELLIS_HEARD") != "write":
        return
    whole = kept()
    whole[client] = sorted(set(whole.get(client, [])) | used(exchange))
    FILE.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
