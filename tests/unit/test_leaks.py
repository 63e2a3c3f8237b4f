"""What counts as a secret: keys in all their shapes, and none of what people ordinarily write."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.leaks import has_secret

KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=64, max_size=64)
PRICES = st.integers(1, 10**7).map(str)


@given(st.binary(min_size=32, max_size=64), st.text(max_size=20))
def test_random_bytes_are_a_secret_in_hex_wherever_they_stand(raw: bytes, around: str) -> None:
    text = raw.hex()
    if len(set(text)) >= 10 and not text.isdigit() and any(map(str.isdigit, text)):
        assert has_secret(f"{around} {text} {around}")


def test_random_bytes_are_a_secret_in_base64() -> None:
    raw = bytes(range(40, 88))
    assert has_secret(base64.b64encode(raw).decode())
    assert has_secret(base64.urlsafe_b64encode(bytes(range(200, 248))).decode())


@pytest.mark.parametrize(
    "text",
    [
        "api key = 9f8e7d6c5b4a39281706",
        "apiSecret:'a1b2c3d4e5f6a7b8'",
        "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
        "1f0c8b8e-7d3a-4b61-9a53-0d1c2b3a4f5e",
        "-----BEGIN EC PRIVATE KEY-----",
        "1234567890:AAE-abcdefghijklmnopqrstuvwxyz01234",
    ],
)
def test_keys_of_every_shape_are_secrets(text: str) -> None:
    assert has_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "/new BTCUSDT neutral 58000-72000 40 5000u 5x sl=55000 note=my_first_grid_of_november_2026_with_a_long_name",
        "58000,59000,60000,61000,62000,63000,64000,65000,66000,67000",
        "levels=58000/59000/60000/61000/62000/63000/64000/65000/66000",
        "z" * 4096,
        "1" * 200,
        "what does the secret sauce of this token do?",
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
        "https://example.org/a/page/about/grid-trading/2026/november",
        "ta4xk.12.o.3",
    ],
)
def test_what_people_write_is_no_secret(text: str) -> None:
    assert not has_secret(text)


@given(st.sampled_from(["BTCUSDT", "1000PEPEUSDT"]), PRICES, PRICES, st.integers(2, 500), PRICES, st.text(max_size=25))
def test_a_grid_in_one_line_is_no_secret(
    symbol: str, low: str, high: str, grids: int, money: str, note: str
) -> None:
    assert not has_secret(f"/new {symbol} long {low}-{high} {grids} {money}u 5x note={note}")


@given(st.text(max_size=4096))
def test_any_text_is_judged(text: str) -> None:
    assert has_secret(text) in (True, False)
