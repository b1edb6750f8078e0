"""The report people look at and programs read: HTML, CSV and JSON from the ledger's rows. Holds no rule about carbon."""

from __future__ import annotations

from cleanhours.apps.report.intensity import ZoneSeries
from cleanhours.apps.report.page import report_html
from cleanhours.apps.report.rows import report_csv, report_json

__all__ = ["ZoneSeries", "report_csv", "report_html", "report_json"]
