"""Bodies of requests, written by templates."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.definitions.reader import Mistakes
from services.gateway.keys.model import Key
from services.gateway.middleware import body_transform
from services.gateway.refusals import BODY_NOT_JSON, BODY_TOO_LARGE, Refusal
from tests.unit.gateway.exchanges import ask, built, definition, exchange, mistakes, ports, spec

NAMES = '{"names": [{{range $i, $p := .people}}{{if $i}}, {{end}}"{{$p.name}}"{{end}}]}'


def entry(source: str = NAMES, *, path: str = "^/people$", method: str = "POST", **data: Any) -> dict[str, Any]:
    encoded = base64.b64encode(source.encode()).decode()
    return {"path": path, "method": method, "template_data": {"template_mode": "blob", "template_source": encoded, **data}}


def _rule(*entries: dict[str, Any], **more: Any) -> Any:
    return built(body_transform, ports(), version=_version(*entries), **more)


def _version(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"use_extended_paths": True, "extended_paths": {"transform": list(entries)}}


def _asked(rule: Any, body: bytes, *, target: str = "/api/people", key: Key | None = None, **more: Any) -> Any:
    async def read() -> bytes:
        return body

    asked = exchange("POST", target, key=key, **more)
    asked.body_reader = read
    assert ask(rule, asked) is None
    return asked


def test_the_upstream_gets_what_the_template_writes() -> None:
    body = json.dumps({"people": [{"name": 'A "quoted" one'}, {"name": "B"}]}).encode()
    assert json.loads(_asked(_rule(entry()), body).body) == {"names": ['A "quoted" one', "B"]}


def test_no_spelling_of_a_path_avoids_the_template() -> None:
    rule = _rule(entry('{"name": "{{.name}}"}', path="^/a/people$"))
    assert _asked(rule, b'{"name": "x", "admin": true}', target="/api/a%2Fpeople").body == b'{"name": "x"}'


def test_an_array_is_seen_as_one() -> None:
    assert _asked(_rule(entry("{{range .}}{{.}};{{end}}")), b"[1,2]").body == b"1;2;"


def test_a_form_may_become_json() -> None:
    rule = _rule(entry('{"a": "{{.a}}", "b": {{.b | jsonMarshal}}}', input_type="form"))
    asked = _asked(rule, b"a=x+%22y%22&b=1&b=2")
    assert json.loads(asked.body) == {"a": 'x "y"', "b": ["1", "2"]}
    assert asked.set_headers == [(b"Content-Type", b"application/json")]


def test_xml_may_become_json() -> None:
    source = '{"id": "{{index .order "-id"}}", "names": [{{range $i, $e := .order.item}}{{if $i}}, {{end}}"{{$e.name}}"{{end}}]}'
    body = b"""<?xml version="1.0"?><order id='7"'><item><name>a</name></item><item><name>b</name></item></order>"""
    asked = _asked(_rule(entry(source, input_type="XML")), body)
    assert json.loads(asked.body) == {"id": '7"', "names": ["a", "b"]}
    assert asked.set_headers == [(b"Content-Type", b"application/json")]


def test_json_may_become_xml() -> None:
    rule = _rule(entry("<order><name>{{.name}}</name>{{.lines | xmlMarshal}}</order>"))
    asked = _asked(rule, b'{"name": "<a/>&", "lines": {"line": [{"#text": "x", "-n": 1}, {"#text": "<y>"}]}}')
    assert asked.body == b'<order><name>&lt;a/&gt;&amp;</name><line n="1">x</line><line>&lt;y&gt;</line></order>'
    assert asked.set_headers is None
    with pytest.raises(Refusal) as refused:
        _asked(rule, b'{"lines": {"a><b": 1}}')
    assert refused.value.kind is BODY_NOT_JSON


@pytest.mark.parametrize(
    "body", [b"{}", b"<a>", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', b"<a/>" + b" " * 20_000 + b"<"]
)
def test_xml_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        _asked(_rule(entry("{{.}}", input_type="xml")), body)
    assert refused.value.kind is BODY_NOT_JSON
    assert "XML" in (refused.value.detail or "")


def _of_file(name: str, folder: Path) -> Any:
    given = entry(template_mode="file", template_source=name)
    return body_transform.build(spec(body_transform, version=_version(given)), replace(ports(), folder=folder))


def test_a_template_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "templates" / "names.tmpl"
    file.parent.mkdir()
    file.write_text(NAMES)
    for name in ("./templates/names.tmpl", "/templates/names.tmpl"):
        rule = _of_file(name, tmp_path)
        assert json.loads(_asked(rule, b'{"people": [{"name": "A"}]}').body) == {"names": ["A"]}
        assert [one.path for one in rule.files] == [str(file)]


def test_a_file_that_cannot_be_used_is_a_mistake(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside").write_text("{{.}}")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "empty").write_text(" ")
    (folder / "wrong").write_text("\n{{foo}}")
    (folder / "folder").mkdir()
    for name in ("absent", "../outside", str(tmp_path / "outside"), "link", "empty", "wrong", "folder"):
        with pytest.raises(Mistakes, match=name) as found:
            _of_file(name, folder)
        place = "/version_data/versions/Default/extended_paths/transform/0/template_data/template_source"
        assert [one.pointer for one in found.value.mistakes] == [place]


def test_the_template_sees_key_and_request_only_when_it_may() -> None:
    key = Key(id="public", session={"meta_data": {"tier": "gold"}})
    source = "{{._tyk_meta.tier}}|{{._tyk_context.remote_addr}}|{{index ._tyk_context.request_data.q 0}}|{{._tyk_context.headers_X_Own}}"
    given: dict[str, Any] = {"key": key, "target": "/api/people?q=1", "headers": [("X-Own", "own"), ("Authorization", "secret")]}
    both = _asked(_rule(entry(source, enable_session=True), enable_context_vars=True), b"{}", **given)
    assert both.body == b"gold|192.0.2.1|1|own"
    assert _asked(_rule(entry(source)), b"{}", **given).body == b"|||"
    secret = _asked(_rule(entry("{{._tyk_context}}"), enable_context_vars=True), b"{}", **given)
    assert b"secret" not in secret.body


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"{}" + b" " * 100_000 + b"x"])
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        _asked(_rule(entry()), body)
    assert refused.value.kind is BODY_NOT_JSON


def test_a_form_of_too_many_fields_is_refused() -> None:
    with pytest.raises(Refusal):
        _asked(_rule(entry("{{.a}}", input_type="form")), b"a=1&" * 2000)


def test_a_large_body_is_changed_in_a_thread_and_what_becomes_too_large_is_refused() -> None:
    body = json.dumps({"people": [{"name": "x" * 100}] * 1000}).encode()
    assert len(json.loads(_asked(_rule(entry()), body).body)["names"]) == 1000
    with pytest.raises(Refusal) as refused:
        _asked(_rule(entry("{{range .people}}{{$.people}}{{end}}")), body)
    assert refused.value.kind is BODY_TOO_LARGE


def test_other_endpoints_stay_as_they_are() -> None:
    assert _asked(_rule(entry()), b"{", target="/api/others").body is None


def test_variables_that_are_not_filled_in_are_told_of() -> None:
    sources = ["{{if .a}}{{else}}{$tyk_context.path}{{end}}", "$tyk_meta.a", "{{$tyk_context := .}}{{$tyk_context.a}}", "costs $5"]
    version = _version(*map(entry, sources))
    response = {"transform_response": [entry("$tyk_context.path")]}
    version["extended_paths"].update(response)
    found = dict(lint(definition(version=version, enable_context_vars=True)))
    place = "/version_data/versions/Default/extended_paths/{}/template_data/template_source"
    assert list(found) == [place.format("transform/0"), place.format("transform/1"), place.format("transform_response/0")]
    assert "{{._tyk_meta.NAME}}, with enable_session" in found[place.format("transform/1")]


def test_without_entries_it_is_not_used() -> None:
    assert spec(body_transform, version=_version()) is None
    assert spec(body_transform, version=_version({**entry(), "disabled": True})) is None


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (entry("{{foo}}"), "template_data/template_source"),
        (entry(" "), "template_data/template_source"),
        (entry(template_source="%%%"), "template_data/template_source"),
        (entry(template_mode="file", template_source=""), "template_data/template_source"),
        (entry(template_mode="other"), "template_data/template_mode"),
        (entry(input_type="yaml"), "template_data/input_type"),
        (entry(path="("), "path"),
    ],
)
def test_mistakes(wrong: dict[str, Any], place: str) -> None:
    pointer = "/version_data/versions/Default/extended_paths/transform/0/"
    assert pointer + place in mistakes(body_transform, version=_version(wrong))
