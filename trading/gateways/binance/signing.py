"""Signed requests as Binance reads them: one signature over exactly the bytes that are sent (binance-usdm.md §3).

Pure. The secret never leaves a Signer: neither repr nor any exception shows it.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from trading.gateways.binance.wire import encode
from trading.messages import Place
from trading.model import ClientOrderId, OrderType, plain
from trading.ports import Broken, Credentials

Parameter = str | int
PEM = "-----BEGIN"
"""How a secret begins that is a private key."""


def signer(credentials: Credentials) -> Signer:
    """The Signer of an API key; what kind of key it is shows in its secret. Raises Broken for a PEM we cannot use."""
    if PEM not in credentials.secret:
        return Signer(credentials)
    # environments and forms often keep a PEM on one line
    pem = credentials.secret.strip().replace("\\n", "\n").encode()
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # what the library says might show the key
        raise Broken("the secret is a PEM that cannot be read: an unencrypted PKCS#8 private key is needed") from None
    if isinstance(key, Ed25519PrivateKey | RSAPrivateKey):
        return KeySigner(credentials.key, key)
    raise Broken("the secret is a private key of a kind that the venue does not take: Ed25519 or RSA is needed")


def order_params(order: Place) -> dict[str, str]:
    """An order as REST and its batches take it."""
    params = {"symbol": order.symbol, "side": order.side.value, "type": order.type.value}
    params |= {"quantity": plain(order.qty), "newClientOrderId": str(order.cid)}
    if order.type is OrderType.LIMIT:
        params |= {"price": plain(order.price), "timeInForce": order.tif.value}
    if order.reduce_only:
        params["reduceOnly"] = "true"
    return params


class Signer:
    """Signs the requests of one HMAC key; what is the same in every order is prepared once."""

    kind = "HMAC"
    can_log_on = False
    """Whether a WebSocket API session can be authorised once instead of each request."""
    in_session = False
    """Whether one is."""

    def __init__(self, credentials: Credentials, recv_window: int = 5000) -> None:
        self.key = credentials.key
        self._window = recv_window
        self._head = f"apiKey={credentials.key}&"
        self._prepare(credentials.secret)
        self._begin(encode({"apiKey": credentials.key})[:-1].decode() + ",")

    def _prepare(self, secret: str) -> None:
        self._mac = hmac.new(secret.encode(), digestmod="sha256")
        self._orders = self._mac.copy()
        self._orders.update(self._head.encode())

    def _begin(self, params: str) -> None:
        """How the parameters of every order begin."""
        self._place = f'","method":"order.place","params":{params}"newClientOrderId":"'
        self._cancel = f'","method":"order.cancel","params":{params}"origClientOrderId":"'

    def __repr__(self) -> str:
        return "Signer(***)"

    def use_session(self, is_on: bool) -> None:
        """From now on the WebSocket API knows who we are, or does not."""

    def signature(self, text: str) -> str:
        """Lower-case hex over `text`."""
        mac = self._mac.copy()
        mac.update(text.encode())
        return mac.hexdigest()

    def query(self, params: Mapping[str, Parameter], now: int) -> str:
        """The query string of a signed REST request; values are encoded before signing."""
        text = urlencode({**params, "recvWindow": self._window, "timestamp": now})
        return f"{text}&signature={quote(self.signature(text), safe='')}"

    def request(self, number: int | str, method: str, params: Mapping[str, Parameter], now: int) -> bytes:
        """Any signed request of the WebSocket API: parameters sorted by name, joined raw."""
        full: dict[str, Parameter] = {**params, "apiKey": self.key, "recvWindow": self._window, "timestamp": now}
        text = "&".join(f"{name}={full[name]}" for name in sorted(full))
        return encode({"id": f"{number}", "method": method, "params": {**full, "signature": self.signature(text)}})

    def _seal(self, text: str) -> str:
        """The end of an order's parameters: the signature over the key and `text`."""
        mac = self._orders.copy()
        mac.update(text.encode())
        return f',"signature":"{mac.hexdigest()}"'

    def place(self, number: int, order: Place, now: int) -> bytes:
        """`order.place`, built by hand: this is the hot path. Every value is plain ASCII by construction."""
        name, qty, window = str(order.cid), plain(order.qty), self._window
        reduce_text = "reduceOnly=true&" if order.reduce_only else ""
        reduce_json = '"reduceOnly":"true",' if order.reduce_only else ""
        side, symbol = order.side._value_, order.symbol  # `value` is a property, and slow
        if order.type is OrderType.LIMIT:
            price, tif = plain(order.price), order.tif._value_
            text = (
                f"newClientOrderId={name}&price={price}&quantity={qty}&recvWindow={window}&{reduce_text}side={side}"
                f"&symbol={symbol}&timeInForce={tif}&timestamp={now}&type=LIMIT"
            )
            rest = f'"price":"{price}","timeInForce":"{tif}","type":"LIMIT"'
        else:
            text = (
                f"newClientOrderId={name}&quantity={qty}&recvWindow={window}&{reduce_text}side={side}"
                f"&symbol={symbol}&timestamp={now}&type=MARKET"
            )
            rest = '"type":"MARKET"'
        return (
            f'{{"id":"{number}{self._place}{name}","quantity":"{qty}","recvWindow":{window},{reduce_json}'
            f'"side":"{side}","symbol":"{symbol}","timestamp":{now},{rest}{self._seal(text)}}}}}'
        ).encode()

    def cancel(self, number: int, symbol: str, cid: ClientOrderId, now: int) -> bytes:
        """`order.cancel` by client order id."""
        text = f"origClientOrderId={cid}&recvWindow={self._window}&symbol={symbol}&timestamp={now}"
        return (
            f'{{"id":"{number}{self._cancel}{cid}","recvWindow":{self._window},"symbol":"{symbol}",'
            f'"timestamp":{now}{self._seal(text)}}}}}'
        ).encode()


class KeySigner(Signer):
    """Signs with a private key: Ed25519, which may log on once per connection, or RSA."""

    def __init__(self, key: str, private: Ed25519PrivateKey | RSAPrivateKey, recv_window: int = 5000) -> None:
        self._private = private
        super().__init__(Credentials(key, ""), recv_window)
        self._signed_params = encode({"apiKey": key})[:-1].decode() + ","
        self.can_log_on = isinstance(private, Ed25519PrivateKey)
        self.kind = "Ed25519" if self.can_log_on else "RSA"

    def _prepare(self, secret: str) -> None:
        """There is nothing to prepare: a private key signs whole messages."""

    def use_session(self, is_on: bool) -> None:
        self.in_session = is_on
        self._begin("{" if is_on else self._signed_params)

    def signature(self, text: str) -> str:
        """Base64 over `text`."""
        private, message = self._private, text.encode()
        if isinstance(private, Ed25519PrivateKey):
            return b64encode(private.sign(message)).decode()
        return b64encode(private.sign(message, PKCS1v15(), SHA256())).decode()

    def _seal(self, text: str) -> str:
        return "" if self.in_session else f',"signature":"{self.signature(self._head + text)}"'
