"""The demo's three processes: the service (this process), a sandbox exchange and a local chat that outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from bot.words import translated as _
from service.wiring import Chat, Held, Keys, Trouble
from storage.lock import FileLock, Taken
from trading.gateways.catalog import local
from trading.model import Environment
from trading.ports import Credentials

ROOT = Path(__file__).resolve().parents[1]
OWNER = 1001
"""The one person of the local chat, whom the bot knows."""
ACCOUNT_KEY, ACCOUNT_SECRET = "sandboxkey", "sandboxsecret"
"""The sandbox's default account: on loopback, with money that does not exist."""
CHAT_PORT = 8787
TOKEN_VARIABLE = "TRELLIS_PROCESS_TOKEN"  # noqa: S105 - a name, no secret
"""How a child learns its token: an argument would stand in every process list."""
START_SECONDS = 30.0
END_SECONDS = 5.0
SERVICE_END_SECONDS = 15.0
PORT_TRIES = 5
RECORD = "demo.json"
STARTING = -1
"""The pid of a process that is about to be started."""
MARKET = {"replay", "seed"}
"""Options that make a market what it is; the others may change when its sandbox starts again."""
DEFAULTS: dict[str, Any] = {"seed": 1, "speed": 300.0, "settle": 200}


class Child(Struct):
    """A process of the demo as `demo.json` records it; pid 0 = it was ended."""

    pid: int
    port: int
    token: str
    options: dict[str, Any] = {}


class Record(Struct):
    """The file `demo.json`."""

    service: int = 0
    sandbox: Child | None = None
    chat: Child | None = None


async def fresh(folder: Path) -> None:
    """End whatever lives on `folder` and empty it. Raises Trouble."""
    if not is_demo(folder):
        return
    try:
        living = Demo(folder)
    except Trouble:
        living = None  # a damaged record names nobody
    await end_service(folder, living.record.service if living else 0)
    if living is not None:
        await living.end()
    empty(folder)


def is_demo(folder: Path) -> bool:
    """Whether a demo was in `folder`; False for an empty or missing one. Raises Trouble on foreign files."""
    if (folder / RECORD).exists():
        return True
    if folder.exists() and any(folder.iterdir()):
        raise Trouble(_("{folder} is not empty and no demo was ever in it: nothing was deleted.").format(folder=folder))
    return False


def empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


async def end_service(folder: Path, pid: int) -> None:
    """End a living service of `folder`: the lock of its database tells that there is one. Raises Trouble."""
    lock = FileLock(folder / "trellis.db.lock")
    until = time.monotonic() + SERVICE_END_SECONDS
    is_asked = False
    while True:
        try:
            lock.acquire()
        except Taken:
            if not is_asked and runs(pid, "demo"):
                send_signal(pid, signal.SIGTERM)
                is_asked = True
            if time.monotonic() > until:
                raise Trouble(
                    _("The service on {folder} does not end: stop it yourself and try again.").format(folder=folder)
                ) from None
            await asyncio.sleep(0.1)
        else:
            lock.release()
            return


async def second(folder: Path, held: Held) -> Trouble:
    """Why another demo cannot run on `folder`, with the page of the one that does."""
    try:
        living = Demo(folder)
    except Trouble:
        return held
    chat = living.record.chat
    if chat is None or living.record.service != held.pid or not await answers("chat", chat):
        return held
    return Trouble(
        _("The demo already runs: {page} (process {pid}; --fresh ends it and starts over).").format(
            page=living.page, pid=held.pid
        )
    )


