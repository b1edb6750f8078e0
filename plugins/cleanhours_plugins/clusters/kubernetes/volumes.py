"""Volumes: where the disks behind a job's claims lie. A Pod bound to a disk of one zone hangs for ever in another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object, at
from cleanhours_plugins.clusters.kubernetes.looking import Getting, Looking
from cleanhours_plugins.clusters.kubernetes.suiting import Selector

BOUND: Final = timedelta(minutes=30)
"""A claim stays bound to its volume, and a volume where it is (its affinity is immutable): asked again for form."""
UNBOUND: Final = timedelta(minutes=1)
"""One that waits for its first consumer may be bound any moment, and ties us from then on."""


class Ties(NamedTuple):
    """What claims tie a Pod to: the required node affinity of each bound volume that has one, by claim.

    `known` is False while some could not be read: a job should then stay where it is, for want of knowing.
    """

    selectors: Mapping[str, Selector]
    known: bool


class Volumes:
    """Claims and volumes of one cluster, read one by one and remembered. RBAC: get on both.

    A claim without a volume (WaitForFirstConsumer among them), a volume without affinity and a claim that is not there
    tie nothing; the last is said once. Source: kubernetes.io/docs/concepts/storage/persistent-volumes, "Node Affinity".
    """

    def __init__(self, api: Getting) -> None:
        self._claims = Looking(
            api, volume_of, "the volume claim", lambda volume: BOUND if volume else UNBOUND
        )
        self._volumes = Looking(api, affinity_of, "the volume", lambda _: BOUND)

    def ties(self, namespace: str, claims: Iterable[str], now: datetime) -> Ties:
        """What these claims of a namespace tie a Pod to. Asks the API for those not known, or known long ago."""
        selectors: dict[str, Selector] = {}
        known = True
        for claim in claims:
            volume = self._claims.at(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}", now)
            known = known and volume.known
            if not volume.value:
                continue
            affinity = self._volumes.at(f"/api/v1/persistentvolumes/{volume.value}", now)
            known = known and affinity.known
            if affinity.value is not None:
                selectors[claim] = affinity.value
        return Ties(selectors, known)

    def forget_old(self, now: datetime) -> None:
        """Drops what nobody asks for any more."""
        self._claims.forget_old(now)
        self._volumes.forget_old(now)


def volume_of(claim: Object) -> str:
    """The volume that a `v1` PersistentVolumeClaim is bound to, empty while it is not."""
    bound = at(claim, ("status", "phase")) == "Bound"
    return str(at(claim, ("spec", "volumeName"), "")) if bound else ""


def affinity_of(volume: Object) -> Selector | None:
    """What a `v1` PersistentVolume requires of a node, None where any will do."""
    required = at(volume, ("spec", "nodeAffinity", "required"))
    return None if required is None else _shared(json.dumps(required, sort_keys=True))


@lru_cache(maxsize=1024)
def _shared(text: str) -> Any:
    """One value for all volumes of a zone: answers about it are remembered by it."""
    return json.loads(text)
