"""The shell round one engine, on the matching venue: nothing that comes while it waits is lost."""

import asyncio
from decimal import Decimal as D

from tests.unit.pit import Pit, neutral
from trading.live.session import Session
from trading.messages import Disconnected, Mark, Quote, Reason, Snapshot, Start
from trading.ports import Record, Recorder, SnapshotRequest


class Venue:
    """A gateway straight to the pit's venue; a reading can be held up."""

    def __init__(self, pit: Pit) -> None:
        self.pit = pit
        self.open = asyncio.Event()
        self.open.set()
        self.sent: list[object] = []

    def send(self, intent: object) -> None:
        self.sent.append(intent)
        self.pit.broker.send(intent, self.pit.now)

    async def snapshot(self, request: SnapshotRequest) -> Snapshot:
        found = self.pit.broker.snapshot(request, self.pit.now)
        await self.open.wait()
        return found


class Memory:
    """A journal that keeps the last record."""

    def __init__(self) -> None:
        self.last: Record | None = None

    async def now(self, source: Recorder) -> None:
        self.last = source.take()

    def later(self, source: Recorder) -> None:
        self.last = source.take()

    async def tell(self, account: object, notices: object) -> None: ...


class Life:
    """A started bot in its session."""

    def __init__(self) -> None:
        self.pit = Pit(neutral())
        self.venue = Venue(self.pit)
        self.tasks: list[asyncio.Task[None]] = []
        self.session = Session(self.pit.engine, self.venue, Memory(), self.spawn, lambda: self.pit.now)  # type: ignore[arg-type]

    def spawn(self, work):
        self.tasks.append(asyncio.ensure_future(work))

    async def begin(self) -> None:
        self.pit.begin()
        self.quote()
        await self.session.do(Start(self.pit.now))
        await self.read()
        self.hear()

    async def read(self) -> None:
        """A reading, and the commits that follow from it."""
        await self.session.reconcile()
        await asyncio.gather(*self.tasks)

    def hear(self) -> None:
        while events := self.pit.broker.take():
            for _, event in events:
                self.session.feed(event)

    def quote(self) -> None:
        bid, ask = self.pit.venue.bid("BTCUSDT"), self.pit.venue.ask("BTCUSDT")
        self.session.feed(Quote(self.pit.now, bid, ask))

    def move(self, price: str) -> None:
        self.pit.now += 1_000
        self.pit.venue.reach("BTCUSDT", D(price), self.pit.now)


async def test_a_quote_that_came_while_the_bot_was_read_releases_what_waited_for_it():
    life = Life()
    await life.begin()
    life.session.feed(Disconnected(life.pit.now))
    life.move("63900")  # the buy at 64,000 fills and asks for a sell at 65,000
    life.pit.broker.take()
    life.move("65500")
    life.quote()
    await life.read()
    assert life.pit.engine.holds.get(4).reason is Reason.WOULD_CROSS  # type: ignore[union-attr]
    life.venue.open.clear()
    life.session.feed(Disconnected(life.pit.now))
    reading = asyncio.ensure_future(life.session.reconcile())
    await asyncio.sleep(0)
    life.move("64500")
    life.quote()  # the last one for a long time
    life.venue.open.set()
    await reading
    life.hear()
    assert 4 in life.pit.engine.orders
    life.pit.check()


async def test_fills_that_were_missed_say_nothing_of_the_price_now():
    life = Life()
    await life.begin()
    life.session.feed(Disconnected(life.pit.now))
    life.move("67500")  # sells at 66,000 and 67,000 fill
    life.pit.broker.take()
    life.move("65500")
    life.quote()
    await life.read()
    life.hear()
    assert (life.pit.engine.bid, life.pit.engine.ask) == (life.pit.venue.bid("BTCUSDT"), life.pit.venue.ask("BTCUSDT"))
    assert len(life.pit.engine.orders) == 9  # slot 5 would buy at 65,000: that rests; slot 6 at 66,000 would cross
    life.pit.check()


async def test_a_mark_while_the_bot_is_read_is_not_handled_out_of_turn():
    life = Life()
    await life.begin()
    life.session.feed(Disconnected(life.pit.now))
    life.session.feed(Mark(life.pit.now, D(65000)))
    assert life.pit.engine.mark == 0
