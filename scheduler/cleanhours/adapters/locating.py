"""Locating the settings: which file speaks, and whether what was worked out from it still holds.

The sbatch wrapper asks before anything else, so this room imports next to nothing.
"""

from __future__ import annotations

import json
import os
import sys

from cleanhours.adapters.keeping import xdg_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME = "cleanhours.toml"
SYSTEM_FOLDER = "/etc/cleanhours"
PREFIX = "CLEANHOURS_"
SEPARATOR = "__"
"""Only variables with it are settings: CLEANHOURS_JOB and what Kubernetes injects for services are not."""

_PLACES = ("HOME", "XDG_STATE_HOME")


def settings_file(
    environment: Mapping[str, str], folder: str = "", system: str = SYSTEM_FOLDER
) -> str | None:
    """The first of folder, user's and system's. One file, never a mixture."""
    users = os.path.join(xdg_folder(environment, "XDG_CONFIG_HOME", ".config"), "cleanhours")
    files = (os.path.join(place, FILE_NAME) for place in (folder, users, system))
    return next((file for file in files if os.path.isfile(file)), None)


def identity_of(release: str, file: str | None, environment: Mapping[str, str]) -> str:
    """What settings are asked for: the program, the file that speaks, and what the environment says."""
    says = {
        name: text
        for name, text in sorted(environment.items())
        if name in _PLACES or (name.startswith(PREFIX) and SEPARATOR in name)
    }
    spoken = None if file is None else [file, os.path.abspath(file)]
    return json.dumps([release, sys.version, spoken, says])


def state_of(file: str | None) -> str:
    """What changes with the file, and with our own source where that is worked on."""
    here = os.stat(os.path.dirname(__file__)).st_mtime_ns
    try:
        found = None if file is None else os.stat(file)
    except OSError:  # taken away just now
        found = None
    if found is None:
        return f"{here}"
    return f"{here} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino} {found.st_size}"
