"""Leases: what a Lease object says, and what is written into it. Pure (coordination.k8s.io/v1, KEP-589)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

API_VERSION: Final = "coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as it was read. `holder` "": nobody; `duration_s` 0: not said.

    `version` is the resourceVersion: any change of it is a sign of life of the holder, whatever the clocks say.
    """

    version: str
    holder: str
    duration_s: float
    transitions: int
    acquired: str
    renewed: str
    metadata: Mapping[str, Any]


def read_lease(found: Mapping[str, Any]) -> Lease:
    """Read an object of the API; a Lease that somebody emptied or filled with nonsense is held by nobody."""
    spec, meta = found.get("spec") or {}, found.get("metadata") or {}
    return Lease(
        version=str(meta.get("resourceVersion") or ""),
        holder=str(spec.get("holderIdentity") or ""),
        duration_s=float(_whole(spec.get("leaseDurationSeconds"))),
        transitions=_whole(spec.get("leaseTransitions")),
        acquired=str(spec.get("acquireTime") or ""),
        renewed=str(spec.get("renewTime") or ""),
        metadata=meta,
    )


def new_lease(namespace: str, name: str, holder: str, duration_s: float, stamp: str) -> dict[str, Any]:
    """The object of a Lease that nobody held before."""
    return _lease({"namespace": namespace, "name": name}, holder, duration_s, 0, stamp, stamp)


def taken(lease: Lease, holder: str, duration_s: float, stamp: str) -> dict[str, Any]:
    """The Lease with this holder: renewed if it was his already, else one transition more."""
    if lease.holder == holder:
        acquired, transitions = lease.acquired or stamp, lease.transitions
    else:
        acquired, transitions = stamp, lease.transitions + 1
    return _lease(lease.metadata, holder, duration_s, transitions, acquired, stamp)


def released(lease: Lease, stamp: str) -> dict[str, Any]:
    """The Lease with no holder, as the servers' own electors leave it."""
    return _lease(lease.metadata, "", 1, lease.transitions, lease.acquired or stamp, stamp)


def stamp_of(now: datetime, last: str = "") -> str:
    """MicroTime, always with six digits: with fewer, or with none, the server answers 400.

    Never the same as the `last`: a write that changes nothing gives no new resourceVersion, and a holder whose
    clock stands still would seem to be dead.
    """
    stamp = _micro(now)
    return stamp if stamp != last else _micro(now.replace(microsecond=(now.microsecond + 1) % 1_000_000))


def _micro(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _lease(
    metadata: Mapping[str, Any], holder: str, duration_s: float, transitions: int, acquired: str, renewed: str
) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Lease",
        "metadata": dict(metadata),
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(duration_s)),
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": transitions,
        },
    }
