"""What is said of a refusal, and what it is called: against a server in this process, and on bare answers."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import (
    ApiError,
    Conflict,
    Denied,
    Fenced,
    Gone,
    Missing,
    Refused,
    Unreachable,
    error_of,
    retry_after,
)
from tests.unit.plugins.clusters.kubernetes.servers import RESET, TOKEN, Answer, Server, status

JOBS = "/apis/batch/v1/jobs"
JOB = "/apis/batch/v1/namespaces/ours/jobs/train"
VERSIONED = {"metadata": {"resourceVersion": "1"}, "spec": {"suspend": False}}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Iterator[Api]:
    api = server.api(tmp_path)
    yield api
    api.close()


NO_RIGHT = (
    'jobs.batch is forbidden: User "system:serviceaccount:ours:cleanhours" cannot list resource "jobs" in API group'
    ' "batch" at the cluster scope'
)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (400, "the body is no JSON", Refused),
        (401, "Unauthorized", Denied),
        (403, NO_RIGHT, Denied),
        (403, 'forbidden: User "u" cannot get path "/version"', Denied),
        (403, "jobs.batch is forbidden: exceeded quota: small, requested: count/jobs=1", Refused),
        (404, "not found", Missing),
        (405, "not allowed", Refused),
        (409, "the object has been modified", Conflict),
        (410, "too old", Gone),
        (413, "too large", Refused),
        (422, "spec.template: field is immutable", Refused),
        (429, "too many requests", Unreachable),
        (500, "etcd is gone", Unreachable),
        (504, "time-out", Unreachable),
        (302, "elsewhere", Unreachable),
    ],
)
def test_each_status_is_named_for_what_happens_next_and_says_what_the_server_said(
    api: Api, server: Server, code: int, message: str, kind: type[ApiError]
) -> None:
    server.script = [Answer(code, status(code, message, "Why"))]
    with pytest.raises(kind) as refusal:
        api.patch(JOB, VERSIONED)
    assert kind is type(refusal.value)
    assert f"PATCH {JOB} answered {code}: {message}" == str(refusal.value)
    assert (code, "Why") == (refusal.value.status, refusal.value.reason)


def test_who_denies_needs_an_operator_and_who_is_away_comes_back() -> None:
    assert issubclass(Denied, ConfigurationError)
    for kind in (Unreachable, Conflict, Gone, Fenced):
        assert issubclass(kind, TemporaryError)
    assert timedelta(seconds=5) == Unreachable("away").delay
    assert timedelta() == Conflict("changed").delay


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7), ("0", 0), ("999999999999999", 600), ("soon", None), ("-1", None), ("²", None)],
)
def test_a_wish_for_a_pause_is_read_in_seconds(said: str, seconds: int | None) -> None:
    assert (None if seconds is None else timedelta(seconds=seconds)) == retry_after({"retry-after": said})
    error = error_of("GET", JOB, 503, {"retry-after": said}, b"")
    assert isinstance(error, Unreachable)
    assert timedelta(seconds=5 if seconds is None else seconds) == error.delay


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>\n<b>Bad\x1b[31m Gateway", "<html> <b>Bad [31m Gateway"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[1, 2]", "[1, 2]"),
        (b"x" * 5000, "x" * 400 + "…"),
        (b'{"message": null}', ""),
        (b"", ""),
    ],
)
def test_whatever_a_proxy_answers_is_shown_on_one_harmless_line(body: bytes, said: str) -> None:
    assert f"GET {JOB} answered 502" + (f": {said}" if said else "") == str(
        error_of("GET", JOB, 502, {}, body)
    )


@pytest.mark.parametrize("body", [b"hello", b"[]", b"", b"{"])
def test_a_success_that_is_no_object_is_no_api_servers_answer(api: Api, server: Server, body: bytes) -> None:
    server.script = [Answer(200, body)]
    with pytest.raises(Unreachable, match="no JSON object"):
        api.get(JOB)


def test_a_server_that_is_not_there_is_named_and_no_error_shows_a_token(
    server: Server, tmp_path: Path
) -> None:
    api = server.api(tmp_path)
    server.script = [Answer(401, status(401, "Unauthorized")), Answer(500, b"x"), RESET, RESET]
    told = []
    query = {"continue": f"{'a'}-page"}
    for _ in range(3):
        with pytest.raises(ApiError) as refusal:
            api.get(JOB, query)
        told.append("".join(traceback.format_exception(refusal.value)))
    server.__exit__()
    with pytest.raises(Unreachable, match=r"no answer from 127.0.0.1:\d+: .*Connection refused") as refusal:
        api.get(JOB)
    told.append("".join(traceback.format_exception(refusal.value)))
    assert TOKEN not in "".join(told)
    assert query["continue"] not in "".join(told)
