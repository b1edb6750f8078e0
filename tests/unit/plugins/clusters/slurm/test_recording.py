"""A submission that was killed leaves a record, by which whoever comes by lets go its job, and no other."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cleanhours.domain.errors import CleanhoursError, TemporaryError
from cleanhours_plugins.clusters.slurm import recording
from cleanhours_plugins.clusters.slurm.recording import (
    Record,
    folder_of,
    left_behind,
    new_record,
    read,
    with_job,
    write,
)
from cleanhours_plugins.clusters.slurm.repairing import held_jobs, repair
from cleanhours_plugins.clusters.slurm.watchdog import repair_all
from tests.unit.plugins.clusters.slurm.made import NOW

HERE = socket.gethostname().partition(".")[0]
SESSION = 4_100_000
"""Of no process: no Linux counts so far by default."""
MINE = Record(user="games", host=HERE, session=SESSION, submitted=NOW - 90)
WEEK = 7 * 86_400
SCRIPT = "#!/bin/sh\n#SBATCH -t 30\ntrue\n"


@dataclass
class Pretended:
    """A Slurm of which only the two programs are there that a repair asks."""

    folder: Path

    def shows(self, *lines: str, cluster: str = "") -> None:
        """What squeue prints; of a cluster of which nothing was said it says nothing."""
        (self.folder / f"queue-{cluster}").write_text("".join(lines), "utf-8")

    def keeps(self, job: str, script: str) -> None:
        (self.folder / f"script-{job}").write_text(script, "utf-8")

    def is_away(self) -> None:
        (self.folder / "away").touch()

    def refuses(self, job: str) -> None:
        (self.folder / f"refused-{job}").touch()

    @property
    def asked(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text("utf-8").splitlines() if log.exists() else []

    @property
    def released(self) -> list[str]:
        return [line.partition("scontrol ")[2] for line in self.asked if " release " in line]


PROGRAMS = {
    "squeue": 'cat "$here/queue-$cluster" 2>/dev/null; true\n',
    "scontrol": """\
case "$1" in
    write) cat "$here/script-$3" 2>/dev/null || { echo "Invalid job id specified" >&2; exit 1; } ;;
    release) [ ! -e "$here/refused-$2" ] || { echo "Invalid job id specified" >&2; exit 1; } ;;
esac
""",
}
BEGINS = """\
#!/bin/sh
here={folder}
echo "${{SLURM_CONF:-usual}} $(basename "$0") $*" >> "$here/log"
[ ! -e "$here/away" ] || {{ echo "Unable to contact slurm controller" >&2; exit 1; }}
cluster=; [ "$1" != -M ] || {{ cluster=$2; shift 2; }}
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(BEGINS.format(folder=folder) + text, "utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("SLURM_CONF", raising=False)
    return Pretended(folder)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "submissions"
    folder.mkdir()
    return folder


def recorded(records: Path, record: Record = MINE, name: str = "one") -> Path:
    path = records / f"{name}.json"
    write(path, record)
    return path


def shown(
    job: str = "12",
    reason: str = "JobHeldUser",
    host: str = HERE,
    session: int = SESSION,
    submitted: object = NOW - 89,
    leader: str = "0",
    cluster: str = "alpha",
) -> str:
    """A line as squeue pads it."""
    values = (job, leader, cluster, reason, host, str(session), str(submitted))
    return "".join(f"{value:<24}\x1f" for value in values) + "\n"


# -- records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"CLEANHOURS_STATE__FOLDER": "/s", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/s/submissions"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/cleanhours/submissions"),
        ({"HOME": "/h"}, "/h/.local/state/cleanhours/submissions"),
        ({}, f"{pwd.getpwuid(os.getuid()).pw_dir}/.local/state/cleanhours/submissions"),
    ],
)
def test_records_lie_where_a_user_s_state_is_kept(environment: dict[str, str], folder: str) -> None:
    assert Path(folder) == folder_of(environment)


