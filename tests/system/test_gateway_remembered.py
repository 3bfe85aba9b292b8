"""What the gateway remembers of a connection's requests and answers is never taken for that of another one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient
from tests.support.waiting import wait_until

# What a script asks for need not follow from the request.
SCRIPT = """var %(name)s = new TykJS.TykMiddleware.NewMiddleware({});
%(name)s.NewProcessRequest(function (request, session, config) {
    %(body)s
    return %(name)s.ReturnData(request, session.meta_data);
});
"""
SCRIPTS = {
    "moving": "request.URL = '/moved-' + Math.random();",
    "adding": "request.AddParams.n = String(Math.random());",
}


def _versions() -> dict[str, object]:
    return {name: {"name": name, "global_response_headers": {"X-Version": name}} for name in ("v1", "v2")}


@pytest.fixture(scope="module")
def remembering(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    def same(asked: Request) -> None:
        asked.answer(b"ok")

    for path in ("/same", "/base/same"):
        odd_upstream.on(path, same)
    paths = {
        "transform_response_headers": [
            {"path": "^/same$", "add_headers": {"X-Path": "same"}},
            {"path": "^/filled$", "add_headers": {"X-Id": "$tyk_context.request_id"}},
        ]
    }
    definitions = [
        definition("one", odd_upstream.url),
        definition("two", f"{odd_upstream.url}/base", version={"global_headers": {"X-Two": "2"}}),
        definition("changed", odd_upstream.url, version={"use_extended_paths": True, "extended_paths": paths}),
        definition(
            "versions",
            odd_upstream.url,
            version_data={"not_versioned": False, "versions": _versions()},
            definition={"location": "header", "key": "v"},
        ),
        definition("keyed", odd_upstream.url, use_keyless=False, auth={"auth_header_name": "X-API-Key"}),
    ]
    folder = tmp_path_factory.mktemp("remembered")
    for name, body in SCRIPTS.items():
        (folder / f"{name}.js").write_text(SCRIPT % {"name": name, "body": body})
        hook = {"name": name, "path": f"{name}.js"}
        definitions.append(definition(name, odd_upstream.url, custom_middleware={"driver": "otto", "pre": [hook]}))
    with gateway(folder, definitions, {"GATEWAY_MIDDLEWARE_PATH": str(folder)}) as running:
        yield running


@pytest.fixture
def client(remembering: Gateway) -> Iterator[RawClient]:
    with RawClient(remembering.port) as connection:
        yield connection


def test_every_request_has_an_id_of_its_own(client: RawClient) -> None:
    seen = set()
    for _ in range(80):
        answer = client.get("/one/echo")
        sent = dict(answer.json()["fields"])["X-Request-Id"]
        assert sent == answer.field("x-request-id")
        seen.add(sent)
    assert len(seen) == 80


def test_apis_take_turns(client: RawClient) -> None:
    for _ in range(40):
        one, two = client.get("/one/echo").json(), client.get("/two/echo").json()
        assert (one["target"], two["target"]) == ("/echo", "/base/echo")
        assert "X-Two" not in dict(one["fields"])
        assert dict(two["fields"])["X-Two"] == "2"


def test_heads_of_one_layout_take_turns(client: RawClient) -> None:
    """By an expression of their own, after a while."""
    for number in range(150):
        told = client.get(f"/one/echo?n={number}", b"X-Number: %d" % number, b"Cookie: a=%d" % number).json()
        assert told["target"] == f"/echo?n={number}"
        fields = dict(told["fields"])
        assert (fields["X-Number"], fields["Cookie"]) == (str(number), f"a={number}")


def test_versions_take_turns(client: RawClient) -> None:
    for _ in range(5):
        assert client.get("/versions/same", b"v: v1").field("x-version") == "v1"
        assert client.get("/versions/same", b"v: v2").field("x-version") == "v2"


def test_paths_take_turns(client: RawClient) -> None:
    for _ in range(5):
        assert client.get("/changed/same").field("x-path") == "same"
        assert client.get("/changed/other").field("x-path") is None
        filled = client.get("/changed/filled")
        assert filled.field("x-id") == filled.field("x-request-id")


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_makes_of_a_request_is_of_this_one(remembering: Gateway, client: RawClient, name: str) -> None:
    asked = [client.get(f"/{name}/echo").json()["target"] for _ in range(8)]
    assert len(set(asked)) == 8, asked
    for target in asked if name == "moving" else ():
        remembering.logged(path=f"/moving{target}")


def test_methods_and_protocols_take_turns(remembering: Gateway, client: RawClient) -> None:
    for method in (b"GET", b"PUT", b"GET", b"DELETE"):
        client.send(b"%b /one/by-method HTTP/1.1\r\nHost: by-method\r\n\r\n" % method)
        assert client.answer().json()["method"] == method.decode()
        remembering.logged(path="/one/by-method", method=method.decode(), protocol="HTTP/1.1")
    client.send(b"GET /one/by-method HTTP/1.0\r\nHost: by-method\r\nConnection: keep-alive\r\n\r\n")
    client.answer()
    remembering.logged(path="/one/by-method", protocol="HTTP/1.0")


def test_a_saved_definition_counts_for_the_next_request(remembering: Gateway, client: RawClient) -> None:
    for _ in range(3):
        assert "X-New" not in dict(client.get("/one/saved").json()["fields"])
    _, stored = remembering.operator("GET", "/api/apis/one")
    made = definition("one", stored["api_definition"]["proxy"]["target_url"], version={"global_headers": {"X-New": "1"}})
    status, said = remembering.operator("PUT", "/api/apis/one", {"api_definition": made, "hook_references": []})
    assert status == 200, said
    wait_until(lambda: dict(client.get("/one/saved").json()["fields"]).get("X-New") == "1", 20, "the saved definition")


def test_a_key_that_is_deleted_counts_no_more(remembering: Gateway, client: RawClient) -> None:
    rights = {"keyed": {"api_id": "keyed", "api_name": "keyed", "versions": ["Default"]}}
    session = {"rate": 0, "per": 0, "expires": 0, "quota_max": 1000, "quota_renewal_rate": 3600, "access_rights": rights}
    keys = []
    for _ in range(2):
        status, made = remembering.operator("POST", "/api/keys", session)
        assert status == 200, made
        keys.append(made["key_id"])
    left = []
    for key in (keys[0], keys[1], keys[0], keys[1], keys[0]):
        answer = client.get("/keyed/x", b"X-API-Key: " + key.encode())
        assert answer.status == 200
        left.append(int(answer.field("x-ratelimit-remaining") or ""))
    assert left == [999, 999, 998, 998, 997]
    assert json.loads(client.get("/keyed/x", b"X-API-Key: no").body)["code"] == "key-unknown"
    status, said = remembering.operator("DELETE", f"/tyk/keys/{keys[0]}")
    assert status == 200, said
    wait_until(lambda: client.get("/keyed/x", b"X-API-Key: " + keys[0].encode()).status == 403, 20, "the end of the key")
    assert client.get("/keyed/x", b"X-API-Key: " + keys[1].encode()).status == 200
