"""However many jobs and namespaces there are: about 2,500 series, the limit told, and nothing lost in `other`."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.samples import Sample

from cleanhours.adapters.exposition import PREFIX, Exposition, PrometheusTelemetry
from cleanhours.adapters.exposition.families import JOBS_LIMIT, SERIES_LIMIT
from cleanhours.adapters.exposition.labels import namespaces_with_label
from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import START, an_entry
from cleanhours.testing.ledgers import FakeLedger
from tests.unit.adapters.crowds import (
    CLUSTER,
    JOBS,
    LIVING,
    NAMESPACES,
    SERIES_IN_ALL,
    a_busy_process,
    a_crowded_tick,
    settled_rows,
)

Samples = list[Sample]


@pytest.fixture(scope="module", params=[1, 3], ids=["one place", "three places"])
def places(request: pytest.FixtureRequest) -> list[str]:
    return [f"place-{n}" for n in range(request.param)]


@pytest.fixture(scope="module")
def samples(places: list[str]) -> Samples:
    ledger = FakeLedger()
    for entry in settled_rows(places):
        ledger.pages.rows.append(entry)
    exposition = Exposition(ledger, a_busy_process(), clusters=[CLUSTER], places=len(places))
    exposition.show(a_crowded_tick(places))
    return [sample for metric in exposition.collect() for sample in metric.samples]


def of(samples: Samples, name: str) -> Samples:
    return [sample for sample in samples if sample.name == PREFIX + name]


def test_all_series_are_about_2500(samples: Samples) -> None:
    assert 2_000 < len(samples) <= SERIES_IN_ALL
    assert len(samples) == len({(one.name, *sorted(one.labels.items())) for one in samples})


def test_settled_families_stay_within_the_limit_that_they_tell(samples: Samples) -> None:
    families = tuple(f"{PREFIX}{name}" for name in ("energy_", "emissions_", "runs_settled_"))
    found = Counter(one.name for one in samples if one.name.startswith(families))
    (limit,) = of(samples, "settled_series_limit")

    assert 6 == len(found)
    assert SERIES_LIMIT >= limit.value >= found.total() > 0.9 * SERIES_LIMIT


def test_what_came_later_is_other_and_how_many_is_told(samples: Samples, places: list[str]) -> None:
    kept = namespaces_with_label(len(places))
    (beyond,) = of(samples, "namespaces_in_other")
    energy = of(samples, "energy_joules_total")

    assert NAMESPACES - kept == beyond.value > 0
    assert {f"team-{n:03d}" for n in range(kept)} | {"other"} == {one.labels["namespace"] for one in energy}


def test_nothing_is_lost(samples: Samples, places: list[str]) -> None:
    """A final and a typical row of a joule in each of five methods, in each namespace at each place."""
    energy, jobs = of(samples, "energy_joules_total"), of(samples, "jobs")

    assert NAMESPACES * len(places) * 2 * 5 == sum(one.value for one in energy)
    assert JOBS == sum(one.value for one in jobs)
    assert {state.value for state in LIVING} == {one.labels["state"] for one in jobs}


def test_500_jobs_are_told_by_name(samples: Samples) -> None:
    assert JOBS_LIMIT == len(of(samples, "job_state"))


def test_each_place_is_told_once(samples: Samples, places: list[str]) -> None:
    assert places == sorted(one.labels["location"] for one in of(samples, "location_info"))


def test_what_is_settled_between_two_scrapes_is_told_by_the_second(tmp_path: Path) -> None:
    """Sums are made anew only where there are new ones."""
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")) as ledger:
        exposition = Exposition(ledger, PrometheusTelemetry(), clusters=[CLUSTER])
        exposition.show(Snapshot(now=START))

        def joules() -> float:
            return sum(
                sample.value
                for metric in exposition.collect()
                for sample in metric.samples
                if sample.name == f"{PREFIX}energy_joules_total"
            )

        assert 0 == joules()
        ledger.record(an_entry("1"))
        assert 3600 == joules() == joules()
        assert ledger.totals() is ledger.totals()
        ledger.record(an_entry("2"))
        assert 7200 == joules()
