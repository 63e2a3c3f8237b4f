"""The command line: `run.py` is the service, sub-commands are its parts one at a time."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bot.localchat import server as localchat
from bot.words import translated as _
from service import archive, backtests, logs, people, wiring
from service import check as checks
from service import demo as demos
from service import settings as choices
from service.terminal import Commands, Debug, File, Home, fail, loaded, log_to, plainly, say, screen
from service.wiring import Trouble
from storage import users
from storage.users import Role
from trading.sandbox import server as exchange

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(people.keys_commands, name="keys")
app.add_typer(people.users_commands, name="users")
app.command()(archive.backup)
app.command()(archive.restore)
app.command("backtest")(backtests.backtest)

# --------------------------------------------------------------------------- the service


@app.callback(invoke_without_command=True)
@plainly
def main(
    context: typer.Context,
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
    allow_withdraw_key: Annotated[
        bool, typer.Option("--allow-withdraw-key", help="Take exchange keys that may withdraw.")
    ] = False,
) -> None:
    """Trellis: grid trading on your own machine, steered from Telegram. Without a command: the service."""
    if context.invoked_subcommand is None:
        settings = loaded(file, home)
        if allow_withdraw_key:
            settings = settings.allowing_withdraw_key()
        wiring.spin(serve(settings, debug))


async def serve(settings: choices.Settings, debug: bool) -> None:
    """The service with real accounts and the real Telegram."""
    stop = wiring.stop_on_signals()
    chat = chat_of(settings)
    keys = wiring.keys_of(settings)
    log_to(settings, settings.home / "log" / "trellis.log", debug)
    async with wiring.opened(settings, exclusive=True) as database:
        owner = await wiring.owner_of(settings, database)
        if not owner and chat is not None:
            owner = await wiring.claimed(database, chat, stop, show_claim)
            if not owner:
                return
        if not owner:
            raise Trouble(
                _(
                    "Nobody may talk to the bot yet: set TRELLIS_OWNER_ID to your numeric Telegram id "
                    "(@userinfobot tells it), or run: python run.py users add ID --role admin"
                )
            )

        async def ready() -> None:
            screen.print(_("Trellis runs. Logs: {folder}").format(folder=settings.home / "log"), soft_wrap=True)

        await wiring.run(settings, database, chat=chat, owner=owner, keys=keys, stop=stop, ready=ready)


def show_claim(code: str, bot: str) -> None:
    """How to become the owner; on the console only, never in a log."""
    lines = [
        _("Nobody owns this bot yet. To become its owner, send it from your own Telegram account:"),
        f"    /claim {code}",
    ]
    if bot:
        link = f"https://t.me/{bot}?start={code.replace('-', '')}"
        lines.append(_("The bot is @{bot}; {link} does the same.").format(bot=bot, link=link))
    lines.append(_("The code works once, for 15 minutes; then a new one stands here."))
    lines.append(_("Without a code: set TRELLIS_OWNER_ID, or run: python run.py users add ID --role admin"))
    screen.print("\n".join(lines), soft_wrap=True, markup=False, highlight=False)


def chat_of(settings: choices.Settings) -> wiring.Chat | None:
    """The Telegram of the settings; None where it is switched off. Raises Trouble where the token is missing."""
    if not settings.telegram.enabled:
        return None
    if settings.telegram_token is None:
        raise Trouble(
            _(
                "TRELLIS_TELEGRAM_TOKEN is not set: put the token that @BotFather gave you there, and your numeric "
                "Telegram id in TRELLIS_OWNER_ID. To try Trellis without any token or key: python run.py demo"
            )
        )
    return wiring.Chat(settings.telegram_token.get_secret_value(), settings.telegram.api)


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
        raise Trouble(_("--seed belongs to synthetic prices and --replay to recorded ones: give one of them."))
    options: dict[str, Any] = {
        "replay": [tape(each) for each in replay or ()],
        "speed": speed,
        "seed": seed,
        "hold": hold or None,
        "settle": settle,
    }
    options = {name: value for name, value in options.items() if value is not None and value != []}
    settings = demo_settings(file, data)
    try:
        wiring.spin(run_demo(settings, port, not no_browser, fresh, options, debug))
    except wiring.Held as held:
        raise wiring.spin(demos.second(settings.home, held)) from None


def tape(text: str) -> str:
    """`[SYMBOL=]FILE` with the whole path, for the sandbox runs elsewhere. Raises Trouble."""
    symbol, equals, name = text.rpartition("=")
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise Trouble(_("There is no file {path} to replay.").format(path=path))
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
    stop = wiring.stop_on_signals()
    folder = settings.home
    if fresh:
        await demos.fresh(folder)
    masking = log_to(settings, folder / "log" / "trellis.log", debug)
    async with wiring.opened(settings, exclusive=True) as database:
        processes = demos.Demo(folder)
        with screen.status(_("Starting the sandbox exchange and the chat …")):
            await processes.join(options, port)
        chat = processes.chat()
        masking.add(chat.token)
        await users.add(database, demos.OWNER, Role.ADMIN, wiring.now())

        async def ready() -> None:
            sys.stdout.write(processes.page + "\n")
            sys.stdout.flush()
            if browser and sys.stdout.isatty() and has_display():
                await asyncio.to_thread(webbrowser.open, processes.page)

        await wiring.run(
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
        raise typer.Exit(0 if wiring.is_alive(settings.home) else 1)
    log_to(settings, settings.home / "log" / "check.log", debug)
    is_fine = True
    for line in wiring.spin(checks.everything(settings)):
        is_fine = is_fine and line.is_ok
        mark = "ok  " if line.is_ok else "MEND"
        Console(highlight=False, emoji=False).print(f"{mark}  {line.part}: {line.text}", markup=False, soft_wrap=True)
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
    rules: Annotated[
        Path | None, typer.Option(help="Instruments of a saved exchangeInfo (.json, .gz).", metavar="FILE")
    ] = None,
    brackets: Annotated[Path | None, typer.Option(help="A saved leverageBracket.", metavar="FILE")] = None,
    listed: Annotated[
        list[str] | None, typer.Option("--symbol", help="Only these of the rules.", metavar="SYMBOL")
    ] = None,
    day: Annotated[float, typer.Option(help="Seconds after which sockets are closed.", metavar="SECONDS")] = 86_400,
    strict_routes: Annotated[
        bool, typer.Option("--strict-routes", help="Unrouted sockets get public streams only.")
    ] = False,
    strict_encoding: Annotated[
        bool, typer.Option("--strict-encoding", help="Parameters not percent-encoded before signing are refused.")
    ] = False,
    legacy_avg_price: Annotated[
        bool, typer.Option("--legacy-avg-price", help="Placements answer avgPrice and cumQuote, as before 2026-06-30.")
    ] = False,
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
        rules=rules,
        brackets=brackets,
        listed=tuple(listed or ()),
        day=day,
        strict_routes=strict_routes,
        strict_encoding=strict_encoding,
        legacy_avg_price=legacy_avg_price,
    )
    logs.set_up(log, "debug" if debug else "info", masking=logs.Masking(opening.secret for opening in openings))
    try:
        wiring.spin(exchange_open(options, port or 0))
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
        wiring.spin(localchat.serve(options))
    except OSError as error:
        fail(_("Port {port} cannot be used: {why}.").format(port=port, why=error.strerror or error))


if __name__ == "__main__":
    app()
