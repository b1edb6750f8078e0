"""What is written into a Lease, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from cleanhours_plugins.clusters.kubernetes.leases import stamp_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_stamp_has_six_digits_always_and_is_in_utc() -> None:
    assert "2026-03-01T12:00:00.000000Z" == stamp_of(NOON)
    assert "2026-03-01T11:00:00.000000Z" == stamp_of(NOON.replace(tzinfo=timezone(timedelta(hours=1))))
    assert "2026-03-01T12:00:00.000001Z" == stamp_of(NOON, stamp_of(NOON))
