"""Replaying a run's energy elsewhere and at other times: measured energy in pieces, and the exact numbers of all that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from cleanhours.domain.energy import EnergySlices, Method, Row
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import MICROSECOND, microseconds

MILLIJOULES_PER_KWH: Final = 3_600_000_000


def nearest(value: Fraction) -> int:
    """The nearest whole number, halves up."""
    return nearest_of(value.numerator, value.denominator)


def nearest_of(numerator: int, denominator: int) -> int:
    """The nearest whole number to a fraction that need not be in lowest terms, halves up."""
    return (2 * numerator + denominator) // (2 * denominator)


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """`total` split in proportion to `weights` (0 or more), exactly: largest remainder first, the first of equals.

    Weights that are all 0 count as equal.
    """
    if len(weights) == 1:
        return [total]
    whole = sum(weights)
    if not whole:
        return apportion(total, [1] * len(weights)) if weights else []
    parts = [divmod(total * weight, whole) for weight in weights]
    left = total - sum(quotient for quotient, _ in parts)
    by_remainder = sorted(range(len(parts)), key=lambda index: -parts[index][1])
    more = set(by_remainder[:left])
    return [quotient + (index in more) for index, (quotient, _) in enumerate(parts)]


class Piece(NamedTuple):
    """Part of an energy slice inside one running segment, in exact microseconds.

    `offset` and `offset_end` are useful running time since the first start, pauses closed up and overheads of ours left
    out; `needed_mj` is its energy without what our pauses cost.
    """

    method: Method
    location: str
    millijoules: int
    needed_mj: int
    start: int
    end: int
    offset: int
    offset_end: int


class Stretch(NamedTuple):
    """A running segment: [start, end), the overhead at its beginning, and the useful time done before it."""

    start: int
    end: int
    location: str
    overhead_end: int
    done: int

    def offset_of(self, microsecond: int) -> int:
        return self.done + min(max(microsecond, self.overhead_end), self.end) - self.overhead_end


def stretches(run: FinishedRun) -> tuple[Stretch, ...]:
    """The run's segments. Each but the first begins with the request's `checkpoint`: time that a pause of ours cost."""
    found: list[Stretch] = []
    done = 0
    overhead = run.request.checkpoint // MICROSECOND
    for index, segment in enumerate(run.segments):
        start = microseconds(segment.start)
        end = max(start, microseconds(segment.end or run.finished_at))
        useful = min(end, start + overhead) if index else start
        found.append(Stretch(start, end, segment.location, useful, done))
        done += end - useful
    return tuple(found)


def pieces(run: FinishedRun, slices: EnergySlices) -> list[Piece]:
    """The slices cut along the run's segments; every millijoule lies in exactly one piece.

    Energy of a slice goes to the time that it shares with segments, in proportion; a slice beside all of them stays
    where it is, at the location of the nearest one.
    """
    track = stretches(run)
    cut = [piece for row in slices.rows() for piece in _cut(row, track)]
    return _without_pause_energy(cut, track, round(run.request.pause_energy_j * 1000))


def _cut(row: Row, track: Sequence[Stretch]) -> Iterator[Piece]:
    start, end, source, millijoules = row
    bands: list[tuple[int, int, Stretch, bool]] = []
    for stretch in track:
        if stretch.end <= start or end <= stretch.start:
            continue
        middle = stretch.overhead_end
        for first, last, useful in ((stretch.start, middle, False), (middle, stretch.end, True)):
            begin, stop = max(start, first), min(end, last)
            if begin < stop:
                bands.append((begin, stop, stretch, useful))
    if not bands:
        near = min(track, key=lambda stretch: max(stretch.start - start, start - stretch.end, 0))
        bands = [(start, end, near, True)]
    shares = apportion(millijoules, [stop - begin for begin, stop, _, _ in bands])
    for (begin, stop, stretch, useful), share in zip(bands, shares, strict=True):
        offset, offset_end = stretch.offset_of(begin), stretch.offset_of(stop)
        needed = share if useful else 0
        yield Piece(source.method, stretch.location, share, needed, begin, stop, offset, offset_end)


def _without_pause_energy(cut: Sequence[Piece], track: Sequence[Stretch], each_mj: int) -> list[Piece]:
    """Takes what each pause cost beside its time from the segment after it; a declared power never contained it."""
    if not each_mj:
        return list(cut)
    left = dict.fromkeys((stretch.start for stretch in track[1:]), each_mj)
    result = []
    for piece in cut:
        began = max((start for start in left if start <= piece.start), default=None)
        taken = 0
        if began is not None and piece.method is not Method.DECLARED:
            taken = min(left[began], piece.needed_mj)
            left[began] -= taken
        result.append(piece if not taken else _lighter(piece, taken))
    return result


def _lighter(piece: Piece, taken: int) -> Piece:
    return Piece(
        piece.method, piece.location, piece.millijoules, piece.needed_mj - taken,
        piece.start, piece.end, piece.offset, piece.offset_end,
    )  # fmt: skip
