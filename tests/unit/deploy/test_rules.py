"""The rules for a Prometheus without the operator are the chart's."""

from __future__ import annotations

import re

import yaml

from cleanhours.adapters.exposition.families import FAMILIES, PREFIX, Kind, Teller
from tests.conftest import REPOSITORY
from tests.dashboards import METRIC, RECORDED, RULES, family_of, recorded, rules
from tools.copy_rules import HEADER, TARGET, main


def test_both_say_the_same() -> None:
    assert 0 == main(["--check"]), "python -m tools.copy_rules"
    assert HEADER + RULES.read_text("utf-8") == TARGET.read_text("utf-8")


def test_every_series_of_the_rules_is_exported_or_recorded() -> None:
    expressions = [rule["expr"] for rule in rules()]
    names = {name for expression in expressions for name in METRIC.findall(expression)}

    assert names
    assert set() == {name for name in names if family_of(name) is None}
    assert set() == {name for one in expressions for name in RECORDED.findall(one)} - recorded()


def test_recorded_series_are_named_for_what_they_record() -> None:
    for rule in rules():
        if "record" in rule:
            (name,) = METRIC.findall(rule["expr"])

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


def test_the_shipped_prometheus_reads_them_and_keeps_the_labels_of_jobs() -> None:
    folder = REPOSITORY / "deploy" / "prometheus"
    content = yaml.safe_load((folder / "prometheus.yaml").read_text("utf-8"))
    (scraped,) = content["scrape_configs"]

    assert [TARGET.name] == content["rule_files"]
    assert scraped["honor_labels"] is True
    assert re.search(r":9464\b", scraped["static_configs"][0]["targets"][0])
