"""The cluster `local`: a queue of real processes on this machine.

Nothing heavy is imported here: supervisors and the watchdog, which pass through this room, start in some 50 ms. That is
why their modules do without the domain (numpy), pathlib, dataclasses and typing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cleanhours.ports import Context
    from cleanhours_plugins.clusters.local.cluster import LocalCluster


def build(settings: Mapping[str, Any], context: Context) -> LocalCluster:
    """The cluster of one `[clusters.NAME]` table. Raises ConfigurationError naming every fault, TemporaryError."""
    from cleanhours_plugins.clusters.local.cluster import LocalCluster
    from cleanhours_plugins.clusters.local.settings import read_settings

    return LocalCluster(read_settings(settings, context.rules.margins, list(context.locations)), context)
