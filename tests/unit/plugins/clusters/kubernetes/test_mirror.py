"""The mirror shows what watches and our own writes say, whichever is newer, and what cannot be read is never held for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.kinds import JOB, Kind
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.mirror import Mirror
from cleanhours_plugins.clusters.kubernetes.namespaces import Namespaces
from tests.unit.plugins.clusters.kubernetes.made import a_job
from tests.unit.plugins.clusters.kubernetes.servers import Answer, Asked, Server, status

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
JOBS = "/apis/batch/v1/namespaces/team/jobs"
BROKEN = {"resources": {"requests": {"cpu": "a lot"}}}


@contextmanager
def a_mirror(folder: Path, *kinds: Kind, noticed: Any = lambda: None) -> Iterator[tuple[Server, Mirror]]:
    with Server() as server:
        api = server.api(folder)
        mirror = Mirror(api, kinds or (JOB,), ("team",), Namespaces(api), now=lambda: NOW, noticed=noticed)
        try:
            yield server, mirror
        finally:
            mirror.stop()


def put(server: Server, name: str = "train", **options: Any) -> dict[str, Any]:
    meta = {"name": name, "uid": name, **options.pop("meta", {})}
    return server.put(f"{JOBS}/{name}", a_job(options.pop("mark", "held"), meta=meta, **options))


def forbidden(asked: Asked) -> Answer | None:
    said = 'jobs is forbidden: User "x" cannot list resource "jobs" in API group "batch"'
    return Answer(403, status(403, said, "Forbidden")) if asked.path == JOBS else None


def test_what_we_wrote_is_seen_before_a_watch_tells_it_and_after_until_it_is_newer(tmp_path: Path) -> None:
    with a_mirror(tmp_path) as (server, mirror):
        put(server)
        mirror.look()
        before = mirror.get("train")
        assert before is not None
        revision = mirror.revision
        mirror.wrote(before, put(server, mark="released", suspended=False))
        assert [words.Mark.RELEASED] == [record.mark for record in mirror.records()]
        assert revision != mirror.revision
        put(server, mark="paused")
        mirror.look()
        assert [words.Mark.PAUSED] == [record.mark for record in mirror.records()]


def test_an_older_word_of_the_watch_does_not_undo_what_we_wrote(tmp_path: Path) -> None:
    with a_mirror(tmp_path) as (server, mirror):
        old = put(server)
        mirror.look()
        before = mirror.get("train")
        assert before is not None
        mirror.wrote(before, put(server, mark="released"))
        server.objects[f"{JOBS}/train"] = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
        mirror.look()
        assert words.Mark.RELEASED is mirror.records()[0].mark


def test_what_vanishes_was_cancelled_unless_it_had_ended(tmp_path: Path) -> None:
    with a_mirror(tmp_path) as (server, mirror):
        put(server)
        ended = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-03-02T07:00:00Z"}
        put(server, "done", status={"conditions": [ended]})
        put(server, "stays")
        mirror.look()
        del server.objects[f"{JOBS}/train"], server.objects[f"{JOBS}/done"]
        mirror.look()
        found = {one.record.name: one.outcome for one in mirror.vanished}
        assert {"train", "done"} == set(found)
        assert (JobState.CANCELLED, NOW) == (found["train"].state, found["train"].at)
        assert JobState.SUCCEEDED is found["done"].state


def test_what_is_of_no_interest_any_more_has_not_vanished(tmp_path: Path) -> None:
    with a_mirror(tmp_path) as (server, mirror):
        put(server)
        mirror.look()
        plain = a_job(None, meta={"name": "train", "uid": "train"})
        plain["metadata"]["annotations"] = {}
        server.put(f"{JOBS}/train", plain)
        mirror.look()
        assert ([], 0) == (mirror.records(), len(mirror.vanished))


def test_one_that_we_hold_and_cannot_read_is_kept_with_its_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_mirror(tmp_path) as (server, mirror):
        put(server, containers=[BROKEN])
        put(server, "fine")
        for _ in range(2):
            mirror.look()
        found = {record.name: record for record in mirror.records()}
        assert ("", ()) == (found["fine"].fault, found["train"].pod_sets)
        assert "a lot" in found["train"].fault
        assert 1 == sum("cannot read jobs" in message for message in caplog.messages)


def test_one_that_we_do_not_hold_and_cannot_read_is_left_out(tmp_path: Path) -> None:
    with a_mirror(tmp_path) as (server, mirror):
        put(server, mark=None, containers=[BROKEN])
        put(server, "fine")
        mirror.look()
        assert ["fine"] == [record.name for record in mirror.records()]


def test_a_kind_that_we_may_not_see_has_no_jobs_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_mirror(tmp_path, JOB, POD) as (server, mirror):
        for _ in range(2):
            # namespaces, jobs
            server.script += [lambda _: None, forbidden]
            mirror.look()
        assert [] == mirror.records()
        assert 1 == sum("cannot list resource" in message for message in caplog.messages)


def test_where_nothing_may_be_seen_that_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with a_mirror(tmp_path) as (server, mirror):
        server.script += [lambda _: None, forbidden]
        with pytest.raises(ConfigurationError, match="cannot list resource"):
            mirror.look()


def test_started_it_waits_for_the_first_lists_but_not_for_what_is_barred(tmp_path: Path) -> None:
    well = threading.Event()

    def answer(asked: Asked) -> Answer | None:
        if asked.path != JOBS:
            return Answer(403, status(403, 'User "x" cannot list resource "pods"', "Forbidden"))
        return None if well.is_set() else Answer(500, status(500))

    with a_mirror(tmp_path, JOB, POD) as (server, mirror):
        put(server)
        server.script += [answer] * 100
        mirror.start()
        jobs, pods = mirror.reflectors
        assert pods.wait_answered(20)
        with pytest.raises(TemporaryError, match="not listed yet: jobs"):
            mirror.look()
        well.set()
        assert jobs.wait_answered(20)
        mirror.look()
        assert ["train"] == [record.name for record in mirror.records()]


@pytest.mark.parametrize(
    ("before", "after", "due"),
    [
        ({}, {"annotations": {words.PLAN: "{}"}}, False),
        ({}, {"annotations": {words.PREFIX + "deadline": "+2h"}}, True),
        ({}, {"mark": "released", "suspended": False}, False),
        ({"mark": "released", "suspended": False}, {"mark": "paused"}, False),
        (
            {"mark": "paused"},
            {"mark": "paused", "status": {"conditions": [{"type": "Suspended", "status": "True",
                                                        "lastTransitionTime": "2026-03-02T06:00:00Z"}]}},
            True,
        ),
        (
            {"mark": "released", "suspended": False},
            {"mark": "released", "suspended": False,
             "status": {"conditions": [{"type": "Complete", "status": "True",
                                        "lastTransitionTime": "2026-03-02T06:00:00Z"}]}},
            True,
        ),
    ],
)  # fmt: skip
def test_what_makes_a_decision_due_is_noticed(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], due: bool
) -> None:
    noticed: list[int] = []
    with a_mirror(tmp_path, noticed=lambda: noticed.append(1)) as (server, mirror):
        put(server, **before)
        mirror.look()
        assert [1] == noticed
        put(server, **after)
        mirror.look()
        assert due is (len(noticed) == 2)


def test_a_label_that_comes_later_brings_the_jobs_of_its_namespace(tmp_path: Path) -> None:
    with Server() as server:
        api = server.api(tmp_path)
        seen: list[str] = []
        namespaces = Namespaces(api, relabelled=seen.append)
        server.put("/api/v1/namespaces/team", {"metadata": {"name": "team"}})
        namespaces.look()
        assert ([], False) == (seen, namespaces.opted_in("team"))
        labels = {words.ENABLED: "true"}
        server.put("/api/v1/namespaces/team", {"metadata": {"name": "team", "labels": labels}})
        namespaces.look()
        assert (["team"], True) == (seen, namespaces.opted_in("team"))
        server.put("/api/v1/namespaces/team", {"metadata": {"name": "team"}})
        namespaces.look()
        assert (["team"] * 2, False) == (seen, namespaces.opted_in("team"))
