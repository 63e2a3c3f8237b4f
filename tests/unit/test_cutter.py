"""The quick way of text frames tells exactly what `websockets` tells, however the bytes are split."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from trading.gateways.binance.cutter import Cutter, masked
from trading.gateways.binance.streams import Socket, Stream

LENGTHS = st.sampled_from([0, 1, 5, 125, 126, 127, 300, 65_535, 65_536, 70_000])
KINDS = st.sampled_from(["text", "text", "text", "ping", "fragments", "binary", "masked"])


def frames(kind: str, length: int, number: int) -> list[bytes]:
    body = (b"%d:" % number + b"x" * length)[:length]
    if kind == "fragments":
        return [
            Frame(Opcode.TEXT, body, fin=False).serialize(mask=False),
            Frame(Opcode.CONT, body).serialize(mask=False),
        ]
    if kind == "ping":
        return [Frame(Opcode.PING, body[:125]).serialize(mask=False)]
    opcode = Opcode.BINARY if kind == "binary" else Opcode.TEXT
    return [Frame(opcode, body).serialize(mask=kind == "masked")]


@given(st.lists(st.tuples(KINDS, LENGTHS), min_size=1, max_size=6), st.integers(0, 400_000))
@settings(max_examples=100, deadline=None)
def test_frames_that_came_with_the_handshake_are_followed(made: list[tuple[str, int]], cut: int) -> None:
    whole = b"".join(frame for number, (kind, length) in enumerate(made) for frame in frames(kind, length, number))
    text = Frame(Opcode.TEXT, b"next").serialize(mask=False)
    cut = min(cut, len(whole))
    cutter = Cutter.after(whole[:cut])
    if cutter is not None:
        assert list(cutter.cut(whole[cut:] + text))[-1] == (True, b"next")


@given(st.lists(st.tuples(KINDS, LENGTHS), max_size=12), st.lists(st.integers(1, 80_000), max_size=30))
@settings(max_examples=150, deadline=None)
def test_texts_are_cut_out_in_order_and_every_other_byte_is_handed_on(
    made: list[tuple[str, int]], cuts: list[int]
) -> None:
    wire = [(kind, frame) for number, (kind, length) in enumerate(made) for frame in frames(kind, length, number)]
    whole = b"".join(frame for _, frame in wire)
    cutter, rebuilt, at = Cutter(), b"", 0
    for cut in [*cuts, len(whole)]:
        for is_text, piece in cutter.cut(whole[at : at + cut]):
            rebuilt += Frame(Opcode.TEXT, piece).serialize(mask=False) if is_text else piece
        at += cut
    assert rebuilt == whole


@given(LENGTHS | st.integers(0, 2_000), st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_what_is_sent_is_a_masked_text_frame(length: int, byte: int) -> None:
    text = bytes((byte + i) % 256 for i in range(min(length, 300))).ljust(length, b"x")
    reader = StreamReader()
    reader.feed_data(masked(text))
    parsing = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    frame = parsed.value.value
    assert (frame.opcode, frame.fin, frame.data) == (Opcode.TEXT, True, text)
    reader.feed_eof()
    with pytest.raises(StopIteration) as ended:
        next(reader.at_eof())
    assert ended.value.value is True, "nothing behind it"


def test_a_text_that_came_whole_is_cut_out_and_one_that_came_in_parts_is_not() -> None:
    frame = Frame(Opcode.TEXT, b"hello").serialize(mask=False)
    assert list(Cutter().cut(frame * 2)) == [(True, b"hello")] * 2
    cutter = Cutter()
    assert list(cutter.cut(frame[:1])) == []
    assert list(cutter.cut(frame[1:])) == [(True, b"hello")], "its head alone was held back"
    assert list(cutter.cut(frame[:4])) == [(False, frame[:4])]
    assert list(cutter.cut(frame[4:] + frame)) == [(False, frame[4:]), (True, b"hello")]
    masked = Frame(Opcode.TEXT, b"hello").serialize(mask=True)
    assert [is_text for is_text, _ in cutter.cut(masked)] == [False]


class Server:
    """A real server that speaks one script to everybody."""

    def __init__(self, script: list[object]) -> None:
        self.script = script

    async def speak(self, connection: ServerConnection) -> None:
        for part in self.script:
            if part is None:
                await (await connection.ping())
            elif isinstance(part, bytes):
                connection.transport.write(part)
            else:
                await connection.send(part)  # type: ignore[arg-type]
        await connection.close()


async def heard(script: list[object], monkeypatch: pytest.MonkeyPatch, is_quick: bool) -> tuple[list[bytes], int]:
    """What a stream hears of `script`, and how many frames of it through `websockets`."""
    texts: list[bytes] = []
    slow = 0
    right = Socket.process_event

    def process_event(self, event):
        nonlocal slow
        slow += isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.CONT)
        right(self, event)

    monkeypatch.setattr(Socket, "process_event", process_event)
    if not is_quick:
        monkeypatch.setattr(Cutter, "after", lambda data: None)
    async with serve(Server(script).speak, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        down = asyncio.Event()

        async def address() -> str:
            return f"ws://127.0.0.1:{port}"

        sockets: list[Socket] = []
        stream = Stream("test", address, texts.append, sockets.append, lambda why: down.set())
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            running = group.create_task(stream.run())
            await down.wait()
            running.cancel()
    return texts, slow


@pytest.mark.parametrize("is_quick", [True, False])
async def test_both_ways_hear_the_same_with_pings_fragments_and_giants_between(
    monkeypatch: pytest.MonkeyPatch, is_quick: bool
) -> None:
    burst = b"".join(Frame(Opcode.TEXT, b"burst %d" % n).serialize(mask=False) for n in range(200))
    script: list[object] = ["first", None, burst, ["frag", "ment", "ed"], "g" * 1_000_000, None, "last"]
    texts, slow = await heard(script, monkeypatch, is_quick)
    wanted = [b"first", *(b"burst %d" % n for n in range(200)), b"fragmented", b"g" * 1_000_000, b"last"]
    assert texts == wanted
    assert slow < 20 if is_quick else slow > 200


async def test_what_comes_after_the_close_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Frame(Opcode.TEXT, b"before").serialize(mask=False)
    end = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)
    texts, _ = await heard([text + end + text], monkeypatch, True)
    assert texts == [b"before"]
