"""`cli_filter.lua`: advice to who did not opt in, and no option changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.deploy.lua import (
    BROKEN,
    HOUR,
    NOW,
    PLAN,
    SCRIPTS,
    Lua,
    lua_of,
)

pytestmark = pytest.mark.integration


ADVICE = "cleanhours: started 2026-11-21T11:12+01:00 this job would emit 34 % less carbon: sbatch --comment cleanhours"


def advised(lua: Lua, plan: str | bytes | None = PLAN, now: int = NOW, **options: str) -> list[str]:
    """What is printed; changing an option fails."""
    lua.write(plan.replace(f"delay {12 * HOUR}", f"delay {6 * HOUR}") if isinstance(plan, str) else plan)
    usual = {"type": "sbatch", "time": "01:00:00", "begin": "Unknown", "deadline": "Unknown", "hold": "unset"}
    given = {name.replace("_", "-"): value for name, value in (usual | options).items()}
    body = f"""
local options = setmetatable({{}}, {{__index = {lua_of(given)}, __newindex = error}})
assert(slurm_cli_setup_defaults(options, false) == slurm.SUCCESS)
assert(slurm_cli_pre_submit(options, 0) == slurm.SUCCESS)
assert(slurm_cli_post_submit(0, 1, 2) == slurm.SUCCESS)
for _, line in ipairs(logged) do print(line) end
"""
    return lua.run("cli_filter.lua", body, now)


@pytest.mark.parametrize("time", ["00:00:30", "01:00:00"])
def test_who_does_not_opt_in_is_told_what_it_would_save(lua: Lua, time: str) -> None:
    assert [ADVICE] == advised(lua, time=time)


@pytest.mark.parametrize(
    "options",
    [
        {"type": "srun"},
        {"type": "salloc"},
        {"time": "2982616-04:14:00"},
        {"time": "UNLIMITED"},
        {"time": "1-00:00:00"},
        {"time": ""},
        {"hold": "set"},
        {"begin": "2026-11-22T00:00:00"},
        {"deadline": "2026-11-24T00:00:00"},
        {"reservation": "maintenance"},
        {"dependency": "singleton"},
        {"test_only": "set"},
        {"clusters": "beta"},
        {"comment": "cleanhours"},
        {"comment": "cleanhours:off"},
        {"comment": "cleanhours:v1;submitted=1"},
        {"partition": "green"},
        {"qos": "green"},
        {"account": "climate"},
        {"partition": "fr"},
    ],
    ids=str,
)
def test_nobody_else_is_told_anything(lua: Lua, options: dict[str, Any]) -> None:
    assert [] == advised(lua, **options)


@pytest.mark.parametrize("plan", [None, *BROKEN.values()], ids=["missing", *BROKEN])
def test_without_a_plan_there_is_no_advice(lua: Lua, plan: str | bytes | None) -> None:
    assert [] == advised(lua, plan)


def test_a_stale_plan_and_a_start_that_is_past_give_no_advice(lua: Lua) -> None:
    assert [] == advised(lua, now=NOW + HOUR + 1)
    assert [] == advised(lua, now=NOW + 100)


@pytest.mark.parametrize(("percent", "lines"), [("5", 1), ("4.9", 0), ("0", 0), ("-3.5", 0)])
def test_a_small_saving_is_not_worth_a_line(lua: Lua, percent: str, lines: int) -> None:
    assert lines == len(advised(lua, PLAN.replace("34.5", percent)))


def test_who_opts_in_with_a_deadline_of_slurms_is_warned_where_it_could_be_missed(lua: Lua) -> None:
    missed, kept = "2026-11-21T18:10:39", "2026-11-21T18:10:40"  # now + 6 h of delay + 1 h of running

    assert ["the site may delay this job beyond its --deadline, and Slurm would cancel it: --comment cleanhours:off"] == [
        line.removeprefix("cleanhours: ") for line in advised(lua, comment="cleanhours", deadline=missed)
    ]  # fmt: skip
    assert [] == advised(lua, comment="cleanhours", deadline=kept)


def test_both_scripts_read_the_plan_with_the_same_lines() -> None:
    def shared(name: str) -> str:
        text = (SCRIPTS / name).read_text("utf-8")
        return text[text.index("-- The plan: from here") : text.index("-" * 120)]

    assert shared("job_submit.lua") == shared("cli_filter.lua")
