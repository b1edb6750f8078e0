"""What a kind of workload is: a row of the table, paths and readings that differ from kind to kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cleanhours_plugins.clusters.kubernetes.records import Activity, Path

Object = Mapping[str, Any]
"""An object as the API tells it: plain JSON values."""
Patch = dict[str, Any]
"""A JSON merge patch (RFC 7386): lists are replaced whole, null removes."""
Changes = Mapping[Path, Patch]
"""Per Pod template, by the path that `templates` yields: its merge patch, such as
`{"spec": {"nodeSelector": {"topology.kubernetes.io/region": "fr"}, "tolerations": [...]}}`. Tolerations are the whole list."""


def template_at(obj: Object, path: Path) -> Mapping[str, Any]:
    """The Pod template (`{metadata, spec}`) that lies at a path."""
    found: Mapping[str, Any] = at(obj, path, {})
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """One kind, and where in its objects we read and write. The functions are pure and get the whole object.

    `templates` yields the path of each Pod template and how many Pods it makes. `activity` reads the status. `manages`
    says whether such an object can be handled at all. `limit` is the path of the owner's own bound on running time.

    Where jobs are placed: with `place` None, each template is patched at its own path (through lists, which a merge patch
    replaces whole, by way of the object). Else the object is read first, and the one at `beside`, and
    `place(object, beside, changes)` gives the whole patch. It holds for that very version of the object, whose
    resourceVersion it must bear. None means that it cannot be placed yet: what `beside` names is not there, ask again.
    """

    group: str
    version: str
    plural: str
    name: str
    """As in `kind:`, such as Job."""
    suspend: Path | None = ("spec", "suspend")
    """The switch; None for a kind that is held by a scheduling gate and cannot be paused."""
    templates: Callable[[Object], Iterable[tuple[Path, int]]]
    template: Callable[[Object, Path], Mapping[str, Any]] = template_at
    """The template that a path stands for, where the object does not contain it."""
    activity: Callable[[Object], Activity]
    manages: Callable[[Object], bool] = lambda _: True
    limit: Path = ()
    place: Callable[[Object, Object | None, Changes], Patch | None] | None = None
    beside: Callable[[Object], str] | None = None
    """The API path of the object that `place` reads as well; it may not exist."""
    pods: Callable[[Object], Mapping[str, str]]
    """Labels that all its Pods wear, and no others of the namespace; empty where the Pods are not known (yet), and for a Pod
    itself. Only name and UID are looked at, but for a RayJob."""
    takes_affinity: bool = False
    """Whether node affinity may be written after creation too, not only nodeSelector and tolerations."""
    clears_start_time: bool = False
    """Whether older servers refuse a new placement until `status.startTime` is cleared (KEP-2926)."""
    counts_stopping: bool = False
    """Whether the status counts Pods that still stop. Where not, an object is at rest only when none of `pods` is left."""
    keeps_keys: bool = False
    """Whether a nodeSelector key once written stays with the Pods: a later place overwrites it, nothing removes it."""
    places_once: bool = False
    """Whether a place can be written only together with the first release, and no key that is there be changed (KEP-3838)."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str | None = None) -> str:
        """The path of all its objects, or of a namespace's."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def at(value: Any, path: Path, default: Any = None) -> Any:
    """What lies at a path; `default` where the way ends early or in null."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return default
    return default if value is None else value


def condition(status: Mapping[str, Any], *types: str, is_: str = "True") -> Mapping[str, Any] | None:
    """The first condition of these types that is True (or what `is_` says)."""
    for one in status.get("conditions") or ():
        if one.get("type") in types and one.get("status") == is_:
            found: Mapping[str, Any] = one
            return found
    return None


def message_of(ended: Mapping[str, Any]) -> str:
    """What a condition says, for people."""
    return ": ".join(part for part in (ended.get("reason"), ended.get("message")) if part)
