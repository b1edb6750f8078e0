"""What Slurm is told, and what it tells, on a real one: arrays, holds that were left, hostile texts, lines of scripts."""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.jobs import Action, Decision, JobKey, JobState
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import epoch, instant_of
from cleanhours_plugins.clusters.slurm.acting import orders
from cleanhours_plugins.clusters.slurm.arguments import read_script
from cleanhours_plugins.clusters.slurm.asking import Seen, queue_question, read_queue
from cleanhours_plugins.clusters.slurm.calling import Slurm
from cleanhours_plugins.clusters.slurm.jobs import known_of
from cleanhours_plugins.clusters.slurm.places import Places
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.tagging import split_comment
from tests.integration.slurm.site import Site
from tests.integration.slurm.stages import AHEAD, Owners, a_cluster, a_plan
from tests.integration.slurm.worlds import script

pytestmark = pytest.mark.integration

MINUTE = timedelta(minutes=1)
HOSTILE = "a \"b\" c\nline '2' |\x1e12\x1f13\x1f\\ =é;  "


@pytest.fixture
def owners(slurm: Site, tmp_path: Path) -> Owners:
    return Owners(slurm, a_cluster(slurm, tmp_path), SystemClock())


def submitted(owners: Owners, *options: str, own: str = "", work: float = 60) -> JobKey:
    request = JobRequest(
        submitted=owners.clock.now(),
        duration=MINUTE,
        max_delay=12 * AHEAD,
        interruptible=True,
        locations=("de", "fr"),
    )
    return owners.submit("job", timedelta(seconds=work), 0, request, *options, own=own)


def decided(
    owners: Owners, key: JobKey, action: Action, ahead: timedelta = timedelta(0), at: str = "de"
) -> str:
    """What went wrong when it was told so."""
    plan = a_plan(owners.clock.now().replace(microsecond=0) + ahead, MINUTE, at)
    (applied,) = owners.cluster.apply([Decision(key, action, plan, Reason.CARBON_TIME)])
    return applied.error


CHANGES = 5


@pytest.fixture
def crowd(slurm: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Owners, list[JobKey], Path]:
    """More jobs than there are changes a tick, and a file: while it is there, `scontrol` finds no controller."""
    gone, program = tmp_path / "gone", tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\n[ ! -e {gone} ] || {{ echo Unable to contact slurm controller >&2; exit 1; }}\n"
        'exec /usr/bin/scontrol "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    owners = Owners(slurm, a_cluster(slurm, tmp_path, changes_per_tick=CHANGES), SystemClock())
    return owners, [submitted(owners) for _ in range(CHANGES + 4)], gone


def told_all(owners: Owners, keys: list[JobKey], action: Action, ahead: timedelta) -> list[str]:
    """What went wrong with each."""
    plan = a_plan(owners.clock.now().replace(microsecond=0) + ahead, MINUTE)
    decisions = [Decision(key, action, plan, Reason.CARBON_TIME) for key in keys]
    return [applied.error for applied in owners.cluster.apply(decisions)]


def test_where_slurm_answers_nobody_the_reason_is_that_and_not_the_number_of_changes(
    crowd: tuple[Owners, list[JobKey], Path],
) -> None:
    """Also where a job is decided upon twice: what comes of the first is found out before the second."""
    owners, keys, gone = crowd
    keys.insert(CHANGES, keys[0])
    gone.touch()

    errors = told_all(owners, keys, Action.RELEASE, timedelta(0))

    assert [
        "not tried, for Slurm answers nobody: scontrol: Unable to contact slurm controller"
    ] * 5 == errors[CHANGES:]
    assert all("Unable to contact slurm controller" in error for error in errors)
    gone.unlink()
    errors = told_all(owners, keys, Action.RELEASE, timedelta(0))
    assert [*[""] * CHANGES, *[f"not done: {CHANGES} changes a tick (changes_per_tick)"] * 5] == errors


