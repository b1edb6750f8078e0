"""Templates of labels: how a site's own metrics name what a run used, with placeholders for what a run is called. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.domain.times import microseconds
from cleanhours_plugins.meters.prometheus import pods
from cleanhours_plugins.meters.prometheus.asking import Series, one_of, one_of_alike
from cleanhours_plugins.meters.prometheus.fetching import LOT_CHARACTERS
from cleanhours_plugins.meters.prometheus.pods import Pod
from cleanhours_plugins.meters.prometheus.profiles import Span, union

PLACEHOLDERS: Final = ("uid", "pod", "name", "namespace", "location")
"""The UIDs of its Pods, or its own; their names; its name, namespace, and location at the time."""

_PLACEHOLDER: Final = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")


def used(labels: Mapping[str, str]) -> frozenset[str]:
    """The placeholders of a table of labels."""
    return frozenset(name for text in labels.values() for name in _PLACEHOLDER.findall(text))


def checked(text: str) -> str:
    """The template of a regular expression. Raises ValueError where it is none, or its braces name nothing."""
    rest = _PLACEHOLDER.sub("x", text)
    if re.search(r"\{[^0-9,}]", rest):
        raise ValueError(text)
    try:
        re.compile(rest)
    except re.error:
        raise ValueError(text) from None
    return text


def expressions(
    labels: Mapping[str, str], run: FinishedRun, found: Sequence[Pod], parts: Sequence[RunSegment]
) -> dict[str, str]:
    """Each label's regular expression for some segments of a run. What a placeholder stands for is matched as it is."""
    told = {name: _one_of(sorted(values)) for name, values in _values(run, found, parts).items()}
    return {
        label: _PLACEHOLDER.sub(lambda match: f"({told[match[1]]})", text) for label, text in labels.items()
    }


def _one_of(values: Sequence[str]) -> str:
    text = one_of(values)
    return text if len(text) <= LOT_CHARACTERS else one_of_alike(values)


def spans_told(
    series: Iterable[Series], labels: Mapping[str, str], run: FinishedRun, found: Sequence[Pod]
) -> list[tuple[Series, list[Span]]]:
    """When each series tells of the run: while a segment lasted that its labels name. A job that moved is read where it was."""
    told = []
    for part in run.segments:
        span = (microseconds(part.start), microseconds(part.end or run.finished_at))
        wanted = {label: re.compile(text) for label, text in expressions(labels, run, found, (part,)).items()}
        told.append((span, wanted))
    return [
        (
            one,
            union(
                span
                for span, wanted in told
                if all(regex.fullmatch(one.labels.get(label, "")) for label, regex in wanted.items())
            ),
        )
        for one in series
    ]


def _values(run: FinishedRun, found: Sequence[Pod], parts: Sequence[RunSegment]) -> dict[str, set[str]]:
    handles = {handle for part in parts for handle in part.handles}
    whole = run.key.uid in handles
    named = [pod for pod in found if whole or pod.uid in handles]
    uids = (handles & set(pods.uids_of(run))) | {pod.uid for pod in named if pod.uid} or {run.key.uid}
    return {
        "uid": uids,
        "pod": {pod.name for pod in named},
        "name": {pods.object_name(run)},
        "namespace": {run.namespace},
        "location": {part.location for part in parts},
    }
