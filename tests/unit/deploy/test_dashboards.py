"""The dashboards hold together: ids, places, units, and every series that they name is exported or recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from cleanhours.adapters.exposition.families import Teller
from tests.conftest import REPOSITORY
from tests.dashboards import (
    DASHBOARDS,
    RUNBOOK_URL,
    Query,
    alerts,
    family_of,
    queries,
    read,
    recorded,
    runbook_anchors,
    series_named,
    variable_queries,
)

COLUMNS = 24
EACH = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_AMOUNT = "how much there is of it is neither"
_GRID = "what is much in one grid is little in another"
_ROOM = "full or empty is for the planner to say"
NEITHER_GOOD_NOR_BAD = {
    ("fleet", "Emitted"): _AMOUNT,
    ("fleet", "Energy"): _AMOUNT,
    ("fleet", "Held"): _AMOUNT,
    ("fleet", "Running"): _AMOUNT,
    ("fleet", "Baseline beside actual"): "one is good or bad beside the other only",
    ("fleet", "Jobs by state"): _AMOUNT,
    ("fleet", "Delay of starts"): "delay is what was asked for; too much of it is a missed deadline",
    ("fleet", "Decisions"): _AMOUNT,
    ("planning", "Carbon intensity by zone"): _GRID,
    ("planning", "What it had been forecast to be"): _GRID,
    ("planning", "Windows chosen, over the intensity"): _GRID,
    ("planning", "The next 48 hours"): _GRID,
    ("planning", "Ahead"): _GRID,
    ("planning", "Queue by planned start"): _AMOUNT,
    ("planning", "Queue by place"): _AMOUNT,
    ("planning", "Waiting by namespace"): _AMOUNT,
    ("planning", "Processors"): _ROOM,
    ("planning", "Memory"): _ROOM,
    ("planning", "GPUs"): _ROOM,
    ("planning", "Slots"): _ROOM,
    ("trust", "Corrections"): "either sign is a correction",
    ("trust", "Corrections over time"): "either sign is a correction",
    ("trust", "Energy by method"): _AMOUNT,
    ("trust", "Runs by who knows their energy"): "the share that counts is another panel's, of each cluster",
    ("trust", "Requests of providers"): "the outcome is a name, and no number",
    ("live-jobs", "Waiting"): _AMOUNT,
    ("live-jobs", "Running"): _AMOUNT,
    ("live-jobs", "Jobs"): "names",
    ("live-jobs", "Intensity at the locations"): _GRID,
    ("live-jobs", "Intensity of the zones"): _GRID,
    ("live-jobs", "Reasons"): _AMOUNT,
    ("live-jobs", "By state"): _AMOUNT,
    ("live-jobs", "By place"): _AMOUNT,
}
"""Panels without a threshold, and why."""
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_RECORDED_IN_RATE = re.compile(r"rate\(\s*cleanhours:")
_VARIABLE = re.compile(r"\$\{?(\w+)")


def panels(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(path)["panels"]
    return found


def test_there_are_four() -> None:
    assert ["fleet", "live-jobs", "planning", "trust"] == [path.stem for path in DASHBOARDS]
    contents = [read(path) for path in DASHBOARDS]

    assert [f"cleanhours-{path.stem}" for path in DASHBOARDS] == [one["uid"] for one in contents]
    assert 4 == len({one["title"] for one in contents})
    assert 1 == len({one["schemaVersion"] for one in contents})
    for one in contents:
        assert one["description"]
        assert "cleanhours" in one["tags"]


@EACH
def test_panels_have_places_and_names_of_their_own(path: Path) -> None:
    found = panels(path)
    places = [panel["gridPos"] for panel in found]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(found) == len({panel["id"] for panel in found}) == len({panel["title"] for panel in found})
    assert len(cells) == len(set(cells))
    assert (0, COLUMNS - 1) == (min(x for x, _ in cells), max(x for x, _ in cells))
    assert len(cells) == COLUMNS * (max(y for _, y in cells) + 1), "a gap"
    assert [(place["y"], place["x"]) for place in places] == sorted(
        (place["y"], place["x"]) for place in places
    ), "screen readers and diffs go from the top left to the bottom right"


@EACH
def test_every_panel_says_what_it_shows(path: Path) -> None:
    for panel in panels(path):
        shown = panel["fieldConfig"]["defaults"]

        assert len(panel["description"]) > 20, panel["title"]
        assert shown["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0


def limits(panel: dict[str, Any]) -> list[float]:
    """Where a panel's colour changes."""
    base, *steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert base["value"] is None, panel["title"]
    values = [step["value"] for step in steps]
    assert values == sorted(set(values)), panel["title"]
    assert all(one["color"] != other["color"] for one, other in pairwise([base, *steps])), panel["title"]
    return values


