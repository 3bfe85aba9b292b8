"""Lets in only the addresses that a definition allows, and none that it blocks. Asked before everything else, replies included.

Fields: `enable_ip_whitelisting` + `allowed_ips`, `enable_ip_blacklisting` + `blacklisted_ips`. A list that is switched on and empty
allows nobody. The address is the exchange's client: no header that an untrusted peer sends can change it.
Refusals: ip-refused.
"""

from __future__ import annotations

from services.common.addresses import AddressSet
from services.common.remembered import Remembered
from services.gateway.definitions.model import Definition
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import IP_REFUSED, Refusal


class IpFilter:
    """The two lists, compiled; the answer for an address is remembered."""

    __slots__ = ("_allowed", "_blocked", "_passed")

    def __init__(self, allowed: AddressSet | None, blocked: AddressSet | None) -> None:
        self._allowed = allowed
        self._blocked = blocked
        self._passed: Remembered[str, bool] = Remembered()

    @classmethod
    def from_definition(cls, definition: Definition, ports: Ports) -> IpFilter | None:
        allowed = None if definition.allowed_ips is None else AddressSet(definition.allowed_ips)
        blocked = AddressSet(definition.blacklisted_ips) if definition.blacklisted_ips else None
        return None if allowed is None and blocked is None else cls(allowed, blocked)

    def on_request(self, exchange: Exchange) -> None:
        client = exchange.client
        if client in self._passed:
            return
        if self._allowed is not None and client not in self._allowed:
            raise Refusal(IP_REFUSED, detail=f"The address {client} is not among those that this API allows.")
        if self._blocked is not None and client in self._blocked:
            raise Refusal(IP_REFUSED, detail=f"The address {client} is blocked.")
        self._passed.keep(client, True)
