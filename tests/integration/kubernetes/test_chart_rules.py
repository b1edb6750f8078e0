"""What the chart makes of the rules and dashboards, for Prometheus' operator and Grafana's sidecar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards import DASHBOARDS, rules
from tests.integration.kubernetes.chart import Helm, find
from tests.integration.prometheus.server import promtool

pytestmark = pytest.mark.integration


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
    assert list(rules()) == told


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
