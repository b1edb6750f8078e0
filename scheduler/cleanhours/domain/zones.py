"""Grid zones that nobody serves: a name in the settings that no source knows, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cleanhours.domain.locations import Location

NEAR: Final = 3
"""So many names at most are offered instead of one that nobody serves."""
_ALIASES: Final = {"uk": "gb", "el": "gr"}
"""Codes of countries that many use and ISO 3166 does not."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """A grid zone that no source of its chain serves: who was asked, and what they do serve, as far as they can say."""

    zone: str
    asked: tuple[str, ...]
    served: tuple[str, ...] = ()


def say_unserved(unserved: Mapping[str, Unserved], locations: Iterable[Location]) -> str:
    """Every such zone of these locations in one sentence, without its full stop; empty where each zone is served."""
    names: dict[str, list[str]] = {}
    for location in locations:
        if location.zone in unserved:
            names.setdefault(location.zone, []).append(location.name)
    told = [_told(unserved[zone], sorted(set(here))) for zone, here in sorted(names.items())]
    return f"no forecast source serves {' and '.join(told)}" if told else ""


def _told(one: Unserved, locations: list[str]) -> str:
    where = f" of location{'s' if len(locations) > 1 else ''} {', '.join(locations)}"
    # a place that is called as its zone was named by its zone alone
    named = f"zone {one.zone!r}" + ("" if locations == [one.zone] else where)
    return f"{named} (asked: {', '.join(one.asked)}; {hint_of(one.zone, one.served)})"


def hint_of(zone: str, served: Collection[str]) -> str:
    """What would have been right: the names that may be meant, else some of those there are."""
    meant = meant_by(zone, served)
    if meant:
        return f"did you mean {meant}?"
    if not served:
        return "they cannot say which zones they serve"
    some = sorted(served)[:NEAR]
    rest = len(served) - len(some)
    return f"served are {', '.join(some)}" + (f" and {rest} more" if rest else "")


def meant_by(zone: str, served: Collection[str]) -> str:
    """The served zones that may be meant, as `DE, FR or GB`; empty where none is spelled nearly so."""
    *first, last = near_zones(zone, served) or [""]
    return f"{', '.join(first)} or {last}" if first else last


def near_zones(zone: str, served: Collection[str]) -> list[str]:
    """Served zones that may be meant, the likeliest first: those that begin so, then those that are spelled nearly so."""
    import difflib  # for who mistyped a name; the sbatch wrapper's users would all wait for it

    asked = _folded(zone)
    asked = _ALIASES.get(asked, asked)
    spelled = {_folded(one): one for one in sorted(served)}
    begun = [folded for folded in spelled if folded.startswith(asked)]
    alike = difflib.get_close_matches(asked, spelled, NEAR)
    alike.sort(key=lambda folded: folded[:1] != asked[:1])  # the first letter is seldom the wrong one
    return [spelled[folded] for folded in dict.fromkeys([*begun, *alike])][:NEAR]


def _folded(zone: str) -> str:
    return zone.casefold().replace("_", "-")
