"""The quick way through a WebSocket's bytes: whole text frames, in and out; everything else is left to `websockets`."""

from __future__ import annotations

import os
from collections.abc import Iterator

WHOLE_TEXT = 0x81
"""First byte of a text frame that is neither fragmented nor extended (RFC 6455 §5.2)."""


class Cutter:
    """Follows a server's bytes from a frame's beginning on, however they are split."""

    __slots__ = ("_beginning", "_left")

    def __init__(self) -> None:
        self._left = 0
        """Bytes still to come of a frame whose beginning was handed on."""
        self._beginning = b""
        """Of a frame whose length is not known yet."""

    @classmethod
    def after(cls, data: bytes) -> Cutter | None:
        """One that goes on behind the frames in `data`, which `websockets` has; None where a head is cut in two."""
        cutter = cls()
        for _ in cutter.cut(data):
            pass
        return None if cutter._beginning else cutter

    def cut(self, data: bytes) -> Iterator[tuple[bool, bytes]]:
        """The pieces of `data` in order: (True, a whole text) or (False, bytes of frames of any other kind)."""
        if self._beginning:
            data, self._beginning = self._beginning + data, b""
        at, size = min(self._left, len(data)), len(data)
        if at:
            self._left -= at
            yield False, data[:at]
        while at < size:
            body, end = _extent(data, at, size)
            if not end:
                self._beginning = data[at:]
                return
            if end <= size and data[at] == WHOLE_TEXT and data[at + 1] < 128:
                yield True, data[body:end]
            else:
                self._left = max(0, end - size)
                yield False, data[at:end]
            at = end


def _extent(data: bytes, at: int, size: int) -> tuple[int, int]:
    """Where the payload of the frame at `at` begins and where it ends; (0, 0) while its head is incomplete."""
    if size - at < 2:
        return 0, 0
    length, body = data[at + 1] & 127, at + 2
    if length > 125:
        body += 2 if length == 126 else 8
        if size < body:
            return 0, 0
        length = int.from_bytes(data[at + 2 : body], "big")
    if data[at + 1] > 127:
        body += 4  # masked, which a server must not do: for `websockets` to refuse
    return body, body + length


def masked(text: bytes) -> bytes:
    """A whole text frame as a client must send it (RFC 6455 §5.2, §5.3)."""
    size, key = len(text), os.urandom(4)
    if size < 126:
        head = bytes((WHOLE_TEXT, 128 | size))
    elif size < 65_536:
        head = bytes((WHOLE_TEXT, 254)) + size.to_bytes(2, "big")
    else:
        head = bytes((WHOLE_TEXT, 255)) + size.to_bytes(8, "big")
    mask = (key * (size // 4 + 1))[:size]
    body = int.from_bytes(text, "big") ^ int.from_bytes(mask, "big")
    return head + key + body.to_bytes(size, "big")
