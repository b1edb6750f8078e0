"""Settings of meters that are wrong, as the command line tells them: nothing is left out in silence."""

from __future__ import annotations

import json
from pathlib import Path

from tests.flow.command_line import Shell

WRONG = """
[locations.home]
zone = "GB"

[meters.kelper]
url = "http://prometheus:9090"

[meters.processes]
processor = "z80"
minimum_watts_per_core = -5

[meters.declared]
"""


def test_the_settings_in_force_are_shown_and_every_wrong_table_of_a_meter_after_them(tmp_path: Path) -> None:
    shell = Shell(tmp_path, WRONG)
    shown, told = (shell.run("config", "show", *words, code=2) for words in ((), ("--json",)))
    for done in (shown, told):
        assert "kelper" in done.stdout
        heading, unknown, wrong = done.stderr.splitlines()
        assert "cleanhours: a controller would leave meters out:" == heading
        assert "  no meter 'kelper' is installed; did you mean 'kepler'? installed: " in unknown
        assert "  meters.processes.processor: found 'z80', accepted: one of average" in wrong
        assert "meters.processes.minimum_watts_per_core: found -5, accepted: watts, 0 or more" in wrong
    assert json.loads(told.stdout)

    right = Shell(tmp_path, '[meters.kepler]\nurl = "http://prometheus:9090"\n')
    assert "" == right.run("config", "show").stderr


def test_a_controller_says_which_table_is_of_no_meter(tmp_path: Path) -> None:
    done = Shell(tmp_path, WRONG).run("controller", "--once")

    assert "no meter 'kelper' is installed; did you mean 'kepler'?" in done.stderr
