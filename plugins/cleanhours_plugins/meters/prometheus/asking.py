"""Questions to Prometheus's HTTP API and the reading of its answers. Pure.

https://prometheus.io/docs/prometheus/latest/querying/api: an instant query on a range selector answers with the very
samples that were scraped; a range query evaluates an expression at each step.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, Final, NamedTuple

METRIC: Final = "cleanhours_metric"
"""The label that keeps a metric's name where a function takes it away."""

BLANK: Final = 9.2e18
"""From here on a number is a way of saying that there is none (DCGM's blanks begin at 9.22e18)."""

SECOND_US: Final = 1_000_000
_SPECIAL: Final = re.compile(r"[][.^$*+?(){}|\\]")
"""No more than RE2 needs: a hundred UIDs must fit into an address, and each has four dashes."""


class Unreadable(ValueError):
    """An answer that no Prometheus gives."""


class Sample(NamedTuple):
    """A number and when it was scraped, in whole microseconds since 1970."""

    at_us: int
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one set of labels, in order of time; what is no finite number is left out.

    `step_s` is the length of the steps that they stand for; 0 where they are as they were scraped.
    """

    metric: str
    labels: Mapping[str, str]
    samples: tuple[Sample, ...]
    step_s: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A path below the server's address, and its parameters."""

    path: str
    params: Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is asked for, in whole microseconds since 1970."""

    start_us: int
    end_us: int

    @property
    def seconds(self) -> int:
        return -(-(self.end_us - self.start_us) // SECOND_US)


def quoted(text: str) -> str:
    """A string of PromQL: its escapes are Go's, which hold JSON's."""
    return json.dumps(text, ensure_ascii=False)


def one_of(values: Iterable[str]) -> str:
    """A regular expression (RE2, anchored by Prometheus) that matches these texts and no other."""
    return "|".join(_SPECIAL.sub(r"\\\g<0>", value) for value in values)


def shared_start(values: Sequence[str]) -> str:
    """What all texts begin with."""
    return commonprefix(list(values))  # noqa: RUF071 - names, not paths


def one_of_alike(values: Sequence[str]) -> str:
    """The same of texts that begin alike, such as the names of one Job's Pods: what they share is said once."""
    shared = shared_start(values)
    return f"{one_of([shared])}({one_of(value.removeprefix(shared) for value in values)})"


def selector(metrics: Sequence[str], matchers: Mapping[str, str]) -> str:
    """All series of some metrics whose labels match these regular expressions."""
    return (
        "{"
        + ",".join(f"{k}=~{quoted(v)}" for k, v in {"__name__": one_of(metrics), **matchers}.items())
        + "}"
    )


def samples_of(metrics: Sequence[str], matchers: Mapping[str, str], window: Window) -> Question:
    """The samples as they were scraped."""
    query = f"{selector(metrics, matchers)}[{window.seconds}s]"
    return Question("/api/v1/query", {"query": query, "time": _seconds(window.end_us)})


def steps_of(
    functions: Mapping[str, str], matchers: Mapping[str, str], window: Window, step_s: int
) -> Question:
    """A function over each step, by metric: `max_over_time` of a counter is its last value there, for nothing is carried on.

    The first point is of the step before the window: what is there began before it. A function takes the name of a metric
    away, so each is asked for itself and keeps its name in a label.
    """
    each = (
        f'label_replace({function}({selector((name,), matchers)}[{step_s}s]),{quoted(METRIC)},{quoted(name)},"","")'
        for name, function in functions.items()
    )
    count = -(-(window.end_us - window.start_us) // (step_s * SECOND_US))
    end_us = window.start_us + count * step_s * SECOND_US
    params: dict[str, str | int | float] = {
        "start": _seconds(window.start_us),
        "end": _seconds(end_us),
        "step": step_s,
    }
    return Question("/api/v1/query_range", {"query": " or ".join(each), **params})


def value_of(query: str, window: Window) -> Question:
    """An expression at the end of the window."""
    return Question("/api/v1/query", {"query": query, "time": _seconds(window.end_us)})


def names_of(label: str, metrics: Sequence[str], window: Window) -> Question:
    """The values of a label on some metrics."""
    return Question(f"/api/v1/label/{label}/values", _matching(metrics, window))


def labels_of(metrics: Sequence[str], window: Window) -> Question:
    """The names of the labels that some metrics have."""
    return Question("/api/v1/labels", _matching(metrics, window))


def _matching(metrics: Sequence[str], window: Window) -> dict[str, str | int | float]:
    bounds = {"start": _seconds(window.start_us), "end": _seconds(window.end_us)}
    return {"match[]": selector(metrics, {}), **bounds}


def _seconds(at_us: int) -> str:
    return f"{at_us // SECOND_US}.{at_us % SECOND_US:06d}"


def read_series(text: str) -> list[Series]:
    """The series of a matrix or vector. Raises Unreadable."""
    found = _data(text)
    if not isinstance(found, dict) or found.get("resultType") not in ("matrix", "vector"):
        raise Unreadable("neither a matrix nor a vector")
    try:
        return [_series(one) for one in found["result"]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as fault:
        raise Unreadable(f"a series that cannot be read: {fault}") from None


def read_words(text: str) -> list[str]:
    """The words of an answer about labels. Raises Unreadable."""
    found = _data(text)
    if not isinstance(found, list):
        raise Unreadable("no list of names")
    return [word for word in found if isinstance(word, str)]


def _data(text: str) -> Any:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(f"no JSON but {text.strip()[:60]!r}") from None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise Unreadable(f"no success but {text.strip()[:60]!r}")
    return answer.get("data")


def _series(one: Mapping[str, Any]) -> Series:
    labels = {str(k): str(v) for k, v in one["metric"].items()}
    values = one["values"] if "values" in one else [one["value"]] if "value" in one else []
    told = (Sample(round(float(at) * SECOND_US), float(value)) for at, value in values)
    samples = sorted(s for s in told if math.isfinite(s.value) and abs(s.value) < BLANK)
    return Series(labels.pop("__name__", labels.pop(METRIC, "")), labels, tuple(samples))
