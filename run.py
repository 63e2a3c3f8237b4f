"""The command line: `run.py` is the service, sub-commands are its parts one at a time."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import webbrowser
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import structlog
import typer
from rich.console import Console
from rich.table import Table

import check as checks
import demo as demos
import logs
import service
import settings as choices
from bot.localchat import server as localchat
from bot.words import translated as _
from storage import accounts, users
from storage.users import Role
from trading.model import Environment
from trading.ports import Credentials
from trading.sandbox import server as exchange

P = ParamSpec("P")
T = TypeVar("T")

app = typer.Typer(add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
keys_app = typer.Typer(no_args_is_help=True, help="Exchange accounts and their keys, sealed in the database.")
users_app = typer.Typer(no_args_is_help=True, help="The people who may talk to the bot.")
app.add_typer(keys_app, name="keys")
app.add_typer(users_app, name="users")

screen = Console(stderr=True, highlight=False)
"""For people; stdout stays for what programs read."""

Debug = Annotated[bool, typer.Option("--debug", help="Log everything, show tracebacks.")]
File = Annotated[Path, typer.Option("--settings", help="Another settings file.", metavar="FILE")]
Home = Annotated[Path | None, typer.Option("--data", help="State folder; TRELLIS_HOME.", metavar="DIR")]
TROUBLES = (choices.BadSettings, service.Trouble)


def plainly(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose troubles are one line on stderr and an exit code, with a traceback only under --debug."""

    @wraps(command)
    def wrapped(*given: P.args, **named: P.kwargs) -> None:
        debug = bool(named.get("debug"))
        try:
            command(*given, **named)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except TROUBLES as trouble:
            fail(str(trouble))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except Exception as error:
            structlog.get_logger("run").exception("ended by an error")
            if debug:
                raise
            fail(
                _("Trellis ended by an error of its own: {error} (--debug shows where).").format(error=first_of(error))
            )

    return wrapped


