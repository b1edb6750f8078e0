"""Assembling: plans from the options and runs that were chosen, with their figures and their reason."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import ForecastId, Plan, Reason, Segment
from cleanhours.domain.requests import Policy
from cleanhours.domain.times import format_instant, instant_of
from cleanhours.planning.options import option_of
from cleanhours.planning.questions import Option, Place, Question, grams
from cleanhours.planning.slots import Run

instant = lru_cache(maxsize=1 << 14)(instant_of)


def assemble(
    question: Question, location: Location, runs: Sequence[Run], reason: Reason, note: str = ""
) -> Plan:
    """The plan for these runs, with figures where the forecast covers them."""
    places = [place for place in (question.home_place, *question.places) if place is not None]
    place = next((place for place in places if place.location is location), None)
    if place is not None and runs:
        borders = place.series.borders
        if borders[0] <= runs[0][0] and runs[-1][1] <= borders[-1]:
            return assemble_option(question, option_of(question, place, runs), reason, None, note)
    start = instant(runs[0][0] if runs else question.start)
    return Plan(
        location=location.name,
        zone=location.zone,
        start=start,
        end=instant(runs[-1][1]) if runs else None,
        segments=_segments(location, runs),
        latest_start=instant(question.latest),
        reason=reason,
        baseline_g=baseline(question) if runs else None,
        power_w=question.request.planned_power_w,
        power_assumed=question.request.power_w is None,
        cap=question.cap,
        note=note,
    )


def assemble_option(
    question: Question, option: Option, reason: Reason, run_now: Option | None, note: str = ""
) -> Plan:
    """The plan that an option makes. `run_now` saves working out the baseline where it is the same."""
    place, location = option.place, option.place.location
    series = place.series
    segments = _segments(location, option.runs)
    alike = run_now is not None and question.cap is None and not question.paused
    if run_now is not None and alike and run_now.place is question.home_place:
        at_once: float | None = grams(question, run_now.carbon)
    else:
        at_once = baseline(question)
    return Plan(
        location=location.name,
        zone=location.zone,
        start=segments[0].start,
        end=segments[-1].end,
        segments=segments,
        latest_start=instant(question.latest),
        reason=reason,
        mean_g_per_kwh=option.integral / (option.seconds * 1_000_000),
        expected_g=grams(question, option.carbon),
        baseline_g=at_once,
        signal=series.measure.signal,
        scope=series.measure.scope,
        forecast=forecast_id(question, series),
        power_w=question.request.planned_power_w,
        power_assumed=question.request.power_w is None,
        cap=question.cap,
        note=note or _note(question, place, reason),
    )


def _segments(location: Location, runs: Sequence[Run]) -> tuple[Segment, ...]:
    name, zone = location.name, location.zone
    if len(runs) == 1:
        return (Segment(instant(runs[0][0]), instant(runs[0][1]), name, zone),)
    return tuple(Segment(instant(start), instant(end), name, zone) for start, end in runs)


def baseline(question: Question) -> float | None:
    """The work as it would run unmodified: at home from the earliest start on, uncapped, without pauses and their costs."""
    home, work = question.home_place, question.work
    if home is None or work is None:
        return None
    table, start = home.table, question.start
    if question.cap is None:
        return grams(question, (table.integral_at(start + work) - table.integral_at(start)) * home.pue_ppm)
    work = max(round(work / question.cap.slowdown), 1)
    cost = (table.integral_at(start + work) - table.integral_at(start)) * home.pue_ppm
    return grams(question, cost) * question.free.planned_power_w / question.request.planned_power_w


def _note(question: Question, place: Place, reason: Reason) -> str:
    """What else the owner should know."""
    if reason not in _CHOSEN:
        return ""
    known_until = int(place.series.borders[-1])
    notes = []
    if question.policy is Policy.ELASTIC:
        notes.append("it cannot be scaled here")
    curve = question.request.power_curve
    if curve and curve not in question.rules.power_curves:
        notes.append(f"no power curve {curve!r} is configured: it is not capped")
    if known_until < question.end:
        ends = format_instant(instant(known_until))
        notes.append(
            f"the forecast ends {ends}, before the slack does: planned inside it, to be planned again"
        )
    return "; ".join(notes)


_CHOSEN = frozenset({Reason.LOWEST_WINDOW, Reason.LOWEST_SLOTS, Reason.CARBON_TIME, Reason.BELOW_MIN_SAVING})


def forecast_id(question: Question, series: IntensitySeries) -> ForecastId:
    """Which forecast was acted on, and how old it was."""
    issued = series.issued_at
    age = None if issued is None else (question.now - issued).total_seconds()
    return ForecastId(series.provider, issued, age)
