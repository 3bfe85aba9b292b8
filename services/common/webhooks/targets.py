"""Where webhooks may go: not into private networks, unless the operator names them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from services.common.addresses import Address, Network, parse_address

_NAT64: Final = IPv6Network("64:ff9b::/96")
# What Python 3.11 takes for public besides. Outside 2000::/3 nothing is global unicast (IANA): local NAT64 (RFC 8215) and the old ways to
# write an IPv4 address lead into the house; at 192.0.0.192 a cloud gives out its credentials.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_SPECIAL: Final = (IPv4Network("192.0.0.0/24"), IPv6Network("3fff::/20"))


class TargetRefused(Exception):
    """A webhook may not go there. The text says why."""


def checked_address(host: str, port: int, allowed: Sequence[Network]) -> str:
    """Return an address of the host that may be called. Raises TargetRefused, OSError when the name is not known."""
    found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for text in found:
        address = parse_address(str(text))
        if _is_public(address) or any(address in network for network in allowed):
            return str(address)
    raise TargetRefused("the target is in a private network")


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.sixtofour
        if inner is not None:  # what carries it on sees the IPv4 address
            return _is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _SPECIAL)
