"""The crash trial: one bot on the matching venue, with everything that can go wrong between them (architecture §5).

Messages are delayed, reordered, repeated and overlap the Snapshot; the bot is killed between any two of fill, send
and commit, and half-way through sending; orders expire while it is dead. After healing, position, working orders,
slots and money must agree with the venue. Seeded: a failing seed replays exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal as D

import msgspec

from tests.unit.pit import BTC, Pit, plan
from trading.core.engine import Engine
from trading.core.lifecycle import IllegalMove, Status
from trading.core.records import VenueError
from trading.messages import (
    Begin,
    Cancel,
    CancelRefused,
    Disconnected,
    Event,
    Fail,
    Filled,
    Intent,
    Pause,
    Place,
    Quote,
    Reconcile,
    Refused,
    Replan,
    Reset,
    Resume,
    Start,
    Stop,
    Tick,
    Uncertain,
)
from trading.model import Direction, OrderType
from trading.strategies.grid import Grid, GridPlan

MakeEngine = Callable[..., Engine]


class Trial(Pit):
    """One random life of one bot."""

    def __init__(self, seed: int, make_engine: MakeEngine = Engine, commits_late: bool = False) -> None:
        """`make_engine` and `commits_late` plant faults."""
        self.random = random.Random(seed)
        direction = self.random.choice(list(Direction))
        grids = self.random.choice((4, 6, 10))
        super().__init__(plan(direction, vacant=grids // 2, grids=grids))
        self.make_engine = make_engine
        self.engine = make_engine("abcd", 7, BTC)
        self.price = self.plan.price
        self.inbox: list[Event] = []
        self.wire: list[Intent] = []
        self.heard: list[Event] = []
        self.saved = b""
        self.dirty = False
        self.is_up = True
        self.reading: Event | None = None
        self.kills = 0
        self.commits_late = commits_late
        self.is_plan_due = False
        self.log: list[str] = []

    # ---- one life
    def run(self, steps: int = 120) -> None:
        self.begin()
        self.obey(Start(self.now))
        if not self.kills:
            self.recover()
        for _ in range(steps):
            self.now += self.random.randint(1, 400)
            self.random.choices(*zip(*self._deeds(), strict=True))[0]()
        self.heal()
        self.check()
        names = [o.client_id for o in self.venue.all_orders("me")]
        assert len(names) == len(set(names)), "a name was used twice"

    def _deeds(self) -> list[tuple[Callable[[], None], float]]:
        return [
            (self.move, 30),
            (self.arrive, 25),
            (self.hear, 40),
            (self.commit, 15),
            (self.tick, 8),
            (self.print_part, 8),
            (self.kill, 4),
            (self.drop_line, 3),
            (self.expire, 3),
            (self.audit, 4),
            (self.pause_or_resume, 1),
            (self.stop_or_start, 1.5),
            (self.reset, 1),
            (self.plan_again, 10),
            (self.shrink, 1),
            (self.revive, 1),
            (self.fund, 1),
        ]

    # ---- the venue's side
    def move(self) -> None:
        self.price += BTC.tick_size * self.random.choice((-1, 1)) * self.random.choice((500, 5000, 12000, 25000))
        self.price = min(max(self.price, D(58000)), D(72000))
        self.venue.reach("BTCUSDT", self.price, self.now)
        self.collect()
        if self.is_up:
            self.inbox.append(Quote(self.now, self.venue.bid("BTCUSDT"), self.venue.ask("BTCUSDT")))

    def print_part(self) -> None:
        """Part of the nearest resting order trades."""
        orders = [o for o in self.resting() if o.type is OrderType.LIMIT]
        if not orders:
            return
        order = min(orders, key=lambda o: abs(o.price - self.price))
        part = BTC.floor_qty(order.remaining * D(self.random.choice(("0.3", "0.5", "0.9"))))
        if part:
            self.venue.print_trade("BTCUSDT", order.price, part, order.side.value == "BUY", self.now)
            self.price = order.price
            self.collect()

    def expire(self) -> None:
        """The system ends an order."""
        orders = self.resting()
        if orders:
            self.venue.expire("me", self.random.choice(orders).order_id, "1", self.now)
            self.collect()

    def shrink(self) -> None:
        """A hand on the exchange makes an order smaller."""
        orders = [order for order in self.resting() if order.type is OrderType.LIMIT]
        if orders:
            order = self.random.choice(orders)
            qty = BTC.floor_qty(order.qty * D(self.random.choice(("0.5", "0.8"))))
            if qty > order.executed:
                self.venue.amend("me", BTC.symbol, order.order_id, None, order.side, order.price, qty, self.now)
                self.collect()

    def fund(self) -> None:
        self.venue.settle_funding("BTCUSDT", D(self.random.choice(("0.0001", "-0.0003"))), self.now)
        self.collect()

    def collect(self) -> None:
        """What the venue says goes on the line, or nowhere while that is down."""
        events = [event for _, event in self.broker.take()]
        if self.is_up:
            self.inbox.extend(events)
            self.heard.extend(events)

    def arrive(self) -> None:
        """Some of what was sent reaches the venue."""
        for _ in range(self.random.randint(1, 4)):
            if self.wire:
                self.broker.send(self.wire.pop(0), self.now)
        self.collect()

    # ---- the bot's side
    def hear(self) -> None:
        """The bot handles some of its messages: early ones mostly, now and then out of order or twice."""
        for _ in range(self.random.randint(1, 5)):
            if not self.inbox or self.reading is not None:
                return
            at = 0 if self.random.random() < 0.75 else self.random.randrange(min(len(self.inbox), 6))
            event = self.inbox.pop(at)
            if self.random.random() < 0.05 and not isinstance(event, Refused | CancelRefused):
                self.inbox.append(event)  # streams may repeat, answers to requests do not
            self.take(event)

    def take(self, event: Event) -> None:
        if not self.engine.status.is_live:
            return  # its session is over
        intents = self.engine.handle(event)
        self.dirty = True
        if self.engine.must_commit and not self.commits_late:
            self.commit()
        self.put(intents)

    def obey(self, command: Event) -> None:
        intents = self.engine.handle(command)
        if not self.commits_late:
            self.commit()
        if self.random.random() < 0.1:
            self.kill()
            return
        self.put(intents)

    def put(self, intents: list[Intent]) -> None:
        for i, intent in enumerate(intents):
            if isinstance(intent, Reconcile):
                self.ask()
            elif isinstance(intent, Replan):
                self.is_plan_due = True
            else:
                self.send(intent)
            if self.random.random() < 0.002:
                self.log.append(f"killed after {i + 1} of {len(intents)} intents")
                self.kill()
                return

    def send(self, intent: Intent) -> None:
        """As a gateway does: a placement that is under way does not leave twice."""
        waiting = {each.cid for each in self.wire if isinstance(each, Place)}
        if not (isinstance(intent, Place) and intent.cid in waiting):
            self.wire.append(intent)

    def commit(self) -> None:
        self.saved = self.engine.checkpoint()
        self.engine.fills.clear()
        self.dirty = False

    def tick(self) -> None:
        if self.reading is None:
            self.take(Tick(self.now))

    def ask(self) -> None:
        """A Snapshot of this instant; like a session, it is only used if nothing happened meanwhile."""
        if self.is_up and self.reading is None:
            if self.random.random() < 0.5:
                self.arrive()
            before = self.engine.moves
            snapshot = self.broker.snapshot(self.engine.request(), self.now)
            under_way = {i.cid for i in self.wire if isinstance(i, Place)}
            under_way |= {e.cid for e in self.inbox if isinstance(e, Refused)}
            snapshot = msgspec.structs.replace(snapshot, absent=snapshot.absent - under_way)
            if self.random.random() < 0.3:
                self.hear()
            if before == self.engine.moves:
                self.take(snapshot)

    def audit(self) -> None:
        if self.engine.status.is_live:
            self.ask()

    def pause_or_resume(self) -> None:
        if self.engine.status is Status.RUNNING:
            self.obey(Pause(self.now))
        elif self.engine.status is Status.PAUSED:
            self.obey(Resume(self.now))

    def stop_or_start(self) -> None:
        """What is settled while the bot is stopped nobody hears; its lots may be kept all the same."""
        if self.engine.status in (Status.RUNNING, Status.PAUSED):
            self.obey(Stop(self.now, close=self.random.random() < 0.4))
        elif not self.engine.status.is_live:
            self.start_again()

    def start_again(self) -> None:
        """A plan at the price of now; kept lots are carried into it or closed first."""
        assert self.position() == self.engine.ledger.position and not self.resting()
        for _ in range(self.random.randint(0, 3)):
            self.now += self.random.choice((500, 500_000))
            self.random.choice((self.move, self.fund))()
        self.plan = self.plan_of_now()
        close_first = self.random.random() < 0.4
        self.begin(close_first)
        self.engine.see(Quote(self.now, self.venue.bid("BTCUSDT"), self.venue.ask("BTCUSDT")))
        kills = self.kills
        self.obey(Start(self.now, close_first))
        if kills == self.kills:
            self.recover()

    def plan_of_now(self) -> GridPlan:
        grids = self.random.choice((4, 6, 10))
        levels = plan(self.plan.direction, 0, grids=grids).levels
        vacant = min(range(grids + 1), key=lambda i: abs(levels[i] - self.price))
        return plan(self.plan.direction, vacant, grids=grids)

    def reset(self) -> None:
        if self.engine.status in (Status.RUNNING, Status.PAUSED):
            self.obey(Reset(self.now, flatten=self.random.random() < 0.5))

    def plan_again(self) -> None:
        """The plan that a reset asked for is made, or cannot be."""
        if not self.is_plan_due:
            return
        self.is_plan_due = False
        if self.engine.status is not Status.RESETTING:
            return
        if self.random.random() < 0.1:
            self.obey(Fail(self.now, "below_minimum"))
            return
        self.plan = self.plan_of_now()
        self.begin_again(self.engine.kept.close)
        if self.random.random() < 0.1:
            self.commit()  # what was counted a moment ago takes the plan along
            if self.random.random() < 0.5:
                self.kill()
                return
        self.obey(Begin(self.now))

    # ---- disasters
    def kill(self) -> None:
        """kill -9: memory is gone; a prefix of what was sent had left."""
        self.kills += 1
        self.is_plan_due = False
        for intent in self.wire[: self.random.randint(0, len(self.wire))]:
            self.broker.send(intent, self.now)
        self.wire.clear()
        self.inbox.clear()
        self.broker.take()
        self.is_up = False
        for _ in range(self.random.randint(0, 3)):
            self.now += 500
            self.random.choice((self.move, self.print_part, self.expire))()
        if not self.saved:  # nothing was ever committed: the bot is as it was created
            self.engine = self.make_engine("abcd", 7, BTC)
            self.begin()
            self.obey(Start(self.now))
            self.recover()
            return
        kept = Engine.read(self.saved)
        strategy = Grid.unpack(kept.strategy, "abcd", 7)
        self.engine = self.make_engine("abcd", 7, BTC, checkpoint=kept, strategy=strategy)
        self.recover()

    def revive(self) -> None:
        """A session breaks and is built again beside a gateway that lives: what was sent is still under way."""
        if not self.saved or not self.engine.status.is_live:
            return
        self.is_plan_due = False
        self.inbox.clear()
        kept = Engine.read(self.saved)
        strategy = Grid.unpack(kept.strategy, "abcd", 7)
        self.engine = self.make_engine("abcd", 7, BTC, checkpoint=kept, strategy=strategy)
        self.is_up = True
        self.ask()

    def drop_line(self) -> None:
        """The line breaks: what was on it is lost, requests under way become uncertain."""
        self.is_up = False
        arrived = self.random.randint(0, len(self.wire))
        for intent in self.wire[:arrived]:
            self.broker.send(intent, self.now)
        doubtful = [i.cid for i in self.wire if isinstance(i, Place | Cancel)]
        self.wire.clear()
        self.inbox.clear()
        self.broker.take()
        self.take(Disconnected(self.now))
        kills = self.kills
        for cid in doubtful:
            if kills == self.kills:
                self.take(Uncertain(self.now, cid))
        if kills != self.kills:
            return
        for _ in range(self.random.randint(0, 3)):
            self.now += 500
            self.random.choice((self.move, self.print_part, self.expire))()
        self.recover()

    def recover(self) -> None:
        """Open the stream, read the truth while messages come in, handle it, then what was buffered."""
        self.is_up = True
        self.inbox = [e for e in self.heard[-6:] if isinstance(e, Filled) and self.random.random() < 0.5]
        if self.random.random() < 0.4:
            self.move()
        snapshot = self.broker.snapshot(self.engine.request(), self.now)
        for _ in range(self.random.randint(0, 2)):
            self.now += 100
            self.random.choice((self.move, self.print_part))()
        if self.engine.status.is_live:
            self.take(snapshot)

    # ---- the end
    def heal(self) -> None:
        """Everything arrives; then audits until nothing changes any more. A stopped bot is started again."""
        self.calm_down()
        if not self.engine.status.is_live:
            self.start_again()
            self.calm_down()

    def calm_down(self) -> None:
        for _ in range(12):
            self.now += 7_000
            for _ in range(200):
                if not (self.inbox or self.wire):
                    break
                while self.wire:
                    self.broker.send(self.wire.pop(0), self.now)
                self.collect()
                while self.inbox:
                    self.take(self.inbox.pop(0))
            if self.engine.status is Status.PAUSED:
                self.take(Resume(self.now))
            self.plan_again()
            self.take(Tick(self.now))
            self.inbox.append(Quote(self.now, self.venue.bid("BTCUSDT"), self.venue.ask("BTCUSDT")))
            self.audit()


def trial(seed: int, make_engine: MakeEngine = Engine, commits_late: bool = False) -> Trial:
    """Run one seed; an AssertionError names what went wrong."""
    life = Trial(seed, make_engine, commits_late)
    try:
        life.run()
    except (AssertionError, VenueError, KeyError, RecursionError, IllegalMove) as error:
        raise AssertionError(f"seed {seed}: {error!r}") from error
    return life
