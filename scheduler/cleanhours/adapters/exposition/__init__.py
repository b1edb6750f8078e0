"""Exposition: what Prometheus scrapes, and how. The only door to prometheus-client."""

from __future__ import annotations

from cleanhours.adapters.exposition.collecting import Exposition
from cleanhours.adapters.exposition.families import FAMILIES, PREFIX, Family
from cleanhours.adapters.exposition.serving import MetricsServer
from cleanhours.adapters.exposition.tallying import PrometheusTelemetry

__all__ = ["FAMILIES", "PREFIX", "Exposition", "Family", "MetricsServer", "PrometheusTelemetry"]