def first_of(error: BaseException) -> str:
    """What went wrong first, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def fail(sentence: str) -> NoReturn:
    """Say what to do and end."""
    screen.print(sentence, style="red" if screen.is_terminal else None, markup=False, soft_wrap=True)
    raise typer.Exit(1)


def loaded(file: Path, home: Path | None) -> choices.Settings:
    """The settings, with the state folder of the command line."""
    if home is not None:
        os.environ["TRELLIS_HOME"] = str(home.expanduser().resolve())
    return choices.load(file)


def secrets_of(settings: choices.Settings) -> list[str]:
    given = (settings.telegram_token, settings.binance_key, settings.binance_secret, settings.vault_key)
    return [secret.get_secret_value() for secret in given if secret is not None]


def log_to(settings: choices.Settings, file: Path | None, debug: bool) -> logs.Masking:
    level = "debug" if debug else settings.log.level
    masking = logs.Masking(secrets_of(settings))
    return logs.set_up(file, level, settings.log.file_megabytes, settings.log.files, masking)


# --------------------------------------------------------------------------- the service


@app.callback(invoke_without_command=True)
@plainly
def main(context: typer.Context, file: File = choices.FILE, home: Home = None, debug: Debug = False) -> None:
    """Trellis: grid trading on your own machine, steered from Telegram. Without a command: the service."""
    if context.invoked_subcommand is None:
        settings = loaded(file, home)
        service.spin(serve(settings, debug))


async def serve(settings: choices.Settings, debug: bool) -> None:
    """The service with real accounts and the real Telegram."""
    stop = service.stop_on_signals()
    chat = chat_of(settings)
    keys = service.keys_of(settings)
    log_to(settings, settings.home / "log" / "trellis.log", debug)
    async with service.opened(settings, exclusive=True) as database:
        owner = await service.owner_of(settings, database)
        if not owner:
            raise service.Trouble(
                _(
                    "Nobody may talk to the bot yet: set TRELLIS_OWNER_ID to your numeric Telegram id "
                    "(@userinfobot tells it), or run: python run.py users add ID --role admin"
                )
            )

        async def ready() -> None:
            screen.print(_("Trellis runs. Logs: {folder}").format(folder=settings.home / "log"), soft_wrap=True)

        await service.run(settings, database, chat=chat, owner=owner, keys=keys, stop=stop, ready=ready)


def chat_of(settings: choices.Settings) -> service.Chat | None:
    """The Telegram of the settings; None where it is switched off. Raises Trouble where the token is missing."""
    if not settings.telegram.enabled:
        return None
    if settings.telegram_token is None:
        raise service.Trouble(
            _(
                "TRELLIS_TELEGRAM_TOKEN is not set: put the token that @BotFather gave you there, and your numeric "
                "Telegram id in TRELLIS_OWNER_ID. To try Trellis without any token or key: python run.py demo"
            )
        )
    return service.Chat(settings.telegram_token.get_secret_value(), settings.telegram.api)


# --------------------------------------------------------------------------- the demo

Replay = Annotated[
    list[str] | None, typer.Option(help="Recorded candles instead of synthetic prices.", metavar="[SYMBOL=]FILE")
]
Seed = Annotated[int | None, typer.Option(help="Seed of the synthetic prices.", min=0)]
Speed = Annotated[float | None, typer.Option(help="Times faster than life; 0: as fast as settling allows.", min=0)]
Hold = Annotated[bool, typer.Option("--hold", help="Stand at the first open until told to go.")]
Settle = Annotated[
    int | None, typer.Option(help="Wait after fills until so many ms bring no request.", min=0, metavar="MS")
]
Port = Annotated[int | None, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)]


@app.command()
@plainly
def demo(
    port: Annotated[
        int | None, typer.Option(help="The chat page (8787, or the next free one).", min=1, max=65535)
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    data: Annotated[Path | None, typer.Option(help="State folder of the demo.", metavar="DIR")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="End a demo that lives there and start from nothing.")] = False,
    replay: Replay = None,
    speed: Speed = None,
    seed: Seed = None,
    hold: Hold = False,
    settle: Settle = None,
    file: File = choices.FILE,
    debug: Debug = False,
) -> None:
    """The whole service with no token and no key: sandbox exchange, chat page, bot. Nothing here is real money."""
    if replay and seed is not None:
        raise service.Trouble(_("--seed belongs to synthetic prices and --replay to recorded ones: give one of them."))
    options: dict[str, Any] = {
        "replay": [tape(each) for each in replay or ()],
        "speed": speed,
        "seed": seed,
        "hold": hold or None,
        "settle": settle,
    }
    options = {name: value for name, value in options.items() if value is not None and value != []}
    settings = demo_settings(file, data)
    service.spin(run_demo(settings, port, not no_browser, fresh, options, debug))


def tape(text: str) -> str:
    """`[SYMBOL=]FILE` with the whole path, for the sandbox runs elsewhere. Raises Trouble."""
    symbol, equals, name = text.rpartition("=")
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise service.Trouble(_("There is no file {path} to replay.").format(path=path))
    return f"{symbol}{equals}{path}"


def demo_settings(file: Path, data: Path | None) -> choices.Settings:
    """Settings of the demo: its own folder and database, and none of the real tokens and keys."""
    has_home = data is not None or bool(os.environ.get("TRELLIS_HOME"))
    found = loaded(file, data)
    home = (found.home if has_home else found.home / "demo").expanduser().resolve()
    blank = {
        "telegram_token": None,
        "binance_key": None,
        "binance_secret": None,
        "database_url": None,
        "owner_id": None,
    }
    return found.model_copy(update={"home": home, **blank})


async def run_demo(
    settings: choices.Settings, port: int | None, browser: bool, fresh: bool, options: dict[str, Any], debug: bool
) -> None:
    """Find or start sandbox and chat, serve, and end all three."""
    stop = service.stop_on_signals()
    folder = settings.home
    if fresh:
        await demos.fresh(folder)
    masking = log_to(settings, folder / "log" / "trellis.log", debug)
    async with service.opened(settings, exclusive=True) as database:
        processes = demos.Demo(folder)
        with screen.status(_("Starting the sandbox exchange and the chat …")):
            await processes.join(options, port)
        chat = processes.chat()
        masking.add(chat.token)
        await users.add(database, demos.OWNER, Role.ADMIN, service.now())

        async def ready() -> None:
            sys.stdout.write(processes.page + "\n")
            sys.stdout.flush()
            if browser and sys.stdout.isatty() and has_display():
                await asyncio.to_thread(webbrowser.open, processes.page)

        await service.run(
            settings, database, chat=chat, owner=demos.OWNER, keys=[processes.keys()], stop=stop, ready=ready
        )
        await processes.end()  # not after an error: the exchange and Telegram would not end with us either


def has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


# --------------------------------------------------------------------------- sandbox and chat alone


@app.command()
@plainly
def check(
    alive: Annotated[bool, typer.Option("--alive", help="Only whether the service runs (for health checks).")] = False,
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
) -> None:
    """Settings, database, keys, exchange, Telegram: one line each, ok or what to mend."""
    settings = loaded(file, home)
    if alive:
        raise typer.Exit(0 if service.is_alive(settings.home) else 1)
    log_to(settings, settings.home / "log" / "check.log", debug)
    is_fine = True
    for line in service.spin(checks.everything(settings)):
        is_fine = is_fine and line.is_ok
        mark = "ok  " if line.is_ok else "MEND"
        Console(highlight=False).print(f"{mark}  {line.part}: {line.text}", markup=False, soft_wrap=True)
    raise typer.Exit(0 if is_fine else 1)


@app.command()
@plainly
def sandbox(
    port: Port = None,
    replay: Replay = None,
    seed: Seed = None,
    speed: Speed = None,
    hold: Hold = False,
    settle: Settle = None,
    limits: Annotated[
        str, typer.Option(help="real: rate limits refuse; off: they only count.", metavar="real|off")
    ] = "real",
    account: Annotated[
        list[str] | None,
        typer.Option(help="Default sandboxkey:sandboxsecret:10000.", metavar="KEY:SECRET:USDT"),
    ] = None,
    funding: Annotated[list[str] | None, typer.Option(help="Recorded funding rates.", metavar="[SYMBOL=]FILE")] = None,
    state: Annotated[Path | None, typer.Option(help="Keep books and market here between runs.", metavar="FILE")] = None,
    log: Annotated[Path | None, typer.Option(hidden=True)] = None,
    debug: Debug = False,
) -> None:
    """An exchange on 127.0.0.1 that speaks Binance's USDⓈ-M protocol. Its address is printed on stdout."""
    if limits not in ("real", "off"):
        fail(_("--limits is real or off."))
    try:
        openings = tuple(exchange.Opening.parse(each) for each in account or ()) or (exchange.DEFAULT_ACCOUNT,)
    except ValueError as error:
        fail(_("--account: {why}.").format(why=error))
    options = exchange.Options(
        accounts=openings,
        seed=1 if seed is None else seed,
        replay=tuple(tape(each) for each in replay or ()),
        speed=300 if speed is None else speed,
        hold=hold,
        settle=200 if settle is None else settle,
        limits=limits == "real",
        state=state,
        funding=tuple(tape(each) for each in funding or ()),
    )
    logs.set_up(log, "debug" if debug else "info", masking=logs.Masking(opening.secret for opening in openings))
    try:
        service.spin(exchange_open(options, port or 0))
    except (exchange.Unreadable, exchange.Foreign) as error:
        fail(str(error))
    except OSError as error:
        fail(_("Port {port} cannot be used: {why}.").format(port=port, why=error.strerror or error))


