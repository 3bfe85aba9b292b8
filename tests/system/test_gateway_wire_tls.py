"""TLS on the public port, and https targets whose certificates are verified."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import certificates
from tests.support.certificates import Certificates
from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request


def _server_context(made: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    return context


@dataclass
class Secure:
    gateway: Gateway
    client_context: ssl.SSLContext
    trusted: OddUpstream

    def client(self) -> RawClient:
        return RawClient(self.gateway.port, tls=self.client_context)


@pytest.fixture(scope="module")
def secure(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    own, stranger = (certificates.make(folder / name) for name in ("own", "stranger"))
    misnamed = certificates.make(folder / "misnamed", address="127.0.0.2", name="elsewhere.test")
    trusted, untrusted, elsewhere = (OddUpstream(_server_context(made)) for made in (own, stranger, misnamed))
    authorities = folder / "authorities.pem"
    authorities.write_bytes(own.authority.read_bytes() + misnamed.authority.read_bytes())
    definitions = [
        definition("plain", f"{odd_upstream.url}/"),
        definition("trusted", f"{trusted.url}/"),
        definition("untrusted", f"{untrusted.url}/"),
        definition("elsewhere", f"{elsewhere.url}/"),
    ]
    env = {
        "GATEWAY_TLS_CERTIFICATE": str(own.certificate),
        "GATEWAY_TLS_KEY": str(own.key),
        "GATEWAY_UPSTREAM_CA": str(authorities),
    }
    with gateway(folder, definitions, env) as running:
        yield Secure(running, ssl.create_default_context(cafile=str(own.authority)), trusted)
    for upstream in (trusted, untrusted, elsewhere):
        upstream.close()


def test_the_public_port_speaks_tls(secure: Secure) -> None:
    with secure.client() as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.version() in ("TLSv1.3", "TLSv1.2")
        for _ in range(3):
            told = client.get("/plain/x").json()
        assert ["X-Forwarded-Proto", "https"] in told["fields"]


def test_http_1_1_is_agreed_on(secure: Secure) -> None:
    context = ssl.create_default_context(cafile=None)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with RawClient(secure.gateway.port, tls=context) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "http/1.1"


def test_old_tls_is_refused(secure: Secure) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:@SECLEVEL=0")
    assert context.maximum_version == ssl.TLSVersion.TLSv1_2
    with RawClient(secure.gateway.port, tls=context) as client:
        assert client.get("/plain/x").status == 200
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        RawClient(secure.gateway.port, tls=context)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_plain_http_is_told_that_this_port_speaks_tls(secure: Secure, method: str) -> None:
    with RawClient(secure.gateway.port) as plain:
        plain.send(request("/plain/x", method=method, body=b"x" * 100_000 if method == "POST" else None))
        answer = plain.answer()
        assert (answer.status, answer.json()["code"], answer.field("connection")) == (400, "plain-http", "close")
        assert "https://" in answer.json()["detail"]
        assert plain.closed()
    with secure.client() as client:
        assert client.get("/plain/x").status == 200


def test_plain_clients_that_do_not_go_take_only_so_much_room(secure: Secure) -> None:
    """One address opens hundreds of connections and keeps them: most are dropped without an answer."""
    with contextlib.ExitStack() as kept:
        answered = dropped = 0
        while not dropped and answered < 500:
            plain = kept.enter_context(RawClient(secure.gateway.port))
            plain.send(request("/plain/x"))
            try:
                answered += plain.answer().status == 400
            except (OSError, EOFError):
                dropped += 1
        assert dropped
        assert answered >= 64
        with secure.client() as client:
            assert client.get("/plain/x").status == 200


def test_a_trusted_https_target(secure: Secure) -> None:
    with secure.client() as client:
        for _ in range(3):
            assert client.get("/trusted/x?y").json()["target"] == "/x?y"


def test_large_bodies_through_tls_on_both_sides(secure: Secure) -> None:
    piece, pieces = bytes(range(256)) * 256, 128
    digest = hashlib.blake2b(piece * pieces).hexdigest()

    def both(asked: Request) -> None:
        told = hashlib.blake2b()
        asked.take_body(told.update)
        assert told.hexdigest() == digest
        asked.answer(piece * pieces)

    secure.trusted.on("/both", both)
    with secure.client() as client:
        client.send(b"PUT /trusted/both HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (len(piece) * pieces), *[piece] * pieces)
        answer = client.answer()
    assert (answer.status, hashlib.blake2b(answer.body).hexdigest()) == (200, digest)


def test_a_short_body_of_an_https_target_looks_broken(secure: Secure) -> None:
    def cut(asked: Request) -> bool:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        return False

    secure.trusted.on("/cut", cut)
    with secure.client() as client:
        answer = client.get("/trusted/cut")
    assert (answer.status, answer.body, answer.whole) == (200, b"short", False)


@pytest.mark.parametrize("name", ["untrusted", "elsewhere"])
def test_targets_that_cannot_prove_who_they_are_are_refused(name: str, secure: Secure) -> None:
    with secure.client() as client:
        answer = client.get(f"/{name}/x")
        assert (answer.status, answer.json()["code"]) == (502, "upstream-unreachable")
        assert client.get("/plain/x").status == 200


def test_without_the_authority_no_target_is_trusted(secure: Secure, tmp_path: Path) -> None:
    """The authority of the setting is what made the difference above."""
    with gateway(tmp_path, [definition("trusted", f"{secure.trusted.url}/")]) as running, RawClient(running.port) as client:
        answer = client.get("/trusted/x")
    assert (answer.status, answer.json()["code"]) == (502, "upstream-unreachable")
    assert "certificate" in answer.body.decode()


def test_a_client_that_only_connects_does_not_hold_up_others(secure: Secure) -> None:
    with socket.create_connection(("127.0.0.1", secure.gateway.port)), secure.client() as client:
        assert client.get("/plain/x").status == 200
