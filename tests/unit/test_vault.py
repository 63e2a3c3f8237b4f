"""Sealed keys: opened only by the right key for the right account, and shown nowhere."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.vault import BadKey, Tampered, Vault, VaultError, WrongKey, open_vault
from trading.ports import Credentials

KEY = "correct horse battery staple"
SECRET = Credentials("AKIAPUBLICPART", "s3cr3t-of-the-exchange")
VAULT = Vault(KEY, "environment")


@settings(max_examples=50)
@given(key=st.text(), secret=st.text(), account=st.integers(0, 2**40))
def test_what_was_sealed_opens_again(key: str, secret: str, account: int) -> None:
    credentials = Credentials(key, secret)
    opened = Vault.open(VAULT, VAULT.seal(credentials, account), account)
    assert (opened.key, opened.secret) == (key, secret)


def test_the_same_keys_sealed_twice_look_different_and_never_like_themselves() -> None:
    once, twice = VAULT.seal(SECRET, 1), VAULT.seal(SECRET, 1)
    assert once != twice
    assert SECRET.secret not in once and SECRET.key not in once


def test_another_vault_key_is_named_as_the_reason() -> None:
    with pytest.raises(WrongKey):
        Vault("another key, long enough", "file").open(VAULT.seal(SECRET, 1), 1)


def test_keys_sealed_for_one_account_do_not_open_for_another() -> None:
    with pytest.raises(Tampered):
        VAULT.open(VAULT.seal(SECRET, 1), 2)


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-6], lambda t: t[:-6] + "AAAAA=", lambda t: "", lambda t: t[2:], lambda t: "1..x"]
)
def test_a_damaged_text_is_refused(spoil) -> None:
    with pytest.raises((Tampered, WrongKey)):
        VAULT.open(spoil(VAULT.seal(SECRET, 1)), 1)


def test_no_repr_and_no_error_shows_a_key_or_a_secret(tmp_path: Path) -> None:
    sealed = VAULT.seal(SECRET, 1)
    shown = [repr(VAULT), str(VAULT), repr(SECRET), str(SECRET), f"{SECRET!r}", sealed]
    for attempt in (
        lambda: VAULT.open(sealed, 2),
        lambda: VAULT.open(sealed[:-8], 1),
        lambda: Vault("another key, long enough", "file").open(sealed, 1),
        lambda: Vault("short!key", "environment"),
        lambda: open_vault(tmp_path / "absent", "tooshort"),
    ):
        try:
            attempt()
        except VaultError as error:
            shown += traceback.format_exception(error)
            assert error.__cause__ is None
            assert error.__context__ is None or error.__suppress_context__
        else:
            raise AssertionError("it should have failed")
    text = "\n".join(shown)
    # the sources of this file stand in a traceback: only the values count
    for value in (SECRET.secret, SECRET.key, KEY):
        assert value not in text


def test_a_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(BadKey):
        Vault("   short   ", "environment")


def test_a_random_key_is_drawn_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    first = open_vault(home, None)
    assert first.source == "file"
    assert open_vault(home, None).open(first.seal(SECRET, 3), 3) == SECRET
    assert [path.name for path in home.iterdir()] == ["vault.key"]
    if os.name == "posix":
        assert (home / "vault.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_key_file_open_to_others_is_closed(tmp_path: Path) -> None:
    open_vault(tmp_path, None)
    (tmp_path / "vault.key").chmod(0o644)
    open_vault(tmp_path, None)
    assert (tmp_path / "vault.key").stat().st_mode & 0o777 == 0o600


def test_the_key_of_the_environment_wins_and_leaves_no_file(tmp_path: Path) -> None:
    assert open_vault(tmp_path, KEY).open(VAULT.seal(SECRET, 1), 1) == SECRET
    assert not (tmp_path / "vault.key").exists()


def test_a_spoilt_key_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "vault.key").write_bytes(b"\xff\xfe")
    with pytest.raises(BadKey):
        open_vault(tmp_path, None)
    (tmp_path / "vault.key").write_text("")
    with pytest.raises(BadKey):
        open_vault(tmp_path, None)


def _seal(home: Path) -> str:
    return open_vault(home, None).seal(SECRET, 1)


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        sealed = pool.map(_seal, [tmp_path] * 6)
    assert all(open_vault(tmp_path, None).open(each, 1) == SECRET for each in sealed)