async def exchange_open(options: exchange.Options, port: int) -> None:
    """The sandbox until SIGTERM or SIGINT; its address on stdout once it answers."""
    token = os.environ.pop(demos.TOKEN_VARIABLE, "")
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def told(done: asyncio.Future[int]) -> None:
        if not done.cancelled():
            say(f"http://127.0.0.1:{done.result()}")

    bound.add_done_callback(told)
    await exchange.serve(options, port=port, ready=bound, token=token)


def say(line: str) -> None:
    """One line for a program that reads stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@app.command(hidden=True)
@plainly
def chat(
    port: Port = None,
    state: Annotated[Path | None, typer.Option(metavar="FILE")] = None,
    log: Annotated[Path | None, typer.Option(hidden=True)] = None,
    debug: Debug = False,
) -> None:
    """A Telegram Bot API server with a chat page on 127.0.0.1; its token comes in TRELLIS_PROCESS_TOKEN."""
    token = os.environ.pop(demos.TOKEN_VARIABLE, "")
    if not token:
        fail(_("TRELLIS_PROCESS_TOKEN is not set: this command is the demo's, start that."))
    logs.set_up(log, "debug" if debug else "info", masking=logs.Masking([token]))
    people = [(demos.OWNER, _("You"), "you")]
    options = localchat.Options(
        token, "trellis_demo_bot", people, state, port=port or 0, ready=lambda bound: say(f"http://127.0.0.1:{bound}/")
    )
    try:
        service.spin(localchat.serve(options))
    except OSError as error:
        fail(_("Port {port} cannot be used: {why}.").format(port=port, why=error.strerror or error))


# --------------------------------------------------------------------------- people and keys


def with_database(work: Callable[..., Coroutine[Any, Any, T]], file: Path, home: Path | None, debug: bool) -> T:
    """Run `work(settings, database)` beside a service that may be running."""
    settings = loaded(file, home)
    log_to(settings, None, debug)

    async def go() -> T:
        async with service.opened(settings, exclusive=False) as database:
            return await work(settings, database)

    return service.spin(go())


@users_app.command("add")
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
        await users.add(database, number, role, service.now())

    with_database(work, file, home, debug)
    screen.print(_("{id} is a {role} now.").format(id=number, role=role.value))


@users_app.command("list")
@plainly
def users_list(file: File = choices.FILE, home: Home = None, debug: Debug = False) -> None:
    """Who may talk to the bot."""

    async def work(_settings: choices.Settings, database: Any) -> list[users.User]:
        return await users.everybody(database)

    table = Table("id", "role", "language", box=None)
    for user in with_database(work, file, home, debug):
        table.add_row(str(user.id), user.role.value, user.language)
    Console().print(table)


@users_app.command("remove")
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


@keys_app.command("add")
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
        whose = owner or await service.owner_of(settings, database)
        if not whose or await users.get(database, whose) is None:
            raise service.Trouble(_("Say whose the account is with --owner ID; users list shows who is known."))
        vault = service.vault_of(settings)
        kind = Environment(environment)
        try:
            made = await accounts.add(database, vault, whose, name, "binance", kind, credentials, service.now())
        except accounts.NameTaken:
            raise service.Trouble(
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
    """Key and secret, typed unseen or piped; never as arguments, which every process list shows."""
    if sys.stdin.isatty():
        key, secret = getpass.getpass("API key: ", sys.stderr), getpass.getpass("API secret: ", sys.stderr)
    else:
        key, secret = sys.stdin.readline(), sys.stdin.readline()
    key, secret = key.strip(), secret.strip()
    if not key or not secret or not (key + secret).isascii() or not (key + secret).isalnum():
        fail(_("Key and secret are two lines of letters and digits, as the exchange shows them."))
    return Credentials(key, secret)


@keys_app.command("list")
@plainly
def keys_list(file: File = choices.FILE, home: Home = None, debug: Debug = False) -> None:
    """The accounts, without their keys."""

    async def work(_settings: choices.Settings, database: Any) -> list[Any]:
        return await accounts.everything(database)

    table = Table("id", "name", "venue", "environment", "owner", box=None)
    for account in with_database(work, file, home, debug):
        table.add_row(str(account.id), account.name, account.venue, account.environment.badge, str(account.owner))
    Console().print(table)


@keys_app.command("remove")
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
            raise service.Trouble(
                _("{count} bots stand on this account: delete them in the chat first.").format(count=standing.bots)
            ) from None

    if not with_database(work, file, home, debug):
        fail(_("There is no account {id}; keys list shows which there are.").format(id=number))
    screen.print(_("The keys of account {id} are forgotten.").format(id=number))


if __name__ == "__main__":
    app()
