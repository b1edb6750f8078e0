"""The store of slim records, by hand: what it keeps, and whom it tells."""

from __future__ import annotations

import pytest

from cleanhours_plugins.clusters.kubernetes.keeping import Store
from tests.unit.plugins.clusters.kubernetes.changes import Ear, a_job, slim


def test_who_appears_changes_and_vanishes_is_told() -> None:
    ear = Ear()
    store = Store(slim, ear.change, "jobs")
    assert "a" == store.take(a_job("a"))
    store.take(a_job("a", "released"))
    assert ("a", "released") == store.get("a")
    store.drop("a")
    store.drop("a")
    assert [
        (None, ("a", "held")),
        (("a", "held"), ("a", "released")),
        (("a", "released"), None),
    ] == ear.changes
    assert [] == store.records()


def test_a_change_that_does_not_matter_is_told_to_nobody() -> None:
    ear = Ear()
    store = Store(slim, ear.change, "jobs")
    store.take(a_job("a", version="1"))
    store.take(a_job("a", version="2"))
    assert 1 == len(ear.changes)


def test_what_is_of_no_interest_is_not_kept_and_what_becomes_so_is_let_go() -> None:
    ear = Ear()
    store = Store(slim, ear.change, "jobs")
    store.take(a_job("a", ""))
    store.take(a_job("b"))
    store.take(a_job("b", ""))
    assert [(None, ("b", "held")), (("b", "held"), None)] == ear.changes
    assert [] == store.records()


def test_what_a_list_does_not_show_has_vanished() -> None:
    store = Store(slim, None, "jobs")
    for uid in "abc":
        store.take(a_job(uid))
    store.drop_all_but({"b"})
    assert [("b", "held")] == store.records()


def test_an_object_that_cannot_be_read_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    ear = Ear()
    store = Store(slim, ear.change, "jobs", ear.count)
    broken = {"metadata": {"uid": "x", "name": "odd", "namespace": "ours"}}
    for item in (a_job("a"), broken, broken):
        store.take(item)
    assert [("a", "held")] == store.records()
    assert [("watch_errors_total", "unreadable")] * 2 == ear.counted
    assert ["cannot read jobs ours/odd: left out"] == caplog.messages


def test_whoever_is_told_may_fail_and_the_change_stands(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    ear = Ear()
    store = Store(slim, fail, "jobs", ear.count)
    store.take(a_job("a"))
    assert [("a", "held")] == store.records()
    assert [("watch_errors_total", "internal")] == ear.counted
    assert 1 == len(caplog.messages)
