"""What the chart's values say to the controller, to admission, and to those who installed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanhours.adapters.settings import Settings, load_settings
from cleanhours.domain.locations import Location
from cleanhours.domain.resources import Capacity
from cleanhours_plugins.clusters.kubernetes.admission.settings import read_settings as read_admission
from cleanhours_plugins.clusters.kubernetes.kinds import KINDS
from cleanhours_plugins.clusters.kubernetes.settings import EVERYWHERE, KubernetesSettings, read_settings
from tests.integration.kubernetes.chart import (
    ADMISSION,
    CHART,
    EVERYTHING,
    FOR_A_SERVER,
    WITH_POLICIES,
    Helm,
    Object,
    either_helm,
    find,
    objects_of,
    settings_of,
)

__all__ = ["either_helm"]
pytestmark = pytest.mark.integration


# -- settings ---------------------------------------------------------------------------------------------------------


def _cluster(settings: Settings) -> KubernetesSettings:
    table = settings.clusters["kubernetes"]
    assert "kubernetes" == table.type
    return read_settings({"name": table.name, **table.table}, settings.locations, settings.defaults)


def test_without_a_value_it_works_without_accounts_and_keys(helm: Helm, tmp_path: Path) -> None:
    settings = settings_of(helm.render(*WITH_POLICIES), tmp_path)

    assert (("neso", "climatology"), "policy", ("0.0.0.0", 9464)) == (
        settings.chain,
        settings.admission,
        settings.listen,
    )
    assert Path("/var/lib/cleanhours") == settings.state_folder
    assert "sqlite:////var/lib/cleanhours/ledger.sqlite" == settings.ledger_url
    assert "cleanhours" == _cluster(settings).lease


def test_the_controller_reads_every_setting_that_the_values_say(helm: Helm, tmp_path: Path) -> None:
    settings = settings_of(helm.render("--values", EVERYTHING), tmp_path)
    cluster = _cluster(settings)

    capacity = Capacity(640_000, 4 * 2**40, 80)
    assert (
        Location("frankfurt", "DE", 1.2, capacity, {"label": "eu-central-1a"})
        == settings.locations["frankfurt"]
    )
    assert ("neso", "climatology") == settings.chain_of("GB")
    assert {"timeout": "5s", "token": "a-secret"} == settings.source("electricitymaps").table
    assert (1.5, 200, 15) == (
        settings.rules.minimum_saving_percent,
        settings.rules.releases_per_tick,
        settings.tick.total_seconds(),
    )
    assert ("paris", "topology.kubernetes.io/zone") == (cluster.places.default, cluster.topology_label)
    assert {"max-delay": "12h", "interruptible": "true"} == cluster.defaults["team-a"]
    assert {"locations": "frankfurt,paris", "deadline": "+24h"} == cluster.defaults["team-b"]
    assert {"max-delay": "6h"} == cluster.defaults[EVERYWHERE]
    assert {kind.plural for kind in KINDS} == {kind.plural for kind in cluster.kinds}


def test_a_kind_that_is_switched_off_is_not_watched(helm: Helm, tmp_path: Path) -> None:
    off = ("jobset", "kubeflow", "mpi", "trainjob", "rayjob")
    objects = helm.render("--set", ",".join(f"kinds.{kind}=false" for kind in off))
    said = environment_of_last_release(objects)

    assert ["jobs"] == [kind.plural for kind in _cluster(settings_of(objects, tmp_path)).kinds]
    assert ["jobs"] == [
        kind.plural for kind in _cluster(load_settings(environment=said, folder=tmp_path)).kinds
    ]


def environment_of_last_release(objects: list[Object]) -> dict[str, str]:
    (container,) = find(objects, "Job")["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def test_watched_namespaces_reach_the_controller_and_the_last_release(helm: Helm, tmp_path: Path) -> None:
    objects = helm.render("--set", "watchNamespaces={team-a,team-b}")

    assert ("team-a", "team-b") == _cluster(settings_of(objects, tmp_path)).namespaces
    said = environment_of_last_release(objects)
    settings = load_settings(environment=said, folder=tmp_path, system=tmp_path)
    assert (("team-a", "team-b"), "cleanhours") == (
        _cluster(settings).namespaces,
        _cluster(settings).lease,
    )


def test_the_policies_know_the_words_and_the_places_that_the_controller_reads(
    helm: Helm, tmp_path: Path
) -> None:
    objects = helm.render("--values", EVERYTHING, "--set", "admission.mode=policy")
    settings = settings_of(objects, tmp_path)
    holding = find(objects, "MutatingAdmissionPolicy", "cleanhours-hold-enabled")
    told_words = _variable(holding, "defaults")
    words, end = json.JSONDecoder().raw_decode(told_words)
    usual = json.loads(told_words[end:].removeprefix("[?request.namespace].orValue(").removesuffix(")"))
    known = json.loads(_variable(find(objects, "ValidatingAdmissionPolicy", "cleanhours-words"), "known"))

    assert set(settings.locations) == set(known)
    read = _cluster(settings).defaults
    assert set(read) == {*words, EVERYWHERE}
    for word in ("interruptible", "checkpoint"):
        assert {name: usual_words.get(word) for name, usual_words in read.items()} == {
            name: told.get(word) for name, told in {**words, EVERYWHERE: usual}.items()
        }


def _variable(policy: Object, name: str) -> str:
    (expression,) = [one["expression"] for one in policy["spec"]["variables"] if one["name"] == name]
    return str(expression).strip()


def test_a_changed_setting_makes_new_pods_and_nothing_else_does(helm: Helm) -> None:
    def checksum(*options: str) -> str:
        template = find(helm.render(*options), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum() == checksum("--set", "deadMan.everyMinutes=10")
    assert checksum() != checksum("--set", "planning.hysteresis_percent=3")


# -- admission --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ((), "webhook"),
        (WITH_POLICIES, "policy"),
        ((*WITH_POLICIES, "--set", "admission.mode=webhook"), "webhook"),
        (("--set", "admission.mode=none"), "none"),
        ((*WITH_POLICIES, "--set", "shadow=true"), "none"),
    ],
    ids=["old-server", "new-server", "asked-for", "none", "shadow"],
)
def test_admission_is_what_the_server_serves(
    helm: Helm, options: tuple[str, ...], mode: str, tmp_path: Path
) -> None:
    objects = helm.render("--api-versions", "v1", *options)
    services = {one["metadata"]["name"] for one in objects if one["kind"] == "Service"}
    kinds = {one["kind"] for one in objects} & ADMISSION

    assert mode == settings_of(objects, tmp_path).admission
    assert (mode == "webhook") == ("cleanhours-webhook" in services)
    assert (mode == "none") == (not kinds)
    assert (mode == "policy") == ("MutatingAdmissionPolicy" in kinds)


def test_the_controller_knows_the_objects_of_its_webhook(helm: Helm, tmp_path: Path) -> None:
    options = ("--set", "admission.mode=webhook,admission.webhook.certificates.mode=certManager")
    objects = helm.render(*options, release="two")
    told = read_admission(_cluster(settings_of(objects, tmp_path)).admission or {}, "cleanhours")
    webhook = find(objects, "MutatingWebhookConfiguration")
    (service,) = {one["clientConfig"]["service"]["name"] for one in webhook["webhooks"]}
    (container,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]

    assert ("webhook", "certManager", webhook["metadata"]["name"], service) == (
        told.mode,
        told.certificates,
        told.configuration,
        told.service,
    )
    assert find(objects, "Certificate")["spec"]["secretName"] == told.secret
    assert told.listen.port in {port["containerPort"] for port in container["ports"]}
    assert set(find(objects, "Certificate")["spec"]["dnsNames"]) == set(told.server_names)
    assert find(objects, "Service", service)


def test_shadow_mode_is_told_to_the_controller(helm: Helm) -> None:
    (container,) = find(helm.render("--set", "shadow=true"), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ]

    assert ["controller", "--shadow"] == container["args"][-2:]


def test_a_packaged_chart_is_the_chart(helm: Helm, tmp_path: Path) -> None:
    helm.done("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("cleanhours-*.tgz")

    assert helm.render() == objects_of(
        helm.done("template", "cleanhours", str(package), "-n", "cleanhours", *FOR_A_SERVER)
    )
