"""Labels: their values made harmless, and few enough. Names come from outside, and every new value is a new series."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cleanhours.adapters.exposition.families import OTHER, SERIES_LIMIT
from cleanhours.domain.accounts import Cause, Settled, Totals
from cleanhours.domain.energy import Method

LONGEST: Final = 120
SERIES_PER_PLACE: Final = 3 * len(Method) + 2 * len(Cause) * len(Settled)
"""What one namespace costs at one location of one cluster: three counters by method, two gauges by cause and state."""
BESIDE_PER_PLACE: Final = 2 * len(Settled)
"""What a second measure costs at one location of one cluster, whatever the namespaces."""


def clean_label(text: str) -> str:
    """A value on one line: control characters and half characters replaced, at most 120 characters."""
    if len(text) <= LONGEST and text.isprintable():
        return text  # nearly all are, and a scrape asks this of every job's name
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def namespaces_with_label(places: int) -> int:
    """How many namespaces fit beside `other`, where jobs may run at so many (cluster, location) pairs."""
    places = max(1, places)
    return max(1, (SERIES_LIMIT - BESIDE_PER_PLACE * places) // (SERIES_PER_PLACE * places) - 1)


class Namespaces:
    """Which namespaces have a label of their own: the first ones settled, for ever; living ones while there is room."""

    def __init__(self, totals: Totals, places: int) -> None:
        seen = dict.fromkeys(total.namespace for total in totals.avoided)
        seen |= dict.fromkeys(total.namespace for total in totals.counted)
        limit = namespaces_with_label(places)
        kept = list(seen)[:limit]
        self.in_other = len(seen) - len(kept)
        self._room = limit - len(kept)
        self._labels = {namespace: clean_label(namespace) for namespace in kept}

    def welcome(self, living: Iterable[str]) -> None:
        """Gives namespaces that have only living jobs what room is left, in the order of their names."""
        for namespace in sorted(set(living) - set(self._labels)):
            if self._room > 0:
                self._room -= 1
                self._labels[namespace] = clean_label(namespace)

    def label(self, namespace: str) -> str:
        """The namespace's label value."""
        return self._labels.get(namespace, OTHER)
