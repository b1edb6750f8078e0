"""The ledger: what every run cost and avoided, kept for good in SQLite or PostgreSQL. The only door to SQLAlchemy."""

from __future__ import annotations

from cleanhours.adapters.ledger.books import SqlLedger, open_ledger

__all__ = ["SqlLedger", "open_ledger"]
