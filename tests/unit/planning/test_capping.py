"""A job that carries a power curve gets the window and the cap that together emit least, and keeps every promise."""

from __future__ import annotations

import csv
import random
import statistics
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.domain.caps import Cap, CapPoint, PowerCurve
from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.rules import Rules
from cleanhours.planning.capping import under
from cleanhours.planning.questions import Progress
from tests.unit.planning.asked import AHEAD, HOUR, JOB, hours, planned
from tests.unit.planning.made import EXACT, MINUTE, NOW, made_series

# 1,000 W uncapped; 800 W and 10 % longer: 12 % less energy; 600 W and half as long again: 10 % less
CURVE = PowerCurve.of(
    [CapPoint(300, 100, 100_000), CapPoint(250, 110, 88_000), CapPoint(200, 150, 90_000)], 60
)
CURVED = replace(EXACT, power_curves={"net": CURVE})
NET = replace(JOB, power_curve="net", power_w=None)


# -- the curve --------------------------------------------------------------------------------------------------------


def test_caps_are_the_limits_that_save_and_are_not_too_slow() -> None:
    (cap,) = CURVE.caps()
    assert Cap(250, 1.1, 800.0, 1000.0) == cap  # that of 200 W draws more than that and is slower still
    assert () == replace(CURVE, maximum_slowdown_percent=9.9).caps()


def test_a_cap_that_measured_faster_than_none_slows_nothing_down() -> None:
    (cap,) = PowerCurve.of([CapPoint(250, 99.5, 88_000), CapPoint(300, 100, 100_000)]).caps()
    assert 1.0 == cap.slowdown


def test_what_a_job_draws_beside_its_accelerators_is_drawn_under_the_cap_too() -> None:
    (cap,) = CURVE.caps()
    assert 1500 - 200 == cap.capped_w(1500)
    assert 800 == pytest.approx(cap.capped_w(1000))
    assert 400 == pytest.approx(cap.capped_w(500))


@pytest.mark.parametrize(
    "cap",
    [
        {"slowdown": 0.5}, {"slowdown": 101}, {"slowdown": float("nan")}, {"limit_w": 0}, {"accelerators_w": -1},
        {"uncapped_w": float("inf")}, {"uncapped_w": 10**400}, {"limit_w": "much"}, {"limit_w": None}, {"limit_w": []},
    ],
)  # fmt: skip
def test_a_cap_that_somebody_wrote_by_hand_is_no_plan(cap: dict[str, object]) -> None:
    wrong = {**CURVE.caps()[0].to_json(), **cap}
    with pytest.raises((ValueError, TypeError)):
        Plan.from_json({**planned(NET, AHEAD).to_json(), "cap": wrong})
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Plan.from_json({**planned(NET, AHEAD).to_json(), "cap": "250"})


def test_the_longest_job_and_the_strongest_are_planned_under_any_cap() -> None:
    year = replace(NET, duration=timedelta(days=366), deadline=NOW + timedelta(days=800), power_w=1e9)
    assert planned(year, AHEAD, rules=CURVED).cap is None
    odd = Cap(250, 100.0, 1e9, 1.0)
    running = Progress(remaining=timedelta(days=366), at="coast", running=True)
    current = replace(planned(NET, AHEAD), cap=odd)
    assert odd == planned(year, AHEAD, rules=CURVED, progress=running, current=current).cap


def test_a_curve_that_makes_no_sense_is_refused_with_every_fault() -> None:
    with pytest.raises(InvalidRequest) as refused:
        PowerCurve.of([CapPoint(250, 0, 1), CapPoint(250, 1, float("nan"))], -1)
    assert 4 == len(refused.value.complaints)
    with pytest.raises(InvalidRequest, match="two or more"):
        PowerCurve.of([CapPoint(250, 1, 1)])


