"""Settings: what `settings.toml` and the environment say, checked as a whole before anything starts.

Secrets come from the environment only and are `SecretStr`: no repr, log or error shows them.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

FILE = Path(__file__).resolve().parents[1] / "settings.toml"
URL = r"^(https?://[^\s/]+)?$"
NOT_OURS = {"TRELLIS_DATA", "TRELLIS_LIVE_SYMBOL", "TRELLIS_PROCESS_TOKEN", "TRELLIS_SEED"}
NOT_OURS |= {"TRELLIS_TEST_POSTGRES", "TRELLIS_TRIAL_MINUTES"}
"""Read by the tests only (no setting may bear its name); passed between the demo's processes."""


class BadSettings(Exception):
    """What is wrong with the settings, as one sentence a person can act on."""


class Section(BaseModel):
    """One table of settings.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Exchange(Section):
    """The exchange account whose keys stand in the environment."""

    environment: Literal["testnet", "mainnet"] = "testnet"
    url: str = Field(default="", pattern=URL)
    allow_withdraw_key: bool = False


class Telegram(Section):
    """The chat."""

    enabled: bool = True
    api: str = Field(default="", pattern=URL)


class Schedule(Section):
    """How often the scheduler's jobs run."""

    audit_seconds: int = Field(default=60, ge=5, le=3600)
    rules_hours: int = Field(default=24, ge=1, le=168)
    keepalive_minutes: int = Field(default=25, ge=1, le=55)


class Log(Section):
    """How much is logged and kept."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file_megabytes: int = Field(default=10, ge=1, le=1000)
    files: int = Field(default=5, ge=1, le=100)


class Settings(BaseSettings):
    """Everything that can be chosen; the fields without a table come from the environment only."""

    model_config = SettingsConfigDict(
        env_prefix="TRELLIS_", env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", frozen=True
    )

    exchange: Exchange = Exchange()
    telegram: Telegram = Telegram()
    schedule: Schedule = Schedule()
    log: Log = Log()

    telegram_token: SecretStr | None = None
    owner_id: int | None = Field(default=None, gt=0)
    binance_key: SecretStr | None = None
    binance_secret: SecretStr | None = None
    binance_environment: Literal["testnet", "mainnet"] | None = None
    database_url: SecretStr | None = None
    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("trellis")))
    vault_key: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose values arrive as arguments."""
        return env_settings, init_settings

    @property
    def environment(self) -> Literal["testnet", "mainnet"]:
        """Where the keys of the environment trade."""
        return self.binance_environment or self.exchange.environment

    def allowing_withdraw_key(self) -> Settings:
        """The same, but API keys that may withdraw are taken."""
        return self.model_copy(update={"exchange": self.exchange.model_copy(update={"allow_withdraw_key": True})})

    @property
    def database(self) -> str:
        """The database's URL; SQLite in the state folder unless one is given."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.home / 'trellis.db'}"


FROM_FILE = ("exchange", "telegram", "schedule", "log")


def load(file: Path = FILE, **given: Any) -> Settings:
    """The settings of `file` and the environment; `given` stand in for lines of the file. Raises BadSettings."""
    table = _read(file)
    for name in table:
        if name not in FROM_FILE:
            raise BadSettings(_unknown(file, name))
    try:
        return Settings(**{**table, **given})
    except ValidationError as error:
        raise BadSettings(_sentence(file, error)) from None
    except SettingsError:
        raise BadSettings(
            "An environment variable beginning with TRELLIS_ cannot be read: "
            "a whole section is given where one value belongs (TRELLIS_SECTION__NAME)."
        ) from None


def strays(environ: Mapping[str, str] = os.environ) -> list[str]:
    """One sentence for each TRELLIS_ variable that nothing reads, with the nearest name that is read."""
    known = [f"TRELLIS_{name.upper()}" for name in Settings.model_fields if name not in FROM_FILE]
    for name in FROM_FILE:
        section = type(Settings.model_fields[name].default)
        known += [f"TRELLIS_{name.upper()}__{key.upper()}" for key in section.model_fields]
    found = []
    for name in sorted(environ):
        if name.startswith("TRELLIS_") and name.upper() not in known and name not in NOT_OURS:
            nearest = difflib.get_close_matches(name, known, 1)
            found.append(f"{name} is not read by anything{f'; did you mean {nearest[0]}?' if nearest else '.'}")
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise BadSettings(f"{file} is missing: put the project's back, or name another with --settings.") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{file} is not valid TOML: {error}.") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{file} is not a text file in UTF-8.") from None
    except OSError as error:
        raise BadSettings(f"{file} cannot be read: {error.strerror}.") from None


def _unknown(file: Path, name: str) -> str:
    if name in Settings.model_fields:
        return f"{file}: {name} does not belong in this file; set TRELLIS_{name.upper()} in the environment instead."
    nearest = difflib.get_close_matches(name, FROM_FILE, 1)
    return f"{file}: there is no setting {name!r}{f'; did you mean [{nearest[0]}]?' if nearest else '.'}"


def _sentence(file: Path, error: ValidationError) -> str:
    """The first complaint in words; the value itself is not repeated, it might be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    name = ".".join(path)
    if first["type"] == "extra_forbidden" and path[0] in FROM_FILE and len(path) > 1:
        section = type(Settings.model_fields[path[0]].default)
        nearest = difflib.get_close_matches(path[1], section.model_fields, 1)
        return f"{file}: there is no setting {name!r}{f'; did you mean {nearest[0]!r}?' if nearest else '.'}"
    env = f"TRELLIS_{'__'.join(path).upper()}"
    where = env if env in os.environ or path[0] not in FROM_FILE else f"{file}: {name}"
    return f"{where} is not usable: {first['msg'][0].lower()}{first['msg'][1:]}."
