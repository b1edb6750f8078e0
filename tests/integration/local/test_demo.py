"""The demonstration as a stranger runs it: a whole day, without a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanhours.adapters.ledger import open_ledger
from cleanhours.apps.demo.jobs import DEMO_JOBS
from cleanhours.apps.report import report_json
from cleanhours.http import Session
from tests.flow.command_line import Shell


@pytest.mark.slow
def test_eight_real_jobs_live_through_a_day_and_are_on_time(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    lines: list[str] = []
    scraped = ""
    with shell.start("demo", "--json", "--keep", str(tmp_path / "demo")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line.rstrip())
            if "paused" in line and not scraped:
                address = next(one for one in lines if "Metrics meanwhile" in one).split()[-1]
                scraped = Session().get(address).text
        told = json.loads(process.stdout.read())
    text = "\n".join(lines)

    assert 0 == process.returncode, text
    entries = open_ledger(f"sqlite:///{tmp_path / 'demo' / 'ledger.sqlite'}").current()
    assert sorted(job.name for job in DEMO_JOBS) == sorted(entry.run.name for entry in entries)
    assert report_json(entries) == told
    assert {True} == {entry.deadline_kept for entry in entries}
    assert {0} == {entry.run.exit_code for entry in entries}
    assert any(len(entry.run.segments) > 1 for entry in entries)
    assert sum(entry.total_avoided_ug or 0 for entry in entries) > 0
    assert 'cleanhours_jobs{cluster="local",namespace="demo",state="held"}' in scraped
    assert "cleanhours_leader 1.0" in scraped
    for said in ("Pretended: time runs", "held", "running", "paused", "succeeded", "Report: "):
        assert said in text
    steps = (tmp_path / "demo").rglob("stdout")
    assert all("loss" in file.read_text() for file in steps)
    assert (tmp_path / "demo" / "report.html").read_text().startswith("<!doctype html>")
