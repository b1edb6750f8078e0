"""What all actors share: they look at their objects again and again, and do to each what their rules say."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

import requests

from cleanhours.adapters.clock import SystemClock
from tests.integration.kubernetes.actors.server import Object, Refused

_PAUSE_S: Final = 0.1


class Actor(Protocol):
    """Plays one controller in one namespace."""

    def objects(self) -> list[Object]:
        """What it looks after, as it is now."""

    def reconcile(self, obj: Object) -> None:
        """Does to one object what is due. May raise Refused: it comes by again."""


@contextmanager
def playing(*actors: Actor) -> Iterator[None]:
    """The actors act, until the block ends; what surprised one of them fails the test then."""
    over = threading.Event()
    surprises: list[BaseException] = []

    def play(actor: Actor) -> None:
        while not over.wait(_PAUSE_S):
            try:
                _round(actor)
            except requests.RequestException:
                continue
            except Exception as surprise:  # noqa: BLE001 - shown where the test ends
                surprises.append(surprise)
                return

    threads = [threading.Thread(target=play, args=(actor,), daemon=True) for actor in actors]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    if surprises:
        raise surprises[0]


def _round(actor: Actor) -> None:
    for obj in actor.objects():
        try:
            actor.reconcile(obj)
        except Refused as refused:
            if refused.status not in (403, 404, 409):  # 403: its namespace is on its way out
                raise


def now() -> str:
    """As `metav1.Time` is written."""
    return SystemClock().now().strftime("%Y-%m-%dT%H:%M:%SZ")


def owned_by(owner: Object) -> list[Object]:
    """`ownerReferences` of what a controller makes for an object."""
    meta = owner["metadata"]
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def is_true(status: Mapping[str, Any], type_: str) -> bool:
    """Whether a condition is True."""
    return any(c["type"] == type_ and c["status"] == "True" for c in status.get("conditions") or ())


def with_condition(
    conditions: list[Object], type_: str, status: str, reason: str, message: str = ""
) -> list[Object]:
    """The conditions with that one set; its transition is dated when its status changes."""
    old = next((c for c in conditions if c["type"] == type_), None)
    since = old["lastTransitionTime"] if old is not None and old["status"] == status else now()
    new = {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}
    if old is None:
        return [*conditions, new]
    return [new if c is old else c for c in conditions]
