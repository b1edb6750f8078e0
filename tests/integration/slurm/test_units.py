"""The systemd units, the crontab and the settings of deploy/slurm, and the words of its page for administrators."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cleanhours.adapters.settings import load_settings
from cleanhours.adapters.tables import SettingsTables
from cleanhours_plugins.clusters.slurm.settings import read_settings
from tests.conftest import REPOSITORY, require_component
from tests.integration.slurm.site import Site

FOLDER = REPOSITORY / "deploy" / "slurm"
PAGE = (REPOSITORY / "docs" / "slurm-admin.md").read_text("utf-8")
SERVICES = {
    "site": FOLDER / "cleanhours-controller.service",
    "user": FOLDER / "user" / "cleanhours-controller.service",
}
CLEANHOURS = Path(sys.executable).with_name("cleanhours")
PLAN = "/var/lib/cleanhours/slurm-plan"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(SERVICES[name], "utf-8")
    return parser


def started(name: str) -> list[str]:
    """The command line of a service."""
    return shlex.split(unit(name)["Service"]["ExecStart"])


def here(name: str, folder: Path) -> Path:
    """The unit for a machine where cleanhours is where these tests run."""
    text = SERVICES[name].read_text("utf-8").replace(started(name)[0], str(CLEANHOURS))
    copy = folder / SERVICES[name].name
    copy.write_text(text, "utf-8")
    return copy


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_a_controller_with_options_that_exist(name: str) -> None:
    program, *options = started(name)

    assert "cleanhours" == Path(program).name
    assert "controller" == options[-1]
    subprocess.run([CLEANHOURS, *options, "--help"], check=True, capture_output=True, timeout=90)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_started_again_whatever_happens_to_it(name: str) -> None:
    found = unit(name)

    assert "always" == found["Service"]["Restart"]
    assert "0" == found["Unit"]["StartLimitIntervalSec"]
    assert "yes" == found["Service"]["NoNewPrivileges"]


def test_the_site_service_keeps_its_state_where_its_settings_and_the_scripts_look_for_it() -> None:
    service, settings = (
        unit("site")["Service"],
        load_settings(config=FOLDER / "cleanhours.toml", environment={}),
    )

    assert Path("/var/lib") / service["StateDirectory"] == settings.state_folder
    assert PLAN == settings.clusters["slurm"].table["publish"]
    assert "--config /etc/cleanhours/cleanhours.toml" in service["ExecStart"]
    for script in ("job_submit.lua", "cli_filter.lua"):
        assert f'\nlocal PLAN = "{PLAN}"\n' in (FOLDER / script).read_text("utf-8")


def test_slurmctld_may_pass_through_the_state_folder_to_the_plan() -> None:
    assert int(unit("site")["Service"]["StateDirectoryMode"], 8) & 0o001


def test_the_site_service_is_no_root_and_reaches_munge_and_slurmctld() -> None:
    service = unit("site")["Service"]

    assert ("cleanhours", "") == (service["User"], service["CapabilityBoundingSet"])
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} == set(service["RestrictAddressFamilies"].split())
    assert not {"PrivateUsers", "PrivateNetwork", "IPAddressDeny"} & set(service)


def test_users_of_one_login_node_do_not_fight_for_a_port() -> None:
    setting = unit("user")["Service"]["Environment"]

    name, _, value = setting.partition("=")
    assert load_settings(environment={name: value}).listen is None


@pytest.mark.integration
@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_no_fault_in_a_service(name: str, tmp_path: Path) -> None:
    analyze = require_component("systemd-analyze", "apt-get install --no-install-recommends systemd")
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}

    done = subprocess.run(
        [analyze, *(["--user"] if name == "user" else []), "verify", "--man=no", here(name, tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.integration
def test_systemd_finds_the_site_service_little_exposed(tmp_path: Path) -> None:
    analyze = require_component("systemd-analyze", "apt-get install --no-install-recommends systemd")

    done = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", here("site", tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 == done.returncode, done.stdout[-300:]


def crontab() -> list[str]:
    return (FOLDER / "crontab").read_text("utf-8").splitlines()


def scrontab_options() -> list[str]:
    lines = [line.removeprefix("#SCRON ") for line in crontab() if line.startswith("#SCRON ")]
    return shlex.split(" ".join(lines))


def test_the_crontab_has_one_line_for_cron_and_its_job_options_for_scrontab() -> None:
    entry = crontab()[-1]

    assert [entry] == [line for line in crontab() if not line.startswith("#")]
    assert "--comment=cleanhours:off" in scrontab_options()
    when, command = entry.split(" $HOME/.local/bin/cleanhours ")
    assert 5 == len(when.split())
    arguments = shlex.split(command.partition(" >")[0])
    assert ["controller", "--once"] == arguments
    subprocess.run([CLEANHOURS, *arguments, "--help"], check=True, capture_output=True, timeout=90)


@pytest.mark.integration
def test_sbatch_takes_the_options_of_the_scrontab_line(slurm: Site) -> None:
    job = slurm.sbatch("--hold", *scrontab_options(), "--wrap", "true")

    assert ("cleanhours:off", "5:00") == (slurm.show(job)["comment"], slurm.show(job)["limit"])


def test_the_settings_are_those_of_a_slurm_site() -> None:
    settings = load_settings(config=FOLDER / "cleanhours.toml", environment={})
    cluster = settings.clusters["slurm"]

    found = read_settings(cluster.table, settings.locations, settings.defaults)

    assert ("slurm", True, "de") == (cluster.type, found.everybody, found.places.home)
    assert {"de": "DE", "fr": "FR"} == found.places.zones
    assert {"max-delay": "12h"} == found.usual_words("green", "normal") == found.usual_words("any", "green")


def test_the_page_names_files_that_exist_and_installs_all_of_them() -> None:
    named = {word.rstrip(".,)") for word in re.findall(r"deploy/slurm/[\w./-]+", PAGE)}

    assert set() == {name for name in named if not (REPOSITORY / name).exists()}
    for name in (
        "job_submit.lua",
        "cli_filter.lua",
        "crontab",
        "cleanhours.toml",
        "cleanhours-controller.service",
    ):
        assert name in PAGE


def test_every_record_of_the_plan_that_the_scripts_read_is_on_the_page() -> None:
    script = (FOLDER / "job_submit.lua").read_text("utf-8")
    records = script[script.index("local RECORDS") : script.index("local UNITS")]
    names = set(re.findall(r'\b(\w+) = "\^|\["(\w+)"\]', records))

    assert 8 == len(names)
    for name in {first or second for first, second in names}:
        assert f"| `{name} " in PAGE


def test_every_table_of_the_settings_is_one_that_exists() -> None:
    text = (FOLDER / "cleanhours.toml").read_text("utf-8")
    tables = {name.split(".")[0] for name in re.findall(r"^\[([\w.]+)\]", text, re.MULTILINE)}

    assert tables <= set(SettingsTables.model_fields)
