"""Finds the client's address: that of the TCP peer, or the one that a trusted proxy names.

Without `GATEWAY_TRUSTED_PROXIES` no header counts. When the peer is in it, all lines of `X-Forwarded-For` are read as `client_behind` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from services.common.addresses import AddressSet, Network, client_behind, parse_address
from services.common.remembered import Remembered

Headers = Sequence[tuple[bytes, bytes]]


def client_address(trusted: Iterable[Network]) -> Callable[[str, Headers], str]:
    """Return the function (peer, header lines as received) → client address, for one setting of trusted proxies.

    The peer's text comes from the socket; the client's address has the one form of `common.addresses`.
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
        return client_behind(client, forwarded_for(headers), proxies) if client in proxies else client

    return find


def forwarded_for(headers: Headers) -> list[str]:
    """Return the entries of all `X-Forwarded-For` lines, left to right."""
    entries: list[str] = []
    for name, value in headers:
        if len(name) == 15 and name.lower() == b"x-forwarded-for":
            entries += [entry.strip() for entry in value.decode("latin-1").split(",")]
    return entries
