"""A SQLite database copied while the service runs, and put back while it does not. PostgreSQL has pg_dump.

The vault's key is no part of a copy: keep it elsewhere, or the sealed exchange keys are lost.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from storage.lock import FileLock


class BadBackup(Exception):
    """The file is no whole Trellis database."""


def save(database: Path, target: Path) -> None:
    """A consistent copy of `database` as `target`, which must not exist: whole or not there at all.

    Blocks; call it in a thread. Raises FileExistsError, FileNotFoundError.
    """
    if target.exists():
        raise FileExistsError(target)
    if not database.exists():
        raise FileNotFoundError(database)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as source:
            source.execute("VACUUM INTO ?", (str(draft),))
        verify(draft)
        _sync(draft)
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)


def verify(file: Path) -> None:
    """Raises BadBackup unless `file` is a sound database of ours."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            verdict = opened.execute("PRAGMA integrity_check").fetchone()[0]
            opened.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise BadBackup(f"{file}: {error}") from None
    if verdict != "ok":
        raise BadBackup(f"{file}: {verdict}")


def restore(source: Path, database: Path) -> Path | None:
    """Put `source` in the place of `database`; where the old one was kept aside, if there was one.

    Raises BadBackup, and lock.Taken while a service runs.
    """
    verify(source)
    database = database.resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(f"{database}.lock"))
    lock.acquire()
    try:
        draft = database.with_name(f".{database.name}.restored")
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("VACUUM INTO ?", (str(draft),))
        _sync(draft)
        aside = _set_aside(database) if database.exists() else None
        draft.rename(database)
        return aside
    finally:
        lock.release()


def _set_aside(database: Path) -> Path:
    """Rename the old database, its log folded in first so that one file is all of it."""
    with closing(sqlite3.connect(database)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    number = 1
    while (aside := database.with_name(f"{database.name}.before-{number}")).exists():
        number += 1
    database.rename(aside)
    for ending in ("-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
    return aside


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
