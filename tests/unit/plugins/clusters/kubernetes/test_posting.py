"""Plans that are written beside the work: the last one of each job, shown until it is."""

from __future__ import annotations

import threading
from dataclasses import replace

from cleanhours.domain.jobs import Action, Decision, JobKey
from cleanhours_plugins.clusters.kubernetes.posting import Posting
from tests.unit.plugins.clusters.kubernetes.made import a_decision


def about(uid: str, at: str = "de") -> Decision:
    return replace(a_decision(Action.REMARK, at), key=JobKey("k8s", uid))


class Writer:
    """Writes when it is let."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str]] = []
        self.begun = threading.Event()
        self.go = threading.Event()
        self.done = threading.Event()

    def carry_out(self, decision: Decision) -> str:
        self.begun.set()
        assert self.go.wait(10)
        self.written.append((decision.key.uid, decision.at))
        if decision.key.uid == "last":
            self.done.set()
        return ""


def test_of_two_plans_for_one_job_the_later_is_written() -> None:
    writer = Writer()
    posting = Posting(writer.carry_out)
    posting.post(about("first"))
    assert writer.begun.wait(10)
    for at in ("de", "fr"):
        posting.post(about("second", at))
    posting.post(about("third"))
    posting.post(about("last"))
    assert {"first": "de", "second": "fr", "third": "de", "last": "de"} == {
        uid: plan.location for uid, plan in posting.plans.items()
    }
    posting.forget("third")
    writer.go.set()
    assert writer.done.wait(10)
    posting.stop()
    assert [("first", "de"), ("second", "fr"), ("last", "de")] == writer.written
    assert {} == posting.plans


def test_stopped_it_ends_after_the_one_under_way_and_takes_no_more() -> None:
    writer = Writer()
    posting = Posting(writer.carry_out)
    posting.post(about("first"))
    assert writer.begun.wait(10)
    posting.post(about("second"))
    threading.Timer(0.05, writer.go.set).start()
    posting.stop()
    assert [("first", "de")] == writer.written
    assert not posting.post(about("third"))
