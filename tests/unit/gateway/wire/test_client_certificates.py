"""What handshakes have shown, without sockets: both ends in one process."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from services.gateway.wire import client_certificates as own
from services.gateway.wire.client_certificates import ClientCertificate, ServerTls
from tests.support import certificates, client_certificates
from tests.support.client_certificates import Identity

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Server:
    """A server that trusts these."""

    def __init__(self, folder: Path, *trusted: Identity) -> None:
        self.folder = folder
        made = certificates.make(folder / "server")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.certificate, made.key)
        self.tls = ServerTls(context, [one.der for one in trusted])
        self.reused = False

    def client(self, shown: Identity | None, *chain: Identity, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        return client_certificates.context(None, shown and shown.file(self.folder, *chain), version)

    def meet(self, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> tuple[ClientCertificate | None, ssl.SSLSession | None]:
        """Shake hands; return what the client has shown, and a session to resume."""
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        here = self.tls.context.wrap_bio(up, down, server_side=True)
        there = client.wrap_bio(down, up, server_hostname="localhost", session=session)
        waiting = {here, there}
        while waiting:
            for side in (there, here):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                waiting.discard(side)
        here.write(b"x")
        assert there.read(1) == b"x"  # and with it the tickets of TLS 1.3
        self.reused = bool(here.session_reused)
        return self.tls.certificate_of(here), there.session


@pytest.mark.parametrize("version", VERSIONS)
def test_a_chain_is_remembered_for_resumed_sessions(tmp_path: Path, version: ssl.TLSVersion) -> None:
    root = client_certificates.make("root", is_authority=True)
    middle = client_certificates.make("middle", root, is_authority=True, days=(-0.5, 0.5))
    leaf = client_certificates.make("leaf", middle)
    server = Server(tmp_path, root)
    client = server.client(leaf, middle, version=version)
    first, session = server.meet(client)
    assert first is not None
    assert [one.fingerprint for one in (first.own, *first.issuers)] == [one.fingerprint for one in (leaf, middle, root)]
    # Each is valid for as long as all below it are.
    assert first.own.not_after > first.issuers[0].not_after == first.issuers[1].not_after
    assert first.issuers[0].not_before == first.issuers[1].not_before > first.own.not_before
    again, _ = server.meet(client, session)
    assert server.reused
    assert again == first


@pytest.mark.parametrize("version", VERSIONS)
def test_times_do_not_count_in_the_handshake(tmp_path: Path, version: ssl.TLSVersion) -> None:
    old = client_certificates.make("old", days=(-3, -1))
    shown, _ = Server(tmp_path, old).meet(Server(tmp_path, old).client(old, version=version))
    assert shown is not None
    assert (shown.fingerprint, shown.is_valid(shown.own.not_after + 1), shown.is_valid(shown.own.not_after)) == (
        old.fingerprint,
        False,
        True,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_ones(tmp_path: Path, version: ssl.TLSVersion) -> None:
    known, stranger = client_certificates.make("one"), client_certificates.make("one")
    with pytest.raises(ssl.SSLCertVerificationError):
        Server(tmp_path, known).meet(Server(tmp_path, known).client(stranger, version=version))


def test_a_certificate_for_servers_alone(tmp_path: Path) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    of_server = client_certificates.make("one", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    server = Server(tmp_path, of_server)
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        server.meet(server.client(of_server))


def test_nobody_is_asked_when_nothing_is_trusted(tmp_path: Path) -> None:
    server = Server(tmp_path)
    assert server.meet(server.client(client_certificates.make("one")))[0] is None
    one = client_certificates.make("one")
    server.tls.trust([one.der])
    shown, _ = server.meet(server.client(one))
    assert shown is not None
    assert server.meet(server.client(None))[0] is None


def test_another_context_is_due_when_much_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_MOST_REMEMBERED", 2)
    ones = [client_certificates.make("one") for _ in range(2)]
    server = Server(tmp_path, *ones)
    for one, full in zip(ones, (False, True), strict=True):
        server.meet(server.client(one))
        assert server.tls.is_full == full


@pytest.mark.parametrize("is_authority", [False, True, None])
@pytest.mark.parametrize("trusted_first", [0, 1])
def test_an_old_one_and_its_successor_of_the_same_name(tmp_path: Path, is_authority: bool | None, trusted_first: int) -> None:
    """Both are let in while a client changes from one to the other; and one that two organisations have stored is one."""
    ones = [client_certificates.make("one", is_authority=is_authority) for _ in range(2)]
    server = Server(tmp_path, ones[trusted_first], ones[1 - trusted_first], ones[0])
    for one in ones:
        shown, _ = server.meet(server.client(one))
        assert shown is not None
        assert (shown.fingerprint, shown.issuers) == (one.fingerprint, ())


def test_one_that_an_authority_of_the_same_name_did_not_issue(tmp_path: Path) -> None:
    real, fake = (client_certificates.make("root", is_authority=True) for _ in range(2))
    server = Server(tmp_path, real)
    with pytest.raises(ssl.SSLCertVerificationError):
        server.meet(server.client(client_certificates.make("leaf", fake)))
    with pytest.raises(ssl.SSLCertVerificationError):
        server.meet(server.client(client_certificates.make("leaf", fake), fake))
    server = Server(tmp_path, fake, real)
    for root in (real, fake):
        leaf = client_certificates.make("leaf", root)
        shown, _ = server.meet(server.client(leaf))
        assert shown is not None
        assert [one.fingerprint for one in shown.issuers] == [root.fingerprint]
