"""The table `[clusters.NAME]` of a Slurm cluster, read once and completely."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cleanhours.domain.errors import ConfigurationError, InvalidRequest
from cleanhours.domain.locations import Location
from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.slurm.places import Places, faults_of, here
from cleanhours_plugins.clusters.tables import Reader, length, only, read_table, words_over

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_SIGNAL: Final = re.compile(r"(?:SIG)?[A-Z]{2,5}[0-9]{0,2}|[0-9]{1,2}", re.ASCII)
_ANY_INSTANT: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""What a default word is tried on: a word is right or wrong whenever it is used."""
SHORTEST_POLL: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings:
    """One cluster. `slurm_conf` and `cluster` (for `-M`) say which; None is the one that Slurm's commands take.

    `everybody`: the jobs of all users are ours to plan, which takes an operator; else only our own user's. `words` are
    those of jobs that say nothing of their own, `by_partition` and `by_qos` those said over them. `poll` is the least time
    between two questions, `changes_per_tick` bounds what Slurm is told at once. `warning` is the signal that tells a job
    to write its checkpoint, sent `warning_time` before it is requeued; empty: Slurm's own SIGTERM is all it gets.
    `publish` is the file that `job_submit.lua` reads.
    """

    name: str = "slurm"
    places: Places
    slurm_conf: Path | None = None
    cluster: str | None = None
    everybody: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    by_partition: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    by_qos: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    poll: timedelta = timedelta(seconds=30)
    queue_margin: timedelta = timedelta(minutes=2)
    changes_per_tick: int = 200
    maximum_pauses: int = 5
    warning: str = ""
    warning_time: timedelta = timedelta(minutes=1)
    accounting: bool = True
    publish: Path | None = None

    def usual_words(self, partition: str, qos: str) -> dict[str, str]:
        """The site's words for a job in this partition and QOS."""
        here = words_over(self.words, self.by_partition.get(partition, {}))
        return words_over(here, self.by_qos.get(qos, {}))


def read_settings(
    table: Mapping[str, Any],
    locations: Mapping[str, Location],
    usual: Mapping[str, str] = MappingProxyType({}),
) -> SlurmSettings:
    """The settings of a table; `locations` are the configured ones, of all clusters, and `usual` the words of all jobs.

    Raises ConfigurationError naming every fault: key, value found, what would be right.
    """
    found, faults = read_table(table, _READERS)
    found.pop("type", None)
    federated = found.pop("federation", False)
    mine = here(locations, found.get("cluster") or found.get("name", "slurm"), federated=federated)
    faults += [str(fault) for fault in faults_of(mine)]
    home = found.pop("location", next(iter(mine), ""))
    if home not in mine:
        faults.append(f"location: found {home!r}, accepted: {', '.join(mine) or 'none is configured'}")
    words = _of_here(usual, mine)
    tables = {
        "": words,
        **_labelled("partitions", found.pop("partitions", {})),
        **_labelled("qos", found.pop("qos", {})),
    }
    for name, own in tables.items():
        faults += [f"{name}{complaint}" for complaint in _word_faults(words_over(words, own), mine)]
    if "users" in found:
        found["everybody"] = found.pop("users")
    if faults:
        raise ConfigurationError("cluster of type slurm: " + "; ".join(faults))
    return SlurmSettings(
        **found,
        places=Places(mine, home, federated),
        words=words,
        by_partition=_unlabelled("partitions", tables),
        by_qos=_unlabelled("qos", tables),
    )


def _of_here(usual: Mapping[str, str], mine: Mapping[str, Location]) -> dict[str, str]:
    """Usual words are those of all clusters: of the locations that they offer, some may be elsewhere."""
    words = dict(usual)
    offered = [name.strip() for name in words.pop("locations", "").split(",")]
    names = ",".join(name for name in offered if name in mine)
    return {**words, "locations": names} if names else words


def _labelled(kind: str, tables: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    return {f"{kind}.{name}.": words for name, words in tables.items()}


def _unlabelled(kind: str, tables: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    start = f"{kind}."
    return {name[len(start) : -1]: words for name, words in tables.items() if name.startswith(start)}


def _word_faults(words: Mapping[str, str], mine: Mapping[str, Location]) -> list[str]:
    """What a job without words of its own would be told."""
    try:
        parse_words(words, created=_ANY_INSTANT, locations=mine)
    except InvalidRequest as fault:
        return [str(complaint) for complaint in fault.complaints]
    return []


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("1 to 63 letters, digits, dots, dashes or underscores")
    return value


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _users(value: Any) -> bool:
    if value not in ("me", "all"):
        raise ValueError("me or all")
    return bool(value == "all")


def _poll(value: Any) -> timedelta:
    asked = length(value)
    if asked < SHORTEST_POLL:
        raise ValueError("1s or more; every question is work for Slurm's controller")
    return asked


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise ValueError("a whole number, 1 to 100000")
    return value


def _signal(value: Any) -> str:
    if not isinstance(value, str) or not _SIGNAL.fullmatch(value):
        raise ValueError("the name of a signal, such as USR1")
    return value


def _accounting(value: Any) -> bool:
    if value not in ("auto", "none"):
        raise ValueError("auto (sacct, where Slurm has it) or none")
    return bool(value == "auto")


def _words(value: Any) -> dict[str, dict[str, str]]:
    """Tables of words by name; a boolean or a list of the file is the word it looks like."""
    if not isinstance(value, Mapping) or not all(isinstance(one, Mapping) for one in value.values()):
        raise ValueError("a table of words per name ([clusters.NAME.partitions.PARTITION])")
    return {
        str(name): {str(word): _word(text) for word, text in told.items()} for name, told in value.items()
    }


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


_READERS: Final[Mapping[str, Reader]] = {
    "type": only("slurm"),
    "name": _name,
    "slurm_conf": _path,
    "cluster": _name,
    "federation": _yes_no,
    "location": _text,
    "users": _users,
    "partitions": _words,
    "qos": _words,
    "poll": _poll,
    "queue_margin": length,
    "changes_per_tick": _count,
    "maximum_pauses": _count,
    "warning": _signal,
    "warning_time": length,
    "accounting": _accounting,
    "publish": _path,
}
