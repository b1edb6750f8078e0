"""As much as an exposition may ever have to tell: 10,000 living jobs, 200 settled namespaces, every kind of row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cleanhours.adapters.exposition import PrometheusTelemetry
from cleanhours.domain.accounts import Entry, MethodShare, Settled
from cleanhours.domain.energy import Method
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import FINISHED, Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import HOUR, START, a_plan, an_entry

JOBS: Final = 10_000
NAMESPACES: Final = 200
CLUSTER: Final = "kubernetes"
LIVING: Final = tuple(state for state in JobState if state not in FINISHED)
SERIES_IN_ALL: Final = 2_600
"""About 2,500: settled families and living jobs at their limits, and what else there is for one cluster."""


def settled_rows(places: Sequence[str]) -> Iterator[Entry]:
    """Every namespace at every place with every method, final, provisional and typical."""
    uid = 0
    for n in range(NAMESPACES):
        for place in places:
            for settled in Settled:
                uid += 1
                yield an_entry(
                    str(uid),
                    cluster=CLUSTER,
                    namespace=f"team-{n:03d}",
                    location=place,
                    settled=settled,
                    shares=tuple(MethodShare(method, ("m",), 1000, 1, 2) for method in Method),
                    deadline_kept=bool(uid % 7),
                )


def a_crowded_tick(places: Sequence[str]) -> Snapshot:
    """Jobs in every state at every place, three zones, capacity in every resource."""
    reasons = tuple(Reason)
    jobs = tuple(
        Job(
            key=JobKey(CLUSTER, str(n)),
            name=f"train-{n % 3000}",
            namespace=f"team-{n % NAMESPACES:03d}",
            state=LIVING[n % len(LIVING)],
            request=JobRequest(submitted=START, demand=Demand(1000, 2**30, 1)),
            home=places[0],
            location=places[n % len(places)],
            plan=a_plan(
                start=START + n % 48 * HOUR,
                segments=(
                    Segment(
                        START + n % 48 * HOUR, START + (n % 48 + 2) * HOUR, places[n % len(places)], "GB"
                    ),
                ),
                latest_start=START + 60 * HOUR,
                reason=reasons[n % len(reasons)],
            ),
        )
        for n in range(JOBS)
    )
    rooms = {
        place: Room(
            Location(place, "GB", capacity=Capacity(10**6, 2**45, 500, 10**4)),
            (Booking(START, START + HOUR, Demand(5000, 2**33, 3)),),
        )
        for place in places
    }
    starts = [START + n * HOUR for n in range(48)]
    series = {
        zone: IntensitySeries.of(zone, starts, [100] * 48, step=HOUR, provider="neso", issued_at=START)
        for zone in ("GB", "DE", "FR")
    }
    return Snapshot(now=START, jobs=jobs, rooms=rooms, series=series)


def a_busy_process() -> PrometheusTelemetry:
    """What a controller counts of itself, every family of it."""
    telemetry = PrometheusTelemetry()
    for reason in Reason:
        telemetry.count("decisions_total", cluster=CLUSTER, reason=reason.value)
    for outcome in ("ok", "temporary", "unknown-zone", "fault"):
        telemetry.count("provider_requests_total", provider="neso", outcome=outcome)
        for verb in ("get", "list", "patch", "create"):
            telemetry.count("api_requests_total", verb=verb, outcome=outcome)
    for kind in ("jobs", "pods", "nodes", "namespaces", "jobsets", "workloads"):
        telemetry.set("watch_age_seconds", 1, kind=kind)
        telemetry.count("watch_relists_total", kind=kind)
        telemetry.count("watch_errors_total", kind=kind, reason="gone")
    telemetry.observe("start_delay_seconds", 60, cluster=CLUSTER)
    telemetry.observe("release_lag_seconds", 1, cluster=CLUSTER)
    telemetry.count("faults_total", part="tick")
    return telemetry
