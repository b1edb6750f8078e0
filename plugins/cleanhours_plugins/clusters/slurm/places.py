"""Places: what locations are to Slurm (a partition, a feature, a cluster), where a job is, and where it may go. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cleanhours.domain.errors import Complaint
from cleanhours.domain.locations import Location

KINDS: Final = ("partition", "feature", "cluster")
_ONE_OF: Final = re.compile(r"\[?([A-Za-z0-9._-]+(?:\|[A-Za-z0-9._-]+)*)\]?", re.ASCII)
_ALL_OF: Final = re.compile(r"[A-Za-z0-9._-]+(?:[&,][A-Za-z0-9._-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a job asked of places when it was submitted: partitions (a comma list), features, and other bonds.

    `bound` is what keeps it where it is whatever we think: a reservation, named nodes.
    """

    partition: str = ""
    features: str = ""
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """The locations of one Slurm cluster. `home` is where a job runs that says nothing of places."""

    locations: Mapping[str, Location]
    home: str
    federated: bool = False

    @property
    def zones(self) -> dict[str, str]:
        return {name: location.zone for name, location in self.locations.items()}

    def home_of(self, asked: Asked) -> str:
        """Where a job would run unmodified: the first location that its partitions or features name, else the usual one."""
        return next(iter(self.named(asked)), self.home)

    def named(self, asked: Asked) -> list[str]:
        """The locations that it names itself, in the order in which it does."""
        partitions, features = self._by("partition"), self._by("feature")
        words = [*(partitions.get(word) for word in asked.partition.split(",")),
                 *(features.get(word) for word in _words(asked.features))]  # fmt: skip
        return list(dict.fromkeys(name for name in words if name is not None))

    def allowed(self, asked: Asked, offered: Sequence[str], usual_partition: str = "") -> tuple[str, ...]:
        """Of the locations its owner offers, those that what he asked of Slurm leaves; in his order.

        Partitions and features narrow them each by itself. The usual partition names nothing: who does not choose one gets
        it. Any other that is no location keeps the job from those that are partitions.
        """
        if asked.bound or not self._may_be_moved(asked.features):
            return ()
        partition = "" if asked.partition == usual_partition else asked.partition
        by_partition, by_feature = self.named(Asked(partition)), self.named(Asked("", asked.features))

        def left(name: str) -> bool:
            if partition and not by_partition and "partition" in self.locations[name].match:
                return False
            return all(name in named for named in (by_partition, by_feature) if named)

        return tuple(name for name in offered if name in self.locations and left(name))

    def at(self, partition: str, features: str) -> str:
        """Where a job is, from what Slurm says of it now."""
        return self.home_of(Asked(partition, features))

    def where(self, name: str, asked: Asked) -> dict[str, str]:
        """What `scontrol update` is told so that a job runs there; as submitted where the location is no place to Slurm."""
        match = self.locations[name].match
        place: dict[str, str] = {}
        if any("partition" in location.match for location in self.locations.values()):
            place["Partition"] = match.get("partition", asked.partition)
        if any("feature" in location.match for location in self.locations.values()):
            place["Features"] = self._features(asked.features, match.get("feature", ""))
        if self.federated and "cluster" in match:
            place["ClusterFeatures"] = match["cluster"]
        return place

    def _features(self, asked: str, feature: str) -> str:
        """What it asked, with this place instead of those that it named; just that where it cannot be said."""
        if not self._may_be_moved(asked):
            return asked
        known = self._by("feature")
        others = [word for word in _words(asked) if word not in known]
        return "&".join([*others, feature] if feature else others)

    def _may_be_moved(self, features: str) -> bool:
        """Whether what it asks of features can be said with another place in it: all of some, one a place; or one of some places."""
        places = self._by("feature")
        if not features or not places:
            return True
        if _ALL_OF.fullmatch(features):  # nodes that are of two places at once are a third one
            return sum(word in places for word in _words(features)) <= 1
        one_of = _ONE_OF.fullmatch(features)
        return one_of is not None and set(one_of[1].split("|")) <= set(places)

    def _by(self, kind: str) -> dict[str, str]:
        return {
            location.match[kind]: name for name, location in self.locations.items() if kind in location.match
        }


def here(locations: Mapping[str, Location], cluster: str, *, federated: bool) -> dict[str, Location]:
    """Those of the configured locations that are places of this cluster, or of any; in a federation, of all its clusters."""
    return {
        name: location
        for name, location in locations.items()
        if "label" not in location.match and (federated or location.match.get("cluster", cluster) == cluster)
    }


def faults_of(locations: Mapping[str, Location]) -> list[Complaint]:
    """Two locations behind one word of Slurm's: nobody could tell them apart."""
    first: dict[tuple[str, str], str] = {}
    faults = []
    for name, location in locations.items():
        for kind in KINDS[:2]:
            if kind not in location.match:
                continue
            word = (kind, location.match[kind])
            if word in first:
                faults.append(
                    Complaint("locations", f"{name} and {first[word]}", f"a {kind} each, not both {word[1]}")
                )
            first.setdefault(word, name)
    return faults


def _words(features: str) -> list[str]:
    """The names in an expression of features."""
    return [word for word in re.split(r"[^A-Za-z0-9._-]+", features) if word]
