"""The table `[clusters.NAME]` of a Kubernetes cluster, read once and completely."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cleanhours.domain.errors import ConfigurationError, InvalidRequest
from cleanhours.domain.locations import Location
from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.kubernetes.kinds import KINDS, Kind
from cleanhours_plugins.clusters.kubernetes.pacing import WRITES_BURST, WRITES_PER_S
from cleanhours_plugins.clusters.kubernetes.placing import Places
from cleanhours_plugins.clusters.kubernetes.topology import REGION_LABEL, label_of
from cleanhours_plugins.clusters.tables import Reader, length, only, read_table, words_over

_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DNS_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_LABEL_KEY: Final = re.compile(
    r"(?:[a-z0-9][a-z0-9.-]{0,252}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
EVERYWHERE: Final = "*"
"""Instead of a namespace's name: every namespace that has no words of its own."""
_PLACEMENTS: Final = ("required", "preferred")
_ANY_INSTANT: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""What a default word is tried on: a word is right or wrong whenever it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """One cluster. `namespaces` (`watch_namespaces` of the table) empty: all of them. `defaults` are words by namespace
    (the table's `namespaces.NAME`), without prefix; `*` is every namespace that has no table. Those of all clusters
    (`[defaults]`) are in them already.

    `kinds` are those that are watched and held. `queue_margin` is how long a release may take until Pods run: the control
    plane's own pace, images, scheduling. `lease_namespace` None: the Pod's own, else the kubeconfig context's. `qps` and
    `burst` bound our writes. `admission` is a table of its own (`admission.settings`), None where nothing is said.
    """

    name: str
    places: Places
    topology_label: str = REGION_LABEL
    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    defaults: Mapping[str, Mapping[str, str]]
    queue_margin: timedelta = timedelta(minutes=2)
    shadow: bool = False
    lease: str = "cleanhours"
    lease_namespace: str | None = None
    qps: float = WRITES_PER_S
    burst: int = WRITES_BURST
    admission: Mapping[str, Any] | None = None


def read_settings(
    table: Mapping[str, Any],
    locations: Mapping[str, Location],
    usual: Mapping[str, str] = MappingProxyType({}),
) -> KubernetesSettings:
    """The settings of a table; `locations` are the configured ones, of all clusters, in their order, and `usual` the words
    of jobs of all clusters that say nothing of their own.

    Raises ConfigurationError naming every fault: key, value found, what would be right.
    """
    found, faults = read_table(table, _READERS)
    topology = found.get("topology_label", REGION_LABEL)
    labels = {
        name: label_of(location, topology)
        for name, location in locations.items()
        if not location.match or "label" in location.match
    }
    faults += _twice(labels)
    home = found.pop("location", next(iter(labels), ""))
    if home not in labels:
        known = ", ".join(labels) or "none is configured that is a node label ([locations.NAME] match.label)"
        faults.append(f"location: found {home!r}, accepted: {known}")
    base = _here(usual, labels)
    words = {space: words_over(base, own) for space, own in found.pop("namespaces", {}).items()}
    words.setdefault(EVERYWHERE, base)
    faults += [fault for space in words for fault in _word_faults(space, words[space], labels)]
    if faults:
        raise ConfigurationError("cluster of type kubernetes: " + "; ".join(faults))
    preferred = found.pop("placement", "required") == "preferred"
    found.pop("type", None)
    found.setdefault("name", "kubernetes")
    found["namespaces"] = found.pop("watch_namespaces", ())
    return KubernetesSettings(**found, places=Places(labels, home, preferred), defaults=words)


def _here(usual: Mapping[str, str], labels: Collection[str]) -> dict[str, str]:
    """Usual words are those of all clusters: of the locations that they offer, some may be elsewhere."""
    words = dict(usual)
    offered = [name.strip() for name in words.pop("locations", "").split(",")]
    here = ",".join(name for name in offered if name in labels)
    return {**words, "locations": here} if here else words


