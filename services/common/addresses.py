"""Internet addresses: read in one form, networks and sets of them, and the client behind trusted proxies; names of hosts.

Everywhere the same rules: an IPv4-mapped IPv6 address is IPv4, IPv6 is compressed and has no zone, and the host bits of a network may be
set (`10.1.2.3/8` is `10.0.0.0/8`, as in Go's ParseCIDR, by which Tyk reads the address lists of a definition, and in nginx).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from services.common.remembered import Remembered

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_HOST_BITS: Final = 64
_LONGEST_HOST: Final = 253
_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*")


def parse_address(text: str) -> Address:
    """Read an address in its one form. Raises ValueError."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network:
    """Read a network from an address or CIDR; host bits may be set, mapped IPv4 networks become IPv4. Raises ValueError."""
    network = ip_network(text.strip(), strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network(f"{mapped}/{network.prefixlen - 96}")
    return network


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read addresses and networks separated by commas or spaces. Raises ValueError that names every bad one."""
    found: list[Network] = []
    bad: list[str] = []
    for part in re.split(r"[\s,]+", text.strip()):
        try:
            if part:
                found.append(parse_network(part))
        except ValueError as error:
            bad.append(f"{part!r} ({error})")
    if bad:
        raise ValueError("must be a list of addresses and networks; wrong: " + ", ".join(bad))
    return tuple(found)


def group_of(address: str) -> str:
    """Say who counts as one client: an IPv4 address, or the /64 of an IPv6 address, because whoever has one address in it has all.

    A text that is not an address (the peer of a Unix socket) counts for itself.
    """
    try:
        parsed = parse_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return f"{IPv6Address(int(parsed) >> _HOST_BITS << _HOST_BITS)}/{_HOST_BITS}"
    return str(parsed)


def host_name(text: str) -> str:
    """Return a host in lower case and ASCII (IDNA), without a port. Raises ValueError."""
    host = text.lower().rstrip(".")
    # IDNA's time grows with the square of the length, so a long text is not encoded.
    if not host.isascii() and len(host) <= _LONGEST_HOST:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError(f"`{text}` is not a host name") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"`{text[:100]}` is not a host name (a name without port and path is expected)")
    return host


def bracketed(host: str) -> str:
    """Write a host as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int) -> str:
    """Write `host:port`, or `[v6]:port`."""
    return f"{bracketed(host)}:{port}"


class AddressSet:
    """Networks compiled once; membership by address text, remembered (at most 4096 answers at a time).

    Exact addresses are a set look-up; the others a scan of as many hash look-ups as there are different prefix lengths.
    """

    __slots__ = ("_answers", "_by_length")

    def __init__(self, networks: Iterable[Network]) -> None:
        self._answers: Remembered[str, bool] = Remembered()
        by_length: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            by_length.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
        self._by_length = by_length

    def __bool__(self) -> bool:
        return bool(self._by_length)

    def __contains__(self, address: str) -> bool:
        """Say whether a network holds this address; false for a text that is not one."""
        answer = self._answers.get(address)
        if answer is None:
            answer = self._answers.keep(address, self._look(address), len(address))
        return answer

    def _look(self, text: str) -> bool:
        try:
            address = parse_address(text)
        except ValueError:
            return False
        number = int(address)
        return any(version == address.version and number >> shift in prefixes for (version, shift), prefixes in self._by_length.items())


def client_behind(peer: str, forwarded: Sequence[str], proxies: AddressSet) -> str:
    """Find the client of a request that a trusted peer sent: the nearest address that is not one of the proxies.

    forwarded: entries of `X-Forwarded-For`, left to right. They are read from right to left, up to the first address that is not in
    `proxies`: the last one that somebody trusted wrote. An entry that is not an address ends the walk, because nothing to the left of it
    can be believed. peer: the answer when there is no entry.
    """
    client = peer
    for entry in reversed(forwarded):
        try:
            client = str(parse_address(_without_port(entry)))
        except ValueError:
            return client
        if client not in proxies:
            return client
    return client


def _without_port(entry: str) -> str:
    """Some proxies write `address:port`."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
