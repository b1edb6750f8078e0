"""What the chart tells Prometheus and Grafana, checked by promtool and by the exposition's own table of metrics."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cleanhours.adapters.exposition.families import FAMILIES, PREFIX, Kind, Teller
from tests.conftest import require_component
from tests.integration.kubernetes.chart import CHART, Helm, find

pytestmark = pytest.mark.integration

RULES = CHART / "rules" / "cleanhours.yaml"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
HINT = "apt-get install --no-install-recommends prometheus"
_METRIC = re.compile(rf"\b{PREFIX}[a-z_]+")
_RECORDED = re.compile(r"\bcleanhours:[a-z_]+:max\b")
_SUFFIXES = ("_bucket", "_count", "_sum")


def promtool(*arguments: str) -> None:
    program = require_component("promtool", HINT)
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def known(name: str) -> bool:
    """Whether the exposition has such a series."""
    family = FAMILIES.get(name.removeprefix(PREFIX))
    if family is not None:
        return family.kind is not Kind.HISTOGRAM
    return any(
        name.endswith(end) and name.removeprefix(PREFIX).removesuffix(end) in FAMILIES for end in _SUFFIXES
    )


def test_prometheus_accepts_the_rules() -> None:
    promtool("check", "rules", str(RULES))


def test_every_metric_of_the_rules_is_exposed() -> None:
    names = {name for rule in rules() for name in _METRIC.findall(rule["expr"])}

    assert names
    assert {name for name in names if not known(name)} == set()


def test_recorded_series_are_named_for_what_they_record() -> None:
    for rule in rules():
        if "record" in rule:
            (name,) = _METRIC.findall(rule["expr"])

            assert rule["record"] == f"cleanhours:{name.removeprefix(PREFIX)}:max"
            assert rule["expr"] == f"max without (instance, pod) ({name})"


def test_every_counter_of_the_ledger_is_recorded() -> None:
    """Only they go on from Pod to Pod; what a process counts for itself begins at zero with each."""
    counters = {
        f"cleanhours:{family.name}:max"
        for family in FAMILIES.values()
        if family.kind is Kind.COUNTER and family.teller is Teller.LEDGER
    }

    assert counters
    assert counters <= recorded()


# -- alerts -----------------------------------------------------------------------------------------------------------

HEALTHY = {
    'cleanhours_leader{instance="a"}': "1x180",
    'cleanhours_leader{instance="b"}': "0x180",
    'cleanhours_forecast_age_seconds{zone="GB",provider="neso"}': "1800x180",
    'cleanhours_watch_age_seconds{kind="jobs",instance="a"}': "30x180",
    'cleanhours_jobs_at_risk{cluster="kubernetes",instance="a"}': "0x180",
    'cleanhours_deadline_misses_total{cluster="kubernetes",instance="a"}': "3x180",
    'cleanhours_provider_requests_total{provider="neso",outcome="ok"}': "0+1x180",
    'cleanhours_provider_requests_total{provider="neso",outcome="unknown-zone"}': "0+5x180",
}
"""Series of three hours in promtool's notation, of a controller that nothing ails."""

AILING = [
    ("CleanhoursNoLeader", {'cleanhours_leader{instance="a"}': "1x30 0x150"}, {}),
    (
        "CleanhoursForecastStale",
        {'cleanhours_forecast_age_seconds{zone="GB",provider="neso"}': "21601x180"},
        {"zone": "GB"},
    ),
    (
        "CleanhoursWatchStale",
        {'cleanhours_watch_age_seconds{kind="jobs",instance="a"}': "601x180"},
        {"kind": "jobs", "instance": "a"},
    ),
    (
        "CleanhoursJobsAtRisk",
        {'cleanhours_jobs_at_risk{cluster="kubernetes",instance="a"}': "2x180"},
        {"cluster": "kubernetes"},
    ),
    (
        "CleanhoursDeadlineMissed",
        {'cleanhours_deadline_misses_total{cluster="kubernetes",instance="a"}': "3x150 4x30"},
        {"cluster": "kubernetes"},
    ),
    (
        "CleanhoursProviderErrors",
        {'cleanhours_provider_requests_total{provider="neso",outcome="temporary"}': "0+9x180"},
        {"provider": "neso"},
    ),
]


def test_nothing_is_said_while_all_is_well(tmp_path: Path) -> None:
    for name in alerts():
        _check_alert(name, HEALTHY, [], tmp_path)


def test_a_new_leader_in_a_new_pod_is_no_news(tmp_path: Path) -> None:
    """Its counters go on where the other's stopped: nothing was missed within the hour."""
    series = {name: told for name, told in HEALTHY.items() if "misses" not in name}
    series['cleanhours_deadline_misses_total{cluster="kubernetes",instance="a"}'] = "3x150 _x30"
    series['cleanhours_deadline_misses_total{cluster="kubernetes",instance="b"}'] = "_x150 3x30"

    _check_alert("CleanhoursDeadlineMissed", series, [], tmp_path)


