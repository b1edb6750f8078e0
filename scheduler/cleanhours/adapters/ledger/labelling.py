"""Labelling: which settled namespaces have a label of their own in metrics. Decided once for each, whoever asks later."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from cleanhours.adapters.ledger.schema import namespaces


def decided(connection: Connection) -> dict[str, bool]:
    """Whether each namespace has a label, in the order in which that was decided."""
    query = select(namespaces.c.namespace, namespaces.c.labelled).order_by(namespaces.c.id)
    return {row.namespace: row.labelled for row in connection.execute(query)}


def decide(connection: Connection, settled: Sequence[str], most: int) -> dict[str, bool]:
    """Decides of those of which nothing was decided yet, in their order. The caller holds the writers' lock."""
    known = decided(connection)
    own = sum(known.values())
    for namespace in settled:
        if namespace not in known:
            known[namespace] = own < most
            own += known[namespace]
            row = {"namespace": namespace, "labelled": known[namespace]}
            connection.execute(insert(namespaces), row)
    return known
