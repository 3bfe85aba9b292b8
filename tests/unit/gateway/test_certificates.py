"""A certificate and key that cannot be used are refused with a reason; nobody is asked anything."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from services.common.settings import SettingsError
from services.gateway.certificates import PublicTls, check_tls
from services.gateway.settings import Settings
from services.gateway.wire.client_certificates import ServerTls
from tests.support import certificates, client_certificates


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


def test_the_public_port_goes_on_with_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own certificate cannot be read again when other clients are trusted: no worker may end by that."""
    own = certificates.make(tmp_path)
    tls = PublicTls(Settings(tls_certificate=own.certificate, tls_key=own.key))
    tls.trust([])
    first = tls.present()
    assert first.context.verify_mode is ssl.CERT_NONE
    tls.trust([client_certificates.make("one").der])
    second = tls.present()
    assert (second is first, second.context.verify_mode) == (False, ssl.CERT_OPTIONAL)
    own.key.unlink()
    tls.trust([client_certificates.make("two").der])
    assert tls.present() is second
    assert second.context.cert_store_stats()["x509"] == 2
    tls.refresh()
    assert tls.present() is second


def test_a_context_that_remembers_much_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = certificates.make(tmp_path)
    tls = PublicTls(Settings(tls_certificate=own.certificate, tls_key=own.key))
    tls.trust([client_certificates.make("one").der])
    first = tls.present()
    tls.refresh()
    assert tls.present() is first
    monkeypatch.setattr(ServerTls, "is_full", True)
    tls.refresh()
    assert tls.present() is not first
    assert tls.present().context.cert_store_stats()["x509"] == 1
