"""Opening the ledger to ask it: what only asks creates nothing, and says so where there is nothing to ask."""

from __future__ import annotations

import click

from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.wiring import Wiring
from cleanhours.ports import Ledger


def find_books(wiring: Wiring) -> Ledger | None:
    """The ledger, or None where none was begun; then its address is told, which may be mistyped."""
    if wiring.books is None:
        from cleanhours.adapters.ledger import shown_url

        where = escape_terminal(shown_url(wiring.settings.ledger_url))
        click.echo(f"no run has been settled yet: there is no ledger at {where}", err=True)
    return wiring.books
