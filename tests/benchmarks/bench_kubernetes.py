"""10,000 held Jobs on a real API server under a real controller process: memory, time, release lag, writes, admission."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Iterator
from datetime import timedelta

from tests.benchmarks.figures import Figure
from tests.benchmarks.kubernetes_admission import admission_latency
from tests.benchmarks.kubernetes_listing import measured
from tests.benchmarks.kubernetes_lives import writes_of_lives
from tests.benchmarks.kubernetes_site import (
    MIB,
    UNPACED,
    Process,
    Site,
    a_site,
    now,
    percentile,
    wait,
    wait_until,
)
from tests.integration.kubernetes.control_plane import INSTALL
from tests.integration.kubernetes.crowds import due_at, held_job, jobs_of

JOBS = int(os.environ.get("CLEANHOURS_BENCH_JOBS", "10000"))
DUE, DUE_PER_S = min(600, JOBS), 15
"""Jobs that fall due while the others wait, and how fast: below the 20 a second that our writes are held to."""
LEAD = timedelta(seconds=20 + DUE / 10)
"""From their creation until the first of them is due: their plans and Events are written at 20 a second."""
MARGIN = timedelta(minutes=2)
"""The queue margin, as usual."""


def run() -> Iterable[Figure]:
    """About ten minutes. One line that says why where the control plane is not installed."""
    with a_site() as site:
        if site is None:
            yield Figure(f"kubernetes: no control plane ({INSTALL})", "", float("nan"), "", None)
            return
        yield from measure(site, JOBS)
        yield from writes_of_lives(site)
        yield from admission_latency(site)


def measure(site: Site, jobs: int) -> Iterator[Figure]:
    """From an idle controller to one that releases among so many Jobs."""
    with site.controller() as idle:
        wait(lambda: len(idle.ticks()) >= 5)
        base_now, base_peak = idle.memory()
    yield Figure("a controller without Jobs, resident", "", base_now / MIB, "MiB", None)
    yield Figure(f"creation of {jobs:,} held Jobs", "", site.fill(jobs), "/s", None)
    yield from lists(site)
    with site.controller() as cold:
        yield from start(cold, f"{jobs:,} Jobs that nobody planned yet")
        wait_until(now() + timedelta(seconds=60))
        yield from ticks("the longest tick of the first minute", cold)
        yield Figure("processor time of that minute", "", cold.processor_s(), "s", None)
    _plan_all(site, jobs)
    with site.controller() as warm:
        yield from start(warm, f"{jobs:,} planned Jobs")
        wait(lambda: len(warm.ticks()) >= 15)
        yield from ticks("the longest tick of those that find nothing to do", warm, first=1)
        yield from releases(site, warm)
        in_all, peak = warm.memory()
    yield Figure(f"{jobs:,} Jobs, resident", "≤ 130 MiB", in_all / MIB, "MiB", in_all <= 130 * MIB)
    yield Figure(
        "above the idle process", "≤ 60 MiB", (in_all - base_now) / MIB, "MiB", in_all - base_now <= 60 * MIB
    )
    yield Figure("highest resident ever", "", peak / MIB, "MiB", None)
    yield Figure("above the idle process's", "", (peak - base_peak) / MIB, "MiB", None)


def lists(site: Site) -> Iterator[Figure]:
    """What one full list costs, ours and the client's."""
    ours, typed = (measured(how, site.kubeconfig) for how in ("records", "typed"))
    yield Figure(
        f"one full list of {ours.jobs:,} Jobs, processor", "≤ 1.5 s", ours.cpu_s, "s", ours.cpu_s <= 1.5
    )
    yield Figure("memory that it keeps", "", ours.kept_mib, "MiB", None)
    yield Figure("the same list with the client's typed models, processor", "", typed.cpu_s, "s", None)
    yield Figure("memory that it keeps", "", typed.kept_mib, "MiB", None)
    yield Figure("memory that it takes meanwhile", "", typed.peak_mib, "MiB", None)


def start(process: Process, what: str) -> Iterator[Figure]:
    """How long it takes to see everything."""
    synced_s = process.synced_s()
    cpu_s = process.processor_s()
    yield Figure(f"start to synced, {what}", "≤ 5 s", synced_s, "s", synced_s <= 5)
    yield Figure("processor time until then, interpreter and libraries included", "", cpu_s, "s", None)


def ticks(name: str, process: Process, first: int = 0, end: int | None = None) -> Iterator[Figure]:
    """Those of the process with these numbers."""
    seconds = [took_s for took_s, _ in process.ticks()[first:end]]
    yield Figure(name, "≤ 1 s", max(seconds), "s", max(seconds) <= 1)
    yield Figure(f"the median of {len(seconds)} such ticks", "", statistics.median(seconds), "s", None)


def _plan_all(site: Site, jobs: int) -> None:
    """Every Job gets its plan written, as fast as it goes: at 20 a second it would take ten minutes of our time."""
    with site.controller(UNPACED) as hurried:
        wait(lambda: hurried.metric("cleanhours_jobs_planned") >= jobs, 1800)
        wait(lambda: _settled(hurried), 1800)


def _settled(process: Process) -> bool:
    """Whether the last ticks decided nothing, and nothing was written for a while."""
    before = process.metric("cleanhours_api_requests_total", verb="patch")
    wait_until(now() + timedelta(seconds=6))
    last = process.ticks()[-2:]
    return all(not number for _, number in last) and before == process.metric(
        "cleanhours_api_requests_total", verb="patch"
    )


def releases(site: Site, process: Process) -> Iterator[Figure]:
    """Among those that wait, some fall due, one after the other."""
    site.namespace("due")
    first = now() + LEAD
    starts = {f"due-{number}": first + timedelta(seconds=number // DUE_PER_S) for number in range(DUE)}
    planning = len(process.ticks())
    site.server.create_all(
        "due", [held_job(name, due_at(start, timedelta(seconds=1), MARGIN)) for name, start in starts.items()]
    )
    wait_until(first)
    releasing = len(process.ticks())
    yield from ticks(f"the longest tick while {DUE} new Jobs are planned", process, planning, releasing)
    wait_until(max(starts.values()) + timedelta(seconds=10))
    yield from ticks(f"the longest tick while {DUE_PER_S} a second are released", process, releasing)
    lags = []
    for name, writes in site.writes_by_job("due").items():
        after = [one.at for one in writes if one.verb == "patch" and one.at >= starts[name]]
        lags += [(min(after) - starts[name]).total_seconds()] if after else []
    missed = sum(bool(job["spec"]["suspend"]) for job in site.server.items(jobs_of("due")))
    yield Figure(f"{DUE} Jobs fall due, {DUE_PER_S} a second: never released", "0", missed, "", missed == 0)
    p99 = percentile(lags, 99)
    yield Figure("release lag against plan, p50", "", percentile(lags, 50), "s", None)
    yield Figure("release lag against plan, p99", "≤ 1 s", p99, "s", p99 <= 1)
    lives = [len(writes) for writes in site.writes_by_job("due").values()]
    most = max(lives)
    yield Figure("API writes in the life of a Job whose plan never changes, most", "≤ 5", most, "", most <= 5)
    yield Figure("API writes in such a life, mean", "", statistics.mean(lives), "", None)
