"""`cleanhours sbatch` and `cleanhours-sbatch`: sbatch, with the job in its clean hour."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cleanhours.ports import Context

SUMMARY: Final = "Submit to Slurm, to start in a clean hour."
_OPTION: Final = "--carbon"
_REAL: Final = "CLEANHOURS_SBATCH"
WORDS: Final = "CLEANHOURS_JOB"
"""The environment variable with a submission's words."""
CLUSTER: Final = "CLEANHOURS_CLUSTER"
USUAL_CLUSTER: Final = "slurm"
_NAME: Final = b"cleanhours"
_ENTRY: Final = b"cleanhours.apps.sbatch"
"""Of a script that was named on purpose, only this tells that it is another copy of ours."""
_MARK: Final = "cleanhours-sbatch"
_USAGE: Final = """\
usage: cleanhours sbatch [--carbon WORDS] SBATCH'S OWN ARGUMENTS

WORDS, such as 'deadline=+12h interruptible checkpoint=5m locations=de,fr', may also stand in CLEANHOURS_JOB or in the script's
lines #CARBON; option before environment before lines before what is usual at the site. Everything else is sbatch's.
"""


def run(argv: Sequence[str], context: Context) -> int:
    """Submits; returns sbatch's own exit status, 2 where it was asked wrongly and nothing was submitted."""
    _with_standard_files()
    if (
        logs := sys.modules.get("logging")
    ) is not None:  # by `cleanhours sbatch`: what is said here is read as sbatch's
        logs.disable(logs.CRITICAL)
    if list(argv) == [_OPTION]:
        _tell(f"{_OPTION} needs words\n{_USAGE}")
        return 2
    words, arguments = _parted(argv)
    if arguments[:1] == ["--help"] and arguments == list(argv):
        sys.stdout.write(f"{_USAGE}\n")
    real = _real()
    if real is None:
        return 2
    from cleanhours_plugins.clusters.slurm.previewing import preview, site_asks

    seen = preview(arguments)
    asked = words or os.environ.get(WORDS) or seen.words
    if asked and seen.said.anothers:
        _tell("no plan is made for a job of another user (--uid, --gid)")
    alone, unknown = seen.said.asks or seen.said.anothers, seen.words is None
    if alone or not (asked or unknown or site_asks(context, os.environ.get(CLUSTER, USUAL_CLUSTER))):
        _become(real, arguments, seen.rewound())
    from cleanhours_plugins.clusters.slurm.trying import Trial, Tried

    trial = None if seen.once else Trial.begin(real, arguments, seen.rewound())
    from cleanhours_plugins.clusters.slurm.interrupting import Patience
    from cleanhours_plugins.clusters.slurm.submitting import submit, warm_up

    warm_up("cleanhours.domain.words")
    patience = Patience(os.environ)
    tried = Tried() if trial is None else trial.answer(patience)
    return submit(real, arguments, words, seen, context, patience, tried)


def _parted(argv: Sequence[str]) -> tuple[str, list[str]]:
    """The words of our one option, which comes first, and what is sbatch's."""
    first, equals, words = argv[0].partition("=") if argv else ("", "", "")
    if first != _OPTION:
        return "", list(argv)
    return (words, list(argv[1:])) if equals else (argv[1], list(argv[2:]))


def _real() -> str | None:
    """The sbatch to run; None, with the reason told, where there is none."""
    if _within_ourselves():
        _tell(
            "the sbatch that was found calls cleanhours-sbatch again: name Slurm's own in CLEANHOURS_SBATCH"
        )
        return None
    named, path = os.environ.get(_REAL), os.environ.get("PATH", os.defpath)
    real = real_sbatch(named, path)
    if real is None and named:
        real = real_sbatch(None, path)
        _tell(
            f"CLEANHOURS_SBATCH={named} is no program other than this one" + (f", {real} is" if real else "")
        )
    if real is None:
        _tell("there is no sbatch in PATH (CLEANHOURS_SBATCH names one)")
    return real


def _within_ourselves() -> bool:
    """Whether this process, or one that led to it, is this program already: its mark is an open file, which no job inherits."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith(f"/memfd:{_MARK}"):  # noqa: PTH115
                return True
        except OSError:
            continue
    os.set_inheritable(os.memfd_create(_MARK), True)
    return False


def _with_standard_files() -> None:
    """A file that is opened must not become standard output, where nobody gave us one."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _tell(text: str) -> None:
    try:
        os.write(2, f"cleanhours: {text}\n".encode(errors="surrogateescape"))
    except OSError:  # nobody reads it
        return


def _become(real: str, arguments: Sequence[str], stdin: int | None) -> NoReturn:
    """The real sbatch instead of this process: nothing of ours is between it and its user."""
    if stdin is not None:
        os.dup2(stdin, 0)
    if sys.stdout is not None:
        sys.stdout.flush()
    os.execv(real, [real, *arguments])  # noqa: S606 - it is what was asked for


def real_sbatch(named: str | None, path: str) -> str | None:
    """The sbatch of CLEANHOURS_SBATCH, else the next one in PATH that is not this program."""
    folders = [folder for folder in path.split(os.pathsep) if folder]
    ours = os.path.realpath(sys.argv[0])
    found = _programs(named or "sbatch", [""] if named and "/" in named else folders)
    others = (one for one in found if os.path.realpath(one) != ours)
    return next((one for one in others if not _says(one, _ENTRY if named else _NAME)), None)


def _programs(name: str, folders: Sequence[str]) -> Iterator[str]:
    """As `shutil.which` finds them: its import takes 4 ms, that of pathlib 3."""
    for folder in folders:
        path = f"{folder}/{name}" if folder else name
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            yield path


def _says(program: str, word: bytes) -> bool:
    """Whether it is a script that begins so: another copy of this one, or a site's that calls it, which would never end."""
    try:
        with open(program, "rb") as file:  # noqa: PTH123
            start = file.read(1024)
    except OSError:
        return False
    return start.startswith(b"#!") and word in start
