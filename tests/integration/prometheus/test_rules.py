"""The shipped rules, in promtool's hands: well-formed, and each alert is raised when it must be and never otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards import alerts
from tests.integration.prometheus.server import SHIPPED, promtool

pytestmark = pytest.mark.integration

RULES = SHIPPED / "cleanhours.rules.yaml"
CASES = sorted(Path(__file__).with_name("rules").glob("*.yaml"))


def cases(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))["tests"]
    return found


def test_prometheus_accepts_them() -> None:
    promtool("check", "rules", str(RULES))
    promtool("check", "config", str(SHIPPED / "prometheus.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_are_raised_when_they_must_be(path: Path) -> None:
    promtool("test", "rules", str(path))


def test_every_alert_has_its_cases() -> None:
    assert sorted(alerts()) == sorted(
        {check["alertname"] for case in cases(path) for check in case["alert_rule_test"]}.pop()
        for path in CASES
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_cases_see_it_silent_then_raised_and_silent_where_nobody_says_anything(path: Path) -> None:
    """With all that the one who is called reads. One is about silence."""
    first, *_, last = cases(path)
    raised = [bool(check.get("exp_alerts")) for check in first["alert_rule_test"]]

    assert (False, True) == (raised[0], any(raised))
    for check in first["alert_rule_test"]:
        for alert in check.get("exp_alerts") or ():
            assert {"summary", "description", "runbook_url"} == alert["exp_annotations"].keys()
    assert {'cleanhours_leader{instance="a"}'} >= {one["series"] for one in last["input_series"]}
    about_silence = path.stem == "no_leader"
    assert about_silence is any(check.get("exp_alerts") for check in last["alert_rule_test"])
