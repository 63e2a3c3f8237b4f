"""Runs of the trial: bots trade, things go wrong, everything heals, the judge looks; again and again."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tests.databases import empty
from tests.sandboxes import Client
from tests.trial import faults, judge
from tests.trial.judge import Foreigner, View
from tests.trial.lines import Gone, Process, Refused
from tests.trial.report import Report, Violation
from trading.sandbox.instruments import LISTINGS

DEPOSIT = Decimal(100_000)
ACCOUNTS = ("alpha", "beta", "gamma")
PATIENCE = 100.0
"""Seconds from the end of the last fault within which everything must agree: a 429 alone may cost a minute."""
FAULTY = (1.0, 9.0)
"""Seconds that faults last."""
EPISODES = 6
"""Heals per run; then everything begins anew."""


def grids(chance: random.Random) -> list[tuple[str, dict[str, str]]]:
    """A bot for every account and symbol, in every direction."""
    made = []
    ways = ["LONG", "NEUTRAL", "SHORT"] * len(ACCOUNTS)
    chance.shuffle(ways)
    for account in ACCOUNTS:
        for symbol, listing in LISTINGS.items():
            width, count = Decimal(chance.choice(("0.02", "0.035", "0.04"))), chance.choice((4, 8, 15))
            lower, upper = listing.start * (1 - width), listing.start * (1 + width)
            tick = listing.instrument.tick_size
            texts = {
                "symbol": symbol,
                "direction": ways.pop(),
                "lower": str(lower // tick * tick),
                "upper": str(upper // tick * tick),
                "grids": str(count),
                "investment": str(chance.choice((1500, 3000))),
                "leverage": str(chance.choice((3, 5))),
            }
            made.append((account, texts))
    return made


class Run:
    """One sandbox, one database, nine bots, some episodes."""

    def __init__(self, folder: Path, seed: int, number: int, report: Report, url: str, options: dict[str, Any]) -> None:
        self.folder = folder
        self.number = number
        self.report = report
        self.url = url
        self.chance = random.Random(f"{seed}:{number}")
        self.deeds: list[str] = []
        self.foreigners: dict[str, list[Foreigner]] = {account: [] for account in ACCOUNTS}
        self.touched: dict[str, set[str]] = {account: set() for account in ACCOUNTS}
        self.traded: dict[str, set[str]] = {account: set() for account in ACCOUNTS}
        """Names of market orders by hand."""
        self.began = time.monotonic()
        self.audit = str(options.get("audit", 20))
        self.has_limits = bool(options.get("limits"))
        self.exchange: Process
        self.service: Process
        self.clients: dict[str, Client] = {}
        self.base = ""
        self.broken: list[str] = []
        """What should never be, seen in passing."""
        self.helped: dict[int, float] = {}
        """When a bot may be helped again."""
        self.words: dict[str, Any] = {}
        self.books: dict[str, Any] = {}

    def note(self, what: str) -> None:
        self.deeds.append(f"{time.monotonic() - self.began:7.2f} {what}")

    # ------------------------------------------------------------------ processes

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Exchange and service, and nothing of them left after the block."""
        self.folder.mkdir(parents=True)
        openings = [f"--account={name}:{name}-secret:{DEPOSIT}" for name in ACCOUNTS]
        limits = ["--limits"] if self.has_limits else []
        self.exchange = Process(
            "tests.trial.exchange", self.folder / "exchange.err", *openings, *limits,
            f"--seed={self.chance.randrange(2**31)}", f"--pause={self.chance.choice((0.01, 0.05, 0.05, 0.2))}",
            f"--log={self.folder / 'exchange.log'}",
        )  # fmt: skip
        await self.exchange.spawn()
        try:
            port = await self.exchange.ask("where")
            self.base = f"http://127.0.0.1:{port}"
            self.service = Process(
                "tests.trial.service", self.folder / "service.err", f"--database={self.url}", f"--port={port}",
                *(f"--account={name}" for name in ACCOUNTS), f"--audit={self.audit}",
                f"--log={self.folder / 'service.log'}",
            )  # fmt: skip
            async with aiohttp.ClientSession() as http:
                self.clients = {name: Client(http, port, name, f"{name}-secret") for name in ACCOUNTS}
                watch = asyncio.create_task(self.watch())
                try:
                    await self.service.spawn()
                    await self.until_up()
                    yield
                finally:
                    watch.cancel()
                    await asyncio.wait([watch])
                    await self.service.kill()
        finally:
            await self.exchange.kill()

    async def until_up(self, seconds: float = 60) -> None:
        """Until every account is reached."""
        end = time.monotonic() + seconds
        while True:
            try:
                if await self.service.ask("is_up"):
                    return
            except Refused:
                pass
            except Gone:
                raise RuntimeError(f"the service ended: {self.folder}") from None
            if time.monotonic() > end:
                raise TimeoutError("the service does not come up")
            await asyncio.sleep(0.1)

    async def watch(self) -> None:
        """Look at the open orders all the time: two in one slot may not be even for a moment."""
        while True:
            await asyncio.sleep(0.1)
            for account, names in (await self.exchange.ask("resting")).items():
                self.broken += [f"{account}: {what}" for what in judge.always(names)]

    # ------------------------------------------------------------------ a life

    async def live(self, until: float) -> None:
        """Bots start, then episodes until the run or the time is over; ends at the first violation."""
        await self.begin()
        for heal in range(EPISODES):
            if time.monotonic() > until:
                break
            await self.episode()
            if not await self.heal(heal):
                return
            if self.chance.random() < 0.3:
                await self.fund()

    async def begin(self) -> None:
        """Create and start the bots, now and then with things going wrong already; `help` does what was missed."""
        for client in self.clients.values():
            for symbol in LISTINGS:  # it cannot be changed any more beside a resting order
                await client.signed("POST", "/fapi/v1/marginType", symbol=symbol, marginType="ISOLATED")
        hard = self.chance.random() < 0.4
        if hard:
            await self.exchange.ask("go")
        for number, (account, texts) in enumerate(grids(self.chance)):
            bot = await self.again("create", account=account, parameters=texts, once=f"once-{number}")
            self.note(f"bot {bot}: {account} {texts}")
            if hard and self.chance.random() < 0.3:
                await self.fault()
            try:
                await self.service.ask("start", bot=bot)
            except Refused as no:
                self.note(f"bot {bot}: {no}")
            if hard and self.chance.random() < 0.15:
                await self.kill()
                await self.until_up()
        for account in ACCOUNTS:
            await self.foreign_again(account)
        await self.exchange.ask("go")

    async def again(self, verb: str, **values: Any) -> Any:
        """Ask until it is done: everything it needs was healthy a moment ago, or will be."""
        for _ in range(30):
            try:
                return await self.service.ask(verb, **values)
            except Refused as no:
                self.note(f"{verb}: {no}")
                await self.switch({"clear": True})
                await asyncio.sleep(1)
        raise TimeoutError(verb)

    async def foreign(self, account: str) -> None:
        """A person's own resting order, far enough away never to trade."""
        symbol, side = self.chance.choice(list(LISTINGS)), self.chance.choice(("BUY", "SELL"))
        listing = LISTINGS[symbol]
        price = listing.start * (Decimal("0.9") if side == "BUY" else Decimal("1.1"))
        price = price // listing.instrument.tick_size * listing.instrument.tick_size
        qty = listing.instrument.ceil_qty(2 * listing.instrument.min_notional / price)
        name = f"hand-{len(self.foreigners[account])}"
        order = {"symbol": symbol, "newClientOrderId": name, "type": "LIMIT", "timeInForce": "GTC"}
        await self.clients[account].signed(
            "POST", "/fapi/v1/order", **order, side=side, price=str(price), quantity=str(qty)
        )
        self.foreigners[account].append(Foreigner(name, symbol, side, price, qty))
        self.report.deed("foreign order")

    # ------------------------------------------------------------------ things go wrong

    async def episode(self) -> None:
        """Some faults, kills and deeds of persons while the market moves."""
        await self.exchange.ask("go")
        await asyncio.sleep(self.chance.uniform(0.5, 3))
        for _ in range(self.chance.randint(1, 4)):
            deeds = (self.fault, self.kill, self.sleep, self.person, self.press_and_kill)
            (deed,) = self.chance.choices(deeds, weights=(10, 4, 1, 5, 3))
            await deed()
            await asyncio.sleep(self.chance.choice((0.0, 0.05, 0.5, self.chance.uniform(*FAULTY))))
        await asyncio.sleep(self.chance.uniform(0, 2))

    async def fault(self) -> None:
        fault = faults.draw(self.chance, list(ACCOUNTS))
        self.note(f"{fault.name} {fault.order}")
        self.report.fault(fault.name)
        await self.switch(fault.order)

    async def switch(self, order: dict[str, Any]) -> None:
        async with self.clients[ACCOUNTS[0]].http.post(f"{self.base}/sandbox/faults", json=order) as answer:
            assert answer.status == 200, await answer.text()

    async def kill(self) -> None:
        """SIGKILL (now and then SIGTERM), and up again: at once, later, or twice, the second while it starts."""
        if self.chance.random() < 0.15:
            self.note("SIGTERM")
            self.report.deed("SIGTERM")
            await self.service.end(signal.SIGTERM)
        else:
            await self._kill()
        await asyncio.sleep(self.chance.choice((0.0, 0.0, self.chance.uniform(0, 4))))
        if self.chance.random() < 0.3:
            await self.fund()
        await self.service.spawn()
        if self.chance.random() < 0.35:
            await asyncio.sleep(self.chance.uniform(0.3, 3))
            await self._kill()
            await self.service.spawn()

    async def _kill(self) -> None:
        self.note("SIGKILL")
        self.report.kills += 1
        await self.service.kill()

    async def sleep(self) -> None:
        """The machine sleeps for a while."""
        seconds = self.chance.choice((1, 4, 8))
        self.note(f"frozen for {seconds} s")
        self.report.fault("frozen")
        self.service.freeze(True)
        await asyncio.sleep(seconds)
        self.service.freeze(False)

    async def person(self) -> None:
        """Somebody presses a button, or does something on the exchange itself."""
        deeds = (self.press, self.cancel_by_hand, self.change_by_hand, self.expire, self.foreign_again)
        deeds += (self.trade_by_hand, self.fund)
        (deed,) = self.chance.choices(deeds, weights=(8, 2, 2, 3, 1, 1, 2))
        await deed()

    async def press(self) -> None:
        bot = self.chance.randint(1, 9)
        close = self.chance.random() < 0.5
        verb, values = self.chance.choice(
            (
                ("stop", {"close": close}),
                ("start", {"close_first": close}),
                ("reset", {"flatten": close}),
                ("pause", {}),
                ("resume", {}),
                ("place_again", {"slot": self.chance.randrange(4)}),
            )
        )
        self.report.deed(verb)
        try:
            await self.service.ask(verb, seconds=15, bot=bot, **values)
            done = "done"
        except (Refused, Gone, TimeoutError) as error:
            done = f"{type(error).__name__} {error}"
        self.note(f"{verb} bot {bot} {values}: {done}")

    async def press_and_kill(self) -> None:
        """A button, and SIGKILL while what it began is under way."""
        pressing = asyncio.create_task(self.press())
        await asyncio.sleep(self.chance.choice((0.0, 0.01, 0.05, self.chance.uniform(0, 0.6))))
        await self._kill()
        await pressing
        await self.service.spawn()

    async def trade_by_hand(self) -> None:
        """A person buys and sells the same beside a bot, which pauses at that."""
        account, symbol = self.chance.choice(ACCOUNTS), self.chance.choice(list(LISTINGS))
        listing = LISTINGS[symbol]
        qty = str(listing.instrument.ceil_qty(2 * listing.instrument.min_notional / listing.start))
        left = qty
        for side in ("BUY", "SELL"):
            for _ in range(40):
                name = f"trade-{len(self.traded[account])}"
                self.traded[account].add(name)
                order = {"symbol": symbol, "newClientOrderId": name, "type": "MARKET", "side": side, "quantity": left}
                status, _, answer = await self.clients[account].full("POST", "/fapi/v1/order", **order)
                self.note(f"traded by hand: {account} {side} {left} {symbol}: {status} {answer.get('code', '')}")
                if status == 200 or answer.get("code") in (-1000, -1006, -1007):
                    break
                await asyncio.sleep(0.5)
            held = await self.exchange.ask("done_by_hand", account=account, symbol=symbol)
            left = held.lstrip("-")
            if side == "BUY" and not Decimal(held):
                break
        self.report.deed("trade by hand")

    async def cancel_by_hand(self) -> None:
        await self._by_hand("DELETE", "cancel by hand")

    async def change_by_hand(self) -> None:
        """A person makes an order smaller, which the bot is to put right."""
        await self._by_hand("PUT", "change by hand")

    async def _by_hand(self, method: str, deed: str) -> None:
        """Something is done to one of the bots' resting orders."""
        account = self.chance.choice(ACCOUNTS)
        _, _, orders = await self.clients[account].full("GET", "/fapi/v1/openOrders")
        ours = [o for o in orders if judge.name_of(o["clientOrderId"])] if isinstance(orders, list) else []
        if not ours:
            return
        order = self.chance.choice(ours)
        query = {"symbol": order["symbol"], "origClientOrderId": order["clientOrderId"]}
        if method == "PUT":
            less = LISTINGS[order["symbol"]].instrument.floor_qty(Decimal(order["origQty"]) * Decimal("0.7"))
            query |= {"side": order["side"], "price": order["price"], "quantity": str(less)}
        status, _, _ = await self.clients[account].full(method, "/fapi/v1/order", **query)
        self.note(f"{deed}: {account} {order['clientOrderId']}: {status}")
        # a change to less than is filled already is a cancel
        self.touched[account].add(order["clientOrderId"])
        self.report.deed(deed)

    async def expire(self) -> None:
        account = self.chance.choice(ACCOUNTS)
        self.note(f"expired by the system: {account} {await self.exchange.ask('expire', account=account)}")
        self.report.fault("expired order")

    async def foreign_again(self, account: str = "") -> None:
        try:
            await self.foreign(account or self.chance.choice(ACCOUNTS))
        except AssertionError:
            self.note("no foreign order: the exchange refuses")  # maintenance, or a fault meant for the service

    async def fund(self) -> None:
        """A settlement, whether the service is awake or not."""
        symbol, rate = self.chance.choice(list(LISTINGS)), self.chance.choice(("0.0001", "-0.0002"))
        async with self.clients[ACCOUNTS[0]].http.post(
            f"{self.base}/sandbox/market", json={"funding": {"symbol": symbol, "rate": rate}}
        ) as answer:
            assert answer.status == 200, await answer.text()
        self.note(f"funding {symbol} {rate}")
        self.report.fault("funding")

    # ------------------------------------------------------------------ heal and judge

    async def heal(self, number: int) -> bool:
        """Everything is well again; the judge must agree before patience ends. False = a violation."""
        await self.switch({"clear": True})
        self.note("clear")
        began = time.monotonic()
        await asyncio.sleep(self.chance.choice((0.0, 1.0, 4.0)))  # the market may go on for a while
        await self.exchange.ask("halt")
        what: list[str] = ["the judge was not asked"]
        while time.monotonic() - began < PATIENCE and what:
            await asyncio.sleep(0.25)
            if self.broken:
                break
            try:
                await self.help()
                earlier, what = what, await self.verdict()
                if what != earlier and what:
                    self.note(f"not yet: {' | '.join(each[:90] for each in what[:4])}")
            except (Gone, Refused, TimeoutError) as error:
                what = [f"the service does not answer: {type(error).__name__} {error}"]
        what += self.broken
        self.report.heals += 1
        self.report.heal_seconds.append(round(time.monotonic() - began, 2))
        self.note(f"healed after {time.monotonic() - began:.1f} s" if not what else f"violated: {what}")
        if what:
            await self.keep(number, what)
        return not what

    async def help(self) -> None:
        """Press what a person would press: bots that wait for one go on."""
        said = await self.service.ask("said")
        for bot in said["bots"]:
            status, reason = bot["status"], bot["reason"]
            try:
                if time.monotonic() < self.helped.get(bot["bot"], 0):
                    continue  # pressed a moment ago
                self.helped[bot["bot"]] = time.monotonic() + 2
                if status == "PAUSED" and reason not in ("reads_disagree", "orders_unknown"):
                    self.note(f"resume bot {bot['bot']} from {reason}")
                    await self.service.ask("resume", bot=bot["bot"])
                elif status in ("STOPPED", "CREATED"):
                    self.note(f"start bot {bot['bot']}")
                    await self.service.ask("start", bot=bot["bot"])
            except Refused as no:
                self.note(f"bot {bot['bot']}: {no}")
                if "outside_range" in str(no):
                    await self.centre(bot["symbol"])

    async def centre(self, symbol: str) -> None:
        """Bring the price back to where every bot may start."""
        body = {"reach": {"symbol": symbol, "price": str(LISTINGS[symbol].start)}}
        async with self.clients[ACCOUNTS[0]].http.post(f"{self.base}/sandbox/market", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def verdict(self) -> list[str]:
        """What is wrong, the market standing."""
        before = {name: await client.books() for name, client in self.clients.items()}
        self.words = await self.service.ask("said")
        self.books = {name: await client.books() for name, client in self.clients.items()}
        if any(before[name]["fills"] != self.books[name]["fills"] for name in before) or any(
            before[name]["orders"] != self.books[name]["orders"] for name in before
        ):
            return ["orders still move"]
        prices = {
            symbol: (Decimal(bid), Decimal(ask)) for symbol, (bid, ask) in (await self.exchange.ask("prices")).items()
        }
        found: list[str] = []
        for name in ACCOUNTS:
            bots = [bot for bot in self.words["bots"] if bot["account"] == name]
            ids = {bot["account_id"] for bot in bots}
            rows = [tuple(row[1:]) for row in self.words["fills"] if row[0] in ids]
            view = View(
                account=name,
                deposit=DEPOSIT,
                books=self.books[name],
                bots=bots,
                fills=rows,
                foreigners=self.foreigners[name],
                touched=frozenset(self.touched[name]),
                traded=frozenset(self.traded[name]),
                prices=prices,
            )
            found += [f"{name}: {what}" for what in judge.violations(view)]
        return found

    async def keep(self, number: int, what: list[str]) -> None:
        """Everything needed to find the cause, beside the logs."""
        (self.folder / "books.json").write_text(json.dumps(self.books, indent=1))
        (self.folder / "words.json").write_text(json.dumps(self.words, indent=1))
        (self.folder / "deeds.txt").write_text("\n".join([*self.deeds, *what]))
        seconds = time.monotonic() - self.began
        self.report.violations.append(
            Violation(self.number, number, round(seconds, 1), what, str(self.folder), self.deeds[-40:])
        )

    def count(self) -> None:
        self.report.orders += sum(len(books["orders"]) for books in self.books.values())
        self.report.fills += sum(len(books["fills"]) for books in self.books.values())


async def trial(folder: Path, seed: int, minutes: float, postgres: str = "", **options: Any) -> Report:
    """Runs until the time is over, each on an empty database of the server at `postgres`, or else on a SQLite file."""
    report = Report(seed, database="PostgreSQL" if postgres else "SQLite")
    began = time.monotonic()
    until = began + 60 * minutes
    only = options.pop("only", None)
    number = 0 if only is None else only
    while time.monotonic() < until:
        place = folder / f"run-{number}"
        if place.exists():
            shutil.rmtree(place)
        async with empty(postgres) if postgres else nullcontext(f"sqlite:///{place / 'trellis.db'}") as url:
            run = Run(place, seed, number, report, url, options)
            report.runs += 1
            async with run.opened():
                await run.live(until)
        run.count()
        if not any(each.run == number for each in report.violations):
            shutil.rmtree(place)
        report.seconds = round(time.monotonic() - began, 1)
        number += only is None
    return report
