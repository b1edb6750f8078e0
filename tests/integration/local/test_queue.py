"""The queue under trouble: locks, full disks, several writers, ten thousand jobs, files of another release."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.deadlines import Margins
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import Action, Applied, JobState
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Capacity, Demand
from cleanhours.domain.rules import Rules
from cleanhours.domain.times import instant_at
from cleanhours.ports import Submission
from cleanhours.testing.cluster_contract import LONG_AGO, decision_for
from cleanhours_plugins.clusters.local import build
from tests.integration.local.worlds import World, until


@pytest.fixture
def still(tmp_path: Path) -> Iterator[World]:
    """A world in which nothing starts by itself."""
    made = World(tmp_path)
    made.local = made.another(watch=lambda *_: False, busy_s=0.05)
    yield made
    made.clear()


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Somebody else writes, and takes long."""
    other = sqlite3.connect(world.local.folder / "queue.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_locked_queue_is_temporary_and_loses_nothing(still: World) -> None:
    key = still.submit("true")
    decision = decision_for(still.find(key), Action.RELEASE, still.clock.now(), Reason.DEADLINE_GUARD)
    with locked(still):
        with pytest.raises(TemporaryError, match="locked"):
            still.submit("true")
        (applied,) = still.local.apply([decision])
        assert "locked" in applied.error
        assert [key] == [job.key for job in still.local.pending()]
    assert "" == still.local.apply([decision])[0].error
    assert JobState.SUCCEEDED == still.over(key).state
    assert 1 == len(still.rows())


def test_a_supervisor_waits_for_a_locked_queue_and_tells_the_end_afterwards(still: World) -> None:
    key = still.submit("/bin/sh", "-c", "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done; exit 5")
    still.release(key)
    still.until_state(key, JobState.RUNNING)
    until(lambda: still.lines() == ["x"])
    with locked(still):
        (still.folder / "go").touch()
        until(
            lambda: any(
                '"exit_code": 5' in path.read_text() for path in still.local.output(key).glob("status-*.json")
            )
        )
    assert (JobState.FAILED, 5) == (still.over(key).state, still.over(key).exit_code)


FILLING = """
import resource, signal, sys
from pathlib import Path
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.times import instant_at
from tests.integration.local.worlds import World
world = World(Path(sys.argv[1]))
world.local = world.another(watch=lambda *_: False)
keys = [world.submit("true")]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))
try:
    while True:
        keys.append(world.submit("true", "x" * 3000))
except TemporaryError as trouble:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(len(keys), len(world.local.pending()), trouble)
"""


def test_a_full_disk_is_temporary_and_loses_nothing(still: World) -> None:
    still.submit("true")
    done = subprocess.run(
        [sys.executable, "-c", FILLING, str(still.folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    accepted, waiting, *words = done.stdout.split()
    assert int(accepted) + 1 == int(waiting)
    assert "disk" in " ".join(words)
    assert int(waiting) == len(still.local.pending())
    still.submit("true")
    assert int(waiting) + 1 == len(still.local.pending())


def test_two_controllers_at_once_start_each_job_once(world: World) -> None:
    keys = [world.submit("/bin/sh", "-c", f"echo {n} >> ran") for n in range(10)]
    jobs = [world.find(key) for key in keys]
    decisions = [decision_for(job, Action.RELEASE, world.clock.now(), Reason.DEADLINE_GUARD) for job in jobs]
    answers: list[Applied] = []

    def act() -> None:
        controller = world.another()
        answers.extend(controller.apply(decisions))
        controller.close()

    controllers = [threading.Thread(target=act) for _ in range(3)]
    for controller in controllers:
        controller.start()
    for controller in controllers:
        controller.join()
    assert 30 == len(answers)
    assert {""} >= {
        answer.error for answer in answers if "that waits or runs" not in answer.error
    }  # or it had ended
    until(lambda: len(world.runs()) == 10)
    assert sorted(map(str, range(10))) == sorted(world.lines())


def test_what_another_process_changes_is_seen_at_the_next_look(still: World) -> None:
    key = still.submit("true")
    assert JobState.HELD == still.find(key).state
    other = still.another(watch=lambda *_: False)
    decision = decision_for(other.pending()[0], Action.HOLD, still.clock.now())
    other.apply([decision])
    assert decision.plan == replace(still.find(key).plan or decision.plan, said=None)
    assert other.owner_pause(key)
    assert JobState.UNMANAGED == still.find(key).state
    other.cancel(key)
    assert [] == list(still.local.pending())
    other.close()


def test_ten_thousand_jobs_are_read_once_and_written_in_one_transaction(still: World) -> None:
    still.submit("true")
    with still.local._asking() as queue, queue.writing() as change:
        columns = [
            name
            for (name,) in queue.all("SELECT name FROM pragma_table_info('jobs')")
            if name not in ("seq", "uid", "change")
        ]
        names = ", ".join(columns)
        queue.connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) "
            f"INSERT INTO jobs (uid, change, {names}) SELECT 'u' || i, {change}, {names} FROM jobs, n"
        )
    jobs = still.local.pending()
    assert 10_000 == len(jobs)
    read: list[str] = []
    with still.local._asking() as queue:
        queue.connection.set_trace_callback(read.append)
        assert 10_000 == len(still.local.pending())
        assert not [words for words in read if "FROM jobs WHERE change" in words]
        now = still.clock.now()
        before = queue.changed()
        answers = still.local.apply([decision_for(job, Action.HOLD, now) for job in jobs])
        assert all(answer.done for answer in answers)
        assert before + 1 == queue.changed()
        assert 1 == sum(words == "COMMIT" for words in read)
        read.clear()
        assert all(job.plan is not None for job in still.local.pending())
        assert not [words for words in read if "FROM jobs WHERE change" in words]


def test_an_unchanged_plan_is_not_written_again(still: World) -> None:
    key = still.submit("true")
    decision = decision_for(still.find(key), Action.HOLD, still.clock.now())
    still.local.apply([decision])
    (first,) = still.rows()
    assert still.local.apply([decision])[0].done
    (second,) = still.rows()
    assert first["change"] == second["change"]


def test_a_queue_of_a_newer_release_is_refused(still: World) -> None:
    still.submit("true")
    still.local.close()
    other = sqlite3.connect(still.local.folder / "queue.sqlite")
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(ConfigurationError, match="version 99"):
        still.another().pending()
    other = sqlite3.connect(still.local.folder / "queue.sqlite")
    other.execute("PRAGMA user_version = 1")
    other.close()


def test_a_file_that_is_no_queue_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.local.folder.mkdir(parents=True)
    (world.local.folder / "queue.sqlite").write_text("something else entirely, " * 50)
    with pytest.raises(ConfigurationError, match="no queue"):
        world.local.pending()


def test_a_job_that_asks_for_more_slots_than_there_are_runs_alone(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "while :; do sleep 0.02; done", demand=Demand(slots=5))
    small = world.submit("true")
    assert "" == world.tell(key, Action.RELEASE, Reason.LOWEST_WINDOW).error
    assert "no slot free" == world.tell(small, Action.RELEASE, Reason.LOWEST_WINDOW).error


def test_its_capacity_is_the_smaller_of_slots_and_location(still: World) -> None:
    assert 2 == still.local.capacity()["local"].location.capacity.slots
    still.locations = {"local": Location("local", "GB", capacity=Capacity(slots=1, gpus=3))}
    assert Capacity(slots=1, gpus=3) == still.local.capacity()["local"].location.capacity


def test_jobs_and_runs_survive_a_controller(still: World) -> None:
    waits = still.submit("true", name="waits")
    ends = still.submit("true", name="ends")
    still.release(ends)
    run = still.over(ends)
    still.local.close()
    again = still.another(watch=lambda *_: False)
    assert [waits] == [job.key for job in again.pending()]
    assert [run] == list(again.finished(LONG_AGO))
    assert [] == list(again.finished(run.finished_at + timedelta(microseconds=1)))
    again.close()


def test_the_environment_of_many_jobs_is_kept_once(still: World) -> None:
    for number in range(5):
        still.submit("true", str(number))
    still.submit("true", environment={"OTHER": "1"})
    with still.local._asking() as queue:
        assert 2 == queue.all("SELECT count(*) FROM environments")[0][0]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a disk of its own needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path) -> None:
    """Until not a byte more fits."""
    with (folder / "filling").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_job_starts_by_its_latest_start_though_the_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    world = World(small_disk)
    key = world.submit("/bin/sh", "-c", f"echo x >> {tmp_path}/ran", max_delay=timedelta(minutes=15))
    until(lambda: world.watchdog() > 0)
    other = World(small_disk / "state")  # a neighbour without reserve, to see that the disk is full indeed
    fill(small_disk)
    with pytest.raises(TemporaryError):
        other.submit("true", "x" * 9000)
    until((tmp_path / "ran").exists)
    (small_disk / "filling").unlink()
    assert JobState.SUCCEEDED == world.over(key).state
    assert "x\n" == (tmp_path / "ran").read_text()
    other.local.close()
    world.clear()


def test_a_supervisor_starts_fast_and_without_numpy() -> None:
    words = "import sys, cleanhours_plugins.clusters.local.{0}; print(sorted({{'numpy', 'cleanhours', 'dataclasses', 'pathlib'}} & set(sys.modules)))"
    for module in ("supervisor", "watchdog"):
        shown = subprocess.run(
            [sys.executable, "-P", "-c", words.format(module)], capture_output=True, text=True, check=True
        )
        assert "[]\n" == shown.stdout


def test_it_is_built_with_the_margins_of_planning(still: World) -> None:
    still.rules = Rules(margins=Margins(1.0, timedelta(minutes=3)))
    built = build({"name": "built", "slots": 1}, still)
    request = JobRequest(
        submitted=still.clock.now(), duration=timedelta(hours=1), max_delay=timedelta(minutes=30)
    )
    built.submit(Submission(name="job", command=("true",), request=request, folder=still.folder))
    with built._asking() as queue:
        latest_us = queue.all("SELECT latest_us FROM jobs")[0][0]
    assert (request.submitted + timedelta(minutes=27)).replace(microsecond=0) == instant_at(latest_us)
    still.local = built
