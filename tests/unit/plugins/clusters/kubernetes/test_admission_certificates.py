"""Certificates of the webhook: what is renewed when, and that nothing is shown before it is trusted."""

from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from cleanhours.domain.errors import TemporaryError
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.clusters.kubernetes.admission.certificates import (
    AUTHORITY_LIFE,
    SERVER_LIFE,
    Papers,
    context_of,
    renewed,
)
from cleanhours_plugins.clusters.kubernetes.admission.keeping import (
    CONFIGURATIONS,
    CertificateKeeper,
    Keeping,
    papers_of,
)
from cleanhours_plugins.clusters.kubernetes.errors import Conflict, Missing

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("cleanhours-webhook.cleanhours.svc", "127.0.0.1")


def begun(now: datetime = NOW) -> Papers:
    papers = renewed(None, NAMES, now, trusted=b"")
    assert papers is not None
    return papers


def server_of(papers: Papers) -> x509.Certificate:
    return x509.load_pem_x509_certificate(papers.server)


def authorities_of(papers: Papers) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(papers.bundle)


def test_at_the_beginning_an_authority_signs_a_certificate_for_every_name() -> None:
    papers = begun()
    (authority,) = authorities_of(papers)
    server_of(papers).verify_directly_issued_by(authority)
    names = server_of(papers).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ([NAMES[0]], "127.0.0.1") == (
        names.get_values_for_type(x509.DNSName), str(names.get_values_for_type(x509.IPAddress)[0])
    )  # fmt: skip


def test_its_certificate_and_key_are_what_a_server_shows() -> None:
    papers = begun()
    assert ssl.TLSVersion.TLSv1_2 == context_of(papers.server, papers.server_key).minimum_version


def test_nothing_is_renewed_while_all_is_well() -> None:
    papers = begun()
    assert renewed(papers, NAMES, NOW + SERVER_LIFE * 0.66, trusted=papers.bundle) is None


def test_after_two_thirds_of_its_life_a_certificate_is_renewed_by_the_same_authority() -> None:
    papers = begun()
    new = renewed(papers, NAMES, NOW + SERVER_LIFE * 0.67, trusted=papers.bundle)
    assert new is not None
    assert (papers.bundle, papers.authority_key) == (new.bundle, new.authority_key)
    assert server_of(papers).serial_number != server_of(new).serial_number
    server_of(new).verify_directly_issued_by(authorities_of(new)[0])


def test_other_names_need_another_certificate() -> None:
    papers = begun()
    new = renewed(papers, ("elsewhere.svc",), NOW, trusted=papers.bundle)
    assert new is not None
    assert papers.server != new.server


def test_a_new_authority_is_trusted_before_it_is_shown() -> None:
    papers = begun()
    late = NOW + AUTHORITY_LIFE * 0.67
    appended = renewed(papers, NAMES, late, trusted=papers.bundle)
    assert appended is not None
    old, new = authorities_of(appended)
    assert (papers.server, True) == (appended.server, appended.bundle.startswith(papers.bundle))
    assert renewed(appended, NAMES, late, trusted=papers.bundle) is None  # nobody trusts it yet
    shown = renewed(appended, NAMES, late, trusted=appended.bundle)
    assert shown is not None
    server_of(shown).verify_directly_issued_by(new)
    assert appended.bundle == shown.bundle
    assert old.not_valid_after_utc > late


def test_an_authority_that_has_expired_is_forgotten() -> None:
    papers = begun()
    late = NOW + AUTHORITY_LIFE * 0.67
    appended = renewed(papers, NAMES, late, trusted=papers.bundle)
    assert appended is not None
    end = NOW + AUTHORITY_LIFE + timedelta(days=1)
    new = renewed(appended, NAMES, end, trusted=appended.bundle)
    assert new is not None
    assert authorities_of(appended)[1:] == authorities_of(new)


