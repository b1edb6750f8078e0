"""`cleanhours-sbatch`: the plugin's command in a process of its own, and what it must not wait for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import cleanhours
from cleanhours.adapters.clock import SystemClock
from cleanhours.apps.sbatch import main
from cleanhours.testing.clocks import FakeClock
from tests.unit.forecasts.worlds import Neso

HEAVY = {
    "apscheduler", "click", "prometheus_client", "pydantic", "requests", "rich", "sqlalchemy", "urllib3",
}  # fmt: skip
START = "from cleanhours.apps.sbatch import main; main()\n"

COMMAND = """
import sys
SUMMARY = "Says what it was given, what had been imported, and what is planned."
def run(argv, context):
    before = sorted(sys.modules)
    import json, os, time
    if argv[:1] == ["exit"]:
        return int(argv[1])
    if argv[:1] == ["look"]:
        from cleanhours.domain.words import parse_words
        from cleanhours import ports
        from cleanhours.domain import jobs
        now, safety = context.clock.now(), context.rules.margins.safety
        words = dict(context.default_words)
        parse_words(words, created=now, locations=list(context.locations))
        try:
            context.cluster("none")
        except Exception as refused:
            print(json.dumps({"modules": sorted(sys.modules), "words": words, "refused": str(refused), "safety": safety,
                              "remembers": isinstance(context, ports.Remembering)}))
        return 0
    if argv[:1] == ["remember"]:
        worked = []
        found = None if argv[1:] else True
        assert found is context.remembered(f"whether it works {argv}", lambda: worked.append(1) or found)
        print(json.dumps({"worked": bool(worked)}))
        return 0
    from datetime import timedelta
    from cleanhours.domain.requests import JobRequest
    start = time.perf_counter()
    hour, now = timedelta(hours=1), context.clock.now()
    request = JobRequest(submitted=now, duration=hour, max_delay=12 * hour)
    plan = context.plan(request, home=next(iter(context.locations)))
    print(json.dumps({
        "argv": argv, "before": before, "after": sorted(sys.modules), "plan": plan.to_json(),
        "seconds": time.perf_counter() - start, "environment": dict(os.environ),
    }))
    return 0
"""


@dataclass(frozen=True)
class Desk:
    """A user's home, a command installed for him, and a provider."""

    folder: Path
    neso: Neso

    def __post_init__(self) -> None:
        info = self.folder / "site" / "sbatch_of_test-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sbatch-of-test\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[cleanhours.commands]\nsbatch = sbatch_of_test\n")
        (self.folder / "site" / "sbatch_of_test.py").write_text(COMMAND)
        self.script.parent.mkdir()
        made = self.folder / "site" / "cleanhours-sbatch"
        made.write_text(f"#!{sys.executable}\nimport sys\n{START}")
        made.chmod(0o755)
        self.script.symlink_to(made)
        (self.folder / "cleanhours.toml").write_text(
            f'[forecasts.sources.neso]\nbase_url = "{self.neso.url}"\n[defaults]\nmax-delay = "3h"\n'
            "[planning]\nsafety = 1.5\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        hidden = ("CLEANHOURS_", "XDG_", "OPENBLAS_")
        said = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
        said["PYTHONDONTWRITEBYTECODE"] = (
            "1"  # else the folder of the plugin changes when it is first imported
        )
        return said | {"HOME": str(self.folder), "PYTHONPATH": str(self.folder / "site")}

    @property
    def script(self) -> Path:
        """As pip makes it, under the name that users know."""
        return self.folder / "bin" / "sbatch"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.script, *arguments], cwd=self.folder, env=self.environment, text=True,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    def told(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments)

        assert (0, "") == (done.returncode, done.stderr)

        told: dict[str, Any] = json.loads(done.stdout)
        return told


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    neso = Neso(FakeClock(SystemClock().now()))
    yield Desk(tmp_path, neso)
    neso.close()


def provider(told: dict[str, Any]) -> str:
    name: str = told["plan"]["forecast"]["provider"]
    return name


def test_with_warm_caches_it_plans_without_any_heavy_library(desk: Desk) -> None:
    cold, warm = desk.told(), desk.told()

    assert ["neso", "neso"] == [provider(cold), provider(warm)]
    assert {"pydantic", "requests"} <= set(cold["after"])
    assert set() == HEAVY & set(warm["after"])
    assert {"importlib.metadata", "tomllib", "cleanhours_plugins.forecasts.csv"}.isdisjoint(warm["after"])
    assert {"difflib", "cleanhours.control.zoning", "cleanhours.domain.zones"}.isdisjoint(warm["after"])
    assert 1 == len(desk.neso.asked)


