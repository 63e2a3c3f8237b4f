"""The scheduler runs coroutines on the loop, one run of a job at a time, and outlives their failures."""

from __future__ import annotations

import asyncio

from alerts.schedule import Schedule, first_jobs


async def test_the_first_jobs_are_the_audit_the_rules_and_the_account_streams() -> None:
    async def nothing() -> None: ...

    schedule = first_jobs(nothing, nothing, nothing, audit_seconds=60, rules_hours=24, keepalive_minutes=25)
    async with schedule.running():
        times = schedule.jobs()
    due = {
        name: round(time.timestamp() - min(t.timestamp() for t in times.values() if t))
        for name, time in times.items()
        if time
    }
    assert due == {"audit": 0, "rules": 86400 - 60, "keepalive": 1500 - 60}


async def test_a_job_that_fails_is_run_again_and_stops_no_other() -> None:
    seen: list[str] = []

    async def bad() -> None:
        seen.append("bad")
        raise ValueError("no")

    async def good() -> None:
        seen.append("good")

    schedule = Schedule()
    schedule.every("bad", 0.05, bad, soon=True)
    schedule.every("good", 0.05, good, soon=True)
    async with schedule.running():
        async with asyncio.timeout(10):
            while seen.count("bad") < 2 or seen.count("good") < 2:
                await asyncio.sleep(0.02)


async def test_a_slow_job_never_runs_beside_itself_and_none_runs_after_the_end() -> None:
    running, most, runs = 0, 0, 0

    async def slow() -> None:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        await asyncio.sleep(0.15)
        running -= 1

    schedule = Schedule()
    schedule.every("slow", 0.05, lambda: slow(), soon=True)
    async with schedule.running():
        await asyncio.sleep(0.6)
    ended = runs
    await asyncio.sleep(0.2)
    assert most == 1 and runs == ended >= 2