@pytest.mark.parametrize(
    "broken",
    [
        lambda good: replace(good, server=b""),
        lambda good: replace(good, server_key=begun().server_key),
        lambda good: replace(good, bundle=b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"),
        lambda good: replace(good, bundle=b""),
        lambda good: replace(good, authority_key=b"none"),
    ],
    ids=["no certificate", "another key", "no authority", "no bundle", "no authority's key"],
)  # fmt: skip
def test_what_does_not_fit_together_is_made_anew(broken: Any) -> None:
    new = renewed(broken(begun()), NAMES, NOW, trusted=b"")
    assert new is not None
    server_of(new).verify_directly_issued_by(authorities_of(new)[-1])
    context_of(new.server, new.server_key)


class Cluster:
    """As much of an API as the keeper sees: one Secret, one configuration, versions."""

    def __init__(self) -> None:
        webhooks = [{"name": name, "clientConfig": {"url": "https://x"}} for name in ("annotated", "enabled")]
        self.objects: dict[str, dict[str, Any]] = {
            f"{CONFIGURATIONS}/cleanhours": {"metadata": {"resourceVersion": "1"}, "webhooks": webhooks}
        }
        self.writes: list[str] = []
        self.down = False

    def get(self, path: str) -> dict[str, Any]:
        if self.down:
            raise TemporaryError("nobody answers")
        if path not in self.objects:
            raise Missing(f"no {path}")
        return self.objects[path]

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.writes.append("create")
        body["metadata"]["resourceVersion"] = "1"
        self.objects[f"{path}/{body['metadata']['name']}"] = body
        return body

    def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.writes.append("replace")
        if body["metadata"]["resourceVersion"] != self.objects[path]["metadata"]["resourceVersion"]:
            raise Conflict("changed")
        return self._store(path, body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.writes.append("patch")
        return self._store(path, {**self.objects[path], **body})

    def _store(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        version = str(int(body["metadata"]["resourceVersion"]) + 1)
        self.objects[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return self.objects[path]


class Leads:
    def __init__(self, leads: bool) -> None:
        self.leads = leads

    def may_act(self) -> bool:
        return self.leads


KEEPING = Keeping(namespace="cleanhours", secret="tls", configuration="cleanhours", names=NAMES)


def keeper(
    cluster: Cluster, shown: list[ssl.SSLContext], *, leads: bool = True, keeping: Keeping = KEEPING
) -> CertificateKeeper:
    return CertificateKeeper(
        keeping, api=cluster, leadership=Leads(leads), clock=FakeClock(NOW), use=shown.append
    )


def bundles(cluster: Cluster) -> set[bytes]:
    webhooks = cluster.objects[f"{CONFIGURATIONS}/cleanhours"]["webhooks"]
    return {base64.b64decode(one["clientConfig"].get("caBundle", "")) for one in webhooks}


def test_the_leader_makes_the_secret_and_every_webhook_trusts_it() -> None:
    cluster = Cluster()
    shown: list[ssl.SSLContext] = []
    leader = keeper(cluster, shown)
    assert KEEPING.beat_s == leader.beat()
    leader.beat()
    assert (["create", "patch"], 1) == (cluster.writes, len(shown))
    assert {papers_of(cluster.objects[KEEPING.path]).bundle} == bundles(cluster)
    assert (
        "https://x" == cluster.objects[f"{CONFIGURATIONS}/cleanhours"]["webhooks"][0]["clientConfig"]["url"]
    )


def test_a_follower_waits_for_the_leaders_certificate_and_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    shown: list[ssl.SSLContext] = []
    follower = keeper(cluster, shown, leads=False)
    assert [KEEPING.first_beat_s] * 2 == [follower.beat(), follower.beat()]
    assert [
        "the webhook's certificate: Secret tls is not there yet: the webhook answers nobody"
    ] == caplog.messages
    keeper(cluster, []).beat()
    assert (KEEPING.beat_s, 1) == (follower.beat(), len(shown))
    assert ["create", "patch"] == cluster.writes


def test_what_others_manage_is_shown_and_never_written() -> None:
    cluster = Cluster()
    shown: list[ssl.SSLContext] = []
    keeper(cluster, []).beat()
    writes = list(cluster.writes)
    keeper(cluster, shown, keeping=replace(KEEPING, managed=False)).beat()
    assert (writes, 1) == (cluster.writes, len(shown))


def test_a_secret_that_somebody_broke_is_made_anew_and_what_was_trusted_stays_so() -> None:
    cluster = Cluster()
    shown: list[ssl.SSLContext] = []
    leader = keeper(cluster, shown)
    leader.beat()
    before = papers_of(cluster.objects[KEEPING.path]).bundle
    del cluster.objects[KEEPING.path]["data"]["tls.key"]
    leader.beat()
    after = papers_of(cluster.objects[KEEPING.path])
    assert (2, True) == (len(shown), after.bundle.startswith(before))
    assert {after.bundle} == bundles(cluster)


def test_keys_that_do_not_fit_are_told_and_the_old_certificate_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster()
    shown: list[ssl.SSLContext] = []
    keeper(cluster, []).beat()
    other = replace(KEEPING, managed=False)
    follower = keeper(cluster, shown, keeping=other)
    follower.beat()
    cluster.objects[KEEPING.path]["data"]["tls.key"] = base64.b64encode(begun().server_key).decode()
    follower.beat()
    follower.beat()
    assert 1 == len(shown)
    assert 1 == len(
        [line for line in caplog.messages if "tls.crt and tls.key are no certificate and its key" in line]
    )


def test_trouble_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    cluster = Cluster()
    leader = keeper(cluster, [])
    leader.beat()
    cluster.down = True
    leader.beat()
    leader.beat()
    cluster.down = False
    leader.beat()
    told = [
        line
        for line in caplog.messages
        if line.startswith("the webhook's certificate") and "renewed" not in line
    ]
    assert ["the webhook's certificate: nobody answers", "the webhook's certificate is in order"] == told


def test_who_wrote_in_between_goes_first() -> None:
    """Two replicas that both believe to lead: one certificate is kept, and shown by both."""
    cluster = Cluster()
    first: list[ssl.SSLContext] = []
    second: list[ssl.SSLContext] = []
    one, other = keeper(cluster, first), keeper(cluster, second)
    one.beat()
    other.beat()
    assert (["create", "patch"], 1, 1) == (cluster.writes, len(first), len(second))
