"""The painter's process: reads pictures to draw from its input and writes them as PNG, until the input ends."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import BinaryIO

import msgspec

from bot import drawing
from bot.charts import Picture


def work(source: BinaryIO, sink: BinaryIO) -> None:
    """A length of four bytes before each message, both ways; an empty answer = it could not be drawn."""
    decoder = msgspec.msgpack.Decoder(Picture)
    while len(head := source.read(4)) == 4:
        wish = source.read(int.from_bytes(head, "big"))
        try:
            png = drawing.draw(decoder.decode(wish))
        except (ValueError, ArithmeticError, LookupError, TypeError) as error:
            sys.stderr.write(f"picture not drawn: {error!r}\n")
            png = b""
        sink.write(len(png).to_bytes(4, "big") + png)
        sink.flush()


if __name__ == "__main__":
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)  # orders come first
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        work(sys.stdin.buffer, sys.stdout.buffer)
