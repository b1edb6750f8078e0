"""A provider that answers nonsense, refuses, or says nothing: one line about it, and the job runs all the same."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.flow.command_line import Shell
from tests.integration.faults.conftest import settings_of, soon
from tests.unit.forecasts.worlds import Neso

SLOT = timedelta(minutes=30)


def slots(edit: Callable[[list[dict[str, object]]], object], age: timedelta = timedelta(0)) -> str:
    """The answer that the provider would give now, `age` old, after an edit."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - age  # noqa: TID251 - a provider has a clock
    shape = "%Y-%m-%dT%H:%MZ"
    rows: list[dict[str, object]] = [
        {
            "from": (start + index * SLOT).strftime(shape),
            "to": (start + (index + 1) * SLOT).strftime(shape),
            "intensity": {"forecast": 100 + index, "actual": None, "index": "moderate"},
        }
        for index in range(96)
    ]
    edit(rows)
    return json.dumps({"data": rows})


def put(number: object) -> Callable[[list[dict[str, object]]], object]:
    return lambda rows: rows[4].update(intensity={"forecast": number, "actual": None})


NONSENSE: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "an empty list": lambda: '{"data": []}',
    "a page": lambda: (
        "<!doctype html><html><body>\x1b[31mdown for maintenance\n<script>alert(1)</script></body></html>"
    ),
    "half a document": lambda: '{"data": [{"from": "2026-',
    "stale": lambda: slots(lambda rows: None, age=timedelta(days=4)),
    "negative": lambda: slots(put(-5)),
    "impossible": lambda: slots(put(1e9)),
    "not a number": lambda: slots(put(float("nan"))),
    "words": lambda: slots(put("low")),
    "overlapping": lambda: slots(lambda rows: rows[4].update(to=rows[6]["to"])),
    "a gap at once": lambda: slots(lambda rows: rows.__delitem__(slice(0, 4))),
    "deeply nested": lambda: "[" * 100_000,
}
"""Made when they are answered: an hour later they would be nonsense about the past, which nobody reads."""
REFUSALS = (400, 401, 403, 404)


def some_slow(cases: Iterable[object], quick: Collection[object]) -> list[object]:
    """All of them, only `quick` ones in every run of the tests."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def one_clear_line(stderr: str) -> None:
    assert "Traceback" not in stderr
    assert "\x1b" not in stderr
    assert max(map(len, stderr.splitlines())) < 700


@pytest.mark.parametrize("name", some_slow(NONSENSE, ("a page", "negative")))
def test_nonsense_is_told_in_a_line_and_holds_nobody(live: Shell, provider: Neso, name: str) -> None:
    provider.answers += [(200, NONSENSE[name]())] * 50

    asked = live.run(
        "plan", "--forecast", "neso", "--zone", "GB", "--duration", "1h", "--max-delay", "6h", code=1
    )
    one_clear_line(asked.stderr)
    live.run("submit", "--duration", "1s", "--max-delay", "6h", "--name", "train", "--", "touch", "ran")
    once = live.run("controller", "--once")

    one_clear_line(once.stderr)
    assert "no-forecast" in once.stdout
    soon((live.folder / "ran").exists)


@pytest.mark.parametrize("status", some_slow(REFUSALS, (403,)))
def test_a_refusal_holds_nobody(live: Shell, provider: Neso, status: int) -> None:
    provider.answers += [(status, "<h1>\x1b[2Jno\r\n</h1>" * 100)] * 50

    asked = live.run(
        "plan", "--forecast", "neso", "--zone", "GB", "--duration", "1h", "--max-delay", "6h", code=None
    )
    assert asked.returncode in {1, 2}
    one_clear_line(asked.stderr)
    live.run("submit", "--duration", "1s", "--max-delay", "6h", "--", "touch", "ran")
    once = live.run("controller", "--once")

    one_clear_line(once.stderr)
    assert "no-forecast" in once.stdout
    soon((live.folder / "ran").exists)


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 500])
def test_a_trouble_that_may_pass_holds_nobody(live: Shell, provider: Neso, status: int) -> None:
    provider.answers += [(status, "later")] * 50

    live.run("submit", "--duration", "1s", "--max-delay", "6h", "--", "touch", "ran")
    once = live.run("controller", "--once")

    assert f"answered {status}" in once.stderr
    assert "no-forecast" in once.stdout
    soon((live.folder / "ran").exists)


@pytest.mark.slow
def test_a_silent_provider_costs_no_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        shell = Shell(tmp_path, settings_of(f"http://127.0.0.1:{deaf.getsockname()[1]}"))
        shell.run("submit", "--duration", "1s", "--max-delay", "13s", "--", "sh", "-c", "date +%s > ran")
        (job,) = shell.json("jobs")
        leading = shell.start("controller")  # its first tick waits for the provider

        soon((tmp_path / "ran").exists)

        leading.terminate()
        leading.communicate(timeout=60)
    latest = datetime.fromisoformat(job["request"]["submitted"]) + timedelta(seconds=13)
    assert int((tmp_path / "ran").read_text()) <= latest.timestamp() + 2
