"""A supervisor that is killed at a chosen step: `dying.py STEP before|after|waiting FOLDER UID CLAIM CLOCK`.

`waiting` lets it live: after that step it waits for a file `proceed` in the folder.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cleanhours_plugins.clusters.local.listening import adopt_orphans
from cleanhours_plugins.clusters.local.supervisor import Supervisor
from cleanhours_plugins.clusters.local.timekeeping import SharedClock


def killed_at(step: str, when: str) -> type[Supervisor]:
    """A supervisor whose method `step` ends, or begins, with SIGKILL."""
    original = getattr(Supervisor, step)

    def die(self: Supervisor, *arguments: Any) -> Any:
        if when == "waiting":
            answer = original(self, *arguments)
            while not Path(self.folder, "proceed").exists():
                time.sleep(0.01)
            return answer
        if when == "after":
            original(self, *arguments)
        return os.kill(os.getpid(), signal.SIGKILL)

    return type("Dying", (Supervisor,), {step: die})


if __name__ == "__main__":
    step, when, folder, uid, claim, clock = sys.argv[1:]
    adopt_orphans()
    killed_at(step, when)(folder, uid, claim, SharedClock.parse(clock)).run()
