"""The scheduler: our own APScheduler with the service's regular jobs.

Jobs arrive as coroutine functions, so this package knows nothing of the desk, the chat or the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

Job = Callable[[], Awaitable[object]]

log = logging.getLogger(__name__)


class Schedule:
    """Jobs that run every so many seconds, one run of each at a time; a failed run is logged and the next one comes."""

    def __init__(self) -> None:
        self._runs: set[asyncio.Task[None]] = set()
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            # one run at a time; a machine that slept makes up for at most one run, however late
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(_tell, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def every(self, name: str, seconds: float, job: Job, soon: bool = False) -> None:
        """Run `job` every `seconds`; for the first time after one interval, or at once when `soon`."""

        async def run() -> None:  # only a coroutine function of its own is run on the loop and not in a thread
            task = asyncio.current_task()
            assert task is not None
            self._runs.add(task)
            try:
                await job()
            finally:
                self._runs.discard(task)

        now = datetime.now(UTC)
        start = now if soon else now + timedelta(seconds=seconds)
        trigger = IntervalTrigger(seconds=seconds, timezone=UTC)
        self._scheduler.add_job(run, trigger, id=name, name=name, next_run_time=start, replace_existing=True)

    def jobs(self) -> dict[str, datetime | None]:
        """When each job runs next, by name."""
        return {job.id: getattr(job, "next_run_time", None) for job in self._scheduler.get_jobs()}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Schedule]:
        """Jobs run inside this block and never after it."""
        self._scheduler.start()
        try:
            yield self
        finally:
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # shutdown is only queued on the loop; it then cancels the runs that are under way
            await asyncio.gather(*self._runs, return_exceptions=True)


def first_jobs(
    audit: Job, rules: Job, keepalive: Job, *, audit_seconds: float, rules_hours: float, keepalive_minutes: float
) -> Schedule:
    """The jobs every service has: audit of the bots, refresh of the rules, life of the account streams."""
    schedule = Schedule()
    schedule.every("audit", audit_seconds, audit)
    schedule.every("rules", rules_hours * 3600, rules)
    schedule.every("keepalive", keepalive_minutes * 60, keepalive)
    return schedule


def _tell(event: JobEvent) -> None:
    error = getattr(event, "exception", None)
    if isinstance(error, asyncio.CancelledError):
        return
    if error is not None:
        log.error("job failed", extra={"job": event.job_id, "error": f"{type(error).__name__}: {error}"})
    else:
        log.warning("job skipped", extra={"job": event.job_id})
