"""Real commands, good and bad: what they leave behind, and what is known of them afterwards."""

from __future__ import annotations

import signal
import stat
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.caps import Cap
from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.jobs import Action, JobState
from tests.integration.local.worlds import World, kill, processes_with, until


def test_a_held_job_has_no_process(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "echo x >> ran")
    assert not processes_with(str(world.local.folder), key.uid)
    assert [] == world.lines()


def test_output_goes_to_private_files(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "echo out; echo err >&2; read x || echo nothing to read")
    world.release(key)
    world.over(key)
    assert "out\nnothing to read\n" == world.output(key)
    assert "err\n" == world.output(key, "stderr")
    for path in (world.local.output(key) / "stdout", world.local.folder / "queue.sqlite"):
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    for path in (world.local.output(key), world.local.folder):
        assert 0o700 == stat.S_IMODE(path.stat().st_mode)


def test_a_command_runs_in_its_folder_with_its_environment_and_in_a_group_of_its_own(world: World) -> None:
    words = 'pwd; echo "$WORD"; echo "$$ $(ps -o pgid= -p $$)"'
    key = world.submit("/bin/sh", "-c", words, environment={"WORD": "a b\nc"})
    world.release(key)
    run = world.over(key)
    folder, word, rest, group = world.output(key).splitlines()
    assert str(world.folder) == folder
    assert ("a b", "c") == (word, rest)
    assert 1 == len(set(group.split()))
    assert (group.split()[0],) == run.segments[0].handles


SAYS_CAP = ("/bin/sh", "-c", 'echo "cap=$CLEANHOURS_POWER_CAP_W"')


def test_a_command_is_told_its_power_cap_and_none_that_is_not_its_own(world: World) -> None:
    capped = world.submit(*SAYS_CAP)
    assert "" == world.tell(capped, Action.RELEASE, cap=Cap(250, 1.1, 800, 1000)).error
    assert Cap(250, 1.1, 800, 1000) == (world.over(capped).plan or pytest.fail("no plan")).cap
    assert "cap=250\n" == world.output(capped)

    inherited = world.submit(*SAYS_CAP, environment={"CLEANHOURS_POWER_CAP_W": "100"})
    world.release(inherited)
    world.over(inherited)
    assert "cap=\n" == world.output(inherited)


def test_a_command_gets_the_signals_and_files_of_a_fresh_process(world: World) -> None:
    words = (
        "import os, signal as s;"
        "print([n.name for n in (s.SIGINT, s.SIGQUIT, s.SIGTERM, s.SIGHUP, s.SIGUSR1, s.SIGCHLD)"
        " if s.getsignal(n) is s.SIG_IGN], s.pthread_sigmask(s.SIG_BLOCK, []), len(os.listdir('/proc/self/fd')))"
    )
    key = world.submit(sys.executable, "-c", words)
    world.release(key)
    world.over(key)
    assert "[] set() 4\n" == world.output(key)  # 0, 1, 2 and the listing itself


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("no-such-program",), 127, "No such file"),
        (("/etc",), 126, "Permission denied"),
        (("/bin/sh", "-c", "kill -9 $$"), 137, "SIGKILL"),
    ],
)
def test_a_command_that_cannot_start_or_is_killed_fails_with_the_reason(
    world: World, command: tuple[str, ...], code: int, said: str
) -> None:
    key = world.submit(*command)
    world.release(key)
    run = world.over(key)
    assert (JobState.FAILED, code) == (run.state, run.exit_code)
    assert said in run.message


def test_a_folder_that_went_away_fails_with_the_reason(world: World) -> None:
    gone = world.folder / "gone"
    gone.mkdir()
    world.folder, here = gone, world.folder
    key = world.submit("true")
    gone.rmdir()
    world.folder = here
    world.release(key)
    assert "gone" in world.over(key).message


def test_what_a_job_leaves_behind_ends_with_it_wherever_it_hid(world: World) -> None:
    script = "(setsid sh -c 'echo $$ >> ran; while :; do sleep 0.02; done' &) ; sh -c 'echo $$ >> ran; sleep 60' & while [ $(wc -l < ran) -lt 2 ]; do sleep 0.02; done"
    (world.folder / "ran").touch()
    key = world.submit("/bin/sh", "-c", script)
    world.release(key)
    run = world.over(key)
    assert JobState.SUCCEEDED == run.state
    pids = [int(line) for line in world.lines()]
    assert 2 == len(pids)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_forked_child_is_stopped_with_its_job_even_in_another_session(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "setsid sh -c 'while :; do echo x >> ran; sleep 0.02; done' & wait")
    world.release(key)
    until(lambda: len(world.lines()) > 2)
    world.tell(key, Action.SUSPEND)
    world.until_state(key, JobState.PAUSED)
    before = len(world.lines())
    since = world.clock.now()
    until(lambda: world.clock.now() > since + timedelta(minutes=2))
    assert before == len(world.lines())
    world.tell(key, Action.RESUME)
    until(lambda: len(world.lines()) > before)


