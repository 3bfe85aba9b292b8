"""How a definition says that upstreams are reached."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from services.gateway.compiler import parse
from services.gateway.definitions.model import Reaching
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.upstream_schema import CIPHERS
from services.gateway.wire.routes import ForwardProxy, Route, Routes
from tests.unit.gateway.exchanges import document

PIN, OTHER = "ab" * 32, "0" * 64


def read(transport: Any = None, *, target: str = "https://api.example.com/", **more: Any) -> Reaching:
    proxy = {**document()["proxy"], "target_url": target}
    if transport is not None:
        proxy["transport"] = transport
    return parse(document(proxy=proxy, **more)).reaching


def wrong(transport: Any = None, **more: Any) -> dict[str, str]:
    with pytest.raises(Mistakes) as refused:
        read(transport, **more)
    return {one.pointer: one.message for one in refused.value.mistakes}


def test_without_anything_it_is_as_usual() -> None:
    assert not read().differs
    exported = {"ssl_insecure_skip_verify": False, "ssl_ciphers": [], "ssl_min_version": 0, "ssl_max_version": 0, "proxy_url": "",
                "ssl_force_common_name_check": False}  # fmt: skip
    off = {"pinned_public_keys": {"*": "id"}, "certificate_pinning_disabled": True}
    off |= {"upstream_certificates": {"*": "../id"}, "upstream_certificates_disabled": True}
    assert not read(exported, **off).differs
    assert not read({"ssl_min_version": 769}).differs  # TLS below 1.2 is never spoken


def test_all_of_the_transport() -> None:
    ciphers = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"]
    given = {"ssl_insecure_skip_verify": True, "ssl_ciphers": ciphers, "ssl_min_version": 772, "ssl_max_version": 772,
             "ssl_force_common_name_check": True, "proxy_url": "http://proxy.example:3128"}  # fmt: skip
    expected = Route(
        verify=False,
        minimum=772,
        maximum=772,
        ciphers="ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305",
        common_name=True,
        proxy=ForwardProxy("proxy.example", 3128),
    )
    assert read(given).usual == expected


def test_openssl_knows_every_cipher() -> None:
    context = ssl.create_default_context()
    for name in CIPHERS.values():
        context.set_ciphers(name)
        assert name in [one["name"] for one in context.get_ciphers()]


def test_keys_and_certificates_by_host() -> None:
    found = read(
        pinned_public_keys={"api.example.com": f"{PIN}, default{OTHER.upper()}", "*": OTHER}, upstream_certificates={"*.Example.com": "me"}
    )
    assert found.pins == {"api.example.com": frozenset({PIN, OTHER}), "*": frozenset({OTHER})}
    routes = Routes(found.usual, found.pins, found.certificates)
    assert routes.of("api.example.com") == Route(pins=frozenset({PIN, OTHER}), certificate="me")
    assert routes.of("a.b.example.com") == Route(pins=frozenset({OTHER}), certificate="me")
    assert routes.of("example.com") == Route(pins=frozenset({OTHER}))
    assert routes.of("badexample.com") == Route(pins=frozenset({OTHER}))


@pytest.mark.parametrize(
    ("transport", "place"),
    [
        ({"ssl_ciphers": ["RC4"]}, "/proxy/transport/ssl_ciphers/0"),
        ({"ssl_min_version": 1}, "/proxy/transport/ssl_min_version"),
        ({"ssl_max_version": 769}, "/proxy/transport/ssl_max_version"),
        ({"ssl_min_version": 772, "ssl_max_version": 771}, "/proxy/transport/ssl_max_version"),
        ({"proxy_url": "https://proxy:1"}, "/proxy/transport/proxy_url"),
        ({"proxy_url": "http://user:secret@proxy:1"}, "/proxy/transport/proxy_url"),
        ({"proxy_url": "http://proxy:1/path"}, "/proxy/transport/proxy_url"),
        ({"ssl_insecure_skip_verfy": True}, "/proxy/transport/ssl_insecure_skip_verfy"),
    ],
)
def test_mistakes_of_the_transport(transport: Any, place: str) -> None:
    found = wrong(transport)
    assert list(found) == [place]
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"pinned_public_keys": {"h": ""}}, "/pinned_public_keys/h"),
        ({"pinned_public_keys": {"h": f"{PIN},id"}}, "/pinned_public_keys/h"),
        ({"pinned_public_keys": {"h": [PIN]}}, "/pinned_public_keys/h"),
        ({"pinned_public_keys": {"a b": PIN}}, "/pinned_public_keys/a b"),
        ({"pinned_public_keys": {"api.example.com": PIN}, "target": "http://api.example.com/"}, "/pinned_public_keys"),
        ({"pinned_public_keys": {"*": PIN}, "target": "http://api.example.com/"}, "/pinned_public_keys"),
        ({"upstream_certificates": {"h": "../../etc/passwd"}}, "/upstream_certificates/h"),
        ({"upstream_certificates": {"h": ""}}, "/upstream_certificates/h"),
    ],
)
def test_mistakes_of_keys_and_certificates(more: Any, place: str) -> None:
    assert list(wrong(**more)) == [place]
