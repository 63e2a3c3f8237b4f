"""Every code of the venue's list, and every kind of answer without one, has its one meaning."""

from __future__ import annotations

import pytest

from trading.gateways.binance import errors
from trading.gateways.binance.errors import CODES, Reaction
from trading.messages import Reason
from trading.ports import Broken, Disconnected, RateLimited, Rejected, TradingError, Uncertain

NOW = 1_790_000_012_345

# Binance's list with what it asks of a bot (binance-usdm.md §14), one row a code: an order's Reason (None = unknown:
# ask), and what a refused REST call that changes something raises.
QUERY = (None, Uncertain)
AGAIN = (Reason.THROTTLED, Disconnected)
ACT = (Reason.NOT_ALLOWED, Rejected)
OURS = (Reason.REFUSED, Rejected)
ROWS: list[tuple[int, Reason | None, type[TradingError]]] = [
    (-1000, *QUERY),
    (-1001, *AGAIN),
    (-1002, *ACT),
    (-1003, Reason.THROTTLED, RateLimited),
    (-1006, *QUERY),
    (-1007, *QUERY),
    (-1008, *AGAIN),
    (-1010, *OURS),
    (-1013, Reason.FILTER, Rejected),
    (-1014, *OURS),
    (-1015, Reason.THROTTLED, RateLimited),
    (-1016, *AGAIN),
    (-1020, *OURS),
    (-1021, *AGAIN),
    (-1022, *ACT),
    *((code, *OURS) for code in (-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108)),
    (-1109, *ACT),
    (-1110, *ACT),
    (-1111, Reason.FILTER, Rejected),
    (-1112, Reason.PRICE_BAND, Rejected),
    *((code, *OURS) for code in (-1114, -1115, -1116, -1117, -1118, -1119, -1120)),
    (-1121, *ACT),
    *((code, *OURS) for code in (-1125, -1127, -1128, -1130)),
    (-2010, *OURS),
    (-2011, *OURS),
    (-2012, *QUERY),
    (-2013, *OURS),
    (-2014, *ACT),
    (-2015, *ACT),
    (-2017, *ACT),
    (-2018, Reason.MARGIN, Rejected),
    (-2019, Reason.MARGIN, Rejected),
    (-2020, Reason.PRICE_BAND, Rejected),
    (-2021, *OURS),
    (-2022, Reason.REDUCE_ONLY, Rejected),
    (-2023, *ACT),
    (-2024, Reason.REDUCE_ONLY, Rejected),
    (-2025, Reason.TOO_MANY_ORDERS, Rejected),
    (-2026, *OURS),
    (-2027, Reason.MARGIN, Rejected),
    (-2028, Reason.MARGIN, Rejected),
    (-4000, *QUERY),
    *((code, Reason.FILTER, Rejected) for code in range(-4014, -4000)),
    (-4015, *OURS),
    (-4016, Reason.PRICE_BAND, Rejected),
    (-4021, *OURS),
    (-4023, Reason.FILTER, Rejected),
    (-4024, Reason.PRICE_BAND, Rejected),
    (-4028, *OURS),
    (-4045, Reason.TOO_MANY_ORDERS, Rejected),
    *((code, *OURS) for code in (-4046, -4047, -4048)),
    (-4050, Reason.MARGIN, Rejected),
    (-4051, Reason.MARGIN, Rejected),
    (-4059, *OURS),
    (-4060, *ACT),
    (-4061, *ACT),
    *((code, *OURS) for code in (-4062, -4067, -4068, -4082)),
    (-4083, *QUERY),
    *((code, *ACT) for code in (-4087, -4088, -4105, -4106, -4107, -4109)),
    (-4116, Reason.DUPLICATE, Rejected),
    (-4117, *QUERY),
    (-4118, Reason.REDUCE_ONLY, Rejected),
    (-4120, *OURS),
    (-4131, Reason.PRICE_BAND, Rejected),
    (-4137, *OURS),
    (-4138, *OURS),
    (-4140, *ACT),
    (-4141, *ACT),
    (-4142, *OURS),
    (-4161, *OURS),
    (-4164, Reason.FILTER, Rejected),
    *((code, *OURS) for code in (-4167, -4168, -4169, -4170, -4171, -4172, -4183, -4184)),
    *((code, *ACT) for code in (-4189, -4192, *range(-4209, -4201), -4400, -4401, -4402, -4403)),
    (-4531, *OURS),
    (-5000, Reason.REFUSED, Broken),
    (-5021, Reason.EXPIRED, Rejected),
    (-5022, Reason.WOULD_CROSS, Rejected),
    (-5024, *AGAIN),
    *((code, *OURS) for code in (-5025, -5026, -5027)),
    (-5028, *AGAIN),
    (-5029, Reason.FILTER, Rejected),
    *((code, *OURS) for code in (-5037, -5038, -5039, -5040)),
    (-5041, Reason.PRICE_BAND, Rejected),
    (-5043, *AGAIN),
    (-5047, *OURS),
]


def raised(status: int, code: int, text: str = "", is_read: bool = False) -> type[TradingError]:
    return type(errors.failure(status, code, text, "", NOW, is_read))


