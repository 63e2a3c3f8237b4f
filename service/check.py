"""What `run.py check` looks at: settings, vault, database, people, exchange accounts and Telegram, one line each."""

from __future__ import annotations

import asyncio

import aiohttp
from msgspec import Struct

from bot.words import translated as _
from service import settings as choices
from service.settings import Settings
from service.wiring import Opener, Trouble, keys_of, opened, owner_of, vault_of
from storage import accounts, users
from storage.database import Database
from storage.vault import Vault
from trading.ports import Account, TradingError

SECONDS = 15.0
TELEGRAM = "https://api.telegram.org"


class Line(Struct, frozen=True):
    """One part of the service and how it stands."""

    part: str
    is_ok: bool
    text: str


async def everything(settings: Settings) -> list[Line]:
    """Every line, however many of the parts before it fail."""
    lines = [
        Line(
            "settings",
            not choices.strays(),
            " ".join(choices.strays()) or _("read, {env} is the default environment").format(env=settings.environment),
        )
    ]
    vault: Vault | None = None
    try:
        vault = vault_of(settings)
        lines.append(Line("vault", True, _vault(vault, settings)))
    except Trouble as trouble:
        lines.append(Line("vault", False, str(trouble)))
    try:
        async with opened(settings, exclusive=False) as database:
            lines.append(Line("database", True, repr(database)))
            lines.append(await _people(settings, database))
            if vault is not None:
                lines += await _accounts(settings, database, vault)
    except Trouble as trouble:
        lines.append(Line("database", False, str(trouble)))
    return [*lines, await _telegram(settings)]


def _vault(vault: Vault, settings: Settings) -> str:
    if vault.source == "environment":
        return _("the key is TRELLIS_VAULT_KEY")
    return _("the key is the random one in {file}: keep a copy of it apart from the database").format(
        file=settings.home / "vault.key"
    )


async def _people(settings: Settings, database: Database) -> Line:
    await owner_of(settings, database)
    count = len(await users.everybody(database))
    if count:
        return Line("people", True, _("{count} may talk to the bot").format(count=count))
    return Line("people", False, _("nobody may talk to the bot: set TRELLIS_OWNER_ID or run users add ID"))


async def _accounts(settings: Settings, database: Database, vault: Vault) -> list[Line]:
    opener = Opener(database, vault)
    try:
        for keys in keys_of(settings):
            await opener.give(await owner_of(settings, database), keys)
    except Trouble as trouble:
        return [Line("exchange", False, str(trouble))]
    found = await accounts.everything(database)
    if not found:
        return [Line("exchange", False, _("no account yet: set TRELLIS_BINANCE_KEY and _SECRET, or run keys add NAME"))]
    return list(await asyncio.gather(*(_account(opener, account) for account in found)))


async def _account(opener: Opener, account: Account) -> Line:
    """Reads the balances of one account; sends no order."""
    part = f"{account.name} {account.environment.badge}"
    try:
        async with asyncio.timeout(SECONDS):
            gateway = await opener(account)
            try:
                balances = await gateway.balances()
            finally:
                await gateway.close()
    except TimeoutError:
        return Line(part, False, _("the exchange does not answer: check network and address"))
    except (TradingError, OSError) as error:
        return Line(part, False, str(error) or type(error).__name__)
    money = ", ".join(f"{b.wallet.normalize():f} {b.asset}" for b in balances if b.wallet)
    return Line(part, True, money or _("reached; there is no money on it"))


async def _telegram(settings: Settings) -> Line:
    if not settings.telegram.enabled:
        return Line("telegram", True, _("switched off in the settings"))
    if settings.telegram_token is None:
        return Line("telegram", False, _("TRELLIS_TELEGRAM_TOKEN is not set: @BotFather gives one"))
    url = f"{settings.telegram.api or TELEGRAM}/bot{settings.telegram_token.get_secret_value()}/getMe"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session,
            session.get(url) as response,
        ):
            said = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:  # its text would show the URL
        return Line("telegram", False, _("not reached ({error}): check the network").format(error=type(error).__name__))
    if not said.get("ok"):
        return Line("telegram", False, _("refused the token: {why}").format(why=said.get("description", "")))
    return Line("telegram", True, f"@{said['result']['username']}")