class Demo:
    """The processes of one state folder: found, started, joined and ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / RECORD
        self._own: dict[int, subprocess.Popen[bytes]] = {}
        self.record = self._read()

    def chat(self) -> Chat:
        """The demo's Telegram."""
        assert self.record.chat is not None
        return Chat(self.record.chat.token, f"http://127.0.0.1:{self.record.chat.port}")

    def keys(self) -> Keys:
        """The demo's exchange account."""
        assert self.record.sandbox is not None
        return Keys(
            "sandbox", Environment.DEMO, Credentials(ACCOUNT_KEY, ACCOUNT_SECRET), local(self.record.sandbox.port)
        )

    @property
    def page(self) -> str:
        assert self.record.chat is not None
        return f"http://127.0.0.1:{self.record.chat.port}/"

    # ------------------------------------------------------------------ starting and joining

    async def join(self, options: Mapping[str, Any], port: int | None) -> None:
        """Have a sandbox (with `options`, where given) and a chat (on `port`, where given) alive. Raises Trouble."""
        self.record.service = os.getpid()
        self._write()
        try:
            await self._join(options, port)
        except Trouble:
            for pid, process in self._own.items():  # those that were alive before stay so
                send_signal(pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(process.wait, END_SECONDS)
            raise

    async def _join(self, options: Mapping[str, Any], port: int | None) -> None:
        sandbox_lives, chat_lives = await asyncio.gather(
            self._lives("sandbox", self.record.sandbox), self._lives("chat", self.record.chat)
        )
        self._compare(options, sandbox_lives)
        if chat_lives:
            self._check_port(port)
        missing = []
        if not sandbox_lives:
            missing.append(self._start_sandbox(options))
        if not chat_lives:
            missing.append(self._start_chat(port))
        for outcome in await asyncio.gather(*missing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _start_sandbox(self, options: Mapping[str, Any]) -> None:
        old = self.record.sandbox
        chosen = {**(old.options if old and self._has_saved else {}), **options}
        token = secrets.token_hex(16)
        for _attempt in range(PORT_TRIES):
            self.record.sandbox = Child(STARTING, free_port(old.port if old else 0), token, chosen)
            if await self._start("sandbox", self.record.sandbox, sandbox_arguments(self.folder, chosen)):
                return
        raise self._failed("sandbox")

    async def _start_chat(self, port: int | None) -> None:
        old = self.record.chat
        token = old.token if old else f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_urlsafe(26)}"
        for _attempt in range(PORT_TRIES):
            self.record.chat = Child(STARTING, self._page_port(port, old), token)
            if await self._start("chat", self.record.chat, ["--state", str(self.folder / "chat.json")]):
                return
        raise self._failed("chat")

    @property
    def _has_saved(self) -> bool:
        """Whether a sandbox that ended in order will go on from where it was."""
        return (self.folder / "sandbox.json").exists()

    def _compare(self, options: Mapping[str, Any], is_alive: bool) -> None:
        """What is asked for must be what the sandbox is or was: its books belong to its market."""
        old = self.record.sandbox.options if self.record.sandbox is not None else {}
        if not is_alive and not self._has_saved:
            return
        for name in options if is_alive else options.keys() & MARKET:
            if old.get(name, DEFAULTS.get(name)) != options[name]:
                raise Trouble(
                    _("The sandbox of this demo has another --{name}; --fresh starts over.").format(name=name)
                )

    def _check_port(self, port: int | None) -> None:
        chat = self.record.chat
        if port is not None and chat is not None and chat.port != port:
            raise Trouble(
                _(
                    "The chat page of this demo is open on port {port} already: leave --port out or end it first."
                ).format(port=chat.port)
            )

    def _page_port(self, port: int | None, old: Child | None) -> int:
        if port is not None:
            if not is_free(port):
                raise Trouble(_("Port {port} is taken: give another with --port, or leave it out.").format(port=port))
            return port
        if old is not None and is_free(old.port):
            return old.port  # an open page finds its chat again
        for candidate in range(CHAT_PORT, CHAT_PORT + 100):
            if is_free(candidate):
                return candidate
        return free_port()

    async def _start(self, kind: str, child: Child, arguments: list[str]) -> bool:
        """Whether it answers now; False where another program took its port a moment earlier. Raises Trouble."""
        self._write()  # before the process is: killed in between, it is still found
        process = spawn(kind, child, arguments, self.folder / "log")
        child.pid = process.pid
        self._own[process.pid] = process
        self._write()
        until = time.monotonic() + START_SECONDS
        while not await answers(kind, child):
            if process.poll() is not None or time.monotonic() > until:
                if is_free(child.port):
                    raise self._failed(kind)
                return False
            await asyncio.sleep(0.05)
        return True

    def _failed(self, kind: str) -> Trouble:
        why = last_line(self.folder / "log" / f"{kind}.err")
        return Trouble(_("The {kind} did not start: {why}").format(kind=kind, why=why))

    async def _lives(self, kind: str, child: Child | None) -> bool:
        """Whether it answers; one whose start was interrupted gets a moment."""
        if child is None:
            return False
        until = time.monotonic() + (5 if child.pid == STARTING or runs(child.pid, kind) else 0)
        while not await answers(kind, child):
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(0.1)
        return True

    # ------------------------------------------------------------------ ending

    async def end(self) -> None:
        """Ask sandbox and chat to save and end, and see to it that they do."""
        children = (("sandbox", self.record.sandbox), ("chat", self.record.chat))
        await asyncio.gather(*(self._end(kind, child) for kind, child in children if child is not None))
        for _kind, child in children:
            if child is not None:
                child.pid = 0
        self.record.service = 0
        if self._path.exists():
            self._write()

    async def _end(self, kind: str, child: Child) -> None:
        pid = await answers(kind, child) or child.pid
        if not pid or not runs(pid, kind):
            return
        for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            send_signal(pid, number)
            until = time.monotonic() + END_SECONDS
            while time.monotonic() < until:
                if pid in self._own:
                    self._own[pid].poll()
                if not runs(pid, kind):
                    return
                await asyncio.sleep(0.05)

    # ------------------------------------------------------------------ the record

    def _read(self) -> Record:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Record)
        except FileNotFoundError:
            return Record()
        except (OSError, msgspec.MsgspecError):
            raise Trouble(
                _("{file} cannot be read: start again from nothing with --fresh.").format(file=self._path)
            ) from None

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self.record)))
        draft.replace(self._path)


