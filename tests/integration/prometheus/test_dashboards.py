"""Every query of every dashboard, asked as Grafana asks it; the ledger's panels show the ledger's own figures, to the bit."""

from __future__ import annotations

import math

import pytest

from tests.dashboards import Query, queries, variable_queries
from tests.integration.prometheus.asking import ALL, RANGE_S, STEP_S, answer, last, shown
from tests.integration.prometheus.conftest import Watched
from tests.integration.prometheus.ledgers_figures import FIGURES, Figures

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FILLED = {**ALL, "__range": f"{RANGE_S}s", "__rate_interval": "10m"}
SOME = {
    "cluster": "(kubernetes|slurm)",
    "namespace": "(vision|physics|speech)",
    "location": "(paris|oslo|)",  # a job that nobody planned has none
    "zone": "(FR|NO-NO1)",
}
"""What Grafana writes where somebody has chosen several values: here all there are."""


@pytest.mark.parametrize("query", queries(), ids=str)
def test_it_is_answered_and_not_with_nothing(watched: Watched, query: Query) -> None:
    found = answer(watched.prometheus, query, FILLED)

    assert any(math.isfinite(float(value)) for series in found for _, value in series["values"])
    if query.kind != "timeseries":
        assert all(math.isfinite(last(series)) for series in found)


@pytest.mark.parametrize("query", [query for query in queries() if query.instant], ids=str)
def test_choosing_all_there_are_is_choosing_all(watched: Watched, query: Query) -> None:
    every, some = (shown(answer(watched.prometheus, query, filling)) for filling in (FILLED, FILLED | SOME))

    assert every == some


@pytest.mark.parametrize("query", variable_queries(), ids=str)
def test_every_variable_offers_what_there_is(watched: Watched, query: Query) -> None:
    expected = {
        "cluster": ["kubernetes", "slurm"],
        "namespace": ["physics", "speech", "vision"],
        "location": ["oslo", "paris"],
        "zone": ["FR", "NO-NO1"],
    }
    found = watched.prometheus.label_values(query.filled(FILLED), query.label)

    assert expected[query.title] == sorted(value for value in found if value)


# -- the ledger's own figures -----------------------------------------------------------------------------------------


def test_every_query_of_the_ledger_is_held_against_it() -> None:
    told = {(query.dashboard, query.title, query.ref) for query in queries() if Figures.concern(query)}

    assert told == FIGURES.keys()


@pytest.mark.parametrize("query", [query for query in queries() if Figures.concern(query)], ids=str)
def test_it_shows_the_ledgers_own_figure(watched: Watched, query: Query) -> None:
    figures = Figures(watched.a_week_ago, watched.a_day_ago, watched.now, watched.errors)
    expected = FIGURES[query.dashboard, query.title, query.ref](figures)
    found = answer(watched.prometheus, query, FILLED)

    assert expected
    assert expected == shown(found)


def test_one_namespace_chosen_is_that_one(watched: Watched) -> None:
    (query,) = [query for query in queries() if (query.dashboard, query.title) == ("fleet", "Emitted")]
    expected = sum(one.emissions_ug for one in watched.now.counted if one.namespace == "speech") / 1e6
    (found,) = answer(watched.prometheus, query, {**FILLED, "namespace": "speech"})

    assert 2.0 == expected == last(found), "it began within the range, at zero"


# -- jobs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dashboard", "title", "expected"),
    [
        ("fleet", "Held", 2),
        ("fleet", "Running", 1),
        ("fleet", "Late", 1),
        ("live-jobs", "Listed here", 4),
        ("live-jobs", "Waiting", 2),
        ("live-jobs", "Running", 1),
    ],
)
def test_jobs_are_counted(watched: Watched, dashboard: str, title: str, expected: float) -> None:
    (query,) = [query for query in queries() if (query.dashboard, query.title) == (dashboard, title)]

    assert [expected] == [last(series) for series in answer(watched.prometheus, query, FILLED)]


def test_living_jobs_are_listed_with_state_place_and_reason(watched: Watched) -> None:
    (query,) = [query for query in queries() if (query.dashboard, query.title) == ("live-jobs", "Jobs")]
    found = [series["metric"] for series in answer(watched.prometheus, query, FILLED)]

    assert {
        ("kubernetes", "vision", "bert", "held", "paris", "lowest-window"),
        ("kubernetes", "speech", "whisper", "running", "paris", "lowest-window"),
        ("slurm", "physics", "lattice", "pending", "oslo", "no-slack"),
        ("slurm", "physics", "theirs", "unmanaged", "", ""),
    } == {
        tuple(one.get(label, "") for label in ("cluster", "namespace", "job", "state", "location", "reason"))
        for one in found
    }


