"""Fitting: whether a job that goes elsewhere could run there at all, by what `sinfo` tells of nodes and limits. Pure.

Slurm takes a waiting job's new partition as it is, and finds out when its start has come: too late for who waits for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cleanhours_plugins.clusters.slurm.asking import Seen, read_limit
from cleanhours_plugins.clusters.slurm.places import Asked, Places

GONE: Final = ("down", "drain", "fail", "inval", "maint", "reboot", "power_down", "unk")
"""How the states of nodes begin that take no jobs."""
_FIELD: Final = "\x1f"
_WORD: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def fitting_question() -> list[str]:
    """The arguments of `sinfo`: a line for each node in each partition."""
    return [
        "--noheader",
        "--all",
        "--Node",
        "--noconvert",
        "--format=" + _FIELD.join(("%P", "%l", "%f", "%c", "%T")),
    ]


def fitting(names: Iterable[str], seen: Seen, places: Places, answer: str) -> dict[str, bool]:
    """Of the locations, those where some node has what the job asks for, in a partition that lets it run so long.

    False with those where none of these nodes takes jobs now.
    """
    rows = [line.split(_FIELD) for line in answer.splitlines()]
    rows = [row for row in rows if len(row) == 5]
    ups = {
        name: [not row[4].lower().startswith(GONE) for row in rows if _fits(name, seen, places, row)]
        for name in names
    }
    return {name: any(found) for name, found in ups.items() if found}


def _fits(name: str, seen: Seen, places: Places, row: list[str]) -> bool:
    partition, limit, features, cpus, _ = row
    place = places.where(name, Asked(seen.partition, seen.features))
    if partition.rstrip("*") not in place.get("Partition", seen.partition).split(","):
        return False
    longest = read_limit(limit)
    if longest is not None and (seen.limit is None or seen.limit > longest):
        return False
    each = -(-seen.cpus // seen.nodes)
    return cpus.isdigit() and each <= int(cpus) and _has(features, place.get("Features", seen.features))


def _has(features: str, wanted: str) -> bool:
    """Whether a node has all that is wanted, or one of what may be chosen from."""
    there, words = set(features.split(",")), set(_WORD.findall(wanted))
    return not words.isdisjoint(there) if "|" in wanted else words <= there
