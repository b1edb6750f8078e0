"""Energy of a run: who measured what, over which time, and how much of the run it covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt

from cleanhours.domain.errors import EnergyError
from cleanhours.domain.intervals import Integers
from cleanhours.domain.times import instant_at, microseconds

ENOUGH: Final = 0.8
"""Of a run's time: who saw less of it knows a part of the run and not the run. Others, of the same kind, are taken before."""

_LARGEST: Final = 2**63 - 1


class Method(StrEnum):
    """How energy is known, best first."""

    MEASURED = "measured"
    SLURM = "slurm"
    SELF_REPORTED = "self-reported"
    MODELLED = "modelled"
    DECLARED = "declared"


class Component(StrEnum):
    """What drew the energy. `WHOLE` is the job without distinction and excludes the others."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    NETWORK = "network"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class EnergySlice:
    """Whole millijoules of one component drawn evenly over [start, end), before PUE."""

    start: datetime
    end: datetime
    component: Component
    millijoules: int
    method: Method
    meter: str


class Source(NamedTuple):
    """Who knows the energy of which component, and how."""

    component: Component
    method: Method
    meter: str


class Row(NamedTuple):
    """A slice as the columns hold it: from when to when, in exact microseconds since 1970."""

    start: int
    end: int
    source: Source
    millijoules: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EnergySlices(Sequence[EnergySlice]):
    """Slices in columns: a day in slices of five minutes is a few arrays instead of hundreds of objects.

    `starts` and `ends` are microseconds since 1970; slice `n` is of `sources[indices[n]]`, and sources stand in the order in
    which slices name them first. Build it with `of` or `of_source`; the constructor trusts its caller.
    """

    starts: Integers
    ends: Integers
    millijoules: Integers
    indices: Integers
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, slices: Iterable[EnergySlice]) -> Self:
        """The columns of some slices. Raises EnergyError naming the first amount that no run can have drawn."""
        return cls.of_rows(
            Row(
                microseconds(part.start),
                microseconds(part.end),
                Source(part.component, part.method, part.meter),
                part.millijoules,
            )
            for part in slices
        )

    @classmethod
    def of_rows(cls, rows: Iterable[Row]) -> Self:
        """The columns of slices in numbers. Raises as `of` does."""
        found: dict[Source, int] = {}
        numbered = [
            (start, end, amount, found.setdefault(source, len(found))) for start, end, source, amount in rows
        ]
        starts, ends, amounts, indices = zip(*numbered, strict=True) if numbered else ((), (), (), ())
        columns = np.array(starts, np.int64), np.array(ends, np.int64), _whole(amounts)
        return cls(*columns, np.array(indices, np.int64), tuple(found))

    @classmethod
    def of_source(
        cls, source: Source, starts: Sequence[int], ends: Sequence[int], millijoules: Sequence[int]
    ) -> Self:
        """What one source knows, in columns as long as each other. Raises as `of` does."""
        amounts = _whole(millijoules)
        columns = np.array(starts, np.int64), np.array(ends, np.int64), amounts
        return cls(*columns, np.zeros(amounts.size, np.int64), (source,) if amounts.size else ())

    @classmethod
    def joined(cls, several: Iterable[EnergySlices]) -> Self:
        """One after the other."""
        parts = list(several)
        if not parts:
            return cls.of(())
        found: dict[Source, int] = {}
        indices = []
        for part in parts:
            renumbered = [found.setdefault(source, len(found)) for source in part.sources]
            indices.append(np.array(renumbered, np.int64)[part.indices])
        return cls(
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.ends for part in parts]),
            np.concatenate([part.millijoules for part in parts]),
            np.concatenate(indices),
            tuple(found),
        )

    def where(self, wanted: npt.NDArray[np.bool_]) -> Self:
        """Those that are wanted, in order."""
        _, firsts, renumbered = np.unique(self.indices[wanted], return_index=True, return_inverse=True)
        order = np.argsort(firsts)
        sources = tuple(self.sources[index] for index in self.indices[wanted][firsts[order]].tolist())
        columns = self.starts[wanted], self.ends[wanted], self.millijoules[wanted]
        return type(self)(*columns, np.argsort(order)[renumbered], sources)

    def rows(self) -> Iterator[Row]:
        """One by one, in numbers."""
        columns = self.starts, self.ends, self.indices, self.millijoules
        for start, end, index, amount in zip(*(column.tolist() for column in columns), strict=True):
            yield Row(start, end, self.sources[index], amount)

    def drawn(self) -> dict[Source, int]:
        """Whole millijoules by source. Exact."""
        if len(self.sources) == 1:
            return {self.sources[0]: total(self.millijoules)}
        return {
            source: total(self.millijoules[self.indices == index])
            for index, source in enumerate(self.sources)
        }

    def __len__(self) -> int:
        return int(self.starts.size)

    def __iter__(self) -> Iterator[EnergySlice]:
        return map(_slice_of, self.rows())

    @overload
    def __getitem__(self, index: int) -> EnergySlice: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[EnergySlice]: ...
    def __getitem__(self, index: int | slice) -> EnergySlice | Sequence[EnergySlice]:
        if isinstance(index, slice):
            return tuple(self)[index]
        columns = self.starts[index], self.ends[index], self.indices[index], self.millijoules[index]
        start, end, source, amount = map(int, columns)
        return _slice_of(Row(start, end, self.sources[source], amount))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EnergySlices):
            return self.sources == other.sources and all(
                np.array_equal(mine, others)
                for mine, others in zip(self._columns(), other._columns(), strict=True)
            )
        return tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _columns(self) -> tuple[Integers, ...]:
        return self.starts, self.ends, self.millijoules, self.indices


def _slice_of(row: Row) -> EnergySlice:
    start, end, (component, method, meter), millijoules = row
    return EnergySlice(instant_at(start), instant_at(end), component, millijoules, method, meter)


def total(amounts: Integers) -> int:
    """The sum of amounts of 0 or more, exact also where it does not fit into 64 bits."""
    if not amounts.size:
        return 0
    fits = amounts.max() <= _LARGEST // amounts.size
    return int(amounts.sum()) if fits else sum(amounts.tolist())


def _whole(amounts: Sequence[int]) -> Integers:
    """Raises EnergyError."""
    column = np.array(amounts) if len(amounts) else np.zeros(0, np.int64)
    if column.dtype != np.int64 or (column.size and column.min() < 0):
        wrong = next(each for each in amounts if type(each) is not int or not 0 <= each <= _LARGEST)
        raise EnergyError(
            f"energy of a slice: found {wrong!r} mJ, accepted: a whole number from 0 to 2^63 (2.6 TWh)"
        )
    return column


@dataclass(frozen=True, slots=True, init=False)
class EnergyProfile:
    """A run's energy as slices. `coverage` is the share of the running time that was observed, 0 to 1."""

    slices: EnergySlices
    coverage: float
    upper_estimate: bool
    """Whether it rests on a ceiling such as TDP."""

    def __init__(
        self, slices: Iterable[EnergySlice] = (), coverage: float = 1.0, upper_estimate: bool = False
    ) -> None:
        """Keeps the slices in columns. Raises EnergyError for an amount that no run can have drawn."""
        columns = slices if isinstance(slices, EnergySlices) else EnergySlices.of(slices)
        object.__setattr__(self, "slices", columns)
        object.__setattr__(self, "coverage", coverage)
        object.__setattr__(self, "upper_estimate", upper_estimate)

    @property
    def millijoules(self) -> int:
        """All components together. Exact."""
        return total(self.slices.millijoules)

    @property
    def components(self) -> frozenset[Component]:
        return frozenset(source.component for source in self.slices.sources)

    def with_slices(self, slices: Iterable[EnergySlice]) -> Self:
        """What is said of it, of other slices."""
        return type(self)(slices, self.coverage, self.upper_estimate)

    def only(self, components: Iterable[Component]) -> Self:
        """The slices of some components."""
        wanted = frozenset(components)
        if self.components <= wanted:
            return self
        chosen = [source.component in wanted for source in self.slices.sources]
        slices = self.slices.where(np.array(chosen, np.bool_)[self.slices.indices])
        return self.with_slices(slices)
