"""A job as Slurm shows it, and what we know of it: only what a test names differs from the usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from cleanhours.domain.jobs import Action, Decision, JobKey, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.jobs import Known, known_of
from cleanhours_plugins.clusters.slurm.places import Places
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.tagging import Tag, written

NOW = 1_795_300_000
HOUR = 3600
BY_PARTITION = {
    "de": Location("de", "DE", match={"partition": "de"}),
    "fr": Location("fr", "FR", match={"partition": "fr"}),
    "pl": Location("pl", "PL", match={"partition": "pl"}),
}
BY_FEATURE = {name: replace(location, match={"feature": name}) for name, location in BY_PARTITION.items()}
NOTHING: Mapping[str, Any] = MappingProxyType({})
ZONES = {"de": "DE", "fr": "FR", "pl": "PL"}


def settings(locations: Mapping[str, Location] = BY_PARTITION, **changed: Any) -> SlurmSettings:
    return SlurmSettings(**{"places": Places(locations, "de"), **changed})


def seen(**changed: Any) -> Seen:
    """A job of half an hour that was submitted an hour ago and waits for room, in the partition de."""
    usual: dict[str, Any] = {
        "id": "12", "state": "PENDING", "reason": "Resources", "uid": 5, "user": "games", "account": "team", "qos": "normal",
        "partition": "de", "features": "", "reservation": "", "limit": timedelta(minutes=30), "start": None, "end": None,
        "submitted": NOW - HOUR, "cpus": 4, "nodes": 1, "memory_bytes": 2**30, "gpus": 0, "dependency": "",
        "wanted_nodes": "", "node_list": "", "name": "train", "comment": "",
    }  # fmt: skip
    return Seen(**{**usual, **changed})


def tag(**changed: Any) -> Tag:
    """Of that job; it may wait twelve hours."""
    usual: dict[str, Any] = {
        "submitted": NOW - HOUR,
        "home": "de",
        "words": {"max-delay": "12h"},
        "partition": "de",
    }
    return Tag(**{**usual, **changed})


def known(seen: Seen, tag: Tag, own: str = "") -> Known:
    """As it is read back from the comment that says so."""
    found = known_of(replace(seen, comment=written(tag, own)), ZONES)
    assert found is not None
    return found


def waiting(
    planned: int | None = NOW + HOUR, tagged: Mapping[str, Any] = NOTHING, own: str = "", **of_slurm: Any
) -> Known:
    """A job that is planned for then and waits for it; None: nobody planned it. `tagged` is changed of its tag."""
    begins = {} if planned is None else {"start": planned, "reason": "BeginTime"}
    plan = {} if planned is None else {"plan": a_plan(planned)}
    return known(seen(**{**begins, **of_slurm}), tag(**{**plan, **tagged}), own)


def running(tagged: Mapping[str, Any] = NOTHING, **of_slurm: Any) -> Known:
    """One that began ten minutes ago, as planned, on de1."""
    began = NOW - 600
    usual = {"state": "RUNNING", "reason": "None", "start": began, "end": began + 1800, "node_list": "de1"}
    return waiting(began, tagged, **{**usual, **of_slurm})


def paused(planned: int = NOW + HOUR, tagged: Mapping[str, Any] = NOTHING, **of_slurm: Any) -> Known:
    """One that ran for half an hour, until we requeued it ten minutes ago."""
    run = RunSegment(instant_of(NOW - 2400), instant_of(NOW - 600), "de")
    return waiting(
        planned, {"runs": (run,), "paused": True, **tagged}, **{"submitted": NOW - 600, **of_slurm}
    )


def a_plan(start: int, at: str = "de", reason: Reason = Reason.LOWEST_WINDOW) -> Plan:
    """A plan of half an hour there."""
    begins, ends = instant_of(start), instant_of(start + 1800)
    return Plan(
        location=at,
        zone=at.upper(),
        start=begins,
        end=ends,
        segments=(Segment(begins, ends, at, at.upper()),),
        latest_start=instant_of(start + 9 * HOUR),
        reason=reason,
        expected_g=120.5,
        baseline_g=300.0,
    )


def a_decision(
    action: Action, start: int = NOW + HOUR, at: str = "de", reason: Reason = Reason.LOWEST_WINDOW
) -> Decision:
    return Decision(JobKey("slurm", "12"), action, a_plan(start, at, reason), reason)
