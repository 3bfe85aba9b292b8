"""Refuses clients that have not shown one of the API's certificates in their TLS handshake (mutual TLS).

An authority among the certificates stands for all that it has issued, also by way of intermediate ones that the client sends along. The
gateway must speak TLS itself (`GATEWAY_TLS_CERTIFICATE`). No other field outranks this one: neither `use_keyless` nor a path list nor a
reply lets in a client without a certificate. A certificate that is removed from the gateway is refused at once, on open connections, too.
A gateway that started without its database answers 503 (`certificates-unavailable`).

Fields:
* `use_mutual_tls_auth` (2.4): Asks for a client certificate, whatever else the API asks for.
* `client_certificates` (2.4): The ids of the certificates that are let in, as `/tyk/certs` gives them. With an empty list nobody passes.
  Differs: Neither files nor certificates themselves can stand here. Of what a client sends, only its own certificate and the verified
  chain above it count. Ignored paths are not left out.
Refusals: certificate-missing, certificate-refused, certificate-expired, tls-missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.gateway.definitions.checking import checked_texts
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.values import certificate_id
from services.gateway.exchange import Exchange
from services.gateway.keys.certificates import FINGERPRINT, CertificateFinder
from services.gateway.ports import Ports
from services.gateway.refusals import CERTIFICATE_EXPIRED, CERTIFICATE_MISSING, CERTIFICATE_REFUSED, TLS_MISSING, Refusal
from services.gateway.wire.client_certificates import Link


@dataclass(frozen=True, slots=True)
class Spec:
    """ids: of the certificates that are let in."""

    ids: tuple[str, ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the certificates that are let in; None when the API asks for none."""
    if not reader.flag("use_mutual_tls_auth"):
        return None
    return Spec(tuple(checked_texts(reader, "client_certificates", certificate_id)))


def build(spec: Spec, ports: Ports) -> ClientCertificate:
    """Build the check from what is known of certificates."""
    return ClientCertificate(spec.ids, ports.certificates, ports.now)


class ClientCertificate:
    """The check of one API."""

    __slots__ = ("_allowed", "_certificates", "_now")

    def __init__(self, ids: tuple[str, ...], certificates: CertificateFinder, now: Callable[[], float]) -> None:
        self._certificates = certificates
        self._now = now
        allowed: dict[str, tuple[str, ...]] = {}
        for id in ids:
            allowed[id[-FINGERPRINT:]] = (*allowed.get(id[-FINGERPRINT:], ()), id)
        self._allowed: Mapping[str, tuple[str, ...]] = allowed

    def on_request(self, exchange: Exchange) -> None:
        shown = exchange.certificate
        if shown is None:
            if not exchange.secure:
                raise Refusal(TLS_MISSING)
            self._certificates.check_loaded()
            raise Refusal(CERTIFICATE_MISSING)
        now = self._now()
        invalid: Link | None = None
        for link in (shown.own, *shown.issuers):
            if any(map(self._certificates.holds, self._allowed.get(link.fingerprint, ()))):
                if link.is_valid(now):
                    return
                invalid = invalid or link
        if invalid is not None:
            raise Refusal(CERTIFICATE_EXPIRED, detail=invalid.times)
        raise Refusal(CERTIFICATE_REFUSED, message=f"Certificate with SHA256 {shown.fingerprint} not allowed")
