"""Upstreams that want a certificate, whose keys are pinned, that are not verified, and that are behind a forward proxy."""

from __future__ import annotations

import hashlib
import ssl
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import certificates
from tests.support.certificates import Certificates
from tests.support.forward_proxy import ForwardProxy
from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request

HOST = "127.0.0.1"
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")


def context_of(made: Certificates, *, asks_for: Path | None = None, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = most
    context.load_cert_chain(made.certificate, made.key)
    if asks_for is not None:
        context.load_verify_locations(asks_for)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def pin_of(made: Certificates) -> str:
    key = x509.load_pem_x509_certificate(made.certificate.read_bytes()).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def websocket(asked: Request) -> bool:
    asked.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    while data := asked.more():
        asked.send(data)
    return False


@dataclass
class Routed:
    """A gateway in front of upstreams. tunnels: the proxy of the one with TLS; plain: that of the settings."""

    gateway: Gateway
    tunnels: ForwardProxy
    plain: ForwardProxy
    asking: OddUpstream
    behind: OddUpstream


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routed]:
    folder = tmp_path_factory.mktemp("routes")
    own, stranger = (certificates.make(folder / name) for name in ("own", "stranger"))
    named = certificates.make(folder / "named", name=HOST)
    known = folder / "known"
    known.mkdir()
    (known / "me.pem").write_bytes(own.certificate.read_bytes() + own.key.read_bytes())
    (folder / "authorities.pem").write_bytes(own.authority.read_bytes() + named.authority.read_bytes())
    trusted, untrusted, cn = (OddUpstream(context_of(made)) for made in (own, stranger, named))
    asking = OddUpstream(context_of(own, asks_for=own.authority))
    old = OddUpstream(context_of(own, most=ssl.TLSVersion.TLSv1_2))
    behind = OddUpstream()
    tunnels, plain = ForwardProxy(trusted.port), ForwardProxy(behind.port)

    def api(name: str, upstream: OddUpstream | str, transport: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        url = upstream if isinstance(upstream, str) else f"{upstream.url}/"
        return definition(name, url, proxy={"transport": transport or {}}, **more)

    right, wrong = {HOST: pin_of(own)}, {HOST: pin_of(stranger)}
    definitions = [
        api("pinned", trusted, pinned_public_keys={HOST: f"{pin_of(stranger)},{pin_of(own)}"}),
        api("wrongly-pinned", trusted, pinned_public_keys=wrong),
        api("unverified", untrusted, {"ssl_insecure_skip_verify": True}),
        api("unverified-pinned", untrusted, {"ssl_insecure_skip_verify": True}, pinned_public_keys=wrong),
        api("unverified-wrongly-pinned", untrusted, {"ssl_insecure_skip_verify": True}, pinned_public_keys=right),
        api("untrusted-pinned", untrusted, pinned_public_keys=wrong),
        api("shown", asking, upstream_certificates={"*": "me"}),
        api("not-shown", asking),
        api("no-file", asking, upstream_certificates={HOST: "nobody"}),
        api("new-only", old, {"ssl_min_version": 772}),
        api("old", old, {"ssl_max_version": 771, "ssl_ciphers": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]}),
        api("common-name", cn, {"ssl_force_common_name_check": True}),
        api("other-common-name", trusted, {"ssl_force_common_name_check": True}),
        api("tunnel", trusted, {"proxy_url": f"http://{HOST}:{tunnels.port}"}),
        api("tunnel-pinned", trusted, {"proxy_url": f"http://{HOST}:{tunnels.port}"}, pinned_public_keys=wrong),
        api("far", "http://api.example.test:8000/base/"),
        api("near", behind),
    ]
    settings = {
        "GATEWAY_UPSTREAM_CA": str(folder / "authorities.pem"),
        "GATEWAY_UPSTREAM_CERTIFICATES": str(known),
        "GATEWAY_UPSTREAM_PROXY": f"http://me:se%40cret@{HOST}:{plain.port}",
    }
    for one in (asking, behind, trusted):
        one.on("/ws", websocket)
    behind.on("/base/ws", websocket)
    with gateway(folder, definitions, settings) as running:
        yield Routed(running, tunnels, plain, asking, behind)
    for closing in (trusted, untrusted, cn, asking, old, behind, tunnels, plain):
        closing.close()


