"""Grouping: a report's rows apart by whose they are, where they ran and when they ended; the parts add up to the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from cleanhours.apps.report.besides import summarise_beside, told_beside
from cleanhours.apps.report.summary import Summary, measured, summarise
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.measures import Measure

LABEL: Final = "label:"
UNMEASURED: Final = "unmeasured"
"""Stands for the settlement of runs whose energy nobody knows: they are counted, and have no amounts."""
_BY: Final[Mapping[str, Callable[[Entry], str]]] = {
    "namespace": lambda entry: entry.run.namespace,
    "user": lambda entry: entry.run.owner,
    "location": lambda entry: entry.location,
    "month": lambda entry: f"{entry.run.finished_at.astimezone(UTC):%Y-%m}",
    "cluster": lambda entry: entry.run.key.cluster,
}
_WORDS: Final = f"{', '.join(_BY)}, team (which is {LABEL}team) or {LABEL}NAME"


@dataclass(frozen=True, slots=True)
class Dimension:
    """What rows are told apart by. Its value is None where a run does not say: such runs are a group of their own."""

    name: str

    def value(self, entry: Entry) -> str | None:
        if self.name.startswith(LABEL):
            return entry.run.labels.get(self.name.removeprefix(LABEL)) or None
        return _BY[self.name](entry) or None

    @property
    def column(self) -> str:
        """Its column in a table: a label's is as in the rows of runs."""
        return self.name.replace(LABEL, "label_", 1)


@dataclass(frozen=True, slots=True)
class Group:
    """The rows that share their values, in the order of the dimensions, with one summary a measure."""

    values: tuple[str | None, ...]
    entries: tuple[Entry, ...]
    summaries: tuple[Summary, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """A report's rows in groups, each row in exactly one."""

    dimensions: tuple[Dimension, ...] = ()
    groups: tuple[Group, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "by": [dimension.name for dimension in self.dimensions],
            "groups": [
                {
                    "values": dict(
                        zip((one.name for one in self.dimensions), group.values, strict=True)
                    ),
                    "summaries": [summary.to_json() for summary in group.summaries],
                    **_beside(group.entries),
                }
                for group in self.groups
            ],
        }  # fmt: skip


def _beside(entries: Sequence[Entry]) -> dict[str, Any]:
    if not told_beside(entries):
        return {}
    return {"beside": [summary.to_json() for summary in summarise_beside(entries)]}


def parse_dimensions(words: Iterable[str]) -> tuple[Dimension, ...]:
    """Each word, or the parts of a comma list, once. Raises InvalidRequest naming every one that means nothing."""
    names = [part.strip() for word in words for part in word.split(",")]
    meant = ["label:team" if name == "team" else name for name in names]
    wrong = [name for name in meant if name not in _BY and name.removeprefix(LABEL) in (name, "")]
    if wrong:
        raise InvalidRequest([Complaint("by", name, _WORDS) for name in wrong])
    return tuple(Dimension(name) for name in dict.fromkeys(meant))


def grouped(entries: Iterable[Entry], dimensions: Sequence[Dimension]) -> Grouping:
    """The groups by their values, those that do not say last; none without dimensions."""
    if not dimensions:
        return Grouping()
    found: dict[tuple[str | None, ...], list[Entry]] = {}
    for entry in entries:
        found.setdefault(tuple(one.value(entry) for one in dimensions), []).append(entry)
    ordered = sorted(found, key=lambda values: [(value is None, value or "") for value in values])
    groups = tuple(Group(values, tuple(found[values]), summarise(found[values])) for values in ordered)
    return Grouping(tuple(dimensions), groups)


def settled_apart(entries: Sequence[Entry], measure: Measure) -> Iterator[tuple[str, Summary]]:
    """The rows of one measure by settlement, each part summed for itself; those without known energy last."""
    for settled, rows in settled_rows(entries, measure):
        for summary in summarise(rows):  # one
            yield settled, summary


def settled_rows(entries: Sequence[Entry], measure: Measure) -> Iterator[tuple[str, list[Entry]]]:
    """The rows of one measure by settlement, where there are any; those without known energy last."""
    own = [entry for entry in entries if entry.measure == measure]
    parts = [(one.value, [e for e in own if measured(e) and e.settled is one]) for one in Settled]
    parts.append((UNMEASURED, [entry for entry in own if not measured(entry)]))
    yield from ((settled, rows) for settled, rows in parts if rows)
