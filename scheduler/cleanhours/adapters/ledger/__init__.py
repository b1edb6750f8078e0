"""The ledger: what every run cost and avoided, kept for good in SQLite or PostgreSQL. The only door to SQLAlchemy."""

from __future__ import annotations

from cleanhours.adapters.ledger.books import SqlLedger, find_ledger, open_ledger
from cleanhours.adapters.ledger.database import shown_url

__all__ = ["SqlLedger", "find_ledger", "open_ledger", "shown_url"]
