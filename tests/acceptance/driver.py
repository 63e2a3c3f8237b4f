"""What the acceptance tests hold: the program as a process, a thumb in its chat, the exchange's books."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
YOU = 1001
T = TypeVar("T")

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without anything of ours, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRELLIS_")}
    return kept | {"PYTHONUNBUFFERED": "1"} | more


def run(*arguments: str, stdin: str = "", seconds: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """`run.py` with `arguments`, to its end."""
    return subprocess.run(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        env=clean_environment(**environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def ask(url: str, body: object = None, seconds: float = 40) -> Any:
    """GET, or POST of `body`; the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with _direct.open(request, timeout=seconds) as answer:
        return json.loads(answer.read() or b"null")


def until(look: Callable[[], T | None], what: str, seconds: float = 30, pause: float = 0.1) -> T:
    """What `look` finds, once it finds something."""
    end = time.monotonic() + seconds
    while True:
        found = None
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            found = look()
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(pause)


class Chat:
    """A person's side of the local chat."""

    def __init__(self, page: str, person: int = YOU) -> None:
        self.page = page
        self.person = person

    def say(self, text: str) -> int:
        """The id of the sent message."""
        sent = ask(f"{self.page}chat/{self.person}/send", {"text": text})
        return int(sent["message"]["message_id"])

    def press(self, message: int, caption: str) -> dict[str, Any] | None:
        """Press the button whose caption contains `caption`; the answer of the bot."""
        buttons = [text for row in self.message(message)["buttons"] for text in row]
        named = [text for text in buttons if caption.lower() in text.lower()]
        assert named, f"no button {caption!r} among {buttons}"
        wish = {"message": message, "text": named[0], "wait": 30}
        return ask(f"{self.page}chat/{self.person}/press", wish)["answer"]  # type: ignore[no-any-return]

    def screen(self) -> list[dict[str, Any]]:
        """The newest messages: id, from, text, buttons."""
        return ask(f"{self.page}chat/{self.person}/screen?limit=300")  # type: ignore[no-any-return]

    def message(self, number: int) -> dict[str, Any]:
        return next(m for m in self.screen() if m["id"] == number)

    def seen(self, *words: str, after: int = 0, seconds: float = 30) -> dict[str, Any]:
        """The newest message of the bot after `after` with all `words`, once there is one."""

        def look() -> dict[str, Any] | None:
            for message in reversed(self.screen()):
                if message["from"] == "bot" and message["id"] > after:
                    shown = f"{message['text']} {message['buttons']}".lower()
                    if all(word.lower() in shown for word in words):
                        return message
            return None

        try:
            return until(look, f"a message with {words}", seconds)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; the chat shows {self.screen()[-3:]}") from None

    def asked(self, text: str, *words: str, seconds: float = 30) -> dict[str, Any]:
        """Say `text`; the answer with all `words`."""
        return self.seen(*words, after=self.say(text), seconds=seconds)


class Service:
    """A demo on one state folder: its process is killed and started as the test likes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen[str] | None = None
        self.chat = Chat("")

    def start(self) -> None:
        """Until the one line on stdout, which is the page's address."""
        self.spawn()
        assert self.process is not None and self.process.stdout is not None and self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line, f"the demo ended: {self.process.stderr.read()}"
        self.chat = Chat(line.strip())

    def spawn(self) -> None:
        """Start the process and wait for nothing."""
        command = [sys.executable, "run.py", "demo", "--no-browser", "--data", str(self.folder), *self.options]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def kill(self) -> None:
        """SIGKILL to the service alone."""
        assert self.process is not None
        self.process.kill()
        self._forget()

    def end(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._forget()
        return code

    def _forget(self) -> None:
        assert self.process is not None
        self.process.wait(10)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self.process = None

    @property
    def record(self) -> dict[str, Any]:
        """The file demo.json."""
        return json.loads((self.folder / "demo.json").read_text())  # type: ignore[no-any-return]

    @property
    def exchange(self) -> str:
        return f"http://127.0.0.1:{self.record['sandbox']['port']}"

    def books(self) -> dict[str, Any]:
        """The exchange's own books of the demo's account."""
        return ask(f"{self.exchange}/sandbox/books?account=sandboxkey")  # type: ignore[no-any-return]

    def close(self) -> None:
        """End everything, whatever the test left."""
        pids = []
        with contextlib.suppress(OSError, ValueError):
            pids = [self.record[kind]["pid"] for kind in ("sandbox", "chat") if self.record.get(kind)]
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end()
        if self.process is not None:
            self.kill()
        for pid in pids:
            command = Path(f"/proc/{pid}/cmdline")
            if pid and command.exists() and str(self.folder).encode() in command.read_bytes():
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def demo(folder: Path, *options: str) -> Iterator[Service]:
    """A started demo that is gone after the block."""
    service = Service(folder, *options)
    try:
        service.start()
        yield service
    finally:
        service.close()


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
