"""kill -9 of `cleanhours-sbatch` at every step: no job is left held, none is there twice, no other hold is touched."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from cleanhours_plugins.clusters.slurm.recording import new_record
from tests.integration.slurm.site import Site, started_site, wait_until
from tests.integration.slurm.stalling import Stall, kill, stalled, who_has_open
from tests.integration.slurm.worlds import (
    clean_hour,
    dirty_at_first,
    now,
    records,
    script,
    write_settings,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WRAPPER = Site.words("cleanhours.apps.sbatch", "main")
WORK = ("-t", "30", "--wrap", "sleep 600")
AT_RANDOM = 12
A_MINUTE_AND_A_LITTLE_S = 100
OLD_S = 120
"""So old is no submission that is under way."""

STEPS = {
    "look": ("squeue", ""),
    "script": ("scontrol", "write"),
    "update": ("scontrol", "update"),
    "release": ("scontrol", "release"),
}
UNHEARD = """\
#!/bin/sh
case " $* " in *" --hold "*) /usr/bin/sbatch "$@" >/dev/null; sleep 4; echo "Socket timed out" >&2; exit 1 ;; esac
exec /usr/bin/sbatch "$@"
"""


@dataclass(frozen=True)
class Scene:
    """A site, its folder of records, and the submissions that were killed there."""

    site: Site
    clean: int
    began_s: float

    def job(self, name: str) -> dict[str, str]:
        """The only job of that name."""
        found = numbers(self.site, name)

        assert 1 == len(found), f"{name}: {found}"
        return self.site.show(found[0])


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Everything is killed at once, and one minute passes for all of it."""
    with started_site("-c", "32") as site:
        clean = clean_hour()
        write_settings(site, dirty_at_first)
        stalls: list[Stall] = []
        began_s = time.monotonic()
        # who comes first leaves the watchdog, in an environment in which nothing stands still
        site.wrapper("--carbon", "max-delay=12h", "-J", "first", *WORK)
        site.sbatch("-J", "own", "--hold", *WORK)
        for step, (program, word) in STEPS.items():
            stalls.append(killed_at(site, step, program, word))
        stalls.append(killed_at(site, "quiet", "squeue", "", "-Q"))
        stalls.append(killed_at(site, "waiting", "squeue", "", "--wait"))
        waiting = session_of(site, number(site, "waiting"))
        stalls.append(killed_at(site, "array", "scontrol", "release", "-a", "0-3"))
        stalls.append(killed_at(site, "parts", "squeue", "", "-n1", ":", "-n1"))
        stalls.append(
            killed_at(site, "dependent", "scontrol", "release", "-d", f"after:{number(site, 'own')}")
        )
        stalls.append(killed_at(site, "begin", "scontrol", "release", "--begin=now+2hours"))
        stalls.append(killed_at(site, "held-by-option", "squeue", "", "-H"))
        stalls.append(killed_at(site, "held-by-script", "squeue", "", "held.sh"))
        killed_while_sbatch_runs(site)
        killed_at_random(site)
        site.sbatch("-J", "own-too", "--hold", *WORK)
        yield Scene(site, clean, began_s)
        for stall in stalls:
            stall.end()
        kill(waiting)  # it would wait for its job for ever


def killed_at(site: Site, name: str, program: str, word: str, *options: str) -> Stall:
    """A submission killed while it waits for that command; what it waited for is never done."""
    if options == ("held.sh",):
        held = script(site, "#!/bin/bash\n#SBATCH --hold\nsleep 600\n", "held.sh")
        arguments: tuple[str | Path, ...] = ("-J", name, "-t", "30", held)
    else:
        arguments = ("-J", name, *options, *WORK)
    stall = stalled(site, program, name, word)
    submit_and_kill(site, stall, *arguments, environment=stall.environment)
    stall.end()
    return stall


