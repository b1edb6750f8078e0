"""The cluster `kubernetes`: Jobs and their like on a Kubernetes API. Nothing heavy is imported before it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cleanhours.ports import Context
    from cleanhours_plugins.clusters.kubernetes.cluster import KubernetesCluster


def build(settings: Mapping[str, Any], context: Context) -> KubernetesCluster:
    """The cluster of one `[clusters.NAME]` table; connects when first asked. Raises ConfigurationError naming all faults."""
    from cleanhours_plugins.clusters.kubernetes.cluster import KubernetesCluster
    from cleanhours_plugins.clusters.kubernetes.settings import read_settings

    return KubernetesCluster(read_settings(settings, context.locations, context.default_words), context)
