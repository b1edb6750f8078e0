"""The dashboards hold together: ids, places, units, and every series that they name is exported or recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
        assert shown["thresholds"]["steps"][0]["value"] is None, panel["title"]
        values = [step["value"] for step in shown["thresholds"]["steps"][1:]]
        assert values == sorted(values)
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0


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
