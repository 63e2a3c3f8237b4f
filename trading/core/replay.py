"""A bot over a recorded path: the engine and the strategy that trade live, on the matching venue (product.md §8).

Inside a candle the price goes open, low, high, close when it rose, else open, high, low, close; between them and from
candle to candle it goes straight. What the path reaches fills at its own price and is answered at once, for the rest
of the path. Candles that touch neither an order nor a stop, and move `total` to no new peak or fall, are passed over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from trading.core.broker import Broker
from trading.core.engine import Engine
from trading.core.lifecycle import OVER, Status
from trading.core.outcome import Deal, Moment, Outcome, Trace
from trading.core.stretch import Stretch
from trading.core.venue import Venue
from trading.messages import Event, Filled, Foreign, Mark, Quote, Reason, Reconcile, Refused, Start, Tick
from trading.model import ZERO, Bracket, ClientOrderId, Instrument
from trading.ports import SnapshotRequest
from trading.strategies.grid import Grid, GridPlan

ACCOUNT, INSTALL, BOT = "tape", "tape", 1
AMPLE = Decimal(10) ** 12
"""The wallet of an account that is taken as large enough."""
EXACT = Context(prec=40, rounding=ROUND_HALF_EVEN)
DAY = 86_400_000
YEAR = 365 * DAY
MINUTE = 60_000
HEAD = 10
"""Rows that tell how long a candle is."""
NOWHERE, EVERYWHERE = Decimal("-Infinity"), Decimal("Infinity")

Planner = Callable[[Decimal], GridPlan]
"""The plan at a price: `plan.make` with everything else given; may raise Declined."""


def unlimited(instrument: Instrument) -> Instrument:
    """`instrument` with only those rules that refuse where the account is taken as large enough: the minimums."""
    return replace(
        instrument,
        max_qty=ZERO,
        market_max_qty=ZERO,
        max_orders=0,
        min_price=ZERO,
        max_price=ZERO,
        multiplier_up=ZERO,
        multiplier_down=ZERO,
        status="TRADING",
    )


class Rules(Struct, frozen=True):
    """How a replay matches and what it pays."""

    brackets: tuple[Bracket, ...] | None = None
    """None: the account is taken as large enough, and nothing is liquidated."""
    through: bool = False
    """Whether an order fills only when the path passes it by a tick."""
    funding: tuple[tuple[int, Decimal], ...] = ()
    """(time, rate), ascending."""


class Replay:
    """One bot on one tape: feed the stretches in order, then ask for the outcome."""

    def __init__(self, plan: Planner, rules: Rules | None = None, trace: Trace | None = None) -> None:
        self.rules = rules if rules is not None else Rules()
        self.trace = trace
        self.plan: GridPlan | None = None
        """None until the first price is known."""
        self._make = plan
        self._fundings = list(self.rules.funding)[::-1]
        self._candles = self._fills = 0
        self._refused: set[ClientOrderId] = set()
        self._first = self._last = self._price = ZERO
        self._began = self._time = self._length = 0
        self._most = self._peak = self._fall = ZERO
        self._low = self._high = self._rest = self._held = ZERO
        self._bounds = (0.0, 0.0)
        self._floats: dict[Decimal, float] = {}
        """Of the levels: turning a decimal into a float is slow."""
        self._head: list[Stretch] = []
        """What came before there was enough to begin with."""
        self._is_watched = True
        """Whether the engine must see every price: slots wait for one."""
        self._trigger: Decimal | None = None
        """While the bot waits for it."""

    # ------------------------------------------------------------------ the tape

    def feed(self, stretch: Stretch) -> None:
        """Go on along `stretch`; raises Declined where the first price allows no plan.

        Nothing happens before HEAD rows are there, or `outcome` is asked for: they tell how long a candle is.
        """
        if self.plan is not None:
            self._follow(stretch)
            return
        self._head.append(stretch)
        if sum(map(len, self._head)) >= HEAD:
            self._set_out()

    def _set_out(self) -> None:
        """A candle is as long as the shortest step between the first ones, however they were handed in."""
        head, self._head = self._head, []
        times = [time for stretch in head for time in stretch.times[:HEAD]][:HEAD]
        if all(stretch.ids is None for stretch in head):
            self._length = int(min((later - earlier for earlier, later in pairwise(times)), default=MINUTE))
        for stretch in head:
            self._follow(stretch)

    def _follow(self, stretch: Stretch) -> None:
        if not len(stretch):
            return
        with localcontext(EXACT):
            at = 0
            if self.plan is None:
                self._arrive(stretch)
                at = 1
            while at < len(stretch):
                end = min(len(stretch), at + self.trace.step) if self.trace is not None else len(stretch)
                self._pass(stretch, at, end)
                at = end
                if self.trace is not None:
                    self._look(stretch, at - 1)
            self._candles += len(stretch)
            self._time = int(stretch.times[-1])
            self._last = stretch.close(len(stretch) - 1)
            self._forget()

    def _look(self, stretch: Stretch, at: int) -> None:
        assert self.trace is not None
        price, ledger = stretch.close(at), self._engine.ledger
        self.trace.add(Moment(int(stretch.times[at]), price, ledger.position, ledger.total(price)))

    def _pass(self, stretch: Stretch, start: int, end: int) -> None:
        """Candles `start` up to `end`: those in which a funding is settled are walked, the others scanned."""
        while start < end:
            due = end
            if self._fundings:
                due = bisect_left(stretch.times, self._fundings[-1][0] - 3 * self._length // 4, start, end)
            if start < due:
                self._scan(stretch, start, due)
            if due < end:
                self._walk(stretch, due)
            start = due + 1

    def _scan(self, stretch: Stretch, start: int, end: int) -> None:
        """Walk those candles that may touch something."""
        tops, bottoms = stretch.tops, stretch.bottoms
        if start or end < len(tops):
            tops, bottoms = tops[start:end], bottoms[start:end]
        low, high = self._bounds
        for at, bottom, top in zip(range(start, end), bottoms, tops, strict=True):
            if bottom <= low or top >= high:
                self._walk(stretch, at)
                low, high = self._bounds
        self._price = stretch.close(end - 1)

    def _walk(self, stretch: Stretch, at: int) -> None:
        """One candle, point by point."""
        time, length, path = int(stretch.times[at]), self._length, stretch.path(at)
        is_due = bool(self._fundings) and self._fundings[-1][0] <= time + 3 * length // 4
        if is_due and at:  # its straight way from the last close
            self._price = stretch.close(at - 1)
        low, high = self._low, self._high
        for index, price in enumerate(path):
            if is_due or not low < price < high:
                self._point(time + index * length // 4, price)
                low, high = self._low, self._high
        self._price = path[-1]

    def _point(self, now: int, price: Decimal) -> None:
        """A point of the path: the way to it, its fills, its stops, and what `total` is there."""
        while self._fundings and self._fundings[-1][0] < now:
            self._settle(*self._fundings.pop())
        trigger = self._trigger
        if trigger is not None:
            if not min(self._price, price) <= trigger <= max(self._price, price):
                self._price = price
                return
            self._start(trigger, now)
        self._go(now, price)
        self._price = price
        while self._fundings and self._fundings[-1][0] == now:  # after the fills of its own instant, before its stops
            self._settle(*self._fundings.pop())
        if self._stops:
            self._judge(now, price)
        self._weigh()
        total = self._rest + self._held * price
        if total > self._peak:
            self._peak = total
        elif self._peak - total > self._fall:
            self._fall = self._peak - total
        self._bound()

    def _weigh(self) -> None:
        """`total` at any price is `rest` + `held` · price until the next fill or funding."""
        ledger = self._engine.ledger
        self._held, self._rest = ledger.position, ledger.rest

    # ------------------------------------------------------------------ the bot

    def _arrive(self, stretch: Stretch) -> None:
        """The first open: the plan is made, and the bot starts unless it waits for its trigger."""
        self._began = int(stretch.times[0])
        self._price = self._first = stretch.open(0)
        plan = self.plan = self._make(self._first)
        self._open(plan)
        self._floats = {level: float(level) for level in plan.levels}
        if plan.trigger is not None and plan.trigger != self._first:
            self._trigger = plan.trigger
        else:
            self._start(self._first, self._began)
        self._fundings = [row for row in self._fundings if row[0] > self._began]
        self._bound()
        self._point(self._began, self._first)  # whatever the bounds: it may lie beyond a stop already
        self._walk(stretch, 0)
        if self.trace is not None:
            self._look(stretch, 0)

    def _open(self, plan: GridPlan) -> None:
        """An account of the investment, or one that is large enough, on a venue of one instrument."""
        instrument, brackets = plan.instrument, self.rules.brackets
        symbol = instrument.symbol
        self._venue = Venue(
            [instrument],
            {symbol: brackets} if brackets else None,
            instrument.quote,
            through=self.rules.through,
            is_terse=True,
        )
        wallet = AMPLE if brackets is None else plan.investment
        self._venue.open_account(ACCOUNT, wallet, self._began, is_ample=brackets is None)
        if brackets is not None:
            self._venue.set_leverage(ACCOUNT, symbol, plan.leverage, self._began)
            if self._venue.margin_mode(ACCOUNT, symbol) is not plan.margin_mode:
                self._venue.set_margin_mode(ACCOUNT, symbol, plan.margin_mode, self._began)
        self._broker = Broker(self._venue, ACCOUNT)
        self._broker.take()
        self._symbol, self._tick = symbol, instrument.tick_size
        self._engine = Engine(INSTALL, BOT, instrument)
        self._engine.teller.is_silent = True
        self._engine.confirm_after = 0
        self._stops = any(stop is not None for stop in (plan.stop_loss, plan.stop_loss_high, plan.take_profit))
        self._grid = Grid.begin(replace(plan, trigger=None), INSTALL, BOT)
        self._engine.adopt(self._grid)

    def _start(self, price: Decimal, now: int) -> None:
        """Place everything; the initial order trades at `price`."""
        self._trigger = None
        self._began = now
        self._venue.reach(self._symbol, price, now)
        self._tell(self._quote(now))
        self._tell(Start(now))
        self._snapshot(now)
        self._deliver()

    def _go(self, now: int, price: Decimal) -> None:
        """The straight way to `price`, order by order."""
        advance, symbol = self._venue.advance, self._symbol
        while advance(symbol, price, now):
            if self._is_watched:
                self._tell(self._quote(now))
            self._deliver()
        if self._is_watched:
            self._tell(self._quote(now))
            if self._engine.holds.by_slot:
                self._tell(Tick(now))
            self._deliver()

    def _judge(self, now: int, price: Decimal) -> None:
        if self._engine.status not in OVER:
            self._tell(Mark(now, price))
            self._deliver()

    def _settle(self, time: int, rate: Decimal) -> None:
        """A funding at tape time, on the mark of the point before it."""
        if self._trigger is None:
            self._venue.reach(self._symbol, self._price, time)
            self._venue.settle_funding(self._symbol, rate, time)
            self._deliver()

    def _quote(self, now: int) -> Quote:
        price = self._venue.last(self._symbol)
        return Quote(now, price - self._tick, price + self._tick)

    def _tell(self, event: Event | Start) -> bool:
        """The engine takes in `event`, the venue what it answers; whether it answered."""
        intents = self._engine.handle(event)
        for intent in intents:
            if type(intent) is Reconcile:
                self._snapshot(event.time)
            else:
                self._broker.send(intent, event.time)
        return bool(intents)

    def _snapshot(self, now: int) -> None:
        request: SnapshotRequest = self._engine.request()
        self._tell(self._broker.snapshot(request, now))

    def _deliver(self) -> None:
        """Until nothing more happens."""
        engine, tell = self._engine, self._tell
        is_answered = True
        while is_answered:
            is_answered = False
            for _, event in self._broker.take():
                if tell(event):
                    is_answered = True
                kind = type(event)
                if kind is Filled or kind is Foreign:
                    self._note(event)  # type: ignore[arg-type]
                elif kind is Refused and event.reason is Reason.MARGIN:  # type: ignore[attr-defined]
                    self._refused.add(event.cid)  # type: ignore[attr-defined]
        self._is_watched = self._grid.watches_quotes or bool(engine.holds.by_slot)
        if engine.bid and not self._is_watched:
            # nobody asks for the price now, and what the engine knew of it grows old
            engine.handle(Quote(self._began, ZERO, ZERO))

    def _note(self, event: Filled | Foreign) -> None:
        if type(event) is Filled and type(event.cid.slot) is int:
            self._fills += 1
        size = abs(self._engine.ledger.position)
        if size > self._most:
            self._most = size
        if self.trace is not None:
            self.trace.deals.append(Deal(event.time, event.price, event.qty * event.side.sign))

    def _forget(self) -> None:
        """What was counted: nobody will ask for it."""
        engine = self._engine
        engine.fills.clear()
        engine.booked.clear()
        engine.ledger.settle(max(engine.ledger.books.trades, default=0))

    # ------------------------------------------------------------------ what touches nothing

    def _bound(self) -> None:
        """The prices between which no point changes anything but the last price."""
        if self._trigger is not None:
            low, high = NOWHERE, EVERYWHERE
            if self._price > self._trigger:
                low = self._trigger
            else:
                high = self._trigger
        elif self._engine.holds.by_slot:
            low, high = EVERYWHERE, NOWHERE
        else:
            low, high = self._live_bounds()
        self._low, self._high = low, high
        floats = self._floats
        self._bounds = floats.get(low) or float(low), floats.get(high) or float(high)

    def _live_bounds(self) -> tuple[Decimal, Decimal]:
        if self._is_watched or self._stops or self.rules.brackets:
            low, high = self._watched_bounds()
        else:
            low, high = self._venue.edges(self._symbol)
        held = self._held
        if not held:
            return low, high
        # where `total` is at a new peak, or further below it than ever
        peak = self._peak - self._rest
        fall = peak - self._fall
        is_long = held > ZERO
        worse, better = (low, high) if is_long else (high, low)
        if held * better > peak:
            better = peak / held
        if held * worse < fall:
            worse = fall / held
        return (worse, better) if is_long else (better, worse)

    def _watched_bounds(self) -> tuple[Decimal, Decimal]:
        """Where orders, gates, stops and liquidation lie."""
        low, high = self._venue.edges(self._symbol)
        lows, highs = [low], [high]
        gate = self._grid.gate
        if gate is not None:
            (highs if gate > self._price else lows).append(gate)
            if gate == self._price:  # touched, not yet passed: the way on may be up
                highs.append(gate)
        if self._stops and self._engine.status not in OVER:
            for stop in (self._grid.plan.stop_loss, self._grid.plan.stop_loss_high, self._grid.plan.take_profit):
                if stop is not None:
                    (highs if stop > self._price else lows).append(stop)
        if self.rules.brackets and self._held:
            at = self._venue.position(ACCOUNT, self._symbol).liquidation_price
            if at:
                (highs if self._held < 0 else lows).append(at)
        return max(lows), min(highs)

    # ------------------------------------------------------------------ the end

    def outcome(self) -> Outcome:
        """Where it ended; to be asked after at least one candle."""
        if self._head:
            self._set_out()
        assert self.plan is not None
        with localcontext(EXACT):
            ledger, engine = self._engine.ledger, self._engine
            books, total = ledger.books, ledger.total(self._last)
            span = 0 if self._trigger is not None else self._time + self._length - self._began
            return Outcome(
                candles=self._candles,
                first=self._first,
                last=self._last,
                levels=self.plan.levels,
                quantities=self.plan.quantities,
                fills=self._fills,
                pairs=books.pairs,
                matched=books.matched,
                unmatched=ledger.unmatched(self._last),
                fees=books.fees,
                funding=books.funding,
                total=total,
                position=ledger.position,
                avg_entry=ledger.lot_entry,
                max_position=self._most,
                max_drawdown=self._fall,
                grid_apr=self._apr(books.matched, span),
                total_apr=self._apr(total, span),
                margin_refusals=len(self._refused),
                liquidated=engine.status is Status.FAILED and engine.kept.reason == "liquidated",
                status=engine.status,
                reason=engine.kept.reason,
            )

    def _apr(self, profit: Decimal, span: int) -> Decimal | None:
        assert self.plan is not None
        return profit / self.plan.investment * YEAR / span if span >= DAY else None


def run(plan: Planner, tape: Iterable[Stretch], rules: Rules | None = None, trace: Trace | None = None) -> Outcome:
    """Replay the whole of `tape`, which must not be empty."""
    replay = Replay(plan, rules, trace)
    for stretch in tape:
        replay.feed(stretch)
    return replay.outcome()
