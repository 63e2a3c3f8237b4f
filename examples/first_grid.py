"""A neutral grid on the matching venue, in process: no exchange, no chat, no clock."""

from decimal import Decimal as D

from trading.core.broker import Broker
from trading.core.engine import Engine
from trading.core.venue import Venue
from trading.messages import Quote, Start
from trading.parameters import clean, parse_line
from trading.plan import make
from trading.sandbox.instruments import LISTINGS
from trading.strategies.grid import Grid

listing = LISTINGS["BTCUSDT"]
symbol, venue = listing.instrument.symbol, Venue([listing.instrument])
venue.open_account("me", D(10_000), 0)
venue.set_leverage("me", symbol, 5, 0)
venue.reach(symbol, D(65_000), 0)

params = clean(parse_line("BTCUSDT neutral 60000-70000 10 2000u 5x"))
preview = make(params, listing.instrument, D(65_000), brackets=None, available=None, wallet_free=None, chat=False)
engine, broker = Engine("demo", 1, listing.instrument), Broker(venue, "me")
engine.adopt(Grid.begin(preview.plan, "demo", 1))

for event in (Quote(1, D("64999.9"), D("65000.1")), Start(1)):
    engine.handle(event)
for intent in engine.handle(broker.snapshot(engine.request(), 1)):
    broker.send(intent, 1)

for time, price in enumerate(("63900", "65000", "66100", "65000"), start=2):
    venue.reach(symbol, D(price), time)
    while events := broker.take():
        for _, event in events:
            for intent in engine.handle(event):
                broker.send(intent, time)

books = engine.ledger.books
print(f"{books.fills} fills, {books.pairs} pairs, {books.matched} USDT of grid profit")
