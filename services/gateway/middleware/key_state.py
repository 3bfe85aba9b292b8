"""Refuses keys that were switched off or have ended.

It looks at fields of the key: `is_inactive`, `expires` (epoch seconds; 0 or less = never), and `session_lifetime` (later Tyk), which takes
the place of the API's. A key with `mtls_static_certificate_bindings` counts only on connections whose client has shown one of these
certificates; in Tyk only for APIs with `use_mutual_tls_auth`.

Fields:
* `session_lifetime` (1.3): Seconds from the last change of a key after which this API no longer knows it; 0 = for ever. Differs: It counts
  for this API alone; in 1.4 it ends a key without access rights for all APIs.
* `session_lifetime_respects_key_expiration` (4.2): A key lives at least until it expires, and for ever when it never does, whatever the
  lifetime says.
Refusals: key-inactive, key-expired, key-unknown, certificate-of-another, certificate-expired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.certificates import FINGERPRINT, CertificateFinder
from services.gateway.keys.model import Key
from services.gateway.ports import Ports
from services.gateway.refusals import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_OF_ANOTHER,
    KEY_EXPIRED,
    KEY_INACTIVE,
    KEY_UNKNOWN,
    Refusal,
)

_OUTLIVED: Final = "The key has outlived %s session_lifetime; saving the key begins another one."


@dataclass(frozen=True, slots=True)
class Spec:
    """lifetime: seconds, 0 = for ever. until_expired: whether a key lives at least until it expires."""

    lifetime: int
    until_expired: bool


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the lifetime; None for a keyless API."""
    spec = Spec(reader.integer("session_lifetime"), reader.flag("session_lifetime_respects_key_expiration"))
    return None if reader.definition.use_keyless else spec


def build(spec: Spec, ports: Ports) -> KeyState:
    """Build the check with its clock."""
    return KeyState(spec, ports.certificates, ports.now)


class KeyState:
    """The check of one API. A key that is both inactive and expired is refused as inactive, as in Tyk."""

    __slots__ = ("_certificates", "_lifetime", "_now", "_until_expired")

    def __init__(self, spec: Spec, certificates: CertificateFinder, now: Callable[[], float]) -> None:
        self._certificates = certificates
        self._lifetime = spec.lifetime
        self._until_expired = spec.until_expired
        self._now = now

    def on_request(self, exchange: Exchange) -> None:
        key = exchange.key
        if key is None:
            raise Refusal(KEY_INACTIVE)
        if self._lifetime or not key.is_plain:
            self._check(exchange, key)
        if exchange.further_keys:
            for key in exchange.further_keys:
                self._check(exchange, key)

    def _check(self, exchange: Exchange, key: Key) -> None:
        if key.is_inactive:
            raise Refusal(KEY_INACTIVE)
        if 0 < key.expires <= self._now():
            raise Refusal(KEY_EXPIRED)
        lifetime = key.lifetime or self._lifetime
        # One that lives at least until it expires either has done so, above, or does not end here.
        if lifetime and key.saved_at + lifetime <= self._now() and not self._until_expired:
            raise Refusal(KEY_UNKNOWN, detail=_OUTLIVED % ("its" if key.lifetime else "this API's"))
        if key.certificates:
            self._check_certificate(exchange, key)

    def _check_certificate(self, exchange: Exchange, key: Key) -> None:
        shown = exchange.certificate
        if shown is None:
            self._certificates.check_loaded()
            raise Refusal(CERTIFICATE_OF_ANOTHER, detail="The key counts only together with one of its certificates; show it.")
        if not any(id[-FINGERPRINT:] == shown.fingerprint and self._certificates.holds(id) for id in key.certificates):
            raise Refusal(CERTIFICATE_OF_ANOTHER)
        if not shown.is_valid(self._now()):
            raise Refusal(CERTIFICATE_EXPIRED, detail=shown.own.times)
