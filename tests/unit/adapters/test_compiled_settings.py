"""Compiled settings: the same as those that were read, until anything they come from changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from stat import S_IMODE

import pytest

from cleanhours.adapters.compiled import compiled_settings
from cleanhours.adapters.layers import Origin
from cleanhours.adapters.settings import Settings, load_settings
from cleanhours.domain.errors import ConfigurationError

RICH = """
[clusters.slurm]
type = "slurm"
slots = 3
nested = {a = [1, 2.5, "x", {b = true}], c = {}}
[clusters.local]
type = "local"
[locations.here]
zone = "GB"
pue = 1.25
capacity = {cpus = 64, memory = "64GiB", gpus = 8, slots = 5}
match = {partition = "main"}
[locations.there]
zone = "US-CAL-CISO"
[forecasts]
chain = ["csv:trace.csv?scope=direct", "history:neso", "climatology"]
[forecasts.zones]
GB = ["neso", "climatology"]
[forecasts.sources.keyed]
type = "neso"
api_key = "s3cr3t-Ω"
[meters.declared]
watts = 7.5
[defaults]
deadline = "+12h"
interruptible = true
[planning]
safety = 1.3
queue_margin = "90s"
minimum_saving_percent = 0.1
maximum_pauses = 3
minimum_run = "10m"
[metrics]
listen = "[::1]:9000"
[embodied]
server_kg_co2e = 1200.5
gpus = 8
[embodied.locations.there]
server_kg_co2e = 900
lifetime = "5y"
cpus = 64
"""


class Desk:
    """A home with settings, and what is kept there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"HOME": str(folder), "CLEANHOURS_METERS__DECLARED__IDLE": "3", "OTHER": "1"}
        self.file = folder / ".config" / "cleanhours" / "cleanhours.toml"
        self.file.parent.mkdir(parents=True)
        self.release = "1.0"

    def write(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")

    def compiled(self, **environment: str) -> Settings:
        said = self.environment | environment
        return compiled_settings(
            self.release, environment=said, folder=self.folder, system=self.folder / "etc"
        )

    def loaded(self, **environment: str) -> Settings:
        said = self.environment | environment
        return load_settings(environment=said, folder=self.folder, system=self.folder / "etc")

    @property
    def kept(self) -> list[Path]:
        return sorted((self.folder / ".cache").rglob("settings-*"))

    def mark(self) -> None:
        """Tampers with what is kept, so that it shows when it is used."""
        for path in self.kept:
            path.write_text(path.read_text().replace("US-CAL-CISO", "MARKED"))

    def marked(self, settings: Settings) -> bool:
        return "MARKED" == settings.locations["there"].zone


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.write(RICH)
    return made


def test_they_equal_those_that_were_read_to_the_last_type(desk: Desk) -> None:
    first, second = desk.compiled(), desk.compiled()

    assert desk.loaded() == first == second
    assert desk.loaded().to_json() == second.to_json()
    assert repr(desk.loaded()) == repr(second)
    assert {Origin} == {type(one.origin) for one in second.effective}


def test_with_no_file_at_all_they_are_kept_too(desk: Desk) -> None:
    desk.file.unlink()

    assert desk.loaded() == desk.compiled() == desk.compiled()
    assert 1 == len(desk.kept)


def test_kept_they_are_read_from_there(desk: Desk) -> None:
    desk.compiled()
    desk.mark()

    assert desk.marked(desk.compiled())


def test_kept_they_are_read_without_pydantic(desk: Desk) -> None:
    code = (
        "import sys; from cleanhours.adapters.compiled import compiled_settings as read; read('1')\n"
        "print('pydantic' in sys.modules, 'tomllib' in sys.modules)"
    )
    said = {name: text for name, text in os.environ.items() if not name.startswith(("CLEANHOURS_", "XDG_"))}
    told = [
        subprocess.run(
            [sys.executable, "-c", code], env=said | desk.environment, cwd=desk.folder, text=True,
            capture_output=True, check=True,
        ).stdout.split()
        for _ in range(2)
    ]  # fmt: skip

    assert [["True", "True"], ["False", "False"]] == told


def test_a_changed_file_is_read_again(desk: Desk) -> None:
    desk.compiled()
    desk.mark()
    desk.write(RICH.replace("1.3", "1.4"))
    settings = desk.compiled()

    assert (1.4, False) == (settings.rules.margins.safety, desk.marked(settings))
    assert 1 == len(desk.kept)


def test_a_file_that_comes_before_or_goes_away_is_noticed(desk: Desk) -> None:
    desk.compiled()
    nearer = desk.folder / "cleanhours.toml"
    nearer.write_text("[planning]\nsafety = 2")
    nearest = desk.compiled().rules.margins.safety
    nearer.unlink()
    user = desk.compiled().rules.margins.safety
    desk.file.unlink()

    assert [2, 1.3, 1.1] == [nearest, user, desk.compiled().rules.margins.safety]


@pytest.mark.parametrize(
    "name",
    ["CLEANHOURS_PLANNING__TICK", "CLEANHOURS_CLUSTERS__SLURM__SLOTS", "HOME", "XDG_STATE_HOME"],
)
def test_a_changed_environment_is_another_one(desk: Desk, name: str) -> None:
    desk.environment["XDG_CONFIG_HOME"] = str(desk.folder / ".config")
    desk.environment["XDG_CACHE_HOME"] = str(desk.folder / ".cache")
    said = {name: "7s" if name.startswith("CLEANHOURS_") else str(desk.folder / "another")}
    desk.compiled()
    desk.mark()

    assert desk.loaded(**said) == desk.compiled(**said)
    assert desk.marked(desk.compiled())


def test_what_is_no_setting_changes_nothing(desk: Desk) -> None:
    desk.compiled()
    desk.mark()

    assert desk.marked(desk.compiled(OTHER="2", CLEANHOURS_JOB="deadline=+3h"))


def test_another_release_compiles_its_own(desk: Desk) -> None:
    desk.compiled()
    desk.mark()
    desk.release = "1.1"

    assert not desk.marked(desk.compiled())


def test_they_are_private_for_they_hold_keys(desk: Desk) -> None:
    desk.compiled()
    (path,) = desk.kept

    assert "s3cr3t" in path.read_text()
    assert 0o600 == S_IMODE(path.stat().st_mode)

    desk.mark()
    path.chmod(0o644)

    assert not desk.marked(desk.compiled())
    assert 0o600 == S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("of", ['\\"Settings\\"', '\\"Margins\\"', '\\"safety\\"', '\\"of\\"'])
def test_what_was_kept_by_another_hand_is_compiled_again(desk: Desk, of: str) -> None:
    desk.compiled()
    (path,) = desk.kept
    path.write_text(path.read_text().replace(of, '\\"what\\"'))

    assert desk.loaded() == desk.compiled()
    assert of in path.read_text()


def test_wrong_settings_are_refused_each_time(desk: Desk) -> None:
    desk.write("[planning]\nsafty = 2")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="did you mean 'safety'"):
            desk.compiled()

    assert [] == desk.kept


