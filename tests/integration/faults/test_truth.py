"""Report, ledger and metrics tell one story to the last digit, and tell it again after a restart."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from cleanhours.adapters.ledger import open_ledger
from cleanhours.http import Session
from tests.flow.command_line import Shell, write_trace
from tests.integration.faults.conftest import soon, this_hour

SAMPLE = re.compile(r"^(cleanhours_\w+)\{(.*)\} (\S+)$", re.MULTILINE)


def scraped(shell: Shell) -> tuple[subprocess.Popen[str], str]:
    """A controller that runs, and its metrics after a first tick."""
    leading = shell.start("controller")
    assert leading.stderr is not None
    controlling = next(line for line in leading.stderr if "controlling" in line)
    with closing(Session()) as session:
        return leading, session.get(controlling.split()[-1]).text


def settled(shell: Shell) -> int:
    """How many rows there are after one more look."""
    shell.run("controller", "--once")
    return len(shell.json("report")["runs"])


def total(page: str, family: str) -> float:
    return sum(float(value) for name, _, value in SAMPLE.findall(page) if name == f"cleanhours_{family}")


@pytest.mark.slow
def test_report_ledger_and_metrics_agree_and_counters_do_not_fall(filed: Shell) -> None:
    write_trace(filed.folder / "trace.csv", [310.1, 287.3, 123.7] * 16, this_hour())
    for number, watts in enumerate(("97W", "1.3kW", "333W")):
        filed.run(
            "submit", "--name", f"job {number}", "--power", watts, "--duration", "1s", "--", "sleep", "0.3"
        )
    soon(lambda: not filed.json("jobs"))
    soon(lambda: settled(filed) == 3)  # of one that ended within this second the intensity is not known yet

    rows = filed.json("report")["runs"]
    energy_mj = sum(row["energy_mj"] for row in rows)
    emissions_ug, baseline_ug = (sum(row[name] for row in rows) for name in ("emissions_ug", "baseline_ug"))
    with closing(open_ledger(f"sqlite:///{filed.state / 'ledger.sqlite'}")) as ledger:
        counted = ledger.totals().counted
    assert energy_mj > 0
    assert energy_mj == sum(one.millijoules for one in counted)
    assert (emissions_ug, baseline_ug) == (
        sum(one.emissions_ug for one in counted),
        sum(one.baseline_ug for one in counted),
    )
    for _ in range(2):  # and once more after a restart
        leading, page = scraped(filed)
        leading.send_signal(signal.SIGTERM)
        leading.communicate(timeout=90)
        assert energy_mj == round(total(page, "energy_joules_total") * 1_000)
        assert emissions_ug == round(total(page, "emissions_grams_total") * 1_000_000)
        assert baseline_ug == round(total(page, "emissions_baseline_grams_total") * 1_000_000)
        avoided_ug = round(total(page, "emissions_avoided_grams") * 1_000_000)
        assert baseline_ug - emissions_ug == avoided_ug == sum(row["avoided_ug"] for row in rows)


def test_what_a_job_is_called_is_a_label_and_no_line(filed: Shell) -> None:
    write_trace(filed.folder / "trace.csv", [310.1, 100.0] * 16, this_hour())
    name = 'a"} 1 \\ {<b>é…'
    filed.run(
        "submit", "--name", name, "--namespace", name, "--duration", "1h", "--max-delay", "9h", "--", "true"
    )

    leading, page = scraped(filed)
    leading.send_signal(signal.SIGTERM)
    leading.communicate(timeout=90)

    (labels,) = [labels for family, labels, _ in SAMPLE.findall(page) if family == "cleanhours_job_state"]
    shown = name.replace("\\", "\\\\").replace('"', '\\"')
    assert f'job="{shown}"' in labels


def test_nothing_listens_beyond_this_machine(filed: Shell) -> None:
    write_trace(filed.folder / "trace.csv", [310.1, 100.0] * 16, this_hour())
    leading, _ = scraped(filed)
    try:
        sockets = {
            path.readlink().name for path in Path(f"/proc/{leading.pid}/fd").iterdir() if path.is_symlink()
        }
        listening = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/{leading.pid}/net/{table}").read_text().splitlines()[1:]
        ]
        mine = [row[1] for row in listening if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    finally:
        leading.send_signal(signal.SIGTERM)
        leading.communicate(timeout=90)

    assert ["0100007F"] == [address.partition(":")[0] for address in mine]