def sandbox_arguments(folder: Path, options: Mapping[str, Any]) -> list[str]:
    """The command line of the demo's sandbox."""
    found = ["--state", str(folder / "sandbox.json")]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            found += [f"--{name}"] if each is True else [f"--{name}", str(each)]
    return found


def spawn(kind: str, child: Child, arguments: list[str], logs: Path) -> subprocess.Popen[bytes]:
    """Start `run.py <kind>` in a session of its own: neither Ctrl+C nor our death reaches it."""
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "run.py"), kind, "--port", str(child.port), *arguments]
    command += ["--log", str(logs / f"{kind}.log")]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
    with (logs / f"{kind}.err").open("wb") as errors:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            creationflags=flags,
            cwd=ROOT,
            env={**os.environ, TOKEN_VARIABLE: child.token},
        )


async def answers(kind: str, child: Child) -> int:
    """The pid of the process that answers on the child's port with its token; 0 where none does."""
    url = f"http://127.0.0.1:{child.port}/identity"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(url, headers={"X-Token": child.token}) as response,
        ):
            said = await response.json(content_type=None) if response.status == 200 else {}
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return 0
    return int(said["pid"]) if isinstance(said, dict) and said.get("kind") == kind else 0


def runs(pid: int, kind: str) -> bool:
    """Whether process `pid` exists and, where the system tells, is one of ours and not a later bearer of its number."""
    if pid <= 0:
        return False
    command = Path(f"/proc/{pid}/cmdline")
    if command.parent.parent.joinpath("self").exists():
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            return False
        return kind.encode() in words and any(word.endswith(b"run.py") for word in words)
    if sys.platform == "win32":
        return True  # os.kill(pid, 0) would end it there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send_signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def is_free(port: int) -> bool:
    """Whether a server could listen on loopback `port` now."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(wanted: int = 0) -> int:
    """`wanted` where it is free, else any free loopback port."""
    if wanted and is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def last_line(file: Path) -> str:
    """What a child said last before it ended."""
    try:
        lines = file.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else _("it said nothing (see {file}).").format(file=file)