def test_every_panel_whose_value_has_a_good_and_a_bad_side_says_where_it_turns() -> None:
    """The others are named here, with the reason; a new panel is one or the other."""
    plain = {
        (path.stem, panel["title"]) for path in DASHBOARDS for panel in panels(path) if not limits(panel)
    }

    assert NEITHER_GOOD_NOR_BAD.keys() == plain


@EACH
def test_a_threshold_is_to_be_seen(path: Path) -> None:
    """As a colour of the value, or as a line across the time."""
    for panel in panels(path):
        defaults = panel["fieldConfig"]["defaults"]
        if limits(panel) and panel["type"] == "timeseries":
            assert "line" == defaults["custom"]["thresholdsStyle"]["mode"], panel["title"]
        elif limits(panel) and panel["type"] == "table":
            overridden = [one for each in panel["fieldConfig"]["overrides"] for one in each["properties"]]
            assert any(one["value"] == {"type": "color-text"} for one in overridden), panel["title"]
        elif limits(panel):
            assert "thresholds" == defaults["color"]["mode"], panel["title"]


def test_thresholds_are_those_of_the_alerts_that_the_panels_lead_to() -> None:
    """The panel turns where the alert is raised."""
    raised = {
        "cleanhoursforecaststale": 6 * 3600.0,
        "cleanhoursreleaselaghigh": 60.0,
        "cleanhoursavoidednegative": 0.0,
        "cleanhoursmetercoveragelow": 0.8,
        "cleanhoursrunsunmeasured": 0.1,
        "cleanhoursjobsatrisk": 1.0,
        "cleanhoursdeadlinemissed": 1.0,
    }
    found = [
        (link["url"].partition("#")[2], panel)
        for path in DASHBOARDS
        for panel in panels(path)
        for link in panel.get("links", [])
    ]

    assert raised.keys() <= {anchor for anchor, _ in found}
    for anchor, panel in found:
        if anchor in raised:
            assert raised[anchor] in limits(panel), panel["title"]
    for name, alert in alerts().items():
        limit = raised.get(name.lower())
        if limit is not None and limit % 1:
            assert re.search(rf"[<>] {limit:g}\s*$", alert["expr"]), name


def test_the_windows_chosen_are_drawn_over_the_intensity() -> None:
    """On one graph with an axis each, and hour by hour of what is to come."""
    (path,) = [path for path in DASHBOARDS if path.stem == "planning"]
    graph, table = (
        next(panel for panel in panels(path) if panel["title"] == title)
        for title in ("Windows chosen, over the intensity", "The next 48 hours")
    )
    right = {one["matcher"]["options"] for one in graph["fieldConfig"]["overrides"]}
    for panel, of_jobs in ((graph, right), (table, {"B"})):
        for target in panel["targets"]:
            what = "jobs_planned_ahead" if target["refId"] in of_jobs else "carbon_intensity"
            assert f"cleanhours:{what}" in target["expr"], panel["title"]
    for one in graph["fieldConfig"]["overrides"]:
        assert {"id": "custom.axisPlacement", "value": "right"} in one["properties"]
        assert {"id": "unit", "value": "none"} in one["properties"]


@EACH
def test_every_question_goes_to_the_data_source_chosen(path: Path) -> None:
    (chosen, *asked) = read(path)["templating"]["list"]

    assert ("datasource", "datasource", "prometheus") == (chosen["name"], chosen["type"], chosen["query"])
    assert {"cluster", "namespace", "location"} <= {variable["name"] for variable in asked}
    for one in [*asked, *panels(path)]:
        assert DATASOURCE == one["datasource"]
    for variable in asked:
        assert (True, True, ".*") == (variable["includeAll"], variable["multi"], variable["allValue"])
        assert variable["definition"] == variable["query"]["query"]


@EACH
def test_every_variable_is_used_and_every_one_used_is_there(path: Path) -> None:
    offered = {variable["name"] for variable in read(path)["templating"]["list"]} - {"datasource"}
    asked = [query for query in [*queries(), *variable_queries()] if query.dashboard == path.stem]
    used = {name for query in asked for name in _VARIABLE.findall(query.expr)}

    assert offered == {name for name in used if not name.startswith("__")}
    assert {name for name in used if name.startswith("__")} <= {"__range", "__rate_interval"}
    for query in asked:
        for label, operator, value in _MATCHER.findall(query.expr):
            if "$" in value:  # several may be chosen: Grafana makes (one|other) of them
                assert "=~" == operator, query
                assert f"${label}" == value.removesuffix("|"), query


