"""NautilusTrader 1.221's Binance adapter on the sandbox, legacy routes open (binance-usdm.md §17.4)."""

import asyncio
from decimal import Decimal

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import InstrumentProviderConfig, LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy, StrategyConfig
from report import Report, port

BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
LIFE = 25.0
report = Report()


class Tour(Strategy):
    """Rests, amends, cancels, crosses, buys and closes, and notes every event it hears."""

    def __init__(self):
        super().__init__(StrategyConfig(strategy_id="TOUR-1", use_uuid_client_order_ids=False))
        self.heard, self.life, self.stage = set(), [], "start"
        self.over = asyncio.Event()

    def on_start(self):
        self.instrument = self.cache.instrument(BTC)
        report["instrument"] = [str(self.instrument.price_increment), str(self.instrument.size_increment)]
        account = self.portfolio.account(BTC.venue)
        report["balance"] = str(account.balance_total(self.instrument.quote_currency))
        self.subscribe_quote_ticks(BTC)
        self.subscribe_trade_ticks(BTC)
        self.subscribe_order_book_deltas(BTC)
        self.subscribe_bars(BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"))
        self.subscribe_mark_prices(BTC)

    def on_quote_tick(self, tick):
        self.heard.add("quote")
        if self.stage == "start":
            self.stage, self.bid = "resting", tick.bid_price
            self.first = self.limit(self.down(500), post_only=True)
            self.submit_order(self.first)

    def on_trade_tick(self, tick):
        self.heard.add("trade")

    def on_order_book_deltas(self, deltas):
        self.heard.add("book")

    def on_mark_price(self, mark):
        self.heard.add("mark")

    def on_bar(self, bar):
        self.heard.add("bar")

    def down(self, distance):
        return self.instrument.make_price(self.bid.as_decimal() - Decimal(distance))

    def limit(self, price, post_only=False, qty="0.010"):
        return self.order_factory.limit(
            BTC, OrderSide.BUY, Quantity.from_str(qty), price, time_in_force=TimeInForce.GTC, post_only=post_only
        )

    def on_order_event(self, event):
        self.life.append(type(event).__name__)

    def on_order_accepted(self, event):
        if self.stage == "resting":
            self.stage = "amending"
            self.modify_order(self.first, quantity=Quantity.from_str("0.020"), price=self.down(600))
        elif self.stage == "many" and len(self.cache.orders_open(instrument_id=BTC)) == 3:
            self.stage = "cancelling"
            self.cancel_orders(self.many[:2])

    def on_order_updated(self, event):
        if self.stage == "amending":
            report["amended"] = [str(event.quantity), str(event.price.as_decimal() - self.bid.as_decimal())]
            self.stage = "cancel"
            self.cancel_order(self.first)

    def on_order_canceled(self, event):
        if self.stage == "cancel":
            self.stage = "crossing"
            self.submit_order(self.limit(self.instrument.make_price(self.bid.as_decimal() + 1000), post_only=True))
        elif self.stage == "cancelling" and len(self.cache.orders_open(instrument_id=BTC)) == 1:
            self.stage = "all"
            self.cancel_all_orders(BTC)
        elif self.stage == "all":
            self.stage = "market"
            self.submit_order(self.order_factory.market(BTC, OrderSide.BUY, Quantity.from_str("0.010")))

    def on_order_rejected(self, event):
        if self.stage == "crossing":
            report["would_cross"] = str(event.reason)
            self.stage = "margin"
            self.submit_order(self.limit(self.down(500), qty="50.000"))
        elif self.stage == "margin":
            report["margin"] = str(event.reason)
            self.stage = "many"
            self.many = [self.limit(self.down(step), post_only=True) for step in (700, 800, 900)]
            for order in self.many:
                self.submit_order(order)

    def on_order_filled(self, event):
        if self.stage == "market":
            report["fill"] = [str(event.last_qty), str(event.commission)]
            self.stage = "closing"
            self.close_all_positions(BTC)
        elif self.stage == "closing":
            self.stage = "over"
            self.over.set()


def node():
    shared = {
        "api_key": "sandboxkey",
        "api_secret": "sandboxsecret",
        "account_type": BinanceAccountType.USDT_FUTURES,
        "base_url_http": f"http://127.0.0.1:{port()}",
        "base_url_ws": f"ws://127.0.0.1:{port()}",
        "instrument_provider": InstrumentProviderConfig(load_ids=frozenset([BTC])),
    }
    made = TradingNode(
        TradingNodeConfig(
            trader_id=TraderId("TESTER-001"),
            logging=LoggingConfig(log_level="OFF"),
            exec_engine=LiveExecEngineConfig(reconciliation=True),
            data_clients={BINANCE: BinanceDataClientConfig(**shared)},
            exec_clients={BINANCE: BinanceExecClientConfig(**shared)},
            timeout_connection=20.0,
            timeout_disconnection=2.0,
            timeout_post_stop=1.0,
        )
    )
    made.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    made.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    return made


async def main():
    made, tour = node(), Tour()
    made.trader.add_strategy(tour)
    made.build()
    running = asyncio.ensure_future(made.run_async())
    try:
        async with asyncio.timeout(LIFE):
            await tour.over.wait()
            while len(tour.heard) < 4:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
    except TimeoutError:
        pass
    report["stage"] = tour.stage
    report["heard"] = sorted(tour.heard)
    report["life"] = tour.life
    report["flat"] = made.portfolio.is_flat(BTC)
    report["positions"] = [type(each).__name__ for each in made.cache.positions_closed()]
    report.print()
    await made.stop_async()
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