def _twice(labels: Mapping[str, tuple[str, str]]) -> list[str]:
    """Two locations behind one label: nobody could tell them apart."""
    first: dict[tuple[str, str], str] = {}
    faults = []
    for name, label in labels.items():
        if label in first:
            faults.append(f"locations: found {name!r} and {first[label]!r} with the label {label[0]}={label[1]}, "
                          "accepted: a label each")  # fmt: skip
        first.setdefault(label, name)
    return faults


def _word_faults(space: str, words: Mapping[str, str], locations: Collection[str]) -> list[str]:
    """What a job without words of its own would be told."""
    try:
        parse_words(words, created=_ANY_INSTANT, locations=locations)
    except InvalidRequest as fault:
        return [f"namespaces.{space}.{complaint}" for complaint in fault.complaints]
    return []


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


def _dns_label(value: Any) -> str:
    if not isinstance(value, str) or not _DNS_LABEL.fullmatch(value):
        raise ValueError("1 to 63 lower-case letters, digits and dashes")
    return value


def _dns_name(value: Any) -> str:
    if not isinstance(value, str) or not _DNS_NAME.fullmatch(value):
        raise ValueError("1 to 253 lower-case letters, digits, dashes and dots")
    return value


def _label_key(value: Any) -> str:
    if not isinstance(value, str) or not _LABEL_KEY.fullmatch(value):
        raise ValueError(f"the key of a node label, such as {REGION_LABEL}")
    return value


def _namespaces(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(one, str) and _DNS_LABEL.fullmatch(one) for one in value
    ):
        raise ValueError("a list of namespaces")
    return tuple(dict.fromkeys(value))


def _kinds(value: Any) -> tuple[Kind, ...]:
    """By plural, as kubectl names them; of a plural every version is meant."""
    known = dict.fromkeys(kind.plural for kind in KINDS)
    if not isinstance(value, list | tuple) or not value or not set(value) <= set(known):
        raise ValueError("a list of " + ", ".join(known))
    return tuple(kind for kind in KINDS if kind.plural in value)


def _words(value: Any) -> dict[str, dict[str, str]]:
    """Tables of words; a boolean of the file is the word it looks like."""
    if not isinstance(value, Mapping) or not all(isinstance(one, Mapping) for one in value.values()):
        raise ValueError("a table of words per namespace ([clusters.NAME.namespaces.NAMESPACE]); the namespaces to watch "
                         "are `watch_namespaces`")  # fmt: skip
    wrong = [space for space in value if space != EVERYWHERE and not _DNS_LABEL.fullmatch(str(space))]
    if wrong:
        raise ValueError(f"names of namespaces, not {wrong[0]!r}")
    return {
        str(space): {str(word): _word(text) for word, text in told.items()} for space, told in value.items()
    }


def _table(value: Any) -> Mapping[str, Any]:
    """Its keys are read by those who know them, when there is a context to tell them the rest."""
    if not isinstance(value, Mapping):
        raise ValueError("a table ([clusters.NAME.admission])")
    return value


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _placement(value: Any) -> str:
    if value not in _PLACEMENTS:
        raise ValueError(" or ".join(_PLACEMENTS))
    return str(value)


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _rate(value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not (math.isfinite(value) and 0 < value <= 1000)
    ):
        raise ValueError("requests a second, above 0 and at most 1000")
    return float(value)


def _burst(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
        raise ValueError("a whole number of requests, 1 to 10000")
    return value


_READERS: Final[Mapping[str, Reader]] = {
    "type": only("kubernetes"),
    "name": _text,
    "kubeconfig": _path,
    "context": _text,
    "watch_namespaces": _namespaces,
    "namespaces": _words,
    "kinds": _kinds,
    "topology_label": _label_key,
    "location": _text,
    "placement": _placement,
    "queue_margin": length,
    "shadow": _yes_no,
    "lease": _dns_name,
    "lease_namespace": _dns_label,
    "qps": _rate,
    "burst": _burst,
    "admission": _table,
}
