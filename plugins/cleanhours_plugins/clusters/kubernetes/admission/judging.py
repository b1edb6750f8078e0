"""Judging: what is wrong with a new object's words, all of it at once. Pure.

The same rules stand in CEL, in the chart's `_admission.tpl`; one table of cases runs through both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.kubernetes import words

LONGEST_TEXT: Final = 100
"""Characters of a value that is a number, an instant or a name: no honest one is longer, and CEL has a budget."""
LONGEST_LIST: Final = 10_000
"""Characters of the list of locations."""
LONGEST_SHOWN: Final = 60
"""Characters of a value that a message repeats."""
LONGEST_MESSAGE: Final = 5_000
"""Bytes of a message; the API server drops a policy's longer ones (5 KiB)."""
_CUT: Final = 1_200

ENABLED_WORDS: Final = "true or false"


def faults(
    annotations: Mapping[str, str],
    *,
    now: datetime,
    locations: Collection[str] | None = None,
) -> list[Complaint]:
    """Every fault of the words that an object wears, unknown words first, in an order that does not change.

    `locations` are the configured names, None where they are not known. Faults of time are none.
    """
    told = dict(sorted(words.words_of(annotations).items()))
    found = [_too_long(word, text) for word, text in told.items() if len(text) > _longest(word)]
    short = {word: text for word, text in told.items() if len(text) <= _longest(word)}
    try:
        parse_words(short, created=now, locations=locations)
    except InvalidRequest as invalid:
        found += [_as_written(complaint, short) for complaint in invalid.complaints]
    if annotations.get(words.ENABLED, "true") not in ("true", "false"):
        found.append(Complaint("enabled", _shown(annotations[words.ENABLED]), ENABLED_WORDS))
    return found


def misfit(kind: str, obj: Mapping[str, Any]) -> str | None:
    """One sentence on why an object that asks for us cannot be held, or None when it can.

    A RayJob is suspended by deleting its RayCluster (KubeRay), which must therefore be its own, and end with it.
    """
    if kind != "RayJob":
        return None
    spec = obj.get("spec") or {}
    if spec.get("clusterSelector"):
        return (
            "spec.clusterSelector: found a RayCluster that others share, accepted: none, as a RayJob waits "
            "without its own RayCluster"
        )
    if spec.get("shutdownAfterJobFinishes") is not True:
        return (
            "spec.shutdownAfterJobFinishes: found false, accepted: true, as a RayJob pauses by the end of its "
            "RayCluster"
        )
    return None


def message_of(found: Collection[Complaint], *others: str) -> str:
    """All of it in one message, cut where an API server would drop it."""
    text = "; ".join([*(str(complaint) for complaint in found), *others])
    return text if len(text.encode()) <= LONGEST_MESSAGE else text[:_CUT] + "…"


def _longest(word: str) -> int:
    return LONGEST_LIST if word == "locations" else LONGEST_TEXT


def _too_long(word: str, text: str) -> Complaint:
    return Complaint(word, _shown(text), f"at most {_longest(word)} characters")


def _as_written(complaint: Complaint, told: Mapping[str, str]) -> Complaint:
    """With the value as its owner wrote it, where the parser shows what it made of it (0.0 for 0W)."""
    text = told.get(complaint.field, complaint.found) if complaint.field != "locations" else complaint.found
    return replace(complaint, found=_shown(text))


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
