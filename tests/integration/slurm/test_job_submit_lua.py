"""deploy/slurm/job_submit.lua inside a real slurmctld: what opted in starts when the plan says, and nothing is ever refused."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from tests.conftest import REPOSITORY, require_component
from tests.integration.slurm.site import Site, started_site, wait_until

pytestmark = pytest.mark.integration

SCRIPT = REPOSITORY / "deploy" / "slurm" / "job_submit.lua"
PAGE = (REPOSITORY / "docs" / "slurm-admin.md").read_text("utf-8")
PLAN_PATH = "/var/lib/cleanhours/slurm-plan"
HOUR = 3_600
BATCH = "#!/bin/sh\nsleep 1\n"


@dataclass(frozen=True)
class Planned:
    """A Slurm with the script installed, and the plan that it reads."""

    slurm: Site
    plan: Path
    now: int

    def write(self, *records: str, valid_s: int = HOUR) -> str:
        """A plan of now, as the controller writes it."""
        lines = ["cleanhours-slurm-plan 1", f"written {self.now}", f"until {self.now + valid_s}", *records]
        self.plan.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return self.plan.read_text("utf-8")

    def write_usual(self, *more: str, de: int = HOUR, fr: int = 2 * HOUR) -> str:
        """Jobs of an hour start after `de` and `fr` seconds; fr is the better place."""
        return self.write(
            "optin partition pl", "optin qos green",
            "location de partition de", "location fr partition fr", "location pl partition pl", "home de",
            f"delay {6 * HOUR}",
            f"start {HOUR} {6 * HOUR} {self.now + fr} fr",
            f"start {HOUR} {6 * HOUR} {self.now + de} de",
            f"start {HOUR} {6 * HOUR} {self.now + de} pl",
            f"saving {HOUR} {6 * HOUR} 34.5 de",
            *more,
        )  # fmt: skip

    def submit(self, *options: str, script: str = BATCH) -> tuple[str, dict[str, str], str]:
        """A job of an hour: its number, what Slurm shows of it, and what was said to its owner."""
        done = self.slurm.run("/usr/bin/sbatch", "--parsable", "-t", "60", *options, input=script)
        job = done.stdout.strip()
        return job, self.slurm.show(job), done.stderr.strip()


def installed(folder: Path) -> Path:
    """The script as an administrator installs it for another place of the plan."""
    copy = folder / "job_submit.lua"
    copy.write_text(SCRIPT.read_text("utf-8").replace(PLAN_PATH, str(folder / "plan")), "utf-8")
    return copy


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cleanhours-plan-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    with started_site("-l", str(installed(place))) as started:
        yield started


@pytest.fixture
def planned(site: Site, place: Path) -> Iterator[Planned]:
    (place / "plan").unlink(missing_ok=True)
    yield Planned(site, place / "plan", int(SystemClock().now().timestamp()))
    for job in site.jobs():
        site.root("scancel", re.split(r"[_+]", job)[0], check=False)


def changed(planned: Planned, job: str, comment: str = "") -> list[str]:
    """What is not as it was submitted: a start later than the submission, another comment."""
    shown = planned.slurm.root("env", "SLURM_TIME_FORMAT=%s", "scontrol", "-o", "show", "job", job)
    times = dict(re.findall(r"\b(EligibleTime|SubmitTime)=(\d+)", shown))
    found = planned.slurm.show(job)["comment"].replace("(null)", "")
    later = int(times.get("EligibleTime", 0)) > int(times["SubmitTime"]) + 1
    return ["start"] * later + [found] * (found != comment)


# -- what opted in ----------------------------------------------------------------------------------------------------


def test_the_script_compiles() -> None:
    compiler = require_component("luac5.1", "apt-get install --no-install-recommends lua5.1")

    for name in ("job_submit.lua", "cli_filter.lua"):
        subprocess.run([compiler, "-p", SCRIPT.with_name(name)], check=True, timeout=90)


@pytest.mark.parametrize("options", [("--comment", "mine cleanhours"), ("-p", "pl"), ("--qos", "green")])
def test_a_job_that_opted_in_begins_in_the_second_of_the_plan(
    planned: Planned, options: tuple[str, ...]
) -> None:
    planned.write_usual(de=3)

    job, shown, said = planned.submit(*options)

    assert ("PENDING", str(planned.now + 3)) == (shown["state"], shown["start"])
    assert "cleanhours: starts 20" in said
    wait_until(lambda: planned.slurm.state(job) == "RUNNING", "it runs")
    assert planned.now + 3 == int(planned.slurm.show(job)["start"])


def test_the_tag_follows_the_owners_text_with_the_second_of_the_submission(planned: Planned) -> None:
    planned.write_usual()

    job, shown, said = planned.submit("--comment", "my α run; cleanhours:max-delay=6h")

    tag = f"cleanhours:v1;submitted={planned.slurm.show(job)['submitted']};home=de;max-delay=21600s"
    assert f"my α run; cleanhours:max-delay=6h {tag}" == shown["comment"]
    assert "in de, 34 % less carbon; at once: --comment cleanhours:off" in said


@pytest.mark.slow
def test_who_has_an_opted_in_qos_or_account_by_default_opts_in(place: Path) -> None:
    with started_site("-a", "-l", str(installed(place))) as started:
        planned = Planned(started, place / "plan", int(SystemClock().now().timestamp()))
        planned.write_usual("optin account climate")
        submitter = started.run("id", "-un").stdout.strip()
        for words in (
            "add qos green",
            "add account physics",
            "add account climate",
            f"add user {submitter} account=physics",
            f"add user {submitter} account=climate",
            f"modify user {submitter} account=physics set qos+=green defaultqos=green",
        ):
            started.root("sacctmgr", "-i", *words.split())

        def delayed(*options: str) -> bool:
            return "cleanhours: starts" in planned.submit(*options)[2]

        wait_until(lambda: delayed("-A", "climate"), "an account that opted in", 10)
        wait_until(lambda: delayed("-A", "physics"), "the QOS of this account's users", 10)
        assert delayed()
        assert not delayed("-A", "physics", "--qos", "normal")
        started.root("sacctmgr", "-i", "modify", "user", submitter, "set", "defaultaccount=climate")
        wait_until(lambda: delayed("--qos", "normal"), "the account of who names none", 10)


def test_a_shorter_delay_of_its_own_is_kept(planned: Planned) -> None:
    planned.write_usual(f"start {HOUR} {HOUR // 2} {planned.now + 600} de")

    _, shown, _ = planned.submit("--comment", "cleanhours:max-delay=30m")

    assert str(planned.now + 600) == shown["start"]


def test_of_several_partitions_the_best_place_is_tried_first(planned: Planned) -> None:
    planned.write_usual(fr=2)

    job, shown, said = planned.submit("--comment", "cleanhours", "-p", "de,fr")

    assert ("fr,de", str(planned.now + 2)) == (shown["partition"], shown["start"])
    assert "home=de;max-delay=21600s;locations=de,fr;partition=de,fr" in shown["comment"]
    assert "in fr if there is room" in said
    wait_until(lambda: planned.slurm.state(job) == "RUNNING", "it runs")
    assert "fr1" == planned.slurm.show(job)["node"]


def test_a_job_that_fits_into_one_of_its_partitions_only_is_not_lost(planned: Planned) -> None:
    planned.write_usual(fr=2)
    refused = planned.slurm.run("sbatch", "-p", "fr", "-C", "de", "--wrap", "true", check=False)

    job, _, _ = planned.submit("--comment", "cleanhours", "-p", "de,fr", "-C", "de")

    assert 1 == refused.returncode
    wait_until(lambda: planned.slurm.state(job) == "RUNNING", "it runs")
    assert "de1" == planned.slurm.show(job)["node"]


def test_all_tasks_of_an_array_begin_at_the_planned_time(planned: Planned) -> None:
    planned.write_usual()

    job, _, _ = planned.submit("--comment", "cleanhours", "--array", "0-3%2")

    starts = planned.slurm.root("env", "SLURM_TIME_FORMAT=%s", "squeue", "-h", "-r", "-j", job, "-o", "%S")
    assert [str(planned.now + HOUR)] * 4 == starts.split()


def test_a_job_that_depends_on_another_keeps_its_start_and_gets_a_tag(planned: Planned) -> None:
    planned.write_usual()
    first, _, _ = planned.submit("--hold")

    _, shown, said = planned.submit("--comment", "cleanhours", "-d", f"afterok:{first}")

    assert ("Dependency", "N/A") == (shown["reason"], shown["start"])
    assert "cleanhours:v1;" in shown["comment"]
    assert "when what it depends on has ended" in said


def test_what_the_owner_changes_later_is_his(planned: Planned) -> None:
    planned.write_usual()
    job, shown, _ = planned.submit("--comment", "cleanhours")

    planned.slurm.run(
        "scontrol", "update", f"JobId={job}", f"StartTime=uts{planned.now + 99}", "Partition=fr"
    )

    changed = planned.slurm.show(job)
    assert (str(planned.now + 99), "fr") == (changed["start"], changed["partition"])
    assert shown["comment"] == changed["comment"]


def test_a_trial_is_answered_with_the_planned_start(planned: Planned) -> None:
    planned.write_usual()

    def trial(*options: str) -> str:
        return planned.slurm.run("sbatch", "--test-only", "-t", "60", *options, "--wrap", "true").stderr

    assert "cleanhours: starts" in trial("--comment", "cleanhours")
    assert "cleanhours" not in trial("--comment", "cleanhours:off")


# -- what did not, or must not be touched -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("-p", "de"),
        ("-p", "pl,de"),
        ("--comment", "cleanhours:off", "-p", "pl"),
        ("--comment", "cleanhours:deadline=+8h"),
        ("--comment", "cleanhours", "-t", "UNLIMITED"),
        ("--comment", "cleanhours", "-t", "2-0"),
        ("--comment", "cleanhours " + "x" * 1000),
    ],
    ids=lambda options: " ".join(options)[:50],
)
def test_others_are_submitted_as_they_are(planned: Planned, options: tuple[str, ...]) -> None:
    planned.write_usual()

    job, _, said = planned.submit(*options)

    comment = options[1] if options[0] == "--comment" else ""
    assert ([], "") == (changed(planned, job, comment), said)


def test_a_job_without_a_limit_runs_now(planned: Planned) -> None:
    planned.write_usual()

    job = planned.slurm.sbatch("--comment", "cleanhours", script=BATCH)

    wait_until(lambda: planned.slurm.state(job) in {"RUNNING", "COMPLETED"}, "it runs")
    assert "cleanhours" == planned.slurm.show(job)["comment"]


def test_a_start_of_its_owners_own_is_kept(planned: Planned) -> None:
    planned.write_usual()

    _, shown, said = planned.submit("--comment", "cleanhours", f"--begin=uts{planned.now + 77}")

    assert (str(planned.now + 77), "cleanhours", "") == (shown["start"], shown["comment"], said)


def test_a_job_that_wears_our_tag_is_left_alone(planned: Planned) -> None:
    planned.write_usual()
    comment = f"cleanhours cleanhours:v1;submitted={planned.now};home=de"

    job, _, said = planned.submit("--comment", comment)

    assert ([], "") == (changed(planned, job, comment), said)


def test_a_held_job_is_released_without_a_start(planned: Planned) -> None:
    planned.write_usual()

    job, shown, said = planned.submit("--comment", "cleanhours", "--hold")

    assert ("JobHeldUser", "cleanhours", "") == (shown["reason"], shown["comment"], said)
    planned.slurm.run("scontrol", "release", job)
    wait_until(lambda: planned.slurm.state(job) == "RUNNING", "it runs")


def test_a_job_in_a_reservation_is_left_alone(planned: Planned) -> None:
    planned.write_usual()
    planned.slurm.root(
        "scontrol", "create", "reservation", "ReservationName=course", "StartTime=now", "Duration=120", "Nodes=fr1",
        "Users=root,games",
    )  # fmt: skip
    try:
        job, _, said = planned.submit("--comment", "cleanhours", "--reservation", "course")

        assert ([], "") == (changed(planned, job, "cleanhours"), said)
    finally:
        for job in planned.slurm.jobs():
            planned.slurm.root("scancel", job)
        planned.slurm.root("scontrol", "delete", "ReservationName=course")


def test_the_parts_of_a_heterogeneous_job_are_left_alone(planned: Planned) -> None:
    planned.write_usual()
    options = ("-t", "60", "--comment", "cleanhours", "--wrap", "true")

    said = planned.slurm.run("sbatch", "-p", "de", *options, ":", "-p", "pl", *options)

    assert "" == said.stderr


def test_who_waits_for_an_answer_does_not_wait_for_clean_hours(planned: Planned) -> None:
    planned.write_usual()

    done = planned.slurm.run(
        "srun", "-t", "60", "--comment", "cleanhours", "-p", "pl", "hostname", timeout=90
    )

    assert 0 == done.returncode


@pytest.mark.parametrize(
    "line",
    ["#SBATCH --deadline=now+8hours", "#SBATCH -N1 --dead=now+8hours", "#CARBON max-delay=2h interruptible"],
)
def test_wishes_in_the_script_that_only_others_can_keep_leave_the_job_alone(
    planned: Planned, line: str
) -> None:
    planned.write_usual()

    job, _, said = planned.submit("-p", "pl", script=f"#!/bin/sh\n{line}\nsleep 1\n")

    assert ([], "") == (changed(planned, job), said)


def test_a_deadline_on_the_command_line_cannot_be_seen_as_the_page_says(planned: Planned) -> None:
    planned.write_usual()

    job, shown, _ = planned.submit("--comment", "cleanhours", "--deadline=now+90minutes")

    assert str(planned.now + HOUR) == shown["start"]
    assert "Deadline=20" in planned.slurm.root("scontrol", "show", "job", job)
    assert "cannot see `--deadline`" in PAGE


# -- plans that are none ----------------------------------------------------------------------------------------------

GARBAGE = random.Random(22).randbytes(4_000)


@pytest.mark.parametrize(
    "fault", ["missing", "stale", "broken", "garbage", "cut off", "huge", "another version", "folder"]
)
def test_without_a_plan_that_holds_every_job_is_submitted_as_it_is(planned: Planned, fault: str) -> None:
    plan, text = planned.plan, planned.write_usual()
    if fault in {"missing", "folder"}:
        plan.unlink()
    if fault == "folder":
        plan.mkdir()
    else:
        written = {
            "stale": text.replace(f"until {planned.now + HOUR}", f"until {planned.now - 1}").encode(),
            "broken": text.encode() + b"start 3600 soon 17 de\n",
            "garbage": GARBAGE,
            "cut off": text.encode()[:-4],
            "huge": text.encode() + b"# padding\n" * 30_000,
            "another version": text.replace("plan 1", "plan 2").encode(),
        }.get(fault)
        if written is not None:
            plan.write_bytes(written)
    try:
        job, shown, said = planned.submit("--comment", "cleanhours", "-p", "de,fr")

        assert ([], "") == (changed(planned, job, "cleanhours"), said)
        assert "de,fr" == shown["partition"] or shown["state"] != "PENDING"
    finally:
        if plan.is_dir():
            plan.rmdir()


def test_a_plan_that_cannot_be_read_is_logged_once_and_once_when_it_is_back(planned: Planned) -> None:
    log = planned.slurm.folder / "log" / "slurmctld.log"
    planned.write_usual()
    planned.submit("--comment", "cleanhours")
    before = len(log.read_text("utf-8"))

    planned.plan.write_text("nonsense", "utf-8")
    for _ in range(3):
        planned.submit("--comment", "cleanhours")
    planned.write_usual()
    planned.submit("--comment", "cleanhours")

    lines = [line for line in log.read_text("utf-8")[before:].splitlines() if "cleanhours:" in line]
    assert [
        "cleanhours: the plan is not one of version 1; jobs are left as they are",
        "cleanhours: the plan is well again",
    ] == [line[line.index("cleanhours:") :] for line in lines]


# -- what the page says -----------------------------------------------------------------------------------------------


def block(language: str, *words: str) -> str:
    """The one code block of the page that has all these words."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if all(word in text for word in words)]
    return str(found)