@pytest.mark.parametrize("gpu", ["v100", "a40", "p100", "rtx6000"])
def test_on_real_traces_a_tenth_slower_saves_about_a_seventh(test_data: Path, gpu: str) -> None:
    """Zeus' own (NSDI 2023): the median over models of what the best cap leaves of the energy."""
    rows: dict[tuple[str, ...], list[CapPoint]] = defaultdict(list)
    with (test_data / "zeus" / f"summary_power_{gpu}.csv").open() as lines:
        for row in csv.DictReader(lines):
            seconds = float(row["time_per_epoch"])
            work = (f"{row['network']} on {row['dataset']}", row["batch_size"], row["optimizer"])
            point = CapPoint(float(row["power_limit"]), seconds, seconds * float(row["average_power"]))
            if point.limit_w not in {other.limit_w for other in rows[work]}:
                rows[work].append(point)
    left: dict[str, list[float]] = defaultdict(list)
    for (network, *_), points in rows.items():
        if len(points) > 1:
            left[network].append(min([cap.slowdown * cap.accelerators_w / cap.uncapped_w
                                      for cap in PowerCurve.of(points).caps()], default=1.0))  # fmt: skip
    assert 6 == len(left)
    assert 0.83 <= statistics.median(statistics.median(found) for found in left.values()) <= 0.88


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_window_and_cap_are_chosen_together() -> None:
    plan = planned(NET, AHEAD, rules=CURVED)
    (cap,) = CURVE.caps()
    # six minutes longer than the hour, of which one tenth lies in the next cleanest hour
    assert (cap, timedelta(minutes=66)) == (plan.cap, plan.segments[0].end - plan.segments[0].start)
    assert [(2.9, 4.0)] == [(round(a, 9), round(b, 9)) for a, b in hours(plan)]
    assert 0.8 * (20 + 0.1 * 40) == pytest.approx(plan.expected_g)
    assert 100 == pytest.approx(plan.baseline_g)  # at once, without a cap
    assert NOW + 7 * HOUR == plan.latest_start  # from which it has to run without one
    assert plan.power_w == pytest.approx(800)
    assert not plan.power_assumed
    assert "capped at 250 W, 10.0 % longer" in plan.sentence
    assert plan == Plan.from_json({**plan.to_json(), "note": plan.note})


def test_what_names_no_curve_or_an_unknown_one_is_not_capped() -> None:
    assert planned(replace(JOB, power_w=1000), AHEAD, rules=CURVED).cap is None
    plan = planned(replace(NET, power_curve="other"), AHEAD, rules=CURVED)
    assert plan.cap is None
    assert "no power curve 'other' is configured" in plan.sentence


def test_where_the_longer_run_is_dirtier_there_is_no_cap() -> None:
    cliff = made_series([900] * 4 + [10] + [900] * 4, step=HOUR)
    plan = planned(NET, cliff, rules=CURVED)
    assert plan.cap is None
    assert [(4, 5)] == hours(plan)


def test_slower_is_later_the_delay_that_an_owner_allows_is_for_both() -> None:
    flat = made_series([100] * 8, step=HOUR)
    late = replace(NET, deadline=None, max_delay=timedelta(minutes=5))
    assert planned(late, flat, rules=CURVED).cap is None
    enough = replace(late, max_delay=timedelta(minutes=6))
    plan = planned(enough, flat, rules=CURVED)
    assert plan.cap is not None
    assert (NOW, NOW + timedelta(minutes=66)) == (plan.start, plan.end)


def test_nothing_is_slowed_down_until_its_cluster_ends_it() -> None:
    assert planned(replace(NET, time_limit=timedelta(minutes=65)), AHEAD, rules=CURVED).cap is None
    assert planned(replace(NET, time_limit=timedelta(minutes=66)), AHEAD, rules=CURVED).cap is not None


def test_a_job_without_slack_or_duration_is_not_slowed_down() -> None:
    for request in (
        replace(NET, deadline=None),
        replace(NET, duration=None),
        replace(NET, policy=Policy.RUN_NOW),
    ):
        assert planned(request, AHEAD, rules=CURVED).cap is None
    plan = planned(replace(NET, deadline=NOW + timedelta(minutes=65)), AHEAD, rules=CURVED)
    assert plan.cap is None
    assert plan.end is not None
    assert plan.end <= NOW + timedelta(minutes=65)


def test_a_cap_in_force_stays_to_the_end_and_is_not_paused() -> None:
    request = replace(NET, interruptible=True)
    (cap,) = CURVE.caps()
    first = planned(NET, AHEAD, rules=CURVED)
    running = Progress(remaining=timedelta(minutes=50), at="coast", running=True)
    plan = planned(request, AHEAD, rules=CURVED, at=3 * HOUR, progress=running, current=first)
    assert (cap, NOW + 3 * HOUR + timedelta(minutes=56)) == (plan.cap, plan.end)
    other = planned(request, AHEAD, rules=CURVED, at=3 * HOUR, progress=running)
    assert (None, NOW + 3 * HOUR + timedelta(minutes=50)) == (other.cap, other.end)


