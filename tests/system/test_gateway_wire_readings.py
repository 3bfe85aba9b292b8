"""Paths that servers read in several ways: an escaped slash leads past no API's key, no version and no place of the gateway itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient, request

VERSIONS = {
    "not_versioned": False,
    "default_version": "v1",
    "versions": {name: {"name": name, "expires": "-1"} for name in ("v1", "v2")},
}


@pytest.fixture(scope="module")
def nested_gateway(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`/t/` is open and takes batches; `/t/tokens/` below it needs a key, `/t/off/` is switched off. `/ver/` has versions in its URL."""
    url = f"{odd_upstream.url}/"
    definitions = [
        definition("outer", url, proxy={"listen_path": "/t/", "strip_listen_path": False}, enable_batch_request_support=True),
        definition("inner", url, proxy={"listen_path": "/t/tokens/"}, use_keyless=False),
        definition("off", url, proxy={"listen_path": "/t/off/"}, active=False),
        definition("hosted", url, proxy={"listen_path": "/t/hosted/"}, domain="other.test"),
        {
            **definition("ver", f"{odd_upstream.url}/base/"),
            "version_data": VERSIONS,
            "definition": {"location": "url", "fallback_to_default": True, "strip_path": True},
        },
        definition("limited", url, use_keyless=False),
        {**definition("listed", url, version={"paths": {"black_list": ["^/secret/file"]}})},
    ]
    with gateway(tmp_path_factory.mktemp("readings"), definitions) as running:
        yield running


def _ask(gateway: Gateway, target: str, host: str = "gateway.test") -> tuple[int, Any]:
    with RawClient(gateway.port) as client:
        client.send(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target.encode("latin-1"), host.encode()))
        answer = client.answer()
    return answer.status, answer.json()


OTHER_PLACES = [
    "/t/tokens%2F", "/t/tokens%2f", "/t%2Ftokens/x", "/t%2ftokens%2fx", "/t/tokens%2Fx", "/t/%2Ftokens/x", "/t/x%2F..%2Ftokens/y",
    "/t/x/..%2Ftokens/y", "/t/tokens%5Cx", "/t/x\\..\\tokens\\y", "/t/x%5C..%2Ftokens/y", "/t/off%2Fx",
    "/t/x%2F..%2F..%2Flimited%2Fx", "/t/x%2F..%2F..%2Fnobody", "/t/x%2F..%2F..%2Ft%2Fy", "/t/tyk%2Fbatch/",
    "/t/x%2F..%2Ftyk/batch/", "/t/..%2Fhello", "/limited/tyk%2Frate-limits/", "/ver/v1/..%2Fv2/x", "/ver/v2%2Fx",
    "/ver/x%2F..%2Fv2", "/ver/v1/x%2F..%2F..%2Fv1/y", "/ver/x%2F..%2F..%2Fver%2Fy",
]  # fmt: skip


@pytest.mark.parametrize("target", OTHER_PLACES)
def test_a_path_that_another_reading_gives_to_somebody_else_is_not_found(
    target: str, nested_gateway: Gateway, odd_upstream: OddUpstream
) -> None:
    before = len(odd_upstream.seen)
    status, told = _ask(nested_gateway, target)
    assert (status, told["code"]) == (404, "not-found")
    assert len(odd_upstream.seen) == before


def test_another_host_may_own_the_other_reading(nested_gateway: Gateway) -> None:
    assert _ask(nested_gateway, "/t/hosted%2Fx")[0] == 200
    assert _ask(nested_gateway, "/t/hosted%2Fx", "other.test")[0] == 404


@pytest.mark.parametrize("target", ["/t/x%2F..%2F..%2F..%2Fa", "/t/..%2F..", "/nobody%2F..%2F..", "/t\\..\\..", "/t/x%5C..%2F..%5C..%2F.."])
def test_a_path_that_climbs_in_another_reading_is_bad(target: str, nested_gateway: Gateway) -> None:
    status, told = _ask(nested_gateway, target)
    assert (status, told["code"]) == (400, "bad-path")


@pytest.mark.parametrize(
    ("target", "arrives"),
    [
        ("/t/a%2Fb", "/t/a%2Fb"),
        ("/t/a\\b", "/t/a%5Cb"),
        ("/t/x%2F..%2Fy", "/t/x%2F..%2Fy"),
        ("/t/tokens%252Fx", "/t/tokens%252Fx"),
        ("/ver/v2/a%2Fb", "/base/a%2Fb"),
        ("/ver/a%2Fb", "/base/a%2Fb"),
    ],
)
def test_what_has_one_owner_in_all_readings_passes_as_it_is(target: str, arrives: str, nested_gateway: Gateway) -> None:
    status, told = _ask(nested_gateway, target)
    assert (status, told["target"]) == (200, arrives)


@pytest.mark.parametrize("target", ["/listed/secret%2Ffile", "/listed/secret%5Cfile", "/listed/x%5C..%2Fsecret%5Cfile"])
def test_a_closed_path_is_closed_in_all_readings(target: str, nested_gateway: Gateway) -> None:
    assert _ask(nested_gateway, target)[0] == 403


def test_entries_of_batches_are_judged_alike(nested_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    entries = ["tokens%2Fx", "tokens\\x", "x%2F..%2Ftokens/y", "off%2Fx", "tyk%2Fbatch/", "x%2F..%2F..%2F..%2Fa", "a%2Fb", "a?x=grün"]
    body = json.dumps({"requests": [{"relative_url": entry} for entry in entries]}).encode()
    with RawClient(nested_gateway.port) as client:
        client.send(request("/t/tyk/batch/", method="POST", body=body))
        answers = client.answer().json()
    assert [answer["code"] for answer in answers] == [404, 404, 404, 404, 404, 400, 200, 200]
    assert json.loads(answers[-1]["body"])["target"] == "/t/a?x=gr%C3%BCn"


def test_a_definition_cannot_listen_on_a_path_with_several_readings(nested_gateway: Gateway) -> None:
    status, told = nested_gateway.operator(
        "POST", "/api/apis", {"api_definition": definition("two", "http://h/", proxy={"listen_path": "/a%2Fb/"})}
    )
    assert status == 400
    assert "%2F or %5C" in json.dumps(told)
