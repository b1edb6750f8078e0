"""`cleanhours sbatch` and `cleanhours-sbatch`: sbatch, with the job in its clean hour."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from cleanhours.ports import Context

SUMMARY: Final = "Submit to Slurm, to start in a clean hour."
_OPTION: Final = "--carbon"
_REAL: Final = "CLEANHOURS_SBATCH"
WORDS: Final = "CLEANHOURS_JOB"
"""The environment variable with a submission's words."""
CLUSTER: Final = "CLEANHOURS_CLUSTER"
USUAL_CLUSTER: Final = "slurm"
_USAGE: Final = """\
usage: cleanhours sbatch [--carbon WORDS] SBATCH'S OWN ARGUMENTS

WORDS, such as 'deadline=+12h interruptible checkpoint=5m locations=de,fr', may also stand in CLEANHOURS_JOB or in the script's
lines #CARBON; option before environment before lines before what is usual at the site. Everything else is sbatch's.
"""


def run(argv: Sequence[str], context: Context) -> int:
    """Submits; returns sbatch's own exit status, 2 where it was asked wrongly and nothing was submitted."""
    arguments, words = list(argv), ""
    if arguments and arguments[0] == _OPTION:
        if len(arguments) < 2:
            sys.stderr.write(f"cleanhours: {_OPTION} needs words\n{_USAGE}")
            return 2
        words, arguments = arguments[1], arguments[2:]
    elif arguments and arguments[0].startswith(f"{_OPTION}="):
        words, arguments = arguments[0].removeprefix(f"{_OPTION}="), arguments[1:]
    elif arguments[:1] == ["--help"]:
        sys.stdout.write(f"{_USAGE}\n")
    real = real_sbatch(os.environ.get(_REAL), os.environ.get("PATH", os.defpath))
    if real is None:
        sys.stderr.write("cleanhours: there is no sbatch in PATH (CLEANHOURS_SBATCH names one)\n")
        return 2
    from cleanhours_plugins.clusters.slurm.previewing import preview, site_asks

    seen = preview(arguments)
    asked = words or os.environ.get(WORDS) or seen.words or seen.words is None
    if seen.said.asks or not (asked or site_asks(context, os.environ.get(CLUSTER, USUAL_CLUSTER))):
        _become(real, arguments, seen.rewound())
    from cleanhours_plugins.clusters.slurm.trying import Trial

    trial = Trial.begin(real, arguments, seen.rewound())
    from cleanhours_plugins.clusters.slurm.submitting import submit

    if trial.refused():
        _become(real, arguments, seen.rewound())
    return submit(real, arguments, words, seen, context)


def _become(real: str, arguments: Sequence[str], stdin: int | None) -> NoReturn:
    """The real sbatch instead of this process: nothing of ours is between it and its user."""
    if stdin is not None:
        os.dup2(stdin, 0)
    sys.stdout.flush()
    os.execv(real, [real, *arguments])  # noqa: S606 - it is what was asked for


def real_sbatch(named: str | None, path: str) -> str | None:
    """The sbatch of CLEANHOURS_SBATCH, else the next one in PATH that is not this program."""
    if named:
        return shutil.which(named)
    ours = {Path(sys.argv[0]).resolve()}
    for folder in path.split(os.pathsep):
        found = shutil.which("sbatch", path=folder) if folder else None
        if found is not None and Path(found).resolve() not in ours and not _is_ours(Path(found)):
            return found
    return None


def _is_ours(program: Path) -> bool:
    """Whether it is another copy of this program: two of them in PATH would call each other for ever."""
    try:
        with program.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return False
    return start.startswith(b"#!") and b"cleanhours" in start
