"""A site and its user as a stage of tests: jobs are submitted as the wrapper leaves them, and decided upon by the port."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cleanhours.adapters.clock import SystemClock
from cleanhours.adapters.telemetry import Silent
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import Rules
from cleanhours.domain.times import epoch, format_duration
from cleanhours.ports import Clock, Cluster, Context, Telemetry
from cleanhours_plugins.clusters.slurm import build
from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster
from cleanhours_plugins.clusters.slurm.tagging import Tag, written
from tests.integration.slurm.site import USER, Site, as_user, wait_until

AHEAD = timedelta(hours=1)
"""By so much the start of what waits is ahead: Slurm starts by itself what is due."""
PATIENCE_S = 60.0


@dataclass
class Surroundings:
    """A context in which two partitions of the site are the locations."""

    state_folder: Path
    clock: Clock = field(default_factory=SystemClock)
    telemetry: Telemetry = field(default_factory=Silent)
    rules: Rules = field(default_factory=Rules)
    default_words: Mapping[str, str] = field(default_factory=dict)
    locations: Mapping[str, Location] = field(
        default_factory=lambda: {
            name: Location(name, "GB", match={"partition": name}) for name in ("de", "fr")
        }
    )

    def plan(
        self, request: JobRequest, *, home: str | None = None, queue_margin: timedelta | None = None
    ) -> Plan:
        raise AssertionError("the adapter plans nothing by itself")

    def cluster(self, name: str) -> Cluster:
        raise AssertionError("the adapter asks for no other")


def a_cluster(site: Site, state_folder: Path, **table: Any) -> SlurmCluster:
    """The adapter at work for all users of a site: the tests run as its operator."""
    usual = {
        "slurm_conf": str(site.config),
        "users": "all",
        "poll": "1s",
        "accounting": "none",
        "location": "de",
    }
    return build({**usual, **table}, cast("Context", Surroundings(state_folder)))


def a_plan(start: datetime, length: timedelta, at: str = "de", reason: Reason = Reason.LOWEST_WINDOW) -> Plan:
    """A plan for one run there."""
    return Plan(
        location=at,
        zone="GB",
        start=start,
        end=start + length,
        segments=(Segment(start, start + length, at, "GB"),),
        latest_start=start + timedelta(hours=9),
        reason=reason,
    )


class Owners:
    """A site and its user."""

    here, elsewhere = "de", "fr"

    def __init__(self, site: Site, cluster: Cluster, clock: Clock) -> None:
        self.site = site
        self.cluster = cluster
        self.clock = clock
        self.namespace = USER if as_user() else pwd.getpwuid(os.getuid()).pw_name
        self.numbers: dict[JobKey, str] = {}

    def submit(
        self, name: str, work: timedelta, exit_code: int, request: JobRequest, *options: str, own: str = ""
    ) -> JobKey:
        """As the wrapper leaves it: with our tag behind his own comment, and a start ahead."""
        now = self.clock.now().replace(microsecond=0)
        words = {
            "duration": "" if request.duration is None else format_duration(request.duration),
            "max-delay": "" if request.max_delay is None else format_duration(request.max_delay),
            "interruptible": "true" if request.interruptible else "",
            "locations": ",".join(request.locations),
        }
        tag = Tag(
            submitted=epoch(now),
            home=self.here,
            words={word: text for word, text in words.items() if text},
            partition=self.here,
            plan=a_plan(now + AHEAD, request.duration or work, self.here),
        )
        number = self.site.sbatch(
            "-J", name, "-p", self.here, "-t", "30", "-o", "/dev/null", f"--begin=uts{epoch(now + AHEAD)}",
            f"--comment={written(tag, own)}", *options,
            "--wrap", f"sleep {work.total_seconds()}; exit {exit_code}",
        )  # fmt: skip
        key = JobKey(self.cluster.name, f"{number}-{tag.submitted}")
        self.numbers[key] = number
        self.wait(lambda: self.state(key) is JobState.HELD)
        return key

    def cancel(self, key: JobKey) -> None:
        self.site.run("scancel", self.numbers[key])
        self.wait(lambda: self.state(key) is None)

    def owner_pause(self, key: JobKey) -> None:
        """What waits he holds, what runs he stops."""
        number = self.numbers[key]
        if self.state(key) is JobState.HELD:
            self.site.run("scontrol", "hold", number)
        else:
            self.site.run("scancel", "--signal=STOP", number)
        self.wait(lambda: self.state(key) is JobState.UNMANAGED)

    def owner_resume(self, key: JobKey) -> None:
        number = self.numbers[key]
        if self.site.state(number) == "PENDING":
            self.site.run("scontrol", "release", number)
        else:
            self.site.run("scancel", "--signal=CONT", number)
        self.wait(lambda: self.state(key) is not JobState.UNMANAGED)

    def wait(self, condition: Callable[[], bool]) -> None:
        wait_until(condition, "it comes true", PATIENCE_S)

    def jobs(self) -> list[Job]:
        return [*self.cluster.pending(), *self.cluster.running()]

    def state(self, key: JobKey) -> JobState | None:
        """None once it has ended."""
        return next((job.state for job in self.jobs() if job.key == key), None)

    def clear(self) -> None:
        """Leaves no job."""
        for number in self.site.jobs():
            self.site.root("scancel", number.partition("_")[0].partition("+")[0], check=False)
        wait_until(lambda: not self.site.jobs(), "its queue is empty")
