"""The control plane that the other tests trust: what it promises, and that nothing of it is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.integration.kubernetes.control_plane import CLUSTER, EXISTING, ControlPlane, started_control_plane

pytestmark = pytest.mark.integration


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def job(namespace: str, name: str, **notes: str) -> dict[str, Any]:
    """A Job whose Pods live as `notes` say (run_for, exit_code)."""
    container = {"name": "work", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    annotations = {f"test/{word.replace('_', '-')}": value for word, value in notes.items()}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            },
        },
    }


def processes_of(folder: Path) -> list[str]:
    """The command lines that mention the folder, but for our own."""
    found = []
    for path in set(Path("/proc").glob("[0-9]*/cmdline")) - {Path(f"/proc/{os.getpid()}/cmdline")}:
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/" in line:
            found.append(line)
    return found


class TestTheSharedCluster:
    def test_a_job_runs_as_long_as_its_note_says_and_succeeds(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        control_plane.apply(job(namespace, "short", run_for="2s"))
        control_plane.kubectl(
            "wait", "--for=condition=Complete", "job/short", "-n", namespace, "--timeout=30s"
        )
        (pod,) = control_plane.get("pods", "-n", namespace)["items"]
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]

        assert 0 == ended["exitCode"]
        assert ended["startedAt"] < ended["finishedAt"]

    def test_a_job_fails_with_the_exit_code_of_its_note(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        control_plane.apply(job(namespace, "broken", exit_code="3"))
        control_plane.kubectl(
            "wait", "--for=condition=Failed", "job/broken", "-n", namespace, "--timeout=30s"
        )
        (pod,) = control_plane.get("pods", "-n", namespace)["items"]

        assert 3 == pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]

    def test_its_nodes_stand_in_three_regions(self, control_plane: ControlPlane) -> None:
        nodes = control_plane.get("nodes", "-l", "cleanhours.test/pretended=true")["items"]

        assert {"de", "fr", "pl"} == {
            node["metadata"]["labels"]["topology.kubernetes.io/region"] for node in nodes
        }

    def test_a_service_account_may_do_what_its_roles_say_and_no_more(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        control_plane.kubectl("create", "serviceaccount", "reader", "-n", namespace)
        control_plane.kubectl("create", "role", "reads", "--verb=list", "--resource=jobs", "-n", namespace)
        control_plane.kubectl(
            "create",
            "rolebinding",
            "reads",
            "--role=reads",
            f"--serviceaccount={namespace}:reader",
            "-n",
            namespace,
        )
        config = control_plane.kubeconfig_for("reader", namespace)

        def answer(*arguments: str) -> str:
            return control_plane.kubectl("auth", "can-i", *arguments, f"--kubeconfig={config}", check=False)

        assert 0o600 == config.stat().st_mode & 0o777
        assert "yes" == answer("list", "jobs").strip()
        assert "no" == answer("patch", "jobs").strip()
        assert "no" == answer("list", "jobs", "-n", "kube-system").strip()

    def test_its_audit_log_tells_who_did_what(self, control_plane: ControlPlane, namespace: str) -> None:
        control_plane.apply(job(namespace, "seen"))

        def created() -> set[str]:
            entries = [json.loads(line) for line in control_plane.audit_log.read_text("utf-8").splitlines()]
            return {
                entry["user"]["username"]
                for entry in entries
                if entry["verb"] == "create"
                and entry.get("objectRef", {}).get("namespace") == namespace
                and entry["objectRef"]["resource"] == "jobs"
            }

        wait_until(lambda: bool(created()))

        assert {"admin"} == created()

    def test_a_refusal_is_told_in_kubectls_words(self, control_plane: ControlPlane, namespace: str) -> None:
        wrong = job(namespace, "wrong")
        wrong["spec"]["parallelism"] = -1

        assert "must be greater than or equal to 0" in control_plane.apply(wrong, check=False)

    def test_the_training_operator_runs_a_pytorchjob(
        self, training_operator: ControlPlane, namespace: str
    ) -> None:
        template = job(namespace, "x", run_for="1s")["spec"]["template"]
        template["spec"]["containers"][0]["name"] = "pytorch"
        replicas = {"Master": {"replicas": 1, "restartPolicy": "Never", "template": template}}
        training_operator.apply(
            {
                "apiVersion": "kubeflow.org/v1",
                "kind": "PyTorchJob",
                "metadata": {"name": "train", "namespace": namespace},
                "spec": {"pytorchReplicaSpecs": replicas},
            }
        )

        training_operator.kubectl(
            "wait", "--for=condition=Succeeded", "pytorchjob/train", "-n", namespace, "--timeout=45s"
        )


@pytest.mark.slow
class TestAClusterOfOnesOwn:
    def test_its_servers_stop_hang_and_come_back_and_then_all_of_it_goes(self, tmp_path: Path) -> None:
        with started_control_plane(tmp_path) as plane:
            plane.stop("kube-apiserver", "KILL")
            refused = plane.kubectl("get", "--raw", "/readyz", check=False)
            plane.start("kube-apiserver")
            back = plane.kubectl("get", "--raw", "/readyz")
            plane.freeze("kube-apiserver")
            hung = plane.kubectl("get", "--raw", "/readyz", "--request-timeout=1s", check=False)
            plane.thaw("kube-apiserver")
            thawed = plane.kubectl("get", "--raw", "/readyz")
            plane.freeze("etcd")  # and nobody thaws it
            running = processes_of(plane.folder)

        assert "refused" in refused
        assert "ok" == back
        assert "ok" != hung
        assert "ok" == thawed
        assert len(running) >= 5
        assert [] == processes_of(plane.folder)

    def test_nothing_is_left_of_it_when_the_tests_are_killed(self, tmp_path: Path) -> None:
        script = f"""
            import sys, time
            from pathlib import Path
            from tests.integration.kubernetes.control_plane import started_control_plane
            with started_control_plane(Path({str(tmp_path)!r})) as plane:
                print("up", flush=True)
                time.sleep(600)
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            said = victim.stdout.readline()
            (folder,) = tmp_path.glob("cluster-*")
            running = processes_of(folder)
            victim.send_signal(signal.SIGKILL)
            victim.wait()

        assert "up\n" == said
        assert len(running) >= 6  # five servers and the keeper
        wait_until(lambda: [] == processes_of(folder))

    def test_a_failing_start_leaves_nothing(self, tmp_path: Path) -> None:
        with (
            pytest.raises(AssertionError, match="kube-apiserver does not answer"),
            started_control_plane(tmp_path, "-x", "--no-such-flag"),
        ):
            pass

        (folder,) = tmp_path.glob("cluster-*")
        assert [] == processes_of(folder)

    def test_the_suite_runs_on_a_cluster_that_is_there_already(self, tmp_path: Path) -> None:
        with started_control_plane(tmp_path, "-r", "home") as plane:
            plane.kubectl("label", "node", "--all", "cleanhours.test/pretended-")  # its own, like kind's
            joined = tmp_path / "joined"
            subprocess.run([CLUSTER, "join", joined, plane.kubeconfig], check=True, timeout=60)
            environment = {**os.environ, EXISTING: str(plane.kubeconfig)}
            environment["PATH"] = f"{Path(plane.kubectl_program).parent}:{environment['PATH']}"
            suite = f"{Path(__file__).relative_to(REPOSITORY)}::TestTheSharedCluster"
            done = pytest_run(suite, environment)
            subprocess.run([CLUSTER, "leave", joined], check=True, timeout=60)
            (own,) = plane.get("nodes")["items"]

        assert "5 passed, 2 skipped" in done.stdout, done.stdout  # no audit log, no operator
        assert 0 == done.returncode
        assert "home-1" == own["metadata"]["name"]
        assert not own["spec"].get("unschedulable")
        assert [] == processes_of(joined)


