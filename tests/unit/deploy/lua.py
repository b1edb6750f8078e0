"""The Lua scripts of deploy/slurm in a Lua of their own, with a made-up Slurm and a plan.

That Slurm itself is as made up here is tested in tests/integration/slurm.
"""

from __future__ import annotations

import shutil
import random
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

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


LEFT_ALONE = Outcome({}, (), ())


def begin(outcome: Outcome) -> int | None:
    """Seconds from now on."""
    found = outcome.set.get("begin_time")
    return None if found is None else int(found) - NOW


def words_of(comment: str) -> dict[str, str]:
    return dict(part.split("=") for part in comment.partition("cleanhours:v1;")[2].split(";"))
