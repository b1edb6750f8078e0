"""A location in a grid zone that no source serves: named once, on every way that its user looks; its jobs run on time."""

from __future__ import annotations

import logging
import signal
from pathlib import Path

import pytest

from cleanhours.domain.jobs import Action, JobState
from cleanhours.testing.outlooks import FakeOutlook
from tests.flow.command_line import Shell
from tests.flow.test_cycle import HOUR, Stage, grid

SETTINGS = """
[clusters.local]
type = "local"
[locations.de]
zone = "DEE"
[locations.paris]
zone = "FR"
[locations.munich]
zone = "DEE"
[metrics]
listen = "off"
"""
CHAIN = '[forecasts]\nchain = ["neso", "climatology", "history:neso"]\n'
WISH = ("--duration", "1h", "--deadline", "+12h")
ASKED = "(asked: neso, climatology, history:neso; did you mean DE or EE?)"
OF_DE = f"no forecast source serves zone 'DEE' of location de {ASKED}"
WARNING = f"no forecast source serves zone 'DEE' of locations de, munich {ASKED}; jobs that may run there start at once"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, SETTINGS + CHAIN)


def test_the_job_runs_at_once_and_controller_and_explain_say_which_zone_is_why(shell: Shell) -> None:
    submitted = shell.run("submit", "--name", "train", *WISH, "--", "sleep", "60")
    once = shell.run("controller", "--once")
    explained = shell.run("explain", "train").stdout
    (row,) = shell.json("jobs")
    shell.run("cancel", "train")

    assert f"(no-forecast); {OF_DE}." in submitted.stderr
    assert "release" in once.stdout
    assert 1 == once.stderr.count(WARNING)
    assert 1 == explained.count(OF_DE)
    assert ("running", OF_DE) == (row["state"], row["plan"]["note"])


def test_a_controller_that_stays_says_so_once(shell: Shell) -> None:
    running = shell.start("controller")
    assert running.stderr is not None
    told = ""
    while "cleanhours: controlling" not in told:
        told += running.stderr.readline() or pytest.fail(told)
    running.send_signal(signal.SIGTERM)
    rest = running.communicate(timeout=60)[1]

    assert (0, 1) == (running.returncode, (told + rest).count(WARNING))


def test_sources_say_so_and_still_list_what_there_is(shell: Shell) -> None:
    shown, rows = shell.run("sources"), shell.run("sources", "--json")

    assert f"cleanhours: {WARNING}\n" == shown.stderr == rows.stderr
    assert "climatology (level 2)" in shown.stdout


def test_a_plan_names_only_the_zones_that_are_its_own(shell: Shell) -> None:
    assert f"(no-forecast); {OF_DE}." in shell.run("plan", *WISH).stdout
    assert "no forecast source" not in shell.run("plan", *WISH, "--locations", "paris").stdout


def test_a_forecast_of_such_a_zone_is_refused_with_what_may_be_meant(shell: Shell) -> None:
    refused = shell.run("forecast", "DEE", code=2)

    assert (
        "the forecast chain does not serve zone 'DEE' (did you mean DE or EE?); it serves AT"
        in refused.stderr
    )


@pytest.mark.parametrize(
    ("chain", "commands"),
    [
        (CHAIN, [("sources",), ("controller", "--once")]),  # FR is known to the typical values alone
        ('[forecasts]\nchain = ["csv:missing.csv"]\n', [("controller", "--once")]),  # a fault of another kind
    ],
)
def test_a_zone_that_is_served_or_may_be_is_no_fault(
    tmp_path: Path, chain: str, commands: list[tuple[str, ...]]
) -> None:
    shell = Shell(tmp_path, SETTINGS.replace("DEE", "DE") + chain)

    for command in commands:
        assert "serves zone" not in shell.run(*command).stderr


def test_a_provider_that_is_away_makes_no_zone_unknown(tmp_path: Path) -> None:
    nobody = '[forecasts]\nchain = ["neso"]\n[forecasts.sources.neso]\nbase_url = "http://127.0.0.1:9"\n'
    shell = Shell(tmp_path, SETTINGS.replace("DEE", "GB:postcode:RG10").replace("FR", "gb") + nobody)
    once = shell.run("controller", "--once")

    assert "neso has no forecast for gb" in once.stderr
    assert "serves zone" not in once.stderr
    assert "no forecast covers the work" in shell.run("plan", *WISH).stdout


def test_it_is_said_again_when_it_changes_and_each_decision_carries_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "cleanhours.control.zoning")
    outlook = FakeOutlook({"GB": grid(), "FR": grid(zone="FR")})
    stage = Stage(outlook, others={"there": "GBB"})
    stage.submit(locations=("here", "there"))
    outcome = stage.reconciler.tick()
    stage.clock.advance(HOUR)
    stage.reconciler.tick()
    (applied,) = outcome.applied

    said = "no forecast source serves zone 'GBB' of location there (asked: fake outlook; did you mean GB?)"
    assert (Action.RELEASE, said) == (applied.decision.action, applied.decision.plan.note)
    assert [f"{said}; jobs that may run there start at once"] == caplog.messages

    outlook.truth["GBB"] = outlook.forecasts["GBB"] = grid(zone="GBB")
    stage.clock.advance(HOUR)
    stage.reconciler.tick()
    assert "every location's zone is served" == caplog.messages[-1]


def test_an_outlook_that_cannot_tell_leaves_the_plain_reason() -> None:
    stage = Stage()
    stage.outlook.down = True
    stage.submit()
    (applied,) = stage.reconciler.tick().applied

    assert "no forecast covers the work" == applied.decision.plan.note
    assert [JobState.RUNNING] == [job.state for job in stage.cluster.running()]
