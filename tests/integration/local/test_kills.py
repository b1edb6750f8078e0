"""kill -9 of controller, supervisor and watchdog at every step: no job is lost, held for ever, or run twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cleanhours.domain.jobs import Action, JobState
from cleanhours_plugins.clusters.local.recovering import LOST
from cleanhours_plugins.clusters.local.spawning import detach, job_folder, spawn_supervisor
from cleanhours_plugins.clusters.local.timekeeping import SharedClock
from tests.integration.local import dying
from tests.integration.local.worlds import World, kill, processes_with, until

MARKING = "echo x >> ran; sleep 0.2; echo done"


def spawn_dying(step: str, when: str) -> Callable[[str, str, str, SharedClock], None]:
    """Starts, in place of a supervisor, one that dies at that step."""

    def spawn(folder: str, uid: str, claim: str, clock: SharedClock) -> None:
        Path(job_folder(folder, uid)).mkdir(parents=True, exist_ok=True)
        script = str(Path(dying.__file__))
        command = [sys.executable, script, step, when, folder, uid, claim, clock.words]
        detach(f"{job_folder(folder, uid)}/dying.log", command)

    return spawn


BEFORE_IT_BEGAN = [("take", "before"), ("take", "after"), ("fork", "after"), ("record", "before"),
                   ("record", "after"), ("let_go", "before")]  # fmt: skip


@pytest.mark.parametrize(("step", "when"), BEFORE_IT_BEGAN)
def test_a_job_whose_supervisor_died_before_it_began_is_started_once(
    world: World, step: str, when: str
) -> None:
    key = world.submit("/bin/sh", "-c", MARKING)
    until(lambda: world.watchdog() > 0)
    world.local = world.another(spawn=spawn_dying(step, when))
    world.release(key)
    until(lambda: not processes_with(str(world.local.folder), "dying.py"))
    world.local.close()
    world.local = world.another()
    if (step, when) == ("take", "before"):
        age_claims(world)
    run = world.over(key)
    assert (JobState.SUCCEEDED, 0, 1) == (run.state, run.exit_code, len(run.segments))
    assert ["x"] == world.lines()


def test_a_job_whose_supervisor_dies_while_it_runs_is_adopted_and_not_run_again(world: World) -> None:
    key = world.submit(
        "/bin/sh", "-c", "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done; echo end >> ran"
    )
    world.release(key)
    world.until_state(key, JobState.RUNNING)
    until(lambda: world.lines() == ["x"])
    first = world.supervisor_of(key)
    kill(first)
    until(lambda: world.supervisor_of(key) not in (0, first))
    assert JobState.RUNNING == world.find(key).state
    (world.folder / "go").touch()
    run = world.over(key)
    assert ["x", "end"] == world.lines()
    assert (JobState.FAILED, None, LOST) == (run.state, run.exit_code, run.message)
    assert {} == run.usage
    assert 1 == len(run.segments)


def test_an_adopted_job_is_paused_and_goes_on_and_is_cancelled(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "while :; do sleep 0.02; done")
    world.release(key)
    world.until_state(key, JobState.RUNNING)
    kill(world.supervisor_of(key))
    until(lambda: world.supervisor_of(key) != 0)
    world.tell(key, Action.SUSPEND)
    world.until_state(key, JobState.PAUSED)
    world.tell(key, Action.RESUME)
    world.until_state(key, JobState.RUNNING)
    assert world.local.cancel(key)
    assert JobState.CANCELLED == world.over(key).state


def test_an_end_that_its_supervisor_saw_but_could_not_write_is_read_from_its_file(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "echo x >> ran; exit 7")
    world.local = world.another(spawn=spawn_dying("write_end", "before"))
    world.release(key)
    run = world.over(key)
    assert (JobState.FAILED, 7, "exit code 7") == (run.state, run.exit_code, run.message)
    assert run.usage["max_rss_bytes"] > 0
    assert ["x"] == world.lines()


def test_a_job_that_ended_unseen_is_failed_and_not_run_again(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "echo x >> ran")
    world.local = world.another(spawn=spawn_dying("conclude", "before"))
    world.release(key)
    run = world.over(key)
    assert (JobState.FAILED, LOST) == (run.state, run.message)
    assert ["x"] == world.lines()


def test_a_paused_job_whose_supervisor_died_can_go_on(world: World) -> None:
    key = world.submit(
        "/bin/sh", "-c", "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done; echo end >> ran"
    )
    world.release(key)
    until(lambda: world.lines() == ["x"])
    world.until_state(key, JobState.RUNNING)
    world.tell(key, Action.SUSPEND)
    world.until_state(key, JobState.PAUSED)
    first = world.supervisor_of(key)
    kill(first)
    until(lambda: world.supervisor_of(key) not in (0, first))
    (world.folder / "go").touch()
    world.tell(key, Action.RESUME)
    assert 2 == len(world.over(key).segments)
    assert ["x", "end"] == world.lines()


def test_a_released_job_whose_controller_died_before_it_could_start_it_starts(world: World) -> None:
    key = world.submit("/bin/sh", "-c", MARKING)
    world.local = world.another(spawn=lambda *_: None)
    world.release(key)
    age_claims(world)
    world.local = world.another()
    assert JobState.SUCCEEDED == world.over(key).state
    assert ["x"] == world.lines()


def test_two_supervisors_of_one_job_start_it_once(world: World) -> None:
    calls: list[tuple[str, str, str, SharedClock]] = []
    key = world.submit("/bin/sh", "-c", MARKING)
    world.local = world.another(spawn=lambda *call: calls.append(call))
    world.release(key)

    for _ in range(3):
        spawn_supervisor(*calls[0])
    assert JobState.SUCCEEDED == world.over(key).state
    until(lambda: not processes_with(str(world.local.folder), "local.supervisor"))
    assert ["x"] == world.lines()


@pytest.mark.parametrize("word", ["cancel", "owner_pause"])
def test_a_job_that_is_called_off_while_it_is_being_started_does_not_start(world: World, word: str) -> None:
    key = world.submit("/bin/sh", "-c", MARKING)
    world.local = world.another(spawn=spawn_dying("fork", "waiting"))
    world.release(key)
    until(lambda: world.supervisor_of(key) != 0)
    assert getattr(world.local, word)(key)
    (world.local.folder / "proceed").touch()
    until(lambda: not processes_with(str(world.local.folder), "dying.py"))
    assert [] == world.lines()
    if word == "cancel":
        assert (JobState.CANCELLED, ()) == (world.over(key).state, world.over(key).segments)
    else:
        assert JobState.UNMANAGED == world.find(key).state


def test_a_controller_killed_at_any_time_loses_nothing(world: World) -> None:
    """A controller in a process of its own releases what waits, and is killed after a random time, again and again."""
    seed = int(os.environ.get("CLEANHOURS_SEED", "7"))
    dice = random.Random(seed)
    keys = [world.submit("/bin/sh", "-c", f"echo {n} >> ran") for n in range(12)]
    script = (
        "import sys; from pathlib import Path; from tests.integration.local.worlds import World;"
        "from cleanhours.testing.cluster_contract import decision_for;"
        "from cleanhours.domain.jobs import Action; from cleanhours.domain.plans import Reason;"
        "w = World(Path(sys.argv[1])); w.clock.real_origin = float(sys.argv[2]); print('up', flush=True);\n"
        "while True:\n"
        "    for job in w.local.pending():\n"
        "        w.local.apply([decision_for(job, Action.RELEASE, w.clock.now(), Reason.DEADLINE_GUARD)])\n"
    )
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(world.folder), str(world.clock.real_origin)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        ) as controller:
            assert controller.stdout is not None
            assert b"up\n" == controller.stdout.readline()
            time.sleep(dice.uniform(0, 0.05))
            controller.kill()
    age_claims(world)
    for key in keys:
        if key in {job.key for job in world.local.pending()}:
            world.release(key)
    until(lambda: len(world.runs()) == len(keys))
    assert [JobState.SUCCEEDED] * len(keys) == [run.state for run in world.runs()]
    assert sorted(map(str, range(12))) == sorted(world.lines())


@pytest.mark.parametrize("seed", range(int(os.environ.get("CLEANHOURS_SEEDS", "3"))))
def test_supervisors_killed_at_any_time_lose_nothing_and_repeat_nothing(world: World, seed: int) -> None:
    dice = random.Random(seed)
    keys = [world.submit("/bin/sh", "-c", f"echo {n} >> ran; sleep 0.05") for n in range(8)]
    for key in keys:
        world.release(key)
    for _ in range(8):
        time.sleep(dice.uniform(0, 0.04))
        found = supervisors(world)
        if found:
            kill(dice.choice(found), signal.SIGKILL)
    age_claims(world)
    until(lambda: len(world.runs()) == len(keys))
    assert {JobState.SUCCEEDED, JobState.FAILED} >= {run.state for run in world.runs()}
    assert sorted(map(str, range(8))) == sorted(world.lines())
    assert {LOST, ""} >= {run.message for run in world.runs()}


def test_a_machine_that_restarted_fails_what_ran_and_starts_what_had_not(world: World) -> None:
    ran = world.submit("/bin/sh", "-c", "echo x >> ran; while :; do sleep 0.02; done")
    world.release(ran)
    until(lambda: world.lines() == ["x"])
    world.until_state(ran, JobState.RUNNING)
    waits = world.submit("/bin/sh", "-c", "echo y >> ran")
    kill(world.watchdog())
    kill(world.supervisor_of(ran))
    for row in world.rows():
        if row["process"]:
            kill(int(row["process"].split(":")[0]))
    with world.local._asking() as queue, queue.writing() as change:
        old = "1:1:another-boot"
        queue.update(ran.uid, change, supervisor=old, process=old)
    run = world.over(ran)
    assert (JobState.FAILED, "the machine restarted while it ran") == (run.state, run.message)
    world.release(waits)
    assert JobState.SUCCEEDED == world.over(waits).state


def supervisors(world: World) -> list[int]:
    """Without forks of theirs, which look alike until they become their commands: to kill one is to kill a job."""
    alike = processes_with(str(world.local.folder), "local.supervisor")
    return [pid for pid in alike if (kin := kinship(pid)) and kin[0] not in alike and kin[1] != pid]


def kinship(pid: int) -> tuple[int, int] | None:
    """Its parent and its session; None where it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return int(words[1]), int(words[3])


def age_claims(world: World) -> None:
    """As if the patience with claims that nobody took up were over."""
    with world.local._asking() as queue, queue.writing():
        queue.connection.execute("UPDATE jobs SET claimed_at = claimed_at - 3600 WHERE supervisor IS NULL")
