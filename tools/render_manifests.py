"""Writes deploy/kubernetes from the chart, which stays the one source of both; `--check` only compares."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
CHART = REPOSITORY / "helm" / "cleanhours"
TARGET = REPOSITORY / "deploy" / "kubernetes"
CLUSTER = REPOSITORY / "tests" / "integration" / "kubernetes" / "control_plane" / "cluster"
NAMESPACE = "cleanhours"
CONFIG = "cleanhours.toml"
HEADER = "# Written by tools/render_manifests.py from helm/cleanhours: change that, then `make manifests`.\n"

POLICIES = (
    "--kube-version",
    "v1.36.0",
    "--api-versions",
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
)
BASES = {
    "base": (*POLICIES, "--no-hooks"),
    "webhook": ("--kube-version", "v1.32.0", "--no-hooks"),
    "release-all": (*POLICIES, "--show-only", "templates/release-all.yaml"),
}
"""Each folder, and what Helm is told for it."""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stay readable."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def rendered(helm: Path) -> dict[str, str]:
    """Every file of deploy/kubernetes that is written, by its path there."""
    files: dict[str, str] = {}
    for folder, options in BASES.items():
        objects = templates(helm, options)
        for name, text in base(objects, with_namespace=True).items():
            files[f"{folder}/{name}"] = text
    return files


def templates(helm: Path, options: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The chart's objects with default values, by the template they come from."""
    command = [str(helm), "template", "cleanhours", str(CHART), "--namespace", NAMESPACE, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"render_manifests: {done.stderr.strip()}")
    found: dict[str, list[dict[str, Any]]] = {}
    for text in done.stdout.split("\n---\n"):
        source = next((line for line in text.splitlines() if line.startswith("# Source: ")), None)
        content = yaml.safe_load(text.removeprefix("---\n"))
        if source is not None and content:
            found.setdefault(source.rsplit("/", 1)[1], []).append(without_helm(content))
    return found


def without_helm(content: dict[str, Any]) -> dict[str, Any]:
    """The object, without what only Helm reads in it."""
    for holder in (content, content.get("spec", {}).get("template", {})):
        metadata = holder.get("metadata", {})
        for words in ("labels", "annotations"):
            kept = {
                word: value
                for word, value in metadata.get(words, {}).items()
                if not word.startswith("helm.sh/") and word not in HELMS_OWN
            }
            metadata.pop(words, None)
            if kept:
                metadata[words] = kept
    cron = content.get("spec", {}).get("jobTemplate")
    if cron is not None:
        without_helm(cron)
    return content


HELMS_OWN = {
    "app.kubernetes.io/managed-by",
    "checksum/config",
}  # a generated ConfigMap has its sum in its name


def base(objects: dict[str, list[dict[str, Any]]], *, with_namespace: bool) -> dict[str, str]:
    """The files of one folder."""
    files: dict[str, str] = {}
    generators: list[dict[str, Any]] = []
    if with_namespace:
        files["namespace.yaml"] = dumped(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": NAMESPACE,
                    "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
                },
            }
        )
    for name, contents in sorted(objects.items()):
        kept = []
        for content in contents:
            if content["kind"] == "ConfigMap" and CONFIG in content["data"]:
                settings = content["data"][CONFIG].split("\n", 1)  # its first line speaks of the chart
                files[CONFIG] = (
                    "# What cleanhours does. An overlay replaces this file.\n" + settings[1].strip() + "\n"
                )
                generators.append(generator(content))
            else:
                kept.append(content)
        if kept:
            files[name] = dumped(*kept)
    kustomization: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [name for name in files if name.endswith(".yaml")],
    }
    if generators:
        kustomization["configMapGenerator"] = generators
    return {**files, "kustomization.yaml": dumped(kustomization)}


def generator(content: dict[str, Any]) -> dict[str, Any]:
    """What makes the ConfigMap from the file beside it, with its sum in its name: changed settings start new Pods."""
    metadata = content["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "files": [CONFIG],
        "options": {"labels": metadata["labels"]},
    }


def dumped(*contents: dict[str, Any]) -> str:
    """YAML, a document each."""
    text = yaml.dump_all(contents, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return HEADER + text


def written(target: Path) -> dict[str, str]:
    """What stands there, by its path; the README is nobody's but ours."""
    return {
        f"{path.parent.name}/{path.name}": path.read_text("utf-8")
        for path in target.glob("*/*")
        if path.is_file() and path.parent.name in BASES
    }


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """The files that are missing, too many, or not the same."""
    return sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))


def find_helm() -> Path:
    """Helm 3, where `make assets` puts it."""
    done = subprocess.run([CLUSTER, "path", "helm3"], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip())
    if not os.access(path, os.X_OK):
        raise SystemExit("render_manifests: Helm is not installed: make assets")
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Write, or compare; the exit code is 1 where files are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if something is not current"
    )
    parser.add_argument("--helm", type=Path, help="the program of Helm 3 or 4")
    chosen = parser.parse_args(argv)
    expected, found = rendered(chosen.helm or find_helm()), written(TARGET)
    changed = differences(expected, found)
    for name in changed:
        print(f"{'not current' if chosen.check else 'written'}: deploy/kubernetes/{name}")
        if chosen.check:
            continue
        path = TARGET / name
        if name in expected:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(expected[name], "utf-8")
        else:
            path.unlink()
    return 1 if changed and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
