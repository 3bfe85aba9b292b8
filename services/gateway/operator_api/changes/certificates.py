"""Certificates of clients: checked, stored, and in force in every worker before the call answers. Private keys are not taken."""

from __future__ import annotations

import datetime as dt
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.gateway.definitions import values
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.certificates import StoredCertificate
from services.gateway.wire.client_certificates import fingerprint_of

if TYPE_CHECKING:  # it costs a worker memory, which most need not pay
    from cryptography import x509

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
_LONGEST: Final = 64 * 1024
_NOT_PEM: Final = "Failed to decode certificate. It should be PEM encoded."
_PRIVATE: Final = "The body holds a private key. Send the certificate alone: its key stays with the client, and nothing was stored"


@dataclass(frozen=True, slots=True)
class Added:
    """warnings: why clients may not get far with it."""

    id: str
    warnings: Sequence[str]
    unconfirmed: Sequence[str]


def add(gateway: Gateway, data: bytes, org_id: str) -> Added:
    """Store the one certificate (PEM) of `data`. org_id: whose it is, "" = of none. Raises OperatorRefusal."""
    org_id = org_id or gateway.caller.org_id
    gateway.caller.check(org_id)
    if org_id:
        try:
            values.identifier(org_id)
        except ValueError as error:
            raise refusals.organisation_id_wrong(error) from None
    certificate, der = _one(data)
    stored = StoredCertificate(org_id + fingerprint_of(der), org_id, ssl.DER_cert_to_PEM_cert(der))
    try:
        described(stored)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError) as error:
        raise refusals.certificate_invalid(f"The certificate cannot be used: {error}") from None
    if not gateway.certificates_store.add(stored):
        raise refusals.certificate_taken(stored.id)
    return Added(stored.id, list(_doubts(certificate)), gateway.publish_certificates())


def delete(gateway: Gateway, id: str) -> list[str]:
    """Delete a certificate, if it is there; return the workers that may not know yet."""
    return gateway.publish_certificates() if gateway.certificates_store.delete(id) else []


def existing(gateway: Gateway, ids: Sequence[str]) -> list[dict[str, Any] | None]:
    """Return what is to be said of certificates, None for one that is not stored."""
    found = gateway.certificates_store.of(ids)
    return [described(found[id]) if id in found else None for id in ids]


def described(stored: StoredCertificate) -> dict[str, Any]:
    """Return what is to be said of a certificate, in the shape of Tyk. Raises ValueError for one that cannot be read."""
    certificate = _parsed(ssl.PEM_cert_to_DER_cert(stored.pem))
    _check_extensions(certificate)
    return {
        "id": stored.id,
        "fingerprint": stored.id.removeprefix(stored.org_id),
        "has_private": False,
        "issuer": _name(certificate.issuer),
        "subject": _name(certificate.subject),
        "not_before": _time(certificate.not_valid_before_utc),
        "not_after": _time(certificate.not_valid_after_utc),
        "dns_names": _dns_names(certificate),
        "is_ca": _is_authority(certificate),
    }


def in_short(stored: StoredCertificate) -> dict[str, Any]:
    """As `described`, as lists with `mode=detailed` show it."""
    told = described(stored)
    names = ("id", "dns_names", "has_private", "not_before", "not_after", "is_ca")
    return {**{name: told[name] for name in names}, "issuer_cn": told["issuer"]["CommonName"], "subject_cn": told["subject"]["CommonName"]}


def _one(data: bytes) -> tuple[x509.Certificate, bytes]:
    """Return the certificate, parsed and in its DER form. Raises OperatorRefusal."""
    if len(data) > _LONGEST:
        raise refusals.certificate_invalid(f"The body is larger than {_LONGEST // 1024} KB")
    blocks = [(match[1].decode(), match[0]) for match in _BLOCK.finditer(data)]
    if b"PRIVATE KEY-----" in data:
        raise refusals.certificate_invalid(_PRIVATE)
    pems = [block for label, block in blocks if label == "CERTIFICATE"]
    if not pems:
        raise refusals.certificate_invalid(_NOT_PEM)
    if len(pems) > 1:
        raise refusals.certificate_invalid(f"The body holds {len(pems)} certificates; send each of them alone")
    try:
        der = ssl.PEM_cert_to_DER_cert(pems[0].decode("ascii"))
        return _parsed(der), der
    except ValueError:
        raise refusals.certificate_invalid(_NOT_PEM) from None


def _parsed(der: bytes) -> x509.Certificate:
    """Raises ValueError."""
    from cryptography import x509

    try:
        return x509.load_der_x509_certificate(der)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None


def _check_extensions(certificate: x509.Certificate) -> None:
    """Raise ValueError when an extension cannot be read: all are read together, by whoever asks for one."""
    from cryptography import x509

    try:
        _ = certificate.extensions
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from None


def _doubts(certificate: x509.Certificate) -> list[str]:
    """Say why clients may not get far with a certificate."""
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound
    from cryptography.x509.oid import ExtendedKeyUsageOID

    found = []
    now = dt.datetime.now(dt.UTC)
    if certificate.not_valid_after_utc < now:
        found.append(f"the certificate has expired on {_time(certificate.not_valid_after_utc)}: clients are refused")
    if certificate.not_valid_before_utc > now:
        found.append(f"the certificate is valid from {_time(certificate.not_valid_before_utc)} on: until then clients are refused")
    try:
        usages = certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value
    except ExtensionNotFound:
        return found
    if not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usages):
        found.append("its extended key usage does not name the authentication of clients (clientAuth), so TLS refuses it")
    return found


def _dns_names(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


def _is_authority(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _name(name: x509.Name) -> dict[str, Any]:
    """Return a name as Go writes it, and so Tyk."""
    from cryptography.x509.oid import NameOID

    def several(oid: x509.ObjectIdentifier) -> list[str] | None:
        return [str(one.value) for one in name.get_attributes_for_oid(oid)] or None

    def one(oid: x509.ObjectIdentifier) -> str:
        return (several(oid) or [""])[-1]

    return {
        "Country": several(NameOID.COUNTRY_NAME),
        "Organization": several(NameOID.ORGANIZATION_NAME),
        "OrganizationalUnit": several(NameOID.ORGANIZATIONAL_UNIT_NAME),
        "Locality": several(NameOID.LOCALITY_NAME),
        "Province": several(NameOID.STATE_OR_PROVINCE_NAME),
        "StreetAddress": several(NameOID.STREET_ADDRESS),
        "PostalCode": several(NameOID.POSTAL_CODE),
        "SerialNumber": one(NameOID.SERIAL_NUMBER),
        "CommonName": one(NameOID.COMMON_NAME),
        "Names": [{"Type": [int(part) for part in each.oid.dotted_string.split(".")], "Value": str(each.value)} for each in name],
        "ExtraNames": None,
    }


def _time(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
