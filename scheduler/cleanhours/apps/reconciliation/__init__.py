"""Reconciliation: a cloud provider's monthly figures beside our own sums. It compares, and never decides anything."""

from __future__ import annotations

from cleanhours.apps.reconciliation.comparing import Comparison, compare, parse_places
from cleanhours.apps.reconciliation.figures import Export, Provider
from cleanhours.apps.reconciliation.reading import read_export

__all__ = ["Comparison", "Export", "Provider", "compare", "parse_places", "read_export"]
