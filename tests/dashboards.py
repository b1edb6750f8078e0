"""The shipped dashboards and rules as tests read them: panels, queries, and what Grafana puts in place of its variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cleanhours.adapters.exposition.families import FAMILIES, PREFIX, Family, Kind
from tests.conftest import REPOSITORY

CHART = REPOSITORY / "helm" / "cleanhours"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
RULES = CHART / "rules" / "cleanhours.yaml"
RUNBOOK = REPOSITORY / "docs" / "runbook.md"
RUNBOOK_URL = "https://cleanhours.dev/docs/runbook"

METRIC = re.compile(rf"\b{PREFIX}[a-z_]+")
RECORDED = re.compile(r"\bcleanhours:[a-z_]+:max\b")
_SELECTED = re.compile(r'__name__=~"cleanhours:\(([a-z_|]+)\):max"')
_SUFFIXES = ("_bucket", "_count", "_sum")
_LABEL_VALUES = re.compile(r"label_values\((.+), ([a-z]+)\)")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, and where it stands. Of a variable, the series whose label values it lists."""

    dashboard: str
    title: str
    kind: str
    ref: str
    expr: str
    instant: bool
    label: str = ""

    def __str__(self) -> str:
        return f"{self.dashboard}, {self.title}, {self.ref}"

    def filled(self, values: Mapping[str, str]) -> str:
        """As Grafana sends it: `$name` replaced, the longest name first."""
        text = self.expr
        for name in sorted(values, key=len, reverse=True):
            text = text.replace(f"${name}", values[name])
        assert "$" not in text, text
        return text


def read(path: Path) -> dict[str, Any]:
    """A dashboard."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def queries() -> list[Query]:
    """Every target of every panel."""
    return [
        Query(path.stem, panel["title"], panel["type"], target["refId"], target["expr"], target["instant"])
        for path in DASHBOARDS
        for panel in read(path)["panels"]
        for target in panel["targets"]
    ]


def variable_queries() -> list[Query]:
    """Every variable that asks Prometheus."""
    found = []
    for path in DASHBOARDS:
        for variable in read(path)["templating"]["list"]:
            if variable["type"] == "query":
                match = _LABEL_VALUES.fullmatch(variable["query"]["query"])
                assert match, variable["query"]
                selector, label = match.groups()
                found.append(Query(path.stem, variable["name"], "variable", label, selector, True, label))
    return found


def series_named(text: str) -> tuple[set[str], set[str]]:
    """The exporter's metrics and the recorded series that an expression names."""
    chosen = {f"cleanhours:{name}:max" for names in _SELECTED.findall(text) for name in names.split("|")}
    return set(METRIC.findall(text)), set(RECORDED.findall(text)) | chosen


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of the shipped file."""
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        yield from group["rules"]


def recorded() -> set[str]:
    """The names of the recorded series."""
    return {rule["record"] for rule in rules() if "record" in rule}


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def family_of(metric: str) -> Family | None:
    """What the exposition says of a metric; None where it has no such series."""
    name = metric.removeprefix(PREFIX)
    family = FAMILIES.get(name)
    if family is not None:
        return None if family.kind is Kind.HISTOGRAM else family
    stem = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), "")
    histogram = FAMILIES.get(stem)
    return histogram if histogram is not None and histogram.kind is Kind.HISTOGRAM else None


def runbook_anchors() -> set[str]:
    """The headings of the runbook, as links name them."""
    return {line[3:].strip().lower() for line in RUNBOOK.read_text("utf-8").splitlines() if line[:3] == "## "}