def test_what_queues_until_it_has_no_time_to_be_slower_loses_its_cap() -> None:
    first = planned(NET, AHEAD, rules=CURVED)
    queues = Progress(remaining=HOUR, at="coast", running=True, fixed=True)
    late = replace(NET, deadline=NOW + 4 * HOUR)
    in_time = planned(late, AHEAD, rules=CURVED, at=timedelta(minutes=174), progress=queues, current=first)
    assert first.cap == in_time.cap is not None
    too_late = planned(late, AHEAD, rules=CURVED, at=timedelta(minutes=175), progress=queues, current=first)
    assert (None, NOW + timedelta(minutes=235)) == (too_late.cap, too_late.end)


def test_a_job_that_may_pause_is_capped_or_paused_and_not_both() -> None:
    waves = made_series([10, 900, 10, 900, 10, 900, 900, 900], step=HOUR)
    pauses = planned(replace(NET, interruptible=True, duration=2 * HOUR), waves, rules=CURVED)
    assert (None, 2) == (pauses.cap, len(pauses.segments))
    flat = made_series([100, 99, 98, 97, 96, 95, 94, 93], step=HOUR)
    capped = planned(replace(NET, interruptible=True, duration=2 * HOUR), flat, rules=CURVED)
    assert (True, 1) == (capped.cap is not None, len(capped.segments))


def test_the_cap_in_force_is_kept_unless_another_saves_much_more() -> None:
    steady = replace(CURVED, hysteresis_percent=5.0)
    close = PowerCurve.of([CapPoint(300, 100, 100_000), CapPoint(250, 100, 98_000)])
    rules = replace(steady, power_curves={"net": close})
    free = planned(replace(JOB, power_w=1000), AHEAD, rules=rules)
    assert planned(NET, AHEAD, rules=rules, current=free).cap is None
    assert planned(NET, AHEAD, rules=rules).cap is not None


@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_no_start_under_any_cap_emits_less(seed: int) -> None:
    """Against every minute under every cap."""
    dice = random.Random(seed)
    points = [CapPoint(300, 60, 60_000)]
    points += [
        CapPoint(300 - 25 * n, 60 * dice.uniform(0.9, 1.8), 60_000 * dice.uniform(0.5, 1.1))
        for n in (1, 2, 3)
    ]
    curve = PowerCurve.of(points, dice.choice((10, 100)))
    series = made_series([dice.choice((20, 50, 90, 400)) for _ in range(90)])
    length = dice.randint(2, 30) * MINUTE
    wishes = {"deadline": NOW + length + dice.randint(0, 55) * MINUTE}
    if dice.random() < 0.5:
        wishes = {"max_delay": dice.randint(0, 40) * MINUTE}  # type: ignore[dict-item]
    power = dice.choice((None, 700.0, 1500.0))
    request = JobRequest(submitted=NOW, duration=length, power_w=power, power_curve="net", **wishes)  # type: ignore[arg-type]
    plan = planned(request, series, rules=replace(EXACT, power_curves={"net": curve}))
    asked = request if power else replace(request, power_w=curve.uncapped_w)
    longest = asked.max_delay
    caps = [cap for cap in curve.caps() if longest is None or cap.stretched(length) - length <= longest]
    variants = [asked, *(under(asked, cap) for cap in caps)]
    seconds = [value for value in series.micrograms.tolist() for _ in range(60)]
    best = min(
        sum(seconds[start : start + int(one.duration.total_seconds())]) * one.planned_power_w
        for one in variants
        if one.duration is not None
        for start in range(_latest(one) + 1)
    )
    assert plan.expected_g is not None
    assert best / 3.6e12 == pytest.approx(plan.expected_g, rel=1e-9)
    promised = request.deadline or NOW + (request.max_delay or 0 * MINUTE) + length
    assert plan.end is not None
    assert plan.end <= promised
    assert plan.power_w == pytest.approx(
        (plan.cap.capped_w(asked.planned_power_w)) if plan.cap else asked.planned_power_w
    )


def _latest(request: JobRequest) -> int:
    """Seconds from now until it must start."""
    if request.deadline is not None:
        assert request.duration is not None
        return int((request.deadline - NOW - request.duration).total_seconds())
    return int((request.max_delay or 0 * MINUTE).total_seconds())


def test_rules_without_curves_cap_nothing() -> None:
    assert planned(NET, AHEAD, rules=Rules()).cap is None
