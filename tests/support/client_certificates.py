"""Certificates of clients, and of authorities that issue them."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    def file(self, folder: Path, *chain: Identity) -> Path:
        """Write what a client shows. chain: sent along."""
        path = folder / f"{self.fingerprint[:16]}-{len(chain)}.pem"
        path.write_bytes(self.key_pem + self.pem + b"".join(one.pem for one in chain))
        return path


def make(
    name: str,
    issuer: Identity | None = None,
    *,
    is_authority: bool | None = False,
    days: tuple[float, float] = (-1, 1),
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    names: x509.ExtensionType | None = None,
) -> Identity:
    """Create a certificate. issuer: None = itself. is_authority: None = it does not say. days: from now, between which it is valid.

    usage: None = it does not say. names: in place of a DNS name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(names or x509.SubjectAlternativeName([x509.DNSName(f"{name}.test")]), critical=False)
    )
    if is_authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    if is_authority:
        builder = builder.add_extension(own_id, critical=False)
    if issuer is not None:
        its_id = x509.SubjectKeyIdentifier.from_public_key(issuer.key.public_key())
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(its_id), critical=False)
    if usage is not None and not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Identity(builder.sign(key if issuer is None else issuer.key, hashes.SHA256()), key)


def context(
    authority: Path | None, shown: Path | None = None, version: ssl.TLSVersion | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Create the client's side. authority: of the server, None = any. shown: as `Identity.file` writes it. version: the only one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_verify_locations(authority)
    if shown is not None:
        made.load_cert_chain(shown, key)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made
