"""The shell round one engine, on the matching venue: nothing that comes while it waits is lost."""

import asyncio
from decimal import Decimal as D

import pytest

from tests.unit.pit import Pit, neutral, plan
from trading.core.lifecycle import Status
from trading.live import session as sessions
from trading.live.session import Session
from trading.messages import (
    Begin,
    Command,
    Disconnected,
    Event,
    Mark,
    NoticeKind,
    Pause,
    PlaceAgain,
    Quote,
    Reason,
    Reset,
    Resume,
    Snapshot,
    Start,
    Stop,
    Tick,
)
from trading.model import Direction
from trading.ports import Broken, Disagree, NotListed, RateLimited, Record, Recorder, SnapshotRequest, TradingError
from trading.strategies.grid import GridPlan


class Venue:
    """A gateway straight to the pit's venue; a reading can be held up."""

    def __init__(self, pit: Pit) -> None:
        self.pit = pit
        self.open = asyncio.Event()
        self.open.set()
        self.trouble: TradingError | None = None
        self.sent: list[object] = []

    def now(self) -> int:
        return self.pit.now

    def send(self, intent: object) -> None:
        self.sent.append(intent)
        self.pit.broker.send(intent, self.pit.now)

    async def snapshot(self, request: SnapshotRequest) -> Snapshot:
        found = self.pit.broker.snapshot(request, self.pit.now)
        await self.open.wait()
        if self.trouble is not None:
            raise self.trouble
        return found


class Memory:
    """A journal that keeps the last record; a commit can be held up."""

    def __init__(self) -> None:
        self.last: Record | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def now(self, source: Recorder) -> None:
        self.last = source.take()
        await self.open.wait()

    def later(self, source: Recorder) -> None:
        self.last = source.take()

    async def tell(self, account: object, notices: object) -> None: ...


class Life:
    """A started bot in its session."""

    def __init__(self, grid: GridPlan | None = None) -> None:
        self.pit = Pit(grid or neutral())
        self.venue = Venue(self.pit)
        self.journal = Memory()
        self.tasks: list[asyncio.Task[None]] = []
        self.session = Session(self.pit.engine, self.venue, self.journal, self.spawn)  # type: ignore[arg-type]

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


async def test_a_bot_whose_instrument_is_listed_no_more_ends_and_so_does_its_reading():
    life = Life()
    await life.begin()
    over = []
    life.session.on_over = lambda: over.append(life.pit.engine.status)
    life.session.feed(Disconnected(life.pit.now))
    life.venue.trouble = NotListed("gone")
    async with asyncio.timeout(5):
        await life.read()
    assert over == [Status.FAILED]
    with pytest.raises(Broken):
        await life.session.do(Stop(life.pit.now))


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


class Away(Memory):
    """A journal whose database does not answer."""

    async def now(self, source: Recorder) -> None:
        await asyncio.sleep(0)
        raise OSError("the database does not answer")


async def test_every_command_of_a_session_that_breaks_is_answered():
    life = Life()
    await life.begin()
    broken: list[BaseException] = []
    life.session.on_broken = broken.append
    life.session.journal = Away()
    asked = [asyncio.ensure_future(life.session.do(each(life.pit.now))) for each in (Pause, Resume, Stop)]
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 1)
    assert [type(answer) for answer in answers] == [OSError] * 3
    assert len(broken) == 1
    with pytest.raises(Broken):
        await life.session.do(Stop(life.pit.now))


async def test_a_command_that_the_engine_chokes_on_is_answered():
    life = Life()
    await life.begin()
    with pytest.raises(KeyError):
        await asyncio.wait_for(life.session.do(Command(life.pit.now)), 1)


async def test_a_session_that_broke_while_it_read_sends_nothing_more():
    life = Life()
    await life.begin()
    life.pit.venue.expire("me", life.pit.engine.orders[4].order_id, "1", life.pit.now)
    life.pit.broker.take()
    life.venue.open.clear()
    reading = asyncio.ensure_future(life.session.reconcile())
    await asyncio.sleep(0)
    life.session.feed(Event(life.pit.now))
    sent = len(life.venue.sent)
    life.venue.open.set()
    await asyncio.wait_for(reading, 1)
    assert len(life.venue.sent) == sent


