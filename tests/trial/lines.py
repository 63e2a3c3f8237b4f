"""Commands over a process's stdin and stdout: one JSON object a line, each answered by its id."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WIDEST = 2**26
"""The longest line, bytes: an hour of fills fits."""


class Gone(Exception):
    """The process ended, or was killed, before it answered."""


class Refused(Exception):
    """The process answered with an error."""


class Process:
    """A child process that is asked things."""

    def __init__(self, module: str, log: Path, *arguments: str) -> None:
        self.module = module
        self.log = log
        self.arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._number = 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def spawn(self) -> None:
        """Start it and wait for nothing."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRELLIS_")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.module, *self.arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=kept,
                limit=WIDEST,
                start_new_session=True,
            )
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer = json.loads(line)
            waiting = self._asked.pop(answer["id"], None)
            if waiting is not None and not waiting.done():
                if "error" in answer:
                    waiting.set_exception(Refused(answer["error"]))
                else:
                    waiting.set_result(answer["result"])
        asked, self._asked = self._asked, {}
        for waiting in asked.values():
            if not waiting.done():
                waiting.set_exception(Gone(self.module))

    async def ask(self, verb: str, seconds: float = 30, **values: Any) -> Any:
        """The result of one command. Raises Gone, Refused, TimeoutError."""
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            raise Gone(self.module)
        self._number += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[self._number] = answer
        try:
            process.stdin.write(json.dumps({"id": self._number, "verb": verb, **values}).encode() + b"\n")
            await process.stdin.drain()
        except ConnectionError:
            raise Gone(self.module) from None
        async with asyncio.timeout(seconds):
            return await answer

    async def end(self, number: int, seconds: float = 20) -> int:
        """Send a signal and wait for the end; the exit code. SIGKILL after `seconds`."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                async with asyncio.timeout(seconds):
                    await process.wait()
            except TimeoutError:
                process.kill()
        code = await process.wait()
        if self._reader is not None:
            await self._reader
        self._process = None
        return code

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    def freeze(self, is_frozen: bool) -> None:
        """SIGSTOP and SIGCONT: a machine that slept."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGSTOP if is_frozen else signal.SIGCONT)


async def serve(verbs: Mapping[str, Callable[..., Awaitable[Any]]]) -> None:
    """The child's side: obey commands until stdin ends."""
    reader = asyncio.StreamReader(limit=WIDEST)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as answers:
        while line := await reader.readline():
            command = json.loads(line)
            answers.create_task(_obey(verbs, command.pop("id"), command.pop("verb"), command))


async def _obey(verbs: Mapping[str, Callable[..., Awaitable[Any]]], number: int, verb: str, values: Any) -> None:
    try:
        answer = {"id": number, "result": await verbs[verb](**values)}
    except Exception as error:  # told to who asked
        answer = {"id": number, "error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    sys.stdout.flush()
