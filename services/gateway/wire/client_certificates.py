"""The certificate that a client has shown in its TLS handshake, and with it the proof that it has the private key.

OpenSSL verifies against the certificates that are trusted here, which may be those of single clients or of authorities. It does not look
at their times (`_FLAGS`): an expired certificate is told so by whoever asks for one, and does not keep its client from what asks
for none.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Final, NamedTuple

# X509_V_FLAG_PARTIAL_CHAIN: a certificate that is trusted itself needs no issuer. X509_V_FLAG_NO_CHECK_TIME, which Python does not name.
_FLAGS: Final = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(0x200000)
# After so many, a context is replaced: what it remembers is needed for as long as its sessions can be resumed.
_MOST_REMEMBERED: Final = 20_000
_DER: Final = 2


class Link(NamedTuple):
    """A certificate of a chain. fingerprint: SHA-256 of its DER form, in hexadecimal digits. not_before, not_after: epoch seconds between
    which it and all that come before it in the chain are valid.
    """

    fingerprint: str
    not_before: float
    not_after: float

    def is_valid(self, now: float) -> bool:
        """now: epoch seconds."""
        return self.not_before <= now <= self.not_after

    @property
    def times(self) -> str:
        """Say when it is valid."""
        since, until = (dt.datetime.fromtimestamp(one, dt.UTC) for one in (self.not_before, self.not_after))
        return f"The certificate is valid from {since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC."


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """issuers: the authorities that vouch for it, as OpenSSL has verified them, the nearest first; the last one is trusted."""

    own: Link
    issuers: tuple[Link, ...] = ()

    @property
    def fingerprint(self) -> str:
        return self.own.fingerprint

    def is_valid(self, now: float) -> bool:
        """now: epoch seconds."""
        return self.own.is_valid(now)


class ServerTls:
    """The context of a port, and what its handshakes have shown.

    A resumed session brings the client's own certificate and not its chain, so the chains are remembered for as long as the context lives.
    Sessions are resumed with the context that began them, and with no other: each has keys of its own for its tickets.
    """

    __slots__ = ("_known", "context")

    def __init__(self, context: ssl.SSLContext, trusted: Iterable[bytes] = ()) -> None:
        """trusted: certificates (DER) of clients or authorities; without any, clients are not asked for theirs."""
        self.context = context
        self._known: dict[str, ClientCertificate] = {}
        self.trust(trusted)

    def trust(self, trusted: Iterable[bytes]) -> None:
        """Trust these certificates as well."""
        together = b"".join(trusted)
        if together:
            import cryptography.x509  # noqa: F401  # now, for `_links`: the loop must not wait for it in a handshake

            self.context.load_verify_locations(cadata=together)
            self.context.verify_flags |= _FLAGS
            self.context.verify_mode = ssl.CERT_OPTIONAL

    @property
    def is_full(self) -> bool:
        """Whether it is time for another context."""
        return len(self._known) >= _MOST_REMEMBERED

    def certificate_of(self, connection: ssl.SSLObject) -> ClientCertificate | None:
        """Return what the client of a connection has shown, after the handshake. Raises OSError for what cannot be read."""
        if self.context.verify_mode is ssl.CERT_NONE:
            return None
        der = connection.getpeercert(True)
        if der is None:
            return None
        fingerprint = fingerprint_of(der)
        if connection.session_reused and fingerprint in self._known:
            return self._known[fingerprint]
        try:
            own, *issuers = _links(verified_chain(connection) or [der])
        except ValueError as error:  # OpenSSL reads what another parser does not
            raise ConnectionAbortedError from error
        shown = self._known[fingerprint] = ClientCertificate(own, tuple(issuers))
        return shown


def fingerprint_of(der: bytes) -> str:
    """Return the SHA-256 of a certificate, in hexadecimal digits."""
    return hashlib.sha256(der).hexdigest()


def verified_chain(connection: Any) -> list[bytes]:
    """Return the chain that OpenSSL has verified (DER), from the client's own to one that is trusted; none of a resumed session."""
    if hasattr(connection, "get_verified_chain"):  # Python 3.13
        return list(connection.get_verified_chain())
    return [one.public_bytes(_DER) for one in connection._sslobj.get_verified_chain() or ()]


def _links(chain: Iterable[bytes]) -> list[Link]:
    from cryptography import x509  # here: a port that asks for no certificates does without it

    found = []
    since, until = -inf, inf
    for der in chain:
        certificate = x509.load_der_x509_certificate(der)
        since = max(since, certificate.not_valid_before_utc.timestamp())
        until = min(until, certificate.not_valid_after_utc.timestamp())
        found.append(Link(fingerprint_of(der), since, until))
    return found
