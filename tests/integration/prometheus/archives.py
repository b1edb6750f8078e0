"""A real Prometheus over a past that was written for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.integration.prometheus.server import promtool, started

Line = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
"""Labels of a series, and its samples: seconds since 1970, value."""


def openmetrics(families: Mapping[str, Sequence[Line]]) -> str:
    """The text from which promtool makes blocks; metrics that end in `_total` are counters."""
    rows: list[str] = []
    for metric, series in families.items():
        kind = "counter" if metric.endswith("_total") else "gauge"
        rows.append(f"# TYPE {metric.removesuffix('_total') if kind == 'counter' else metric} {kind}")
        for labels, samples in series:
            told = ",".join(f'{name}="{value}"' for name, value in labels.items())
            rows += [f"{metric}{{{told}}} {value!r} {at:.3f}" for at, value in samples]
    return "\n".join([*rows, "# EOF", ""])


@contextmanager
def prometheus(folder: Path, families: Mapping[str, Sequence[Line]]) -> Iterator[str]:
    """Its address, when it is ready."""
    past = folder / "past.om"
    past.write_text(openmetrics(families), "utf-8")
    promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", str(past), str(folder / "data"))
    with started(folder, {}, "--storage.tsdb.retention.time=100y") as running:
        yield running.url