@pytest.mark.parametrize(
    "table",
    [
        "[clusters.local]\ntype = 'local'\nsince = 2026-01-01",
        "[meters.declared]\nis = 'Path'\nof = ['/etc']",
        "[meters.declared]\nwatts = nan",
    ],
)
def test_what_json_cannot_say_is_read_each_time(desk: Desk, table: str) -> None:
    desk.write(table)

    assert repr(desk.loaded()) == repr(desk.compiled()) == repr(desk.compiled())
    assert [] == desk.kept


def test_a_state_folder_told_from_here_is_another_one_elsewhere(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write("[state]\nfolder = 'state'")
    folders = []
    for name in ("a", "b"):
        (desk.folder / name).mkdir()
        monkeypatch.chdir(desk.folder / name)
        folders.append(desk.compiled().state_folder)

    assert [desk.folder / "a" / "state", desk.folder / "b" / "state"] == folders


def test_a_file_named_from_here_is_another_one_elsewhere(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for name in ("a", "b", "a"):
        (desk.folder / name).mkdir(exist_ok=True)
        (desk.folder / name / "cleanhours.toml").write_text(f"[planning]\ntick = '{ord(name)}s'")
        monkeypatch.chdir(desk.folder / name)
        settings = compiled_settings("1.0", environment=desk.environment)
        told.append((settings.tick.total_seconds(), settings == load_settings(environment=desk.environment)))

    assert [(97, True), (98, True), (97, True)] == told
