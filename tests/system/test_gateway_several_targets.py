"""Several targets of one API: in turn, without those that cannot be reached, each by its own name and path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient
from tests.support.waiting import free_port


@pytest.fixture(scope="module")
def upstreams() -> Iterator[tuple[OddUpstream, OddUpstream]]:
    pair = OddUpstream(), OddUpstream()
    yield pair
    for one in pair:
        one.close()


@pytest.fixture(scope="module")
def balanced(upstreams: tuple[OddUpstream, OddUpstream], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`/two/`: both upstreams; `/half/` and `/late/`: one that nobody answers at, then the first, under another path."""
    first, second = upstreams
    two = {"enable_load_balancing": True, "target_list": [f"{first.url}/", f"{second.url}/"]}
    half, late = (
        {"enable_load_balancing": True, "target_list": [f"http://127.0.0.1:{free_port()}/gone/", f"{first.url}/base/"]} for _ in range(2)
    )
    definitions = [definition("two", "", proxy=two), definition("half", "", proxy=half), definition("late", "", proxy=late)]
    with gateway(tmp_path_factory.mktemp("balanced"), definitions) as running:
        yield running


def test_targets_take_turns(balanced: Gateway, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    with RawClient(balanced.port) as client:
        for _ in range(6):
            assert client.get("/two/turn").status == 200
    assert [one.count("/turn") for one in upstreams] == [3, 3]


def test_a_target_that_cannot_be_reached_is_left_out(balanced: Gateway, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    first = upstreams[0]
    with RawClient(balanced.port) as client:
        for _ in range(4):
            answer = client.get("/half/x")
            assert (answer.status, answer.json()["target"]) == (200, "/base/x")
    seen = Counter(request.field("host") for request in first.requests("/base/x"))
    assert seen == {first.url.removeprefix("http://"): 4}


def test_a_body_reaches_the_target_that_can_be_reached(balanced: Gateway, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    bodies: list[bytes] = []

    def upload(asked: Request) -> None:
        bodies.append(asked.body())
        asked.answer()

    upstreams[0].on("/base/upload", upload)
    with RawClient(balanced.port) as client:
        client.send(b"POST /late/upload HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
        assert client.answer().status == 200
    assert bodies == [b"hello"]
