"""An operating-system lock on a file: it dies with its process, however that ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_held: set[Path] = set()
"""POSIX locks do not keep a process out of its own file."""


class Taken(Exception):
    """Another process (or another place in this one) holds the lock."""


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        # lockf, not flock: a forked child (a pool of backtests) must not keep the lock of a killed service alive.
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """The exclusive hold of one process on one file, which stays empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock at once; raises Taken."""
        if self._path in _held:
            raise Taken(self._path)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(handle)
        except OSError as error:
            os.close(handle)
            if not isinstance(error, (BlockingIOError, PermissionError)):
                raise
            raise Taken(self._path) from None
        self._handle = handle
        _held.add(self._path)

    def release(self) -> None:
        """Give the lock back; the file stays, since removing it would race with the next holder."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            _held.discard(self._path)
