"""How the exchange says no: Binance's codes with their texts and HTTP statuses (binance-usdm.md §4.3, §14)."""

from __future__ import annotations

from trading.sandbox.texts import TEXTS

STATUSES = {
    -1002: 401,
    -2017: 401,
    -2014: 401,
    -2015: 401,
    -1003: 429,
    -1015: 429,
    -5000: 404,
    -1006: 503,
    -1007: 503,
    -1008: 503,
    -1001: 503,
}


class Refusal(Exception):
    """A request answered with a code instead of a result."""

    def __init__(self, code: int, msg: str = "", status: int = 0, retry_after: int = 0) -> None:
        super().__init__(f"{code}: {msg}")
        self.code = code
        self.msg = msg or TEXTS.get(code, "An unknown error occurred while processing the request.")
        self.status = status or STATUSES.get(code, 400)
        self.retry_after = retry_after
        """Seconds to wait; 0 = not said."""


def missing(name: str) -> Refusal:
    """-1102: a mandatory parameter is absent, empty or unreadable."""
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def superfluous(name: str) -> Refusal:
    """-1106: a parameter that must not be sent here."""
    return Refusal(-1106, f"Parameter '{name}' sent when not required.")


def invalid(name: str) -> Refusal:
    """-1130: a parameter whose value is not allowed."""
    return Refusal(-1130, f"Data sent for parameter '{name}' is not valid.")
