"""Addresses to listen on, keys of clients, and failures of the network."""

from __future__ import annotations

import hmac
import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "", "example.org")]
    [True, True, True, False, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_same_key(given: str, expected: str) -> bool:
    """Compare keys in a time that does not tell how much of a wrong one is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


def is_of_http_client(error: BaseException) -> bool:
    """Tell whether an error is of the hub's HTTP client (no network, a proxy, silence), whichever of its releases.

    >>> is_of_http_client(ValueError("no"))
    False
    """
    return any(kind.__module__.startswith(("httpx", "httpcore")) for kind in type(error).__mro__)
