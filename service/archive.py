"""The commands `backup` and `restore`: the SQLite database copied beside a running service, and put back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.words import translated as _
from service import settings as choices
from service.terminal import Debug, File, Home, fail, loaded, log_to, plainly, say, screen
from service.wiring import Trouble
from storage import backup as copies
from storage.database import Database, Unusable
from storage.lock import Taken


def file_of(settings: choices.Settings) -> Path:
    """The SQLite file. Raises Trouble on PostgreSQL."""
    try:
        path = Database(settings.database).path
    except Unusable as error:
        raise Trouble(_("The database cannot be used: {why}.").format(why=str(error).rstrip("."))) from None
    if path is None:
        raise Trouble(_("This database is PostgreSQL: use its own pg_dump and pg_restore."))
    return path


@plainly
def backup(
    target: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Default: backups/ in the state folder.")
    ] = None,
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
) -> None:
    """Copy the database, also while the service runs. The vault's key is not in the copy: keep it elsewhere."""
    settings = loaded(file, home)
    log_to(settings, None, debug)
    name = f"trellis-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"
    wanted = target if target is not None else settings.home / "backups" / name
    try:
        copies.save(file_of(settings), wanted)
    except FileNotFoundError as missing:
        fail(_("There is no database {file} to copy.").format(file=missing))
    except FileExistsError:
        fail(_("{file} exists already: name another.").format(file=wanted))
    except (OSError, copies.BadBackup) as error:
        fail(_("The copy could not be made: {why}.").format(why=error))
    say(str(wanted.resolve()))


@plainly
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A copy that `backup` made.")],
    file: File = choices.FILE,
    home: Home = None,
    debug: Debug = False,
) -> None:
    """Put a copy in the place of the database; the present one is kept aside. The service must not run.

    What traded since the copy is read from the exchange at the next start, as far back as it remembers.
    """
    settings = loaded(file, home)
    log_to(settings, None, debug)
    if not source.is_file():
        fail(_("There is no file {file}.").format(file=source))
    try:
        aside = copies.restore(source, file_of(settings))
    except Taken:
        fail(_("Trellis runs on this database: stop it first."))
    except copies.BadBackup as error:
        fail(_("This is no whole Trellis database: {why}.").format(why=error))
    except OSError as error:
        fail(_("The copy could not be put back: {why}.").format(why=error))
    if aside is not None:
        screen.print(_("The database of before is now {file}").format(file=aside), soft_wrap=True)
    say(str(file_of(settings)))
