"""A certificate and key that cannot be used are refused with a reason; nobody is asked anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from services.common.settings import SettingsError
from services.gateway.certificates import check_tls
from services.gateway.settings import Settings
from tests.support import certificates


def test_an_encrypted_key(tmp_path: Path) -> None:
    own = certificates.make(tmp_path)
    check_tls(Settings(tls_certificate=own.certificate, tls_key=own.key))
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    own.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pass phrase")
        )
    )
    with pytest.raises(SettingsError, match="GATEWAY_TLS_KEY cannot be used: the key is encrypted"):
        check_tls(Settings(tls_certificate=own.certificate, tls_key=own.key))


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    own, other = certificates.make(tmp_path / "own"), certificates.make(tmp_path / "other")
    with pytest.raises(SettingsError, match="GATEWAY_TLS_KEY cannot be used"):
        check_tls(Settings(tls_certificate=own.certificate, tls_key=other.key))