def test_a_zone_that_no_source_serves_is_named_and_nobody_is_asked_for_it(desk: Desk) -> None:
    settings = desk.folder / "cleanhours.toml"
    settings.write_text(settings.read_text() + '[locations.de]\nzone = "DEE"\n')
    plans = [desk.told() for _ in range(2)]

    for told in plans:
        assert ("no-forecast", "DEE") == (told["plan"]["reason"], told["plan"]["zone"])
        assert (
            "(no-forecast); no forecast source serves zone 'DEE' of location de "
            "(asked: neso, climatology; did you mean DE or EE?)."
        ) in told["plan"]["sentence"]
    assert [] == desk.neso.asked
    assert set() == HEAVY & set(plans[1]["after"])


def test_a_job_that_is_not_planned_does_not_wait_for_numpy(desk: Desk) -> None:
    desk.told("look")
    told = desk.told("look")

    assert (1.5, {"max-delay": "3h"}) == (told["safety"], told["words"])
    assert "no cluster 'none' is configured; known: local" == told["refused"]
    assert set() == (HEAVY | {"numpy", "importlib.metadata"}) & set(told["modules"])


def test_what_the_settings_say_is_found_out_once(desk: Desk) -> None:
    assert [True, False] == [desk.told("remember")["worked"], desk.told("remember")["worked"]]

    settings = desk.folder / "cleanhours.toml"
    settings.write_text(settings.read_text() + "# changed\n")

    assert desk.told("remember")["worked"]
    assert [True, True] == [desk.told("remember", "nothing")["worked"] for _ in range(2)]
    assert desk.told("look")["remembers"] is True


def test_before_the_command_runs_next_to_nothing_is_imported(desk: Desk) -> None:
    desk.run("exit", "0")
    before = desk.told()["before"]
    ours = {name for name in before if name.startswith("cleanhours")}

    assert {"numpy", "typing", "dataclasses", "pathlib", "threading", "importlib.metadata"}.isdisjoint(before)
    assert {
        "cleanhours",
        "cleanhours.adapters",
        "cleanhours.adapters.keeping",
        "cleanhours.adapters.plugin_index",
        "cleanhours.apps",
        "cleanhours.apps.sbatch",
    } == ours


def test_a_provider_that_never_answers_costs_a_moment_once(desk: Desk) -> None:
    desk.neso.silent = threading.Event()
    first = desk.told()
    asked = len(desk.neso.asked)
    second = desk.told()

    # it would have been silent for half a minute; the process is not held up by who still asks
    assert 1.5 < first["seconds"] < 20
    assert (1, 1) == (asked, len(desk.neso.asked))
    assert ["climatology", "climatology"] == [provider(first), provider(second)]


def test_arguments_are_the_commands_and_its_code_is_the_exit_code(desk: Desk) -> None:
    assert ["--wrap", "-h", "--", "x"] == desk.told("--wrap", "-h", "--", "x")["argv"]
    assert 7 == desk.run("exit", "7").returncode


def test_jobs_inherit_nothing_from_it(desk: Desk) -> None:
    told = desk.told()

    assert desk.environment.keys() == told["environment"].keys() - {"LC_CTYPE"}


def test_a_home_that_cannot_be_written_costs_time_only(desk: Desk) -> None:
    for folder in (".cache", ".local"):
        (desk.folder / folder).write_text("in the way")

    assert ["neso", "neso"] == [provider(desk.told()), provider(desk.told())]


def test_without_the_plugin_it_says_so(desk: Desk) -> None:
    bare = f"import sys; sys.path.append({str(Path(cleanhours.__file__).parents[1])!r}); {START}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", bare], env={"HOME": str(desk.folder)}, text=True, capture_output=True, check=False
    )  # fmt: skip

    assert (1, "cleanhours-sbatch: no installed plugin brings the command sbatch\n") == (
        done.returncode,
        done.stderr,
    )


def test_it_is_installed_under_its_name() -> None:
    (point,) = entry_points(group="console_scripts", name="cleanhours-sbatch")

    assert main is point.load()
