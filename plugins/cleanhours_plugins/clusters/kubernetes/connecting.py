"""Connecting: how an API server is found and trusted, by the official client's own rules. The only user of that library."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from cleanhours.domain.errors import ConfigurationError

CONNECTIONS: Final = 64
"""Kept open: one a watch, one a worker, and some to spare."""
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_KUBECONFIG: Final = "~/.kube/config"
_KEEP_ALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
]
"""A watch is silent for minutes: a peer that vanished is noticed after a minute all the same."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A pool of connections to one API server, and what each request must carry. Safe to share between threads.

    `pool.request(…)` is urllib3's; `failures` is what it raises, `resets` those of them that say that the
    connection broke after it had been made; `timeout(connect=…, read=…)` makes a time-out, in seconds. `namespace` is
    the kubeconfig context's, empty without.
    """

    server: str
    pool: Any
    headers: Callable[[], Mapping[str, str]]
    failures: tuple[type[Exception], ...]
    resets: tuple[type[Exception], ...]
    timeout: Callable[..., Any]
    namespace: str = ""


def find_connection(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """Find the server as kubectl does; nothing is asked of it yet.

    The kubeconfig given, else that of KUBECONFIG, else ~/.kube/config, else the Pod's own service account.
    Contexts, client certificates, exec plugins (asked again when their token expires), `proxy-url` and rotating
    service account tokens are the official client's business.

    Raises:
        ConfigurationError: in one line, naming what was looked for, found, and would have been right.
    """
    client, config = _library()
    configuration = client.Configuration()
    configuration.host = ""  # else a kubeconfig without a server would lead to this machine
    configuration.connection_pool_maxsize = CONNECTIONS
    configuration.socket_options = _KEEP_ALIVE
    sought = [str(kubeconfig)] if kubeconfig else _places(environment)
    found = [place for place in sought if Path(place).expanduser().is_file()]
    account = (service_account / "token", service_account / "ca.crt")
    namespace = ""
    if found:
        namespace = _read_kubeconfig(config, configuration, os.pathsep.join(found), context)
    elif kubeconfig is not None:
        raise ConfigurationError(f"kubeconfig: found no file {str(kubeconfig)!r}")
    elif all(one.is_file() for one in account) and environment.get("KUBERNETES_SERVICE_HOST"):
        if context:
            raise ConfigurationError(f"context: found {context!r}, but a Pod's service account has none")
        _read_service_account(config, configuration, account, environment)
    else:
        raise ConfigurationError(
            f"no Kubernetes to connect to: there is no kubeconfig at {' or '.join(sought)}, and this is no Pod"
            f" (no service account in {service_account}); give `kubeconfig`, or set KUBECONFIG"
        )
    return replace(_connection(client, config, configuration), namespace=namespace)


def _library() -> tuple[Any, Any]:
    try:
        from kubernetes import client, config
    except ImportError as error:
        if error.name and error.name.partition(".")[0] != "kubernetes":
            raise ConfigurationError(f"the library `kubernetes` lacks one of its own: {error.name}") from None
        raise ConfigurationError(
            "the library `kubernetes` is not installed: pip install 'cleanhours[kubernetes]'"
        ) from None
    return client, config


def _places(environment: Mapping[str, str]) -> list[str]:
    """KUBECONFIG may name several files, as PATH does; some of them may be missing."""
    named = [place for place in environment.get("KUBECONFIG", "").split(os.pathsep) if place]
    return named or [DEFAULT_KUBECONFIG]


def _read_kubeconfig(config: Any, configuration: Any, files: str, context: str | None) -> str:
    """`files` as KUBECONFIG names them; returns the context's namespace.

    Credentials that the library fails to get, it only logs: that is an error here.
    """
    rooms: ModuleType = config.kube_config
    broken = (OSError, ValueError, TypeError, LookupError, AttributeError)
    try:
        merged = rooms.KubeConfigMerger(files).config
        contexts = {} if merged is None else {one["name"]: one["context"] for one in merged["contexts"]}
        chosen = context if context is not None else merged and merged.safe_get("current-context")
        users = {one["name"]: one["user"] for one in (merged and merged.safe_get("users")) or []}
    except (config.ConfigException, rooms.yaml.YAMLError, *broken) as error:
        raise ConfigurationError(f"kubeconfig {files}: {_fault(error)}") from None
    known = f"known: {', '.join(sorted(map(str, contexts))) or 'none'}"
    if not chosen:
        raise ConfigurationError(f"kubeconfig {files}: has no current-context; give `context` ({known})")
    if chosen not in contexts:
        raise ConfigurationError(f"kubeconfig {files}: has no context {chosen!r} ({known})")
    try:
        config.load_kube_config(config_file=files, context=chosen, client_configuration=configuration)
        user = users.get(contexts[chosen].safe_get("user"))
        plugin = user["exec"]["command"] if user and "exec" in user else None
    except (config.ConfigException, rooms.yaml.YAMLError, *broken) as error:
        raise ConfigurationError(f"kubeconfig {files}, context {chosen!r}: {_fault(error)}") from None
    if plugin and not configuration.api_key and not configuration.cert_file:
        raise ConfigurationError(
            f"kubeconfig {files}, context {chosen!r}: the exec plugin {plugin!r} gave no credentials; run it by hand"
        )
    return str(contexts[chosen].safe_get("namespace") or "")


def _read_service_account(
    config: Any, configuration: Any, account: tuple[Path, Path], environment: Mapping[str, str]
) -> None:
    loader = config.incluster_config.InClusterConfigLoader(
        token_filename=str(account[0]), cert_filename=str(account[1]), environ=environment
    )
    try:
        loader.load_and_set(configuration)
    except (config.ConfigException, OSError) as error:
        raise ConfigurationError(f"service account in {account[0].parent}: {_fault(error)}") from None


def _fault(error: Exception) -> str:
    """What is wrong, without quoting the file: the library's messages show whole entries, tokens and all."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem:
        return f"no YAML: {problem}" + (f", line {mark.line + 1}" if mark else "")
    if isinstance(error, (TypeError, AttributeError, LookupError)):
        return "not of the shape of a kubeconfig (clusters, users and contexts, each a list of names)"
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return re.sub(r"\s*\{.*", " …", text, flags=re.DOTALL) or type(error).__name__


def _connection(client: Any, config: Any, configuration: Any) -> Connection:
    server = str(configuration.host).rstrip("/")
    if not re.match(r"https?://[^/]", server):
        raise ConfigurationError(f"server: found {server!r}, accepted: a URL with https:// or http://")
    try:
        pool = client.ApiClient(configuration).rest_client.pool_manager
    except (OSError, ValueError) as error:  # a proxy-url of no known scheme, certificates that are none
        raise ConfigurationError(f"cannot connect to {server}: {_fault(error)}") from None
    urllib3 = client.rest.urllib3
    agent = {"User-Agent": f"cleanhours/{_version()}", "Accept": "application/json"}

    def headers() -> Mapping[str, str]:
        settings = configuration.auth_settings().values()
        sent = {one["key"]: one["value"] for one in settings if one["in"] == "header" and one["value"]}
        return {**agent, **sent}

    return Connection(
        server=server,
        pool=pool,
        headers=headers,
        failures=(urllib3.exceptions.HTTPError, config.ConfigException, OSError),
        resets=(urllib3.exceptions.ProtocolError,),
        timeout=urllib3.Timeout,
    )


def _version() -> str:
    try:
        return version("cleanhours")
    except PackageNotFoundError:  # run from its source, not installed
        return "0"