async def test_a_command_behind_the_end_of_a_bot_is_answered():
    life = Life()
    await life.begin()
    await life.session.do(Stop(life.pit.now))
    life.hear()
    asked = asyncio.ensure_future(life.session.reconcile())
    await asked
    assert life.pit.engine.status is Status.STOPPED
    with pytest.raises(Broken):
        await asyncio.wait_for(life.session.do(PlaceAgain(life.pit.now, 4)), 1)


async def test_orders_that_wait_for_their_commit_are_not_taken_for_lost_and_sent_twice():
    life = Life(plan(Direction.LONG))
    await life.begin()
    await life.session.do(Reset(life.pit.now, True))
    for _ in range(4):
        life.hear()
        await asyncio.gather(*life.tasks)
        life.pit.now += 1_000
        life.session.feed(Tick(life.pit.now))
    assert (life.pit.engine.status, life.pit.position()) == (Status.RESETTING, 0)
    life.pit.begin_again()
    life.journal.open.clear()
    begun = asyncio.ensure_future(life.session.do(Begin(life.pit.now)))
    await asyncio.sleep(0)
    reading = asyncio.ensure_future(life.session.reconcile())
    await asyncio.sleep(0)
    life.journal.open.set()
    await asyncio.gather(begun, reading)
    life.hear()
    await asyncio.gather(*life.tasks)
    assert life.pit.position() == sum(life.pit.plan.quantities[5:]), "one initial order, not two"
    life.pit.check()


async def test_a_stream_that_breaks_while_a_reading_fails_holds_the_bot_until_a_reading_is_through():
    life = Life()
    await life.begin()
    life.venue.open.clear()
    life.venue.trouble = TradingError("the line is down")
    reading = asyncio.ensure_future(life.session.reconcile())
    await asyncio.sleep(0)
    life.session.feed(Disconnected(life.pit.now))
    life.venue.open.set()
    await asyncio.sleep(0.01)
    life.venue.trouble = None
    life.move("63900")  # told by the next stream, before the reading that it has to wait for
    life.hear()
    assert life.pit.engine.ledger.position == 0
    await reading
    life.hear()
    life.pit.check()


async def test_a_no_for_somebody_who_no_longer_waits_breaks_nothing():
    life = Life()
    await life.begin()
    life.journal.open.clear()
    asked = [asyncio.ensure_future(life.session.do(Reset(life.pit.now, False))) for _ in range(2)]
    await asyncio.sleep(0)
    asked[1].cancel()
    await asyncio.sleep(0)
    life.journal.open.set()
    await asyncio.gather(*asked, return_exceptions=True)
    await life.session.do(Stop(life.pit.now))
    assert life.pit.engine.status is Status.STOPPING


async def test_a_look_does_not_wait_for_a_reading_that_goes_on_failing(monkeypatch):
    monkeypatch.setattr(sessions, "LOOK", 0.05)
    life = Life()
    await life.begin()
    life.session.feed(Disconnected(life.pit.now))
    life.venue.trouble = TradingError("no such symbol")
    await asyncio.wait_for(life.session.look(), 1)
    assert life.session.is_reading
    life.venue.trouble = None
    await asyncio.gather(*life.tasks)
    life.pit.check()


async def test_a_wait_that_the_venue_asks_for_is_measured_by_the_venues_clock():
    life = Life()
    await life.begin()
    life.venue.trouble = RateLimited(life.pit.now + 600)
    reading = asyncio.ensure_future(life.session.reconcile())
    await asyncio.sleep(0)
    life.venue.trouble = None
    await asyncio.wait_for(reading, 2)
    life.pit.check()


async def test_a_pause_because_the_reads_disagree_is_of_the_venues_time():
    life = Life()
    await life.begin()
    life.venue.trouble = Disagree("reads disagree")
    await life.read()
    assert life.journal.last is not None
    assert [(notice.kind, notice.time) for notice in life.journal.last.notices] == [(NoticeKind.PAUSED, life.pit.now)]
