"""A stepped clock is noticed."""

from __future__ import annotations

from cleanhours.apps.steps import StepWatch


def test_a_step_is_noticed_once_and_passing_time_is_not() -> None:
    times = {"wall": 1000.0, "steady": 50.0}
    steps: list[float] = []
    watch = StepWatch(steps.append, lambda: times["wall"], lambda: times["steady"])

    times["wall"] += 60
    times["steady"] += 60
    watch.look()
    times["wall"] += 5 - 7200
    times["steady"] += 5
    watch.look()
    watch.look()
    times["wall"] += 7200
    watch.look()

    assert [-7200.0, 7200.0] == steps
