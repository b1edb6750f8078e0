"""Capping: the same job under each cap that it may run under, and which of the plans to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from cleanhours.domain.caps import Cap
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.rules import Rules
from cleanhours.domain.times import LONGEST

_NOTHING: Final = timedelta(0)
_PAUSING: Final = frozenset({Policy.LOWEST_SLOTS, Policy.ELASTIC})


def uncapped(request: JobRequest, rules: Rules) -> JobRequest:
    """The request with the power that its curve tells, where its owner said none."""
    curve = rules.power_curves.get(request.power_curve) if request.power_curve else None
    if curve is None or request.power_w is not None:
        return request
    return replace(request, power_w=curve.uncapped_w)


def caps_of(request: JobRequest, rules: Rules) -> tuple[Cap, ...]:
    """The caps that a job may run under and keep its promises: none without a curve, without a duration or without slack.

    Slower by a cap is later, as by waiting: it is part of the delay that the owner allows.
    """
    curve = rules.power_curves.get(request.power_curve) if request.power_curve else None
    if curve is None or request.duration is None or not request.flexible:
        return ()
    spare = [
        one for one in (request.max_delay, _spare(request), LONGEST - request.duration) if one is not None
    ]
    return tuple(cap for cap in curve.caps() if all(_longer(request, cap) <= one for one in spare))


def _spare(request: JobRequest) -> timedelta | None:
    """By how much it may run longer before its cluster ends it."""
    if request.time_limit is None or request.duration is None:
        return None
    return request.time_limit - request.duration


def under(request: JobRequest, cap: Cap) -> JobRequest:
    """The request as its job runs under a cap: longer, at less power, with so much less time to wait, and in one go.

    A cap is told to a job when it starts, and what runs under one is not paused: what is left of it is not known as well.
    """
    longer = _longer(request, cap)
    delay = request.max_delay
    return replace(
        request,
        duration=None if request.duration is None else min(request.duration + longer, LONGEST),
        max_delay=None if delay is None else max(delay - longer, _NOTHING),
        power_w=min(cap.capped_w(request.planned_power_w), 1e9),
        interruptible=False,
        policy=None if request.policy in _PAUSING else request.policy,
    )


def left_under(request: JobRequest, cap: Cap, remaining: timedelta) -> timedelta:
    """What is left to run under a cap of a job that has begun, where its cluster counts as if it were not capped.

    More than is left, if it has overrun already: nobody knows by how much.
    """
    return remaining + _longer(request, cap)


def _longer(request: JobRequest, cap: Cap) -> timedelta:
    return _NOTHING if request.duration is None else cap.stretched(request.duration) - request.duration


def lowest(plans: Sequence[Plan], request: JobRequest, current: Plan | None, rules: Rules) -> Plan:
    """The plan to follow of those without a cap (the first) and with one: that with the least emissions, the first of equals.

    The cap of the plan in force is kept unless another saves more than `rules.hysteresis_percent`. A capped plan that
    would have to wait for room is none.
    """
    free = plans[0]
    rivals = [
        plan for plan in plans[1:] if plan.reason is not Reason.CAPACITY and plan.expected_g is not None
    ]
    if free.expected_g is None or not rivals:
        return free
    costs = {id(plan): _cost(plan, request, rules) for plan in (free, *rivals)}
    best = min((free, *rivals), key=lambda plan: costs[id(plan)])
    if current is not None:
        same = next((plan for plan in (free, *rivals) if plan.cap == current.cap), best)
        gain = costs[id(same)] - costs[id(best)]
        if gain * 100 <= rules.hysteresis_percent * costs[id(same)]:
            best = same
    return best if best is free else replace(best, latest_start=free.latest_start)


def _cost(plan: Plan, request: JobRequest, rules: Rules) -> float:
    """Grams, with what `carbon-time` charges for a later end."""
    cost = plan.expected_g or 0.0
    if request.policy is Policy.CARBON_TIME and plan.end is not None:
        cost += rules.delay_g_per_hour * (plan.end - request.submitted).total_seconds() / 3600
    return cost
