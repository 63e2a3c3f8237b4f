"""The terminal's manners: options that every command has, one line for every trouble, and where words go."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, cast

import typer
from rich.console import Console
from typer.core import TyperGroup

from bot.words import translated as _
from service import logs
from service import settings as choices
from service.wiring import Trouble

P = ParamSpec("P")

screen = Console(stderr=True, highlight=False, emoji=False)
"""For people; stdout stays for what programs read."""

Debug = Annotated[bool, typer.Option("--debug", help="Log everything, show tracebacks.")]
File = Annotated[Path, typer.Option("--settings", help="Another settings file.", metavar="FILE")]
Home = Annotated[Path | None, typer.Option("--data", help="State folder; TRELLIS_HOME.", metavar="DIR")]
TROUBLES = (choices.BadSettings, Trouble)
MISUSE = cast("type[typer.BadParameter]", typer.BadParameter.mro()[1])
"""An unknown command or option, a missing or bad argument; typer gives it no name of its own."""


class Commands(TyperGroup):
    """Commands whose misuse, too, is told in one line."""

    def main(self, *args: Any, **named: Any) -> Any:
        is_asked_by_code = not named.get("standalone_mode", True)
        named["standalone_mode"] = False
        if is_asked_by_code:
            return super().main(*args, **named)
        try:
            ended = super().main(*args, **named)
        except MISUSE as error:
            if error.format_message():  # a group without a command has shown its help instead
                path = error.ctx.command_path if error.ctx is not None else "run.py"
                told(_("{what}. See {path} --help.").format(what=error.format_message().rstrip("."), path=path))
            sys.exit(2)
        except typer.Abort:
            sys.exit(130)
        sys.exit(ended if isinstance(ended, int) else 0)


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
            if logging.getLogger().handlers:
                logging.getLogger("run").exception("ended by an error")
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


def told(sentence: str) -> None:
    """A trouble in one line, however many sentences it has."""
    line = " ".join(sentence.split())
    screen.print(line, style="red" if screen.is_terminal else None, markup=False, soft_wrap=True)


def fail(sentence: str) -> NoReturn:
    """Say what to do and end."""
    told(sentence)
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
    try:
        return logs.set_up(file, level, settings.log.file_megabytes, settings.log.files, masking)
    except OSError as error:
        fail(_("The state folder {folder} cannot be written: {why}.").format(folder=settings.home, why=error.strerror))


def say(line: str) -> None:
    """One line for a program that reads stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
