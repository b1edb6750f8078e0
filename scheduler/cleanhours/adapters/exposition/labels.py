"""Labels: their values made harmless, and few enough. Names come from outside, and every new value is a new series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cleanhours.adapters.exposition.families import OTHER, SERIES_LIMIT
from cleanhours.domain.accounts import Cause, Settled, Totals
from cleanhours.domain.energy import Method

LONGEST: Final = 120
SERIES_PER_PLACE: Final = 3 * len(Method) + 2 * len(Cause) * len(Settled)
"""What one namespace costs at one location of one cluster: three counters by method, two gauges by cause and state."""
ALONE_PER_PLACE: Final = 2 * len(Settled) + len(Method) + 1
"""What one location of one cluster costs, whatever the namespaces: a second measure, and runs by who knows their energy."""
PLACES_LIMIT: Final = SERIES_LIMIT // (2 * SERIES_PER_PLACE + ALONE_PER_PLACE)
"""At so many places one namespace and `other` are within the limit; with more of them the limit is what these need."""


def clean_label(text: str) -> str:
    """A value on one line: control characters and half characters replaced, at most 120 characters."""
    if len(text) <= LONGEST and text.isprintable():
        return text  # nearly all are, and a scrape asks this of every job's name
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def places_in(totals: Totals) -> int:
    """At how many (cluster, location) pairs anything was ever settled: what has a series keeps it."""
    seen = {(one.cluster, one.location) for one in totals.runs}
    seen |= {(one.cluster, one.location) for one in totals.counted}
    seen |= {(one.cluster, one.location) for one in totals.avoided}
    return len(seen)


def namespaces_with_label(places: int) -> int:
    """How many namespaces fit beside `other`, where jobs may run at so many (cluster, location) pairs; one at least."""
    places = max(1, places)
    return max(1, (SERIES_LIMIT - ALONE_PER_PLACE * places) // (SERIES_PER_PLACE * places) - 1)


def full_expansion(places: int, namespaces: int) -> int:
    """Series of settled runs if each of so many namespaces, and `other`, had every kind of row at every place."""
    return max(1, places) * (SERIES_PER_PLACE * (namespaces + 1) + ALONE_PER_PLACE)


class Namespaces:
    """Which namespaces have a label of their own: those that the ledger gave one; living ones while there is room."""

    def __init__(self, totals: Totals, labelled: Sequence[str], places: int) -> None:
        """`labelled` as the ledger keeps them; `places` the (cluster, location) pairs that are configured."""
        places = max(places, places_in(totals))
        most = max(len(labelled), namespaces_with_label(places))
        settled = {total.namespace for total in totals.avoided} | {
            total.namespace for total in totals.counted
        }
        self.in_other = len(settled.difference(labelled))
        self.limit = full_expansion(places, most)
        self._room = most - len(labelled)
        self._labels = {namespace: clean_label(namespace) for namespace in labelled}
        self._refused = settled.difference(labelled)

    def welcome(self, living: Iterable[str]) -> None:
        """Gives namespaces that have only living jobs what room is left, in the order of their names."""
        for namespace in sorted(set(living) - self._refused - self._labels.keys()):
            if self._room > 0:
                self._room -= 1
                self._labels[namespace] = clean_label(namespace)

    def label(self, namespace: str) -> str:
        """The namespace's label value."""
        return self._labels.get(namespace, OTHER)
