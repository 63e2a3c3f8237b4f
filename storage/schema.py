"""The schema's way up and down: Alembic on a connection of ours, from any working directory."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

FOLDER = Path(__file__).parent / "migrations"


class Newer(Exception):
    """The database was written by a later version of this program, which alone can read it."""

    def __init__(self, revision: str) -> None:
        super().__init__(f"the database has the schema {revision}, which this version does not know")
        self.revision = revision


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def current(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def is_current(connection: Connection) -> bool:
    """Whether nothing is to be done. Raises Newer."""
    scripts = ScriptDirectory.from_config(_config(connection))
    at = current(connection)
    if at is not None and at not in {each.revision for each in scripts.walk_revisions()}:
        raise Newer(at)
    return at == scripts.get_current_head()


def upgrade(connection: Connection, to: str = "head") -> None:
    """Bring the schema up to `to`, in the transaction of `connection`."""
    command.upgrade(_config(connection), to)


def downgrade(connection: Connection, to: str = "base") -> None:
    """Take the schema back down to `to`; what the later one kept is lost."""
    command.downgrade(_config(connection), to)