def test_a_folder_means_the_same_wherever_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "state" / "submissions" == folder_of({"CLEANHOURS_STATE__FOLDER": "state"})


def test_a_new_record_says_whose_and_where_it_is() -> None:
    record = new_record("games", {"SLURM_CONF": "/etc/other.conf"}, NOW, clusters="alpha,beta", held=True)

    assert (
        Record(
            user="games",
            host=HERE,
            submitted=NOW,
            cluster="alpha,beta",
            held=True,
            slurm_conf="/etc/other.conf",
        )
        == record
    )


@pytest.mark.parametrize(
    ("environment", "clusters"),
    [
        ({"SBATCH_CLUSTERS": "beta", "SLURM_CLUSTERS": "gamma"}, "beta"),
        ({"SLURM_CLUSTERS": "gamma"}, "gamma"),
        ({}, ""),
    ],
)
def test_a_record_knows_the_clusters_of_the_environment(environment: dict[str, str], clusters: str) -> None:
    assert clusters == new_record("games", environment, NOW).cluster
    assert "alpha" == new_record("games", environment, NOW, clusters="alpha").cluster


def test_a_record_is_read_as_it_was_written_and_is_its_user_s_alone(records: Path) -> None:
    path = recorded(records)

    assert MINE == read(path)
    assert (0o600, ["one.json"]) == (
        path.stat().st_mode & 0o777,
        [one.name for one in records.iterdir()],
    )


def test_what_sbatch_answered_is_added(records: Path) -> None:
    path = recorded(records, replace(MINE, cluster="alpha,beta"))
    with_job(path, "12", "beta")
    assert replace(MINE, job="12", cluster="beta") == read(path)

    with_job(path, "13", "")
    assert replace(MINE, job="13", cluster="beta") == read(path)


def test_a_record_that_is_gone_meanwhile_is_not_written_again(records: Path) -> None:
    with_job(records / "one.json", "12", "")

    assert [] == list(records.iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"user": "games"}', '{"user": 1, "host": "h"}', "\x00"],
)
def test_what_is_no_record_is_left_out_and_no_other(records: Path, text: str) -> None:
    (records / "broken.json").write_text(text, "utf-8")
    path = recorded(records)

    assert [(path, MINE)] == left_behind(records, NOW)


def test_a_number_as_a_text_is_no_record(records: Path) -> None:
    path = recorded(records)
    path.write_text(path.read_text("utf-8").replace(str(SESSION), f'"{SESSION}"'), "utf-8")

    with pytest.raises(ValueError, match="is no record of a submission"):
        read(path)


@pytest.mark.parametrize(
    ("age", "left"),
    [
        (0, False),
        (59, False),
        (60, True),
        (WEEK, True),
        # of a machine that shares the folder, and whose clock is ahead
        (-1, False),
        (-59, False),
        # the clock was set back
        (-60, True),
        (-WEEK, True),
    ],
)
def test_a_submission_is_left_alone_for_a_minute(records: Path, age: int, left: bool) -> None:
    recorded(records, replace(MINE, submitted=NOW - age))

    assert left is bool(left_behind(records, NOW))
    assert 1 == len(left_behind(records, NOW, younger=True))


def test_records_are_told_oldest_first(records: Path) -> None:
    for name in (f"{NOW - 70}-8", f"{NOW - 90}-9"):
        recorded(records, name=name)

    assert [f"{NOW - 90}-9", f"{NOW - 70}-8"] == [path.stem for path, _ in left_behind(records, NOW)]


def test_where_nobody_submitted_there_are_no_records(tmp_path: Path) -> None:
    assert [] == left_behind(tmp_path / "none", NOW)


# -- repairs ---------------------------------------------------------------------------------------------------------


def test_a_job_that_was_left_held_is_let_go_and_its_record_goes(slurm: Pretended, records: Path) -> None:
    path = recorded(records)
    slurm.shows(shown())
    slurm.keeps("12", SCRIPT)

    assert ["12"] == repair(path, MINE, NOW)
    assert ["release 12"] == slurm.released
    assert not path.exists()


