"""`cleanhours reconcile` and the report's groups, from the command line, on a ledger in the state folder."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.resources import Demand
from cleanhours.testing.ledger_contract import HOUR, START, an_entry
from tests.conftest import REPOSITORY
from tests.flow.command_line import Shell

SETTINGS = """
[clusters.local]
type = "local"
[locations.dublin]
zone = "IE"
pue = 1.15
match = {label = "eu-west-1"}
[forecasts]
chain = ["climatology"]
[embodied]
server_kg_co2e = 1752
gpus = 8
"""
EXPORT = (
    "usage_period_start,usage_period_end,usage_account_id,product_code,region_code,model_version,"
    "total_lbm_emissions_value,total_lbm_emissions_unit,total_mbm_emissions_value,total_mbm_emissions_unit\n"
    "2026-03-01 00:00:00,2026-04-01 00:00:00,1,AmazonEC2,eu-west-1,v3.0.0,0.000001,MTCO2e,,MTCO2e\n"
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, SETTINGS)


def written(shell: Shell, entries: Sequence[Entry]) -> None:
    shell.state.mkdir(exist_ok=True)
    ledger = open_ledger(f"sqlite:///{quote(str(shell.state / 'ledger.sqlite'))}")
    for entry in entries:
        assert ledger.record(entry)
    ledger.close()


def test_an_export_is_shown_beside_our_sums_and_the_difference_explained(shell: Shell) -> None:
    written(
        shell,
        [an_entry("1", location="dublin"), an_entry("2", location="dublin", settled=Settled.PROVISIONAL)],
    )
    (shell.folder / "aws.csv").write_text(EXPORT, encoding="utf-8")
    told = shell.run("reconcile", "aws.csv").stdout
    (line,) = shell.json("reconcile", "aws.csv")["lines"]

    assert (1_000_000, None, 60, 60) == (
        line["location_based_ug"], line["market_based_ug"], line["ours_final_ug"], line["ours_provisional_ug"],
    )  # fmt: skip
    assert 999_880 == line["difference_ug"]
    assert "2026-03  eu-west-1  dublin" in told
    assert "partly provisional" in told
    assert "PUE: ours is that of the settings (dublin 1.15)" in told


def test_the_documentation_shows_what_is_printed(shell: Shell) -> None:
    page = (REPOSITORY / "docs" / "report.md").read_text("utf-8")
    (shown,) = re.findall(r"^```console\n\$ cleanhours (.*?)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    half: dict[str, Any] = {"emissions_ug": 600_000_000, "baseline_ug": 600_000_040}
    shares = (replace(an_entry().shares[0], **half),)
    written(shell, [an_entry(uid, location="dublin", shares=shares, **half) for uid in "12"])
    text = EXPORT.replace("0.000001,MTCO2e,,", "0.034,MTCO2e,0.012,")
    (shell.folder / "aws.csv").write_text(text, encoding="utf-8")

    assert shell.run(*shown[0].split()).stdout.replace("\u00a0", " ").startswith(shown[1])


def test_a_file_that_is_wrong_is_refused_with_every_fault(shell: Shell) -> None:
    (shell.folder / "cut.csv").write_text(EXPORT[:-60], encoding="utf-8")
    (shell.folder / "wrong.csv").write_text(
        EXPORT.replace("0.000001", "much").replace("03-01", "03-02"), encoding="utf-8"
    )

    assert "not written to its end" in shell.run("reconcile", "cut.csv", code=2).stderr
    refused = shell.run("reconcile", "wrong.csv", code=2).stderr
    assert "line 2, total_lbm_emissions_value: found 'much', accepted: a number" in refused
    assert "line 2, usage_period_start: found '2026-03-02 00:00:00'" in refused
    assert "No such file" in shell.run("reconcile", "none.csv", code=2).stderr
    (shell.folder / "aws.csv").write_text(EXPORT, encoding="utf-8")
    assert "NAME=REGION" in shell.run("reconcile", "aws.csv", "--location", "x", code=2).stderr
    both = shell.run("reconcile", "aws.csv", "--month", "2026-13", "--location", "foo=bar", code=2).stderr
    assert "month: found '2026-13', accepted: a month such as 2026-01" in both
    assert "location: found 'foo=bar', accepted: NAME=REGION with a region of the export (eu-west-1)" in both
    all_wrong = shell.run("reconcile", "wrong.csv", "--month", "soon", "--location", "x", code=2).stderr
    assert all(
        one in all_wrong for one in ("found 'soon'", "found 'much'", "found 'x', accepted: NAME=REGION")
    )


def test_last_months_report_is_the_same_a_month_later_as_of_then(shell: Shell) -> None:
    written(shell, [an_entry("1", settled=Settled.PROVISIONAL, avoided=50, settled_at=START + 3 * HOUR)])
    asked = ("report", "--since", "2026-03-01T00:00:00Z", "--until", "2026-04-01T00:00:00Z", "--as-of")
    then = shell.json(*asked, "2026-04-01T00:00:00Z")
    written(shell, [
        an_entry("1", avoided=40, settled_at=datetime(2026, 4, 20, tzinfo=UTC)),
        an_entry("late", settled_at=datetime(2026, 4, 20, tzinfo=UTC)),
    ])  # fmt: skip
    again, since = shell.json(*asked, "2026-04-01T00:00:00Z"), shell.json(*asked, "2026-05-01T00:00:00Z")

    assert then == again
    assert [50] == [run["avoided_ug"] for run in again["runs"]]
    assert [40, 40] == [run["avoided_ug"] for run in since["runs"]]
    assert "as-of: found 'soon'" in shell.run("report", "--as-of", "soon", code=2).stderr


def test_groups_from_the_command_line_add_up_to_the_total(shell: Shell) -> None:
    written(
        shell,
        [an_entry(str(n), namespace=("ada", "bob")[n % 2], labels={"team": "vision"}) for n in range(5)],
    )
    document = shell.json("report", "--by", "namespace,team", "--by", "month")
    lines = list(
        csv.DictReader(io.StringIO(shell.run("report", "--format", "csv", "--by", "namespace").stdout))
    )
    html = shell.run("report", "--by", "user").stdout

    assert ["namespace", "label:team", "month"] == document["grouped"]["by"]
    total = document["summaries"][0]["settled"]["final"]
    for name in total:
        groups = document["grouped"]["groups"]
        assert total[name] == sum(one["summaries"][0]["settled"]["final"][name] for one in groups)
    assert [("ada", "3"), ("bob", "2")] == [(line["namespace"], line["runs"]) for line in lines]
    assert "By user" in html
    assert "(not said)" in html
    assert "found 'teams'" in shell.run("report", "--by", "teams", code=2).stderr


def test_embodied_carbon_follows_the_settings_and_the_unit_that_is_named(shell: Shell) -> None:
    held = Demand(gpus=2)
    written(shell, [an_entry("1", labels={"samples": "5"}, allocated=held), an_entry("2", allocated=held)])
    first, second = shell.json("report", "--per", "label:samples")["runs"]

    assert (12_500_000, 12_500_000) == (first["embodied_ug"], second["embodied_ug"])
    assert ((12_500_000 + 60) // 5, None) == (first["sci_ug_per_unit"], second["sci_ug_per_unit"])
    assert "label:NAME" in shell.run("report", "--per", "samples", code=2).stderr


def test_a_source_that_cannot_be_built_keeps_nobody_from_the_figures(shell: Shell, tmp_path: Path) -> None:
    broken = Shell(tmp_path, '[forecasts]\nchain = ["no-such-source"]\n')
    written(broken, [an_entry("1")])
    done = broken.run("report", "--json")

    assert 1 == len(json.loads(done.stdout)["runs"])
    assert "credits left out" in done.stderr
