"""Looks at the certificate that an upstream has shown: its public key, and its common name.

Not imported before a definition asks for it: it costs 4 MB.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def key_of(certificate: bytes) -> str:
    """Return the SHA-256 of the public key of a certificate (both DER; the key as SubjectPublicKeyInfo), in hexadecimal digits."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def is_common_name(certificate: bytes, host: str) -> bool:
    """Tell whether the common name of a certificate (DER) is a host, or `*.` and all of it but its first label."""
    subject = x509.load_der_x509_certificate(certificate).subject
    names = {str(name.value).lower() for name in subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)}
    return host in names or f"*.{host.partition('.')[2]}" in names