@pytest.mark.parametrize(
    "line",
    [
        shown(reason="BeginTime"),
        shown(reason="JobHeldAdmin"),
        shown(reason="job requeued in held state"),
        shown(session=SESSION + 1),
        shown(host="login2"),
        shown(submitted=NOW - 90 - 301),
        shown(submitted="N/A"),
        "slurm_load_jobs: a warning\n",
    ],
    ids=["waits", "admin", "requeued", "session", "host", "earlier", "unknown", "noise"],
)
def test_what_is_not_of_that_submission_or_not_held_is_left_alone(
    slurm: Pretended, records: Path, line: str
) -> None:
    path = recorded(records)
    slurm.shows(line)
    slurm.keeps("12", SCRIPT)

    assert [] == repair(path, MINE, NOW)
    assert [] == slurm.released
    assert not path.exists()


def test_of_several_jobs_of_a_user_only_that_one_is_let_go(slurm: Pretended, records: Path) -> None:
    slurm.shows(shown("11", session=7), shown("12"), shown("13", session=8))
    for job in ("11", "12", "13"):
        slurm.keeps(job, SCRIPT)

    assert ["12"] == repair(recorded(records), MINE, NOW)


def test_a_job_whose_number_is_known_is_found_whatever_its_machine_is_called(
    slurm: Pretended, records: Path
) -> None:
    slurm.shows(shown("11", host="10.0.0.7"), shown("12", host="10.0.0.7"))
    slurm.keeps("12", SCRIPT)

    record = replace(MINE, job="12")
    assert ["12"] == repair(recorded(records, record), record, NOW)


@pytest.mark.parametrize(
    ("script", "let_go"),
    [
        (SCRIPT, ["12"]),
        ("#!/bin/sh\n#SBATCH --comment='do not --hold'\ntrue\n", ["12"]),
        ("#!/bin/sh\ntrue\n#SBATCH --hold\n", ["12"]),
        ("#!/bin/sh\n#SBATCH --hold\ntrue\n", []),
        ("#!/bin/sh\n#SBATCH -t 30 -H\ntrue\n", []),
        ("#!/bin/sh\n#PBS -h\ntrue\n", []),
    ],
)
def test_a_job_that_its_own_script_holds_stays_held(
    slurm: Pretended, records: Path, script: str, let_go: list[str]
) -> None:
    path = recorded(records)
    slurm.shows(shown())
    slurm.keeps("12", script)

    assert let_go == repair(path, MINE, NOW)
    assert not path.exists()


def test_a_script_that_nobody_shows_holds_no_job(slurm: Pretended, records: Path) -> None:
    slurm.shows(shown())

    assert ["12"] == repair(recorded(records), MINE, NOW)


def test_a_job_whose_owner_asked_for_a_hold_is_not_even_looked_at(slurm: Pretended, records: Path) -> None:
    path = recorded(records, replace(MINE, held=True))

    assert [] == repair(path, read(path), NOW)
    assert [] == slurm.asked
    assert not path.exists()


def test_a_job_that_was_not_submitted_held_is_found_whatever_it_waits_for_and_let_go_by_nobody(
    slurm: Pretended, records: Path
) -> None:
    free = replace(MINE, free=True)
    slurm.shows(shown(reason="ReqNodeNotAvail, UnavailableNodes:fr1"), shown("13", session=SESSION + 1))
    assert [("12", "")] == held_jobs(free)

    path = recorded(records, free)
    slurm.shows(shown())
    assert [] == repair(path, read(path), NOW)
    assert [] == slurm.released
    assert not path.exists()


def test_a_job_that_is_gone_meanwhile_is_no_trouble(slurm: Pretended, records: Path) -> None:
    path = recorded(records)
    slurm.shows(shown())
    slurm.keeps("12", SCRIPT)
    slurm.refuses("12")

    assert [] == repair(path, MINE, NOW)
    assert not path.exists()


