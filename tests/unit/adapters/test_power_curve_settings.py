"""`[power_curves]`: points in the settings, or the file that Zeus wrote; every fault is named at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cleanhours.adapters.power_curves import zeus_curve
from cleanhours.adapters.settings import Settings, load_settings
from cleanhours.domain.caps import CapPoint, PowerCurve
from cleanhours.domain.errors import ConfigurationError, InvalidRequest

ROWS = [(300, 41.2, 11800.5), (275, 42.0, 11020.0), (250, 43.9, 10450.7)]
CURVE = PowerCurve(tuple(CapPoint(*row) for row in sorted(ROWS)))


def settings(folder: Path, text: str) -> Settings:
    (folder / "cleanhours.toml").write_text(text, "utf-8")
    return load_settings(config=folder / "cleanhours.toml", environment={"HOME": str(folder)})


def zeus(folder: Path, content: object) -> Path:
    path = folder / "measurements.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def measurements(rows: Sequence[tuple[float, float, float]]) -> dict[str, object]:
    names = ("power_limit", "time", "energy")
    return {"measurements": [dict(zip(names, row, strict=True)) for row in rows]}


def test_points_and_a_file_of_zeus_are_the_same_curve(tmp_path: Path) -> None:
    path = zeus(tmp_path, measurements(ROWS))
    points = ", ".join(f"{{ limit_w = {w}, time_s = {s}, energy_j = {j} }}" for w, s, j in ROWS)
    found = settings(
        tmp_path,
        f'''
[power_curves.resnet50]
points = [{points}]
[power_curves.zeus]
zeus = "{path}"
[power_curves.slow]
zeus = "{path}"
max_slowdown_percent = 3
''',
    ).rules.power_curves
    assert CURVE == found["resnet50"] == found["zeus"]
    assert [250.0] == [cap.limit_w for cap in found["zeus"].caps()][1:]
    assert [275.0] == [cap.limit_w for cap in found["slow"].caps()]


def test_nothing_is_capped_where_nothing_was_said(tmp_path: Path) -> None:
    assert {} == settings(tmp_path, "").rules.power_curves


def test_every_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        settings(
            tmp_path,
            f'''
[power_curves."a b"]
points = [{{ limit_w = 100, time_s = 1, energy_j = 1 }}]
[power_curves.both]
points = []
zeus = "{tmp_path}/x.json"
[power_curves.none]
[power_curves.here]
zeus = "x.json"
[power_curves.gone]
zeus = "{tmp_path}/x.json"
''',
        )
    said = str(wrong.value)
    for part in ("'a b'", "two or more", "both.points: found 'points and zeus'", "none.points: found 'neither'",
                 "an absolute path", "gone.zeus", "No such file"):  # fmt: skip
        assert part in said, said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "measurements"),
        ("[" * 100_000, "measurements"),
        ([], "measurements"),
        ({"measurements": 3}, "measurements"),
        ({"measurements": []}, "two or more"),
        ({"measurements": [3, {"power_limit": "250", "time": True}]}, "measurements[1].energy"),
        (measurements([(250, 1, 1), (250, 2, 2)]), "each limit once"),
        (measurements([(250, 0, 1), (300, -2, 2)]), "above 0"),
        (
            measurements([(250_000, 40, 1), (300_000, 38, 2)]),
            "limit of 1 mW to 10000 W an accelerator, in watts",
        ),
        ("x" * 1_000_001, "at most 1,000,000 bytes"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        zeus_curve(zeus(tmp_path, content))
    assert said in str(refused.value)


def test_limits_that_no_accelerator_has_are_named_among_the_faults(tmp_path: Path) -> None:
    """Milliwatts, as NVML tells them."""
    with pytest.raises(ConfigurationError) as wrong:
        settings(
            tmp_path,
            """
[power_curves.milli]
points = [{ limit_w = 250_000, time_s = 43, energy_j = 10450 }, { limit_w = 300_000, time_s = 41, energy_j = 11800 }]
[power_curves.net]
points = [{ limit_w = 1e30, time_s = -1, energy_j = 1 }, { limit_w = 10_000, time_s = 1, energy_j = 1 }]
""",
        )
    said = str(wrong.value)
    for part in ("milli.points.0.limit_w: found '250000'", "milli.points.1.limit_w", "net.points.0.limit_w: found",
                 "net.points.0.time_s", "accepted: less than or equal to 10000"):  # fmt: skip
        assert part in said, said
    assert "net.points.1" not in said


def test_a_point_that_is_no_number_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"power_curves\.net\.points\.0\.time_s"):
        settings(tmp_path, "[power_curves.net]\npoints = [{ limit_w = 1, time_s = nan, energy_j = 1 }]")