def killed_while_sbatch_runs(site: Site) -> None:
    """It goes on by itself, and leaves a job that is held."""
    slow = stalled(site, "sbatch", "sbatch", "--hold", seconds=2)
    submit_and_kill(site, slow, "-J", "sbatch", *WORK, environment={"CLEANHOURS_SBATCH": slow.command})
    wait_until(lambda: numbers(site, "sbatch"), "its sbatch submits")


def killed_at_random(site: Site) -> None:
    dice = random.Random(int(os.environ.get("CLEANHOURS_SEED", "7")))
    for turn in range(AT_RANDOM):
        process = site.start(*WRAPPER, "--carbon", "max-delay=12h", "-J", f"random-{turn}", *WORK)
        time.sleep(dice.uniform(0, 0.5))
        process.kill()
        process.wait(10)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def submit_and_kill(site: Site, stall: Stall, *arguments: str | Path, environment: Mapping[str, str]) -> None:
    process = site.start(*WRAPPER, "--carbon", "max-delay=12h", *arguments, environment=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    with closing(process.stdout), closing(process.stderr):
        stall.until_reached()
        process.kill()
        process.wait(10)


# -- what needs no minute, while it passes ------------------------------------------------------------------------------


def test_what_was_killed_a_moment_ago_is_left_alone(scene: Scene) -> None:
    scene.site.cleanhours("controller", "--once")

    assert "JobHeldUser" == scene.job("look")["reason"]
    assert "JobHeldUser" == scene.job("release")["reason"]


def test_the_next_submission_repairs_what_a_killed_watchdog_did_not(scene: Scene) -> None:
    site, elsewhere = scene.site, other_state(scene.site, "next")
    stall = stalled(site, "squeue", "next")
    submit_and_kill(site, stall, "-J", "next", *WORK, environment={**stall.environment, **elsewhere})
    stall.end()
    kill_watchdog(site, "next")
    grow_old(site, "next")

    site.wrapper("--carbon", "max-delay=12h", "-J", "after", *WORK, environment=elsewhere)

    wait_until(lambda: scene.job("next")["reason"] != "JobHeldUser", "it is let go")
    kill_watchdog(site, "next")


def test_a_controller_repairs_what_a_killed_watchdog_did_not(scene: Scene) -> None:
    site, elsewhere = scene.site, other_state(scene.site, "controller")
    stall = stalled(site, "scontrol", "controller", "release")
    submit_and_kill(site, stall, "-J", "controller", *WORK, environment={**stall.environment, **elsewhere})
    stall.end()
    kill_watchdog(site, "controller")
    grow_old(site, "controller")

    site.cleanhours("controller", "--once", environment=elsewhere)

    wait_until(lambda: scene.job("controller")["reason"] == "BeginTime", "it is let go")
    assert str(scene.clean) == scene.job("controller")["start"]
    assert [] == kept(site, "controller")


def test_a_hold_that_its_script_asks_for_is_nobody_s_to_release(scene: Scene) -> None:
    site, elsewhere = scene.site, other_state(scene.site, "script")
    stall = stalled(site, "squeue", "script-too")
    held = script(site, "#!/bin/bash\n#SBATCH --hold\nsleep 600\n", "held.sh")
    submit_and_kill(site, stall, "-J", "script-too", held, environment={**stall.environment, **elsewhere})
    stall.end()
    kill_watchdog(site, "script")
    grow_old(site, "script")

    site.cleanhours("controller", "--once", environment=elsewhere)

    assert "JobHeldUser" == scene.job("script-too")["reason"]
    assert [] == kept(site, "script")


def test_an_sbatch_that_goes_on_for_minutes_is_waited_for(scene: Scene) -> None:
    site, elsewhere = scene.site, other_state(scene.site, "slow")
    slow = stalled(site, "sbatch", "slow", "--hold", seconds=6)
    submit_and_kill(site, slow, "-J", "slow", *WORK,
                    environment={"CLEANHOURS_SBATCH": slow.command, **elsewhere})  # fmt: skip
    kill_watchdog(site, "slow")
    grow_old(site, "slow")

    site.cleanhours("controller", "--once", environment=elsewhere)

    assert 1 == len(kept(site, "slow"))
    wait_until(lambda: numbers(site, "slow"), "its sbatch submits")
    site.cleanhours("controller", "--once", environment=elsewhere)
    assert "JobHeldUser" != scene.job("slow")["reason"]
    assert [] == kept(site, "slow")


def test_an_sbatch_that_gave_up_and_was_heard_all_the_same_holds_no_job(scene: Scene) -> None:
    """On a busy site it is told nothing in time, and Slurm has the job."""
    site, elsewhere = scene.site, other_state(scene.site, "unheard")
    unheard = site.home / "unheard.sh"
    unheard.write_text(UNHEARD, "utf-8")
    unheard.chmod(0o755)

    refused = site.wrapper("--carbon", "max-delay=12h", "-J", "unheard", *WORK, check=False,
                           environment={"CLEANHOURS_SBATCH": str(unheard), **elsewhere})  # fmt: skip

    assert (1, "", "Socket timed out\n") == (refused.returncode, refused.stdout, refused.stderr)
    kill_watchdog(site, "unheard")
    grow_old(site, "unheard")
    site.cleanhours("controller", "--once", environment=elsewhere)
    assert "JobHeldUser" != scene.job("unheard")["reason"]
    assert [] == kept(site, "unheard")


def test_a_record_that_is_none_hinders_nobody(scene: Scene) -> None:
    site, elsewhere = scene.site, other_state(scene.site, "strange")
    folder = submissions(site, "strange")
    site.run("mkdir", "-p", folder)
    for name, text in {"a": "{}", "b": "[]", "c": "{", "d": '{"user": 7, "submitted": "soon"}'}.items():
        (folder / f"{name}.json").write_text(text, "utf-8")

    done = site.cleanhours("controller", "--once", environment=elsewhere)

    assert 0 == done.returncode


def test_a_submission_killed_before_its_sbatch_began_is_nobody_s_hold(scene: Scene) -> None:
    site, elsewhere = scene.site, other_state(scene.site, "early")
    folder = submissions(site, "early")
    site.run("mkdir", "-p", folder)
    user = site.run("id", "-un").stdout.strip()
    early = new_record(user, site.variables, now() - OLD_S)
    (folder / "early.json").write_text(json.dumps(asdict(early)), "utf-8")

    site.cleanhours("controller", "--once", environment=elsewhere)

    assert [] == kept(site, "early")
    assert "JobHeldUser" == scene.job("own")["reason"]


def test_slurm_away_when_the_watchdog_comes_is_asked_again() -> None:
    with started_site() as site:
        write_settings(site, dirty_at_first)
        listened = site.home / "listened"
        elsewhere = {**other_state(site, "away"), **listening(site, "squeue", listened)}
        stall = stalled(site, "scontrol", "away", "release")
        submit_and_kill(site, stall, "-J", "away", *WORK, environment={**elsewhere, **stall.environment})
        stall.end()
        kill_watchdog(site, "away")
        grow_old(site, "away")
        site.stop("slurmctld")
        # it submits nothing, but leaves a watchdog, who finds nobody to talk to
        refused = site.wrapper(
            "--carbon", "max-delay=12h", "-J", "after", *WORK, environment=elsewhere, check=False
        )
        wait_until(listened.exists, "the watchdog asks in vain")
        site.start_again("slurmctld")

        assert 0 != refused.returncode
        [job] = numbers(site, "away")
        wait_until(lambda: site.show(job)["reason"] == "BeginTime", "it is let go", patience_s=60)
        kill_watchdog(site, "away")


# -- a minute later -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repaired(scene: Scene) -> Scene:
    left_s = scene.began_s + A_MINUTE_AND_A_LITTLE_S - time.monotonic()
    wait_until(lambda: not records(scene.site), "the watchdog repairs everything", patience_s=max(left_s, 10))
    return scene


@pytest.mark.parametrize("name", ["look", "script", "update", "sbatch", "quiet", "waiting", "parts"])
def test_a_job_that_nobody_planned_runs(repaired: Scene, name: str) -> None:
    [job] = numbers(repaired.site, name)

    wait_until(lambda: repaired.site.state(job) == "RUNNING", "it runs")


@pytest.mark.parametrize("name", ["release", "array"])
def test_a_job_that_was_planned_waits_for_its_clean_hour(repaired: Scene, name: str) -> None:
    seen = repaired.job(name)

    assert ("BeginTime", str(repaired.clean)) == (seen["reason"], seen["start"])
    assert "cleanhours:v1;" in seen["comment"]


def test_a_job_that_waits_for_another_goes_on_waiting_for_it(repaired: Scene) -> None:
    assert "Dependency" == repaired.job("dependent")["reason"]


def test_a_job_that_was_told_when_to_begin_begins_then(repaired: Scene) -> None:
    assert "BeginTime" == repaired.job("begin")["reason"]


@pytest.mark.parametrize("name", ["own", "own-too", "held-by-option", "held-by-script"])
def test_what_its_owner_holds_is_still_held(repaired: Scene, name: str) -> None:
    assert "JobHeldUser" == repaired.job(name)["reason"]


def test_killed_at_any_moment_a_submission_leaves_one_job_or_none_and_none_held(repaired: Scene) -> None:
    site = repaired.site
    for turn in range(AT_RANDOM):
        found = numbers(site, f"random-{turn}")

        assert len(found) <= 1
        assert [] == [job for job in found if site.show(job)["reason"] == "JobHeldUser"]


def test_the_watchdog_leaves_when_nothing_is_left_to_do(repaired: Scene) -> None:
    wait_until(lambda: not watchdogs(repaired.site), "it ends")


def numbers(site: Site, name: str) -> list[str]:
    """Of the jobs of that name that Slurm knows; of an array or of parts, the one by which all are addressed."""
    shown = site.root("squeue", "-h", "-a", "-t", "all", f"--name={name}", "-o", "%i").split()
    return sorted({one.partition("_")[0].partition("+")[0] for one in shown})


def number(site: Site, name: str) -> str:
    [found] = numbers(site, name)
    return found


def listening(site: Site, program: str, file: Path) -> dict[str, str]:
    """An environment in which the exit statuses of one of Slurm's commands are written down."""
    folder = site.home / f"listening-{program}"
    folder.mkdir()
    text = f'#!/bin/sh\n/usr/bin/{program} "$@"\ncode=$?; echo $code >> {file}; exit $code\n'
    (folder / program).write_text(text, "utf-8")
    (folder / program).chmod(0o755)
    folder.chmod(0o755)
    return {"PATH": f"{folder}:{site.variables['PATH']}"}


def session_of(site: Site, job: str) -> int:
    """Of the sbatch that submitted it."""
    found = (json.loads(file.read_text("utf-8")) for file in submissions(site).glob("*.json"))
    return next(int(record["session"]) for record in found if record["job"] == job)


def other_state(site: Site, name: str) -> dict[str, str]:
    """A folder of records of one's own."""
    return {"CLEANHOURS_STATE__FOLDER": str(site.home / f"state-{name}")}


def submissions(site: Site, name: str = "") -> Path:
    state = site.home / f"state-{name}" if name else site.home / ".local" / "state" / "cleanhours"
    return state / "submissions"


def kept(site: Site, name: str) -> list[Path]:
    return sorted(submissions(site, name).glob("*.json"))


def watchdogs(site: Site, name: str = "") -> list[int]:
    return who_has_open(submissions(site, name) / "watchdog.lock")


def kill_watchdog(site: Site, name: str) -> None:
    for pid in watchdogs(site, name):
        kill(pid)
    wait_until(lambda: not watchdogs(site, name), "the watchdog is gone")


def grow_old(site: Site, name: str) -> None:
    """As if two minutes had passed."""
    [file] = kept(site, name)
    record = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**record, "submitted": record["submitted"] - OLD_S}), "utf-8")
