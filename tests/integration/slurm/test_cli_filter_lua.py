"""deploy/slurm/cli_filter.lua inside a real sbatch: it advises, changes nothing and never stands in the way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from tests.conftest import REPOSITORY
from tests.integration.slurm.site import Site, started_site

pytestmark = pytest.mark.integration

SCRIPT = REPOSITORY / "deploy" / "slurm" / "cli_filter.lua"
HOUR = 3_600


@dataclass(frozen=True)
class Advising:
    """A Slurm whose sbatch has the script, and the plan that it reads."""

    slurm: Site
    plan: Path
    now: int

    def write(self, saving: float = 34.5) -> str:
        self.plan.write_text(
            f"cleanhours-slurm-plan 1\nwritten {self.now}\nuntil {self.now + HOUR}\n"
            f"optin partition pl\nlocation de partition de\nlocation fr feature fr\nhome de\ndelay {6 * HOUR}\n"
            f"start {HOUR} {6 * HOUR} {self.now + 2 * HOUR} de\nsaving {HOUR} {6 * HOUR} {saving} de\n"
            f"start {HOUR} {6 * HOUR} {self.now + 3 * HOUR} fr\nsaving {HOUR} {6 * HOUR} 60 fr\n",
            "utf-8",
        )
        return self.plan.read_text("utf-8")

    def submit(self, *options: str) -> tuple[str, str]:
        """The number of a held job, whose options can be looked at, and what was printed beside it."""
        done = self.slurm.run("/usr/bin/sbatch", "--parsable", *options, "--wrap", "sleep 1")
        return done.stdout.strip(), done.stderr.strip()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cleanhours-plan-", dir="/tmp"))
    folder.chmod(0o755)
    script = SCRIPT.read_text("utf-8").replace("/var/lib/cleanhours/slurm-plan", str(folder / "plan"))
    (folder / "cli_filter.lua").write_text(script, "utf-8")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    with started_site("-L", str(place / "cli_filter.lua")) as started:
        yield started


@pytest.fixture
def advising(site: Site, place: Path) -> Iterator[Advising]:
    (place / "plan").unlink(missing_ok=True)
    yield Advising(site, place / "plan", int(SystemClock().now().timestamp()))
    for job in site.jobs():
        site.root("scancel", job.partition("_")[0], check=False)


@pytest.mark.parametrize(
    ("options", "percent"),
    [
        (("-t", "60"), 34),
        (("-t", "00:00:30"), 34),
        (("-t", "60", "-p", "de"), 34),
        (("-t", "1:00:00", "-C", "fr"), 60),
    ],
)
def test_who_does_not_opt_in_is_told_what_it_would_save(
    advising: Advising, options: tuple[str, ...], percent: int
) -> None:
    advising.write()

    _, said = advising.submit(*options)

    assert f"this job would emit {percent} % less carbon: sbatch --comment cleanhours" in said
    assert 1 == len(said.splitlines())


def test_no_option_is_changed(advising: Advising) -> None:
    options = ("-t", "60", "-p", "de,fr", "-C", "de|fr", "--comment", "mine", "-J", "train", "--nice=7")
    without, said_without = advising.submit(*options)
    advising.write()
    with_it, said = advising.submit(*options)

    def shown(job: str) -> dict[str, str]:
        words = advising.slurm.root("scontrol", "-o", "show", "job", job).split()
        names = (
            "Partition",
            "Features",
            "Comment",
            "JobName",
            "Nice",
            "TimeLimit",
            "Requeue",
            "Dependency",
            "QOS",
        )
        return {word.split("=")[0]: word for word in words if word.split("=")[0] in names}

    assert "" == said_without
    assert "less carbon" in said
    assert shown(without) == shown(with_it)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-t", "2-0"),
        ("-t", "UNLIMITED"),
        ("-t", "60", "--comment", "cleanhours"),
        ("-t", "60", "--comment", "cleanhours:off"),
        ("-t", "60", "-p", "pl"),
        ("-t", "60", "--hold"),
        ("-t", "60", "--begin", "now+5"),
        ("-t", "60", "--deadline", "now+1day"),
        ("-t", "60", "-Q"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_others_are_told_nothing(advising: Advising, options: tuple[str, ...]) -> None:
    advising.write()

    assert "" == advising.submit(*options)[1]


def test_somebody_who_waits_for_an_answer_is_told_nothing(advising: Advising) -> None:
    advising.write()

    assert "carbon" not in advising.slurm.run("srun", "-t", "60", "true", timeout=90).stderr


def test_a_deadline_that_a_delay_could_miss_is_warned_of(advising: Advising) -> None:
    advising.write()

    _, missed = advising.submit("-t", "60", "--comment", "cleanhours", "--deadline", "now+6hours")
    _, kept = advising.submit("-t", "60", "--comment", "cleanhours", "--deadline", "now+8hours")

    assert "the site may delay this job beyond its --deadline" in missed
    assert "" == kept


@pytest.mark.parametrize("fault", ["missing", "stale", "broken", "garbage", "unreadable"])
def test_without_a_plan_sbatch_works_in_silence(advising: Advising, fault: str) -> None:
    text = advising.write()
    if fault == "missing":
        advising.plan.unlink()
    elif fault == "unreadable":
        advising.plan.chmod(0o000)
    else:
        broken = {
            "stale": text.replace(f"until {advising.now + HOUR}", "until 1"),
            "broken": text + "start now\n",
        }
        advising.plan.write_bytes(broken.get(fault, "").encode() or bytes(range(256)) * 9)

    job, said = advising.submit("-t", "60")

    assert ("", True) == (said, job.isdigit())
