"""Symbol rules: what may be traded on each account and how, kept for a day."""

from __future__ import annotations

import difflib
from decimal import Decimal

import structlog

from trading.live.background import Background
from trading.live.roster import Roster
from trading.model import ZERO, Instrument
from trading.parameters import symbols_meant
from trading.ports import BotRow, TradingError
from trading.views import Declined, HealthRow, Refusal

log = structlog.get_logger("desk")

RULES_AGE = 24 * 3_600_000
"""How long symbol rules are fresh, ms."""
RULES_DOUBTED = 600_000
"""Rules older than this, ms, are fetched again when the exchange refuses an order by a rule."""


class Rules:
    """The instruments of every account: from memory, from the database, from the exchange."""

    def __init__(self, roster: Roster, background: Background) -> None:
        self._roster = roster
        self._background = background
        self._known: dict[int, tuple[int, dict[str, Instrument]]] = {}
        self._doubted: set[int] = set()
        """Accounts whose rules are being fetched because of a refusal."""

    async def of(self, account: int) -> dict[str, Instrument]:
        """By symbol; up to 24 h old, or older while the venue is down (health says so)."""
        worker = self._roster.worker(account)
        known = self._known.get(account) or await self._stored(account)
        if known is None or self._age(known) > RULES_AGE:
            try:
                return await self._fetch(account)
            except (Declined, TradingError):
                if known is None:
                    raise Declined(Refusal("venue_down", {"account": worker.account.name, "why": worker.why})) from None
        self._known[account] = known
        return known[1]

    async def _stored(self, account: int) -> tuple[int, dict[str, Instrument]] | None:
        of = self._roster.worker(account).account
        return await self._roster.books.rules(of.venue, of.environment.value)

    async def _fetch(self, account: int) -> dict[str, Instrument]:
        of = self._roster.worker(account).account
        rules = await self._roster.gateway(account).instruments()
        now = self._roster.clock()
        await self._roster.books.save_rules(of.venue, of.environment.value, now, rules)
        self._known[account] = (now, rules)
        return rules

    def _age(self, known: tuple[int, object]) -> int:
        return self._roster.clock() - known[0]

    # ------------------------------------------------------------------ growing old

    def doubt(self, account: int) -> None:
        """The exchange refused something by a rule: ours may be of yesterday, and the next try should not be."""
        known = self._known.get(account)
        is_old = known is None or self._age(known) > RULES_DOUBTED
        if is_old and account not in self._doubted:
            self._doubted.add(account)
            self._background.spawn(self._renew(account))

    async def refresh(self) -> None:
        """Fetch those of every account anew."""
        for account in list(self._roster.workers):
            await self._renew(account)

    async def _renew(self, account: int) -> None:
        try:
            await self._fetch(account)
        except (Declined, TradingError) as error:
            log.warning("rules_not_refreshed", account=account, error=str(error))
        finally:
            self._doubted.discard(account)

    def forget(self, account: int) -> None:
        self._known.pop(account, None)

    def health(self, account: int, name: str) -> list[HealthRow]:
        """A row where they are too old."""
        known = self._known.get(account)
        if known is None or self._age(known) <= RULES_AGE:
            return []
        return [HealthRow(f"rules:{name}", False, "stale", {"hours": str(self._age(known) // 3_600_000)})]

    # ------------------------------------------------------------------ one instrument

    async def resolve(self, account: int, text: str) -> Instrument:
        """The instrument a person means by `btc`, `BTCUSDT`, `BTC/USDT`, `BTC/USDT:USDT`."""
        rules = await self.of(account)
        meant = symbols_meant(text)
        for name in meant:
            if name in rules:
                return rules[name]
        flat = meant[1]
        near = difflib.get_close_matches(flat, rules, n=3, cutoff=0.5)
        near += [name for name in rules if flat[:3] and name.startswith(flat[:3]) and name not in near]
        raise Declined(Refusal("unknown_symbol", {"symbol": text.strip()[:40], "nearest": ", ".join(near[:3])}))

    async def stored(self, row: BotRow) -> Instrument:
        """The instrument of a bot that has no plan, without asking the exchange."""
        known = await self._stored(row.account) if row.account in self._roster.workers else None
        if known is not None and row.symbol in known[1]:
            return known[1][row.symbol]
        one = Decimal(1)
        return Instrument("", row.symbol, row.symbol, "", one, one, one, ZERO, ZERO, ZERO)