def test_where_slurm_answers_nobody_one_line_counts_the_plans_that_are_not_written_down(
    crowd: tuple[Owners, list[JobKey], Path], caplog: pytest.LogCaptureFixture
) -> None:
    owners, keys, gone = crowd
    assert [""] * len(keys) == told_all(owners, keys, Action.HOLD, 2 * AHEAD)
    gone.touch()

    with caplog.at_level(logging.WARNING):
        owners.cluster.apply([])

    away = "not tried, for Slurm answers nobody: scontrol: Unable to contact slurm controller"
    assert [f"not done jobs=4 error={away}"] == caplog.messages


def shown(owners: Owners) -> dict[str, Seen]:
    nonce = secrets.token_hex(8)
    answer = Slurm(owners.site.config).ask("squeue", *queue_question(nonce, user=None))
    return {seen.id: seen for seen in read_queue(answer, nonce)}


def test_while_tasks_of_an_array_run_those_that_wait_are_moved_and_no_others(owners: Owners) -> None:
    key = submitted(owners, "--array=0-5%2")
    base = owners.numbers[key]
    assert "" == decided(owners, key, Action.RELEASE)
    owners.wait(
        lambda: {f"{base}_0", f"{base}_1"} <= {job.labels["object-name"] for job in owners.cluster.running()}
    )
    before = shown(owners)

    assert "" == decided(owners, key, Action.HOLD, 2 * AHEAD, "fr")

    after = shown(owners)
    moved = after[base]
    assert ("2-5", "fr", 2) == (moved.rest, moved.partition, moved.tasks)
    assert moved.start is not None
    assert moved.start > epoch(owners.clock.now() + AHEAD)
    for task in (f"{base}_0", f"{base}_1"):
        assert ("RUNNING", before[task].comment) == (after[task].state, after[task].comment)


def test_what_a_killed_controller_left_held_between_two_words_is_let_go(owners: Owners) -> None:
    key = submitted(owners)
    number = owners.numbers[key]
    assert "" == decided(owners, key, Action.RELEASE)
    owners.wait(lambda: owners.state(key) is JobState.RUNNING)
    slurm, now = Slurm(owners.site.config), epoch(owners.clock.now())
    known = known_of(shown(owners)[number], {})
    settings = SlurmSettings(places=Places({"de": Location("de", "GB", match={"partition": "de"})}, "de"))
    assert known is not None
    plan = a_plan(instant_of(now) + AHEAD, MINUTE)
    told = orders(known, Decision(key, Action.SUSPEND, plan, plan.reason), now, settings, requeue_s=6)
    assert told is not None
    for program, *arguments in told.commands[:2]:
        slurm.ask(program, *arguments)
    owners.wait(lambda: "held" in owners.site.show(number)["reason"])
    owners.wait(lambda: owners.state(key) is JobState.PAUSED)

    assert "" == decided(owners, key, Action.REMARK, 2 * AHEAD)

    owners.wait(lambda: owners.site.show(number)["reason"] == "BeginTime")
    assert JobState.PAUSED is owners.state(key)


def test_texts_of_all_sorts_go_to_slurm_and_come_back(owners: Owners) -> None:
    key = submitted(owners, "-J", HOSTILE, own=HOSTILE)
    assert "" == decided(owners, key, Action.REMARK, 2 * AHEAD)

    seen = shown(owners)[owners.numbers[key]]
    assert HOSTILE == seen.name
    assert HOSTILE == split_comment(seen.comment)[0]


LINES = [
    "a", '"a --x b"', "a#b", "'it --x'", 'a"b c"d\\"e', '"x\\"y"', "'x\\'y'", "a\\#b", '"a#b"', "a'b'c", '"a\\\\b"', '\\"a',
    '"a""b"', "'a\\\\b'", '"a\\nb"', "é\u00a0b", "a # no more",
]  # fmt: skip


@pytest.mark.parametrize("text", LINES)
def test_a_line_of_a_script_is_taken_apart_as_sbatch_does(slurm: Site, text: str) -> None:
    file = script(slurm, f"#!/bin/sh\n#SBATCH --begin=now+1hour --comment={text} -H\ntrue\n")
    job = slurm.sbatch("-o", "/dev/null", file)

    said, _ = read_script(file.read_text("utf-8"))
    assert said.held is (slurm.show(job)["reason"] == "JobHeldUser")
