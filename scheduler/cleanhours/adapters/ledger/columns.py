"""Columns: an entry as the plain numbers of its rows, for sums that ask the database alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cleanhours.adapters.ledger.records import clean, write_entry
from cleanhours.domain.accounts import Beside, Cause, Entry, Settled
from cleanhours.domain.times import MICROSECOND, microseconds
from cleanhours.planning.uncapping import uncapped_running

_COUNTING: Final = frozenset({Settled.FINAL, Settled.TYPICAL})


def standing(entry: Entry, earlier: Sequence[Any]) -> dict[str, Any]:
    """Where the row stands among the run's rows, newest first, and what it adds to counters: each run counts once."""
    measured = entry.emissions_ug is not None
    counted = any(row.counts_grams for row in earlier)
    before = next((row.emissions_ug for row in earlier if row.emissions_ug is not None), None)
    after = entry.emissions_ug
    return {
        "revision": earlier[0].revision + 1 if earlier else 1,
        "supersedes": earlier[0].id if earlier else None,
        "counts_energy": measured
        and entry.settled in _COUNTING
        and not any(row.counts_energy for row in earlier),
        "counts_grams": measured and entry.settled is Settled.FINAL and not counted,
        "correction_ug": after - before if counted and after is not None and before is not None else 0,
    }


def row_of(entry: Entry) -> dict[str, Any]:
    """The run and its account, beside the whole of it as `detail`."""
    run = entry.run
    running = uncapped_running(run, entry.profile)
    return {
        "cluster": clean(run.key.cluster),
        "uid": clean(run.key.uid),
        "attempt": run.key.attempt,
        "namespace": clean(run.namespace),
        "name": clean(run.name),
        "location": clean(entry.location),
        "state": run.state.value,
        "settled": entry.settled.value,
        "settled_us": microseconds(entry.settled_at),
        "finished_us": microseconds(run.finished_at),
        "running_us": running // MICROSECOND,
        "deadline_kept": entry.deadline_kept,
        "coverage_ppm": round(entry.profile.coverage * 1_000_000),
        "emissions_ug": entry.emissions_ug,
        "baseline_ug": entry.baseline_ug,
        "detail": write_entry(entry),
        **dict(_amounts("ug", entry.avoided_ug)),
        **dict(_amounts("mj", entry.energy_avoided_mj)),
    }


def _amounts(suffix: str, amounts: Mapping[Cause, int]) -> Iterator[tuple[str, int]]:
    return ((f"{cause.value}_{suffix}", amounts.get(cause, 0)) for cause in Cause)


def shares_of(entry: Entry, entry_id: int) -> list[dict[str, Any]]:
    """What each method knows of the account in row `entry_id`."""
    return [
        {
            "entry_id": entry_id,
            "method": share.method.value,
            "meters": ",".join(share.meters),
            "millijoules": share.millijoules,
            "emissions_ug": share.emissions_ug,
            "baseline_ug": share.baseline_ug,
        }
        for share in entry.shares
    ]


def row_beside(beside: Beside, entry_id: int) -> dict[str, Any]:
    """What row `entry_id` says in a second measure."""
    return {
        "entry_id": entry_id,
        "settled": beside.settled.value,
        "signal": None if beside.measure is None else beside.measure.signal.value,
        "scope": None if beside.measure is None else beside.measure.scope.value,
        "emissions_ug": beside.emissions_ug,
        "baseline_ug": beside.baseline_ug,
    }
