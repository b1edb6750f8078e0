"""The cluster `slurm`: jobs of a Slurm, through its own commands. Nothing is imported before it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cleanhours.ports import Context
    from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster


def build(settings: Mapping[str, Any], context: Context) -> SlurmCluster:
    """The cluster of one `[clusters.NAME]` table; asks nothing yet. Raises ConfigurationError naming all faults."""
    from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster
    from cleanhours_plugins.clusters.slurm.settings import read_settings

    return SlurmCluster(read_settings(settings, context.locations, context.default_words), context)
