"""Requests that one API sends on to another (`tyk://`), errors by status, and addresses from files, through a running gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request


def _rewrites(*entries: tuple[str, str]) -> dict[str, Any]:
    listed = [{"path": path, "match_pattern": f"{path}(.*)", "rewrite_to": to, "method": ""} for path, to in entries]
    return {"use_extended_paths": True, "extended_paths": {"url_rewrites": listed}}


def _fails(asked: Request) -> bool:
    asked.answer(b'{"error": {"code": "OUT"}}', b"Content-Type: application/json", status=b"503 Gone Fishing")
    return True


def _echo(asked: Request) -> bool:
    body = asked.body()
    told = {"method": asked.method, "target": asked.target, "body": body.decode(), "prefix": asked.field("x-forwarded-prefix")}
    asked.answer(json.dumps({**told, "key": asked.field("authorization")}).encode())
    return True


def _switches(asked: Request) -> bool:
    asked.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    asked.send(asked.more())
    return False


@pytest.fixture(scope="module")
def upstream() -> Iterator[OddUpstream]:
    made = OddUpstream()
    for path in ("/in/a", "/in/b", "/in/back", "/in/"):
        made.on(path, _echo)
    made.on("/in/fails", _fails)
    made.on("/in/ws", _switches)
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("loops")
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "address").write_text(f"{upstream.url}\n")
    add = [{"path": "/a", "method": "GET", "add_headers": {"X-Front": "1"}}]
    rules = {"503": [{"match": {"body_field": "error.code", "body_value": "OUT"}, "response": {"status_code": 404, "body": '{"gone": 1}'}}]}
    refusals = {"401": [{"match": {"flag": "AMF"}, "response": {"status_code": 403, "body": '{"why": "{{.Message}}"}'}}]}
    definitions = [
        definition("inner", "secrets://address/in", internal=True, enable_batch_request_support=True),
        definition("keyed", "secrets://address/in", use_keyless=False),
        definition("front", "tyk://inner/", error_overrides=rules, enable_batch_request_support=True,
                   version={"use_extended_paths": True, "extended_paths": {"transform_response_headers": add}}),
        definition("to-keyed", "tyk://keyed/", error_overrides=refusals),
        definition("circle", upstream.url, version=_rewrites(("/round", "tyk://self/round"), ("/once", "tyk://self/in/b?method=POST&loop_limit=1"))),
        definition("cached", "tyk://inner/",
                   cache_options={"enable_cache": True, "cache_all_safe_requests": True, "cache_timeout": 60}),
        definition("lost", "tyk://nowhere/"),
        definition("all", f"{upstream.url}/in", proxy={"listen_path": "/"}),
    ]  # fmt: skip
    with gateway(folder, definitions, {"GATEWAY_SECRETS_PATH": str(secrets)}) as made:
        yield made


@pytest.fixture
def client(running: Gateway) -> Iterator[RawClient]:
    made = RawClient(running.port)
    yield made
    made.close()


def test_another_api_answers(running: Gateway, client: RawClient) -> None:
    for _ in range(2):  # on one connection
        client.send(request("/front/a?x=1", method="POST", body=b"hello"))
        answer = client.answer()
        assert answer.status == 200
        assert answer.json() == {"method": "POST", "target": "/in/a?x=1", "body": "hello", "prefix": "/front", "key": None}
    line = running.logged(api="front", path="/front/a")
    assert (line["looped_to"], line["status"], "upstream_ms" in line) == ("inner", 200, True)


def test_a_large_body_streams_through(client: RawClient) -> None:
    client.send(request("/front/back", method="POST", body=b"x" * 300_000))
    assert len(client.answer().json()["body"]) == 300_000


def test_the_first_api_changes_the_answer(client: RawClient) -> None:
    client.send(request("/front/a"))
    assert client.answer().field("x-front") == "1"
    client.send(request("/front/fails"))
    answer = client.answer()
    assert (answer.status, answer.json()) == (404, {"gone": 1})


def test_an_internal_api_is_not_found_from_outside(client: RawClient) -> None:
    client.send(request("/inner/a"))
    assert client.answer().json()["target"] == "/in/inner/a", "its path is that of the API that owns a shorter one"


def test_a_key_is_asked_for_where_the_other_api_wants_one(running: Gateway, client: RawClient) -> None:
    client.send(request("/to-keyed/a"))
    answer = client.answer()
    assert (answer.status, answer.json()) == (403, {"why": "Authorization field missing"})
    assert running.logged(api="to-keyed", status=403)["refused"] == "key-missing"
    status, made = running.operator("POST", "/tyk/keys/create", {"access_rights": {"keyed": {}}, "rate": 1, "per": 1000})
    assert status == 200
    for expected in (200, 429):
        client.send(request("/to-keyed/a", f"Authorization: {made['key']}".encode()))
        answer = client.answer()
        assert (answer.status, answer.field("ratelimit") is not None) == (expected, True)
    assert running.logged(api="to-keyed", status=429)["key"]


def test_loops_within_an_api_end(running: Gateway, client: RawClient) -> None:
    client.send(request("/circle/round"))
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (500, "loop-limit")
    client.send(request("/circle/once"))
    told = client.answer().json()
    assert (told["method"], told["target"]) == ("POST", "/in/b")
    head = client.get("/circle/once", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert client.get("/circle/once").status == 200, "the connection is still in step"


def test_a_target_that_is_not_here(client: RawClient) -> None:
    client.send(request("/lost/a"))
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (502, "loop-unknown")


def test_batches_go_through(client: RawClient) -> None:
    entries = [
        {"method": "GET", "relative_url": "a"},
        {"method": "GET", "relative_url": "fails"},
        {"method": "PUT", "relative_url": "b", "body": "x"},
    ]
    client.send(request("/front/tyk/batch/", method="POST", body=json.dumps({"requests": entries}).encode()))
    answers = client.answer().json()
    assert [one["code"] for one in answers] == [200, 404, 200]
    assert json.loads(answers[2]["body"])["body"] == "x"


def test_the_first_api_keeps_answers(client: RawClient, upstream: OddUpstream) -> None:
    before = upstream.count("/in/a")
    told = [client.get("/cached/a").json() for _ in range(3)]
    assert told[0]["prefix"] == "/cached"
    assert (told[1:], upstream.count("/in/a") - before) == (told[:1] * 2, 1)


def test_a_tunnel_goes_through(client: RawClient) -> None:
    client.send(request("/front/ws", b"Connection: Upgrade", b"Upgrade: websocket"))
    client.send(b"hello")
    received = b""
    while not received.endswith(b"hello"):
        data = client.socket.recv(1000)
        assert data, received
        received += data
    assert received.startswith(b"HTTP/1.1 101 ")


def test_a_warning_names_what_is_not_here(running: Gateway) -> None:
    raw = definition("later", "tyk://not-yet/")
    status, said = running.operator("POST", "/api/gatehouse/lint", {"api_definition": raw})
    assert status == 200, said
    assert "/proxy/target_url" in json.dumps(said)
    shown = running.operator("GET", "/tyk/apis/inner")[1]
    assert (shown["proxy"]["target_url"], shown["internal"]) == ("secrets://address/in", True)
