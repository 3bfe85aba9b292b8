"""Bodies that the gateway reads: checked, changed, bounded; through real sockets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request

LIMIT = 200_000


def _template(source: str, path: str, **data: Any) -> dict[str, Any]:
    encoded = base64.b64encode(source.encode()).decode()
    return {"path": path, "method": "POST", "template_data": {"template_mode": "blob", "template_source": encoded, **data}}


PATHS = {
    "validate_json": [{"path": "^/checked$", "method": "POST", "schema": {"type": "object", "required": ["name"]}}],
    "transform": [
        _template('{"hello": "{{.name}}"}', "^/changed$"),
        _template('{"hello": {{.name | jsonMarshal}}}', "^/form$", input_type="form"),
        {"path": "^/xml$", "template_data": {"input_type": "xml", "template_mode": "file", "template_source": "./templates/names.tmpl"}},
        _template("<hello>{{.name}}{{.more | xmlMarshal}}</hello>", "^/to-xml$"),
    ],
    "transform_response": [
        _template('{"said": "{{.said.name}}"}', "^/answers/xml", input_type="xml"),
        _template('{"said": "{{.name}}"}', "^/answers"),
    ],
}


@pytest.fixture(scope="module")
def bodies(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    def answer(path: str, body: bytes, *fields: bytes) -> None:
        def give(asked: Request) -> None:
            asked.body()
            asked.answer(body, *fields)

        odd_upstream.on(path, give)

    answer("/answers/json", b'{"name": "x", "secret": 1}', b"Content-Type: application/json", b'ETag: "1"')
    answer("/answers/html", b"<p>", b"Content-Type: text/html")
    answer("/answers/large", b'{"name": "' + b"x" * LIMIT + b'"}', b"Content-Type: application/json")
    answer("/answers/broken", b"{", b"Content-Type: application/json")
    answer("/answers/xml", b"<said id='1'><name>x&quot;</name></said>", b"Content-Type: text/xml")
    answer("/answers/xml/bomb", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"Content-Type: text/xml")
    version = {"use_extended_paths": True, "extended_paths": PATHS}
    definitions = [definition("bodies", f"{odd_upstream.url}/", version=version, enable_batch_request_support=True)]
    folder = tmp_path_factory.mktemp("bodies")
    (folder / "files" / "templates").mkdir(parents=True)
    (folder / "files" / "templates" / "names.tmpl").write_text('{"hello": {{.people.name | jsonMarshal}}, "of": "{{index .people "-of"}}"}')
    env = {"GATEWAY_BODY_READ_LIMIT": str(LIMIT), "GATEWAY_MIDDLEWARE_PATH": str(folder / "files")}
    with gateway(folder, definitions, env) as running:
        yield running


@pytest.fixture
def client(bodies: Gateway) -> Iterator[RawClient]:
    with RawClient(bodies.port) as connection:
        yield connection


def _chunks(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def test_what_fits_goes_on_and_what_does_not_is_refused_on_one_connection(client: RawClient) -> None:
    good, bad = b'{"name": 1}', b'{"nam": 1}'
    post = {"method": "POST"}
    client.send(request("/bodies/checked", body=good, **post) + request("/bodies/checked", body=bad, **post) + request("/bodies/free"))
    told = client.answer().json()
    assert (told["target"], told["length"]) == ("/checked", len(good))
    refused = client.answer()
    assert (refused.status, refused.json()["code"]) == (422, "body-invalid")
    assert client.answer().json()["target"] == "/free"


def test_a_chunked_body_is_checked_and_goes_on_with_its_length(client: RawClient) -> None:
    client.send(request("/bodies/checked", b"Transfer-Encoding: chunked", method="POST") + _chunks(b'{"name": 1}'))
    told = client.answer().json()
    fields = {name.lower(): value for name, value in told["fields"]}
    assert (told["length"], fields["content-length"]) == (11, "11")
    assert "transfer-encoding" not in fields


def test_a_body_whose_chunks_are_broken_is_refused(client: RawClient) -> None:
    client.send(request("/bodies/checked", b"Transfer-Encoding: chunked", method="POST") + b"5\r\n{}\r\nno size\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (400, "malformed-request")


def test_a_client_that_waits_is_told_to_send(client: RawClient) -> None:
    client.send(request("/bodies/checked", b"Expect: 100-continue", b"Content-Length: 11", method="POST"))
    assert client.head().status == 100
    client.send(b'{"name": 1}')
    told = client.answer().json()
    assert told["length"] == 11
    assert "expect" not in {name.lower() for name, _ in told["fields"]}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(chunked: bool, client: RawClient) -> None:
    body = b'{"name": "' + b"x" * LIMIT + b'"}'
    if chunked:
        client.send(request("/bodies/checked", b"Transfer-Encoding: chunked", method="POST") + _chunks(body))
    else:
        client.send(request("/bodies/checked", b"Content-Length: %d" % len(body), method="POST"))
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (413, "body-too-large")


def test_a_body_of_another_path_is_streamed(client: RawClient) -> None:
    client.send(request("/bodies/free", method="POST", body=b"x" * (2 * LIMIT)))
    assert client.answer().json()["length"] == 2 * LIMIT


def test_the_upstream_gets_the_new_body(client: RawClient, odd_upstream: OddUpstream) -> None:
    seen: list[bytes] = []

    def keep(asked: Request) -> None:
        seen.append(asked.body())
        asked.answer(b"", b"X-Type: " + (asked.field("content-type") or "").encode())

    odd_upstream.on("/changed", keep)
    odd_upstream.on("/form", keep)
    client.send(request("/bodies/changed", method="POST", body=b'{"name": "a \\"quote\\""}'))
    assert client.answer().status == 200
    client.send(request("/bodies/form", b"Content-Type: application/x-www-form-urlencoded", method="POST", body=b"name=b+c"))
    assert client.answer().field("x-type") == "application/json"
    assert [json.loads(body) for body in seen] == [{"hello": 'a "quote"'}, {"hello": "b c"}]


def test_xml_is_read_and_written(client: RawClient, odd_upstream: OddUpstream) -> None:
    seen: list[bytes] = []

    def keep(asked: Request) -> None:
        seen.append(asked.body())
        asked.answer(b"", b"X-Type: " + (asked.field("content-type") or "").encode())

    odd_upstream.on("/xml", keep)
    odd_upstream.on("/to-xml", keep)
    kind = b"Content-Type: text/xml"
    client.send(request("/bodies/xml", kind, method="POST", body=b"<people of='\"us\"'><name>a</name><name>&lt;b&gt;</name></people>"))
    assert client.answer().field("x-type") == "application/json"
    client.send(request("/bodies/to-xml", method="POST", body=b'{"name": "<a/>", "more": {"b": [1, 2], "-c": "x"}}'))
    assert client.answer().status == 200
    assert json.loads(seen[0]) == {"hello": ["a", "<b>"], "of": '"us"'}
    assert seen[1] == b'<hello>&lt;a/&gt;<doc c="x"><b>1</b><b>2</b></doc></hello>'
    for body in (b'<!DOCTYPE a [<!ENTITY b "c">]><people>&b;</people>', b"<people>", b"{}"):
        client.send(request("/bodies/xml", kind, method="POST", body=body))
        answer = client.answer()
        assert (answer.status, answer.json()["code"]) == (400, "body-not-json")
    client.send(request("/bodies/to-xml", method="POST", body=b'{"more": {"a><b": 1}}'))
    assert client.answer().status == 400
    assert len(seen) == 2


def test_an_answer_in_xml_becomes_json(client: RawClient) -> None:
    client.send(request("/bodies/answers/xml", method="POST", body=b"{}"))
    answer = client.answer()
    assert (answer.json(), answer.field("content-type")) == ({"said": 'x"'}, "application/json")


def test_the_client_gets_the_new_answer(client: RawClient) -> None:
    for target, status, body in (("json", 200, b'{"said": "x"}'), ("html", 200, b"<p>"), ("json", 200, b'{"said": "x"}')):
        client.send(request(f"/bodies/answers/{target}", method="POST", body=b"{}"))
        answer = client.answer()
        assert (answer.status, answer.body, answer.field("etag")) == (status, body, None)


@pytest.mark.parametrize(
    ("what", "code"), [("large", "upstream-too-large"), ("broken", "upstream-broken"), ("xml/bomb", "upstream-broken")]
)
def test_an_answer_that_cannot_be_changed_does_not_get_out(what: str, code: str, client: RawClient) -> None:
    client.send(request(f"/bodies/answers/{what}", method="POST", body=b"{}"))
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (502, code)


def test_entries_of_a_batch_are_checked_and_changed_as_well(client: RawClient) -> None:
    entries = [
        {"method": "POST", "relative_url": "checked", "body": "{}"},
        {"method": "POST", "relative_url": "checked", "body": '{"name": 1}'},
        {"method": "POST", "relative_url": "answers/json", "body": "{}"},
    ]
    client.send(request("/bodies/tyk/batch/", method="POST", body=json.dumps({"requests": entries}).encode()))
    answers = client.answer().json()
    assert [answer["code"] for answer in answers] == [422, 200, 200]
    assert json.loads(answers[1]["body"])["length"] == 11
    assert answers[2]["body"] == '{"said": "x"}'