@EACH
def test_a_single_bar_keeps_its_name(path: Path) -> None:
    """Grafana leaves out the legend's text where there is one bar; a display name of the field stays."""
    for panel in panels(path):
        if panel["type"] == "bargauge":
            (target,) = panel["targets"]
            labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            named = re.findall(
                r"\$\{__field\.labels\.(\w+)\}", panel["fieldConfig"]["defaults"]["displayName"]
            )

            assert labels == named, panel["title"]
            assert labels
        assert not panel["fieldConfig"]["defaults"]["unit"].startswith("suffix: "), "Grafana adds the space"


def test_every_series_named_is_exported_or_recorded() -> None:
    named = [series_named(query.expr) for query in [*queries(), *variable_queries()]]

    assert set() == {name for _, names in named for name in names} - recorded()
    assert set() == {name for names, _ in named for name in names if family_of(name) is None}


def _drawn_directly() -> Iterator[tuple[Query, str]]:
    for query in [*queries(), *variable_queries()]:
        for name in series_named(query.expr)[0]:
            yield query, name


def test_what_several_controllers_tell_is_drawn_once() -> None:
    """Recorded, but for what each process counts for itself, and the living jobs, of which there are too many."""
    for query, name in _drawn_directly():
        family = family_of(name)

        assert family is not None
        if family.name == "job_state":
            assert "variable" == query.kind or "max by (" in query.expr, query
        else:
            assert Teller.TELEMETRY is family.teller, f"{query}: {name} is not drawn from a recorded series"


def test_totals_of_a_range_are_the_difference_of_its_ends() -> None:
    """`increase` would count a new leader from zero, and a zero made of nothing would hide that nothing is known."""
    for query in queries():
        assert not re.search(r"\b(increase|delta|idelta)\(", query.expr), query
        assert "vector(" not in query.expr, query
        if "rate(" in query.expr:
            assert not _RECORDED_IN_RATE.search(query.expr), query
        if "$__range" in query.expr:
            assert "offset $__range" in query.expr, query


@EACH
def test_links_lead_to_the_other_dashboards_and_into_the_runbook(path: Path) -> None:
    dashboard = read(path)
    kinds = {link["type"]: link for link in dashboard["links"]}

    assert ["cleanhours"] == kinds["dashboards"]["tags"]
    assert RUNBOOK_URL == kinds["link"]["url"]
    for panel in dashboard["panels"]:
        for link in panel.get("links", []):
            page, _, anchor = link["url"].partition("#")

            assert RUNBOOK_URL == page
            assert anchor in runbook_anchors()


def test_every_alert_but_those_of_silence_is_led_to_by_a_panel() -> None:
    led_to = {
        link["url"].partition("#")[2]
        for path in DASHBOARDS
        for panel in panels(path)
        for link in panel.get("links", [])
    }

    assert {"cleanhoursnoleader", "cleanhourswatchstale"} == {name.lower() for name in alerts()} - led_to


def test_the_live_jobs_name_the_command_that_explains() -> None:
    (path,) = [path for path in DASHBOARDS if path.stem == "live-jobs"]
    (jobs,) = [panel for panel in panels(path) if panel["title"] == "Jobs"]

    assert "`cleanhours explain JOB`" in jobs["description"]


# -- what goes with them ----------------------------------------------------------------------------------------------


def test_every_alert_has_its_page_in_the_runbook() -> None:
    assert {name.lower() for name in alerts()} == runbook_anchors()
    for name, alert in alerts().items():
        assert f"{RUNBOOK_URL}#{name.lower()}" == alert["annotations"]["runbook_url"]
        assert alert["labels"]["severity"] in ("critical", "warning")


def test_grafana_is_provisioned_with_what_is_there() -> None:
    folder = REPOSITORY / "deploy" / "grafana"
    (provider,) = yaml.safe_load((folder / "dashboards.yaml").read_text("utf-8"))["providers"]
    (source,) = yaml.safe_load((folder / "datasource.yaml").read_text("utf-8"))["datasources"]
    told = (folder / "README.md").read_text("utf-8")

    assert provider["options"]["path"] in told
    assert "prometheus" == source["type"]
    for path in DASHBOARDS:
        assert f"| `{path.stem}` |" in told
