"""Reviewing: an AdmissionReview in, the answer out. Pure.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.admission.holding import (
    annotations_of,
    encoded,
    kind_of,
    operations,
    opted_in,
    ours_to_see,
)
from cleanhours_plugins.clusters.kubernetes.admission.judging import faults, message_of, misfit
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object, at
from cleanhours_plugins.clusters.kubernetes.settings import EVERYWHERE

API_VERSION = "admission.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the settings say: by namespace (`*`: every other one) the words of jobs that do not say them, without prefix;
    and the names of the locations (None: not known).
    """

    defaults: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    locations: Collection[str] | None = None

    def words(self, namespace: str) -> Mapping[str, str]:
        """Of a namespace's jobs."""
        return self.defaults.get(namespace, self.defaults.get(EVERYWHERE, {}))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a new object: refused with a message, or let in, with changes and warnings."""

    message: str | None = None
    changes: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


def review(body: Any, *, enabled: bool, terms: Terms, now: datetime) -> dict[str, Any]:
    """The AdmissionReview that answers `body`; `enabled` where the namespace's label opts its jobs in.

    Raises ValueError when `body` is no AdmissionReview v1 with a request.
    """
    request = body.get("request") if isinstance(body, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise ValueError("no request with a uid: found no AdmissionReview, accepted: " + API_VERSION)
    if body.get("apiVersion") != API_VERSION:
        raise ValueError(f"apiVersion: found {body.get('apiVersion')!r}, accepted: {API_VERSION}")
    verdict = judge(request, enabled=enabled, terms=terms, now=now)
    response: dict[str, Any] = {"uid": request["uid"], "allowed": verdict.message is None}
    if verdict.message is not None:
        response["status"] = {"code": 422, "reason": "Invalid", "message": verdict.message}
    elif verdict.changes:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(encoded(list(verdict.changes))).decode()
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


def judge(request: Mapping[str, Any], *, enabled: bool, terms: Terms, now: datetime) -> Verdict:
    """What becomes of the object of an admission request. Raises ValueError when there is none."""
    obj, asked = request.get("object"), request.get("kind") or {}
    if request.get("operation") != "CREATE":
        return Verdict()
    if not isinstance(obj, dict):
        raise ValueError("request.object: found none, accepted: the object that is created")
    if not ours_to_see(obj):
        return Verdict()
    if asked.get("kind") == "CronJob":
        return _of_cron_job(obj, terms, now)
    kind = kind_of(asked.get("group", ""), asked.get("version", ""), asked.get("kind", ""))
    if kind is None:
        return Verdict()
    told = annotations_of(obj)
    found = faults(told, now=now, locations=terms.locations)
    unfit = misfit(kind.name, obj) if words.opts_in(told) else None
    message = message_of(found, *([unfit] if unfit else []))
    if message and not _child(obj):
        return Verdict(message)
    defaults = terms.words(request.get("namespace") or "")
    changes = operations(kind, obj, enabled=enabled, defaults=defaults)
    late = "" if message or not opted_in(kind, obj, enabled=enabled) else _late(told, now)
    return Verdict(None, tuple(changes), tuple(part for part in (message, late) if part))


def _of_cron_job(obj: Object, terms: Terms, now: datetime) -> Verdict:
    """Its Jobs wear the words of its template; whoever writes that stands here, nobody does when they are made."""
    template = at(obj, ("spec", "jobTemplate"), {})
    if not ours_to_see(template):
        return Verdict()
    return Verdict(message_of(faults(annotations_of(template), now=now, locations=terms.locations)) or None)


def _child(obj: Object) -> bool:
    """Made by a CronJob: refused, it would be missed by nobody. It is held, and runs in the first tick."""
    return any(owner.get("controller") for owner in at(obj, ("metadata", "ownerReferences"), ()))


def _late(told: Mapping[str, str], now: datetime) -> str:
    request = parse_words(words.words_of(told), created=now)
    if request.deadline is not None and request.deadline <= now:
        return f"{words.PREFIX}deadline has passed: the job runs now"
    return ""
