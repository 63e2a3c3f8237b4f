"""Keys are recognised by their secret; what is sent is what was signed, whatever the kind of key."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
import typer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from service.people import asked
from trading.gateways.binance.signing import PEM, Signer, order_params, signer
from trading.messages import Place
from trading.model import ClientOrderId, OrderType, Side, TimeInForce
from trading.ports import Broken, Credentials

NOW = 1_790_000_000_000
SEED = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CID = ClientOrderId("ab12", 1, 3, 0)
ORDER = Place("BTCUSDT", CID, Side.BUY, OrderType.LIMIT, TimeInForce.GTX, Decimal("60000.0"), Decimal("0.010"))


def pem(key: Any, lock: KeySerializationEncryption | None = None) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption()).decode())


def made(secret: str) -> Signer:
    return signer(Credentials("sandboxkey", secret))


def signed_text(frame: bytes) -> tuple[str, str, dict[str, Any]]:
    """What must have been signed, the signature, and the parameters of a WebSocket API frame."""
    params = json.loads(frame)["params"]
    signature = params.pop("signature", "")
    params.pop("", None)
    return "&".join(f"{name}={params[name]}" for name in sorted(params)), signature, params


@pytest.mark.parametrize(
    ("secret", "kind", "can_log_on"),
    [
        ("sandboxsecret", "HMAC", False),
        (pem(SEED), "Ed25519", True),
        (pem(SEED).replace("\n", "\\n"), "Ed25519", True),
        ("  " + pem(SEED) + "\n\n", "Ed25519", True),
        (pem(RSA), "RSA", False),
    ],
    ids=["hmac", "ed25519", "on one line", "with blanks", "rsa"],
)
def test_the_kind_of_key_shows_in_its_secret(secret: str, kind: str, can_log_on: bool) -> None:
    assert (made(secret).kind, made(secret).can_log_on) == (kind, can_log_on)
    assert "sandbox" not in repr(made(secret))


@pytest.mark.parametrize(
    "secret",
    [
        pem(SEED, BestAvailableEncryption(b"pass")),
        pem(generate_private_key(SECP256R1())),
        "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----",
    ],
    ids=["encrypted", "elliptic", "garbage", "cut off"],
)
def test_a_pem_that_cannot_sign_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(Broken) as caught:
        made(secret)
    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "BEGIN" not in shown
    assert "bm90" not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_reference_vector_of_an_ed25519_logon() -> None:
    assert made(pem(SEED)).signature("apiKey=sandboxkey&timestamp=1790000000000") == (
        "jACsj91jOm9LJ5YFP99NWX0dnrhaNAj/FwS/j6B25h4d3uGYQeyVy8kSB5XItYW86H7Y3TSAZ1KFE7EukzNABA=="
    )


def test_rest_requests_are_signed_over_the_bytes_that_are_sent() -> None:
    params = {"symbol": "BTCUSDT", "batchOrders": '[{"a":"b c"}]'}
    for secret, verify in (
        (pem(SEED), lambda s, t: SEED.public_key().verify(s, t)),
        (pem(RSA), lambda s, t: RSA.public_key().verify(s, t, padding.PKCS1v15(), hashes.SHA256())),
    ):
        query = made(secret).query(params, NOW)
        text, _, signature = query.rpartition("&signature=")
        verify(b64decode(unquote(signature)), text.encode())
        assert "+" not in signature, "base64 must be percent-encoded"
        assert dict(parse_qsl(text)) == {**params, "recvWindow": "5000", "timestamp": str(NOW)}


@pytest.mark.parametrize(
    "order", [ORDER, Place("ETHUSDT", CID, Side.SELL, OrderType.MARKET, TimeInForce.GTC, ORDER.price, ORDER.qty, True)]
)
def test_orders_carry_their_signature_until_the_session_is_ours(order: Place) -> None:
    ed25519 = made(pem(SEED))
    for frame in (ed25519.place(7, order, NOW), ed25519.cancel(8, order.symbol, order.cid, NOW)):
        text, signature, params = signed_text(frame)
        SEED.public_key().verify(b64decode(signature), text.encode())
        assert params["apiKey"] == "sandboxkey"
    ed25519.use_session(True)
    inside = [ed25519.place(7, order, NOW), ed25519.cancel(8, order.symbol, order.cid, NOW)]
    for frame in inside:
        _, signature, params = signed_text(frame)
        assert signature == ""
        assert "apiKey" not in params
        assert params["timestamp"] == NOW
    ed25519.use_session(False)
    assert signed_text(ed25519.place(7, order, NOW))[1]


def test_orders_are_the_same_whatever_signs_them() -> None:
    frames = [json.loads(made(secret).place(7, ORDER, NOW)) for secret in ("sandboxsecret", pem(SEED), pem(RSA))]
    for frame in frames:
        assert frame["params"].pop("signature")
    assert frames[0] == frames[1] == frames[2]
    rest = order_params(ORDER)
    assert rest == {k: v for k, v in frames[0]["params"].items() if k not in ("apiKey", "recvWindow", "timestamp")}


def test_an_hmac_session_is_never_trusted() -> None:
    hmac = made("sandboxsecret")
    hmac.use_session(True)
    assert signed_text(hmac.place(1, ORDER, NOW))[1]


@pytest.mark.parametrize(
    ("piped", "kind"),
    [
        ("abc\ndef\n", "HMAC"),
        (f"abc\n{pem(SEED)}", "Ed25519"),
        ("abc\n" + pem(SEED).replace("\n", "\\n") + "\n", "Ed25519"),
        (f"abc\n{pem(RSA)}", "RSA"),
    ],
)
def test_keys_of_every_kind_can_be_piped_in(piped: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(piped))
    credentials = asked()
    assert (credentials.key, signer(credentials).kind) == ("abc", kind)


@pytest.mark.parametrize("piped", ["abc\n", "abc\nde f\n", "a-c\n" + pem(SEED), f"abc\n{PEM} PRIVATE KEY-----\nx\n"])
def test_what_is_no_key_is_refused_without_showing_it(
    piped: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(piped))
    with pytest.raises(typer.Exit):
        asked()
    shown = capsys.readouterr()
    assert "BEGIN" not in shown.out + shown.err