@pytest.fixture
def client(routed: Routed) -> Iterator[RawClient]:
    with RawClient(routed.gateway.port) as one:
        yield one


@pytest.mark.parametrize("name", ["pinned", "unverified", "unverified-pinned", "shown", "old", "common-name", "tunnel"])
def test_what_is_reached(name: str, client: RawClient) -> None:
    assert [client.get(f"/{name}/a").status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("wrongly-pinned", "upstream-key-wrong", "another public key"),
        ("unverified-wrongly-pinned", "upstream-key-wrong", "another public key"),
        ("tunnel-pinned", "upstream-key-wrong", "another public key"),
        ("untrusted-pinned", "upstream-unreachable", "not trusted"),
        ("no-file", "upstream-unreachable", "could not be loaded"),
        ("new-only", "upstream-unreachable", "TLS with the upstream failed"),
        ("other-common-name", "upstream-unreachable", "common name"),
    ],
)
def test_what_is_not(name: str, code: str, said: str, client: RawClient) -> None:
    answer = client.get(f"/{name}/a")
    assert (answer.status, answer.json()["code"]) == (502, code)
    assert said in answer.json()["detail"]
    assert answer.json()["error"] == "There was a problem proxying the request"


def test_an_upstream_that_wants_a_certificate_does_not_answer_without_it(client: RawClient, routed: Routed) -> None:
    assert client.get("/not-shown/without").status == 502
    assert routed.asking.count("/without") == 0


@pytest.mark.parametrize("name", ["shown", "tunnel", "far", "pinned", "near"])
def test_websockets_pass(name: str, client: RawClient) -> None:
    client.send(request(f"/{name}/ws", *UPGRADE))
    assert client.head().status == 101
    client.send(b"ping")
    assert client.exactly(4) == b"ping"


def test_tls_is_tunnelled_through_a_proxy(client: RawClient, routed: Routed) -> None:
    assert client.get("/tunnel/b").status == 200
    assert all(line.startswith(f"CONNECT {HOST}:") for line in routed.tunnels.lines())
    assert "Proxy-Authorization" not in "".join(routed.tunnels.heads)


def test_a_far_host_is_asked_through_the_proxy_of_the_settings(client: RawClient, routed: Routed) -> None:
    """In the absolute form, on a connection that is kept; WebSockets are tunnelled."""
    before = len(routed.plain.heads)
    assert [client.get(f"/far/c?d={number}").status for number in range(2)] == [200, 200]
    assert [one.target for one in routed.behind.requests("http://api.example.test:8000/base/c")] == [
        "http://api.example.test:8000/base/c?d=0",
        "http://api.example.test:8000/base/c?d=1",
    ]
    assert len(routed.plain.heads) <= before + 1
    client.send(request("/far/ws", *UPGRADE))
    assert client.head().status == 101
    assert routed.plain.lines()[-1] == "CONNECT api.example.test:8000 HTTP/1.1"
    sent = b64encode(b"me:se@cret").decode()
    assert all(f"Proxy-Authorization: Basic {sent}" in head for head in routed.plain.heads)
    log = routed.gateway.process.text() + routed.gateway.access_log.read_text()
    assert "se@cret" not in log
    assert "se%40cret" not in log
    assert sent not in log


def test_a_proxy_that_refuses(client: RawClient, routed: Routed) -> None:
    routed.tunnels.refuses = True
    try:
        with RawClient(routed.gateway.port) as other:
            answer = other.get("/tunnel-pinned/a")
        assert (answer.status, answer.json()["code"]) == (502, "upstream-unreachable")
        assert "the proxy answered 403" in answer.json()["detail"]
    finally:
        routed.tunnels.refuses = False