def pytest_run(test: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def nowhere(tmp_path: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing is installed yet."""
    kept = {word: value for word, value in os.environ.items() if not word.startswith(("CLEANHOURS_", "KUBE"))}
    return {**kept, "KUBERNETES_TEST_ASSETS": str(tmp_path / "assets"), **more}


class TestWhatIsMissing:
    ONE = f"{Path(__file__).relative_to(REPOSITORY)}::TestTheSharedCluster::test_its_nodes_stand_in_three_regions"

    def test_skips_the_test_with_the_command_that_gets_it(self, tmp_path: Path) -> None:
        done = pytest_run(self.ONE, nowhere(tmp_path))

        assert 0 == done.returncode, done.stdout
        assert "1 skipped" in done.stdout
        assert "control_plane/cluster install -o -t" in done.stdout

    def test_fails_the_test_where_everything_must_be_there(self, tmp_path: Path) -> None:
        done = pytest_run(self.ONE, nowhere(tmp_path, CLEANHOURS_REQUIRE_INTEGRATION="1"))

        assert 1 == done.returncode
        assert "is not installed: " in done.stdout
        assert "control_plane/cluster install -o -t" in done.stdout

    @pytest.mark.parametrize("found", ["go1.19.8", "none"])
    def test_cannot_be_built_by_an_old_go_and_says_so_in_a_line(self, tmp_path: Path, found: str) -> None:
        go = tmp_path / "go"
        go.write_text(f"#!/bin/sh\n[ {found} = none ] && exit 127\necho {found}\n", "utf-8")
        go.chmod(0o755)
        environment = nowhere(tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
        done = subprocess.run(
            [CLUSTER, "install"], env=environment, capture_output=True, text=True, check=False
        )

        expected = f"cluster: building from Go modules needs Go 1.26 or newer in PATH; found {found}\n"
        assert (1, expected) == (done.returncode, done.stderr)

    def test_is_named_by_what_lists_it(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [CLUSTER, "installed", "-o", "-t"],
            env=nowhere(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )

        assert 1 == done.returncode
        for name in ("servers 1.36.3", "operator 1.8.1", "helm 3.22.0", "helm 4.3.1"):
            assert name in done.stderr


def test_the_readme_names_the_versions_that_are_built() -> None:
    page = CLUSTER.with_name("README.md").read_text("utf-8")
    script = CLUSTER.with_name("programs.sh").read_text("utf-8")
    (line,) = [line for line in script.splitlines() if line.startswith("default_version=")]
    versions = [
        word for word in line.replace("(", " ").replace(")", " ").replace("=", " ").split() if "." in word
    ]

    assert 5 == len(versions)
    for version in versions:
        assert version in page


@pytest.mark.parametrize("major", [3, 4])
def test_helm_is_the_version_that_was_asked_for(major: int, request: pytest.FixtureRequest) -> None:
    program = request.getfixturevalue(f"helm{major}")
    done = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith(f"v{major}.")
