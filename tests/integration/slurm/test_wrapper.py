"""`cleanhours-sbatch` on a real Slurm: submits as sbatch does, and the job waits for its clean hour."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from cleanhours.domain.times import format_instant, instant_of
from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.worlds import (
    HOUR,
    clean_hour,
    dirty_at_first,
    now,
    only_job,
    records,
    script,
    slowed,
    write_settings,
)

pytestmark = pytest.mark.integration

SCRIPT = """\
#!/bin/bash
#SBATCH -t 30 {options}
#CARBON {words}
sleep 60
"""


@pytest.fixture
def site(slurm: Site) -> Site:
    """Dirty for two hours in both zones, then clean; France cleaner than Germany."""
    write_settings(slurm, dirty_at_first)
    return slurm


def test_a_job_waits_for_its_clean_hour_and_says_so(site: Site) -> None:
    done = site.wrapper("--carbon", "max-delay=12h", "-t", "30", "-p", "de", "--wrap", "true")

    job = only_job(done.stdout)
    assert f"Submitted batch job {job}\n" == done.stdout
    assert "cleanhours: Start " in done.stderr
    assert "(lowest-window)" in done.stderr
    assert ("PENDING", "de") == (site.state(job), site.show(job)["partition"])
    assert clean_hour() == int(site.show(job)["start"])
    assert "JobHeldUser" != site.show(job)["reason"]
    assert [] == records(site)


CURVES = """
[power_curves.net]
points = [{ limit_w = 300, time_s = 100, energy_j = 100000 }, { limit_w = 250, time_s = 104, energy_j = 84000 }]
"""


def test_a_power_cap_is_chosen_with_the_window_and_stands_in_the_comment(slurm: Site) -> None:
    write_settings(slurm, dirty_at_first, CURVES)
    words = "max-delay=12h duration=50m power-curve=net"
    done = slurm.wrapper("--carbon", words, "-t", "60", "-p", "de", "--wrap", "true")

    assert "capped at 250 W, 4.0 % longer" in done.stderr
    comment = _tag(slurm, done.stdout)
    # as docs/power-caps.md looks for it
    assert "250" == (re.search(r"cleanhours:v1;.*;cap=([0-9.]*),", comment) or pytest.fail(comment))[1]
    assert "power-curve=net" in comment

    to_its_limit = slurm.wrapper(
        "--carbon", words.replace("50m", "60m"), "-t", "60", "-p", "de", "--wrap", "true"
    )
    assert "capped" not in to_its_limit.stderr, "Slurm would end it before its work is done"


def test_words_stand_in_the_script_the_environment_or_the_option_the_last_wins(site: Site) -> None:
    file = _script(site, words="max-delay=12h power=100W")

    by_line = _tag(site, site.wrapper(file).stdout)
    by_environment = _tag(site, site.wrapper(file, environment={"CLEANHOURS_JOB": "power=200W"}).stdout)
    by_option = _tag(
        site,
        site.wrapper("--carbon=deadline=+20h", file, environment={"CLEANHOURS_JOB": "power=200W"}).stdout,
    )

    assert "power=100W" in by_line
    assert "power=200W" in by_environment
    assert "deadline=+20h" in by_option
    assert "max-delay" not in by_option


def test_a_job_goes_to_the_cleaner_partition_of_those_that_it_offers(site: Site) -> None:
    done = site.wrapper("--carbon", "max-delay=12h locations=de,fr", "-t", "30", "--wrap", "true")

    assert "fr" == site.show(only_job(done.stdout))["partition"]


def test_a_partition_that_was_asked_for_narrows_the_choice(site: Site) -> None:
    done = site.wrapper("--carbon", "max-delay=12h locations=de,fr", "-t", "30", "-p", "de", "--wrap", "true")

    assert "de" == site.show(only_job(done.stdout))["partition"]


@pytest.mark.parametrize("words", ["dedline=+12h", "max-delay=soon power=6", "max-delay=6h locations=mars"])
def test_wrong_words_are_all_named_and_the_job_runs_as_if_submitted_by_sbatch(site: Site, words: str) -> None:
    done = site.wrapper("--carbon", words, "-t", "30", "-p", "de", "--wrap", "sleep 60")

    job = only_job(done.stdout)
    assert "the job runs as if submitted by sbatch" in done.stderr
    for word in words.split():
        name = word.partition("=")[0]
        assert f"{name}: found" in done.stderr or "locations: found 'mars'" in done.stderr
    wait_until(lambda: site.state(job) == "RUNNING", "it runs")
    assert "" == site.show(job)["comment"].replace("(null)", "")


def test_an_impossible_deadline_is_said_and_the_job_runs_at_once(site: Site) -> None:
    done = site.wrapper("--carbon", "deadline=+10m", "-t", "30", "-p", "de", "--wrap", "sleep 60")

    assert "(no-slack)" in done.stderr
    wait_until(lambda: site.state(only_job(done.stdout)) == "RUNNING", "it runs")


def test_a_job_without_words_is_sbatch_s_alone(site: Site) -> None:
    done = site.wrapper("-t", "30", "-p", "de", "--wrap", "sleep 60")

    assert "" == done.stderr
    wait_until(lambda: site.state(only_job(done.stdout)) == "RUNNING", "it runs")


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ([], r"Submitted batch job \d+\n"),
        (["--parsable"], r"\d+\n"),
        (["-Q"], ""),
        (["--pars", "-Q"], ""),
    ],
)
def test_it_prints_exactly_what_sbatch_prints(site: Site, options: list[str], printed: str) -> None:
    ours = site.wrapper("--carbon", "max-delay=12h", *options, "-t", "30", "--wrap", "true")
    bare = site.run("sbatch", *options, "-t", "30", "--begin=now+1hour", "--wrap", "true")

    assert re.fullmatch(printed, ours.stdout)
    assert re.sub(r"\d+", "N", bare.stdout) == re.sub(r"\d+", "N", ours.stdout)
    assert not [job for job in site.jobs() if site.show(job)["reason"] == "JobHeldUser"]


def test_what_sbatch_refuses_is_refused_with_its_words_and_its_status(site: Site) -> None:
    ours = site.wrapper("--carbon", "max-delay=12h", "-p", "nowhere", "--wrap", "true", check=False)
    bare = site.run("sbatch", "-p", "nowhere", "--wrap", "true", check=False)

    assert (bare.returncode, bare.stdout, bare.stderr) == (ours.returncode, ours.stdout, ours.stderr)
    assert [] == records(site)


def test_a_question_submits_nothing(site: Site) -> None:
    done = site.wrapper("--test-only", "-t", "1", "--wrap", "true")

    assert "to start at" in done.stderr
    assert [] == site.jobs()
    assert [] == records(site)


@pytest.mark.parametrize("option", ["--version", "-V", "--help", "--usage"])
def test_a_question_about_sbatch_waits_for_no_script(site: Site, option: str) -> None:
    """Standard input is an open pipe on which nothing ever comes, as under a program that keeps it."""
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "wb"):
        asking = site.start(*site.words("cleanhours.apps.sbatch", "main"), option, stdin=reading)
        said, _ = asking.communicate(timeout=90)

    # --help says what is ours first
    assert said.endswith(site.run("sbatch", option).stdout)
    assert 0 == asking.returncode


@pytest.mark.parametrize("by", ["option", "script"])
def test_its_owner_s_own_hold_is_left_to_him(site: Site, by: str) -> None:
    file = _script(site, words="max-delay=12h", options="--hold" if by == "script" else "")
    done = site.wrapper(*(["-H"] if by == "option" else []), file)

    job = only_job(done.stdout)
    assert "JobHeldUser" == site.show(job)["reason"]
    assert "cleanhours:v1;" in site.show(job)["comment"]
    assert [] == records(site)


def test_its_owner_s_own_hold_is_left_to_him_where_slurm_is_slow(site: Site) -> None:
    file = _script(site, words="max-delay=12h", options="--hold")
    done = site.wrapper(file, environment=slowed(site, "squeue", 20) | {"CLEANHOURS_PATIENCE": "2"})

    assert "no plan within 2 s" in done.stderr
    assert "JobHeldUser" == site.show(only_job(done.stdout))["reason"]


def test_its_owner_s_own_begin_is_never_undercut(site: Site) -> None:
    begin = clean_hour() + 2 * HOUR
    done = site.wrapper("--carbon", "max-delay=12h", f"--begin=uts{begin}", "-t", "30", "--wrap", "true")

    assert begin <= int(site.show(only_job(done.stdout))["start"])


def test_slurm_s_own_deadline_is_never_run_into(site: Site) -> None:
    done = site.wrapper(
        "--carbon", "max-delay=20h", "--deadline=now+2hours", "-t", "30", "-p", "de", "--wrap", "sleep 60"
    )

    wait_until(lambda: site.state(only_job(done.stdout)) == "RUNNING", "it runs before it would be killed")


@pytest.mark.parametrize(("limit", "waits"), [("90", False), ("infinite", True)])
def test_the_queue_that_slurm_expects_is_time_that_a_deadline_needs(
    site: Site, limit: str, waits: bool
) -> None:
    """Where no controller looks after it nobody else counts it; what nobody limited may end at any time."""
    running = site.sbatch("--exclusive", "-p", "fr", "-t", limit, "--wrap", "sleep 600")
    wait_until(lambda: site.state(running) == "RUNNING", "the node is taken")
    deadline = format_instant(instant_of(clean_hour() + HOUR + HOUR // 2))

    done = site.wrapper("--carbon", f"deadline={deadline}", "-t", "30", "-p", "fr", "--wrap", "sleep 60")

    assert waits == (f",{clean_hour()}-" in site.show(only_job(done.stdout))["comment"]), done.stderr


def test_the_owner_s_comment_stays_beside_ours(site: Site) -> None:
    own = 'for the paper | draft "2"\nsecond line'
    done = site.wrapper("--carbon", "max-delay=12h", "--comment", own, "-t", "30", "--wrap", "true")

    comment = site.show(only_job(done.stdout))["comment"]
    assert comment.startswith(own)
    assert "cleanhours:v1;" in comment


def test_a_script_from_standard_input_keeps_its_name_and_its_words(site: Site) -> None:
    text = SCRIPT.format(options="-J from-stdin", words="max-delay=12h")
    done = site.wrapper(input=text)

    assert clean_hour() == int(site.show(only_job(done.stdout))["start"])


def test_an_array_waits_as_a_whole(site: Site) -> None:
    done = site.wrapper("--carbon", "max-delay=12h", "-a", "0-3%2", "-t", "30", "-p", "de", "--wrap", "true")

    base = only_job(done.stdout)
    assert [f"{base}_[0-3%2]"] == site.jobs()
    assert clean_hour() == int(site.show(base)["start"])


def test_a_heterogeneous_job_waits_as_a_whole(site: Site) -> None:
    done = site.wrapper(
        "--carbon", "max-delay=12h", "-n1", "-t", "30", "-p", "de", ":", "-n1", "-p", "fr", "--wrap", "true"
    )

    leader = only_job(done.stdout)
    starts = site.root("env", "SLURM_TIME_FORMAT=%s", "squeue", "-h", "-o", "%i %S").split("\n")
    assert f"{leader}+0 {clean_hour()}" in starts


def test_a_dependent_job_keeps_its_dependency(site: Site) -> None:
    first = site.sbatch("--hold", "-t", "30", "--wrap", "true")
    done = site.wrapper("--carbon", "max-delay=12h", "-d", f"afterok:{first}", "-t", "30", "--wrap", "true")

    job = only_job(done.stdout)
    wait_until(lambda: site.show(job)["reason"] == "Dependency", "it waits for the first")
    assert "cleanhours:v1;" in site.show(job)["comment"]


def test_waiting_for_the_job_waits_and_exits_as_it_did(site: Site) -> None:
    file = script(site, "#!/bin/bash\n#SBATCH -t 1\n#CARBON deadline=+1m\nexit 3\n")
    done = site.wrapper("-W", file, check=False, timeout=60)

    assert 3 == done.returncode
    assert done.stdout.startswith("Submitted batch job ")


def test_it_finds_the_real_one_when_it_is_linked_as_sbatch(site: Site) -> None:
    folder = site.home / "bin"
    folder.mkdir(exist_ok=True)
    program, *rest = site.words("cleanhours.apps.sbatch", "main")
    link = folder / "sbatch"
    link.write_text(f"#!{program}\n# cleanhours\n{rest[1]}\n", "utf-8")
    link.chmod(0o755)
    folder.chmod(0o755)

    path = f"{folder}:{site.variables['PATH']}"
    done = site.run("sbatch", "--parsable", "-t", "30", "--wrap", "true",
                    environment={"PATH": path, "CLEANHOURS_JOB": "max-delay=12h"})  # fmt: skip

    assert clean_hour() == int(site.show(done.stdout.strip())["start"])


@pytest.mark.parametrize("clock", ["far-away", "set-on-meanwhile", "set-back-meanwhile"])
def test_the_zone_of_the_terminal_changes_no_start(site: Site, clock: str) -> None:
    zone = {
        "far-away": "America/New_York",
        "set-on-meanwhile": summer_time(begins=now() + HOUR, ends=now() + 90 * 24 * HOUR),
        "set-back-meanwhile": summer_time(begins=now() - 90 * 24 * HOUR, ends=now() + HOUR),
    }[clock]
    done = site.wrapper("--carbon", "max-delay=12h", "-t", "30", "-p", "de", "--wrap", "true",
                        environment={"TZ": zone})  # fmt: skip

    assert clean_hour() == int(site.show(only_job(done.stdout))["start"])


def summer_time(*, begins: int, ends: int) -> str:
    """A zone an hour before UTC between two instants, as POSIX has it: days of the year, hours of the clock before."""
    first, last = time.gmtime(begins), time.gmtime(ends + HOUR)
    rule = ",".join(f"{one.tm_yday - 1}/{one.tm_hour}:{one.tm_min}:{one.tm_sec}" for one in (first, last))
    return f"WINTER0SUMMER-1,{rule}"


def test_what_a_user_set_for_slurm_s_own_commands_changes_nothing(site: Site) -> None:
    strange = {
        "SQUEUE_FORMAT": "%j", "SQUEUE_STATES": "RUNNING", "SQUEUE_USERS": "nobody", "SLURM_TIME_FORMAT": "relative",
        "SQUEUE_ARRAY": "1", "SQUEUE_PARTITION": "pl", "SQUEUE_SORT": "-i",
    }  # fmt: skip
    done = site.wrapper(
        "--carbon", "max-delay=12h", "-t", "30", "-p", "de", "--wrap", "true", environment=strange
    )

    assert clean_hour() == int(site.show(only_job(done.stdout))["start"])


def test_without_any_settings_nothing_waits_and_with_a_zone_it_is_planned_at_the_usual_place(
    slurm: Site,
) -> None:
    (slurm.home / "cleanhours.toml").unlink(missing_ok=True)
    asked = ("--carbon", "max-delay=6h", "-t", "30", "--wrap", "sleep 60")
    typical = {"CLEANHOURS_FORECASTS__CHAIN": "climatology"}

    unknown = slurm.wrapper(*asked, environment=typical)
    known = slurm.wrapper(*asked, environment=typical | {"CLEANHOURS_LOCATIONS__LOCAL__ZONE": "DE"})

    assert "nobody said where this cluster is" in unknown.stderr
    assert "home=" not in slurm.show(only_job(unknown.stdout))["comment"]
    assert "cleanhours: Start " in known.stderr
    assert "home=local" in slurm.show(only_job(known.stdout))["comment"]


def test_wrong_settings_are_said_and_the_job_runs(site: Site) -> None:
    site.settings("[clusters.slurm]\ntype = 'slurm'\npol = '30s'\n")
    done = site.wrapper("--carbon", "max-delay=6h", "-t", "30", "-p", "de", "--wrap", "sleep 60")

    assert "unknown key 'pol'" in done.stderr
    assert "the job runs as if submitted by sbatch" in done.stderr
    wait_until(lambda: site.state(only_job(done.stdout)) == "RUNNING", "it runs")


def test_where_nothing_can_be_written_the_job_is_submitted_without_a_plan(site: Site) -> None:
    blocked = site.home / "a-file"
    blocked.write_text("", "utf-8")
    done = site.wrapper("--carbon", "max-delay=6h", "-t", "30", "-p", "de", "--wrap", "sleep 60",
                        environment={"XDG_STATE_HOME": str(blocked)})  # fmt: skip

    assert "no record can be written" in done.stderr
    wait_until(lambda: site.state(only_job(done.stdout)) == "RUNNING", "it runs")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_is_interrupted_leaves_no_job_held(site: Site, number: signal.Signals) -> None:
    slow = slowed(site, "squeue", 20)
    process = site.start(*site.words("cleanhours.apps.sbatch", "main"), "--carbon", "max-delay=6h", "-t", "30",
                         "--wrap", "sleep 60", environment=slow)  # fmt: skip
    # its record tells it sooner than Slurm: planning takes two seconds at most, and then there is nothing to interrupt
    wait_until(lambda: _answered(site), "it is submitted")

    process.send_signal(number)

    printed, _ = process.communicate(timeout=90)
    (job,) = site.jobs()
    assert (f"Submitted batch job {job}\n", 0) == (printed, process.returncode), "it is submitted"
    assert "JobHeldUser" != site.show(job)["reason"]
    assert [] == records(site)


@pytest.mark.parametrize("said", ["", "2", "soon", "-1", "31", "nan"])
def test_a_slow_slurm_costs_two_seconds_and_no_plan(site: Site, said: str) -> None:
    done = site.wrapper("--carbon", "max-delay=6h", "-t", "30", "-p", "de", "--wrap", "sleep 60",
                        environment=slowed(site, "squeue", 20) | {"CLEANHOURS_PATIENCE": said})  # fmt: skip

    assert "no plan within 2 s" in done.stderr
    wait_until(lambda: site.state(only_job(done.stdout)) == "RUNNING", "it runs")


def test_a_job_is_not_moved_where_it_could_never_run(site: Site) -> None:
    done = site.wrapper("--carbon", "max-delay=12h locations=de,fr", "-t", "30", "-C", "de", "--wrap", "true")

    assert "de" == site.show(only_job(done.stdout))["partition"]


def test_what_slurm_has_no_place_for_is_refused_with_its_words(site: Site) -> None:
    impossible = ("-p", "fr", "-C", "de", "-t", "30", "--wrap", "true")
    bare = site.run("sbatch", *impossible, check=False)
    ours = site.wrapper("--carbon", "max-delay=12h", *impossible, check=False)

    assert (bare.returncode, bare.stdout, bare.stderr) == (ours.returncode, ours.stdout, ours.stderr)
    assert [] == site.jobs()


def _answered(site: Site) -> bool:
    """Whether a submission under way has its number."""
    folder = site.home / ".local" / "state" / "cleanhours" / "submissions"
    return any('"job": ""' not in (folder / name).read_text("utf-8") for name in records(site))


def _tag(site: Site, printed: str) -> str:
    return site.show(only_job(printed))["comment"]


def _script(site: Site, words: str, options: str = "") -> Path:
    return script(site, SCRIPT.format(words=words, options=options))
