"""What the real exposition tells over a simulated time, written down as promtool reads it: alerts are tried on nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from cleanhours.adapters.exposition import Exposition
from tests.integration.prometheus.server import SHIPPED, promtool

_MINUTE: Final = timedelta(minutes=1)
_UNITS: Final = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": _MINUTE}


@dataclass
class Telling:
    """One scrape every `interval`; `names` are the metrics that are written down, with prefix."""

    interval: timedelta
    names: tuple[str, ...]
    scrapes: int = 0
    _values: dict[str, list[str]] = field(default_factory=dict)

    def scrape(self, exposition: Exposition) -> None:
        for metric in exposition.collect():
            for sample in metric.samples:
                if sample.name in self.names:
                    labels = ",".join(f"{name}={json.dumps(value)}" for name, value in sample.labels.items())
                    series = f'{sample.name}{{{labels}{"," if labels else ""}instance="a"}}'
                    values = self._values.setdefault(series, [])
                    values += ["_"] * (self.scrapes - len(values)) + [repr(sample.value)]
        self.scrapes += 1

    def raised(self, folder: Path, alert: str, at: Iterable[timedelta]) -> set[timedelta]:
        """At which of these instants since the first scrape the shipped alert is raised, in promtool's judgement."""
        wanted = {f"{when // _MINUTE}m": when for when in at}
        path, step = folder / f"{alert}.json", f"{self.interval // _MINUTE}m"
        content = {
            "rule_files": [str(SHIPPED / "cleanhours.rules.yaml")],
            "evaluation_interval": step,
            "group_eval_order": ["cleanhours-recorded", "cleanhours"],
            "tests": [
                {
                    "interval": step,
                    "input_series": [
                        {"series": series, "values": " ".join(values)}
                        for series, values in self._values.items()
                    ],
                    "alert_rule_test": [{"eval_time": text, "alertname": alert} for text in wanted],
                }
            ],
        }
        path.write_text(json.dumps(content), "utf-8")  # JSON is YAML
        try:
            promtool("test", "rules", str(path))
        except AssertionError as said:
            found = {_span(text) for text in re.findall(rf"alertname: {alert}, time: (\w+)", str(said))}
            if not found:
                raise
            return found
        return set()


def _span(text: str) -> timedelta:
    """How promtool writes a time: 1w2d3h4m."""
    return sum((int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([wdhm])", text)), timedelta(0))
