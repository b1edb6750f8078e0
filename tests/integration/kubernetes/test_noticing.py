"""What a started adapter notices by itself on a real API server, what it says of it on the objects, and what it may not see."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cleanhours.domain.jobs import Action, Decision, JobState
from cleanhours.domain.plans import Reason
from cleanhours_plugins.clusters.kubernetes import build, words
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.fault_proxy import FaultProxy
from tests.integration.kubernetes.worlds import Surroundings, World, a_world, wait

pytestmark = pytest.mark.integration


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    with a_world(control_plane, namespace, tmp_path) as world:
        yield world


def test_a_job_that_nobody_held_gets_one_warning(world: World) -> None:
    world.apply("slipped", "1h", mark=None, suspend=False)
    world.until("slipped", JobState.RUNNING)
    assert [] == world.events("slipped")
    for at in ("de", "fr", "pl"):
        assert "" == world.tell("slipped", Action.REMARK, at)
    [(kind, reason, note)] = [event for event in world.events("slipped") if event[0] == "Warning"]
    assert ("Warning", "NotHeld") == (kind, reason)
    assert "admission" in note


def test_wrong_words_of_a_job_that_runs_are_told_once_each(world: World) -> None:
    world.apply("odd", "1h", {"duration": "-3h"}, mark=None, suspend=False)
    world.until("odd", JobState.RUNNING)
    assert ["-3h" in note for note in told(world, "de")] == [True]
    world.change("odd", {"metadata": {"annotations": {words.PREFIX + "power": "lots"}}})
    wait(lambda: len(world.find("odd").complaints) == 2)
    assert ["lots" in note for note in told(world, "fr")] == [False, True]
    assert 2 == len(told(world, "pl"))


def told(world: World, plan_at: str) -> list[str]:
    """Its complaints, after one more decision."""
    assert "" == world.tell("odd", Action.REMARK, plan_at)
    return [note for _, reason, note in world.events("odd") if reason == "InvalidRequest"]


def test_a_namespace_that_opts_in_later_brings_the_jobs_that_are_there(world: World) -> None:
    world.apply("plain", "1h", {"max-delay": "", "duration": ""}, mark=None, suspend=False)
    world.apply("asks", "1h", mark=None, suspend=False)
    world.until("asks", JobState.RUNNING)
    assert not world.knows("plain")
    world.plane.kubectl("label", "namespace", world.namespace, f"{words.ENABLED}=true")
    world.until("plain", JobState.RUNNING)
    world.plane.kubectl("label", "namespace", world.namespace, f"{words.ENABLED}-")
    wait(lambda: not world.knows("plain"))
    assert world.knows("asks")
    assert "plain" not in {run.name for run in world.cluster.finished(world.find("asks").request.submitted)}


def test_what_ran_before_its_owner_stopped_it_is_written_down_and_accounted(world: World) -> None:
    world.apply("job", "1h", {"interruptible": "true", "locations": "de"})
    assert "" == world.tell("job", Action.RELEASE, "de")

    def handles() -> list[str]:
        return [handle for run in world.find("job").segments for handle in run.handles]

    world.until("job", JobState.RUNNING)
    # the Pods are heard of by a watch of their own
    wait(lambda: [pod["metadata"]["uid"] for pod in world.pods("job")] == handles())
    [first] = world.find("job").segments
    asked = world.context.clock.now().replace(microsecond=0)
    world.change("job", {"spec": {"suspend": True}})
    world.until("job", JobState.UNMANAGED)

    def told() -> str:
        world.cluster.apply([])
        return world.annotations("job").get(words.RUNS, "")

    wait(lambda: world.jobs() != [] and told() != "")
    [stopped] = world.until("job", JobState.UNMANAGED).segments
    assert (first.start, first.location, first.handles) == (stopped.start, stopped.location, stopped.handles)
    assert stopped.end is not None
    assert stopped.end >= asked
    world.change("job", {"spec": {"suspend": False}})
    kept, second = world.until("job", JobState.RUNNING).segments
    assert (stopped, None) == (kept, second.end)
    assert second.start >= stopped.end


def test_a_change_that_makes_a_decision_due_wakes_whoever_asked(world: World) -> None:
    awake = threading.Event()
    world.cluster.on_change(awake.set)
    world.apply("job", "1h", {"interruptible": "true"})
    assert awake.wait(30)
    world.until("job", JobState.HELD)
    assert "" == world.tell("job", Action.RELEASE, "de")
    world.until("job", JobState.RUNNING)
    assert "" == world.tell("job", Action.SUSPEND, "de")
    wait(lambda: _woken(awake) and world.find("job").state is JobState.PAUSED)


def _woken(awake: threading.Event) -> bool:
    return awake.is_set()


def test_many_plans_are_written_beside_the_work_and_shown_at_once(world: World) -> None:
    names = [f"job-{number}" for number in range(30)]
    for name in names:
        world.apply(name, "1h")
    wait(lambda: all(world.knows(name) for name in names))
    plan = replace(world.plan("de"), reason=Reason.LOWEST_SLOTS)
    jobs = world.jobs()
    marks = [Decision(job.key, Action.REMARK, plan, plan.reason) for job in jobs]
    assert {""} == {one.error for one in world.cluster.apply(marks)}
    assert all(not plan.changed_from(job.plan) for job in world.jobs())
    wait(lambda: all(words.PLAN in world.annotations(name) for name in names))


def test_a_kind_that_it_may_not_see_holds_nobody_up(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control_plane.kubectl("create", "serviceaccount", "narrow", "-n", namespace)
    verbs = "--verb=get,list,watch,patch"
    control_plane.kubectl("create", "role", "narrow", "-n", namespace, verbs, "--resource=jobs.batch")
    leases = "--resource=leases.coordination.k8s.io"
    control_plane.kubectl("create", "role", "leases", "-n", namespace, "--verb=get,create,update", leases)
    for role in ("narrow", "leases"):
        account = f"--serviceaccount={namespace}:narrow"
        control_plane.kubectl("create", "rolebinding", role, "-n", namespace, f"--role={role}", account)
    config = str(control_plane.kubeconfig_for("narrow", namespace))
    with a_world(control_plane, namespace, tmp_path, kubeconfig=config) as world:
        world.apply("job")
        world.until("job", JobState.HELD)
        assert {"de", "fr", "pl"} == set(world.cluster.capacity())
        assert "" == world.tell("job", Action.RELEASE, "de")
        assert JobState.SUCCEEDED is world.over("job").state
    assert any('cannot list resource "pods"' in message for message in caplog.messages)


def test_questions_of_one_moment_list_once_where_nothing_watches(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with FaultProxy(control_plane.kubeconfig) as proxy:
        table = {
            "type": "kubernetes",
            "kubeconfig": str(proxy.kubeconfig(tmp_path / "config")),
            "watch_namespaces": [namespace],
            "kinds": ["jobs"],
        }
        cluster = build(table, Surroundings(tmp_path))
        assert ([], []) == (list(cluster.pending()), list(cluster.running()))
        cluster.capacity()
        cluster.finished(Surroundings(tmp_path).clock.now())
        assert 1 == len(proxy.asked(pattern="/jobs"))
        assert 1 == len(proxy.asked(pattern="/nodes"))
