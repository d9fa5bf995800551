"""Fetches an image from a web address, and from nowhere else: no inner network, no endless answer.

Every connection is checked, so a name that leads to an inner address is refused whether it stands in the row or in a
redirect. The address that was checked is the one that is connected to. Proxies of the environment are not used: behind
one, nobody could check.
"""

from __future__ import annotations

import http
import http.client
import ipaddress
import socket
import ssl
import string
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

from curate.config.images import ImageAccess
from curate.data.media import MAX_BYTES, RefusedImageError

SECONDS = 60.0  # for one image, redirects included
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # its last 32 bits are an IPv4 address


def fetch_image(uri: str, access: ImageAccess) -> bytes:
    """Fetch what stands at `uri`, at most one byte more than `MAX_BYTES`.

    Raises:
        RefusedImageError: `access` does not allow the address, or one that it redirects to.
        Exception: Whatever a wrong address or a broken answer leads to.
    """
    fetch = _Fetch(access)
    with fetch.deadline():
        for _ in range(_MAX_REDIRECTS + 1):
            response = _request(uri, fetch)
            if response.status not in _REDIRECTS:
                break
            uri = urljoin(uri, quote(response.getheader("Location", ""), safe=string.punctuation))
        if response.status != http.HTTPStatus.OK:
            raise OSError(f"status {response.status}")
        content = response.read(MAX_BYTES + 1)
    if fetch.late:  # the answer ended because we ended it
        raise TimeoutError(uri)
    return content


def _request(uri: str, fetch: _Fetch) -> http.client.HTTPResponse:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OSError("no web address")
    secure = parts.scheme == "https"
    # The port is given: http.client would look for one in an IPv6 address.
    port = parts.port if parts.port is not None else (443 if secure else 80)
    kind = _SecureConnection if secure else _Connection
    connection = kind(parts.hostname, port, timeout=SECONDS)
    connection.fetch = fetch
    fetch.opened.callback(connection.close)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", path, headers={"User-Agent": "curate", "Connection": "close"})
    response = connection.getresponse()
    fetch.opened.callback(response.close)
    return response


@dataclass(slots=True)
class _Fetch:
    """The connections that one image takes, and whether their time is over."""

    access: ImageAccess
    late: bool = False
    connections: list[socket.socket] = field(default_factory=list)
    opened: ExitStack = field(default_factory=ExitStack)

    @contextmanager
    def deadline(self) -> Iterator[None]:
        """End all connections after `SECONDS`: a server that sends a byte now and then would never time out."""
        timer = threading.Timer(SECONDS, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.opened.close()

    def connect(self, host: str, port: int) -> socket.socket:
        """Open a socket to a host that is named in the settings, or public."""
        addresses = resolve_host(host, port, self.access)
        for address in addresses[:-1]:
            with suppress(OSError):
                return self._open(address, port)
        return self._open(addresses[-1], port)

    def _open(self, address: str, port: int) -> socket.socket:
        connection = socket.create_connection((address, port), timeout=SECONDS)
        twin = self.opened.enter_context(connection.dup())  # TLS takes the socket away, but not its twin
        self.connections.append(twin)
        if self.late:
            self._end()
        return connection

    def _end(self) -> None:
        self.late = True
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    fetch: _Fetch

    def connect(self) -> None:
        self.sock = self.fetch.connect(self.host, self.port)


class _SecureConnection(http.client.HTTPSConnection):
    fetch: _Fetch

    def connect(self) -> None:
        connection = self.fetch.connect(self.host, self.port)
        self.sock = ssl.create_default_context().wrap_socket(connection, server_hostname=self.host)


def resolve_host(host: str, port: int, access: ImageAccess) -> list[str]:
    """Return the IP addresses of a host that is named in the settings, or public.

    Raises:
        RefusedImageError: The settings do not allow it.
        OSError: There is no such host.
    """
    named = not access.hosts.isdisjoint((host.lower(), f"{host.lower()}:{port}"))
    if not named and not access.http:
        raise RefusedImageError("an image is at a web address, which is not fetched (see images.http)")
    addresses = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not named and not all(map(_is_public, addresses)):
        raise RefusedImageError("an image is at a web address that is not public (see images.hosts)")
    return addresses


def _is_public(address: str) -> bool:
    """Tell whether an IP address, or the IPv4 address that it stands for, is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
    return ip.is_global and not ip.is_multicast
