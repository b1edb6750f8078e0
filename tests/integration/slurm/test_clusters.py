"""Several clusters: a job is planned where it was submitted to, and in a federation moves to where the hour is clean."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from cleanhours.domain.times import format_instant, instant_of
from tests.integration.slurm.site import Site, started_site, wait_until
from tests.integration.slurm.stalling import kill, stalled, who_has_open
from tests.integration.slurm.worlds import HOUR, forget_forecasts, only_job, records, script, this_hour

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SETTINGS = """\
[clusters.alpha]
type = "slurm"
cluster = "alpha"
poll = "1s"

[clusters.beta]
type = "slurm"
cluster = "beta"
poll = "1s"

[locations.de]
zone = "DE"
match = {{cluster = "alpha", partition = "de"}}

[locations.fr]
zone = "FR"
match = {{cluster = "alpha", partition = "fr"}}

[locations.se]
zone = "SE"
match = {{cluster = "beta", partition = "se"}}

[locations.no]
zone = "NO"
match = {{cluster = "beta", partition = "no"}}

[forecasts]
chain = ["csv:{forecast}"]
"""
FEDERATED = """\
[clusters.alpha]
type = "slurm"
cluster = "alpha"
federation = true
location = "de"
poll = "1s"

[clusters.beta]
type = "slurm"
cluster = "beta"
federation = true
location = "se"
poll = "1s"

[locations.de]
zone = "DE"
match = {{cluster = "continent"}}

[locations.se]
zone = "SE"
match = {{cluster = "north"}}

