"""Words that objects wear: the annotations, labels and names by which users, admission and the controller talk."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

PREFIX: Final = "cleanhours.dev/"

STATE: Final = PREFIX + "state"
PLAN: Final = PREFIX + "plan"
"""Plan version 1, JSON: written by the controller only."""
RUNS: Final = PREFIX + "runs"
"""What a paused object ran before, JSON: a new leader and a meter find it here."""
ORIGINAL: Final = PREFIX + "original-placement"
"""Where its owner put it, JSON, kept from the first time that it was moved."""
POWER_CAP: Final = PREFIX + "power-cap"
"""Watts that each accelerator is to be limited to, on the object and, where its kind lets us, on its Pods: the downward API
or an agent on the node hands them on."""
ENABLED: Final = PREFIX + "enabled"
"""Label of a namespace: `true` opts its jobs in, `shadow` lets them be planned and touched by nobody. Annotation of an
object: `false` keeps it out."""

WRITTEN_BACK: Final = frozenset({STATE, PLAN, RUNS, ORIGINAL, POWER_CAP})
"""Annotations that are ours to write; no user's word."""
OPTING_IN: Final = (PREFIX + "deadline", PREFIX + "max-delay")

GATE: Final = PREFIX + "window"
"""Our name among a Pod's scheduling gates, and in Kueue's annotation."""
PLACEMENT: Final = PREFIX + "placement"
"""Key of the toleration that makes Kueue notice a new placement (no node has such a taint)."""

KUEUE_QUEUE: Final = "kueue.x-k8s.io/queue-name"
KUEUE_GATES: Final = "kueue.x-k8s.io/admission-gated-by"


class Mark(StrEnum):
    """The value of the state annotation: what we did to the object last."""

    HELD = "held"
    RELEASED = "released"
    PAUSED = "paused"
    """Suspended by us, to go on where it was; `paused` from the first write, while its Pods still stop too."""
    MOVING = "moving"
    """Suspended by us, to go on elsewhere."""


def words_of(annotations: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> dict[str, str]:
    """The owner's words without prefix, over his namespace's defaults."""
    own = {
        key.removeprefix(PREFIX): value
        for key, value in annotations.items()
        if key.startswith(PREFIX) and key not in WRITTEN_BACK and key != ENABLED
    }
    return {**(defaults or {}), **own}


def opts_in(annotations: Mapping[str, str]) -> bool:
    """Whether the object itself asks for us; its namespace may ask for it besides."""
    return annotations.get(ENABLED) != "false" and any(key in annotations for key in OPTING_IN)
