"""Listen paths with `{name}` segments: the owner, what the upstream sees of the path, batches; and keys that an operator named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient, request

VERSIONS = {"not_versioned": False, "versions": {name: {"name": "any"} for name in ("v1", "v2")}}
IN_URL: dict[str, Any] = {"version_data": VERSIONS, "definition": {"location": "url", "strip_path": True}}


@pytest.fixture(scope="module")
def named_gateway(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`/{tenant}/files/` is stripped and takes batches, `/{tenant}/kept/` is not; `/{tenant}/ver/` has versions; `/locked/` is keyed."""
    url = f"{odd_upstream.url}/base/"
    keyed = {name: value for name, value in definition("locked", url).items() if name not in ("active", "auth", "use_keyless")}
    definitions = [
        definition("files", url, proxy={"listen_path": "/{tenant}/files"}, enable_batch_request_support=True),
        definition("raw", f"{odd_upstream.url}/raw/", proxy={"listen_path": "/acme/files/"}),
        definition("kept", url, proxy={"listen_path": "/{tenant}/kept/", "strip_listen_path": False}),
        {**definition("ver", url, proxy={"listen_path": "/{tenant}/ver/"}), **IN_URL},
        {**definition("verkept", url, proxy={"listen_path": "/{tenant}/verkept/", "strip_listen_path": False}), **IN_URL},
        {**keyed, "org_id": "acme"},
    ]
    with gateway(tmp_path_factory.mktemp("named"), definitions) as running:
        yield running


@pytest.mark.parametrize(
    ("target", "arrives", "prefix"),
    [
        ("/one/files/a/b?c=d", "/base/a/b?c=d", "/one/files"),
        ("/twenty/files", "/base/", "/twenty/files"),
        ("/acme/files/x", "/raw/x", "/acme/files"),
        ("/one/kept/a", "/base/one/kept/a", None),
        ("/one/ver/v1/a", "/base/a", "/one/ver"),
        ("/eleven/verkept/v2/a", "/base/eleven/verkept/a", None),
    ],
)
def test_what_the_upstream_sees(target: str, arrives: str, prefix: str | None, named_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    with RawClient(named_gateway.port) as client:
        for _ in range(2):  # what is remembered of a connection's fields must not hold another tenant's path
            client.send(request("/other/files/z"))
            assert client.answer().json()["target"] == "/base/z"
            client.send(request(target))
            assert client.answer().json()["target"] == arrives
    assert odd_upstream.seen[-1].field("X-Forwarded-Prefix") == prefix


@pytest.mark.parametrize("target", ["/one", "/one/filesx", "/one%2Ftwo/files/a", "/one%2Ffiles/a", "/one/files%2Fa"])
def test_what_nobody_owns(target: str, named_gateway: Gateway) -> None:
    with RawClient(named_gateway.port) as client:
        client.send(request(target))
        assert client.answer().status == 404


def test_a_batch_stays_in_its_own_place(named_gateway: Gateway) -> None:
    entries = ["a", "/b", "../../two/files/c", "../tyk/batch/", "tyk/batch/"]
    body = json.dumps({"requests": [{"relative_url": entry} for entry in entries]}).encode()
    with RawClient(named_gateway.port) as client:
        client.send(request("/one/files/tyk/batch/", method="POST", body=body))
        answers = client.answer().json()
    assert [answer["code"] for answer in answers] == [200, 200, 404, 404, 404]
    assert json.loads(answers[0]["body"])["target"] == "/base/a"


def test_a_second_owner_under_other_names_is_refused(named_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    again = definition("again", odd_upstream.url, proxy={"listen_path": "/{customer}/files/"})
    status, told = named_gateway.operator("POST", "/api/apis", {"api_definition": again})
    assert (status, [one["pointer"] for one in told["Errors"]]) == (400, ["/api_definition/proxy/listen_path"])


def test_a_custom_key_opens_by_both_names_until_it_is_deleted(named_gateway: Gateway) -> None:
    session = {"access_rights": {"locked": {"api_id": "locked", "versions": ["Default"]}}, "quota_max": 3, "quota_renewal_rate": 3600}
    status, made = named_gateway.operator("POST", "/tyk/keys/bob", session)
    assert (status, made["key"]) == (200, "acmebob")
    # Neither `active` nor `auth` stands in the definition: the API is on, and asks for a key in Authorization.
    with RawClient(named_gateway.port) as client:

        def ask(key: str) -> int:
            client.send(request("/locked/a", b"Authorization: " + key.encode()))
            return client.answer().status

        assert [ask("bob"), ask("acmebob"), ask("Bearer bob")] == [200, 200, 200]
        assert ask("acmebob") == 403, "both names have one quota"
        assert named_gateway.operator("DELETE", "/tyk/keys/bob?api_id=locked")[0] == 200
        assert [ask("bob"), ask("acmebob")] == [403, 403]
