"""What job_submit.lua costs a submission inside slurmctld, in the Lua that Debian's Slurm is built with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.benchmarks.figures import Figure
from tests.conftest import require_component
from tests.unit.deploy.lua import HOUR, INSTALL, NOW, PLAN, Lua

LARGEST = 256 * 1024
"""Bytes of a plan; a larger one is not read."""
USUAL_STARTS = 384
TARGET_MS, CHANGED_MS = 20, 500
BODY = """
local function cost(times, asked)
  local began = os.clock()
  for _ = 1, times do slurm_job_submit(job_of(asked), parts, 1000) end
  return (os.clock() - began) / times * 1000
end
local first = cost(1, {comment = "cleanhours"})
print(string.format("%.4f %.4f %.4f", first, cost(200, {comment = "cleanhours"}), cost(200, {})))
"""


def run() -> Iterable[Figure]:
    """Milliseconds of processor. One line that says why where Lua is not installed."""
    try:
        program = require_component("lua5.1", INSTALL)
    except pytest.skip.Exception:
        yield Figure(f"lua: not installed ({INSTALL})", "", float("nan"), "", None)
        return
    rows = "".join(f"start {900 * n} {6 * HOUR} {NOW + n} de\n" for n in range(1, 7_000))
    usual = PLAN + "".join(rows.splitlines(keepends=True)[:USUAL_STARTS])
    largest = (PLAN + rows)[:LARGEST].rpartition("\n")[0] + "\n"
    for name, plan in ((f"a plan of {USUAL_STARTS} starts", usual), ("the largest plan", largest)):
        with tempfile.TemporaryDirectory(prefix="cleanhours-bench-") as folder:
            lua = Lua(program, Path(folder))
            lua.write(plan)
            first, opted_in, others = map(float, lua.run("job_submit.lua", BODY)[-1].split())
        yield Figure(f"{name}: a job that did not opt in", "", others, "ms", None)
        yield Figure(f"{name}: one that did", f"≤ {TARGET_MS} ms", opted_in, "ms", opted_in <= TARGET_MS)
        yield Figure(f"{name}: once after it changed", f"≤ {CHANGED_MS} ms", first, "ms", first <= CHANGED_MS)
