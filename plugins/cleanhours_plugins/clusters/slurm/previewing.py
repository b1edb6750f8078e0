"""Previewing: what a submission says before it is made, so that one which asks for nothing is sbatch's alone."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanhours_plugins.clusters.slurm.arguments import Said, read_arguments, read_environment, read_script

if TYPE_CHECKING:
    from cleanhours.ports import Context

_STANDARD_INPUT: Final = frozenset({"", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_MOST_BYTES: Final = 4 * 2**20
"""No script that Slurm takes is longer (MaxScriptSize)."""


@dataclass(frozen=True, slots=True)
class Preview:
    """`words` are those of the script's lines, None where it was not read here: sbatch alone knows it then, and Slurm when it
    has it. `stdin` is a descriptor with what standard input had, where the script came from it. A script that comes from a
    pipe of another name can be read `once`.
    """

    said: Said
    words: str | None
    stdin: int | None = None
    once: bool = False

    def rewound(self) -> int | None:
        """The descriptor, from its beginning."""
        if self.stdin is not None:
            os.lseek(self.stdin, 0, os.SEEK_SET)
        return self.stdin


def preview(arguments: Sequence[str]) -> Preview:
    """Reads the arguments and the script, from standard input too, which is kept for sbatch."""
    said = read_arguments(arguments) | read_environment(os.environ)
    if "wrap" in said.options or said.asks:
        return Preview(said, "")
    descriptor: int | None = None
    try:
        if (said.script or "") in _STANDARD_INPUT:
            if os.isatty(0):
                return Preview(said, None)
            descriptor = os.memfd_create("script")
            with open(descriptor, "wb", closefd=False) as kept:
                kept.write(sys.stdin.buffer.read())
            text = os.pread(descriptor, _MOST_BYTES, 0)
        elif said.moves:
            return Preview(said, None)
        elif not stat.S_ISREG(os.stat(said.script or "").st_mode):  # noqa: PTH116
            return Preview(said, None, once=True)
        else:
            with open(said.script or "", "rb") as file:  # noqa: PTH123 - sbatch's word as it is
                text = file.read(_MOST_BYTES)
    except (OSError, ValueError, AttributeError):
        return Preview(said, None, descriptor)
    script, words = read_script(text.decode(errors="surrogateescape"))
    # of a script sbatch heeds `--hold` and `--parsable`, and prints in spite of `--quiet`
    return Preview(said | Said(script.options - {"quiet"}), words, descriptor)


def site_asks(context: Context, cluster: str) -> bool:
    """Whether jobs that say nothing are asked to wait here. Wrong settings ask for nothing: they are told to who asks."""
    remembered = getattr(context, "remembered", None)  # ports.Remembering; nobody waits for that import
    if remembered is None:
        return bool(_settings_ask(context, cluster))
    return bool(remembered(f"slurm asks {cluster}", lambda: _settings_ask(context, cluster)))


def _settings_ask(context: Context, cluster: str) -> bool | None:
    """None where the settings cannot be read, which may pass: that is not remembered."""
    from cleanhours.domain.errors import CleanhoursError, NotConfigured
    from cleanhours_plugins.clusters.tables import TIMES

    try:
        if not TIMES.isdisjoint(context.default_words):
            return True
        settings = getattr(context.cluster(cluster), "settings", None)
    except NotConfigured:
        return False
    except (CleanhoursError, OSError):
        return None
    tables = (*getattr(settings, "by_partition", {}).values(), *getattr(settings, "by_qos", {}).values())
    return any(not TIMES.isdisjoint(words) for words in tables)
