"""An API server in this process, as much of one as the plumbing can see: objects, versions, pages, and scripted answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.connecting import find_connection

TOKEN = "s3cret-t0ken"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """`body` is sent as JSON; with `lines` the answer is a stream of them, which `held` keeps open at its end."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: Iterable[Any] | None = None
    held: threading.Event | None = None


RESET = Answer(status=0)
"""No answer: the connection is closed."""


def status(code: int, message: str = "", reason: str = "") -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": reason}


class Server:
    """Answers what `script` says first, for any path that it is asked; after that it keeps objects, as an API server does."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Answer | Callable[[Asked], Answer | None]] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.version = 100
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                server._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815 - http.server's names

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def kubeconfig(self, folder: Path, user: Mapping[str, Any] | None = None) -> Path:
        path = folder / "kubeconfig"
        path.write_text(
            json.dumps(a_kubeconfig(self.url, {"token": TOKEN} if user is None else user)), "utf-8"
        )
        return path

    def api(self, folder: Path) -> Api:
        return Api(find_connection(self.kubeconfig(folder), environment={}), timeout_s=5)

    def methods(self) -> list[str]:
        return [one.method for one in self.asked]

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change an object behind everybody's back."""
        self.version += 1
        metadata = {"uid": path, **(body.get("metadata") or {}), "resourceVersion": str(self.version)}
        self.objects[path] = {**body, "metadata": metadata}
        return self.objects[path]

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        asked = Asked(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in handler.headers.items()},
            json.loads(raw) if raw else None,
        )
        with self._lock:
            self.asked.append(asked)
            answer = self._scripted(asked) or self._object(asked)
        if answer.status == 0:
            handler.close_connection = True
        elif answer.lines is None:
            self._send(handler, answer)
        else:
            self._stream(handler, answer)

    def _scripted(self, asked: Asked) -> Answer | None:
        if not self.script:
            return None
        first = self.script.pop(0)
        return first if isinstance(first, Answer) else first(asked)

    def _object(self, asked: Asked) -> Answer:
        found = self.objects.get(asked.path)
        if asked.method == "GET":
            return Answer(body=found) if found else self._collection(asked)
        if asked.method == "POST":
            path = f"{asked.path}/{asked.body['metadata']['name']}"
            taken = path in self.objects
            return (
                Answer(409, status(409, "exists", "AlreadyExists"))
                if taken
                else Answer(201, self.put(path, asked.body))
            )
        if found is None:
            return Answer(404, status(404, f"{asked.path} not found", "NotFound"))
        wanted = (asked.body.get("metadata") or {}).get("resourceVersion")
        if wanted not in (None, found["metadata"]["resourceVersion"]):
            return Answer(409, status(409, "the object has been modified", "Conflict"))
        return Answer(
            body=self.put(asked.path, asked.body if asked.method == "PUT" else {**found, **asked.body})
        )

    def _collection(self, asked: Asked) -> Answer:
        items = [one for path, one in sorted(self.objects.items()) if path.rpartition("/")[0] == asked.path]
        if not items:
            return Answer(404, status(404, f"{asked.path} not found", "NotFound"))
        begin, limit = int(asked.query.get("continue", 0)), int(asked.query.get("limit", len(items)))
        more = str(begin + limit) if begin + limit < len(items) else ""
        meta = {"resourceVersion": str(self.version), "continue": more}
        return Answer(body={"metadata": meta, "items": items[begin : begin + limit]})

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        handler.send_response_only(answer.status)
        for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _stream(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        handler.send_response_only(answer.status)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for line in answer.lines or ():
            raw = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
            handler.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
        if answer.held is not None:
            answer.held.wait(30)
        handler.wfile.write(b"0\r\n\r\n")


def a_kubeconfig(server: str, user: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "ada", "user": dict(user)}],
        "contexts": [{"name": "work", "context": {"cluster": "here", "user": "ada"}}],
        "current-context": "work",
    }
