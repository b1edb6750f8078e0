"""The console script `cleanhours-sbatch`: runs the plugins' command `sbatch`, with nothing imported before it is needed.

Somebody waits for it, as for sbatch itself, and most jobs of a site ask for no plan.
"""

from __future__ import annotations

import gc
import os
import sys
from functools import cached_property

from cleanhours.adapters.plugin_index import known_targets, load_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from typing import Any, NoReturn

    from cleanhours.adapters.plugin_index import Targets
    from cleanhours.apps.wiring import Wiring
    from cleanhours.domain.plans import Plan
    from cleanhours.domain.requests import JobRequest
    from cleanhours.ports import Clock

PATIENCE_S = 1.5
"""For all providers together: with what is imported and planned, a cold cache adds 2 s at most."""
_THREADS = "OPENBLAS_NUM_THREADS"


def main() -> None:
    """The console script; also under the name `sbatch`, by a link."""
    gc.disable()  # it lives for a moment, and most of what it makes are modules
    targets = known_targets(os.environ)
    target = targets.get("cleanhours.commands", {}).get("sbatch")
    if target is None:
        sys.exit("cleanhours-sbatch: no installed plugin brings the command sbatch")
    context: Any = QuickWorld(targets)
    try:
        code: int = load_target(target).run(sys.argv[1:], context)
    except KeyboardInterrupt:
        code = 130
    leave(code)


class QuickWorld:
    """A `Context` that is built when something is first asked of it: the time costs nothing, numpy comes with planning."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    @cached_property
    def clock(self) -> Clock:
        from cleanhours.adapters.clock import SystemClock

        return SystemClock()

    def remembered(self, what: str, work: Callable[[], bool | None]) -> bool | None:
        from cleanhours import __version__
        from cleanhours.adapters.keeping import keep, kept_file, read_kept
        from cleanhours.adapters.locating import identity_of, settings_file, state_of

        file = settings_file(os.environ)
        identity = f"{what} {identity_of(__version__, file, os.environ)}"
        path, key = kept_file(os.environ, "remembered", identity), f"{identity} {state_of(file)}"
        kept = read_kept(path, key)
        if isinstance(kept, bool):
            return kept
        found = work()
        if found is not None:
            keep(path, key, found)
        return found

    def plan(
        self, request: JobRequest, *, home: str | None = None, queue_margin: timedelta | None = None
    ) -> Plan:
        import_numpy_alone()
        return self._wiring.plan(request, home=home, queue_margin=queue_margin)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._wiring, name)

    @cached_property
    def _wiring(self) -> Wiring:
        """The settings in force as they were compiled; providers are waited for a moment only."""
        import logging

        from cleanhours import __version__
        from cleanhours.adapters.compiled import compiled_settings
        from cleanhours.adapters.discovery import Plugins
        from cleanhours.adapters.forecast_patience import Patience
        from cleanhours.apps.wiring import Wiring

        # a provider's trouble is told in the plan; what is on standard error is read as sbatch's
        logging.getLogger().addHandler(logging.NullHandler())
        return Wiring(
            lambda: compiled_settings(__version__),
            self.clock,
            plugins=Plugins(known=self._targets),
            patience=Patience(PATIENCE_S),
        )


def import_numpy_alone() -> None:
    """Imports numpy without OpenBLAS's threads: one for each core is more than a login node may grant.

    The environment is put back: jobs inherit it.
    """
    if "numpy" in sys.modules:
        return
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        import numpy as np  # noqa: F401
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before


def leave(code: int) -> NoReturn:
    """Ends the process at once: a thread that still asks a provider is not waited for, nor is what Python tidies up."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # nobody reads it any more, or ever did
            continue
    os._exit(code)
