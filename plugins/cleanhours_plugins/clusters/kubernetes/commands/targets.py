"""Targets: which cluster a command means, and what is known of it: its options, else its settings, else the defaults."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cleanhours.domain.deadlines import Margins
from cleanhours.domain.errors import CleanhoursError, ConfigurationError
from cleanhours.ports import Context
from cleanhours_plugins.clusters.kubernetes.cluster import KubernetesCluster
from cleanhours_plugins.clusters.kubernetes.commands.options import Asked
from cleanhours_plugins.clusters.kubernetes.dues import MARGINS
from cleanhours_plugins.clusters.kubernetes.kinds import KINDS, Kind
from cleanhours_plugins.clusters.kubernetes.settings import EVERYWHERE

log = logging.getLogger(__name__)

_USUAL_NAME: Final = "kubernetes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A cluster to act on. `defaults` are words by namespace, `*` those of every other."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    margins: Margins = MARGINS
    defaults: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lease: str = "cleanhours"
    lease_namespace: str | None = None

    def usual_words(self, namespace: str) -> Mapping[str, str]:
        """What is usual in a namespace."""
        return self.defaults.get(namespace, self.defaults.get(EVERYWHERE, {}))


def target_of(world: Context, asked: Asked) -> Target:
    """What is meant. Settings that are missing or broken do not matter, unless one of their clusters is asked for.

    Raises ConfigurationError for a cluster asked for that is not configured, or not of this kind.
    """
    try:
        told = _configured(world, asked.cluster or _USUAL_NAME)
    except (CleanhoursError, OSError) as fault:
        if asked.cluster is not None:
            raise
        log.info("no settings of a cluster %r, going by the defaults: %s", _USUAL_NAME, fault)
        told = Target()
    if asked.kubeconfig is not None or asked.context is not None:
        told = replace(told, kubeconfig=asked.kubeconfig, context=asked.context)
    return replace(told, namespaces=asked.namespaces or told.namespaces)


def _configured(world: Context, name: str) -> Target:
    found = world.cluster(name)
    if not isinstance(found, KubernetesCluster):
        raise ConfigurationError(f"cluster {name!r} is not of type kubernetes")
    settings = found.settings
    return Target(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespaces=settings.namespaces,
        kinds=settings.kinds,
        margins=Margins(world.rules.margins.safety, settings.queue_margin),
        defaults=settings.defaults,
        lease=settings.lease,
        lease_namespace=settings.lease_namespace,
    )
