"""The benchmarks run: a handful of fills each, figures as they are promised."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from benchmarks.ears import Frames

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


def test_several_grids_are_measured_beside_as_many_orders_of_the_bare_client(tmp_path: Path) -> None:
    few = ("--fills", "6", "--warm", "1", "--repeat", "1", "--idle", "0.5")
    told = measured(tmp_path, "grids", "--grids", "3", *few)
    (row,) = told["rows"]
    assert (row["grids"], row["fills"]) == (3, 6)
    assert row["ratio"]["median"] > 0
    assert 0 < row["idle_MB"] <= row["MB"]
    assert all(len(times) == 6 for times in told["runs"][0]["times"].values())


@pytest.mark.parametrize("shape", ["one", "accounts"])
def test_a_burst_of_twenty_fills_is_answered_by_twenty_orders(tmp_path: Path, shape: str) -> None:
    few = ("--bursts", "2", "--warm", "1", "--repeat", "1", "--gap", "100")
    told = measured(tmp_path, "burst", "--shapes", shape, *few)
    for figures in told["shapes"][shape]["us"].values():
        assert figures["bursts"] == 2
        assert 0 < figures["first"] <= figures["median"]


def test_twenty_grids_of_fifty_orders_come_back_after_a_kill(tmp_path: Path) -> None:
    told = measured(tmp_path, "recovery", "--kills", "1")
    (rise,) = told["kills"]
    assert 0 < rise["imported"] <= rise["opened"] <= rise["reached"] <= rise["reconciled"]
    assert rise["opened"] < rise["answered"] < 60


def test_market_data_is_decoded_to_the_same_quotes_in_every_way(tmp_path: Path) -> None:
    told = measured(tmp_path, "quotes", "--frames", "3000", "--repeat", "1")
    assert (told["frames"], told["quotes"]) == (3000, 2000)
    assert all(rate > 0 for way in ("alone", "socket") for rate in told[way].values())


def test_requests_are_counted_in_bytes_however_they_are_cut() -> None:
    frames = [Frame(Opcode.TEXT, b"x" * size).serialize(mask=True) for size in (5, 200, 70_000)]
    stream = b"".join([frames[0], Frame(Opcode.PONG, b"").serialize(mask=True), *frames[1:]])
    for cut in (1, 3, 126, 1 << 20):
        counter = Frames()
        assert sum(counter.texts(stream[at : at + cut]) for at in range(0, len(stream), cut)) == 3
