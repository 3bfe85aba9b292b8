"""Finds a key by the certificate that the client has shown in its TLS handshake.

It takes the place of auth_key where `auth.use_certificate` is set. The key was created with the `certificate` of its client; it has no
secret, and its name, which everybody may know who knows the certificate, opens nothing.

Refusals: certificate-for-key-missing, certificate-unknown, certificate-expired.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.certificates import FINGERPRINT, CertificateFinder
from services.gateway.keys.model import Key, KeyFinder, certificate_hash
from services.gateway.ports import Ports
from services.gateway.refusals import CERTIFICATE_EXPIRED, CERTIFICATE_FOR_KEY_MISSING, CERTIFICATE_UNKNOWN, Refusal


@dataclass(frozen=True, slots=True)
class Spec:
    """org_id: of the keys. is_base: whether their limits count."""

    org_id: str
    is_base: bool


def fields(reader: DefinitionReader) -> Spec | None:
    """Return whose keys count; None when the API does not find them by a certificate."""
    way = reader.definition.ways.get("auth_token")
    if way is None or not way.places.use_certificate:
        return None
    return Spec(reader.definition.org_id or DEFAULT_ORG, way.is_base)


def build(spec: Spec, ports: Ports) -> CertificateKey:
    """Build the check from the keys and what is known of certificates."""
    return CertificateKey(spec, ports.keys, ports.certificates, ports.now)


class CertificateKey:
    """Sets the exchange's key and `exchange.presented_key`, which is the fingerprint of the certificate."""

    __slots__ = ("_certificates", "_find_hash", "_is_base", "_now", "_org_id")

    def __init__(self, spec: Spec, keys: KeyFinder, certificates: CertificateFinder, now: Callable[[], float]) -> None:
        self._find_hash = keys.find_hash
        self._certificates = certificates
        self._now = now
        self._org_id = spec.org_id
        self._is_base = spec.is_base

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        shown = exchange.certificate
        if shown is None:
            self._certificates.check_loaded()
            raise Refusal(CERTIFICATE_FOR_KEY_MISSING)
        exchange.presented_key = shown.fingerprint
        if not shown.is_valid(self._now()):
            raise Refusal(CERTIFICATE_EXPIRED, detail=shown.own.times)
        key = self._find_hash(certificate_hash(self._org_id + shown.fingerprint))
        if key is None or isinstance(key, Key):
            self._passed(exchange, key)
            return None
        return self._wait(exchange, key)

    async def _wait(self, exchange: Exchange, finding: Awaitable[Key | None]) -> None:
        self._passed(exchange, await finding)

    def _passed(self, exchange: Exchange, key: Key | None) -> None:
        """Raises Refusal when there is no key, or its certificate was removed."""
        assert exchange.certificate is not None
        if (
            key is None
            or key.certificate[-FINGERPRINT:] != exchange.certificate.fingerprint
            or not self._certificates.holds(key.certificate)
        ):
            raise Refusal(CERTIFICATE_UNKNOWN)
        exchange.add_key(key, self._is_base)
