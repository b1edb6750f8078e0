"""deploy/kubernetes says what the chart says, and a real API server takes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.kubernetes.control_plane import program, started_control_plane
from tools.render_manifests import BASES, TARGET, differences, rendered, templates, written

pytestmark = pytest.mark.integration

VALIDATE = Path(sys.executable).with_name("kubernetes-validate")
VERSIONS = ("1.32", "1.33", "1.34", "1.35", "1.36", "1.37")


def kustomized(folder: Path) -> str:
    done = subprocess.run(
        [program("kubectl"), "kustomize", folder, "--load-restrictor=LoadRestrictionsNone"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    return done.stdout


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def named(documents: list[dict[str, Any]]) -> list[str]:
    """What there is, by kind and name; a generated ConfigMap without its sum."""
    return sorted(
        f"{document['kind']}/{re.sub('-config-[a-z0-9]{10}$', '-config', document['metadata']['name'])}"
        for document in documents
    )


@pytest.mark.parametrize("major", [3, 4])
def test_it_is_what_the_chart_says_now(major: int) -> None:
    expected = rendered(program(f"helm{major}"))

    assert [] == differences(expected, written(TARGET)), "make manifests"


@pytest.mark.parametrize("folder", BASES)
def test_kustomize_makes_the_objects_of_the_chart_and_the_namespace(folder: str) -> None:
    chart = [content for group in templates(program("helm3"), BASES[folder]).values() for content in group]

    assert sorted([*named(chart), "Namespace/cleanhours"]) == named(documents(kustomized(TARGET / folder)))


@pytest.mark.parametrize("folder", BASES)
def test_nothing_in_it_speaks_of_helm(folder: str) -> None:
    words = [
        line
        for name, text in written(TARGET).items()
        for line in text.splitlines()
        if name.startswith(f"{folder}/")
        and not line.startswith("#")
        and re.search("helm", line, re.IGNORECASE)
    ]

    assert [] == words


@pytest.mark.parametrize("folder", BASES)
def test_it_is_well_formed_for_every_supported_release(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(kustomized(TARGET / folder), "utf-8")
    for version in VERSIONS:
        done = subprocess.run(
            [VALIDATE, "-k", version, "--strict", "--no-warn", "--quiet", file],
            capture_output=True,
            text=True,
            check=False,
        )

        assert 0 == done.returncode, f"{version}: {done.stdout}{done.stderr}"


def test_the_overlay_of_the_readme_changes_image_and_settings(tmp_path: Path) -> None:
    (overlay,) = re.findall(
        r"^```yaml\n(.*?)^```$", (TARGET / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    shutil.copytree(TARGET, tmp_path / "deploy" / "kubernetes")
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "kustomization.yaml").write_text(overlay, "utf-8")
    (tmp_path / "overlay" / "cleanhours.toml").write_text("# ours\n", "utf-8")

    text = kustomized(tmp_path / "overlay")
    found = documents(text)
    (settings,) = [d for d in found if d["kind"] == "ConfigMap" and "cleanhours.toml" in d["data"]]
    images = set(re.findall(r"image: (\S+)", text))

    assert {"registry.internal/cleanhours:0.1.0"} == images
    assert "# ours\n" == settings["data"]["cleanhours.toml"]
    assert 3 == text.count(settings["metadata"]["name"])  # itself, the controller, the dead-man


@pytest.mark.slow
def test_a_real_api_takes_it_runs_it_and_gives_it_back(tmp_path: Path) -> None:
    with started_control_plane(tmp_path) as plane:
        plane.kubectl("apply", "-k", str(TARGET / "base"), "--validate=strict")
        plane.kubectl(
            "wait",
            "--for=jsonpath={.status.replicas}=1",
            "deployment/cleanhours",
            "-n",
            "cleanhours",
            "--timeout=30s",
        )  # PodSecurity, which enforces `restricted` there, has admitted the Pod
        refused = plane.get("events", "-n", "cleanhours", "--field-selector=reason=FailedCreate")["items"]
        again = plane.kubectl("apply", "-k", str(TARGET / "base"), "--validate=strict")
        plane.kubectl("delete", "-k", str(TARGET / "base"), "--timeout=60s")
        left = plane.kubectl(
            "get",
            "clusterroles,clusterrolebindings,mutatingadmissionpolicies,validatingadmissionpolicies",
            "-o",
            "name",
        )

        plane.kubectl("apply", "-k", str(TARGET / "release-all"), "--validate=strict")
        plane.kubectl(
            "wait",
            "--for=condition=Complete",
            "job/cleanhours-release-all",
            "-n",
            "cleanhours",
            "--timeout=30s",
        )  # which says that its Pod was admitted: nothing runs in it here

    assert [] == refused
    assert "created" not in again
    assert "cleanhours" not in left


def test_settings_of_the_base_are_settings(tmp_path: Path) -> None:
    """The command line reads them; a missing table or a word that is not one would be refused."""
    shown = subprocess.run(
        [
            sys.executable,
            "-m",
            "cleanhours",
            "--config",
            TARGET / "base" / "cleanhours.toml",
            "config",
            "show",
            "--json",
        ],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": ""},
        check=False,
    )

    assert 0 == shown.returncode, shown.stderr
    assert "kubernetes" in json.dumps(json.loads(shown.stdout))