def test_the_parts_of_a_heterogeneous_job_are_let_go_by_their_leader(slurm: Pretended, records: Path) -> None:
    slurm.shows(shown("45", leader="45"), shown("46", leader="45"))
    slurm.keeps("45", SCRIPT)

    assert ["45"] == repair(recorded(records), MINE, NOW)
    assert ["release 45"] == slurm.released


@pytest.mark.parametrize(("age", "kept"), [(90, True), (WEEK, True), (WEEK + 1, False)])
def test_while_slurm_does_not_answer_the_record_is_kept_for_a_week(
    slurm: Pretended, records: Path, age: int, kept: bool
) -> None:
    record = replace(MINE, submitted=NOW - age)
    path = recorded(records, record)
    slurm.is_away()

    with pytest.raises(TemporaryError):
        repair(path, record, NOW)
    assert kept is path.exists()


def test_a_slurm_that_does_not_answer_is_asked_once_however_many_records_there_are(
    slurm: Pretended, records: Path
) -> None:
    beta = replace(MINE, cluster="beta")
    for number, record in enumerate((MINE, MINE, beta, MINE, beta)):
        recorded(records, record, f"{number}")
    slurm.is_away()

    assert not repair_all(records, lambda: NOW)
    assert [False, True] == ["-M beta" in line for line in slurm.asked]
    assert 5 == len(list(records.iterdir()))


def test_an_sbatch_that_goes_on_keeps_no_other_job_held(slurm: Pretended, records: Path) -> None:
    recorded(records, replace(MINE, session=os.getpid()), "1")
    recorded(records, MINE, "2")
    slurm.shows(shown())

    assert not repair_all(records, lambda: NOW)
    assert ["release 12"] == slurm.released


def test_an_old_hold_is_let_go_when_slurm_is_back_however_late(slurm: Pretended, records: Path) -> None:
    record = replace(MINE, submitted=NOW - 2 * WEEK)
    slurm.shows(shown(submitted=NOW - 2 * WEEK))
    slurm.keeps("12", SCRIPT)

    assert ["12"] == repair(recorded(records, record), record, NOW)


def test_slurm_is_asked_as_the_submission_found_it(
    slurm: Pretended, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", "/etc/of-another.conf")
    for conf in ("/etc/its-own.conf", ""):
        repair(recorded(records), replace(MINE, slurm_conf=conf, job="12"), NOW)

    assert ["/etc/its-own.conf", "usual"] == [line.split()[0] for line in slurm.asked]


def test_of_several_clusters_each_is_asked(slurm: Pretended, records: Path) -> None:
    slurm.shows(cluster="alpha")
    slurm.shows(shown(cluster="beta"), cluster="beta")
    slurm.keeps("12", SCRIPT)
    record = replace(MINE, cluster="alpha,beta")

    assert [("12", "beta")] == held_jobs(record)
    assert ["12"] == repair(recorded(records, record), record, NOW)
    assert "usual scontrol -M beta release 12" in slurm.asked


def test_clusters_that_only_the_script_names_are_found_too(slurm: Pretended) -> None:
    slurm.shows(cluster="")
    slurm.shows(shown(cluster="beta"), cluster="all")

    assert [("12", "beta")] == held_jobs(MINE)


def test_while_sbatch_itself_goes_on_its_record_stays(slurm: Pretended, records: Path) -> None:
    slurm.shows()
    trying = replace(MINE, session=os.getpid())
    path = recorded(records, trying)

    with pytest.raises(CleanhoursError, match="sbatch goes on"):
        repair(path, trying, NOW)
    assert path.exists()
    assert [] == repair(path, replace(trying, job="12"), NOW)


def test_a_submission_that_was_never_begun_has_no_job(slurm: Pretended, records: Path) -> None:
    slurm.shows(shown(session=0), shown(session=os.getpid()))

    never = replace(MINE, session=recording.NO_SESSION)
    assert [] == repair(recorded(records, never), never, NOW)
