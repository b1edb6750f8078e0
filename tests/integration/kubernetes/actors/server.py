"""An API server spoken to in raw JSON, independently of what is tested."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests
from kubernetes import client, config

Object = dict[str, Any]
_MERGE: Final = "application/merge-patch+json"
_MOST_PATIENCE_S: Final = 20


class Refused(Exception):
    """The server's answer, where it is not what was asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Server:
    """The API server of a kubeconfig. Paths are as in the API, such as `/apis/batch/v1/namespaces/x/jobs/y`."""

    def __init__(self, kubeconfig: Path) -> None:
        library: Any = config
        found: Any = client.Configuration()
        library.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
        self._url = str(found.host)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(found.ssl_ca_cert)
        if found.cert_file:
            self._session.cert = (found.cert_file, found.key_file)
        if token := found.api_key.get("BearerToken") or found.api_key.get("authorization"):
            self._session.headers["Authorization"] = str(token)

    def get(self, path: str) -> Object:
        return self._ask("GET", path)

    def find(self, path: str) -> Object | None:
        """None where there is none."""
        try:
            return self.get(path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def items(self, path: str, selector: Mapping[str, str] | None = None) -> list[Object]:
        """A collection's objects, with these labels."""
        words = ",".join(f"{key}={value}" for key, value in (selector or {}).items())
        found: list[Object] = self._ask("GET", path, {"labelSelector": words} if words else None)["items"]
        return found

    def create(self, path: str, body: Object) -> Object:
        return self._ask("POST", path, body=body)

    def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch."""
        return self._ask("PATCH", path, body=body, content=_MERGE)

    def put(self, path: str, body: Object) -> Object:
        return self._ask("PUT", path, body=body)

    def delete(self, path: str) -> None:
        try:
            self._ask("DELETE", path, body={"propagationPolicy": "Background"})
        except Refused as refused:
            if refused.status != 404:
                raise

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = "application/json",
    ) -> Object:
        headers = {"Content-Type": content}
        patience_s = _MOST_PATIENCE_S
        while True:
            answer = self._session.request(
                method, self._url + path, params=query, json=body, headers=headers, timeout=30
            )
            if answer.status_code != 429 or not patience_s:
                break
            patience_s -= 1
            time.sleep(1)  # the storage of a new kind is being made
        told: Object = answer.json()
        if not answer.ok:
            raise Refused(answer.status_code, str(told.get("message", "")))
        return told
