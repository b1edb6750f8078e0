"""Owners name their jobs in several ways, and are told what to type where we do not do it for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import pytest

from cleanhours.apps.commands.finding import OBJECT_NAME, find_finished, find_unfinished
from cleanhours.apps.commands.queueing import cancel, explain_job, pause, resume
from cleanhours.domain.errors import InvalidRequest, NotSupported
from cleanhours.domain.jobs import Action, Job, JobKey, JobState
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Cluster
from cleanhours.testing.clocks import MONDAY, FakeClock
from cleanhours.testing.cluster_contract import decision_for
from cleanhours.testing.clusters import FakeCluster
from cleanhours_plugins.clusters.kubernetes.jobs import OBJECT_NAME as WRITTEN


class _Elsewhere:
    """A cluster whose owners have their own tool: the fake one without its powers to cancel and pause."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.name, self.powers = cluster.name, cluster.powers
        self.pending, self.running = cluster.pending, cluster.running
        self.finished, self.apply = cluster.finished, cluster.apply


class _Advisor(_Elsewhere):
    """One that knows its tool."""

    def advice(self, key: JobKey, verb: str) -> str:
        return "" if verb == "pause" else f"tool {verb} {key.uid}"


@dataclass
class _Wiring:
    clusters: Mapping[str, Cluster]
    clock: FakeClock


def a_child(name: str = "nightly", number: str = "1", namespace: str = "team") -> Job:
    return Job(
        key=JobKey("fake", f"u-{number}"), name=name, namespace=namespace, state=JobState.HELD, home="here",
        request=JobRequest(submitted=MONDAY), labels={OBJECT_NAME: f"{name}-{number}"},
    )  # fmt: skip


def a_cluster(*jobs: Job) -> FakeCluster:
    cluster = FakeCluster(FakeClock())
    for job in jobs:
        cluster.add(job)
    return cluster


def found(cluster: FakeCluster, text: str) -> str:
    return find_unfinished({cluster.name: cluster}, text)[1].key.uid


def test_the_label_that_is_read_is_the_one_that_is_written() -> None:
    assert WRITTEN == OBJECT_NAME


@pytest.mark.parametrize("cluster", ["", "fake:"])
@pytest.mark.parametrize("namespace", ["", "team/"])
@pytest.mark.parametrize("name", ["nightly", "nightly-1", "u-1"])
def test_a_job_is_found_by_its_works_name_its_own_and_its_id(cluster: str, namespace: str, name: str) -> None:
    jobs = a_cluster(a_child(), replace(a_child("other", "2"), namespace="elsewhere"))
    assert "u-1" == found(jobs, f"{cluster}{namespace}{name}")


@pytest.mark.parametrize("text", ["other/nightly-1", "local:nightly-1", "nightly-9"])
def test_a_job_is_not_found_by_what_it_is_not(text: str) -> None:
    with pytest.raises(InvalidRequest, match="cleanhours jobs"):
        found(a_cluster(a_child()), text)


def test_of_several_children_their_own_names_are_shown() -> None:
    with pytest.raises(InvalidRequest, match=r"fake:team/u-1 \(nightly-1\), fake:team/u-2 \(nightly-2\)"):
        found(a_cluster(a_child(), a_child(number="2")), "nightly")


def test_a_finished_child_is_found_by_its_own_name() -> None:
    cluster = a_cluster(a_child())
    cluster.apply([decision_for(cluster.pending()[0], Action.RELEASE, MONDAY)])
    cluster.cancel(JobKey("fake", "u-1"))
    run = find_finished({"fake": cluster}, "team/nightly-1")
    assert run is not None
    assert "u-1" == run.key.uid


def told(command: object, cluster: object, *words: str) -> str:
    """What a command says that cannot be carried out."""
    wiring = _Wiring({"fake": cast("Cluster", cluster)}, FakeClock())
    with pytest.raises(NotSupported) as fault:
        command.main([*words], obj=wiring, standalone_mode=False)  # type: ignore[attr-defined]
    return str(fault.value)


def test_a_cluster_without_the_power_answers_with_the_command_to_use() -> None:
    cluster = _Advisor(a_cluster(a_child()))
    assert "nightly: cancel it with: tool cancel u-1" == told(cancel, cluster, "nightly-1")
    assert "nightly: resume it with: tool resume u-1" == told(resume, cluster, "nightly-1")
    assert "nightly: nothing can pause it" == told(pause, cluster, "nightly-1")


def test_a_cluster_that_does_not_know_the_command_says_whose_tool_it_is() -> None:
    cluster = _Elsewhere(a_cluster(a_child()))
    assert "cluster 'fake': its owners pause jobs with its own tool" == told(pause, cluster, "u-1")


def test_a_child_is_explained_by_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    wiring = _Wiring({"fake": a_cluster(a_child())}, FakeClock())
    explain_job.main(["nightly-1"], obj=wiring, standalone_mode=False)
    assert "nightly waits" in capsys.readouterr().out
