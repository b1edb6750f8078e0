"""HTTP/1.1 on bare sockets, as little of it as a proxy that does harm needs (RFC 9112)."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubernetes import client, config

Header = tuple[str, str]


class Behind:
    """The API server of a kubeconfig, with its credentials."""

    def __init__(self, kubeconfig: Path) -> None:
        library: Any = config
        found: Any = client.Configuration()
        library.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
        parts = urlsplit(found.host)
        self._host, self._port = str(parts.hostname), parts.port or 443
        self._tls = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if found.cert_file:
            self._tls.load_cert_chain(found.cert_file, found.key_file)
        self._authorization = str(found.api_key.get("BearerToken") or "")

    def connect(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), timeout=5)
        plain.settimeout(None)
        return self._tls.wrap_socket(plain, server_hostname=self._host)

    def request(self, method: str, target: str, headers: list[Header], body: bytes) -> bytes:
        ours = ("connection", "host", "content-length", "transfer-encoding", "expect")
        sent = [one for one in headers if one[0].lower() not in ours]
        sent += [("Host", f"{self._host}:{self._port}"), ("Connection", "close")]
        if body or method in ("POST", "PUT", "PATCH"):
            sent.append(("Content-Length", str(len(body))))
        if self._authorization and not value_of(headers, "authorization"):
            sent.append(("Authorization", self._authorization))
        return head_of(f"{method} {target} HTTP/1.1", sent) + body


class Reader:
    """Reads HTTP/1.1 from a socket (RFC 9112): heads, and bodies of known length or in chunks."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def head(self) -> tuple[str, list[Header]]:
        line = self._line()
        headers = []
        while text := self._line():
            name, _, value = text.partition(":")
            headers.append((name.strip(), value.strip()))
        return line, headers

    def whole_body(self, headers: list[Header]) -> bytes:
        """Without the framing of chunks."""
        if value_of(headers, "transfer-encoding").lower() == "chunked":
            return b"".join(piece for piece in self._chunks())
        return self._bytes(int(value_of(headers, "content-length") or 0))

    def pieces(self, headers: list[Header]) -> Iterator[bytes]:
        """As they come, framed as they were."""
        if value_of(headers, "transfer-encoding").lower() == "chunked":
            for piece in self._chunks():
                yield chunk_of(piece)
            yield b"0\r\n\r\n"
            return
        left = int(value_of(headers, "content-length") or 0)
        while left:
            piece = self._bytes(min(left, 65536))
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line().partition(";")[0], 16):
            yield self._bytes(size)
            self._line()
        while self._line():
            pass

    def _line(self) -> str:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self._buffer[:end]).decode("latin-1")
        del self._buffer[: end + 2]
        return line

    def _bytes(self, number: int) -> bytes:
        while len(self._buffer) < number:
            self._more()
        found = bytes(self._buffer[:number])
        del self._buffer[:number]
        return found

    def _more(self) -> None:
        piece = self._connection.recv(65536)
        if not piece:
            raise EOFError
        self._buffer += piece


def value_of(headers: list[Header], name: str) -> str:
    return next((value for one, value in headers if one.lower() == name), "")


def head_of(line: str, headers: list[Header]) -> bytes:
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


def chunk_of(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def broken(connection: socket.socket) -> bool:
    """Send RST instead of FIN, as a host that died and came back does."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False
