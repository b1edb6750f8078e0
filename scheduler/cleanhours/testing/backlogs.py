"""A backlog in memory, and what every backlog promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cleanhours.domain.accounts import Waiting
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import RunKey
from cleanhours.ports import Backlog
from cleanhours.testing.ledger_contract import an_entry

MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class FakeBacklog:
    """A backlog in memory."""

    runs: dict[RunKey, Waiting] = field(default_factory=dict)
    until: dict[str, datetime] = field(default_factory=dict)

    def keep(
        self,
        waiting: Sequence[Waiting],
        *,
        done: Collection[RunKey] = (),
        told: Mapping[str, datetime] | None = None,
    ) -> None:
        for key in done:
            self.runs.pop(key, None)
        self.runs |= {one.run.key: one for one in waiting}
        self.until |= told or {}

    def waiting(self, damaged: Callable[[CleanhoursError], None] | None = None) -> Sequence[Waiting]:
        return sorted(self.runs.values(), key=lambda one: (one.run.finished_at, one.run.key.uid))

    def told(self) -> Mapping[str, datetime]:
        return dict(self.until)

    def close(self) -> None:
        """Nothing to release."""


def a_waiting_run(uid: str, *, measured: bool = False, later: timedelta = timedelta(0)) -> Waiting:
    """A run that ended, with or without what its meters knew."""
    entry = an_entry(uid)
    run = replace(entry.run, finished_at=entry.run.finished_at + later)
    return Waiting(run, entry.profile if measured else None, "nvml: no driver" if measured else "")


class BacklogContract:
    """Promises of a `cleanhours.ports.Backlog`; `opened` opens one more door to the same backlog."""

    def test_it_begins_empty(self, opened: Callable[[], Backlog]) -> None:
        backlog = opened()
        assert ([], {}) == (list(backlog.waiting()), dict(backlog.told()))

    def test_what_was_kept_is_there_for_whoever_comes_next(self, opened: Callable[[], Backlog]) -> None:
        early, late = a_waiting_run("b", measured=True), a_waiting_run("a", later=MINUTE)
        opened().keep([late, early])
        assert [early, late] == list(opened().waiting())

    def test_a_run_is_kept_once_as_it_was_given_last(self, opened: Callable[[], Backlog]) -> None:
        backlog = opened()
        backlog.keep([a_waiting_run("a"), a_waiting_run("b")])
        backlog.keep([a_waiting_run("a", measured=True)])
        assert {"a": True, "b": False} == {
            one.run.key.uid: one.profile is not None for one in backlog.waiting()
        }

    def test_what_is_done_is_forgotten_and_may_be_again(self, opened: Callable[[], Backlog]) -> None:
        backlog, one = opened(), a_waiting_run("a")
        backlog.keep([one, a_waiting_run("b")])
        backlog.keep([], done=[one.run.key, RunKey("nowhere", "x", 1)])
        assert ["b"] == [each.run.key.uid for each in backlog.waiting()]
        backlog.keep([], done=[one.run.key])

    def test_how_far_each_cluster_told_is_kept_to_the_microsecond(
        self, opened: Callable[[], Backlog]
    ) -> None:
        end = a_waiting_run("a").run.finished_at + timedelta(microseconds=1)
        opened().keep([], told={"local": end, "slurm": end})
        opened().keep([], told={"local": end + MINUTE})
        assert {"local": end + MINUTE, "slurm": end} == dict(opened().told())
