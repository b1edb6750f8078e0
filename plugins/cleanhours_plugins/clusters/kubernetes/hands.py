"""The hands: one decision carried out on the API, by as few writes as it takes, and what is done when one is refused."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import Action, Decision, RunSegment
from cleanhours.domain.plans import FORCED, Plan
from cleanhours.ports import Clock
from cleanhours_plugins.clusters.kubernetes import acting
from cleanhours_plugins.clusters.kubernetes.acting import Refusal
from cleanhours_plugins.clusters.kubernetes.announcing import Announcer, What
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.asking import Object
from cleanhours_plugins.clusters.kubernetes.errors import Conflict, Missing, Refused
from cleanhours_plugins.clusters.kubernetes.jobs import Reporting, holds
from cleanhours_plugins.clusters.kubernetes.mirror import Mirror
from cleanhours_plugins.clusters.kubernetes.placing import needs_object, written
from cleanhours_plugins.clusters.kubernetes.reading import write_runs
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.switching import Patch, marking
from cleanhours_plugins.clusters.kubernetes.words import RUNS, STATE, Mark
from cleanhours_plugins.clusters.kubernetes.workloads import Workloads

log = logging.getLogger(__name__)

_STOPPED: Final = frozenset({Mark.PAUSED, Mark.MOVING})
_MOST_TRIES: Final = 3
"""So often a server may refuse a place before the job is let go where it is."""
_OVER: Final = frozenset({"Succeeded", "Failed"})


class Hands:
    """Carries out decisions, each from what the mirror shows. Safe from several threads, one per object at a time.

    `zones` are the grid zones of the locations; `failed` is called for each decision that ended in an error of ours. What
    it learns of the server's rules it remembers as long as it lives.
    """

    def __init__(
        self,
        api: Api,
        mirror: Mirror,
        reporting: Reporting,
        announcer: Announcer,
        workloads: Workloads,
        clock: Clock,
        zones: Mapping[str, str],
        *,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._failed = failed
        self._api = api
        self._workloads = workloads
        self._mirror = mirror
        self._reporting = reporting
        self._announcer = announcer
        self._clock = clock
        self._zones = zones
        self.clears_first = False
        """Learned: this server takes a new place only after `startTime` is cleared (before 1.36)."""
        self.marks_first = False
        """Learned: it takes a place only after it has marked the object suspended itself (1.36.0 and 1.36.1)."""
        self._tries: Counter[str] = Counter()

    def carry_out(self, decision: Decision) -> str:
        """What went wrong; empty when it is done, or was done before. Never raises: another decision may do better."""
        record = self._mirror.get(decision.key.uid)
        if record is None:
            return f"no job {decision.key.uid} that waits or runs"
        try:
            try:
                self._act(record, decision)
            except Conflict:
                self._act(self._again(record), decision, before=record)
        except Missing:
            return f"{record.name} is gone"
        except (Refusal, CleanhoursError) as fault:
            return str(fault)
        except Exception as fault:
            self._failed()
            log.exception("%s of %s failed", decision.action, record.name)
            return f"{type(fault).__name__}: {fault}"
        return ""

    def keep(self, record: Record, runs: tuple[RunSegment, ...]) -> None:
        """Writes down what ran. Whoever is refused asks again at the next tick."""
        with suppress(Refusal, CleanhoursError):
            self._write(record, marking(record, {RUNS: write_runs(runs)}))

    def _act(self, record: Record, decision: Decision, before: Record | None = None) -> None:
        """Carries it out, unless it is done. After a conflict (`before`), only if nobody else acted meanwhile."""
        if acting.as_wanted(record, decision, self._reporting):
            return
        if before is not None and not acting.same_situation(before, record):
            raise Refusal(f"{record.name} changed meanwhile")
        now = self._clock.now()
        match decision.action:
            case Action.HOLD | Action.REMARK:
                self._write(record, acting.remark(record, decision.plan))
                if record.plan is None and holds(record):
                    self._say(record, What.PLANNED, decision.plan.sentence, now)
            case Action.RELEASE | Action.RESUME:
                self._start(record, decision, now)
            case Action.SUSPEND | Action.RELOCATE:
                self._stop(record, decision.plan, now, to_move=decision.action is Action.RELOCATE)

    def _stop(self, record: Record, plan: Plan, now: datetime, *, to_move: bool) -> None:
        """What Kueue manages is marked first: stopped without our mark, it would be nobody's to start again."""
        marked = self._write(record, acting.stop(record, plan, self._reporting, now, to_move=to_move))
        if record.queue:
            try:
                if not self._workloads.switch(self._api, record, on=False):
                    raise Refusal(f"Kueue has no Workload of {record.name} yet")
            except (Refusal, CleanhoursError):
                self._unmark(marked, record)
                raise
        self._say(record, What.MOVING if to_move else What.PAUSED, plan.sentence, now)

    def _unmark(self, marked: Record, before: Record) -> None:
        """It runs on, as it was; where even that cannot be written, it runs on marked, and harms nobody."""
        runs = write_runs(before.runs) if before.runs else None
        with suppress(Refusal, CleanhoursError):
            self._write(marked, marking(marked, {STATE: before.mark, RUNS: runs}))

    # -- starting ---------------------------------------------------------------------------------------------------

    def _start(self, record: Record, decision: Decision, now: datetime) -> None:
        if record.mark in _STOPPED:
            self._check_rest(record)
        plan = decision.plan
        forced = decision.reason in FORCED or now >= plan.latest_start
        try:
            place = self._place(record, plan.location)
            if place:
                self._let_go_there(record, plan, place, now)
            else:
                self._let_go(record, plan, {}, now)
        except Refused as refused:
            self._stay(record, plan, refused, now, forced=forced)

    def _let_go_there(self, record: Record, plan: Plan, place: Patch, now: datetime) -> None:
        """Placed and released in one patch. Raises Refused, or Refusal where another look may find the server ready."""
        started = record.kind.clears_start_time and record.activity.started_at is not None
        if self.marks_first and not started and record.activity.stopped_at is None:
            raise Refused("the server has not marked it suspended yet")
        if started and self.clears_first:
            record = self._cleared(record)
            started = False
        try:
            self._let_go(record, plan, place, now)
        except Refused:
            if not started:
                raise
            record = self._cleared(record)
            self._let_go(record, plan, place, now)
            self.clears_first = True

    def _cleared(self, record: Record) -> Record:
        """Takes away the start of a suspended object, without which older servers let no template change (KEP-2926)."""
        patch = {"metadata": {"resourceVersion": record.resource_version}, "status": {"startTime": None}}
        return self._seen(record, self._api.patch(f"{record.path}/status", patch))

    def _stay(self, record: Record, plan: Plan, refused: Refused, now: datetime, *, forced: bool) -> None:
        """The server takes no new place: asked again at the next tick, or let go where it is, when that is time."""
        record = self._mirror.get(record.uid) or record
        unmarked = record.activity.started_at is None and record.activity.stopped_at is None
        if unmarked and record.kind.clears_start_time and not forced:
            self.marks_first = True
            raise Refusal("the server lets it be placed once it has marked it suspended")
        self._tries[record.uid] += 1
        if self._tries[record.uid] < _MOST_TRIES and not forced:
            raise Refusal(str(refused))
        at = acting.where(record, self._reporting)
        note = f"could not be moved to {plan.location}, the server refuses"
        stayed = acting.stayed(plan, at, self._zones.get(at, ""), note)
        self._let_go(record, stayed, {}, now)
        self._say(record, What.NOT_MOVED, f"It stays in {at}: {refused}", now)

    def _let_go(self, record: Record, plan: Plan, place: Patch, now: datetime) -> None:
        was_moving, runs = record.mark is Mark.MOVING, bool(record.runs)
        if record.queue and record.mark in _STOPPED:
            self._wake(record, plan, place)
        else:
            self._write(record, acting.start(record, plan, self._reporting, place))
        self._tries.pop(record.uid, None)
        what = (What.MOVED if was_moving else What.RESUMED) if runs else What.RELEASED
        if reason := self._reporting.wishes(record).complaints:
            self._say(record, What.INVALID_REQUEST, "; ".join(map(str, reason)), now)
        self._say(record, what, plan.sentence, now)

    def _wake(self, record: Record, plan: Plan, place: Patch) -> None:
        """Kueue starts it again: placed, then switched on, then marked. In between, another of us finds it still paused."""
        annotations = acting.going(record, plan, self._reporting)
        if place:
            record = self._write(record, acting.placing(record, place))
        self._workloads.switch(self._api, record, on=True)
        for _ in range(_MOST_TRIES):
            try:
                self._write(record, marking(record, annotations))
            except Conflict:  # Kueue writes too
                record = self._again(record)
            else:
                return
        raise Refusal(f"{record.name} was started, and could not be marked so")

    def _place(self, record: Record, to: str) -> Patch:
        """The part of the patch that puts it there; its kind may need to see the whole object, and one beside it."""
        changes = acting.changes(record, to, self._reporting)
        if not changes or not needs_object(record):
            return written(record, changes) or {}
        obj = self._api.get(record.path)
        if obj["metadata"].get("resourceVersion") != record.resource_version:
            raise Conflict(f"{record.path} changed since it was read", status=409)
        beside = None
        if record.kind.beside is not None:
            try:
                beside = self._api.get(record.kind.beside(obj))
            except Missing:
                beside = None
        patch = written(record, changes, obj, beside)
        if patch is None:
            raise Refused("it cannot be placed yet: its jobs are not there")
        return patch

    def _check_rest(self, record: Record) -> None:
        """Where the status counts no Pods that still stop, they are looked for: two at once would share a checkpoint.

        Kueue gives a job that it stops its old place back, over ours, until it has freed its quota.
        """
        if record.queue:
            known = self._workloads.find(record)
            if known is not None and known[1].quota_reserved and not known[1].finished:
                raise Refusal("Kueue is still stopping it")
        if record.kind.counts_stopping:
            return
        stub = {"metadata": {"name": record.name, "uid": record.uid, "namespace": record.namespace}}
        labels = record.kind.pods(stub)
        if not labels:
            return
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
        found = self._api.get(f"/api/v1/namespaces/{record.namespace}/pods", query).get("items") or ()
        if any((pod.get("status") or {}).get("phase") not in _OVER for pod in found):
            raise Refusal("its Pods are still stopping")

    # -- writing ----------------------------------------------------------------------------------------------------

    def _write(self, record: Record, patch: Patch) -> Record:
        return self._seen(record, self._api.patch(record.path, patch))

    def _again(self, record: Record) -> Record:
        return self._seen(record, self._api.get(record.path))

    def _seen(self, record: Record, answer: Object) -> Record:
        seen = self._mirror.wrote(record, answer)
        if seen is None or seen.uid != record.uid:
            raise Refusal(f"{record.name} changed meanwhile")
        return seen

    def _say(self, record: Record, what: What, note: str, now: datetime) -> None:
        self._announcer.say(record, what, note, now)
