"""A Prometheus that is scripted: which answer to which question, and what was asked of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from cleanhours.domain.energy import Component, EnergyProfile
from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.http import Response, Session
from cleanhours.ports import Context
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import START, a_finished_run

URL = "http://prometheus:9090"
POD = "11111111-2222-3333-4444-555555555555"
OTHER_POD = "7f1c2f3e-1d2c-4c2e-9a55-0c1d2e3f4a5b"
JOB = "99999999-aaaa-bbbb-cccc-000000000000"
MINUTE = timedelta(minutes=1)

Line = tuple[Mapping[str, str], Sequence[tuple[float, float | str]]]


@dataclass
class World:
    """A context that knows what time it is: two hours after the usual run began."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(START + timedelta(hours=2)))
    locations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        return cast("Context", self)


@dataclass
class Archive:
    """Answers each question with what was put for a text in it, the first that fits; else with the series that are kept
    whose metric stands in it; else with nothing.
    """

    answers: list[tuple[str, str | Exception]] = field(default_factory=list)
    kept: list[Line] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    sent: list[Mapping[str, str]] = field(default_factory=list)

    def put(self, fits: str, answer: str | Exception) -> Archive:
        self.answers.append((fits, answer))
        return self

    def keep(self, *series: Line) -> Archive:
        self.kept += series
        return self

    @property
    def queries(self) -> list[str]:
        return [str(params.get("query", path)) for path, params in self.asked]

    @property
    def session(self) -> Session:
        return cast("Session", self)

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
    ) -> Response:
        path = url.removeprefix(URL)
        self.asked.append((path, dict(params or {})))
        self.sent.append(dict(headers or {}))
        question = f"{path} {json.dumps(dict(params or {}))}"
        for fits, answer in self.answers:
            if fits in question:
                if isinstance(answer, Exception):
                    raise answer
                return Response(200, {}, answer)
        if "/label" in path:
            return Response(200, {}, words())
        return Response(200, {}, matrix(*(one for one in self.kept if one[0]["__name__"] in question)))


def matrix(*series: Line) -> str:
    result = [
        {"metric": dict(labels), "values": [[at, str(value)] for at, value in samples]}
        for labels, samples in series
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def vector(*series: Mapping[str, str]) -> str:
    result = [{"metric": dict(labels), "value": [0, "1"]} for labels in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def words(*names: str) -> str:
    return json.dumps({"status": "success", "data": list(names)})


def at(minutes: float) -> float:
    """Seconds since 1970, so many minutes after the usual run began."""
    return START.timestamp() + 60 * minutes


def a_run(
    *handles: str, start: datetime = START, length: timedelta = timedelta(hours=1), **more: Any
) -> FinishedRun:
    """One hour of some Pods, at home."""
    segment = RunSegment(start, start + length, "home", handles or (POD,))
    return a_finished_run(segments=(segment,), finished_at=start + length, namespace="ml", **more)


def joules(profile: EnergyProfile) -> dict[Component, float]:
    return {one: profile.only((one,)).millijoules / 1000 for one in profile.components}
