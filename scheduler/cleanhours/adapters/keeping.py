"""Keeping what was worked out once: private JSON files in the user's cache, each with the key that it holds for.

The sbatch wrapper reads them before anything else, so this room imports next to nothing (pathlib and typing alone would
cost it 8 ms). A file that cannot be read, or that another user could have written, is none: it is worked out again. A
disk that cannot be written costs time, never an answer.
"""

from __future__ import annotations

import json
import os
import stat
from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NEWEST = 32
"""So many files are kept; each settings file and environment has its own."""


def xdg_folder(environment: Mapping[str, str], variable: str, below_home: str) -> str:
    """A folder of the XDG base directory specification; relative values are ignored, as it says."""
    named = environment.get(variable, "")
    if os.path.isabs(named):
        return named
    return os.path.join(os.path.expanduser(environment.get("HOME") or "~"), below_home)


def kept_file(environment: Mapping[str, str], what: str, identity: str) -> str:
    """The file for `what` of this identity, whether it is there or not."""
    folder = os.path.join(xdg_folder(environment, "XDG_CACHE_HOME", ".cache"), "cleanhours")
    return os.path.join(folder, f"{what}-{crc32(identity.encode('utf-8', 'surrogatepass')):08x}.json")


def read_kept(path: str, key: str) -> Any:
    """What `keep` wrote there for this very key; None where there is nothing of use."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, encoding="utf-8") as file:
            if not _ours_alone(os.fstat(handle)):
                return None
            kept = json.load(file)
        return kept["value"] if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def keep(path: str, key: str, value: Any) -> None:
    """Writes the file, if its folder is ours or can be made where all is ours; else nothing."""
    text = json.dumps({"key": key, "value": value}, separators=(",", ":"))
    folder = os.path.dirname(path)
    try:
        # root with the home of another must leave nothing there; who has no home, nothing where he happens to be
        if not os.path.isabs(folder) or not _ours(_nearest(folder)):
            return
        os.makedirs(folder, mode=0o700, exist_ok=True)
        replace_private(path, text)
        _drop_oldest(folder)
    except OSError:
        return


def replace_private(path: str, text: str) -> None:
    """Writes a private file (0600) in one step. Raises OSError."""
    import tempfile

    folder, name = os.path.split(path)
    handle, new = tempfile.mkstemp(prefix=name, suffix=".new", dir=folder)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, path)
    except OSError:
        _remove(new)
        raise


def _ours_alone(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _ours(folder: str) -> bool:
    return os.stat(folder).st_uid == os.geteuid()


def _nearest(folder: str) -> str:
    """The folder, or the nearest above it that is there."""
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder


def _drop_oldest(folder: str) -> None:
    with os.scandir(folder) as found:
        ages = sorted((one.stat(follow_symlinks=False).st_mtime_ns, one.path) for one in found)
    for _, path in ages[:-NEWEST]:
        _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