def test_resource_use_counts_every_descendant(world: World) -> None:
    burn = "import os, time, sys\nif os.fork(): os.wait()\nb = bytearray(60_000_000)\nwhile time.process_time() < 0.15: pass"
    key = world.submit(sys.executable, "-c", burn)
    world.release(key)
    run = world.over(key)
    assert 0.3 <= run.usage["cpu_seconds"] < 3
    assert 60e6 < run.usage["max_rss_bytes"] < 200e6


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "trap '' TERM; echo x >> ran; while :; do sleep 0.02; done")
    world.release(key)
    until(lambda: world.lines() == ["x"])
    world.until_state(key, JobState.RUNNING)
    assert world.local.cancel(key)
    run = world.over(key)
    assert (JobState.CANCELLED, 137) == (run.state, run.exit_code)
    assert run.segments[0].end is not None


def test_a_paused_job_can_be_cancelled(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "trap 'echo bye >> ran; exit 0' TERM; while :; do sleep 0.02; done")
    world.release(key)
    world.until_state(key, JobState.RUNNING)
    world.tell(key, Action.SUSPEND)
    world.until_state(key, JobState.PAUSED)
    assert world.local.cancel(key)
    assert JobState.CANCELLED == world.over(key).state
    assert ["bye"] == world.lines()


def restarting(world: World, trap: str) -> tuple[str, ...]:
    """Counts to 10 in a file; its checkpoint is that file."""
    return (
        "/bin/sh",
        "-c",
        f"trap {trap} TERM; while [ $(wc -l < ran) -lt 10 ]; do echo x >> ran; sleep 0.03; done; echo all",
    )


@pytest.mark.parametrize("trap", ["'exit 0'", "'exit 9'", "''"])
def test_a_job_that_restarts_keeps_its_work_and_its_log(world: World, trap: str) -> None:
    (world.folder / "ran").touch()
    command = restarting(world, trap)
    key = world.submit(
        *command, restart=command, duration=timedelta(minutes=5), checkpoint=timedelta(minutes=1)
    )
    world.release(key)
    until(lambda: len(world.lines()) >= 2)
    world.until_state(key, JobState.RUNNING)
    world.tell(key, Action.SUSPEND)
    if trap != "''":  # else it may be done before it is killed
        world.until_state(key, JobState.PAUSED)
        until(lambda: not processes_with(str(world.local.folder), "local.supervisor"))
        assert 2 <= len(world.lines()) < 10
        assert "" == world.tell(key, Action.RESUME).error
        run = world.over(key)
        assert (JobState.SUCCEEDED, 2) == (run.state, len(run.segments))
        assert 2 == len({segment.handles for segment in run.segments})
        assert 10 == len(world.lines())
        assert "all\n" == world.output(key)


def test_a_restarting_job_that_ignores_sigterm_is_killed_and_goes_on(world: World) -> None:
    (world.folder / "ran").touch()
    stubborn = ("/bin/sh", "-c", "trap '' TERM; echo x >> ran; while :; do sleep 0.02; done")
    key = world.submit(*stubborn, restart=("/bin/sh", "-c", "echo again >> ran"))
    world.release(key)
    until(lambda: world.lines() == ["x"])
    world.until_state(key, JobState.RUNNING)
    world.tell(key, Action.SUSPEND)
    assert JobState.PAUSING == world.find(key).state
    assert "it is still being paused: try again" == world.tell(key, Action.RESUME).error
    world.until_state(key, JobState.PAUSED)
    world.tell(key, Action.RESUME)
    assert JobState.SUCCEEDED == world.over(key).state
    assert ["x", "again"] == world.lines()


def test_a_stopped_process_that_is_killed_by_others_fails(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "while :; do sleep 0.02; done")
    world.release(key)
    world.until_state(key, JobState.RUNNING)
    world.tell(key, Action.SUSPEND)
    world.until_state(key, JobState.PAUSED)
    (row,) = world.rows()
    kill(int(row["process"].split(":")[0]), signal.SIGKILL)
    assert (JobState.FAILED, "killed by SIGKILL") == (world.over(key).state, world.over(key).message)


def test_a_name_that_could_write_on_a_terminal_is_refused_and_hostile_arguments_are_kept(
    world: World,
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        world.submit("printf", "\0", name="\x1b[2J", restart=("",), environment={"A=B": "x"})
    assert ["name", "command[1]", "restart", "environment"] == [c.field for c in refused.value.complaints]
    key = world.submit("printf", "%s|", "'; DROP TABLE jobs; --", "$(reboot)", "\x1b[31m\n", "ü\udcff", "-n")
    world.release(key)
    assert JobState.SUCCEEDED == world.over(key).state
    raw = (world.local.output(key) / "stdout").read_bytes()
    assert b"'; DROP TABLE jobs; --|$(reboot)|\x1b[31m\n|\xc3\xbc\xff|-n|" == raw
