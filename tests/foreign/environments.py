"""Virtual environments of foreign clients, one each because their pins clash; made once and kept."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PINS = {
    "official": "binance-sdk-derivatives-trading-usds-futures==18.0.1",
    "unofficial": "python-binance==1.0.37",
    "trader": "nautilus_trader==1.221.0",
}
"""What each script is written for, by the script's name."""
PATIENCE = 600


def folder() -> Path:
    """Where the environments are kept: TRELLIS_FOREIGN, or beside the project and ignored by git."""
    return Path(os.environ.get("TRELLIS_FOREIGN", ROOT / ".venv-foreign"))


def python_of(name: str) -> Path:
    """The interpreter that has `name`'s client; skips the test where it cannot be had."""
    home, pin = folder() / name, PINS[name]
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark = home / "made-of.txt"
    if mark.exists() and mark.read_text() == pin and python.exists():
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True, capture_output=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no environment for {pin}: {str(error.stderr or error).strip()[-200:]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"no environment for {pin}: {error}")
    mark.write_text(pin)
    return python


async def run(name: str, port: int, patience: float = 90) -> dict[str, Any]:
    """What the script `name` found on the sandbox at `port`."""
    python = await asyncio.to_thread(python_of, name)
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(HERE / f"{name}.py"),
        str(port),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    )
    try:
        async with asyncio.timeout(patience):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    for line in reversed(out.decode().splitlines()):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise AssertionError(f"{name} said nothing, and: {err.decode()[-2000:]}")
