"""Finding a cluster: kubeconfigs, contexts, plugins and Pods, each as people have them, whole and broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.clusters.kubernetes.api import Api, connect
from cleanhours_plugins.clusters.kubernetes.connecting import find_connection
from tests.unit.plugins.clusters.kubernetes.servers import TOKEN, Answer, Server, a_kubeconfig

SECRET = "hidden-t0ken"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        server.script = [Answer(body={})]
        yield server


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def the_error(kubeconfig: Path | None = None, context: str | None = None, **more: Any) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        find_connection(kubeconfig, context, **{"environment": {}, **more})
    told = str(refusal.value)
    assert "\n" not in told
    assert SECRET not in told
    return told


def authorization(server: Server, kubeconfig: Path | None, **more: Any) -> str:
    """What the server is told by who comes over that connection."""
    api = Api(find_connection(kubeconfig, **{"environment": {}, **more}))
    api.get("/version")
    api.close()
    return server.asked[-1].headers.get("authorization", "")


# --- kubeconfigs ----------------------------------------------------------------------------------------------------


def test_a_kubeconfig_leads_to_its_current_context(server: Server, tmp_path: Path) -> None:
    assert f"Bearer {TOKEN}" == authorization(server, server.kubeconfig(tmp_path))


def test_another_context_is_chosen_by_its_name(server: Server, tmp_path: Path) -> None:
    content = a_kubeconfig(server.url, {"token": TOKEN})
    content["users"].append({"name": "bob", "user": {"token": "b"}})
    content["contexts"].append({"name": "play", "context": {"cluster": "here", "user": "bob"}})
    path = written(tmp_path / "config", content)
    assert "Bearer b" == authorization(server, path, context="play")
    assert f"kubeconfig {path}: has no context 'plya' (known: play, work)" == the_error(path, "plya")


def test_the_environment_may_name_several_files_some_of_them_missing(server: Server, tmp_path: Path) -> None:
    content = a_kubeconfig(server.url, {"token": TOKEN})
    users = written(tmp_path / "users", {"users": content.pop("users"), "clusters": [], "contexts": []})
    rest = written(tmp_path / "rest", content)
    environment = {"KUBECONFIG": f"{tmp_path / 'missing'}:{rest}:{users}"}
    assert f"Bearer {TOKEN}" == authorization(server, None, environment=environment)


def test_a_users_token_may_lie_in_a_file_of_its_own(server: Server, tmp_path: Path) -> None:
    token = written(tmp_path / "token", TOKEN)
    assert f"Bearer {TOKEN}" == authorization(server, server.kubeconfig(tmp_path, {"tokenFile": str(token)}))


def test_an_exec_plugin_is_asked_for_credentials(server: Server, tmp_path: Path) -> None:
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    path = server.kubeconfig(tmp_path, an_exec(f"echo '{json.dumps(told)}'"))
    assert f"Bearer {TOKEN}" == authorization(server, path)


def test_an_exec_plugin_that_fails_is_an_error_and_not_an_anonymous_user(
    server: Server, tmp_path: Path
) -> None:
    path = server.kubeconfig(tmp_path, an_exec(f"echo {SECRET}; exit 3"))
    assert (
        f"kubeconfig {path}, context 'work': the exec plugin 'sh' gave no credentials; run it by hand"
        == the_error(path)
    )


def an_exec(script: str) -> dict[str, Any]:
    version = "client.authentication.k8s.io/v1"
    return {
        "exec": {"apiVersion": version, "command": "sh", "args": ["-c", script], "interactiveMode": "Never"}
    }


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    assert f"kubeconfig: found no file {str(path)!r}" == the_error(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Invalid kube-config. "),
        (f"users: [\n- token: {SECRET}\n}}", "no YAML: "),
        ("- a list", "not of the shape of a kubeconfig"),
        ("hello", "not of the shape of a kubeconfig"),
        ({"contexts": [{"name": "work"}]}, "Expected key context in"),
        (
            {"clusters": [], "contexts": [], "users": []},
            "has no current-context; give `context` (known: none)",
        ),
        ({"clusters": [], "contexts": [], "current-context": "work"}, "has no context 'work' (known: none)"),
    ],
)
def test_a_kubeconfig_that_is_none_says_what_is_wrong_in_one_line(
    tmp_path: Path, content: Any, said: str
) -> None:
    path = written(tmp_path / "config", content)
    told = the_error(path)
    assert told.startswith(f"kubeconfig {path}")
    assert said in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clusters": []}, "Expected object with name here in"),
        ({"clusters": [{"name": "here", "cluster": {}}]}, "server: found ''"),
        ({"users": [{"name": "ada", "users": {"token": SECRET}}]}, "Expected key user in"),
        ({"users": [{"name": "ada", "user": {"client-key-data": SECRET + "!"}}]}, ""),
    ],
)
def test_a_context_that_leads_nowhere_says_so_and_quotes_no_secret(
    tmp_path: Path, change: Mapping[str, Any], said: str
) -> None:
    content = {**a_kubeconfig("https://127.0.0.1:1", {"token": SECRET}), **change}
    told = the_error(written(tmp_path / "config", content))
    assert said in told


@pytest.mark.parametrize("url", ["127.0.0.1:6443", "ftp://here", "https://"])
def test_a_server_that_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    told = the_error(written(tmp_path / "config", a_kubeconfig(url, {"token": SECRET})))
    assert f"server: found {url.rstrip('/')!r}, accepted: a URL with https:// or http://" == told


# --- Pods -----------------------------------------------------------------------------------------------------------


def a_pod(server: Server, tmp_path: Path) -> dict[str, Any]:
    account = tmp_path / "account"
    written(account / "token", TOKEN)
    written(account / "ca.crt", "a certificate")
    host, _, port = server.url.removeprefix("http://").partition(":")
    return {
        "environment": {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "HOME": str(tmp_path),
        },
        "service_account": account,
    }


def test_a_pod_finds_its_own_cluster(server: Server, tmp_path: Path) -> None:
    connection = find_connection(**a_pod(server, tmp_path))
    assert server.url.replace("http:", "https:") == connection.server
    assert f"bearer {TOKEN}" == connection.headers()["authorization"]


def test_a_pod_with_a_kubeconfig_follows_the_kubeconfig(server: Server, tmp_path: Path) -> None:
    other = server.kubeconfig(tmp_path, {"token": "other"})
    assert "Bearer other" == authorization(server, other, **a_pod(server, tmp_path))


def test_a_pod_has_no_contexts(server: Server, tmp_path: Path) -> None:
    assert "context: found 'work', but a Pod's service account has none" == the_error(
        None, "work", **a_pod(server, tmp_path)
    )


def test_an_empty_token_is_no_service_account(server: Server, tmp_path: Path) -> None:
    pod = a_pod(server, tmp_path)
    written(pod["service_account"] / "token", "")
    assert f"service account in {pod['service_account']}: Token file exists but empty." == the_error(**pod)


def test_where_there_is_nothing_it_is_said_what_was_looked_for(tmp_path: Path) -> None:
    told = the_error(None, environment={"KUBECONFIG": "/no/a:/no/b"}, service_account=tmp_path)
    assert (
        "no Kubernetes to connect to: there is no kubeconfig at /no/a or /no/b, and this is no Pod (no service"
        f" account in {tmp_path}); give `kubeconfig`, or set KUBECONFIG"
    ) == told


# --- the library ----------------------------------------------------------------------------------------------------


def test_without_the_library_it_is_said_how_to_get_it() -> None:
    script = (
        "import sys; sys.modules['kubernetes'] = None\n"
        "from cleanhours_plugins.clusters.kubernetes.api import connect\n"
        "try: connect()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    expected = "the library `kubernetes` is not installed: pip install 'cleanhours[kubernetes]'"
    assert f"ConfigurationError {expected}" == told.strip()


def test_the_library_is_not_imported_before_somebody_connects() -> None:
    rooms = ("api", "watching", "electing", "errors")
    imports = "; ".join(f"import cleanhours_plugins.clusters.kubernetes.{room}" for room in rooms)
    script = f"{imports}; import sys; print('kubernetes' in sys.modules or 'urllib3' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "False" == told.strip()


def test_connecting_asks_nothing_of_the_server(tmp_path: Path) -> None:
    path = written(tmp_path / "config", a_kubeconfig("https://127.0.0.1:1", {"token": SECRET}))
    assert "https://127.0.0.1:1" == connect(path).server
