"""The index of plugins: what each entry point names, kept, because a search among all distributions takes 30 ms and more.

The sbatch wrapper reads it before anything else: this room imports next to nothing either.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

from cleanhours.adapters.keeping import keep, kept_file, read_kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Targets = Mapping[str, Mapping[str, str]]
    """By group and name, what the entry point names: `module:attribute`."""


def known_targets(environment: Mapping[str, str], path: Sequence[str] | None = None) -> Targets:
    """The entry points of every group of ours on `path` (by default where Python looks), searched for when that changed."""
    looked = [str(folder) for folder in (sys.path if path is None else path)]
    file = kept_file(environment, "plugins", json.dumps([sys.prefix, *looked]))
    key = json.dumps([sys.version, [_changed(folder) for folder in looked]])
    found: Targets | None = read_kept(file, key)
    if found is None:
        from cleanhours.adapters.discovery import find_targets

        found = find_targets(path)
        keep(file, key, found)
    return found


def load_target(target: str) -> Any:
    """The object that an entry point names. Raises what its import raises."""
    module, _, attributes = target.partition("[")[0].strip().partition(":")
    found: Any = import_module(module.strip())
    for attribute in attributes.strip().split(".") if attributes.strip() else ():
        found = getattr(found, attribute)
    return found


def _changed(folder: str) -> int | None:
    """Installing and removing a distribution changes its folder; one that is not there may come."""
    try:
        return os.stat(folder or os.curdir).st_mtime_ns
    except OSError:
        return None