@pytest.mark.parametrize(("code", "reason", "error"), ROWS, ids=[str(row[0]) for row in ROWS])
def test_a_code_means_one_thing(code: int, reason: Reason | None, error: type[TradingError]) -> None:
    assert errors.refusal(400, code, "whatever it says") is reason
    assert raised(400, code) is error
    # a read may always be repeated, so nothing about it is uncertain
    assert raised(400, code, is_read=True) is (Disconnected if error is Uncertain else error)


def test_no_row_is_missing_and_none_is_made_up() -> None:
    assert {row[0] for row in ROWS} == set(CODES)
    assert len(ROWS) == len(CODES)


REACTIONS = {
    Reaction.RESYNC: {-1021, -5028},
    Reaction.WAIT: {-1003},
    Reaction.WAIT_ORDERS: {-1015},
    Reaction.SLOW: {-1008},
    Reaction.RETRY: {-1001, -1016, -5024, -5043},
    Reaction.RENEW: {-1125},
}


def test_what_the_gateway_does_itself_is_as_listed() -> None:
    for reaction, codes in REACTIONS.items():
        assert {code for code, found in CODES.items() if found.reaction is reaction} == codes
    assert {code for code, found in CODES.items() if found.is_done} == {-4046, -4059, -5027}


@pytest.mark.parametrize(
    ("status", "code", "text", "reason", "error"),
    [
        # the four kinds of 503
        (503, 0, "Unknown error, please check your request or try again later.", None, Uncertain),
        (503, -1000, "Unknown error, please check your request or try again later.", None, Uncertain),
        *(
            (503, code, "Unknown error, please check your request or try again later.", None, Uncertain)
            for code in (-1001, -1008, -1016, -1021, -2019, -9999)
        ),
        (503, 0, "Service Unavailable.", Reason.THROTTLED, Disconnected),
        (503, 0, "Internal error; unable to process your request. Please try again.", Reason.THROTTLED, Disconnected),
        (503, -1001, "Internal error; unable to process your request.", Reason.THROTTLED, Disconnected),
        (503, -1008, "Request throttled by system-level protection. Reduce-only…", Reason.THROTTLED, Disconnected),
        # and the other answers that bear no code of the list
        (500, 0, "<html>", None, Uncertain),
        (502, 0, "Request occur unknown error.", None, Uncertain),
        (408, 0, "", None, Uncertain),
        (403, 0, "<html>blocked", Reason.THROTTLED, RateLimited),
        (418, 0, "", Reason.THROTTLED, RateLimited),
        (429, 0, "", Reason.THROTTLED, RateLimited),
        (429, -1015, "Too many new orders", Reason.THROTTLED, RateLimited),
        (401, 0, "", Reason.NOT_ALLOWED, Rejected),
        (451, 0, "Service unavailable from a restricted location.", Reason.NOT_ALLOWED, Rejected),
        (302, 0, "<html>", None, Uncertain),
        (200, 0, "<html>", None, Uncertain),
        (400, -9999, "brand new", Reason.REFUSED, Rejected),
    ],
)
def test_an_answer_without_a_listed_code_is_read_by_its_status_and_text(
    status: int, code: int, text: str, reason: Reason | None, error: type[TradingError]
) -> None:
    assert errors.refusal(status, code, text) is reason
    assert raised(status, code, text) is error


@pytest.mark.parametrize(
    ("status", "text", "retry_after", "until"),
    [
        (418, "Way too many requests; IP banned until 1790000500000. Please use the websocket", "", 1_790_000_500_000),
        (418, "banned", "", NOW + 120_000),
        (429, "Too many requests", "7", NOW + 7_000),
        (429, "Too many requests", "1790000020000", 1_790_000_020_000),
        (429, "Too many requests", "", 1_790_000_040_000),
        (429, "Too many requests", "\u00b2", 1_790_000_040_000),
        (429, "Too many requests", "Wed, 21 Oct 2026 07:28:00 GMT", 1_790_000_040_000),
        (403, "<html>", "", NOW + 300_000),
    ],
)
def test_how_long_to_wait_is_what_the_venue_says_or_else_known(
    status: int, text: str, retry_after: str, until: int
) -> None:
    assert errors.wait_until(status, text, retry_after, NOW) == until


@pytest.mark.parametrize(
    ("text", "retry_after", "until"),
    [
        ("Too many new orders; current limit is 300 orders per TEN_SECONDS.", "", 1_790_000_020_000),
        ("Too many new orders; current limit is 1200 orders per MINUTE.", "", 1_790_000_040_000),
        ("Too many new orders.", "", 1_790_000_040_000),
        ("Too many new orders; current limit is 300 orders per TEN_SECONDS.", "3", NOW + 3_000),
    ],
)
def test_too_many_orders_wait_for_the_end_of_the_window_that_is_named(text: str, retry_after: str, until: int) -> None:
    assert errors.window_end(text, retry_after, NOW) == until


def test_what_a_person_can_mend_has_a_reason_of_its_own() -> None:
    found = errors.failure(400, -4047, "Margin type cannot be changed if there exists open orders.", "", NOW, False)
    assert isinstance(found, Rejected)
    assert found.reason == "margin_mode_orders"
    assert set(errors.MENDABLE) <= set(CODES)
