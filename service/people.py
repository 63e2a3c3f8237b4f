"""The commands `keys` and `users`: exchange accounts and people, from the shell."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from bot.words import translated as _
from service import settings as choices
from service import wiring
from service.terminal import Debug, File, Home, fail, loaded, log_to, plainly, screen
from storage import accounts, users
from storage.users import Role
from trading.gateways.catalog import PEM, check_keys
from trading.model import Environment
from trading.ports import Broken, Credentials

T = TypeVar("T")

keys_commands = typer.Typer(no_args_is_help=True, help="Exchange accounts and their keys, sealed in the database.")
users_commands = typer.Typer(no_args_is_help=True, help="The people who may talk to the bot.")


def with_database(work: Callable[..., Coroutine[Any, Any, T]], file: Path, home: Path | None, debug: bool) -> T:
    """Run `work(settings, database)` beside a service that may be running."""
    settings = loaded(file, home)
    log_to(settings, None, debug)

    async def go() -> T:
        async with wiring.opened(settings, exclusive=False) as database:
            return await work(settings, database)

    return wiring.spin(go())


@users_commands.command("add")
@plainly
def users_add(
    number: Annotated[int, typer.Argument(metavar="ID", min=1, help="Numeric Telegram id.")],
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.TRADER,
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
) -> None:
    """Let a person talk to the bot, or change the role."""

    async def work(_settings: choices.Settings, database: Any) -> None:
        await users.add(database, number, role, wiring.now())

    with_database(work, file, home, debug)
    screen.print(_("{id} is a {role} now.").format(id=number, role=role.value))


@users_commands.command("list")
@plainly
def users_list(file: File = choices.FILE, home: Home = None, debug: Debug = False) -> None:
    """Who may talk to the bot."""

    async def work(_settings: choices.Settings, database: Any) -> list[users.User]:
        return await users.everybody(database)

    table = Table("id", "role", "language", box=None)
    for user in with_database(work, file, home, debug):
        table.add_row(str(user.id), user.role.value, user.language)
    Console(emoji=False).print(table)


@users_commands.command("remove")
@plainly
def users_remove(
    number: Annotated[int, typer.Argument(metavar="ID", min=1)],
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
) -> None:
    """Shut a person out at once; bots go on."""

    async def work(_settings: choices.Settings, database: Any) -> bool:
        return await users.remove(database, number)

    if not with_database(work, file, home, debug):
        fail(_("Nobody with the id {id} is known; users list shows who is.").format(id=number))
    screen.print(_("{id} is shut out.").format(id=number))


@keys_commands.command("add")
@plainly
def keys_add(
    name: Annotated[str, typer.Argument(help="What you call the account.")],
    environment: Annotated[str, typer.Option("--environment", metavar="testnet|mainnet")] = "testnet",
    owner: Annotated[int | None, typer.Option(metavar="ID", help="Whose; the owner's by default.")] = None,
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
) -> None:
    """Seal the keys of a Binance account; they are asked for, or read as two lines from a pipe."""
    if environment not in ("testnet", "mainnet"):
        fail(_("--environment is testnet or mainnet."))
    credentials = asked()

    async def work(settings: choices.Settings, database: Any) -> int:
        whose = owner or await wiring.owner_of(settings, database)
        if not whose or await users.get(database, whose) is None:
            raise wiring.Trouble(_("Say whose the account is with --owner ID; users list shows who is known."))
        vault = wiring.vault_of(settings)
        kind = Environment(environment)
        try:
            made = await accounts.add(database, vault, whose, name, "binance", kind, credentials, wiring.now())
        except accounts.NameTaken:
            raise wiring.Trouble(
                _("An account {name} exists already: remove it first, or take another name.").format(name=name)
            ) from None
        return made.id

    number = with_database(work, file, home, debug)
    screen.print(
        _("Account {id} {name} is kept, its keys sealed. A running service takes it up at its next start.").format(
            id=number, name=name
        )
    )


def asked() -> Credentials:
    """Key and secret, typed unseen or piped; never as arguments, which every process list shows.

    The secret may be a private key (PEM): piped as it is, typed on one line with `\\n` for its line ends.
    """
    if sys.stdin.isatty():
        key, secret = getpass.getpass("API key: ", sys.stderr), getpass.getpass("API secret: ", sys.stderr)
    else:
        key, secret = sys.stdin.readline(), sys.stdin.readline()
    if secret.startswith(PEM) and not sys.stdin.isatty():
        secret += sys.stdin.read()
    key, secret = key.strip(), secret.strip()
    plain = key if secret.startswith(PEM) else key + secret
    if not key or not secret or not plain.isascii() or not plain.isalnum():
        fail(_("Key and secret are two lines of letters and digits, as the exchange shows them."))
    credentials = Credentials(key, secret)
    try:
        check_keys(credentials)
    except Broken as error:
        fail(_("This private key cannot be used: {why}.").format(why=error))
    return credentials


@keys_commands.command("list")
@plainly
def keys_list(file: File = choices.FILE, home: Home = None, debug: Debug = False) -> None:
    """The accounts, without their keys."""

    async def work(_settings: choices.Settings, database: Any) -> list[Any]:
        return await accounts.everything(database)

    table = Table("id", "name", "venue", "environment", "owner", box=None)
    for account in with_database(work, file, home, debug):
        table.add_row(str(account.id), account.name, account.venue, account.environment.badge, str(account.owner))
    Console(emoji=False).print(table)


@keys_commands.command("remove")
@plainly
def keys_remove(
    number: Annotated[int, typer.Argument(metavar="ID", min=1)],
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
) -> None:
    """Forget the keys of an account on which no bot stands."""

    async def work(_settings: choices.Settings, database: Any) -> bool:
        try:
            return await accounts.remove(database, number)
        except accounts.InUse as standing:
            raise wiring.Trouble(
                _("{count} bots stand on this account: delete them in the chat first.").format(count=standing.bots)
            ) from None

    if not with_database(work, file, home, debug):
        fail(_("There is no account {id}; keys list shows which there are.").format(id=number))
    screen.print(_("The keys of account {id} are forgotten.").format(id=number))
