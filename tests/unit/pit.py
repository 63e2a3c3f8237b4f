"""An engine in a pit with the matching venue: everything between them happens at once and in order."""

from decimal import ROUND_HALF_UP
from decimal import Decimal as D

from trading.core.broker import Broker
from trading.core.engine import Engine
from trading.core.lifecycle import Status
from trading.core.venue import Order, OrderRequest, Venue
from trading.messages import Event, Quote, Reconcile, Replan, Start
from trading.model import Direction, Instrument, OrderType, Side, TimeInForce
from trading.ports import Waits
from trading.strategies.grid import Grid, GridPlan

BTC = Instrument(
    "binance:BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(1000), D(120), D(50)
)


def plan(direction: Direction, vacant: int = 5, initial: bool = True, grids: int = 10, qty: str = "0.010") -> GridPlan:
    """Levels 60,000 to 70,000, a thousand apart."""
    step = D(10000) / grids
    levels = tuple(BTC.round_price(D(60000) + step * i) for i in range(grids + 1))
    return GridPlan(BTC, direction, levels, (D(qty),) * grids, vacant, levels[vacant], D(5000), 10, initial=initial)


def neutral() -> GridPlan:
    return plan(Direction.NEUTRAL)


class Pit:
    """Drives one engine against one venue; `check` holds the two books against each other."""

    def __init__(self, plan: GridPlan, wallet: str = "10000") -> None:
        self.plan = plan
        self.now = 1_700_000_000_000
        self.wallet = D(wallet)
        self.fresh_venue()
        self.engine = Engine("abcd", 7, BTC)
        self.asked_to_plan = 0

    def fresh_venue(self) -> None:
        self.venue = Venue([BTC])
        self.venue.open_account("me", self.wallet, self.now)
        self.venue.set_leverage("me", "BTCUSDT", 10, self.now)
        self.venue.reach("BTCUSDT", self.plan.price, self.now)
        self.broker = Broker(self.venue, "me")
        self.broker.take()

    # ---- driving
    def begin(self, close_first: bool = False) -> None:
        self.begin_again(close_first)
        self.engine.is_synced = False

    def begin_again(self, closed: bool = False) -> None:
        """A new grid for a bot that is live: a trigger or a reset. `closed`: no lots are carried into it."""
        before, ledger = self.engine.strategy, self.engine.ledger
        ledger.carry()
        self.engine.adopt(Grid.begin(self.plan, "abcd", 7, before, D(0) if closed else ledger.position))

    def start(self, price: str | None = None) -> None:
        if price is not None:
            self.venue.reach("BTCUSDT", D(price), self.now)
        self.begin()
        self.handle(Start(self.now))
        self.quote()
        self.snapshot()
        self.settle()

    @property
    def notices(self):
        return self.engine.notices

    @property
    def entry_price(self) -> D:
        return next(t.price for t in self.venue.trades("me") if ".o." in t.client_id)

    def quote(self) -> None:
        self.handle(Quote(self.now, self.venue.bid("BTCUSDT"), self.venue.ask("BTCUSDT")))

    def handle(self, event: Event) -> None:
        self.carry_out(self.engine.handle(event))

    def carry_out(self, intents) -> None:
        for intent in intents:
            if isinstance(intent, Reconcile):
                self.snapshot()
            elif isinstance(intent, Replan):
                self.asked_to_plan += 1
            else:
                self.broker.send(intent, self.now)

    def settle(self) -> None:
        """Deliver until nothing more happens."""
        while events := self.broker.take():
            for _, event in events:
                self.handle(event)

    def walk(self, price: str, deliver: bool = True) -> None:
        self.now += 1000
        self.venue.reach("BTCUSDT", D(price), self.now)
        if deliver:
            self.settle()
            self.quote()
            self.settle()

    def snapshot(self, deliver: bool = True) -> None:
        snap = self.broker.snapshot(self.engine.request(), self.now)
        intents = self.engine.handle(snap)
        if deliver:
            self.carry_out(intents)

    def restart(self, saved: bytes) -> None:
        """kill -9, then a new process from the checkpoint."""
        self.broker.take()
        kept = Engine.read(saved)
        self.engine = Engine("abcd", 7, BTC, checkpoint=kept, strategy=Grid.unpack(kept.strategy, "abcd", 7))
        self.quote()
        self.snapshot()
        self.settle()

    def foreign_order(self, side: Side, price: str, qty: str, client_id: str = "web_1") -> Order:
        request = OrderRequest("BTCUSDT", side, OrderType.LIMIT, D(qty), D(price), TimeInForce.GTC, client_id=client_id)
        return self.venue.place("me", request, self.now)

    # ---- looking
    def resting(self, side: Side | None = None) -> list[Order]:
        return [o for o in self.venue.open_orders("me") if side is None or o.side is side]

    def position(self) -> D:
        return self.venue.position("me", "BTCUSDT").qty

    def wait(self, slot: int) -> str | None:
        wish = self.engine.wish(slot)
        return wish.reason if isinstance(wish, Waits) else None

    def check(self) -> None:
        """Position, orders and money of engine and venue agree; no order is doubled."""
        ledger = self.engine.ledger
        assert ledger.position + ledger.books.foreign == self.position()
        ours = {str(o.cid): o for o in self.engine.orders.values()}
        there = {o.client_id: o for o in self.resting() if o.client_id.startswith("tabcd.7.")}
        assert ours.keys() == there.keys()
        slots = [name.split(".")[2] for name in there]
        assert len(slots) == len(set(slots))
        for name, order in ours.items():
            assert order.executed == there[name].executed
        mark = self.venue.mark("BTCUSDT")
        funds = self.venue.funds("me")
        total = ledger.total(mark).quantize(D("1E-6"), rounding=ROUND_HALF_UP)
        venue = (funds.wallet + funds.unrealized_pnl - self.wallet).quantize(D("1E-6"), rounding=ROUND_HALF_UP)
        if not ledger.books.foreign:
            assert abs(total - venue) <= D("0.00001"), (total, venue)
        if self.engine.status is Status.RUNNING:
            grid = self.engine.strategy
            assert isinstance(grid, Grid)
            for i in range(len(grid.state.slots)):
                held = i in self.engine.orders or i in self.engine.holds or isinstance(grid.wish(i), Waits)
                assert held, f"slot {i} has neither order nor reason"
