"""Bodies of answers, written by templates."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.middleware import response_body_transform
from services.gateway.refusals import UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE, Refusal
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports, spec
from tests.unit.gateway.middleware.test_body_transform import entry

JSON = (b"Content-Type", b"application/json; charset=utf-8")


def _version(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"use_extended_paths": True, "extended_paths": {"transform_response": list(entries)}}


@pytest.fixture
def asked() -> Exchange:
    made = exchange("GET", "/api/people", [("Accept-Encoding", "gzip"), ("Range", "bytes=0-1")])
    rule = built(response_body_transform, ports(), version=_version(entry('{"first": "{{.name}}"}', method="GET")))
    assert ask(rule, made) is None
    return made


def _changed(asked: Exchange, head: ResponseHead, body: bytes) -> bytes:
    (transform,) = asked.answer_transforms
    assert transform.wants(asked, head)
    made = transform.transform(asked, head, body)
    if isinstance(made, bytes):
        return made

    async def wait() -> bytes:
        return await made

    return asyncio.run(wait())


def _head(*headers: tuple[bytes, bytes], status: int = 200) -> ResponseHead:
    return ResponseHead(status, b"OK", list(headers))


def test_the_client_gets_what_the_template_writes(asked: Exchange) -> None:
    head = _head(JSON, (b"ETag", b'"1"'), (b"Repr-Digest", b"x"), (b"Content-Digest", b"x"), (b"X-Kept", b"1"))
    assert json.loads(_changed(asked, head, b'{"name": "a\\"b", "secret": 1}')) == {"first": 'a"b'}
    assert head.headers == [JSON, (b"X-Kept", b"1")]


def test_no_spelling_of_a_path_avoids_the_template() -> None:
    rule = built(response_body_transform, ports(), version=_version(entry('{"first": "{{.name}}"}', path="^/a/people$", method="GET")))
    asked = exchange("GET", "/api/a%5cpeople")
    assert ask(rule, asked) is None
    assert json.loads(_changed(asked, _head(JSON), b'{"name": "a", "secret": 1}')) == {"first": "a"}


def test_the_upstream_is_asked_for_all_of_a_plain_answer(asked: Exchange) -> None:
    assert asked.drop_headers == {b"accept-encoding", b"range"}


def test_a_large_answer_is_changed_in_a_thread(asked: Exchange) -> None:
    assert _changed(asked, _head(JSON), json.dumps({"name": "x" * 100_000}).encode()) == b'{"first": "' + b"x" * 100_000 + b'"}'


@pytest.mark.parametrize("kind", [b"text/html", b"image/png", b"text/event-stream"])
def test_an_answer_of_another_type_goes_on_as_it_is(kind: bytes, asked: Exchange) -> None:
    (transform,) = asked.answer_transforms
    assert not transform.wants(asked, _head((b"Content-Type", kind)))


@pytest.mark.parametrize("kind", [b"application/problem+json", b"", b"TEXT/JSON"])
def test_what_counts_as_json(kind: bytes, asked: Exchange) -> None:
    (transform,) = asked.answer_transforms
    assert transform.wants(asked, _head((b"Content-Type", kind)))
    assert transform.wants(asked, _head())


@pytest.mark.parametrize(("headers", "body"), [([JSON], b"<html>"), ([JSON, (b"Content-Encoding", b"gzip")], b"{}"), ([], b"[" * 100_000)])
def test_what_cannot_be_read_does_not_get_out(headers: list[tuple[bytes, bytes]], body: bytes, asked: Exchange) -> None:
    with pytest.raises(Refusal) as refused:
        _changed(asked, _head(*headers), body)
    assert refused.value.kind is UPSTREAM_BROKEN


def test_what_becomes_too_large_is_refused() -> None:
    asked = exchange("GET", "/api/people")
    rule = built(response_body_transform, ports(), version=_version(entry("{{range .l}}{{$.l}}{{end}}", method="")))
    ask(rule, asked)
    with pytest.raises(Refusal) as refused:
        _changed(asked, _head(JSON), json.dumps({"l": ["x" * 100] * 1000}).encode())
    assert refused.value.kind is UPSTREAM_TOO_LARGE


@pytest.mark.parametrize(("status", "body"), [(304, b""), (204, b""), (200, b"")])
def test_an_answer_without_a_body_stays_without_one(status: int, body: bytes, asked: Exchange) -> None:
    assert _changed(asked, _head(JSON, status=status), body) == b""


XML = (b"Content-Type", b"text/xml; charset=utf-8")


def _of_xml(source: str) -> Exchange:
    asked = exchange("GET", "/api/people")
    ask(built(response_body_transform, ports(), version=_version(entry(source, method="GET", input_type="xml"))), asked)
    return asked


def test_an_answer_in_xml_may_become_json() -> None:
    asked = _of_xml('{"first": "{{index .people.name 0}}"}')
    (transform,) = asked.answer_transforms
    assert not transform.wants(asked, _head(JSON))
    for kind in (b"application/xml", b"application/soap+xml", b""):
        assert transform.wants(asked, _head((b"Content-Type", kind)))
    head = _head(XML, (b"X-Kept", b"1"))
    assert json.loads(_changed(asked, head, b"<people><name>a&quot;b</name><name>c</name></people>")) == {"first": 'a"b'}
    assert head.headers == [(b"X-Kept", b"1"), (b"Content-Type", b"application/json")]


def test_a_type_that_a_stage_has_set_stays() -> None:
    asked = _of_xml('{"a": "{{.a}}"}')
    (transform,) = asked.answer_transforms
    head = _head((b"Content-Type", b"application/vnd.own+json"))
    made = transform.transform(asked, head, b"<a>1</a>")
    assert not isinstance(made, bytes)

    async def wait() -> bytes:
        return await made

    assert asyncio.run(wait()) == b'{"a": "1"}'
    assert head.headers == [(b"Content-Type", b"application/vnd.own+json")]


def test_xml_that_stays_xml_keeps_its_type() -> None:
    asked = _of_xml("<b>{{.a}}</b>")
    head = _head(XML)
    assert _changed(asked, head, b"<a>&lt;</a>") == b"<b>&lt;</b>"
    assert head.headers == [XML]


@pytest.mark.parametrize(("source", "body"), [("{{.a}}", b"{}"), ("{{.a}}", b"<!DOCTYPE a><a/>")])
def test_xml_that_cannot_be_read_does_not_get_out(source: str, body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        _changed(_of_xml(source), _head(XML), body)
    assert refused.value.kind is UPSTREAM_BROKEN


def test_what_cannot_be_written_as_xml_does_not_get_out() -> None:
    asked = exchange("GET", "/api/people")
    ask(built(response_body_transform, ports(), version=_version(entry("{{. | xmlMarshal}}", method=""))), asked)
    with pytest.raises(Refusal) as refused:
        _changed(asked, _head(JSON), b'{"a b": 1}')
    assert refused.value.kind is UPSTREAM_BROKEN


def test_forms_are_not_answers() -> None:
    assert mistakes(response_body_transform, version=_version(entry(input_type="form"))) == [
        "/version_data/versions/Default/extended_paths/transform_response/0/template_data/input_type"
    ]


def test_without_entries_it_is_not_used() -> None:
    assert spec(response_body_transform, version=_version()) is None
