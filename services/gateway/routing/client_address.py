"""Who the client is: the address of the TCP peer, or, behind proxies that we trust, the one they name.

Without `GATEWAY_TRUSTED_PROXIES` no header counts. When the peer is in it, `X-Forwarded-For` is read from right to
left, over all of its lines, up to the first address that is not a trusted proxy: that is the last one written by
somebody we trust. An entry that is no address ends the walk, because nothing to the left of it can be believed.
Addresses are compared in one form: IPv4-mapped IPv6 addresses are IPv4, IPv6 is compressed and has no zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from services.common.remembered import Remembered

Network = IPv4Network | IPv6Network
Headers = Sequence[tuple[bytes, bytes]]

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """An address in its one form. Raises ValueError."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network:
    """A network from an address or CIDR; host bits may be set, mapped IPv4 networks become IPv4. Raises ValueError."""
    network = ip_network(text.strip(), strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network(f"{mapped}/{network.prefixlen - 96}")
    return network


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
        """False for a text that is no address."""
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


def client_address(trusted: Iterable[Network]) -> Callable[[str, Headers], str]:
    """The function (peer, header lines as received) → client address, for one setting of trusted proxies.

    The peer's text comes from the socket; what is returned is in the one form of this module.
    """
    proxies = AddressSet(trusted)
    forms: Remembered[str, str] = Remembered()

    def one_form(peer: str) -> str:
        form = forms.get(peer)
        if form is None:
            try:
                form = str(parse_address(peer))
            except ValueError:  # a peer without an address (a Unix socket)
                form = peer
            forms.keep(peer, form)
        return form

    if not proxies:
        return lambda peer, headers: one_form(peer)

    def find(peer: str, headers: Headers) -> str:
        client = one_form(peer)
        if client not in proxies:
            return client
        for entry in reversed(forwarded_for(headers)):
            try:
                client = str(parse_address(_without_port(entry)))
            except ValueError:
                return client
            if client not in proxies:
                return client
        return client

    return find


def forwarded_for(headers: Headers) -> list[str]:
    """The entries of all `X-Forwarded-For` lines, left to right."""
    entries: list[str] = []
    for name, value in headers:
        if len(name) == 15 and name.lower() == b"x-forwarded-for":
            entries += [entry.strip() for entry in value.decode("latin-1").split(",")]
    return entries


def _without_port(entry: str) -> str:
    """Some proxies write `address:port`."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
