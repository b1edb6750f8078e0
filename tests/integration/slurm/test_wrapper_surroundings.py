"""`cleanhours-sbatch` among what sites and shells do: other sbatches, filters, pipes, closed streams, signals, a clock ahead.

Whatever it is, the job is submitted once, is let go, and its user hears what sbatch would have told him.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.test_wrapper_kills import grow_old, kept, kill_watchdog, other_state
from tests.integration.slurm.worlds import (
    clean_hour,
    dirty_at_first,
    now,
    only_job,
    records,
    script,
    write_settings,
)

pytestmark = pytest.mark.integration

WORK = ("-t", "30", "-p", "de", "--wrap", "true")
ASKED = ("--carbon", "max-delay=12h")
HELD = "JobHeldUser"


@pytest.fixture
def site(slurm: Site) -> Site:
    write_settings(slurm, dirty_at_first)
    return slurm


def program(site: Site, name: str, text: str) -> Path:
    file = site.home / name
    file.parent.mkdir(exist_ok=True)
    file.parent.chmod(0o755)
    file.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    file.chmod(0o755)
    return file


def shell(site: Site, text: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A line of a user's shell, in which `$W` is the wrapper."""
    words = shlex.join(site.words("cleanhours.apps.sbatch", "main"))
    line = f'W() {{ {words} "$@"; }}; {text}'
    return site.run("bash", "-c", line, check=False, environment=more)


def the_job(site: Site) -> dict[str, str]:
    (job,) = site.jobs()
    return site.show(job)


def waits(site: Site) -> bool:
    """Whether the one job there is waits for its clean hour, in nobody's hold."""
    job = the_job(site)
    return job["reason"] != HELD and clean_hour() == int(job["start"])


@pytest.fixture
def folder(site: Site) -> Path:
    """A new one of the user's."""
    made = Path(site.run("mktemp", "-d", "-p", str(site.home)).stdout.strip())
    made.chmod(0o755)
    return made


# -- other sbatches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["Submitted batch job", "Welcome to the cluster"])
def test_what_a_site_prints_before_the_number_is_passed_on_and_holds_nothing(site: Site, words: str) -> None:
    sbatch = program(site, "sitebatch", f'echo "{words}"; exec /usr/bin/sbatch "$@"')

    done = site.wrapper(*ASKED, *WORK, environment={"CLEANHOURS_SBATCH": str(sbatch)})

    job = the_job(site)
    assert done.stdout.startswith(f"{words}\nSubmitted batch job ")
    assert HELD != job["reason"]
    assert "cleanhours:v1;" in job["comment"]


def test_a_number_that_a_site_tells_in_other_words_is_asked_of_slurm(site: Site) -> None:
    sbatch = program(site, "sitebatch", 'n=$(/usr/bin/sbatch "$@"); echo "your job is no. $n"')

    done = site.wrapper(*ASKED, *WORK, environment={"CLEANHOURS_SBATCH": str(sbatch)})

    (number,) = site.jobs()
    assert f"your job is no. {number}\n" == done.stdout
    assert HELD != the_job(site)["reason"]
    assert [] == records(site)


def test_a_number_that_nobody_tells_is_said_to_be_unknown_and_the_job_is_let_go(
    site: Site, folder: Path
) -> None:
    sbatch = program(site, f"{folder.name}/sitebatch", '/usr/bin/sbatch "$@" >/dev/null && echo welcome')
    program(site, f"{folder.name}/squeue", 'echo "Unable to contact slurm controller" >&2; exit 1')
    away = {"CLEANHOURS_SBATCH": str(sbatch), "PATH": f"{folder}:/usr/bin:/bin"}

    done = site.wrapper(
        *ASKED, "-t", "30", "--wrap", "sleep 60", environment=away | other_state(site, "unsaid")
    )

    assert "welcome\n" == done.stdout
    assert (
        "cleanhours: sbatch did not say which job this is: it runs without a plan, released within a minute or so\n"
        == done.stderr
    )
    assert HELD == the_job(site)["reason"]
    a_minute_later(site, "unsaid")
    wait_until(lambda: the_job(site)["state"] == "RUNNING", "it runs")


