"""`cleanhours plan`: the exact optimum, plan version 1, and one clear message for whatever is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.command_line import Shell, write_trace

VALUES = [300.0, 100.0, 200.0, 50.0, 400.0, 60.0, 500.0, 500.0]
NOW = "2026-03-02T00:00:00Z"
EXACT = ("--min-saving", "0", "--safety", "1", "--queue-margin", "0s")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    write_trace(tmp_path / "trace.csv", VALUES)
    return Shell(tmp_path)


def test_the_plan_is_the_exact_optimum(shell: Shell) -> None:
    plan = shell.json(
        "plan", "--forecast", "csv:trace.csv", "--zone", "GB", "--now", NOW, "--deadline", "+6h", "--duration", "90m",
        "--power", "2kW", *EXACT,
    )  # fmt: skip

    # 90 minutes from 02:30: half an hour at 200 and an hour at 50, 2 kW
    assert ("2026-03-02T02:30:00Z", "2026-03-02T04:00:00Z") == (plan["start"], plan["end"])
    assert 2 * (0.5 * 200 + 50) == plan["expected_g"]
    assert 2 * (300 + 0.5 * 100) == plan["baseline_g"]
    assert ("lowest-window", 1, "GB", "lifecycle") == (
        plan["reason"],
        plan["version"],
        plan["zone"],
        plan["scope"],
    )


def test_an_interruptible_job_takes_the_cleanest_pieces(shell: Shell) -> None:
    plan = shell.json(
        "plan", "--forecast", "csv:trace.csv?scope=direct", "--zone", "GB", "--now", NOW, "--deadline", "+6h",
        "--duration", "3h", "--interruptible", *EXACT,
    )  # fmt: skip

    starts = [segment["start"][11:13] for segment in plan["segments"]]
    assert ["01", "03", "05"] == starts
    assert 100 + 50 + 60 == plan["expected_g"]
    assert "direct" == plan["scope"]
    assert plan["power_assumed"] is True


@pytest.mark.parametrize(
    ("checkpoint", "runs", "grams"),
    [
        # work over 02:20-04:00, then 40 minutes lost and 20 of work at 60
        ("40m", [("02:20", "04:00"), ("05:00", "06:00")], 200 * 2 / 3 + 50 + 60),
        # an hour lost would make it 310
        ("1h", [("02:00", "04:00")], 250),
    ],
)
def test_a_pause_is_paid_for(
    shell: Shell, checkpoint: str, runs: list[tuple[str, str]], grams: float
) -> None:
    plan = shell.json(
        "plan", "--forecast", "csv:trace.csv", "--zone", "GB", "--now", NOW, "--deadline", "+6h", "--duration", "2h",
        "--interruptible", "--checkpoint", checkpoint, *EXACT,
    )  # fmt: skip

    assert runs == [(segment["start"][11:16], segment["end"][11:16]) for segment in plan["segments"]]
    assert pytest.approx(grams) == plan["expected_g"]


def test_without_json_it_is_for_people(shell: Shell) -> None:
    shown = shell.run(
        "plan",
        "--forecast",
        "csv:trace.csv",
        "--zone",
        "GB",
        "--now",
        NOW,
        "--deadline",
        "+6h",
        "--duration",
        "1h",
    ).stdout

    assert "Start Mon 2026-03-02T03:00:00Z" in shown
    assert "lowest-window" in shown


def test_every_fault_is_named_and_the_exit_code_says_asked_wrongly(shell: Shell) -> None:
    refused = shell.run(
        "plan", "--forecast", "csv:trace.csv", "--zone", "GB", "--deadline", "soon", "--duration", "+12 h",
        "--power", "6", "--checkpoint", "1e9h", "--memory", "much", code=2,
    )  # fmt: skip

    assert "" == refused.stdout
    for field, found in [
        ("deadline", "soon"),
        ("duration", "+12 h"),
        ("power", "6"),
        ("checkpoint", "1e9h"),
        ("memory", "much"),
    ]:
        assert f"{field}: found '{found}', accepted:" in refused.stderr


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        (("--deadline", "2020-01-01T00:00:00Z", "--duration", "1h"), "no-slack"),
        (("--max-delay", "1h", "--duration", "2d"), "no-forecast"),
        (("--max-delay", "4h"), "no-duration"),
        (("--duration", "1h"), "run-now"),
        (("--deadline", "+1h", "--duration", "2h"), "no-slack"),
    ],
)
def test_the_impossible_is_accepted_and_runs_now(shell: Shell, wishes: tuple[str, ...], reason: str) -> None:
    plan = shell.json("plan", "--forecast", "csv:trace.csv", "--zone", "GB", "--now", NOW, *wishes)

    assert (reason, NOW) == (plan["reason"], plan["start"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("<html><body>503</body></html>", "HTML"),
        ("time,intensity\n2026-03-02T00:00:00Z,-5\n2026-03-02T01:00:00Z,5\n", "-5"),
        ("time,intensity\n2026-03-02T00:00:00Z,nan\n2026-03-02T01:00:00Z,5\n", "nan"),
        ("time,intensity\n2026-03-02T01:00:00Z,1\n2026-03-02T00:00:00Z,5\n", "order"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_fault(shell: Shell, content: str, said: str) -> None:
    (shell.folder / "bad.csv").write_text(content, encoding="utf-8")

    refused = shell.run(
        "plan",
        "--forecast",
        "csv:bad.csv",
        "--zone",
        "GB",
        "--now",
        NOW,
        "--max-delay",
        "4h",
        "--duration",
        "1h",
        code=None,
    )

    assert refused.returncode in {1, 2}
    assert "bad.csv" in refused.stderr
    assert said.lower() in refused.stderr.lower()
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "--forecast", "csv:absent.csv", "--zone", "GB", "--duration", "1h"), "absent.csv"),
        (("plan", "--forecast", "weather", "--zone", "GB", "--duration", "1h"), "weather"),
        (("forecast", "ATLANTIS"), "ATLANTIS"),
        (("explain", "nobody"), "nobody"),
        (("nonsense",), "nonsense"),
    ],
)
def test_what_is_not_there_is_named(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    refused = shell.run(*arguments, code=2)

    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_only_what_was_issued_by_now_is_used(shell: Shell) -> None:
    rows = ["issued_utc,from_utc,lead_minutes,forecast_gco2_per_kwh"]
    for issued, best in (("2026-03-02T00:00:00Z", 5), ("2026-03-02T06:00:00Z", 2)):
        rows += [
            f"{issued},2026-03-02T{hour:02}:00:00Z,0,{10 if hour == best else 300}" for hour in range(12)
        ]
    (shell.folder / "issued.csv").write_text("\n".join(rows), encoding="utf-8")

    plan = shell.json(
        "plan", "--forecast", "csv:issued.csv", "--zone", "GB", "--now", "2026-03-02T01:00:00Z", "--max-delay", "8h",
        "--duration", "1h", *EXACT,
    )  # fmt: skip

    assert "2026-03-02T05:00:00Z" == plan["start"]
    assert "2026-03-02T00:00:00Z" == plan["forecast"]["issued_at"]


SETTLED = """
[locations.home]
zone = "GB"
[forecasts]
chain = ["csv:wide.csv"]
[defaults]
locations = "home"
"""


def test_a_zone_without_a_forecast_is_planned_by_the_configured_sources(tmp_path: Path) -> None:
    shell = Shell(tmp_path, SETTLED)
    rows = [f"2026-03-02T{hour:02}:00:00Z,{value},{600 - value}" for hour, value in enumerate(VALUES)]
    (tmp_path / "wide.csv").write_text("\n".join(["time,GB,FR", *rows, ""]), encoding="utf-8")
    wish = ("plan", "--now", NOW, "--deadline", "+6h", "--duration", "1h", *EXACT)
    home, there = shell.json(*wish), shell.json(*wish, "--zone", "FR")

    assert ("home", "GB", "2026-03-02T03:00:00Z") == (home["location"], home["zone"], home["start"])
    assert ("FR", "FR", "2026-03-02T04:00:00Z") == (there["location"], there["zone"], there["start"])
    assert (200.0, "csv") == (there["mean_g_per_kwh"], there["forecast"]["provider"])


def test_a_zone_is_planned_by_the_built_in_sources_where_nothing_is_configured(tmp_path: Path) -> None:
    wish = ("plan", "--now", NOW, "--deadline", "+24h", "--duration", "1h", "--zone", "DE")
    plan = Shell(tmp_path).json(*wish)

    assert ("DE", "climatology") == (plan["zone"], plan["forecast"]["provider"])
    assert plan == Shell(tmp_path).json(*wish, "--forecast", "climatology")


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("DEE", "the forecast chain does not serve zone 'DEE' (did you mean DE or EE?); it serves AT"),
        ("", "zone: found '', accepted: a grid zone such as GB or DE"),
    ],
)
def test_a_zone_that_no_source_serves_is_refused(tmp_path: Path, zone: str, said: str) -> None:
    refused = Shell(tmp_path).run("plan", "--zone", zone, "--deadline", "+6h", "--duration", "1h", code=2)

    assert ("", True) == (refused.stdout, said in refused.stderr)


def test_default_locations_of_the_settings_are_no_wish_of_who_names_a_source(shell: Shell) -> None:
    (shell.folder / "cleanhours.toml").write_text(SETTLED, encoding="utf-8")
    plan = shell.json(
        "plan",
        "--forecast",
        "csv:trace.csv",
        "--zone",
        "FR",
        "--now",
        NOW,
        "--max-delay",
        "4h",
        "--duration",
        "1h",
    )

    assert "FR" == plan["location"]
