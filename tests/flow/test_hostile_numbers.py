"""Numbers that are none, or too large to be meant: refused at the door in one line, before they reach a tick."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.requests import LARGEST_AMOUNT, JobRequest
from cleanhours.domain.resources import Demand
from cleanhours.testing.clocks import MONDAY
from tests.flow.command_line import Shell


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e300"])
@pytest.mark.parametrize("option", ["--safety", "--min-saving", "--cpus"])
def test_what_is_no_number_in_range_is_refused_in_a_line(tmp_path: Path, option: str, text: str) -> None:
    refused = Shell(tmp_path).run("plan", "--forecast", "climatology", "--zone", "DE", option, text, code=2)

    assert "Traceback" not in refused.stderr
    assert f"Invalid value for '{option}'" in refused.stderr


@pytest.mark.parametrize("amount", [LARGEST_AMOUNT + 1, 10**30])
@pytest.mark.parametrize("resource", ["cpu_millicores", "memory_bytes", "gpus", "slots"])
def test_an_amount_that_would_break_the_sums_of_all_is_refused(resource: str, amount: int) -> None:
    with pytest.raises(InvalidRequest, match=r"demand: found .* accepted: amounts of 0 to"):
        JobRequest(submitted=MONDAY, demand=Demand(**{resource: amount}))
