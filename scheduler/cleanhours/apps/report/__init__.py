"""The report people look at and programs read: HTML, CSV and JSON from the ledger's rows. Holds no rule about carbon."""

from __future__ import annotations

from cleanhours.apps.report.asking import Question
from cleanhours.apps.report.embodied import Embodying, check_unit
from cleanhours.apps.report.group_rows import groups_csv
from cleanhours.apps.report.grouping import Dimension, parse_dimensions
from cleanhours.apps.report.intensity import ZoneSeries
from cleanhours.apps.report.page import report_html
from cleanhours.apps.report.rows import MOST_LABELS, labels_by_use, report_csv, report_json
from cleanhours.apps.report.summary import in_known_measures

__all__ = [
    "MOST_LABELS", "Dimension", "Embodying", "Question", "ZoneSeries", "check_unit", "groups_csv", "in_known_measures",
    "labels_by_use", "parse_dimensions", "report_csv", "report_html", "report_json",
]  # fmt: skip