@pytest.mark.parametrize(("name", "series", "labels"), AILING, ids=[row[0] for row in AILING])
def test_an_alert_is_raised_when_it_should(
    name: str, series: Mapping[str, str], labels: Mapping[str, str], tmp_path: Path
) -> None:
    severity = alerts()[name]["labels"]["severity"]

    _check_alert(name, {**HEALTHY, **series}, [{**labels, "severity": severity}], tmp_path)


def test_every_alert_has_such_a_case() -> None:
    assert alerts().keys() == {name for name, _, _ in AILING}


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def _check_alert(name: str, series: Mapping[str, str], raised: list[dict[str, str]], folder: Path) -> None:
    """promtool lives through the series, and finds this alert raised with these labels, or not at all."""
    told = [{"series": one, "values": " ".join(values.split())} for one, values in series.items()]
    expected = [{"exp_labels": labels} for labels in raised]
    text = folder / "rules.yaml"
    content = yaml.safe_load(RULES.read_text("utf-8"))
    for group in content["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)  # what they say is prose, and is read by people
    text.write_text(yaml.safe_dump(content), "utf-8")
    test = {
        "rule_files": [str(text)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": told,
                "alert_rule_test": [{"eval_time": "170m", "alertname": name, "exp_alerts": expected}],
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(test), "utf-8")
    promtool("test", "rules", str(file))


# -- what the chart makes of them ---------------------------------------------------------------------------------------


def test_the_object_holds_the_rules_and_labels_for_those_who_are_called(helm3: Path, tmp_path: Path) -> None:
    options = ("--set", "prometheusRule.enabled=true,prometheusRule.alertLabels.team=platform")
    made = find(Helm(helm3, tmp_path).render(*options), "PrometheusRule")["spec"]
    file = tmp_path / "made.yaml"
    file.write_text(yaml.safe_dump(made), "utf-8")
    promtool("check", "rules", str(file))
    told = [rule for group in made["groups"] for rule in group["rules"]]

    assert {"platform"} == {rule["labels"]["team"] for rule in told if "alert" in rule}
    for rule in told:
        if "alert" in rule:
            del rule["labels"]["team"]
    assert rules() == told


def test_monitors_keep_the_labels_of_jobs(helm3: Path, tmp_path: Path) -> None:
    """`namespace` and `job` are the jobs' own: without honorLabels Prometheus would call them exported_…"""
    helm = Helm(helm3, tmp_path)
    for kind, value, ends in (
        ("ServiceMonitor", "serviceMonitor", "endpoints"),
        ("PodMonitor", "podMonitor", "podMetricsEndpoints"),
    ):
        objects = helm.render("--set", f"{value}.enabled=true,{value}.labels.release=prometheus")
        monitor = find(objects, kind)
        (end,) = monitor["spec"][ends]

        assert (True, "metrics") == (end["honorLabels"], end["port"])
        assert "prometheus" == monitor["metadata"]["labels"]["release"]
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        scraped = (
            find(objects, "Service", "cleanhours-metrics") if kind == "ServiceMonitor" else _pod(objects)
        )
        assert wanted <= scraped["metadata"]["labels"].items()


def _pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    template: dict[str, Any] = find(objects, "Deployment")["spec"]["template"]
    return template


# -- dashboards ---------------------------------------------------------------------------------------------------------


def expressions(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_draws_recorded_series_only(path: Path) -> None:
    dashboard = json.loads(path.read_text("utf-8"))
    used = {name for expression in expressions(dashboard) for name in _RECORDED.findall(expression)}

    assert used
    assert used <= recorded()
    for expression in expressions(dashboard):
        assert not _METRIC.search(expression), expression
        assert "increase(" not in expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_prometheus_can_read_every_query(path: Path, tmp_path: Path) -> None:
    found = list(expressions(json.loads(path.read_text("utf-8"))))
    replaced = [one.replace("$cluster", ".*").replace("$__range", "24h") for one in found]
    group = {"name": "queries", "rules": [{"record": f"q{n}", "expr": one} for n, one in enumerate(replaced)]}
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [group]}), "utf-8")

    assert found
    assert not [one for one in replaced if "$" in one]
    promtool("check", "rules", str(file))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_places_and_names_of_their_own(path: Path) -> None:
    dashboard = json.loads(path.read_text("utf-8"))
    panels = dashboard["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(panels) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["description"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {"datasource", "cluster"} == variables


def test_grafanas_sidecar_finds_every_dashboard(helm3: Path, tmp_path: Path) -> None:
    objects = Helm(helm3, tmp_path).render("--set", "dashboards.enabled=true,dashboards.folder=Carbon")
    made = [
        one
        for one in objects
        if one["kind"] == "ConfigMap" and "grafana_dashboard" in one["metadata"]["labels"]
    ]

    assert {path.name: json.loads(path.read_text("utf-8")) for path in DASHBOARDS} == {
        name: json.loads(text) for one in made for name, text in one["data"].items()
    }
    assert {("1", "Carbon")} == {
        (one["metadata"]["labels"]["grafana_dashboard"], one["metadata"]["annotations"]["grafana_folder"])
        for one in made
    }
