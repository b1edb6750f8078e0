"""Many plans at once are the same plans."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.domain.rules import Rules
from cleanhours.planning.many import plan_many
from cleanhours.planning.policies import make_plan
from tests.unit.planning.made import EXACT, NOW, START, made_job, made_world


@given(st.integers(0, 2**32), st.integers(0, 20))
@settings(max_examples=60)
def test_many_plans_at_once_are_those_of_one_after_the_other(seed: int, count: int) -> None:
    dice = random.Random(seed)
    _, rooms, level = made_world(dice, 0)
    locations = {name: room.location for name, room in rooms.items()}
    requests = [made_job(dice, index, tuple(rooms)).request for index in range(count)]
    requests = [
        replace(one, locations=(), interruptible=dice.random() < 0.2, checkpoint=timedelta(0))
        for one in requests
    ]
    rules, now = dice.choice((Rules(), EXACT)), NOW + timedelta(seconds=dice.choice((0, 0.5, 77)))
    levels = dice.choice(([level], [level], [level, level], []))
    plans = plan_many(requests, levels, now=now, locations=locations, home="coast", rules=rules)
    expected = [
        make_plan(one, levels, now=now, locations=locations, home="coast", rules=rules) for one in requests
    ]
    assert expected == list(plans)
    assert expected[1:3] == list(plans[1:3])


def test_the_starts_are_there_before_any_plan_is_written() -> None:
    dice = random.Random(1)
    _, rooms, level = made_world(dice, 0)
    locations = {name: room.location for name, room in rooms.items()}
    request = replace(
        made_job(dice, 0, ("coast",)).request, duration=timedelta(hours=1), deadline=NOW + timedelta(hours=6),
        max_delay=None, earliest=None, interruptible=False, locations=(), policy=None,
    )  # fmt: skip
    plans = plan_many([request] * 3, [level], now=NOW, locations=locations, home="coast", rules=EXACT)
    assert ([True] * 3, True) == (plans.simple.tolist(), bool((plans.starts >= START).all()))
    assert plans[1].mean_g_per_kwh == plans.means[1]
