"""How connections to upstreams are made where a definition or the settings do not leave that to the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from services.common.remembered import Remembered

T = TypeVar("T")

ANY_HOST: Final = "*"
_REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True)
class ForwardProxy:
    """A proxy that connections to upstreams go through. authorization: the value of `Proxy-Authorization`, b"" = none."""

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """How connections to one upstream are made; what has the same route may share them.

    verify: whether its certificate must be trusted. pins: SHA-256 of the public keys that it may have, in hexadecimal digits, none = any.
    minimum, maximum: numbers of versions of TLS, 0 = the usual ones. ciphers: OpenSSL's names with `:`, "" = the usual ones. common_name:
    whether the common name of its certificate must be its host. certificate: the name of the one that is shown to it, "" = none. proxy:
    None = that of the settings.
    """

    verify: bool = True
    pins: frozenset[str] = frozenset()
    minimum: int = 0
    maximum: int = 0
    ciphers: str = ""
    common_name: bool = False
    certificate: str = ""
    proxy: ForwardProxy | None = None


class Routes:
    """The routes of one API. usual: for hosts that are not named. pins, certificates: by host; `*.example.com` is every host below it, `*`
    every host.
    """

    __slots__ = ("_certificates", "_found", "_pins", "_usual")

    def __init__(self, usual: Route, pins: Mapping[str, frozenset[str]], certificates: Mapping[str, str]) -> None:
        self._usual = usual
        self._pins = pins
        self._certificates = certificates
        self._found: Remembered[str, Route] = Remembered(_REMEMBERED)

    def of(self, host: str) -> Route:
        """Return the route to a host."""
        try:
            return self._found[host]
        except KeyError:
            pins = named(self._pins, host, frozenset())
            route = replace(self._usual, pins=pins, certificate=named(self._certificates, host, ""))
            return self._found.keep(host, route, len(host))


def named(by_host: Mapping[str, T], host: str, otherwise: T) -> T:
    """Return what stands beside a host: its own name before the longest `*.` that it is below, and that before `*`."""
    found = by_host.get(host)
    rest = host
    while found is None and "." in rest:
        rest = rest.partition(".")[2]
        found = by_host.get(f"*.{rest}")
    if found is None:
        found = by_host.get(ANY_HOST)
    return otherwise if found is None else found