def test_it_never_calls_itself_however_it_is_named(site: Site) -> None:
    words = shlex.join(site.words("cleanhours.apps.sbatch", "main"))
    program(site, "loop/hidden", f'exec {words} "$@"')
    loop = program(site, "loop/sbatch", 'exec "$(dirname "$0")/hidden" "$@"')

    for asked in (ASKED, ()):
        done = site.wrapper(*asked, *WORK, environment={"CLEANHOURS_SBATCH": str(loop)}, check=False)
        assert done.returncode != 0
        assert "name Slurm's own in CLEANHOURS_SBATCH" in done.stderr
    assert [] == site.jobs()


def test_where_the_named_sbatch_is_not_there_the_one_in_path_is_taken(site: Site) -> None:
    done = site.wrapper(*ASKED, *WORK, environment={"CLEANHOURS_SBATCH": "/nonexistent"})

    assert (
        "CLEANHOURS_SBATCH=/nonexistent is no program other than this one, /usr/bin/sbatch is" in done.stderr
    )
    assert "cleanhours:v1;" in site.show(only_job(done.stdout))["comment"]


# -- what its owner asked for ----------------------------------------------------------------------------------------


def test_the_script_is_the_one_that_slurm_took_from_the_other_folder(site: Site, folder: Path) -> None:
    script(site, "#!/bin/sh\n#SBATCH --hold\ntrue\n", "other.sh")
    script(site, "#!/bin/sh\n#SBATCH -t 30 -p de\n#CARBON max-delay=12h\ntrue\n", f"{folder.name}/other.sh")

    shell(site, f"W -D {folder} other.sh")

    assert waits(site)


def test_a_hold_in_a_script_that_was_not_seen_is_kept_when_no_plan_is_made(site: Site, folder: Path) -> None:
    script(site, "#!/bin/sh\n#SBATCH -t 30 --hold\n#CARBON nonsense\ntrue\n", f"{folder.name}/j.sh")

    shell(site, f"W -D {folder} j.sh")

    assert HELD == the_job(site)["reason"]
    assert [] == records(site)


def test_lines_of_another_scheduler_are_not_read_where_the_environment_says_so(site: Site) -> None:
    file = script(site, "#!/bin/sh\n#PBS -h\n#SBATCH -t 30\ntrue\n")

    job = only_job(site.wrapper(*ASKED, file, environment={"SBATCH_IGNORE_PBS": "1"}).stdout)

    assert HELD != site.show(job)["reason"]


def test_who_submits_for_another_user_hears_that_no_plan_is_made(site: Site) -> None:
    bare = site.run("sbatch", "--uid=1", *WORK, check=False)
    asked = site.wrapper(*ASKED, "--uid=1", *WORK, check=False)
    silent = site.wrapper("--uid=1", *WORK, check=False)

    said = "cleanhours: no plan is made for a job of another user (--uid, --gid)\n"
    assert (bare.returncode, said + bare.stderr) == (asked.returncode, asked.stderr)
    assert (bare.returncode, bare.stderr) == (silent.returncode, silent.stderr)


def test_a_partition_in_the_environment_is_the_owners_too(site: Site) -> None:
    asked = ("--carbon", "max-delay=12h locations=de,fr", "-t", "30", "--wrap", "true")

    kept = only_job(site.wrapper(*asked, environment={"SBATCH_PARTITION": "de"}).stdout)
    free = only_job(site.wrapper(*asked).stdout)

    assert ("de", "fr") == (site.show(kept)["partition"], site.show(free)["partition"])


def test_places_that_do_not_go_with_what_was_asked_of_slurm_are_said(site: Site) -> None:
    done = site.wrapper("--carbon", "max-delay=12h locations=fr", *WORK)

    assert "none of locations=fr goes with what was asked of Slurm" in done.stderr
    assert waits(site)


