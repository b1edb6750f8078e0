"""What Slurm is told so that a decision is carried out, word for word, and that it is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cleanhours.domain.jobs import Action, Decision, JobState, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Reason
from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.acting import Command, Orders, orders, parted
from cleanhours_plugins.clusters.slurm.jobs import Known, Reporting, known_of, state_of
from cleanhours_plugins.clusters.slurm.places import Places
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.tagging import written
from tests.unit.plugins.clusters.slurm.made import (
    BY_FEATURE,
    BY_PARTITION,
    HOUR,
    NOW,
    ZONES,
    a_decision,
    a_plan,
    known,
    paused,
    running,
    seen,
    settings,
    tag,
    waiting,
)

USUAL = 121
"""Seconds for which most sites let a requeued job rest."""
OFFERING = {"words": {"max-delay": "12h", "interruptible": "true", "locations": "de,fr"}}
LATER = NOW + 3 * HOUR
NOTES = "notes of mine"


def told(
    job: Known,
    decision: Decision,
    now: int = NOW,
    site: SlurmSettings | None = None,
    requeue_s: int = USUAL,
) -> Orders:
    found = orders(job, decision, now, site or settings(), requeue_s)
    assert found is not None
    return found


def commands(*arguments: Any, **options: Any) -> list[Command]:
    return list(told(*arguments, **options).commands)


def changes(command: Command) -> dict[str, str]:
    """What an update changes, but for the comment."""
    assert ("scontrol", "update") == command[:2]
    found = dict(word.partition("=")[::2] for word in command[3:])
    return {name: text for name, text in found.items() if name != "Comment"}


def as_planned(job: Known, action: Action) -> Decision:
    """The plan that it has, carried out."""
    assert job.tag.plan is not None
    return replace(a_decision(action), plan=job.tag.plan)


def reread(known: Known) -> Known:
    """The same job after the next look at Slurm."""
    found = known_of(known.seen, ZONES)
    assert found is not None
    return found


# -- before it runs --------------------------------------------------------------------------------------------------


def test_to_hold_a_job_is_to_write_its_plan_and_its_start() -> None:
    job = waiting(None, own=NOTES)
    comment = written(tag(plan=a_plan(LATER)), NOTES)

    assert [("scontrol", "update", "JobId=12", f"StartTime=uts{LATER}", f"Comment={comment}")] == commands(
        job, a_decision(Action.HOLD, LATER)
    )
    assert comment.startswith(f"{NOTES} cleanhours:v1;")


def test_to_change_its_plan_is_to_move_its_start() -> None:
    (update,) = commands(waiting(NOW + HOUR), a_decision(Action.REMARK, LATER))

    assert {"StartTime": f"uts{LATER}"} == changes(update)


def test_a_plan_that_changes_nothing_but_its_reason_is_only_written() -> None:
    decision = a_decision(Action.REMARK, NOW + HOUR, reason=Reason.CARBON_TIME)
    (update,) = commands(waiting(NOW + HOUR), decision)

    assert {} == changes(update)
    assert "plan=carbon-time," in update[-1]


def test_to_release_a_job_is_to_let_it_start_now() -> None:
    (update,) = commands(waiting(NOW + HOUR), a_decision(Action.RELEASE, NOW))

    assert {"StartTime": f"uts{NOW}"} == changes(update)


@pytest.mark.parametrize("reason", ["Resources", "Priority"])
@pytest.mark.parametrize("action", [Action.RELEASE, Action.REMARK])
def test_a_job_that_waits_for_room_keeps_its_place_in_the_queue(action: Action, reason: str) -> None:
    job = waiting(NOW - 60, start=NOW + 900, reason=reason)

    assert [] == [
        one for one in commands(job, a_decision(action, NOW, reason=Reason.DEADLINE_GUARD)) if changes(one)
    ]


def test_a_job_whose_time_has_come_is_started_by_slurm_alone() -> None:
    job = waiting(NOW - 1, start=None, reason="None")

    assert orders(job, as_planned(job, Action.RELEASE), NOW, settings(), USUAL) is None


def test_a_released_job_is_only_remarked_and_stays_where_it_queues() -> None:
    job = waiting(NOW - 60, OFFERING, start=None, reason="Resources")
    (update,) = commands(job, a_decision(Action.REMARK, LATER, "fr"))

    assert {} == changes(update)


@pytest.mark.parametrize(
    ("start", "now_due"), [(None, {}), (NOW + HOUR, {"StartTime": f"uts{NOW}"})], ids=["unknown", "later"]
)
def test_a_job_that_waits_for_others_too_is_told_only_what_it_does_not_know(
    start: int | None, now_due: dict[str, str]
) -> None:
    job = waiting(NOW + HOUR, start=start, reason="Dependency")
    (release,) = commands(job, a_decision(Action.RELEASE, NOW))
    (later,) = commands(job, a_decision(Action.REMARK, LATER))

    assert now_due == changes(release)
    assert {"StartTime": f"uts{LATER}"} == changes(later)


def test_of_an_array_only_the_tasks_that_wait_are_told() -> None:
    job = waiting(NOW + HOUR, id="33", rest="2-5", tasks=2, rounds=2)
    (update,) = commands(job, a_decision(Action.REMARK, LATER))

    assert "JobId=33_[2-5]" == update[2]


# -- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action.HOLD, Action.RELEASE, Action.RESUME])
def test_a_job_goes_where_its_owner_lets_it(action: Action) -> None:
    (update,) = commands(waiting(NOW + HOUR, OFFERING), a_decision(action, NOW + HOUR, "fr"))

    assert "fr" == changes(update)["Partition"]


@pytest.mark.parametrize("action", [Action.HOLD, Action.RELEASE])
def test_a_job_whose_owner_offers_no_places_stays_as_he_submitted_it(action: Action) -> None:
    (update,) = commands(waiting(NOW + HOUR), a_decision(action, LATER, "fr"))

    assert "Partition" not in changes(update)


def test_a_place_is_written_in_what_was_asked_at_first() -> None:
    site = settings(BY_FEATURE)
    offering = {**OFFERING, "partition": "any", "features": "gpu&de"}
    moved = waiting(NOW + HOUR, offering, partition="any", features="gpu&fr")

    assert {"Features": "gpu&pl", "StartTime": f"uts{LATER}"} == changes(
        *commands(moved, a_decision(Action.REMARK, LATER, "pl"), site=site)
    )
    assert {"Features": "gpu&de", "StartTime": f"uts{LATER}"} == changes(
        *commands(moved, a_decision(Action.REMARK, LATER, "de"), site=site)
    )


def test_a_job_that_others_tagged_goes_back_to_the_partition_where_they_left_it() -> None:
    site = replace(settings(), places=Places({**BY_PARTITION, "home": Location("home", "DE")}, "home"))
    tagged = {**OFFERING, "partition": ""}
    (update,) = commands(
        waiting(None, tagged, partition="any"), a_decision(Action.HOLD, LATER, "home"), site=site
    )

    assert {"StartTime": f"uts{LATER}"} == changes(update)


def test_a_place_where_it_is_already_is_not_written_again() -> None:
    (update,) = commands(waiting(NOW + HOUR, OFFERING), a_decision(Action.REMARK, LATER, "de"))

    assert {"StartTime": f"uts{LATER}"} == changes(update)


def test_in_a_federation_a_place_is_told_once() -> None:
    clusters = {name: Location(name, name.upper(), match={"cluster": name}) for name in ("de", "fr")}
    site = replace(settings(), places=Places(clusters, "de", federated=True))
    first = told(waiting(None, OFFERING), a_decision(Action.HOLD, LATER, "fr"), site=site)
    (again,) = commands(first.after, a_decision(Action.REMARK, LATER + HOUR, "fr"), site=site)

    assert "fr" == changes(first.commands[0])["ClusterFeatures"]
    assert {"StartTime": f"uts{LATER + HOUR}"} == changes(again)


def test_a_held_job_is_sent_to_another_cluster_only_when_it_is_let_go() -> None:
    update = ("scontrol", "update", "JobId=12", "StartTime=uts7", "ClusterFeatures=fr", "Comment=mine")
    alone = ("scontrol", "update", "JobId=12", "ClusterFeatures=fr")
    release = ("scontrol", "release", "12")

    assert ([("scontrol", "update", "JobId=12", "StartTime=uts7", "Comment=mine"), release], [alone]) == (
        parted([update, release])
    )
    assert ([], [alone]) == parted([alone])
    assert ([release], []) == parted([release])
    assert ([update[:4]], [alone]) == parted([update[:5]])


@pytest.mark.parametrize("action", Action)
def test_a_place_that_is_not_there_is_refused_by_name(action: Action) -> None:
    with pytest.raises(ValueError, match="no location 'atlantis' here: it has de, fr, pl"):
        orders(running(OFFERING), a_decision(action, at="atlantis"), NOW, settings(), USUAL)


# -- what must not be done -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    "job",
    [
        waiting(reason="JobHeldUser"),
        waiting(start=NOW + 9 * HOUR),
        running(state="SUSPENDED"),
        paused(reason="JobHeldUser"),
    ],
    ids=["held", "moved", "suspended", "held-when-paused"],
)
def test_what_is_its_owner_s_is_left_to_him(job: Known, action: Action) -> None:
    with pytest.raises(ValueError, match="its owner"):
        orders(job, a_decision(action, LATER), NOW, settings(), USUAL)


@pytest.mark.parametrize("action", [Action.RELEASE, Action.RESUME])
def test_what_is_still_stopping_is_not_started(action: Action) -> None:
    job = running({"paused": True}, state="COMPLETING")

    with pytest.raises(ValueError, match="it is still stopping"):
        orders(job, a_decision(action, NOW), NOW, settings(), USUAL)


def test_what_has_ended_is_told_nothing() -> None:
    with pytest.raises(ValueError, match="it has ended"):
        orders(running(state="COMPLETED"), a_decision(Action.RELEASE), NOW, settings(), USUAL)


# -- running ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action.HOLD, Action.REMARK, Action.RELEASE, Action.RESUME])
def test_of_a_running_job_only_the_plan_is_written(action: Action) -> None:
    (update,) = commands(running(OFFERING), a_decision(action, LATER, "fr"))

    assert {} == changes(update)
    assert "@fr" in update[-1]


def test_a_resumed_job_is_paused_no_more() -> None:
    resumed = running({"paused": True, "warned_at": NOW - 9000})
    after = told(resumed, a_decision(Action.REMARK, NOW)).after

    assert (False, None) == (after.tag.paused, after.tag.warned_at)


def test_a_job_that_still_stops_stays_paused_when_its_plan_changes() -> None:
    stopping = running({"paused": True}, state="COMPLETING")
    found = told(stopping, a_decision(Action.REMARK, LATER))

    assert {} == changes(*found.commands)
    assert found.after.tag.paused


@pytest.mark.parametrize("requeue_s", [USUAL, 60])
def test_to_suspend_is_to_requeue_with_a_new_start(requeue_s: int) -> None:
    job = running(OFFERING)
    write, requeue, move = commands(job, a_decision(Action.SUSPEND, LATER), requeue_s=requeue_s)

    assert {} == changes(write)
    assert f"runs={NOW - 600}-{NOW}@de" in write[-1]
    assert "paused=yes" in write[-1]
    assert ("scontrol", "requeue", "12") == requeue
    assert ("scontrol", "update", "JobId=12", f"StartTime=uts{LATER}") == move


def test_where_slurm_starts_a_requeued_job_at_once_it_is_held_until_it_knows_when() -> None:
    _, requeue, move, release = commands(running(), a_decision(Action.SUSPEND, LATER), requeue_s=6)

    assert ("scontrol", "requeuehold", "12") == requeue
    assert {"StartTime": f"uts{LATER}"} == changes(move)
    assert ("scontrol", "release", "12") == release


def test_to_relocate_is_to_requeue_elsewhere() -> None:
    _, requeue, move = commands(running(OFFERING), a_decision(Action.RELOCATE, LATER, "fr"))

    assert ("scontrol", "requeue", "12") == requeue
    assert {"StartTime": f"uts{LATER}", "Partition": "fr"} == changes(move)


def test_a_requeued_job_rests_as_long_as_slurm_would_let_it() -> None:
    *_, move = commands(running(OFFERING), a_decision(Action.RELOCATE, NOW, "fr"))

    assert f"uts{NOW + USUAL}" == changes(move)["StartTime"]


def test_a_task_of_an_array_is_requeued_alone() -> None:
    _, requeue, _ = commands(running(id="33_3"), a_decision(Action.SUSPEND, LATER))

    assert ("scontrol", "requeue", "33_3") == requeue


@pytest.mark.parametrize(
    ("action", "at", "job"),
    [
        (Action.RELOCATE, "de", running(OFFERING)),
        (Action.SUSPEND, "de", waiting()),
        (Action.RELOCATE, "fr", waiting(tagged=OFFERING)),
        (Action.SUSPEND, "de", waiting(NOW - 60)),
        (Action.SUSPEND, "de", paused()),
        (Action.RELOCATE, "fr", paused(tagged=OFFERING)),
        (Action.SUSPEND, "de", running({"paused": True}, state="COMPLETING")),
        (Action.SCALE, "de", running()),
    ],
)
def test_what_is_as_it_should_be_is_told_nothing(action: Action, at: str, job: Known) -> None:
    assert orders(job, a_decision(action, LATER, at), NOW, settings(), USUAL) is None


def test_a_second_pause_keeps_the_first_run_as_long_as_it_really_was() -> None:
    first = RunSegment(instant_of(NOW - 4000), instant_of(NOW - 2200), "fr")
    job = running({"runs": (first,)}, submitted=NOW - 2190)
    runs = told(job, a_decision(Action.SUSPEND, LATER)).after.tag.runs

    second = RunSegment(instant_of(NOW - 600), instant_of(NOW), "de")
    assert (replace(first, end=instant_of(NOW - 2190)), second) == runs


def test_a_pause_that_slurm_refused_is_written_down_once() -> None:
    tried = told(running(), a_decision(Action.SUSPEND, LATER)).after.tag
    still = known(running().seen, tried)

    runs = told(still, a_decision(Action.SUSPEND, LATER), NOW + 30).after.tag.runs
    assert (RunSegment(instant_of(NOW - 600), instant_of(NOW + 30), "de"),) == runs


# -- warned first ----------------------------------------------------------------------------------------------------

WARNING = settings(warning="USR1", warning_time=timedelta(minutes=2))


def test_a_job_is_warned_first_where_the_site_wants_that() -> None:
    tell, write = commands(running(), a_decision(Action.SUSPEND, LATER), site=WARNING)

    assert ("scancel", "--batch", "--signal=USR1", "12") == tell
    assert {} == changes(write)
    assert f"warned={NOW}" in write[-1]


@pytest.mark.parametrize(
    ("ago", "then"),
    [
        (0, None),
        (119, None),
        (120, "scontrol"),
        # the next look of deploy/slurm/crontab
        (600, "scontrol"),
        (1020, "scontrol"),
        # it was let run on, and is to stop after all
        (1021, "scancel"),
    ],
)
def test_a_warned_job_has_its_time_to_write_its_checkpoint(ago: int, then: str | None) -> None:
    job = running({"warned_at": NOW - ago})
    found = orders(job, a_decision(Action.SUSPEND, LATER), NOW, WARNING, USUAL)

    assert then == (None if found is None else found.commands[0][0])


def test_a_paused_job_was_not_warned_yet_of_its_next_pause() -> None:
    after = told(running({"warned_at": NOW - 130}), a_decision(Action.SUSPEND, LATER), site=WARNING).after

    assert after.tag.warned_at is None


# -- left held -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "start"), [(Action.REMARK, LATER), (Action.HOLD, LATER), (Action.RESUME, NOW)]
)
def test_what_our_requeue_left_held_is_let_go_with_its_start(action: Action, start: int) -> None:
    job = paused(start=NOW + 60, reason="job requeued in held state")
    update, release = commands(job, a_decision(action, start))

    assert {"StartTime": f"uts{start}"} == changes(update)
    assert ("scontrol", "release", "12") == release


def test_what_was_left_held_and_is_right_otherwise_is_only_let_go() -> None:
    job = paused(NOW + HOUR, reason="job requeued in held state")

    assert [("scontrol", "release", "12")] == commands(job, as_planned(job, Action.REMARK))


@pytest.mark.parametrize(
    ("stopped", "starts"), [(NOW - 600, NOW), (NOW - 2, NOW), (NOW - 1, NOW + 1), (NOW, NOW + 2)]
)
def test_a_requeued_job_does_not_start_in_the_second_in_which_it_stopped(stopped: int, starts: int) -> None:
    run = RunSegment(instant_of(NOW - 2400), instant_of(stopped), "de")
    job = paused(tagged={"runs": (run,)}, submitted=stopped)
    (update,) = commands(job, a_decision(Action.RESUME, NOW))

    assert {"StartTime": f"uts{starts}"} == changes(update)


def test_nor_does_one_that_our_requeue_left_held() -> None:
    run = RunSegment(instant_of(NOW - 2400), instant_of(NOW), "de")
    job = paused(tagged={"runs": (run,)}, start=None, submitted=NOW, reason="job requeued in held state")
    update, release = commands(job, a_decision(Action.RESUME, NOW))

    assert {"StartTime": f"uts{NOW + 2}"} == changes(update)
    assert ("scontrol", "release", "12") == release


# -- comments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "job", [waiting(NOW + HOUR), waiting(NOW - 60), running()], ids=["held", "released", "runs"]
)
def test_a_plan_that_does_not_fit_into_the_comment_is_refused(job: Known) -> None:
    job = replace(job, own="x" * 1000)

    with pytest.raises(ValueError, match="Slurm takes 1024"):
        orders(job, a_decision(Action.REMARK, LATER), NOW, settings(), USUAL)


def test_a_start_is_not_kept_back_by_a_comment_that_does_not_fit() -> None:
    job = replace(waiting(NOW + HOUR), own="x" * 1000)

    assert [("scontrol", "update", "JobId=12", f"StartTime=uts{NOW}")] == commands(
        job, a_decision(Action.RELEASE, NOW, reason=Reason.DEADLINE_GUARD)
    )


# -- deciding twice is doing once ------------------------------------------------------------------------------------

JOBS = {
    "pending": waiting(None, OFFERING, own=NOTES),
    "held": waiting(NOW + HOUR, OFFERING),
    "held-dependent": waiting(NOW + HOUR, OFFERING, start=None, reason="Dependency"),
    "released": waiting(NOW - 60, OFFERING, start=NOW + 900, reason="Resources"),
    "array": waiting(NOW + HOUR, OFFERING, id="33", rest="0-5", tasks=6),
    "running": running(OFFERING),
    "resumed": running({**OFFERING, "paused": True}),
    "paused": paused(NOW + HOUR, OFFERING),
    "left-held": paused(NOW + HOUR, OFFERING, start=NOW + 60, reason="job requeued in held state"),
    "broken": known_of(seen(comment="cleanhours:v1;submitted=yesterday"), ZONES),
}


@pytest.mark.parametrize("requeue_s", [6, USUAL])
@pytest.mark.parametrize("at", ["de", "fr"])
@pytest.mark.parametrize("start", [NOW, LATER])
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("name", JOBS)
def test_deciding_twice_is_doing_once(name: str, action: Action, start: int, at: str, requeue_s: int) -> None:
    job = JOBS[name]
    assert job is not None
    decision = a_decision(action, start, at)
    first = orders(job, decision, NOW, settings(), requeue_s)
    if first is None:
        return

    assert orders(first.after, decision, NOW, settings(), requeue_s) is None
    assert job.uid == first.after.uid or name == "broken"
    assert first.after.seen == reread(first.after).seen
    assert orders(reread(first.after), decision, NOW, settings(), requeue_s) is None


@pytest.mark.parametrize(
    ("name", "action", "start", "state"),
    [
        ("pending", Action.HOLD, LATER, JobState.HELD),
        ("pending", Action.RELEASE, NOW, JobState.RELEASED),
        ("held", Action.REMARK, LATER, JobState.HELD),
        ("held", Action.RELEASE, NOW, JobState.RELEASED),
        ("held-dependent", Action.RELEASE, NOW, JobState.RELEASED),
        ("released", Action.REMARK, NOW, JobState.RELEASED),
        ("running", Action.REMARK, NOW, JobState.RUNNING),
        ("running", Action.SUSPEND, LATER, JobState.PAUSING),
        ("resumed", Action.SUSPEND, LATER, JobState.PAUSING),
        ("paused", Action.REMARK, LATER, JobState.PAUSED),
        ("paused", Action.RESUME, NOW, JobState.RELEASED),
        ("left-held", Action.REMARK, LATER, JobState.PAUSED),
        ("left-held", Action.RESUME, NOW, JobState.RELEASED),
        ("broken", Action.RELEASE, NOW, JobState.RELEASED),
    ],
)
def test_what_was_told_is_what_the_job_is_then(
    name: str, action: Action, start: int, state: JobState
) -> None:
    job = JOBS[name]
    assert job is not None
    after = told(job, a_decision(action, start)).after

    assert state == state_of(after, NOW)
    assert after.tag.plan == a_plan(start)
    assert "" == after.fault
    assert after.tag.paused is (state in {JobState.PAUSING, JobState.PAUSED})
    assert Reporting(settings()).job(after, instant_of(NOW)) is not None
