"""kill -9 of the controller, and of Slurm's own, at any moment: every job runs once, in time, and is accounted once."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from subprocess import Popen
from typing import Any

import pytest

from cleanhours.domain.times import format_instant, instant_of
from tests.integration.slurm.site import Site, started_site, wait_until
from tests.integration.slurm.stalling import stalled
from tests.integration.slurm.test_wrapper_kills import grow_old, kill_watchdog, other_state, watchdogs
from tests.integration.slurm.worlds import (
    clean_hour,
    dirty_at_first,
    forget_forecasts,
    now,
    only_job,
    write_settings,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONTROLLER = (*Site.words("cleanhours.__main__", "main"), "controller")
WRAPPER = Site.words("cleanhours.apps.sbatch", "main")
SETTINGS = """\
[planning]
tick = "1s"
queue_margin = "2s"
safety = 1.0

[clusters.slurm]
type = "slurm"
poll = "1s"
queue_margin = "10s"

[metrics]
listen = "off"

[locations.de]
zone = "DE"

[forecasts]
chain = ["csv:{forecast}"]
"""
SLOT_S = 10
JOBS = 20
KILLS = 10
SPREAD_S = 30
LATE_S = 2
"""A job that begins in the last second of its time may end a moment late: Slurm starts no sooner than it looks."""


@dataclass(frozen=True)
class Ran:
    """What a job wrote when it began."""

    name: str
    at: int


@pytest.fixture
def site() -> Iterator[Site]:
    """One that may be broken, with accounts."""
    with started_site("-c", "16") as site:
        yield site


def test_controllers_killed_at_any_moment_lose_nothing_and_repeat_nothing(site: Site) -> None:
    dice = random.Random(int(os.environ.get("CLEANHOURS_SEED", "11")))
    forecast(site, 0)
    deadlines = submit_all(site, dice)
    for turn in range(KILLS):
        controller = start(site)
        time.sleep(dice.uniform(0.5, 3))
        controller.kill()
        controller.communicate()
        forecast(site, turn + 1)
        if turn == KILLS // 2:
            site.stop("slurmctld")
            controller = start(site)
            time.sleep(1)
            site.start_again("slurmctld")
            controller.kill()
            controller.communicate()
    controller = start(site)
    try:
        wait_until(lambda: not site.jobs(), "all have run", patience_s=120)
        wait_until(lambda: len(report(site)) == JOBS, "all are accounted", patience_s=30)
    finally:
        controller.terminate()
        controller.communicate(timeout=90)
    site.cleanhours("controller", "--once")

    assert Counter(deadlines.keys()) == Counter(one.name for one in ran(site))
    assert {} == {
        one.name: one.at - deadlines[one.name] for one in ran(site) if one.at > deadlines[one.name] + LATE_S
    }
    assert [] == site.jobs()
    assert JOBS == len(report(site))
    assert {"succeeded"} == {row["state"] for row in report(site)}
    assert set(deadlines) == {row["job"] for row in report(site)}
    assert {True} == {row["deadline_kept"] for row in report(site)}


STEPS = {
    "before-it-is-requeued": "requeuehold",
    "before-it-is-told-when": "StartTime=",
    "before-it-is-let-go": "release",
}


@pytest.mark.parametrize("word", STEPS.values(), ids=STEPS.keys())
def test_a_controller_that_dies_while_it_requeues_holds_no_job_for_ever(site: Site, word: str) -> None:
    write_settings(site, lambda _: (200.0, 200.0))
    words = "max-delay=20h interruptible checkpoint=1m power=100W"
    job = only_job(site.wrapper("--carbon", words, "-t", "30", "-p", "de", "--requeue", "--open-mode=append", "--wrap",
                                "echo run $SLURM_RESTART_COUNT; [ -n \"$SLURM_RESTART_COUNT\" ] || sleep 300").stdout)  # fmt: skip
    wait_until(lambda: site.state(job) == "RUNNING", "it runs")
    began = int(site.show(job)["start"])
    write_settings(site, dirty_at_first)
    start_at = str(clean_hour())
    stall = stalled(site, "scontrol", "requeue", word)

    controller = site.start(*CONTROLLER, "--once", environment=stall.environment)
    stall.until_reached()
    controller.kill()
    controller.communicate()
    stall.end()
    site.cleanhours("controller", "--once")

    wait_until(lambda: site.show(job)["reason"] == "BeginTime", "it waits, and nobody holds it")
    assert ("PENDING", start_at) == (site.state(job), site.show(job)["start"])
    assert f"runs={began}-" in site.show(job)["comment"]
    # in the second in which it stopped Slurm would fail it
    site.run("scontrol", "update", f"JobId={job}", f"StartTime=uts{now() + 3}")
    wait_until(lambda: site.state(job) == "COMPLETED", "it runs again, and ends")
    assert ["run", "run 1"] == [line.strip() for line in output(site, job) if line.startswith("run")]
    for _ in range(2):
        site.cleanhours("controller", "--once")
    [row] = report(site)
    assert ("succeeded", 1) == (row["state"], row["pauses"])


def test_a_job_that_a_dead_controller_left_held_is_let_go_though_no_other_comes(site: Site) -> None:
    write_settings(site, lambda _: (200.0, 200.0))
    words = "max-delay=20h interruptible checkpoint=1m power=100W"
    job = only_job(site.wrapper("--carbon", words, "-t", "30", "-p", "de", "--requeue", "--wrap", "sleep 300").stdout)  # fmt: skip
    wait_until(lambda: site.state(job) == "RUNNING", "it runs")
    write_settings(site, dirty_at_first)
    stall, elsewhere = stalled(site, "scontrol", "left-held", "StartTime="), other_state(site, "left-held")

    controller = site.start(*CONTROLLER, "--once", environment={**stall.environment, **elsewhere})
    stall.until_reached()
    controller.kill()
    controller.communicate()
    stall.end()
    wait_until(lambda: "requeued" in site.show(job)["reason"], "it is held")
    assert [1] == [len(watchdogs(site, "left-held"))], "somebody looks after it"
    kill_watchdog(site, "left-held")
    grow_old(site, "left-held")  # a minute passes, and whoever submits next does it
    site.wrapper("--carbon", "max-delay=20h", "-t", "30", "--wrap", "true", environment=elsewhere)

    wait_until(lambda: "held" not in site.show(job)["reason"], "it is let go")


def output(site: Site, job: str) -> list[str]:
    return (site.home / f"slurm-{job}.out").read_text("utf-8").splitlines()


def start(site: Site) -> Popen[str]:
    """A controller on a machine in another time zone."""
    return site.start(*CONTROLLER, environment={"TZ": "America/New_York"})


def submit_all(site: Site, dice: random.Random) -> dict[str, int]:
    """Short jobs whose starts are spread over half a minute; when each must have begun, by name."""
    deadlines: dict[str, int] = {}
    waiting: list[Popen[str]] = []
    for number in range(JOBS):
        name, deadline = f"job-{number}", now() + dice.randrange(70, 130)
        earliest = now() + dice.randrange(10, 10 + SPREAD_S)
        words = f"duration=2s power=100W deadline={instant(deadline)} earliest={instant(earliest)}"
        work = f"echo {name} $(date +%s) >> ran; sleep 1"
        waiting.append(site.start(*WRAPPER, "--carbon", words, "-J", name, "-t", "1", "--wrap", work))
        deadlines[name] = deadline
        if len(waiting) == 4:
            finish(waiting)
    finish(waiting)
    return deadlines


def finish(processes: list[Popen[str]]) -> None:
    for process in processes:
        _, said = process.communicate(timeout=60)

        assert "cleanhours: Start " in said
    processes.clear()


def forecast(site: Site, turn: int) -> None:
    """Every other ten seconds are clean; with each turn it is the others."""
    begins = now() // SLOT_S * SLOT_S
    rows = [
        f"{instant(begins + slot * SLOT_S)},{100 if (begins // SLOT_S + slot + turn) % 2 else 500}"
        for slot in range(-12, 60)
    ]
    file = site.home / "forecast.csv"
    fresh = file.with_suffix(".new")
    fresh.write_text("\n".join(["time,DE", *rows]) + "\n", "utf-8")
    fresh.chmod(0o644)
    fresh.replace(file)
    site.settings(SETTINGS.format(forecast=file))
    forget_forecasts(site)


def instant(seconds: int) -> str:
    return format_instant(instant_of(seconds))


def ran(site: Site) -> list[Ran]:
    lines = (site.home / "ran").read_text("utf-8").split("\n")
    return [Ran(name, int(at)) for name, at in (line.split() for line in lines if line)]


def report(site: Site) -> Sequence[dict[str, Any]]:
    return list(json.loads(site.cleanhours("report", "--json").stdout)["runs"])
