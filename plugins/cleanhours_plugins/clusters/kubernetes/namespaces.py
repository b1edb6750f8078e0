"""Namespaces: which opted in by their label, and which are only looked at."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import Denied
from cleanhours_plugins.clusters.kubernetes.keeping import Count, count_nothing
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object
from cleanhours_plugins.clusters.kubernetes.watching import Reflector
from cleanhours_plugins.clusters.kubernetes.words import ENABLED

log = logging.getLogger(__name__)

PATH: Final = "/api/v1/namespaces"
_OPTED_IN: Final = "true"
_SHADOW: Final = "shadow"


class _Space(NamedTuple):
    uid: str
    name: str
    enabled: str


class Namespaces:
    """What namespaces say by their label. With `shadow` all that opted in are only looked at.

    Where we may not list namespaces (rights in some of them only), none is known to have opted in: objects do it
    themselves, and what admission marked is seen all the same. `relabelled` is called with the name of one whose label
    says something else than before: objects that were read already may be of interest now, or not any more.
    """

    def __init__(
        self,
        api: Api,
        *,
        shadow: bool = False,
        relabelled: Callable[[str], None] = lambda _: None,
        count: Count = count_nothing,
    ) -> None:
        self._shadow = shadow
        self._relabelled = relabelled
        self._known: dict[str, str] = {}
        self._said = False
        self.reflector: Reflector[_Space] = Reflector(
            api, PATH, _read, kind="namespaces", changed=self._changed, count=count
        )

    def look(self) -> None:
        """Lists them once."""
        try:
            self.reflector.once()
        except Denied as fault:
            self._known = {}
            if not self._said:
                self._said = True
                log.warning("no namespace is known to have opted in: %s", fault)

    def opted_in(self, name: str) -> bool:
        """Whether its jobs are held unless they say otherwise."""
        return self._known.get(name) == _OPTED_IN

    def in_shadow(self, name: str) -> bool:
        """Whether its jobs are planned and touched by nobody."""
        said = self._known.get(name)
        return said == _SHADOW or (self._shadow and said == _OPTED_IN)

    def _changed(self, before: _Space | None, after: _Space | None) -> None:
        known = dict(self._known)
        if before is not None:
            known.pop(before.name, None)
        if after is not None and after.enabled:
            known[after.name] = after.enabled
        self._known = known
        # of a new namespace too: its first objects may have been heard of before itself
        if after is not None and after.enabled != (before.enabled if before is not None else ""):
            self._relabelled(after.name)


def _read(namespace: Object) -> _Space:
    meta = namespace["metadata"]
    return _Space(meta["uid"], meta["name"], (meta.get("labels") or {}).get(ENABLED, ""))
