"""Lets in only the addresses that a definition allows, and none that it blocks. Asked before everything else, replies included.

The address is that of the connection, or the one that a trusted proxy names; no header of another client can change it.

Fields:
* `enable_ip_whitelisting` (1.3): Lets in only the addresses in `allowed_ips`. Differs: With an empty list it refuses everybody, as in 1.4;
  from 2.3 on Tyk lets everybody in.
* `allowed_ips` (1.3): Addresses and networks, IPv4 and IPv6 (`10.0.0.0/8`, `2001:db8::/32`). Differs: `X-Forwarded-For` counts from trusted
  proxies only; from 2.3 on Tyk believes it of any client.
* `enable_ip_blacklisting` (2.6): Refuses the addresses in `blacklisted_ips`.
* `blacklisted_ips` (2.6): Addresses and networks, as in `allowed_ips`.
* `ip_access_control_disabled` (5.8): Switches both lists off. They are still checked when the definition is saved.
Refusals: ip-refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.common.addresses import AddressSet, Network, parse_network
from services.common.remembered import Remembered
from services.gateway.definitions.checking import checked_texts
from services.gateway.definitions.reader import Mistake
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import IP_REFUSED, Refusal


@dataclass(frozen=True, slots=True)
class Spec:
    """allowed: None = every address. blocked: empty = no address."""

    allowed: tuple[Network, ...] | None
    blocked: tuple[Network, ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the lists that are switched on; the others are also checked."""
    allowed, blocked = (tuple(checked_texts(reader, name, _network)) for name in ("allowed_ips", "blacklisted_ips"))
    off = reader.flag("ip_access_control_disabled")
    allow_on, block_on = (reader.flag(name) and not off for name in ("enable_ip_whitelisting", "enable_ip_blacklisting"))
    return Spec(allowed if allow_on else None, blocked if block_on else ()) if allow_on or (block_on and blocked) else None


def _network(text: str) -> Network:
    try:
        return parse_network(text)
    except ValueError:
        raise ValueError(f"`{text}` is neither an IP address nor a network (10.0.0.0/8, 2001:db8::/32)") from None


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of an empty list that refuses everybody."""
    spec = fields(reader)
    if spec is not None and spec.allowed == ():
        yield Mistake("/allowed_ips", "the list is switched on and empty: every address is refused")


def build(spec: Spec, ports: Ports) -> IpFilter:
    """Compile the two lists."""
    return IpFilter(None if spec.allowed is None else AddressSet(spec.allowed), AddressSet(spec.blocked) if spec.blocked else None)


class IpFilter:
    """The two lists, compiled; the answer for an address is remembered."""

    __slots__ = ("_allowed", "_blocked", "_passed")

    def __init__(self, allowed: AddressSet | None, blocked: AddressSet | None) -> None:
        self._allowed = allowed
        self._blocked = blocked
        self._passed: Remembered[str, bool] = Remembered()

    def on_request(self, exchange: Exchange) -> None:
        client = exchange.client
        if client in self._passed:
            return
        if self._allowed is not None and client not in self._allowed:
            raise Refusal(IP_REFUSED, detail=f"The address {client} is not among those that this API allows.")
        if self._blocked is not None and client in self._blocked:
            raise Refusal(IP_REFUSED, detail=f"The address {client} is blocked.")
        self._passed.keep(client, True)
