"""The Lua scripts of deploy/slurm, in a Lua of their own with a made-up Slurm: every rule, and every kind of broken plan.

That Slurm itself is as made up here is tested in tests/integration/slurm.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cleanhours_plugins.clusters.slurm.tagging import read, split_comment
from tests.conftest import REPOSITORY, require_component

pytestmark = pytest.mark.integration

SCRIPTS = REPOSITORY / "deploy" / "slurm"
INTERPRETERS = [name for name in ("lua5.1", "lua5.3", "lua5.4") if shutil.which(name)] or ["lua5.1"]
"""Slurm may be built with any of them; Debian's is built with 5.1."""
INSTALL = "apt-get install --no-install-recommends lua5.1"

NOW = 1_795_255_840
HOUR = 3_600
UNSET = 4_294_967_294
UNLIMITED = 4_294_967_295
SCRIPT = "#!/bin/sh\n#SBATCH --job-name=train\nsrun train\n"

PLAN = f"""\
cleanhours-slurm-plan 1
# written by the controller
written {NOW - 60}
until {NOW + HOUR}
optin qos green
optin partition green
optin partition leaf
optin account climate
location de partition de
location fr partition fr
location de feature rhine
location fr feature seine
location fr cluster west
home de
delay {12 * HOUR}
start {HOUR} {6 * HOUR} {NOW + 100} de
saving {HOUR} {6 * HOUR} 34.5 de
start {HOUR} {12 * HOUR} {NOW + 200} de
start {4 * HOUR} {12 * HOUR} {NOW + 300} de
start {HOUR} {12 * HOUR} {NOW + 400} fr
"""

MADE_UP_SLURM = """
local said, logged = {}, {}
local NOW = %(now)d
slurm = {SUCCESS = 0, ERROR = -1,
  log_user = function(form, ...) said[#said + 1] = string.format(form, ...) end,
  log_info = function(form, ...) logged[#logged + 1] = string.format(form, ...) end}
os.time = function(when) return when and REAL_TIME(when) or NOW end
for _, name in ipairs({"execute", "exit", "remove", "rename", "tmpname"}) do os[name] = nil end
io.popen, io.write, require, package = nil, nil, nil, nil
local UNSET = 4294967294
local USUAL = {begin_time = 0, priority = UNSET, time_limit = 60, het_job_offset = UNSET, script = %(script)s}
local function job_of(asked)
  local environment = asked.environment or {}
  local values, changed = {}, {}
  for name, value in pairs(USUAL) do values[name] = value end
  for name, value in pairs(asked) do values[name] = value end
  values.environment = environment
  for _, name in ipairs(asked.without or {}) do values[name] = nil end
  return setmetatable({}, {
    __index = function(_, name) return values[name] end,
    __newindex = function(_, name, value) values[name], changed[name] = value, value end,
  }), changed
end
local function part(default) return {flag_default = default or 0} end
local parts = {any = part(1), de = part(), fr = part(), green = part(), leaf = part()}
dofile(%(path)s)
"""

SUBMIT = """
for _, asked in ipairs(JOBS) do
  local job, changed = job_of(asked)
  assert(slurm_job_submit(job, parts, 1000) == slurm.SUCCESS)
  for name, value in pairs(changed) do
    if type(value) == "number" then value = string.format("%.0f", value) end
    print("set " .. name .. "=" .. value)
  end
  for _, one in ipairs(said) do print("said " .. one) end
  for _, one in ipairs(logged) do print("logged " .. one) end
  said, logged = {}, {}
  print("done")
end
"""


@dataclass(frozen=True)
class Outcome:
    """What a script did: fields that it set, and what it said to the submitter and to Slurm's log."""

    set: Mapping[str, str]
    said: tuple[str, ...]
    logged: tuple[str, ...]