[forecasts]
chain = ["csv:{forecast}"]
"""
ZONES = ("DE", "FR", "SE", "NO")
SIDES = ("alpha", "beta")
CLEAN_IN = {"DE": 3, "FR": 4, "SE": 5, "NO": 6}
"""After so many hours each zone is clean."""
WORK = ("-t", "30", "--wrap", "sleep 600")


@dataclass(frozen=True)
class Two:
    """Two clusters that know each other. What is typed is typed on alpha."""

    alpha: Site
    beta: Site

    def wrapper(
        self, *arguments: str, environment: Mapping[str, str] | None = None, check: bool = True
    ) -> tuple[str, str]:
        done = self.alpha.wrapper(*arguments, environment=environment, check=check)
        return done.stdout, done.stderr

    def tick(self) -> None:
        self.alpha.cleanhours("controller", "--once")


@pytest.fixture(scope="module")
def both() -> Iterator[Two]:
    with (
        started_site("-a", "-c", "16") as alpha,
        started_site("-z", "se no", "-c", "16", name="beta", beside=alpha) as beta,
    ):
        yield Two(alpha, beta)


@pytest.fixture
def two(both: Two) -> Iterator[Two]:
    write_forecast(both.alpha, SETTINGS, lambda zone, hour: 500.0 if hour < CLEAN_IN[zone] else 100.0)
    yield both
    for site in (both.alpha, both.beta):
        site.root("scancel", *site.jobs(), check=False)


def test_a_job_for_another_cluster_is_planned_there(two: Two) -> None:
    printed, said = two.wrapper("--carbon", "max-delay=12h", "-M", "beta", "-p", "se", *WORK)

    job = only_job(printed)
    assert f"Submitted batch job {job} on cluster beta\n" == printed
    assert "in se (SE)" in said
    assert str(clean_in("SE")) == two.beta.show(job)["start"]
    wait_until(lambda: two.beta.show(job)["reason"] == "BeginTime", "it waits there")
    assert [] == records(two.alpha)


def test_its_places_are_those_of_that_cluster(two: Two) -> None:
    printed, _ = two.wrapper("--carbon", "max-delay=12h locations=se,no", "-M", "beta", *WORK)
    refused = two.wrapper("--carbon", "max-delay=12h locations=de", "-M", "beta", *WORK)[1]

    assert "se" == two.beta.show(only_job(printed))["partition"]
    assert "locations: found 'de', accepted: one of no, se" in refused


@pytest.mark.parametrize(
    "options", [["-M", "beta"], ["--parsable", "-M", "beta"], ["-M", "alpha,beta"], ["--parsable", "--clusters=alpha,beta"],
                ["--clusters", "alpha"], ["-Q", "-M", "beta"]],
)  # fmt: skip
def test_it_prints_exactly_what_sbatch_prints(two: Two, options: list[str]) -> None:
    ours, _ = two.wrapper("--carbon", "max-delay=12h", *options, *WORK)
    bare = two.alpha.run("sbatch", *options, *WORK).stdout

    assert without_number(bare) == without_number(ours)
    assert [] == held(two)


def test_of_several_clusters_the_one_that_answers_plans(two: Two) -> None:
    printed, _ = two.wrapper("--carbon", "max-delay=12h", "--parsable", "-M", "alpha,beta", *WORK)

    job, _, cluster = printed.strip().partition(";")
    site, zone = {"alpha": (two.alpha, "DE"), "beta": (two.beta, "SE")}[cluster]
    assert str(clean_in(zone)) == site.show(job)["start"]


def test_a_job_for_the_cluster_at_hand_is_planned_by_that_cluster_s_table(two: Two) -> None:
    printed, said = two.wrapper("--carbon", "max-delay=12h", "-p", "fr", *WORK)

    assert "in fr (FR)" in said
    assert str(clean_in("FR")) == two.alpha.show(only_job(printed))["start"]


def test_the_environment_names_another_table(two: Two) -> None:
    named = {"CLEANHOURS_CLUSTER": "beta"}
    printed, said = two.wrapper("--carbon", "max-delay=12h", *WORK, environment=named)

    assert "in se (SE)" in said
    assert str(clean_in("SE")) == two.alpha.show(only_job(printed))["start"]


def test_slurm_conf_leads_to_another_cluster_and_to_its_table(two: Two) -> None:
    other = {"SLURM_CONF": str(two.beta.config)}
    printed, said = two.wrapper("--carbon", "max-delay=12h", *WORK, environment=other)

    job = only_job(printed)
    assert f"Submitted batch job {job}\n" == printed
    assert "in se (SE)" in said
    assert str(clean_in("SE")) == two.beta.show(job)["start"]


def test_clusters_may_stand_in_the_environment_or_in_the_script(two: Two) -> None:
    named = {"SBATCH_CLUSTERS": "beta"}
    by_environment, _ = two.wrapper("--carbon", "max-delay=12h", *WORK, environment=named)
    done = two.alpha.wrapper(input="#!/bin/sh\n#SBATCH -M beta -t 30\n#CARBON max-delay=12h\nsleep 600\n")

    for printed in (by_environment, done.stdout):
        assert printed.endswith(" on cluster beta\n")
        assert str(clean_in("SE")) == two.beta.show(only_job(printed))["start"]


def test_an_unknown_cluster_is_refused_with_sbatch_s_words(two: Two) -> None:
    ours = two.alpha.wrapper("--carbon", "max-delay=12h", "-M", "gamma", *WORK, check=False)
    bare = two.alpha.run("sbatch", "-M", "gamma", *WORK, check=False)

    assert (bare.returncode, bare.stdout, bare.stderr) == (ours.returncode, ours.stdout, ours.stderr)
    assert [] == records(two.alpha)


def test_one_controller_plans_both_clusters(two: Two) -> None:
    here, there = (
        only_job(two.wrapper("--carbon", "max-delay=12h", *options, *WORK)[0])
        for options in ([], ["-M", "beta"])
    )

    write_forecast(two.alpha, SETTINGS, lambda _, hour: 500.0 if hour < 8 else 100.0)
    two.tick()

    later = str(this_hour() + 8 * HOUR)
    assert (later, later) == (two.alpha.show(here)["start"], two.beta.show(there)["start"])


def test_killed_before_sbatch_answered_a_job_on_another_cluster_is_let_go(two: Two) -> None:
    """The controller knows of no cluster but its own."""
    state = two.alpha.home / "state-killed"
    killed_on_the_way(two, "by-option", state, options=["-M", "beta"])
    killed_on_the_way(two, "by-options", state, options=["-M", "gamma,beta"])
    killed_on_the_way(two, "by-environment", state, environment={"SLURM_CLUSTERS": "beta"})
    killed_on_the_way(two, "by-script", state, line="-M beta")
    killed_on_the_way(two, "by-slurm-conf", state, environment={"SLURM_CONF": str(two.beta.config)})
    wait_until(lambda: len(held(two)) == 5, "their sbatch submit")
    for pid in who_has_open(state / "submissions" / "watchdog.lock"):
        kill(pid)
    grow_old(state / "submissions")

    two.alpha.cleanhours("controller", "--once", environment={"CLEANHOURS_STATE__FOLDER": str(state)})

    assert [] == held(two)
    assert [] == list((state / "submissions").glob("*.json"))


def killed_on_the_way(
    two: Two,
    name: str,
    state: Path,
    *,
    options: Sequence[str] = (),
    line: str = "",
    environment: Mapping[str, str] | None = None,
) -> None:
    """A submission to beta that is killed while its sbatch runs, which goes on."""
    slow = stalled(two.alpha, "sbatch", name, "--hold", seconds=2)
    text = f"#!/bin/sh\n#SBATCH -t 30 {line}\n#CARBON max-delay=12h\nsleep 600\n"
    said = {"CLEANHOURS_SBATCH": slow.command, "CLEANHOURS_STATE__FOLDER": str(state), **(environment or {})}
    wrapper = Site.words("cleanhours.apps.sbatch", "main")
    process = two.alpha.start(*wrapper, *options, script(two.alpha, text, f"{name}.sh"), environment=said)
    slow.until_reached()
    process.kill()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    process.wait(10)


# -- a federation -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joined(both: Two) -> Two:
    """The same two as one federation; who asks for no feature of a cluster may run on either."""
    root = both.alpha.root
    root("sacctmgr", "-i", "add", "federation", "europe", "clusters=alpha,beta")
    root("sacctmgr", "-i", "modify", "cluster", "alpha", "set", "features=continent")
    root("sacctmgr", "-i", "modify", "cluster", "beta", "set", "features=north")
    for site in (both.alpha, both.beta):
        wait_until(partial(knows_the_other, site), "they meet")
    return both


def knows_the_other(site: Site) -> bool:
    shown = site.root("scontrol", "show", "federation")
    return all(word in shown for word in ("Synced:Yes", "continent", "north"))


@pytest.fixture
def europe(joined: Two) -> Iterator[Two]:
    write_forecast(joined.alpha, FEDERATED, north_is_clean)
    yield joined
    for site in (joined.alpha, joined.beta):
        site.root("scancel", *site.jobs(), check=False)


def north_is_clean(zone: str, hour: int) -> float:
    return 500.0 if hour < 3 else {"DE": 300.0, "SE": 50.0}.get(zone, 400.0)


def continent_is_clean(zone: str, hour: int) -> float:
    return 500.0 if hour < 5 else {"DE": 50.0, "SE": 300.0}.get(zone, 400.0)


def test_a_job_is_sent_to_the_cleaner_cluster_of_its_federation(europe: Two) -> None:
    printed, said = europe.wrapper("--carbon", "max-delay=12h locations=de,se", *WORK)

    job = only_job(printed)
    assert f"Submitted batch job {job}\n" == printed
    assert "in se (SE)" in said
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)
    assert "REVOKED" == here(europe.alpha, job)[0]
    assert [] == records(europe.alpha)


def test_a_waiting_job_moves_when_the_forecast_turns_and_keeps_its_number(europe: Two) -> None:
    job = only_job(europe.wrapper("--carbon", "max-delay=12h locations=de,se", *WORK)[0])
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)

    write_forecast(europe.alpha, FEDERATED, continent_is_clean)
    europe.tick()

    waits_on(europe.alpha, job, this_hour() + 5 * HOUR)
    wait_until(lambda: here(europe.beta, job)[0] in {"", "REVOKED"}, "it is gone from there")
    write_forecast(europe.alpha, FEDERATED, north_is_clean)
    europe.tick()
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)


@pytest.mark.parametrize("side", ["alpha", "beta"])
def test_a_controller_on_either_side_leaves_it_alone_the_second_time(europe: Two, side: str) -> None:
    job = only_job(europe.wrapper("--carbon", "max-delay=12h locations=de,se", *WORK)[0])
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)
    tick_on(europe, side)
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)
    before = here(europe.beta, job), here(europe.alpha, job)[0]

    tick_on(europe, side)

    assert before == (here(europe.beta, job), here(europe.alpha, job)[0])
    assert ("PENDING", "REVOKED") == (before[0][0], before[1])


def test_controllers_on_both_sides_agree(europe: Two) -> None:
    job = only_job(europe.wrapper("--carbon", "max-delay=12h locations=de,se", *WORK)[0])
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)

    write_forecast(europe.alpha, FEDERATED, continent_is_clean)
    for side in ("alpha", "beta", "alpha", "beta"):
        tick_on(europe, side)

    waits_on(europe.alpha, job, this_hour() + 5 * HOUR)


def test_a_job_that_may_run_on_either_waits_on_both(europe: Two) -> None:
    job = only_job(europe.wrapper("--carbon", "max-delay=12h", *WORK)[0])

    for site in (europe.alpha, europe.beta):
        waits_on(site, job, this_hour() + 3 * HOUR)
    europe.tick()
    europe.tick()
    for site in (europe.alpha, europe.beta):
        waits_on(site, job, this_hour() + 3 * HOUR)


def test_its_owner_s_own_choice_of_a_cluster_is_left_to_him(europe: Two) -> None:
    done = europe.wrapper(
        "--carbon", "max-delay=12h locations=de,se", "--cluster-constraint=continent", *WORK
    )

    waits_on(europe.alpha, only_job(done[0]), this_hour() + 3 * HOUR)


def test_its_owner_s_own_hold_is_his_in_a_federation_too(europe: Two) -> None:
    job = only_job(europe.wrapper("--carbon", "max-delay=12h locations=de,se", "-H", *WORK)[0])
    assert "JobHeldUser" == europe.alpha.show(job)["reason"]

    europe.alpha.run("scontrol", "release", job)

    waits_on(europe.alpha, job, this_hour() + 3 * HOUR)


def test_a_job_that_moved_runs_and_is_accounted_once_where_it_ran(europe: Two) -> None:
    words = "max-delay=12h locations=de,se power=100W"
    job = only_job(europe.wrapper("--carbon", words, "-t", "30", "--wrap", "sleep 3")[0])
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)
    europe.alpha.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    wait_until(lambda: here(europe.beta, job)[0] == "RUNNING", "it runs")
    europe.tick()
    wait_until(lambda: here(europe.beta, job)[0] == "COMPLETED", "it ends")

    def accounted() -> list[tuple[str, str]]:
        europe.tick()
        rows = json.loads(europe.alpha.cleanhours("report", "--json").stdout)["runs"]
        return [(row["state"], row["location"]) for row in rows if row["uid"].startswith(f"{job}-")]

    wait_until(accounted, "it is accounted")
    assert [("succeeded", "se")] == accounted()


def test_a_controller_of_each_cluster_plans_again_and_accounts_what_its_cluster_got(europe: Two) -> None:
    words = "max-delay=12h locations=de,se power=100W"
    job = only_job(europe.wrapper("--carbon", words, "-t", "30", "--wrap", "sleep 5")[0])
    waits_on(europe.beta, job, this_hour() + 3 * HOUR)

    write_forecast(
        europe.alpha, FEDERATED, lambda zone, hour: 500.0 if hour < 6 else north_is_clean(zone, hour)
    )
    tick_on(europe, "beta")
    waits_on(europe.beta, job, this_hour() + 6 * HOUR)
    tick_on(europe, "alpha")
    waits_on(europe.beta, job, this_hour() + 6 * HOUR)

    assert [("beta", "succeeded", "se")] == accounts_of(europe, job)


def test_a_job_that_waited_on_both_is_accounted_once_where_it_ran(europe: Two) -> None:
    job = only_job(europe.wrapper("--carbon", "max-delay=12h power=100W", "-t", "30", "--wrap", "sleep 5")[0])
    for site in (europe.alpha, europe.beta):
        waits_on(site, job, this_hour() + 3 * HOUR)

    ((cluster, state, location),) = accounts_of(europe, job)

    assert "succeeded" == state
    assert (cluster, location) in {("alpha", "de"), ("beta", "se")}


def accounts_of(two: Two, job: str) -> list[tuple[str, str, str]]:
    """Starts it now, and has the controllers of both clusters look until it is accounted, and twice more."""
    two.alpha.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    wait_until(lambda: "RUNNING" in states(two, job), "it runs")
    for side in SIDES:
        tick_on(two, side)
    wait_until(lambda: "COMPLETED" in states(two, job), "it ends")

    def accounted() -> list[tuple[str, str, str]]:
        found = []
        for side in SIDES:
            tick_on(two, side)
            printed = two.alpha.cleanhours(*of_side(two, side), "report", "--json").stdout
            rows = [row for row in json.loads(printed)["runs"] if row["uid"].startswith(f"{job}-")]
            found += [(side, row["state"], row["location"]) for row in rows]
        return found

    wait_until(accounted, "it is accounted")
    accounted()
    return accounted()


def states(two: Two, job: str) -> set[str]:
    """On the two clusters."""
    return {here(site, job)[0] for site in (two.alpha, two.beta)}


def here(site: Site, job: str) -> tuple[str, ...]:
    """State, reason and start of a job on this very cluster; of one number alone squeue asks where it was submitted."""
    shown = site.root(
        "env", "SLURM_TIME_FORMAT=%s", "squeue", "-h", "-a", "-t", "all", "--local", "-o", "%i %T %r %S"
    )
    rows = [line.split() for line in shown.splitlines()]
    return next((tuple(rest) for number, *rest in rows if number == job), ("", "", ""))


def waits_on(site: Site, job: str, start: int) -> None:
    waiting = ("PENDING", "BeginTime", str(start))
    wait_until(lambda: waiting == here(site, job), f"job {job} waits until {start}")


def tick_on(two: Two, side: str) -> None:
    """As the controller of one of the two clusters, with a state of its own."""
    table = re.search(rf"\[clusters\.{side}\]\n(?:.+\n)+", FEDERATED)
    rest = FEDERATED[FEDERATED.index("[locations") :]
    assert table is not None
    file = two.alpha.home / f"{side}.toml"
    file.write_text((table[0] + rest).format(forecast=two.alpha.home / "forecast.csv"), "utf-8")
    file.chmod(0o644)
    two.alpha.cleanhours(*of_side(two, side), "controller", "--once")


def of_side(two: Two, side: str) -> tuple[str | Path, ...]:
    return ("--config", two.alpha.home / f"{side}.toml", "--state", two.alpha.home / f"state-{side}")


def held(two: Two) -> list[str]:
    return [
        f"{job} on {name}"
        for name, site in (("alpha", two.alpha), ("beta", two.beta))
        for job in site.jobs()
        if "Held" in site.show(job)["reason"]
    ]


def clean_in(zone: str) -> int:
    return this_hour() + CLEAN_IN[zone] * HOUR


def without_number(printed: str) -> str:
    return re.sub("alpha|beta", "one of them", re.sub(r"\d+", "N", printed))


def write_forecast(site: Site, settings: str, forecast: Callable[[str, int], float]) -> None:
    """What the user's commands read: intensity in every zone for each hour from this one on."""
    rows = [",".join(["time", *ZONES])]
    for hour in range(-2, 48):
        instant = format_instant(instant_of(this_hour() + hour * HOUR))
        rows.append(",".join([instant, *(str(forecast(zone, hour)) for zone in ZONES)]))
    file = site.home / "forecast.csv"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    file.chmod(0o644)
    site.settings(settings.format(forecast=file))
    forget_forecasts(site)


def grow_old(folder: Path) -> None:
    """As if two minutes had passed."""
    for file in folder.glob("*.json"):
        record = json.loads(file.read_text("utf-8"))
        file.write_text(json.dumps({**record, "submitted": record["submitted"] - 120}), "utf-8")
