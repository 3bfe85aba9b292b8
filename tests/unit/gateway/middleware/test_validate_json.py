"""Bodies must fit the schema of their endpoint."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.gateway.middleware import validate_json
from services.gateway.refusals import BODY_INVALID, BODY_NOT_JSON, Refusal
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports, spec

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^(a+)+$"}}}


def _version(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"use_extended_paths": True, "extended_paths": {"validate_json": list(entries)}, **more}


def _entry(**more: Any) -> dict[str, Any]:
    return {"path": "^/people$", "method": "POST", "schema": SCHEMA, **more}


def _ask(rule: Any, body: bytes, *, method: str = "POST", target: str = "/api/people") -> bytes | None:
    """Ask for a request with this body; return what was read of it. Raises Refusal."""

    async def read() -> bytes:
        return body

    asked = exchange(method, target)
    asked.body_reader = read
    assert ask(rule, asked) is None
    return asked.body


@pytest.fixture
def rule() -> Any:
    return built(validate_json, ports(), version=_version(_entry()))


def test_a_body_that_fits_passes_and_is_kept_for_the_upstream(rule: Any) -> None:
    assert _ask(rule, b'{"name": "aaa"}') == b'{"name": "aaa"}'


def test_a_body_that_does_not_fit_is_refused_with_what_is_wrong(rule: Any) -> None:
    with pytest.raises(Refusal) as refused:
        _ask(rule, b'{"name": 3}')
    assert (refused.value.kind, refused.value.status) == (BODY_INVALID, 422)
    assert refused.value.detail == '/name: the value is not of type "string"'


def test_several_faults_are_told_and_no_value_is_repeated(rule: Any) -> None:
    both = built(validate_json, ports(), version=_version(_entry(schema={"properties": {"a": {"type": "null"}, "b": {"maxLength": 1}}})))
    with pytest.raises(Refusal) as refused:
        _ask(both, b'{"a": "secret-1", "b": "secret-2"}')
    detail = refused.value.detail or ""
    assert "/a: " in detail
    assert "/b: " in detail
    assert "secret" not in detail


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"name=aaa"])
def test_what_is_not_json_is_refused(body: bytes, rule: Any) -> None:
    with pytest.raises(Refusal) as refused:
        _ask(rule, body)
    assert (refused.value.kind, refused.value.status) == (BODY_NOT_JSON, 400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"rate": 1e999}', ": a number is too large, or is none"),
        (b'{"rate": Infinity}', ": a number is too large, or is none"),
        (b'{"rate": NaN}', ": a number is too large, or is none"),
        (b'{"rate": 99, "rate": 1}', ": an object has a name twice"),
        (b'{"\\ud800": 1}', ""),
        (b'{"rate": "\\udfff"}', ""),
    ],
)
def test_what_the_upstream_might_read_in_another_way_is_refused(body: bytes, said: str) -> None:
    most = built(validate_json, ports(), version=_version(_entry(schema={"properties": {"rate": {"maximum": 10, "maxLength": 1}}})))
    assert _ask(most, b'{"rate": 1.5, "other": [{"rate": "\\uD83D\\ude00"}]}') is not None
    with pytest.raises(Refusal) as refused:
        _ask(most, body)
    assert (refused.value.kind, refused.value.detail) == (BODY_NOT_JSON, f"The body is not valid JSON{said}.")


def test_a_large_body_is_checked_in_a_thread(rule: Any) -> None:
    large = json.dumps({"name": "a" * 100_000}).encode()
    assert _ask(rule, large) == large
    with pytest.raises(Refusal):
        _ask(rule, json.dumps({"name": "a" * 100_000 + "b"}).encode())


@pytest.mark.parametrize(("method", "target"), [("GET", "/api/people"), ("POST", "/api/others"), ("POST", "/api/people/x")])
def test_other_endpoints_are_not_read(method: str, target: str, rule: Any) -> None:
    assert _ask(rule, b"{", method=method, target=target) is None


def test_an_entry_without_a_method_is_for_all() -> None:
    every = built(validate_json, ports(), version=_version(_entry(method="")))
    with pytest.raises(Refusal):
        _ask(every, b"{}", method="PATCH")


def test_an_encoded_slash_does_not_avoid_the_check() -> None:
    rule = built(validate_json, ports(), version=_version(_entry(path="^/people/all$")))
    for target in ("/api/people/all", "/api/people%2Fall", "/api/people%5Call", "/api/p%65ople/all"):
        with pytest.raises(Refusal):
            _ask(rule, b"{}", target=target)


def test_the_definition_may_choose_the_status() -> None:
    rule = built(validate_json, ports(), version=_version(_entry(error_response_code=400)))
    with pytest.raises(Refusal) as refused:
        _ask(rule, b"{}")
    assert refused.value.status == 400


def test_a_schema_may_be_base64() -> None:
    encoded = base64.b64encode(json.dumps(SCHEMA).encode()).decode()
    rule = built(validate_json, ports(), version=_version({"path": "/", "schema_b64": encoded}))
    with pytest.raises(Refusal):
        _ask(rule, b"{}")


def test_draft_4_is_known_by_its_name() -> None:
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True}
    rule = built(validate_json, ports(), version=_version(_entry(schema=schema)))
    assert _ask(rule, b"4") == b"4"
    with pytest.raises(Refusal):
        _ask(rule, b"3")


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (_entry(schema={"type": "objekt"}), "schema"),
        (_entry(schema={"pattern": "(?=x)"}), "schema"),
        (_entry(schema={"$ref": "http://127.0.0.1:1/x"}), "schema"),
        (_entry(schema={"$ref": "file:///etc/passwd"}), "schema"),
        (_entry(schema={"$ref": "#/nowhere"}), "schema"),
        (_entry(schema=[]), "schema"),
        ({"path": "/"}, "schema"),
        ({"path": "/", "schema_b64": "%%%"}, "schema_b64"),
        (_entry(error_response_code=200), "error_response_code"),
        (_entry(error_response_code=600), "error_response_code"),
        (_entry(method="post"), "method"),
        (_entry(path="("), "path"),
    ],
)
def test_mistakes(entry: dict[str, Any], place: str) -> None:
    assert mistakes(validate_json, version=_version(entry)) == [f"/version_data/versions/Default/extended_paths/validate_json/0/{place}"]


def test_a_definition_without_entries_does_not_use_it() -> None:
    assert spec(validate_json, version=_version()) is None
    assert spec(validate_json, version=_version(_entry(disabled=True, schema="nonsense"))) is None
    assert spec(validate_json, version=_version(_entry(), use_extended_paths=False)) is None


def test_versions_have_their_own_schemas(rule: Any) -> None:
    asked = exchange("POST", "/api/people", version="other")
    assert ask(rule, asked) is None
