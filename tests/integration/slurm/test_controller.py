"""The controller on a real Slurm: plans again, moves start times, requeues what may pause, accounts what ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.worlds import (
    HOUR,
    clean_hour,
    dirty_at_first,
    forget_forecasts,
    now,
    only_job,
    this_hour,
    write_settings,
)

pytestmark = pytest.mark.integration


def clean_at_first(hour: int) -> tuple[float, float]:
    return (100.0, 50.0) if hour < 3 else (500.0, 400.0)


def even(_: int) -> tuple[float, float]:
    return (200.0, 200.0)


@pytest.fixture
def site(slurm: Site) -> Site:
    write_settings(slurm, dirty_at_first)
    return slurm


def tick(site: Site) -> None:
    site.cleanhours("controller", "--once")


def test_a_new_forecast_moves_a_start(site: Site) -> None:
    job = submitted(site, "max-delay=12h", "-p", "de")
    assert clean_hour() == int(site.show(job)["start"])

    write_settings(site, lambda hour: (500.0, 500.0) if hour < 5 else (100.0, 100.0))
    tick(site)

    assert this_hour() + 5 * HOUR == int(site.show(job)["start"])


def test_a_new_forecast_moves_a_job_to_another_partition(site: Site) -> None:
    job = submitted(site, "max-delay=12h locations=de,fr")
    assert "fr" == site.show(job)["partition"]

    write_settings(site, lambda hour: (30.0, 400.0) if hour > 2 else (500.0, 500.0))
    tick(site)

    assert "de" == site.show(job)["partition"]


def test_a_job_that_its_owner_moved_stays_where_he_put_it(site: Site) -> None:
    job = submitted(site, "max-delay=12h locations=de,fr")
    assert "fr" == site.show(job)["partition"]

    site.run("scontrol", "update", f"JobId={job}", "Partition=de")
    write_settings(site, lambda hour: (500.0, 5.0) if hour < 5 else (100.0, 50.0))
    tick(site)

    assert ("de", this_hour() + 5 * HOUR) == (site.show(job)["partition"], int(site.show(job)["start"]))
    assert "locations=" not in site.show(job)["comment"]
    assert "home=de" in site.show(job)["comment"]
    tick(site)
    assert "de" == site.show(job)["partition"]


def test_an_array_too_large_for_its_partition_waits_for_its_clean_hour_too(site: Site) -> None:
    """As a whole it would never fit, and wait until it must run."""
    job = submitted(site, "max-delay=20h", "-p", "de", "-a", "0-99")

    tick(site)

    assert clean_hour() == int(site.show(job)["start"])
    assert "lowest-window" in site.show(job)["comment"]


def test_a_second_tick_changes_nothing(site: Site) -> None:
    job = submitted(site, "max-delay=12h locations=de,fr")
    tick(site)
    before = placed(site, job)

    tick(site)

    assert before == placed(site, job)


def test_a_job_that_only_wears_our_tag_is_planned(site: Site) -> None:
    """As `job_submit.lua` leaves it."""
    tag = f"my text cleanhours:v1;submitted={now()};home=de;max-delay=12h"
    job = site.sbatch(
        "-t", "30", "-p", "de", f"--begin=uts{now() + HOUR}", "--comment", tag, "--wrap", "true"
    )

    tick(site)

    assert clean_hour() == int(site.show(job)["start"])
    assert site.show(job)["comment"].startswith("my text cleanhours:v1;")


def test_a_job_without_our_tag_is_never_touched(site: Site) -> None:
    job = site.sbatch("-t", "30", "--begin=now+1hour", "--comment", "cleanhours is nice", "--wrap", "true")
    before = placed(site, job)

    tick(site)

    assert before == placed(site, job)


def test_what_its_owner_holds_or_moves_himself_is_his(site: Site) -> None:
    held = submitted(site, "max-delay=12h", "-p", "de")
    moved = submitted(site, "max-delay=12h", "-p", "de")
    site.run("scontrol", "hold", held)
    site.run("scontrol", "update", f"JobId={moved}", f"StartTime=uts{now() + 7 * HOUR}")
    before = placed(site, held), placed(site, moved)

    write_settings(site, lambda hour: (500.0, 500.0) if hour < 5 else (100.0, 100.0))
    tick(site)

    assert before == (placed(site, held), placed(site, moved))


def test_a_tag_that_cannot_be_read_lets_the_job_run(site: Site) -> None:
    job = site.sbatch("-t", "30", "-p", "de", "--begin=now+1hour",
                      "--comment", "cleanhours:v1;submitted=yesterday", "--wrap", "sleep 60")  # fmt: skip

    tick(site)

    wait_until(lambda: site.state(job) == "RUNNING", "it runs")


def test_a_job_whose_latest_start_has_come_runs_whatever_the_forecast_says(site: Site) -> None:
    tag = f"cleanhours:v1;submitted={now() - HOUR};home=de;max-delay=1h"
    job = site.sbatch("-t", "30", "-p", "de", "--begin=now+5hours", "--comment", tag, "--wrap", "sleep 60")

    tick(site)

    wait_until(lambda: site.state(job) == "RUNNING", "it runs")


def test_a_running_job_that_may_pause_is_requeued_and_goes_on_in_the_cleaner_place(site: Site) -> None:
    write_settings(site, even)
    job = submitted(site, "max-delay=20h interruptible checkpoint=1m locations=de,fr", "-p", "de,fr",
                    "--requeue", "--open-mode=append", work="echo run $SLURM_RESTART_COUNT; sleep 300")  # fmt: skip
    wait_until(lambda: site.state(job) == "RUNNING", "it runs")
    began = int(site.show(job)["start"])

    write_settings(site, dirty_at_first)
    tick(site)

    wait_until(lambda: site.state(job) == "PENDING", "it waits again")
    seen = site.show(job)
    assert (clean_hour(), "fr", "BeginTime") == (int(seen["start"]), seen["partition"], seen["reason"])
    assert f"runs={began}-" in seen["comment"]
    assert "paused=yes" in seen["comment"]
    # not at once: a requeued job that starts in the second in which it stopped fails
    site.run("scontrol", "update", f"JobId={job}", f"StartTime=uts{now() + 3}")
    wait_until(lambda: site.state(job) == "RUNNING", "it runs again")
    output = site.home / f"slurm-{job}.out"
    wait_until(lambda: "run 1" in site.root("cat", str(output)), "it counts its restart")
    assert site.root("cat", str(output)).startswith("run\n")


def test_a_job_that_is_to_be_warned_hears_its_signal_and_is_requeued_when_it_had_its_time(site: Site) -> None:
    warned = 'warning = "USR1"\nwarning_time = "1s"'
    write_settings(site, even, warned)
    work = "trap 'echo checkpoint' USR1; echo run $SLURM_RESTART_COUNT; while :; do sleep 0.1; done"
    job = submitted(
        site, "max-delay=20h interruptible", "-p", "de", "--requeue", "--open-mode=append", work=work
    )
    output = site.home / f"slurm-{job}.out"
    wait_until(lambda: output.exists() and "run" in site.root("cat", output), "its trap is set")

    write_settings(site, dirty_at_first, warned)
    tick(site)
    wait_until(lambda: "checkpoint" in site.root("cat", output), "it writes its checkpoint")
    assert "RUNNING" == site.state(job)
    warned_at = int(site.show(job)["comment"].partition(";warned=")[2].partition(";")[0])
    wait_until(lambda: now() > warned_at + 1, "its time is over")
    tick(site)

    wait_until(lambda: site.state(job) == "PENDING", "it waits again")
    assert clean_hour() == int(site.show(job)["start"])
    assert "run\ncheckpoint\n" == site.root("cat", output).partition("slurmstepd")[0]


def test_of_an_array_whose_tasks_pause_no_other_starts_instead(site: Site) -> None:
    """Slurm would start the next two at once, only to see them stopped at the next tick."""
    write_settings(site, even)
    job = submitted(
        site, "max-delay=20h interruptible", "-p", "de", "-a", "0-5%2", "--requeue", work="sleep 300"
    )
    wait_until(lambda: 2 == running(site), "two tasks run")
    write_settings(site, dirty_at_first)

    tick(site)

    wait_until(lambda: 0 == running(site), "they stop")
    wait_until(lambda: {str(clean_hour())} == starts(site, job), "all wait for the clean hour")
    assert 0 == running(site)


def running(site: Site) -> int:
    return len(site.root("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i").split())


def starts(site: Site, job: str) -> set[str]:
    shown = site.root("env", "SLURM_TIME_FORMAT=%s", "squeue", "-h", "-r", "-j", job, "-o", "%S")
    return set(shown.split())


def test_a_job_that_must_not_be_requeued_is_not(site: Site) -> None:
    write_settings(site, even)
    job = submitted(site, "max-delay=20h interruptible", "-p", "de", "--no-requeue", work="sleep 60")
    wait_until(lambda: site.state(job) == "RUNNING", "it runs")

    write_settings(site, dirty_at_first)
    tick(site)

    assert "RUNNING" == site.state(job)


def test_what_ended_is_accounted_once(site: Site) -> None:
    write_settings(site, even)
    job = submitted(site, "max-delay=1h power=100W", "-p", "de", work="sleep 3")
    wait_until(lambda: site.state(job) == "RUNNING", "it runs")
    tick(site)
    wait_until(lambda: site.state(job) == "COMPLETED", "it ends")

    for _ in range(3):
        tick(site)

    [row] = [row for row in report(site) if row["uid"].startswith(f"{job}-")]
    assert ("succeeded", "declared", "de") == (row["state"], row["methods"], row["location"])
    assert row["energy_mj"] == pytest.approx(100_000 * row["running_s"])


def test_a_job_that_was_cancelled_while_it_waited_is_noted_once_without_energy_and_leaves_nothing(
    site: Site,
) -> None:
    job = submitted(site, "max-delay=12h power=100W", "-p", "de")
    tick(site)
    site.run("scancel", job)

    for _ in range(2):
        tick(site)

    [row] = [row for row in report(site) if row["uid"].startswith(f"{job}-")]
    assert ("cancelled", "it never ran", 0) == (row["state"], row["unmeasured"], row["running_s"])
    assert {None} == {row[name] for name in ("energy_mj", "emissions_ug", "baseline_ug", "avoided_ug")}
    assert [] == json.loads(site.cleanhours("jobs", "--json").stdout)


def test_slurm_away_is_said_and_costs_nothing(site: Site) -> None:
    job = submitted(site, "max-delay=12h", "-p", "de")
    site.stop("slurmctld")
    try:
        away = site.cleanhours("controller", "--once", check=False)
    finally:
        site.start_again("slurmctld")

    assert "Unable to contact" in away.stderr
    assert away.returncode != 0, "cron tells it"
    assert "no answer from slurm" in away.stderr
    forget_forecasts(site)
    tick(site)
    assert clean_hour() == int(site.show(job)["start"])


def submitted(site: Site, words: str, *options: str, work: str = "true") -> str:
    done = site.wrapper("--carbon", words, "-t", "30", *options, "--wrap", work)
    return only_job(done.stdout)


def report(site: Site) -> list[dict[str, Any]]:
    return list(json.loads(site.cleanhours("report", "--json").stdout)["runs"])


def placed(site: Site, job: str) -> tuple[str, ...]:
    """What a tick may change of a waiting job."""
    seen = site.show(job)
    return tuple(seen[name] for name in ("state", "start", "partition", "features", "comment"))
