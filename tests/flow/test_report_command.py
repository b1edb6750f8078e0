"""`cleanhours report` from the command line: what it refuses, and what it leaves behind where there is no ledger."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.accounts import Entry
from cleanhours.testing.ledger_contract import a_beside, an_entry
from tests.flow.command_line import Shell, write_trace

DAY = timedelta(days=1)
SETTINGS = '[clusters.local]\ntype = "local"\n[locations.dublin]\nzone = "IE"\n[forecasts]\nchain = ["climatology"]\n'


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, SETTINGS)


def written(shell: Shell, *entries: Entry) -> None:
    shell.state.mkdir(exist_ok=True)
    with closing(open_ledger(f"sqlite:///{quote(str(shell.state / 'ledger.sqlite'))}")) as ledger:
        for entry in entries or (an_entry(),):
            ledger.record(entry)


def test_where_nothing_was_settled_it_says_so_and_makes_no_file(shell: Shell) -> None:
    before = sorted(shell.folder.rglob("*"))
    page, rows, document = (shell.run("report", "--format", form) for form in ("html", "csv", "json"))

    for done in (page, rows, document):
        assert f"no run has been settled yet: there is no ledger at sqlite:///{shell.state}" in done.stderr
    assert "No run has finished and been settled yet." in page.stdout
    assert [] == list(csv.DictReader(io.StringIO(rows.stdout)))
    assert [] == json.loads(document.stdout)["runs"]
    assert before == sorted(shell.folder.rglob("*"))


def test_reconcile_makes_no_file_either(shell: Shell) -> None:
    item = {"dataType": "MonthlySummaryData", "date": "2026-03-01", "latestMonthEmissions": 1}
    (shell.folder / "azure.json").write_text(json.dumps({"value": [item]}), encoding="utf-8")
    before = sorted(shell.folder.rglob("*"))
    done = shell.run("reconcile", "azure.json", "--json")

    assert "no run has been settled yet" in done.stderr
    assert [(0, None)] == [
        (one["our_runs"], one["ours_final_ug"]) for one in json.loads(done.stdout)["lines"]
    ]
    assert before == sorted(shell.folder.rglob("*"))


def test_another_programs_database_is_refused_and_left_as_it_is(shell: Shell) -> None:
    shell.state.mkdir()
    path = shell.state / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE foo (a)")
    before = path.read_bytes()

    assert "a database of another program (its tables: foo)" in shell.run("report", code=None).stderr
    assert before == path.read_bytes()


def test_every_fault_of_the_options_is_told_at_once(shell: Shell) -> None:
    told = shell.run(
        "report", "--per", "label:", "--by", "teams", "--since", "yesterday", "--as-of", "soon", "--output", "x.txt",
        code=2,
    ).stderr  # fmt: skip

    for fault in (
        "per: found 'label:'",
        "by: found 'teams'",
        "since: found 'yesterday'",
        "as-of: found 'soon'",
    ):
        assert fault in told
    assert "output: found 'x.txt', accepted: a name that ends in .html, .csv or .json, or --format" in told
    assert not (shell.folder / "x.txt").exists()


@pytest.mark.parametrize("until", ["2d", "1d"])
def test_a_time_that_ends_before_it_begins_is_refused(shell: Shell, until: str) -> None:
    instant = {"1d": "2026-03-02T00:00:00Z", "2d": "2026-03-01T00:00:00Z"}
    told = shell.run("report", "--since", instant["1d"], "--until", instant[until], code=2).stderr

    assert f"until: found '{instant[until]}', accepted: later than --since, 2026-03-02T00:00:00Z" in told
    assert "until: found '2d'" in shell.run("report", "--since", "1d", "--until", "2d", code=2).stderr


def test_a_files_name_says_its_form_however_it_is_written(shell: Shell) -> None:
    written(shell)
    for name, begins in (
        ("x.CSV", "cluster,"),
        ("x.Json", "{"),
        ("x.HTM", "<!doctype html>"),
        ("x", "<!doctype html>"),
    ):
        shell.run("report", "--output", name)
        assert (shell.folder / name).read_text("utf-8").startswith(begins)
    shell.run("report", "--output", "x.txt", "--format", "csv")
    assert (shell.folder / "x.txt").read_text("utf-8").startswith("cluster,")


def test_who_is_no_source_any_more_is_credited_for_what_was_settled_on_it(shell: Shell) -> None:
    written(shell, an_entry(providers=("neso",)), an_entry("2", beside=a_beside()))
    done = shell.run("report", "--json")

    assert [
        "Electricity Maps, electricitymaps.com, ODbL 1.0",
        "NESO Carbon Intensity API, CC BY 4.0",
    ] == json.loads(done.stdout)["method"]["attributions"]
    for name in ("second", "test"):
        assert f"credits left out: no source '{name}' is installed" in done.stderr


def test_two_forms_at_once_are_refused(shell: Shell) -> None:
    written(shell)

    assert (
        "format: found 'csv', accepted: json"
        in shell.run("report", "--json", "--format", "csv", code=2).stderr
    )
    assert shell.json("report", "--format", "json")["runs"]


def test_what_a_job_is_labelled_with_groups_the_report(tmp_path: Path) -> None:
    shell = Shell(tmp_path, '[forecasts]\nchain = ["csv:trace.csv?zone=GB"]\n')
    write_trace(
        tmp_path / "trace.csv",
        [100.0] * 96,
        SystemClock().now().replace(minute=0, second=0, microsecond=0) - DAY,
    )
    for command in ("run", "submit"):
        told = shell.run(
            command, "--label", "two words", "--deadline", "soon", "--restart", "'", "--", "true", code=2
        ).stderr
        for fault in ("label: found 'two words'", "deadline: found 'soon'", "restart: found"):
            assert fault in told
    now = ("--policy", "run-now", "--power", "100W")
    shell.run("submit", *now, "--label", "team=vision", "--label", "tier=1", "--", "sleep", "0.1")
    shell.run("run", *now, "--label", "team=speech", "--", "sleep", "1")
    shell.run("controller", "--once")
    document = shell.json("report", "--by", "team")

    assert {"vision", "speech"} == {group["values"]["label:team"] for group in document["grouped"]["groups"]}
    assert {"team": "vision", "tier": "1"} in [run["labels"] for run in document["runs"]]


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [((), None), (("--format", "html"), None), (("--format", "csv"), "cluster,"), (("--json",), "{")],
)
def test_a_page_is_not_poured_onto_a_terminal(
    shell: Shell, arguments: tuple[str, ...], begins: str | None
) -> None:
    written(shell)
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", closefd=True) as screen:
        done = subprocess.Popen(
            shell.command("report", *arguments), cwd=shell.folder, env=shell.environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
        )  # fmt: skip
        os.close(theirs)
        shown = screen.read(8) if begins else b""
        while begins and _more_of(screen):
            pass
        told = done.communicate(timeout=60)[1]

    if begins is None:
        assert (2, 1) == (done.returncode, len(told.splitlines()))
        assert (
            "write it to a file with --output report.html, or ask for --format csv or --format json" in told
        )
    else:
        assert (0, True) == (done.returncode, shown.decode().startswith(begins))


def _more_of(screen: BinaryIO) -> bytes:
    """What is still shown; a terminal that nobody writes to any more cannot be read."""
    try:
        return screen.read(4096)
    except OSError:
        return b""


def test_a_page_still_goes_through_a_pipe_and_into_a_file(shell: Shell) -> None:
    written(shell)

    assert shell.run("report").stdout.startswith("<!doctype html>")
    assert "report.html" in shell.run("report", "--output", "report.html").stderr
