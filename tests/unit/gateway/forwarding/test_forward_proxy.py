"""The forward proxy of the settings: what is behind it, and how it is asked."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode
from typing import Any

import pytest

from services.common.settings import SettingsError
from services.gateway.forwarding.forward_proxy import forward_proxy
from services.gateway.settings import load
from services.gateway.wire.proxying import AbsoluteForm
from services.gateway.wire.routes import ForwardProxy
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.upstreams import Unreachable, Upstreams

URL = "GATEWAY_UPSTREAM_PROXY"


def test_without_a_proxy() -> None:
    assert forward_proxy(load({})) is None


def test_only_what_is_far_is_behind_it() -> None:
    find = forward_proxy(load({URL: "http://us%3Aer:p%40ss@[2001:db8::1]:3128"}))
    assert find is not None
    proxy = find("api.example.com")
    assert proxy is not None
    assert (proxy.host, proxy.port) == ("2001:db8::1", 3128)
    assert b64decode(proxy.authorization.removeprefix(b"Basic ")) == b"us:er:p@ss"
    assert find("8.8.8.8") is proxy
    for near in ("127.0.0.1", "::1", "10.1.2.3", "tokens", "localhost"):
        assert find(near) is None
    assert "p@ss" not in repr(proxy)
    assert "p%40ss" not in repr(proxy)


def test_without_a_user_it_says_nothing_of_one() -> None:
    find = forward_proxy(load({URL: "http://proxy"}))
    assert find is not None
    assert find("api.example.com") == ForwardProxy("proxy", 80)


@pytest.mark.parametrize(
    "url", ["https://u:secret@proxy", "proxy:3128", "http://u:secret@", "http://u:secret@p/path", "http://u:secret@p:x", "http://p\n"]
)
def test_what_is_no_proxy(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({URL: url})
    assert URL in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_absolute_form() -> None:
    request = b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\nbody"
    plain = AbsoluteForm(ForwardProxy("proxy", 1), "h.test", 80)
    assert plain.of(request) == b"GET http://h.test/a?b HTTP/1.1\r\nHost: h\r\n\r\nbody"
    known = AbsoluteForm(ForwardProxy("proxy", 1, b"Basic eA=="), "2001:db8::1", 81)
    assert known.of(request) == b"GET http://[2001:db8::1]:81/a?b HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\nHost: h\r\n\r\nbody"


class _Proxy(asyncio.Protocol):
    """Answers whatever it is asked with fixed bytes; b"" = it closes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._answer:
            self._transport.write(self._answer)
        else:
            self._transport.close()


async def _no_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Who\r\nContent-Length: 3\r\n\r\nwho", "the proxy answered 407"),
        (b"HTTP/1.1 200 OK\r\n\r\ninjected", "not valid HTTP"),
        (b"SSH-2.0-x\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 20_000, "not valid HTTP"),
        (b"", "ConnectionResetError"),
    ],
)
def test_a_tunnel_that_does_not_come_about(answer: bytes, said: str) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Proxy(answer), "127.0.0.1", 0)
        proxy = ForwardProxy("127.0.0.1", server.sockets[0].getsockname()[1])
        upstreams = Upstreams(Sockets(loop), _no_tls, proxy=lambda host: proxy)
        with pytest.raises(Unreachable) as refused:
            await upstreams.connect(("https", "api.example.com", 443), 10)
        assert said in str(refused.value)
        assert "127.0.0.1" not in str(refused.value)
        server.close()
        await asyncio.sleep(0)

    asyncio.run(work())
