"""`job_submit.lua` with plans that are broken, missing, stale or new: no submission ever fails or waits."""

from __future__ import annotations

import random

import pytest

from tests.unit.deploy.lua import (
    BROKEN,
    SUBMIT,
    HOUR,
    LEFT_ALONE,
    NOW,
    PLAN,
    SCRIPT,
    Lua,
    begin,
    lua_of,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("plan", BROKEN.values(), ids=BROKEN)
def test_a_broken_plan_changes_no_job_and_is_logged_once(lua: Lua, plan: str | bytes) -> None:
    first, second = lua.submit_all([{"comment": "cleanhours"}] * 2, plan)

    assert ({}, (), 1) == (first.set, first.said, len(first.logged))
    assert "jobs are left as they are" in first.logged[0]
    assert LEFT_ALONE == second


def test_a_plan_that_was_cut_off_anywhere_never_breaks_a_promise(lua: Lua) -> None:
    for size in {*range(0, len(PLAN), 11), len(PLAN) - 1}:
        for outcome in lua.submit_all([{"comment": "cleanhours"}, {"partition": "green"}], PLAN[:size]):
            assert set(outcome.set) <= {"begin_time", "comment"}
            assert begin(outcome) in {None, 100, 200}


def test_a_missing_plan_changes_no_job(lua: Lua) -> None:
    found = lua.submit(None, comment="cleanhours")

    assert ({}, ()) == (found.set, found.said)
    assert "No such file" in found.logged[0]


def test_a_folder_in_the_place_of_the_plan_changes_no_job(lua: Lua) -> None:
    lua.plan.mkdir()
    lines = lua.run("job_submit.lua", f'local JOBS = {{{{comment = "cleanhours"}}}}\n{SUBMIT}')

    assert [] == [line for line in lines if line.startswith(("set", "said"))]


def test_a_plan_holds_until_the_second_it_names(lua: Lua) -> None:
    assert ["comment"] == list(lua.submit(comment="cleanhours", now=NOW + HOUR).set)

    stale = lua.submit(comment="cleanhours", now=NOW + HOUR + 1)
    assert ({}, ()) == (stale.set, stale.said)
    assert ("cleanhours: the plan is stale; jobs are left as they are",) == stale.logged


def test_records_of_a_later_writer_are_passed_over(lua: Lua) -> None:
    assert 200 == begin(lua.submit(PLAN + "weather 3600 rain de\n\n#\nnonsense\n", comment="cleanhours"))


def test_a_plan_as_large_as_may_be_is_read(lua: Lua) -> None:
    padding = "# padding\n" * ((256 * 1024 - len(PLAN)) // 10)

    assert 200 == begin(lua.submit(PLAN + padding, comment="cleanhours"))


def test_a_fault_of_the_script_itself_lets_the_job_through(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours", partition="de", features=7.0, script=SCRIPT, time_limit="soon")

    assert {} == found.set
    assert "cleanhours: a job is left as it is" in found.logged[0]


def test_a_new_plan_is_seen_at_the_next_submission_and_its_return_logged(lua: Lua) -> None:
    other = PLAN.replace(str(NOW + 200), str(NOW + 250))
    rewrite = f"""
local function write(text) local file = io.open({lua_of(str(lua.plan))}, "w"); file:write(text); file:close() end
local function submit()
  local job, changed = job_of({{comment = "cleanhours"}})
  slurm_job_submit(job, parts, 1000)
  print(string.format("%.0f", (changed.begin_time or NOW) - NOW), table.concat(logged, "|")); logged = {{}}
end
write({lua_of(PLAN)}) submit()
write({lua_of(other)}) submit()
write("broken") submit() submit()
write({lua_of(PLAN)}) submit()
"""

    lines = [line.split("\t") for line in lua.run("job_submit.lua", rewrite)]

    assert ["200", "250", "0", "0", "200"] == [start for start, _ in lines]
    assert [
        "",
        "",
        "cleanhours: the plan is not one of version 1; jobs are left as they are",
        "",
        "cleanhours: the plan is well again",
    ] == [logged for _, logged in lines]


def test_a_changed_job_is_none_of_its_business(lua: Lua) -> None:
    lua.write(PLAN)
    body = "print(slurm_job_modify(setmetatable({}, {__index = error, __newindex = error}), {}, parts, 0))"

    assert ["0"] == lua.run("job_submit.lua", body)
