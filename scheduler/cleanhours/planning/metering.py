"""Metering: one energy profile from what several meters know, the best for each component and never two for one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from cleanhours.domain.energy import ENOUGH, Component, EnergyProfile, EnergySlices, Method

_METHODS: Final = tuple(Method)
_LAST: Final = len(_METHODS)

_Rank = tuple[bool, int, bool, float, int]


def combine(
    profiles: Sequence[tuple[str, EnergyProfile]], *, needed: Collection[Component] = ()
) -> EnergyProfile:
    """The profile of a run from those of its meters, named, in the operator's order.

    Of each component a meter that covers enough (`ENOUGH`) is taken before one that does not: a part of a run is not the
    run. Then the one with the better method (`Method`'s order), then one that is no upper estimate, then the one that covers
    more, then the earlier one. `WHOLE` knows all components at once: it stands alone where it is better in the first two than
    every component known singly, where none is, or where one that is `needed` (the GPUs that a run held) is not among them: a
    training run is not known by its processor time. Coverage is that of the poorest part taken, 0 where what is needed is
    known to nobody.
    """
    best: dict[Component, tuple[_Rank, EnergyProfile]] = {}
    for order, (_, profile) in enumerate(profiles):
        for component in profile.components:
            part = profile.only((component,))
            covers = profile.coverage
            rank = (covers < ENOUGH, _worst(part), profile.upper_estimate, -covers, order)
            if component not in best or rank < best[component][0]:
                best[component] = (rank, part)
    whole = best.pop(Component.WHOLE, None)
    lacking = not set(needed) <= set(best)
    if whole is not None and (lacking or all(whole[0][:2] < rank[:2] for rank, _ in best.values())):
        return whole[1]
    parts = [best[component][1] for component in Component if component in best]
    if not parts:
        return EnergyProfile(coverage=0.0)
    return EnergyProfile(
        EnergySlices.joined(part.slices for part in parts),
        0.0 if lacking else min(part.coverage for part in parts),
        any(part.upper_estimate for part in parts),
    )


def _worst(profile: EnergyProfile) -> int:
    return max((_METHODS.index(source.method) for source in profile.slices.sources), default=_LAST)