def rewrite(site: Site, script: str) -> None:
    """slurmctld reads a script again whose time, in whole seconds, is later than that of the one it has."""
    file = site.folder / "job_submit.lua"
    file.write_text(script, "utf-8")
    later = file.stat().st_mtime + 5
    os.utime(file, (later, later))


def test_everything_that_we_delayed_is_started_by_the_pages_command(planned: Planned) -> None:
    planned.write_usual()
    job, shown, _ = planned.submit("--comment", "cleanhours")
    other, before, _ = planned.submit(f"--begin=uts{planned.now + HOUR}")

    assert "BeginTime" == shown["reason"]
    planned.slurm.root("bash", "-c", block("bash", "StartTime=now"))

    wait_until(lambda: planned.slurm.state(job) == "RUNNING", "it runs")
    assert before == planned.slurm.show(other)


def test_a_site_with_a_script_of_its_own_calls_ours_from_it(place: Path) -> None:
    ours = installed(place).rename(place / "cleanhours.lua")
    own = block("lua", "dofile").replace("/etc/slurm/cleanhours.lua", str(ours))
    script = place / "site.lua"
    script.write_text(own, "utf-8")
    with started_site("-l", str(script)) as started:
        planned = Planned(started, place / "plan", int(SystemClock().now().timestamp()))
        planned.write_usual()

        assert str(planned.now + HOUR) == planned.submit("--comment", "cleanhours")[1]["start"]
        ours.write_text("this is no Lua", "utf-8")
        rewrite(started, own)
        job, _, said = planned.submit("--comment", "cleanhours")
        assert ([], "") == (changed(planned, job, "cleanhours"), said)


def test_slurmctld_needs_the_file_at_its_start_and_only_then(place: Path) -> None:
    with started_site("-l", str(installed(place))) as started:
        planned = Planned(started, place / "plan", int(SystemClock().now().timestamp()))
        planned.write_usual()

        rewrite(started, "this is no Lua")
        assert str(planned.now + HOUR) == planned.submit("--comment", "cleanhours")[1]["start"]
        assert "using previous script" in (started.folder / "log" / "slurmctld.log").read_text("utf-8")
        (started.folder / "job_submit.lua").unlink()
        assert str(planned.now + HOUR) == planned.submit("--comment", "cleanhours")[1]["start"]
        started.stop("slurmctld")
        refused = subprocess.run(
            ["/usr/sbin/slurmctld", "-D", "-f", started.config],
            check=False,
            timeout=90,
            capture_output=True,
            env=started.variables,
        )

        assert 1 == refused.returncode
