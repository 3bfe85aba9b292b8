"""What a batch may cost: its answers are collected, so together they have a bound."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient

MB = 1024 * 1024


@pytest.fixture(scope="module")
def batching(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    definitions = [definition("batch", f"{odd_upstream.url}/", enable_batch_request_support=True)]
    with gateway(tmp_path_factory.mktemp("batch"), definitions) as running:
        yield running


def run(batching: Gateway, paths: list[str], *, one_by_one: bool) -> list[dict[str, Any]]:
    body = json.dumps({"requests": [{"relative_url": path} for path in paths], "suppress_parallel_execution": one_by_one}).encode()
    with RawClient(batching.port, timeout=30) as client:
        client.send(b"POST /batch/tyk/batch/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = client.answer()
    assert answer.status == 200
    found: list[dict[str, Any]] = json.loads(answer.body)
    assert [one["relative_url"] for one in found] == paths
    return found


@pytest.mark.parametrize("one_by_one", [True, False], ids=["one by one", "at once"])
def test_answers_that_are_too_large_together(batching: Gateway, odd_upstream: OddUpstream, one_by_one: bool) -> None:
    asked: list[str] = []

    def send(request: Any) -> None:
        asked.append("large")
        request.answer(b"a" * (3 * MB))

    odd_upstream.on("/large", send)
    found = run(batching, ["large"] * 8, one_by_one=one_by_one)
    assert sorted(one["code"] for one in found) == [200] * 3 + [413] * 5
    assert all(len(one["body"]) == 3 * MB for one in found if one["code"] == 200)
    refused = [json.loads(one["body"]) for one in found if one["code"] == 413]
    assert {one["code"] for one in refused} == {"batch-too-large"}
    sent = sum("was sent" in str(one) for one in refused)
    assert len(asked) == 3 + sent
    if one_by_one:
        assert (len(asked), sent) == (4, 1)
        assert [one["code"] for one in found] == [200] * 3 + [413] * 5


def test_answers_that_come_at_the_same_time_leave_room_for_as_many_as_fit(batching: Gateway, odd_upstream: OddUpstream) -> None:
    all_began = threading.Barrier(8)

    def send(request: Any) -> None:
        request.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * MB), b"a" * MB)
        all_began.wait(20)
        for _ in range(8):
            request.send(b"a" * (MB // 4))

    odd_upstream.on("/together", send)
    found = run(batching, ["together"] * 8, one_by_one=False)
    assert sorted(one["code"] for one in found) == [200] * 3 + [413] * 5
    assert all("was sent" in json.loads(one["body"])["detail"] for one in found if one["code"] == 413)


def test_after_it_batches_go_on(batching: Gateway, odd_upstream: OddUpstream) -> None:
    assert [one["code"] for one in run(batching, ["a", "b"], one_by_one=False)] == [200, 200]


def test_other_requests_go_on_while_a_large_envelope_is_read(batching: Gateway) -> None:
    body = b'{"requests": [], "x": "' + b"a" * (9 * MB) + b'"}'
    with RawClient(batching.port, timeout=30) as client, RawClient(batching.port) as other:
        client.send(b"POST /batch/tyk/batch/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert other.get("/batch/next").status == 200
        assert json.loads(client.answer().body) == []
