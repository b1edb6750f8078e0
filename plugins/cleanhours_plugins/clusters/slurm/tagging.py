"""Tags: what Slurm keeps for us in a job's comment, beside its owner's own text. Pure.

`cleanhours:v1;` and fields `name=value` between semicolons, without blanks: so a tag ends where the owner's text goes on. The
last one counts: we write ours behind his text, whatever that says. Slurm takes 1024 bytes of a comment, and keeps them through
requeues and restarts of its controller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

from cleanhours.domain.caps import Cap
from cleanhours.domain.jobs import RunSegment
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.times import epoch, instant_of
from cleanhours.domain.words import WORDS

PREFIX: Final = "cleanhours:v1;"
MOST_BYTES: Final = 1024
_TAG: Final = re.compile(r" ?cleanhours:v1;(\S*)")
_PLAIN: Final = "@+,:/|"
"""Beside letters, digits and `_.-~`: what stands in a value as it is."""
_RIGHT: Final = f"a tag such as {PREFIX}submitted=1795255840;max-delay=6h"
_EPOCHS: Final = range(2**32)
"""Instants that a tag may say, as many as Slurm's own last: others could not be reckoned with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """What is known of a job beside what Slurm itself knows.

    `submitted` is its first submission (a requeue sets Slurm's own anew), `home` where it would run unmodified, `words`
    its owner's wishes. `begin` is its owner's own earliest start, `killed_at` the deadline at which Slurm kills it: both
    epoch seconds. `partition` and `features` are those of the submission. `runs` are those that we ended by a requeue;
    `paused` is set from then until it runs again, `warned_at` when it was told to write its checkpoint.
    """

    submitted: int
    home: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    begin: int | None = None
    killed_at: int | None = None
    partition: str = ""
    features: str = ""
    requeues: bool = True
    plan: Plan | None = None
    runs: tuple[RunSegment, ...] = ()
    paused: bool = False
    warned_at: int | None = None


def split_comment(comment: str) -> tuple[str, str | None]:
    """The owner's own text, and the fields of our tag; None where there is none."""
    matches = list(_TAG.finditer(comment))
    if not matches:
        return comment, None
    match = matches[-1]
    return comment[: match.start()] + comment[match.end() :], match[1]


def written(tag: Tag, own: str = "") -> str:
    """A comment with the tag behind its owner's text. Raises ValueError where Slurm would not keep it whole."""
    length = 0
    for segments in (None, 4, 1):
        comment = f"{own} {PREFIX}" if own else PREFIX
        comment += _encoded(_shortened(tag, segments))
        length = len(comment.encode(errors="surrogateescape"))
        if length <= MOST_BYTES:
            return comment
    raise ValueError(f"the comment would have {length} bytes, Slurm takes {MOST_BYTES}")


def read(fields: str, zones: Mapping[str, str]) -> Tag:
    """The tag of `written`; `zones` are the grid zones of the locations. Raises ValueError saying what is wrong with it."""
    found = dict(part.partition("=")[::2] for part in fields.split(";") if part)
    values = {name: unquote(text) for name, text in found.items()}
    try:
        return Tag(
            submitted=_seconds(values.pop("submitted")),
            home=values.pop("home", ""),
            begin=_epoch(values.pop("begin", "")),
            killed_at=_epoch(values.pop("killed", "")),
            partition=values.pop("partition", ""),
            features=values.pop("features", ""),
            requeues=values.pop("requeue", "yes") != "no",
            plan=_plan(values.pop("plan", ""), values.pop("cap", ""), zones),
            runs=_runs(values.pop("runs", "")),
            paused=values.pop("paused", "") == "yes",
            warned_at=_epoch(values.pop("warned", "")),
            words={word: values[word] for word in WORDS if word in values},
        )
    except KeyError as missing:
        raise ValueError(f"{_RIGHT} ({missing.args[0]} is missing)") from None
    except ValueError as fault:
        raise ValueError(f"{_RIGHT} ({fault})") from None


def _encoded(tag: Tag) -> str:
    values: dict[str, str] = {"submitted": str(tag.submitted), "home": tag.home, **tag.words}
    values["begin"] = "" if tag.begin is None else str(tag.begin)
    values["killed"] = "" if tag.killed_at is None else str(tag.killed_at)
    values |= {"partition": tag.partition, "features": tag.features}
    values["requeue"] = "" if tag.requeues else "no"
    values["plan"] = "" if tag.plan is None else _plan_words(tag.plan)
    values["cap"] = "" if tag.plan is None or tag.plan.cap is None else _cap_words(tag.plan.cap)
    values["runs"] = "|".join(_run_words(run) for run in tag.runs)
    values["paused"] = "yes" if tag.paused else ""
    values["warned"] = "" if tag.warned_at is None else str(tag.warned_at)
    return ";".join(f"{name}={quote(text, safe=_PLAIN)}" for name, text in values.items() if text)


def _shortened(tag: Tag, segments: int | None) -> Tag:
    """The same with fewer of its plan's runs: the next ones matter, the later are planned again."""
    if segments is None or tag.plan is None:
        return tag
    return replace(tag, plan=replace(tag.plan, segments=tag.plan.segments[:segments]))


def _plan_words(plan: Plan) -> str:
    """reason, latest start, expected and baseline grams, then start-end@location for each run."""
    runs = "|".join(
        f"{epoch(part.start)}-{epoch(part.end)}@{_bare(part.location)}" for part in plan.segments
    ) or f"{epoch(plan.start)}-@{_bare(plan.location)}"  # fmt: skip
    grams = (f"{one:.6g}" if one is not None else "" for one in (plan.expected_g, plan.baseline_g))
    return ",".join((plan.reason.value, str(epoch(plan.latest_start)), *grams, runs))


def _cap_words(cap: Cap) -> str:
    """The limit first: what a Prolog looks for."""
    return ",".join(f"{one:.12g}" for one in (cap.limit_w, cap.slowdown, cap.accelerators_w, cap.uncapped_w))


def _cap(text: str) -> Cap | None:
    """Raises ValueError."""
    if not text:
        return None
    limit_w, slowdown, accelerators_w, uncapped_w = map(float, text.split(","))
    return Cap(limit_w, slowdown, accelerators_w, uncapped_w)


def _plan(text: str, cap: str, zones: Mapping[str, str]) -> Plan | None:
    if not text:
        return None
    reason, latest, expected, baseline, runs = text.split(",", 4)
    segments = []
    start, location = "", ""
    for run in runs.split("|"):
        span, _, place = run.partition("@")
        location = unquote(place)
        start, _, end = span.partition("-")
        if end:
            zone = zones.get(location, location)
            segments.append(Segment(_instant(start), _instant(end), location, zone))
    first = segments[0].location if segments else location
    return Plan(
        location=first,
        zone=zones.get(first, first),
        start=segments[0].start if segments else _instant(start),
        end=segments[-1].end if segments else None,
        segments=tuple(segments),
        latest_start=_instant(latest),
        reason=Reason(reason),
        expected_g=_grams(expected),
        baseline_g=_grams(baseline),
        cap=_cap(cap),
    )


def _run_words(run: RunSegment) -> str:
    end = "" if run.end is None else str(epoch(run.end))
    return f"{epoch(run.start)}-{end}@{_bare(run.location)}"


def _runs(text: str) -> tuple[RunSegment, ...]:
    runs = []
    for part in filter(None, text.split("|")):
        span, _, place = part.partition("@")
        start, _, end = span.partition("-")
        runs.append(RunSegment(_instant(start), _instant(end), unquote(place)))
    return tuple(runs)


def _bare(location: str) -> str:
    """A name without the bar that stands between runs."""
    return quote(location, safe=_PLAIN.replace("|", ""))


def _epoch(text: str) -> int | None:
    return _seconds(text) if text else None


def _instant(text: str) -> datetime:
    return instant_of(_seconds(text))


def _seconds(text: str) -> int:
    """Raises ValueError."""
    seconds = int(text)
    if seconds not in _EPOCHS:
        raise ValueError(f"{text} are no seconds since 1970")
    return seconds


def _grams(text: str) -> float | None:
    """Raises ValueError."""
    grams = float(text) if text else None
    if grams is not None and not math.isfinite(grams):
        raise ValueError(f"{text} g")
    return grams