# -- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [">/dev/full", ">&-", "2>&-", ">&- 2>&-", "<&-", "| true", "2>/dev/full"])
def test_who_does_not_listen_changes_nothing_of_what_was_submitted(site: Site, end: str) -> None:
    done = shell(site, f"set -o pipefail; W {shlex.join((*ASKED, *WORK))} {end}")

    assert 0 == done.returncode, done.stderr
    assert waits(site)
    assert "Traceback" not in done.stderr
    assert [] == records(site)


@pytest.mark.parametrize(
    "way", ["W {words} <(cat j.sh)", "mkfifo f; cat j.sh >f & W {words} f", "W {words} <j.sh"]
)
def test_a_script_from_a_pipe_is_submitted_as_by_sbatch(site: Site, way: str) -> None:
    script(site, "#!/bin/sh\n#SBATCH -t 30 -p de\n#CARBON max-delay=12h\ntrue\n", "j.sh")

    done = shell(site, way.format(words=""))

    assert 0 == done.returncode, done.stderr
    assert waits(site)


def test_an_open_file_that_an_option_names_reaches_sbatch(site: Site) -> None:
    done = shell(site, f"printf 'A=1\\0' >ef; W {shlex.join(ASKED)} --export-file=7 {shlex.join(WORK)} 7<ef")

    assert 0 == done.returncode, done.stderr
    assert waits(site)


# -- signals ---------------------------------------------------------------------------------------------------------


def test_nohup_is_heeded(site: Site, folder: Path) -> None:
    stalling = program(
        site, f"{folder.name}/squeue", 'touch ${0%/*}/asked; sleep 2; exec /usr/bin/squeue "$@"'
    )
    folder.chmod(0o777)
    command = (*site.words("cleanhours.apps.sbatch", "main"), *ASKED, *WORK)
    process = site.start("nohup", *command, environment={"PATH": f"{stalling.parent}:/usr/bin:/bin"})
    wait_until((folder / "asked").exists, "it plans")

    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)

    assert 0 == process.returncode
    assert waits(site)


# -- Slurm itself ----------------------------------------------------------------------------------------------------


def test_a_slurmctld_that_forgot_that_a_job_was_let_go_is_told_again(site: Site) -> None:
    """Slurm saves its state every few seconds; a job that it saved in the moment of our hold comes back with it."""
    elsewhere = other_state(site, "forgot")
    own = site.sbatch("--hold", *WORK)
    let_go = only_job(site.wrapper(*ASKED, *WORK, environment=elsewhere).stdout)
    site.run("scontrol", "hold", let_go)  # as it would come back
    site.stop("slurmctld")
    site.start_again("slurmctld")
    assert HELD == site.show(let_go)["reason"]

    a_minute_later(site, "forgot")

    assert [HELD, True] == [site.show(own)["reason"], HELD != site.show(let_go)["reason"]]
    assert [] == kept(site, "forgot")


def test_what_its_owner_holds_after_we_let_it_go_stays_so(site: Site) -> None:
    # of a slurmctld that began just before nothing is sure
    wait_until(lambda: now() > booted(site) + 12, "slurmctld runs for a while")
    let_go = only_job(site.wrapper(*ASKED, *WORK, environment=other_state(site, "stays")).stdout)
    site.run("scontrol", "hold", let_go)

    a_minute_later(site, "stays")

    assert HELD == site.show(let_go)["reason"]
    assert [] == kept(site, "stays")


def booted(site: Site) -> int:
    shown = site.root("env", "SLURM_TIME_FORMAT=%s", "scontrol", "show", "config")
    return int(re.search(r"BOOT_TIME\s*=\s*(\d+)", shown)[1])  # type: ignore[index]


def a_minute_later(site: Site, name: str) -> None:
    """What the watchdog does then, and every controller."""
    kill_watchdog(site, name)
    grow_old(site, name)
    site.cleanhours("controller", "--once", environment=other_state(site, name))
