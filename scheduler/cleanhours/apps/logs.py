"""Where log lines go: standard error, one line each, control characters made visible."""

from __future__ import annotations

import logging
import time


class _OneLine(logging.Formatter):
    """`2026-01-01T00:00:00Z info message`, never more than a line, never a terminal command."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        from cleanhours.apps.escaping import escape_terminal

        return escape_terminal(super().format(record))


def set_up_logs(verbose: int) -> None:
    """Warnings by default; decisions with `verbose` 1; everything with 2."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    # a beat that finds the one before still at work is left out, and says so each time: that is no trouble
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