def lua_of(value: Any) -> str:
    """A value as Slurm hands it to Lua: its numbers are floating ones."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{float(value):.1f}"
    if isinstance(value, str):
        return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'["{name}"] = {lua_of(one)}' for name, one in value.items()) + "}"
    return "{" + ", ".join(lua_of(one) for one in value) + "}"


@dataclass(frozen=True)
class Lua:
    """One of Slurm's scripts beside a plan file of the test's own."""

    interpreter: Path
    folder: Path

    @property
    def plan(self) -> Path:
        return self.folder / "plan"

    def run(self, script: str, body: str, now: int = NOW) -> list[str]:
        copy = self.folder / script
        text = (SCRIPTS / script).read_text("utf-8")
        copy.write_text(text.replace("/var/lib/cleanhours/slurm-plan", str(self.plan)), "utf-8")
        made_up = MADE_UP_SLURM % {"now": now, "script": lua_of(SCRIPT), "path": lua_of(str(copy))}
        done = subprocess.run(
            [self.interpreter, "-"],
            input="REAL_TIME = os.time\n" + made_up + body,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={"TZ": "Europe/Berlin", "LC_ALL": "C"},
        )

        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.splitlines()

    def submit_all(
        self, jobs: Iterable[Mapping[str, Any]], plan: str | bytes | None, now: int = NOW
    ) -> list[Outcome]:
        self.write(plan)
        lines = self.run("job_submit.lua", f"local JOBS = {lua_of(list(jobs))}\n{SUBMIT}", now)
        outcomes = []
        while lines:
            end = lines.index("done")
            found = [line.partition(" ")[::2] for line in lines[:end]]
            outcomes.append(
                Outcome(
                    dict(text.split("=", 1) for kind, text in found if kind == "set"),
                    tuple(text for kind, text in found if kind == "said"),
                    tuple(text for kind, text in found if kind == "logged"),
                )
            )
            lines = lines[end + 1 :]
        return outcomes

    def submit(self, plan: str | bytes | None = PLAN, now: int = NOW, **job: Any) -> Outcome:
        (outcome,) = self.submit_all([job], plan, now)
        return outcome

    def write(self, plan: str | bytes | None) -> None:
        if plan is None:
            self.plan.unlink(missing_ok=True)
        else:
            self.plan.write_bytes(plan.encode() if isinstance(plan, str) else plan)


@pytest.fixture(params=INTERPRETERS)
def lua(request: pytest.FixtureRequest, tmp_path: Path) -> Lua:
    return Lua(require_component(request.param, INSTALL), tmp_path)


LEFT_ALONE = Outcome({}, (), ())


def begin(outcome: Outcome) -> int | None:
    """Seconds from now on."""
    found = outcome.set.get("begin_time")
    return None if found is None else int(found) - NOW


def words_of(comment: str) -> dict[str, str]:
    return dict(part.split("=") for part in comment.partition("cleanhours:v1;")[2].split(";"))


# -- who opts in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "job",
    [
        {"comment": "cleanhours"},
        {"comment": "my run cleanhours"},
        {"comment": "first line\ncleanhours"},
        {"comment": "cleanhours:max-delay=12h"},
        {"partition": "green"},
        {"partition": "green,leaf"},
        {"qos": "green"},
        {"default_qos": "green"},
        {"account": "climate"},
        {"default_account": "climate"},
    ],
    ids=str,
)
def test_a_job_opts_in_by_comment_partition_qos_or_account(lua: Lua, job: dict[str, Any]) -> None:
    assert 200 == begin(lua.submit(**job))


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"comment": "cleanhoursome"},
        {"comment": "not,cleanhours"},
        {"partition": "de"},
        {"partition": "green,fr"},
        {"qos": "normal", "default_qos": "green"},
        {"account": "physics", "default_account": "climate"},
    ],
    ids=str,
)
def test_a_job_that_did_not_opt_in_is_left_alone(lua: Lua, job: dict[str, Any]) -> None:
    assert LEFT_ALONE == lua.submit(**job)


@pytest.mark.parametrize(
    "comment",
    [
        "cleanhours:off",
        "cleanhours cleanhours:off",
        f"cleanhours:v1;submitted={NOW};home=de;max-delay=6h",
        f"mine cleanhours cleanhours:v1;submitted={NOW}",
        "glued,cleanhours:v1;submitted=1",
        "cleanhours:",
        "cleanhours:deadline=+8h",
        "cleanhours:max-delay=6",
        "cleanhours:max-delay=1h30m",
        "cleanhours:max-delay=-6h",
        "cleanhours:max-delay=6h;interruptible",
        "cleanhours:max-delay=999d",
    ],
)
def test_a_word_that_is_not_for_here_leaves_the_job_alone_even_in_an_opted_in_partition(
    lua: Lua, comment: str
) -> None:
    assert LEFT_ALONE == lua.submit(comment=comment, partition="green")


def test_a_partition_or_qos_may_have_a_delay_of_its_own_and_the_shortest_holds(lua: Lua) -> None:
    plan = PLAN.replace("optin partition green", f"optin partition green {7 * HOUR}").replace(
        "optin qos green", f"optin qos green {6 * HOUR}"
    )

    found = lua.submit_all(
        [
            {"partition": "green"},
            {"partition": "leaf"},
            {"partition": "leaf,green"},
            {"qos": "green", "partition": "green"},
            {"comment": "cleanhours", "partition": "green"},
            {"comment": "cleanhours:max-delay=1d", "partition": "green"},
        ],
        plan,
    )

    assert [100, 200, 100, 100, 100, 200] == [begin(one) for one in found]
    assert ["25200s", "43200s", "25200s", "21600s", "25200s", "86400s"] == [
        words_of(one.set["comment"])["max-delay"] for one in found
    ]


# -- what is never touched --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "job",
    [
        {"without": ["script"]},
        {"priority": 0},
        {"begin_time": NOW + 5},
        {"begin_time": NOW - 5},
        {"reservation": "maintenance"},
        {"cron_job": True},
        {"het_job_offset": 0},
        {"het_job_offset": 1},
        {"time_limit": UNSET},
        {"time_limit": UNLIMITED},
        {"time_limit": 0},
        {"without": ["time_limit"]},
        {"script": "#!/bin/sh\n#SBATCH --deadline=now+8hours\n"},
        {"script": "#!/bin/sh\n#SBATCH -N1 --dead now+8hours\n"},
        {"script": "#!/bin/sh\n#CARBON deadline=+8h\n"},
        {"environment": {"CLEANHOURS_JOB": "max-delay=1h"}},
        {"comment": "cleanhours " + "x" * 1000},
    ],
    ids=lambda job: str(job)[:60],
)
def test_some_jobs_are_never_touched(lua: Lua, job: dict[str, Any]) -> None:
    assert LEFT_ALONE == lua.submit(**({"comment": "cleanhours"} | job))


def test_what_looks_like_a_deadline_and_is_none_does_not_keep_a_job_out(lua: Lua) -> None:
    script = "#!/bin/sh\n#SBATCH --dependency=singleton --delay-boot=1\ntrain --deadline=3 # a deadline\n"

    assert 200 == begin(lua.submit(comment="cleanhours", script=script))


def test_a_job_that_depends_on_another_is_only_handed_to_the_controller(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours", dependency="afterok:12", partition="de,fr")

    assert ["comment"] == list(found.set)
    assert "cleanhours: is planned when what it depends on has ended" in found.said[0]


def test_a_job_array_is_one_job(lua: Lua) -> None:
    assert 200 == begin(lua.submit(comment="cleanhours", array_inx="0-9%2"))


# -- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "minutes", "expected"),
    [
        ("cleanhours", 1, 200),
        ("cleanhours", 60, 200),
        ("cleanhours", 61, 300),
        ("cleanhours", 240, 300),
        ("cleanhours", 241, None),
        ("cleanhours:max-delay=12h", 60, 200),
        ("cleanhours:max-delay=719m", 60, 100),
        ("cleanhours:max-delay=6h", 60, 100),
        ("cleanhours:max-delay=359m", 60, None),
        ("cleanhours:max-delay=2d", 60, 200),
        ("cleanhours:max-delay=6h", 61, None),
        ("cleanhours:max-delay=0h", 60, None),
    ],
)
def test_the_row_is_of_the_shortest_duration_and_the_longest_delay_that_fit(
    lua: Lua, comment: str, minutes: int, expected: int | None
) -> None:
    assert expected == begin(lua.submit(comment=comment, time_limit=minutes))


def test_without_a_delay_of_its_own_or_of_the_site_a_job_is_left_alone(lua: Lua) -> None:
    plan = PLAN.replace(f"delay {12 * HOUR}\n", "")

    assert LEFT_ALONE == lua.submit(plan, comment="cleanhours")
    assert 200 == begin(lua.submit(plan, comment="cleanhours:max-delay=1d"))


def test_a_start_that_is_past_delays_nothing_and_is_planned_on(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours", now=NOW + 200)

    assert ["comment"] == list(found.set)
    assert ("cleanhours: need not wait in de",) == found.said


def test_no_job_waits_longer_than_it_may_whatever_the_plan_says(lua: Lua) -> None:
    plan = PLAN.replace(str(NOW + 200), str(NOW + 12 * HOUR + 1)).replace(str(NOW + 100), str(NOW + 6 * HOUR))

    assert 6 * HOUR == begin(lua.submit(plan, comment="cleanhours"))


def test_rows_are_chosen_as_an_oracle_chooses_them(lua: Lua) -> None:
    dice = random.Random(22)
    rows = [
        (dice.randrange(1, 9) * 900, dice.randrange(1, 9) * 3600, NOW + dice.randrange(1, 9 * 3600), dice.choice(("de", "fr")))
        for _ in range(300)
    ]  # fmt: skip
    plan = PLAN.partition("start ")[0] + "".join(f"start {d} {w} {s} {place}\n" for d, w, s, place in rows)
    jobs = [
        (dice.randrange(1, 150), dice.randrange(1, 600), dice.choice(("de", "fr", "de,fr")))
        for _ in range(400)
    ]

    found = lua.submit_all(
        [
            {"comment": f"cleanhours:max-delay={delay}m", "time_limit": limit, "partition": places}
            for limit, delay, places in jobs
        ],
        plan,
    )

    for (limit, delay, places), outcome in zip(jobs, found, strict=True):
        fitting = [
            row
            for row in rows
            if row[0] >= limit * 60
            and row[1] <= delay * 60
            and row[2] <= NOW + delay * 60
            and row[3] in places
        ]
        best = min(fitting, key=lambda row: (row[0], -row[1]), default=None)

        assert (None if best is None else best[2] - NOW) == begin(outcome)


# -- where ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "home", "expected"),
    [
        ({}, "de", 200),
        ({"partition": "any"}, "de", 200),
        ({"partition": "fr"}, "fr", 400),
        ({"features": "seine"}, "fr", 400),
        ({"features": "bigmem&seine"}, "fr", 400),
        ({"features": "[seine|rhine]"}, "fr", 400),
        ({"partition": "de", "features": "seine"}, "de", 200),
        ({"clusters": "west"}, "fr", 400),
        ({"clusters": "east"}, "de", 200),
    ],
    ids=str,
)
def test_a_job_is_planned_where_it_would_run(lua: Lua, job: dict[str, Any], home: str, expected: int) -> None:
    found = lua.submit(comment="cleanhours", **job)

    assert (expected, home) == (begin(found), words_of(found.set["comment"])["home"])
    assert {"begin_time", "comment"} == set(found.set)


def test_the_usual_partition_tells_where_a_job_is_that_names_none(lua: Lua) -> None:
    found = lua.submit(PLAN.replace("partition fr", "partition any"), comment="cleanhours")

    assert 400 == begin(found)


def test_nobody_knows_where_a_job_is_when_the_plan_has_no_home(lua: Lua) -> None:
    plan = PLAN.replace("home de\n", "")

    assert LEFT_ALONE == lua.submit(plan, comment="cleanhours")
    assert 200 == begin(lua.submit(plan, comment="cleanhours", partition="de"))


def test_of_several_partitions_the_best_place_comes_first_and_none_is_dropped(lua: Lua) -> None:
    plan = PLAN.replace(
        f"start {HOUR} {12 * HOUR} {NOW + 200} de", f"start {HOUR} {11 * HOUR} {NOW + 200} de"
    )

    found = lua.submit(plan, comment="cleanhours", partition="any,de,fr", features="bigmem")

    assert ("fr,any,de", 400) == (found.set["partition"], begin(found))
    assert {
        "submitted": str(NOW),
        "home": "de",
        "max-delay": "43200s",
        "locations": "de,fr",
        "partition": "any,de,fr",
        "features": "bigmem",
    } == words_of(found.set["comment"])


def test_of_rows_that_are_alike_the_first_of_the_file_is_taken(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours", partition="fr,de")

    assert ("de,fr", 200) == (found.set["partition"], begin(found))


def test_a_partition_that_the_user_may_not_use_is_no_place_for_the_job(lua: Lua) -> None:
    plan = PLAN.replace("partition fr", "partition closed")

    found = lua.submit(plan, comment="cleanhours", partition="closed,de")

    assert (200, {"begin_time", "comment"}) == (begin(found), set(found.set))


# -- what is written --------------------------------------------------------------------------------------------------


def test_the_tag_stands_behind_the_owners_text_and_the_controller_reads_it(lua: Lua) -> None:
    comment = lua.submit(comment="α run; 7 cleanhours", partition="de,fr").set["comment"]

    own, fields = split_comment(comment)
    assert f"α run; 7 cleanhours cleanhours:v1;submitted={NOW};home=de;max-delay=43200s;" in comment
    assert "α run; 7 cleanhours" == own
    assert fields is not None
    tag = read(fields, {})
    assert (NOW, "de", "de,fr") == (tag.submitted, tag.home, tag.partition)
    assert {"max-delay": "43200s", "locations": "de,fr"} == tag.words


def test_a_job_without_a_comment_gets_the_tag_alone(lua: Lua) -> None:
    found = lua.submit(partition="green")

    assert f"cleanhours:v1;submitted={NOW};home=de;max-delay=43200s" == found.set["comment"]


def test_a_name_is_encoded_where_it_could_be_misread(lua: Lua) -> None:
    plan = PLAN.replace("home de", "home a;b=ö").replace(f"{NOW + 200} de", f"{NOW + 200} a;b=ö")

    found = lua.submit(plan, comment="cleanhours")

    assert "home=a%3Bb%3D%C3%B6;" in found.set["comment"]


def test_the_longest_comment_that_slurm_keeps_is_written(lua: Lua) -> None:
    tag = len(f" cleanhours:v1;submitted={NOW};home=de;max-delay=43200s")

    assert 1024 == len(lua.submit(qos="green", comment="x" * (1024 - tag)).set["comment"])
    assert LEFT_ALONE == lua.submit(qos="green", comment="x" * (1025 - tag))


def test_who_submits_is_told_when_where_and_how_not_to(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours:max-delay=6h")

    assert (
        "cleanhours: starts 2026-11-21T11:12+01:00 in de, 34 % less carbon; at once: --comment cleanhours:off",
    ) == found.said


def test_a_saving_that_nobody_wrote_is_not_mentioned(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours")

    assert (
        "cleanhours: starts 2026-11-21T11:14+01:00 in de; at once: --comment cleanhours:off",
    ) == found.said


# -- plans that are none ----------------------------------------------------------------------------------------------

BROKEN = {
    "empty": "",
    "garbage": bytes(random.Random(7).randbytes(5_000)),
    "zeros": b"\0" * 5_000,
    "another version": PLAN.replace("plan 1", "plan 2"),
    "a later minor": PLAN.replace("plan 1", "plan 1.1"),
    "line ends of another system": PLAN.replace("\n", "\r\n"),
    "half a line": PLAN[:-3],
    "half a record": PLAN + "start 3600\n",
    "words for numbers": PLAN + "start one 6 7 de\n",
    "a negative start": PLAN + "start 3600 21600 -5 de\n",
    "two spaces": PLAN + "home  de\n",
    "no end": PLAN.replace(f"until {NOW + HOUR}\n", ""),
    "no beginning": PLAN.replace(f"written {NOW - 60}\n", ""),
    "huge": PLAN + "# padding\n" * 30_000,
    "endless": PLAN + "x" * 300_000,
}


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


def test_the_largest_plan_costs_a_submission_little(lua: Lua) -> None:
    rows = "".join(f"start {900 * n} {6 * HOUR} {NOW + n} de\n" for n in range(1, 7_000))
    plan = (PLAN + rows)[: 256 * 1024].rpartition("\n")[0] + "\n"
    lua.write(plan)
    body = """
local function cost(times)
  local began = os.clock()
  for _ = 1, times do slurm_job_submit(job_of({comment = "cleanhours"}), parts, 1000) end
  return (os.clock() - began) / times * 1000
end
print(string.format("%.3f", cost(1)), string.format("%.3f", cost(100)))
"""

    first_ms, later_ms = map(float, lua.run("job_submit.lua", body)[-1].split())

    assert first_ms < 500
    assert later_ms < 20


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


# -- advice at the command line ---------------------------------------------------------------------------------------

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
