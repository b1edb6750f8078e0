"""Leading: the Lease of this cluster's controllers, for one that stays and for one that looks in once."""

from __future__ import annotations

import atexit
import threading
from pathlib import Path
from typing import Final

from cleanhours_plugins.clusters.kubernetes.connecting import SERVICE_ACCOUNT
from cleanhours_plugins.clusters.kubernetes.electing import LeaseLeadership
from cleanhours_plugins.clusters.kubernetes.errors import ApiError

_ELSEWHERE: Final = "default"
"""Where the Lease lies when nothing names a namespace."""


class Election:
    """A `ports.Leadership` and a `ports.Service`: started it takes part for good, unstarted it tries when it is asked.

    What was so taken is given back when the process ends.
    """

    def __init__(self, lease: LeaseLeadership) -> None:
        self._lease = lease
        self._started = False
        self._lock = threading.Lock()
        self._gives_back = False

    def may_act(self) -> bool:
        if self._started or self._lease.may_act():
            return self._lease.may_act()
        with self._lock:
            if not self._gives_back:
                self._gives_back = True
                atexit.register(self._lease.stop)
            try:
                if not self._lease.may_act():
                    self._lease.take_turn()
            except ApiError:
                return False
        return self._lease.may_act()

    def start(self) -> None:
        """Takes part; returns at once."""
        self._started = True
        self._lease.start()

    def stop(self) -> None:
        """Acts no more, and leaves the Lease to the next; idempotent."""
        self._lease.stop()


def lease_namespace(told: str | None, of_context: str = "", service_account: Path = SERVICE_ACCOUNT) -> str:
    """The namespace told, else the Pod's own, else that of the kubeconfig's context, else `default`."""
    return told or own_namespace(service_account) or of_context or _ELSEWHERE


def own_namespace(service_account: Path = SERVICE_ACCOUNT) -> str:
    """The namespace of the Pod that this runs in, empty elsewhere."""
    try:
        return (service_account / "namespace").read_text("utf-8").strip()
    except OSError:
        return ""
