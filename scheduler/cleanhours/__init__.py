"""cleanhours: jobs wait for clean hours, keep their deadlines, and are accounted afterwards.

The public words below are loaded when first used (PEP 562), so that `import cleanhours` and `cleanhours --help`
do not wait for numpy.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # a checker knows better; importing typing for it would cost the sbatch wrapper 5 ms
if TYPE_CHECKING:
    from cleanhours.apps.api import plan
    from cleanhours.domain.intensity import IntensitySeries
    from cleanhours.domain.locations import Location
    from cleanhours.domain.plans import Plan
    from cleanhours.domain.requests import JobRequest

__version__ = "0.1.0"

__all__ = ["IntensitySeries", "JobRequest", "Location", "Plan", "__version__", "plan"]

_ROOMS = {
    "IntensitySeries": "cleanhours.domain.intensity",
    "JobRequest": "cleanhours.domain.requests",
    "Location": "cleanhours.domain.locations",
    "Plan": "cleanhours.domain.plans",
    "plan": "cleanhours.apps.api",
}


if not TYPE_CHECKING:  # a checker would take any misspelt name for a word

    def __getattr__(name: str) -> object:
        """Load a public word from the room that defines it."""
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        word: object = getattr(import_module(_ROOMS[name]), name)
        globals()[name] = word
        return word


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