@pytest.mark.parametrize(
    ("dashboard", "title", "chosen"),
    [
        ("fleet", "Avoided, provisional", {"namespace": "physics"}),
        ("fleet", "Deadlines missed", {"cluster": "none-missed"}),
        ("trust", "Avoided, typical only", {"namespace": "vision"}),
    ],
)
def test_where_the_ledger_is_known_none_is_zero(
    watched: Watched, dashboard: str, title: str, chosen: dict[str, str]
) -> None:
    (query,) = [query for query in queries() if (query.dashboard, query.title) == (dashboard, title)]

    assert [0.0] == [last(series) for series in answer(watched.prometheus, query, {**FILLED, **chosen})]
    long_ago = {**FILLED, **chosen, "__range": "30d"}
    assert ("Deadlines missed" == title) is (not answer(watched.prometheus, query, long_ago))


@pytest.mark.parametrize("chosen", ["paris", "oslo", "(paris|oslo)", "nowhere"])
def test_the_intensity_beside_the_jobs_is_that_of_their_locations(watched: Watched, chosen: str) -> None:
    zones = {place: zone for place, zone in (("paris", "FR"), ("oslo", "NO-NO1")) if place in chosen}
    now = {
        one["metric"]["zone"]: float(one["value"][1])
        for one in watched.prometheus.ask('cleanhours:carbon_intensity_grams_per_kwh:max{lead="0h"}')
    }
    asked = {
        (query.title, query.ref): answer(watched.prometheus, query, {**FILLED, "location": chosen})
        for query in queries()
        if query.dashboard == "live-jobs" and "carbon_intensity" in query.expr
    }
    there = asked.pop(("Intensity at the locations", "A"))

    assert {(place, zone): now[zone] for place, zone in zones.items()} == {
        (one["metric"]["location"], one["metric"]["zone"]): last(one) for one in there
    }
    assert 2 == len(asked)
    for lines in asked.values():
        assert [{"zone": zone} for zone in sorted(zones.values())] == [line["metric"] for line in lines]


def test_the_windows_chosen_stand_over_the_intensity_of_the_hours_to_come(watched: Watched) -> None:
    """Two of the four jobs are planned to run in Paris from three hours ahead, for an hour and a half."""
    (grams, jobs) = (
        {
            (one["metric"]["zone"], int(one["metric"]["ahead"])): last(one)
            for one in answer(watched.prometheus, query, FILLED)
        }
        for query in queries()
        if query.title == "The next 48 hours"
    )
    (graph,) = [
        query
        for query in queries()
        if query.title == "Windows chosen, over the intensity" and "B" == query.ref
    ]

    assert {("FR", 3): 2.0, ("FR", 4): 1.0} == {hour: number for hour, number in jobs.items() if number}
    assert {(zone, hour) for zone in ("FR", "NO-NO1") for hour in range(48)} == jobs.keys()
    assert {(zone, hour) for zone in ("FR", "NO-NO1") for hour in range(46)} <= grams.keys()
    assert all(100 <= number < 200 for (zone, _), number in grams.items() if "FR" == zone)
    assert {"FR", "NO-NO1"} == {one["metric"]["zone"] for one in answer(watched.prometheus, graph, FILLED)}


def test_a_forecast_is_drawn_over_the_hour_it_spoke_of(watched: Watched) -> None:
    """The trace is forecast as it comes, so all four lines lie on one another (but where the hour has just changed)."""
    title = "What it had been forecast to be"
    lines = [query for query in queries() if query.title == title]
    now = watched.prometheus.number("vector(time())")
    drawn = [
        {
            (series["metric"]["zone"], then): value
            for series in watched.prometheus.ask_range(query.filled(FILLED), now - 6600, now - 600, STEP_S)
            for then, value in series["values"]
            if 600 < then % 3600
        }
        for query in lines
    ]

    assert 4 == len(drawn)
    assert {"FR", "NO-NO1"} == {zone for zone, _ in drawn[0]}
    assert len(set(drawn[0].values())) > 2
    assert all(one == drawn[0] for one in drawn)
