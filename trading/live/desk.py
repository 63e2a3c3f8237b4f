"""Every worker behind one door: chat, CLI, scheduler and REST act on bots only through the desk.

CONTRACT (signatures fixed; the body follows):

    desk = Desk(books: Books, journal: Journal, open_gateway: Callable[[Account], Awaitable[Gateway]], clock: Callable[[], int])
    await desk.open()                 # loads accounts and bots, starts workers (reconnecting in the background); returns quickly
    await desk.close()                # leaves orders resting on the exchange; commits everything

    desk.accounts() -> list[Account]
    await desk.instruments(account: int) -> dict[str, Instrument]
    await desk.resolve(account: int, text: str) -> Instrument          # Declined(unknown_symbol, nearest=…)
    await desk.price(account: int, symbol: str) -> Quote
    await desk.candles(account: int, symbol: str, interval: str, limit: int) -> list[Candle]
    await desk.preview(account: int, parameters: Mapping[str, str]) -> Preview     # Declined(...)
    await desk.create(owner: int, account: int, parameters: Mapping[str, str], once: str) -> int    # bot id; same once = same bot
    await desk.start(bot: int, user: int, confirmed: bool = False)     # Declined(illegal_move, …), Declined(confirm, …)
    await desk.stop(bot: int, user: int, close: bool)
    await desk.pause(bot: int, user: int)
    await desk.resume(bot: int, user: int, skip_initial: bool = False)
    await desk.place_again(bot: int, slot: int, user: int)
    await desk.delete(bot: int, user: int)

    desk.cards(owner: int | None = None) -> list[Card]                 # in memory, no I/O
    desk.card(bot: int) -> Card                                         # Declined(no_such_bot)
    desk.levels(bot: int) -> list[LevelRow]
    await desk.balances() -> list[BalanceRow]
    await desk.positions(account: int) -> list[PositionRow]
    await desk.orders(account: int) -> list[OrderRow]
    desk.health() -> list[HealthRow]
    await desk.audit_bots()                                             # reconcile every live bot (scheduler, 60 s)
    await desk.refresh_rules()                                          # scheduler, 24 h

A venue that cannot be reached makes the awaiting verbs raise Declined(venue_down, account=…).
"""
