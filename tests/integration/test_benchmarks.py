"""The benchmarks run: a handful of fills each, figures as they are promised."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(110)
ROOT = Path(__file__).resolve().parents[2]


def measured(tmp_path: Path, module: str, *arguments: str) -> dict:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text("utf-8"))


def test_service_and_bare_client_answer_the_same_fills_in_one_run(tmp_path: Path) -> None:
    told = measured(
        tmp_path, "answer", "--fills", "6", "--warm", "2", "--repeat", "1", "--gap", "30", "--clients", "service,bare"
    )
    for name in ("service", "bare"):
        assert told["figures_us"][name]["fills"] == 6
        assert 0 < told["figures_us"][name]["median"] < 1_000_000
    assert told["figures_us"]["bare"]["ratio"] == 1
    assert told["figures_us"]["service"]["ratio"] > 0


def test_the_engine_is_measured_at_100_and_500_grids(tmp_path: Path) -> None:
    told = measured(tmp_path, "engine", "--fills", "20")
    assert {f"fill, {grids} grids" for grids in (100, 500)} <= told["ns"].keys()
    assert all(ns > 0 for ns in told["ns"].values())
