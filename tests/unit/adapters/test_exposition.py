"""What Prometheus is told: the ledger's figures, the last tick, and never too many series."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cleanhours.adapters.exposition import PREFIX, Exposition, PrometheusTelemetry
from cleanhours.adapters.exposition.families import JOBS_LIMIT, SERIES_LIMIT
from cleanhours.adapters.exposition.labels import (
    PLACES_LIMIT,
    clean_label,
    full_expansion,
    namespaces_with_label,
)
from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.accounts import Cause, MethodShare, Settled, Totals
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import HOUR, START, a_beside, a_plan, an_entry
from cleanhours.testing.ledgers import FakeLedger

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def a_job(uid: str = "1", state: JobState = JobState.HELD, **more: object) -> Job:
    job = Job(
        key=JobKey("local", uid),
        name="train",
        namespace="ada",
        state=state,
        request=JobRequest(submitted=START),
        home="home",
        plan=a_plan(start=START + 3 * HOUR, latest_start=START + 5 * HOUR),
    )
    return replace(job, **more)  # type: ignore[arg-type]


def scraped(exposition: Exposition) -> Series:
    text = generate_latest(exposition.registry).decode()
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name.removeprefix(PREFIX), tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def value(series: Series, name: str, **labels: str) -> float:
    return series[name, tuple(sorted(labels.items()))]


def exposing(
    *entries: object, ledger: FakeLedger | None = None, places: int = 1, **snapshot: object
) -> Exposition:
    ledger = ledger or FakeLedger()
    for entry in entries:
        ledger.record(entry)  # type: ignore[arg-type]
    exposition = Exposition(ledger, PrometheusTelemetry(), clusters=["local"], places=places)
    exposition.show(Snapshot(now=START, **snapshot))  # type: ignore[arg-type]
    return exposition


PLACE = {"cluster": "local", "location": "home", "namespace": "ada"}


def test_final_runs_are_told_in_joules_and_grams() -> None:
    series = scraped(exposing(an_entry("1"), an_entry("2", settled=Settled.PROVISIONAL)))
    counted = {**PLACE, "method": "measured"}
    assert 3600.0 == value(series, "energy_joules_total", **counted)
    assert 60e-6 == value(series, "emissions_grams_total", **counted)
    assert 100e-6 == value(series, "emissions_baseline_grams_total", **counted)
    for settled in ("final", "provisional"):
        assert 40e-6 == value(series, "emissions_avoided_grams", **PLACE, cause="delayed", settled=settled)
    assert 0.5 == value(series, "provisional_ratio")


def test_avoided_may_be_negative_and_corrections_are_told() -> None:
    series = scraped(exposing(an_entry("1"), an_entry("1", avoided=-10)))
    assert -10e-6 == value(series, "emissions_avoided_grams", **PLACE, cause="delayed", settled="final")
    assert 50e-6 == value(series, "corrections_grams")
    assert 60e-6 == value(series, "emissions_grams_total", **PLACE, method="measured")


def test_a_second_measure_has_families_of_its_own() -> None:
    alone, both = scraped(exposing(an_entry())), scraped(exposing(an_entry(beside=a_beside())))
    worn = {"cluster": "local", "location": "home", "signal": "marginal", "scope": "lifecycle"}
    assert 80e-6 == value(both, "emissions_beside_grams", **worn, settled="final")
    assert 90e-6 == value(both, "emissions_baseline_beside_grams", **worn, settled="final")
    assert alone == {key: told for key, told in both.items() if "beside" not in key[0]}


def test_runs_are_told_by_who_knows_their_energy_and_those_of_nobody_too() -> None:
    """Fifty runs without any energy are not silence."""
    unknown: dict[str, Any] = {
        "emissions_ug": None, "baseline_ug": None, "avoided_ug": {}, "energy_avoided_mj": {}, "shares": (),
        "profile": EnergyProfile(), "intensity": (), "unmeasured": "no meter knew its energy",
    }  # fmt: skip
    alone = scraped(exposing(*(an_entry(str(n), **unknown) for n in range(50))))
    place = {"cluster": "local", "location": "home"}
    assert 50 == value(alone, "runs_settled_total", **place, method="unknown")
    both = scraped(exposing(an_entry("1"), an_entry("2", **unknown)))
    assert 1 == value(both, "runs_settled_total", **place, method="measured")
    assert 1 == value(both, "runs_settled_total", **place, method="unknown")


def test_only_the_leader_tells_what_comes_from_the_ledger() -> None:
    series = scraped(exposing(an_entry(), leader=False))
    assert 0.0 == value(series, "leader")
    from_the_ledger = ("energy", "emissions", "deadline", "corrections", "settled", "namespaces", "runs")
    assert not [name for name, _ in series if name.startswith(from_the_ledger)]


def test_before_the_first_tick_there_is_no_leader() -> None:
    exposition = Exposition(FakeLedger(), PrometheusTelemetry())
    assert {("leader", ()): 0.0} == scraped(exposition)
    assert not exposition.shown


def test_a_ledger_that_cannot_be_read_keeps_its_last_sums() -> None:
    class Losing(FakeLedger):
        lost = False

        def totals(self) -> Totals:
            if self.lost:
                raise TemporaryError("locked")
            return super().totals()

    ledger = Losing()
    exposition = exposing(an_entry(), ledger=ledger)
    before = scraped(exposition)
    ledger.lost = True
    assert before == scraped(exposition)


def test_sums_are_made_after_a_settlement_and_not_by_the_scrape(tmp_path: Path) -> None:
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")) as ledger:
        ledger.record(an_entry())
        exposition = Exposition(ledger, PrometheusTelemetry(), clusters=["local"])
        exposition.sum_up()
        assert () == exposition._told[1], "before the first tick nobody knows whether it leads"
        exposition.show(Snapshot(now=START))
        exposition.sum_up()
        made = exposition._told[1]
        series = scraped(exposition)
        assert made is exposition._told[1]
        assert 60e-6 == value(series, "emissions_grams_total", **PLACE, method="measured")


def test_jobs_are_counted_by_state_and_planned_start() -> None:
    jobs = (a_job("1"), a_job("2"), a_job("3", JobState.RUNNING, location="home"))
    series = scraped(exposing(jobs=jobs))
    assert 2 == value(series, "jobs", cluster="local", namespace="ada", state="held")
    assert 1 == value(series, "jobs", cluster="local", namespace="ada", state="running")
    assert 2 == value(series, "jobs_planned", cluster="local", location="home", starts="6h")
    assert 0 == value(series, "jobs_at_risk", cluster="local")


@pytest.mark.parametrize(
    ("hours", "starts"), [(-1, "1h"), (1, "1h"), (1.01, "6h"), (24, "24h"), (25, "later")]
)
def test_planned_starts_fall_into_four_classes(hours: float, starts: str) -> None:
    series = scraped(exposing(jobs=(a_job(plan=a_plan(start=START + hours * HOUR)),)))
    assert 1 == value(series, "jobs_planned", cluster="local", location="home", starts=starts)


def test_the_windows_chosen_are_told_hour_by_hour_over_the_intensity() -> None:
    """Jobs by the parts of hours that they are planned to run, and the mean of what they run on."""

    def planned(*parts: tuple[float, float, str]) -> Plan:
        segments = tuple(Segment(START + a * HOUR, START + b * HOUR, "x", zone) for a, b, zone in parts)
        return replace(a_plan(), segments=segments)

    forecast = IntensitySeries.of(
        "GB", [START + n * HOUR for n in range(-1, 6)], [90, 100, 110, 120, 130, 140, 150], step=HOUR
    )
    now = START + HOUR / 2
    jobs = (
        a_job("1", plan=planned((0, 1.5, "GB"), (3.5, 4, "GB"), (60, 61, "GB"))),
        a_job("2", JobState.RUNNING, location="home", plan=planned((-5, 1, "GB"), (48, 50, "DE"))),
        a_job("3", JobState.UNMANAGED, plan=planned((0, 9, "GB"))),
    )
    rooms = {name: Room(Location(name, zone)) for name, zone in (("home", "GB"), ("away", "FR"))}
    exposition = exposing()
    exposition.show(Snapshot(now=now, jobs=jobs, rooms=rooms, series={"GB": forecast}))
    series = scraped(exposition)
    zones = {
        zone: [value(series, "jobs_planned_ahead", zone=zone, ahead=f"{hour:02}") for hour in range(48)]
        for zone in ("GB", "FR", "DE")
    }
    assert [1.5, 0, 0, 0.5, *[0] * 44] == zones["GB"]
    assert [0] * 48 == zones["FR"]
    assert [*[0] * 47, 0.5] == zones["DE"]
    told = {
        dict(worn)["ahead"]: grams
        for (name, worn), grams in series.items()
        if name == "carbon_intensity_ahead_grams_per_kwh"
    }
    assert {"00": 105, "01": 115, "02": 125, "03": 135, "04": 145} == told, "of the last hour half is known"


def test_jobs_past_their_latest_safe_start_are_at_risk() -> None:
    late = a_job(plan=a_plan(latest_start=START - HOUR))
    assert 1 == value(scraped(exposing(jobs=(late,))), "jobs_at_risk", cluster="local")


def test_capacity_is_told_in_cores_and_bytes() -> None:
    location = Location("home", "GB", capacity=Capacity(8000, 10**9, None, 4))
    taken = Booking(START, START + HOUR, Demand(cpu_millicores=1500))
    over = Booking(START - HOUR, START, Demand(cpu_millicores=1000))
    job = a_job(
        state=JobState.RUNNING, location="home", request=JobRequest(submitted=START, demand=Demand(2000))
    )
    series = scraped(exposing(jobs=(job,), rooms={"home": Room(location, (taken, over))}))
    place = {"cluster": "local", "location": "home"}
    for use, cores in (("total", 8.0), ("ours", 2.0), ("others", 1.5)):
        assert cores == value(series, "capacity", **place, resource="cpus", use=use)
    assert 1e9 == value(series, "capacity", **place, resource="memory", use="total")
    assert not [labels for name, labels in series if name == "capacity" and ("resource", "gpus") in labels]


def test_each_location_is_told_with_its_zone_and_nothing_else_is() -> None:
    rooms = {
        name: Room(Location(name, zone)) for name, zone in (("home", "GB"), ("away", "FR"), ("far", "FR"))
    }
    series = scraped(exposing(rooms=rooms, jobs=(a_job(location="elsewhere"),)))
    told = {labels: one for (name, labels), one in series.items() if name == "location_info"}
    expected = [{"location": name, "zone": room.location.zone} for name, room in rooms.items()]
    assert {tuple(sorted(labels.items())): 1 for labels in expected} == told


def test_intensity_and_age_of_the_forecast_in_use_are_told() -> None:
    starts = [START + n * HOUR for n in range(8)]
    forecast = IntensitySeries.of(
        "GB",
        starts,
        [100 + n for n in range(8)],
        step=HOUR,
        provider="neso",
        issued_at=START - timedelta(minutes=5),
    )
    series = scraped(exposing(series={"GB": forecast}))
    known = {"zone": "GB", "kind": "forecast", "signal": "average"}
    leads = {
        lead: value(series, "carbon_intensity_grams_per_kwh", **known, lead=lead)
        for lead in ("0h", "1h", "6h")
    }
    assert {"0h": 100, "1h": 101, "6h": 106} == leads
    assert 300 == value(series, "forecast_age_seconds", zone="GB", provider="neso")


def test_a_living_job_has_a_series_and_two_of_one_name_have_two() -> None:
    series = scraped(exposing(jobs=(a_job("1"), a_job("2"), a_job("3", name="other"))))
    names = sorted(dict(labels)["job"] for name, labels in series if name == "job_state")
    assert ["other", "train 1", "train 2"] == names


def test_of_too_many_jobs_those_at_risk_are_told() -> None:
    jobs = [a_job(str(n), name=f"n{n}") for n in range(JOBS_LIMIT + 100)]
    jobs.append(a_job("late", name="late", plan=a_plan(latest_start=START - HOUR)))
    series = scraped(exposing(jobs=tuple(jobs)))
    names = [dict(labels)["job"] for name, labels in series if name == "job_state"]
    assert JOBS_LIMIT == len(names)
    assert "late" in names


def test_names_from_outside_are_made_harmless() -> None:
    series = scraped(exposing(jobs=(a_job(name='x\x1b[31m\n"\\\udcff'),)))
    (labels,) = [dict(labels) for name, labels in series if name == "job_state"]
    assert 'x\ufffd[31m\ufffd"\\\ufffd' == labels["job"]
    assert 120 == len(clean_label("x" * 1000))


# --- the budget -----------------------------------------------------------------------------------------------------


def test_later_namespaces_are_other_and_nothing_is_lost() -> None:
    kept = namespaces_with_label(1)
    entries = [an_entry(str(n), namespace=f"ns{n:03d}") for n in range(kept + 5)]
    series = scraped(exposing(*entries))
    told = {
        dict(labels)["namespace"]: v for (name, labels), v in series.items() if name == "energy_joules_total"
    }
    assert [*(f"ns{n:03d}" for n in range(kept)), "other"] == sorted(told)
    assert 5 * 3600 == told["other"]
    assert 5 == value(series, "namespaces_in_other")
    assert full_expansion(1, kept) == value(series, "settled_series_limit") <= SERIES_LIMIT


def test_a_namespace_keeps_its_label_for_ever() -> None:
    ledger = FakeLedger()
    for n in range(60):
        exposition = exposing(an_entry(str(n), namespace=f"ns{59 - n:02d}"), ledger=ledger)
        told = {
            dict(labels)["namespace"] for name, labels in scraped(exposition) if name == "energy_joules_total"
        }
        assert {f"ns{59 - m:02d}" for m in range(min(n + 1, namespaces_with_label(1)))} <= told


def fully_expanded(ledger: FakeLedger, namespaces: range, places: range) -> None:
    """Every kind of row of each of the namespaces at each of the places."""
    for namespace in namespaces:
        for place in places:
            for settled in Settled:
                shares = tuple(MethodShare(method, (), 1, 1, 1) for method in Method)
                ledger.pages.rows.append(
                    an_entry(
                        f"{namespace} {place} {settled}",
                        namespace=f"n{namespace}",
                        location=f"p{place}",
                        settled=settled,
                        shares=shares,
                        beside=a_beside(settled=settled),
                    )
                )


FAMILIES_OF_RUNS = ("energy_", "emissions_", "runs_settled")


@pytest.mark.parametrize("places", [1, 2, 3, PLACES_LIMIT, PLACES_LIMIT + 1, 18, 50])
def test_settled_families_stay_within_the_limit_told_at_full_expansion(places: int) -> None:
    ledger = FakeLedger()
    fully_expanded(ledger, range(namespaces_with_label(places) + 3), range(places))
    told = scraped(exposing(ledger=ledger, places=places))
    series = [name for name, _ in told if name.startswith(FAMILIES_OF_RUNS)]
    limit = value(told, "settled_series_limit")
    assert limit * 0.9 < len(series) <= limit
    assert (limit <= SERIES_LIMIT) is (places <= PLACES_LIMIT)


def test_no_label_ever_changes_when_a_place_is_added_or_taken_away() -> None:
    """Of nobody: neither of those who have one of their own, nor of those in `other`."""
    ledger, labels, before = FakeLedger(), dict[str, str](), dict[str, float]()
    for step, places in enumerate((3, 1, 2, 18, 50, 2)):
        come = range(step * 20, step * 20 + 20)
        fully_expanded(ledger, come, range(1))
        fully_expanded(ledger, range(3), range(min(places, 3)))
        told = scraped(exposing(ledger=ledger, places=places))
        own = {dict(worn)["namespace"] for name, worn in told if name == "energy_joules_total"}
        now = {f"n{n}": f"n{n}" if f"n{n}" in own else "other" for n in range(come.stop)}
        assert labels.items() <= now.items(), f"after {places} places"
        labels = now
        counters = {f"{name}{worn}": told[name, worn] for name, worn in told if name == "energy_joules_total"}
        assert all(counters[series] >= joules for series, joules in before.items()), "a counter fell"
        before = counters
        series = [name for name, _ in told if name.startswith(FAMILIES_OF_RUNS)]
        assert len(series) <= value(told, "settled_series_limit")
        assert list(labels.values()).count("other") == value(told, "namespaces_in_other")
    assert {"other"} < set(labels.values())


@pytest.mark.parametrize("configured", [3, 1])
def test_the_limit_told_is_that_of_the_labels_and_places_there_are(configured: int) -> None:
    """Labels that were given at one place are at three now; also where two of these are configured no more."""
    ledger, most = FakeLedger(), namespaces_with_label(1)
    fully_expanded(ledger, range(most + 1), range(1))
    exposing(ledger=ledger, places=1).sum_up()
    fully_expanded(ledger, range(most + 1), range(1, 3))
    told = scraped(exposing(ledger=ledger, places=configured))
    series = [name for name, _ in told if name.startswith(FAMILIES_OF_RUNS)]
    assert full_expansion(3, most) == value(told, "settled_series_limit") >= len(series) > 2 * SERIES_LIMIT


def test_labels_that_cannot_be_kept_are_not_told() -> None:
    """Until the ledger can be written again, what was told before stands: a label once told may not change."""

    class Full(FakeLedger):
        full = False

        def label_namespaces(self, most: int) -> Sequence[str]:
            if self.full:
                raise TemporaryError("disk full")
            return super().label_namespaces(most)

    ledger = Full()
    exposition = exposing(an_entry(), ledger=ledger)
    before = scraped(exposition)
    ledger.full = True
    ledger.record(an_entry("2", namespace="bob"))
    assert before == scraped(exposition)
    ledger.full = False
    told = scraped(exposition)
    assert 3600 == value(told, "energy_joules_total", **{**PLACE, "namespace": "bob"}, method="measured")


def test_a_living_namespace_that_the_ledger_refused_a_label_gets_none_again() -> None:
    ledger = FakeLedger()
    fully_expanded(ledger, range(3), range(1))
    (refused,) = {"n0", "n1", "n2"} - set(ledger.label_namespaces(2))
    told = scraped(exposing(ledger=ledger, places=1, jobs=(a_job(namespace=refused),)))
    assert 1 == value(told, "jobs", cluster="local", namespace="other", state="held")


def test_causes_sum_to_what_was_avoided() -> None:
    entries = [an_entry(str(n), avoided=n, avoided_ug=dict.fromkeys(Cause, 7)) for n in range(3)]
    series = scraped(exposing(*entries))
    avoided = sum(v for (name, _), v in series.items() if name == "emissions_avoided_grams")
    assert pytest.approx(3 * 5 * 7e-6) == avoided


# --- what a process measures of itself ------------------------------------------------------------------------------


def test_counts_gauges_and_histograms_are_told() -> None:
    telemetry = PrometheusTelemetry()
    exposition = Exposition(FakeLedger(), telemetry)
    for delay in (0.5, 100.0, 1e9):
        telemetry.observe("start_delay_seconds", delay, cluster="local")
    telemetry.count("decisions_total", cluster="local", reason="run-now")
    telemetry.count("decisions_total", 2, cluster="local", reason="run-now")
    telemetry.set("watch_age_seconds", 7, kind="jobs")
    series = scraped(exposition)
    assert 3 == value(series, "decisions_total", cluster="local", reason="run-now")
    assert 7 == value(series, "watch_age_seconds", kind="jobs")
    bounds = {
        le: value(series, "start_delay_seconds_bucket", cluster="local", le=le)
        for le in ("1.0", "300.0", "+Inf")
    }
    assert {"1.0": 1, "300.0": 2, "+Inf": 3} == bounds
    assert 3 == value(series, "start_delay_seconds_count", cluster="local")


def test_what_nobody_documented_is_left_out_and_harms_nobody() -> None:
    telemetry = PrometheusTelemetry()
    telemetry.count("nonsense_total")
    telemetry.count("decisions_total", cluster="local")
    telemetry.set("leader", 3)
    telemetry.count("provider_requests_total", -1, provider="x", outcome="ok")
    assert {("leader", ()): 0.0} == scraped(Exposition(FakeLedger(), telemetry))


def test_a_plugin_cannot_flood_the_scrape() -> None:
    telemetry = PrometheusTelemetry()
    for n in range(1000):
        telemetry.count("provider_requests_total", provider=f"p{n}", outcome="ok")
    assert len(scraped(Exposition(FakeLedger(), telemetry))) < 310
