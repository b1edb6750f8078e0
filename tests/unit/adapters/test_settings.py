"""Settings: four layers, each value with its origin, every fault at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.adapters.settings import Settings, load_settings
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.locations import Location
from cleanhours.domain.resources import Capacity
from cleanhours.domain.rules import Rules


def load(folder: Path, text: str = "", *, env: dict[str, str] | None = None, **flags: Any) -> Settings:
    file = folder / "given.toml"
    file.write_text(text)
    environment = {"HOME": str(folder / "home"), **(env or {})}
    dotted = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(
        config=file, environment=environment, flags=dotted, folder=folder, system=folder / "etc"
    )


def faults(folder: Path, text: str = "", *, env: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text, env=env, **flags)
    return str(caught.value)


def origin(settings: Settings, key: str) -> tuple[str, str]:
    return next((one.value, one.origin.value) for one in settings.effective if one.key == key)


def test_with_no_file_there_is_one_local_cluster_on_one_location(tmp_path: Path) -> None:
    settings = load_settings(environment={"HOME": str(tmp_path)}, folder=tmp_path, system=tmp_path)
    assert {"local": "local"} == {name: cluster.type for name, cluster in settings.clusters.items()}
    assert {"local": Location("local", "GB", assumed=True)} == settings.locations
    assert ("neso", "climatology") == settings.chain_of("DE")
    assert ("127.0.0.1", 9464) == settings.listen
    assert Rules() == settings.rules
    assert timedelta(seconds=30) == settings.tick
    state = tmp_path / ".local" / "state" / "cleanhours"
    assert (state, f"sqlite:///{state}/ledger.sqlite") == (settings.state_folder, settings.ledger_url)


def test_the_state_folder_follows_xdg_and_the_ledger_follows_it(tmp_path: Path) -> None:
    assert tmp_path / "cleanhours" == load(tmp_path, env={"XDG_STATE_HOME": str(tmp_path)}).state_folder
    assert f"sqlite:///{tmp_path}/s/ledger.sqlite" == load(tmp_path, state__folder=f"{tmp_path}/s").ledger_url


def test_flags_beat_the_environment_beats_the_file_beats_defaults(tmp_path: Path) -> None:
    text = '[metrics]\nlisten = "127.0.0.1:1"\n[planning]\nsafety = 1.3'
    env = {"CLEANHOURS_METRICS__LISTEN": "127.0.0.1:2", "CLEANHOURS_PLANNING__TICK": "10s"}
    settings = load(tmp_path, text, env=env, metrics__listen="127.0.0.1:3", planning__queue_margin=None)
    assert ("127.0.0.1:3", "flag") == origin(settings, "metrics.listen")
    assert ("10s", "env") == origin(settings, "planning.tick")
    assert ("1.3", "file") == origin(settings, "planning.safety")
    assert ("1m", "default") == origin(settings, "planning.queue_margin")
    assert 1.3 == settings.rules.margins.safety


def test_the_first_file_found_is_the_only_one(tmp_path: Path) -> None:
    user = tmp_path / ".config" / "cleanhours"
    for place, tick in ((tmp_path / "here", "1s"), (user, "2s"), (tmp_path / "etc", "3s")):
        place.mkdir(parents=True)
        (place / "cleanhours.toml").write_text(f'[planning]\ntick = "{tick}"')
    ticks = []
    for place in (tmp_path / "here", user, tmp_path / "etc"):
        found = load_settings(
            environment={"HOME": str(tmp_path)}, folder=tmp_path / "here", system=tmp_path / "etc"
        )
        ticks.append(found.tick.total_seconds())
        (place / "cleanhours.toml").unlink()
    assert [1, 2, 3] == ticks


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_settings(config=tmp_path / "none.toml", environment={})


@pytest.mark.parametrize("text", ["[planning", 'a = "\\q"', "x = 1 2"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text: str) -> None:
    assert "given.toml is not TOML" in faults(tmp_path, text)


def test_every_fault_is_told_at_once_with_what_would_be_right(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        """
        planing = 1
        [planning]
        safty = 2
        safety = 0.5
        queue_margin = 5
        [metrics]
        listen = "nine"
        [locations.paris]
        pue = 0.9
        [defaults]
        deadlin = "+3h"
        max-delay = "6"
        """,
        env={"CLEANHOURS_LEDGR__URL": "x"},
        planning__tick="soon",
    )
    for words in (
        "planing: no such setting; did you mean 'planning'?",
        "planning.safty: no such setting; did you mean 'safety'?",
        "planning.safety: found '0.5', accepted: greater than or equal to 1",
        "planning.queue_margin: found '5', accepted: a number with a unit",
        "metrics.listen: found 'nine', accepted: host:port",
        "locations.paris.zone: missing, accepted: a grid zone",
        "locations.paris.pue: found '0.9'",
        "defaults.deadlin: found '+3h', accepted: did you mean 'deadline'?",
        "defaults.max-delay: found '6'",
        "ledgr: no such setting; did you mean 'ledger'? (CLEANHOURS_LEDGR__URL)",
        "planning.tick: found 'soon'",
    ):
        assert words in told
    assert 12 == len(told.splitlines())


def test_locations_carry_zone_overhead_capacity_and_names(tmp_path: Path) -> None:
    text = """
    [locations.north]
    zone = "NO-NO1"
    pue = 1.12
    match = { partition = "north" }
    capacity = { cpus = 1.5, memory = "64GiB", gpus = 8, slots = 4 }
    """
    room = Capacity(1500, 64 * 2**30, 8, 4)
    expected = {"north": Location("north", "NO-NO1", 1.12, room, {"partition": "north"})}
    assert expected == load(tmp_path, text).locations


def test_the_zone_of_local_can_be_said_alone(tmp_path: Path) -> None:
    assert {"local": Location("local", "FR")} == load(
        tmp_path, env={"CLEANHOURS_LOCATIONS__LOCAL__ZONE": "FR"}
    ).locations
    known_of = load(tmp_path, "[locations.local]\npue = 1.4").locations
    assert {"local": Location("local", "GB", 1.4, assumed=True)} == known_of


@pytest.mark.parametrize("zone", ["GB:13", "GB:postcode:RG10", "US-CAL-CISO"])
def test_a_zone_is_spelled_as_its_source_spells_it(tmp_path: Path, zone: str) -> None:
    assert zone == load(tmp_path, f'[locations.local]\nzone = "{zone}"').locations["local"].zone


def test_capacity_in_two_units_is_refused(tmp_path: Path) -> None:
    text = '[locations.a]\nzone = "GB"\ncapacity = { cpus = 1, cpu_millicores = 5 }'
    assert "found both cpus and cpu_millicores" in faults(tmp_path, text)


def test_a_plugins_own_keys_pass_through(tmp_path: Path) -> None:
    text = """
    [clusters.big]
    type = "slurm"
    partition = ["a", "b"]
    [forecasts]
    chain = ["mine", "climatology"]
    zones.DE = ["entsoe"]
    [forecasts.sources.mine]
    type = "csv"
    file = "x.csv"
    [forecasts.sources.entsoe]
    token = "geheim"
    [meters.rapl]
    folder = "/sys"
    """
    settings = load(tmp_path, text, env={"CLEANHOURS_CLUSTERS__BIG__SLOTS": "4"})
    assert {"partition": ["a", "b"], "slots": 4} == settings.clusters["big"].table
    assert ("csv", {"file": "x.csv"}) == (settings.source("mine").type, settings.source("mine").table)
    assert "climatology" == settings.source("climatology").type
    assert ("entsoe",) == settings.chain_of("DE")
    assert {"rapl": {"folder": "/sys"}} == settings.meters


def test_a_list_from_the_environment_has_commas(tmp_path: Path) -> None:
    assert ("csv", "climatology") == load(
        tmp_path, env={"CLEANHOURS_FORECASTS__CHAIN": "csv, climatology"}
    ).chain


def test_a_second_measure_is_off_unless_asked_for(tmp_path: Path) -> None:
    assert () == load(tmp_path).beside == load(tmp_path, "[forecasts]\nbeside = []").beside
    assert ("marginal", "csv:b.csv") == load(
        tmp_path, '[forecasts]\nbeside = ["marginal", "csv:b.csv"]'
    ).beside
    assert "forecasts.beside: found '[3]', accepted: a list" in faults(tmp_path, "[forecasts]\nbeside = [3]")


def test_variables_without_a_double_underscore_are_not_settings(tmp_path: Path) -> None:
    load(tmp_path, env={"CLEANHOURS_JOB": "deadline=+3h", "CLEANHOURS_SERVICE_PORT": "9464"})


def test_defaults_are_request_words(tmp_path: Path) -> None:
    text = '[defaults]\nmax-delay = "6h"\ninterruptible = true\nlocations = ["local"]'
    expected = {"max-delay": "6h", "interruptible": "true", "locations": "local"}
    assert expected == load(tmp_path, text).defaults
    assert "a time from submission" in faults(tmp_path, '[defaults]\ndeadline = "2026-01-01T00:00:00Z"')


def test_secrets_are_masked_wherever_they_are_shown(tmp_path: Path) -> None:
    text = """
    [ledger]
    url = "postgresql://ada:gehe/im@db/x?sslpassword=geheim2"
    [forecasts.sources.entsoe]
    token = "geheim3"
    api_key = "geheim4"
    url = "https://h/x?key=geheim5"
    """
    shown = str(load(tmp_path, text).to_json())
    assert "geh" not in shown
    assert "postgresql://ada:***@db/x" in shown
    assert "geh" not in faults(tmp_path, text + "\n[planning]\ntick = 3")


def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    settings = load(tmp_path, metrics__listen="off")
    assert settings.listen is None
    assert ("off", "flag") == origin(settings, "metrics.listen")


@pytest.mark.parametrize(
    ("text", "expected"), [("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:9464", ("::1", 9464)), ("h:0", ("h", 0))]
)
def test_addresses_to_listen_on(tmp_path: Path, text: str, expected: tuple[str, int]) -> None:
    assert expected == load(tmp_path, metrics__listen=text).listen


@pytest.mark.parametrize("text", ["9464", ":9464", "h:99999", "[::g]:1", "h:1:2"])
def test_what_is_no_address_is_refused(tmp_path: Path, text: str) -> None:
    assert "metrics.listen" in faults(tmp_path, metrics__listen=text)


@pytest.mark.parametrize(
    "text", ["planning = 3", "locations = 3", "locations.a = 3", "state = 3", "clusters = []", "defaults = 1"]
)
def test_a_value_where_a_table_belongs_is_a_fault(tmp_path: Path, text: str) -> None:
    assert text.split(" ", maxsplit=1)[0] in faults(tmp_path, text)
    faults(tmp_path, text, planning__tick="x")
