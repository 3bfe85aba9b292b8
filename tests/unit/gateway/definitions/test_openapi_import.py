"""A definition from an OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import parse
from services.gateway.definitions.openapi_import import definition_of
from services.gateway.definitions.reader import Mistakes
from services.gateway.middleware import path_lists, validate_json
from services.gateway.operator_api.changes.filling import filled
from services.gateway.refusals import Refusal
from tests.unit.gateway.exchanges import exchange, ports

PET = {"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#/components/schemas/Pet"}}, "required": ["name"]}


def document(openapi: str = "3.1.0", **more: Any) -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}
    example = {"200": {"description": "", "content": {"application/json": {"example": {"id": 1}}}}}
    return {
        "openapi": openapi,
        "info": {"title": "Pet Store", "version": "1"},
        "servers": [{"url": "https://{region}.example/v1", "variables": {"region": {"default": "eu"}}}],
        "paths": {
            "/pets/{id}.json": {"get": {"responses": example}, "delete": {"responses": {"204": {"description": ""}}}},
            "/pets/{id}": {"get": {"responses": example}},
            "/pets/new": {"post": {"requestBody": body, "responses": {}}},
        },
        "components": {"schemas": {"Pet": PET}, "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
        "security": [{"key": []}],
        **more,
    }


def refused(given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Mistakes) as caught:
        definition_of(given)
    return dict(caught.value.mistakes)


def test_where_it_listens_where_it_goes_and_who_is_let_in() -> None:
    made, notes = definition_of(document())
    assert notes == []
    assert made["proxy"] == {"listen_path": "/pet-store/", "target_url": "https://eu.example/v1", "strip_listen_path": True}
    assert (made["use_keyless"], made["auth"]) == (False, {"auth_header_name": "X-Key"})
    assert definition_of(document(), listen_path="/a/", target="http://b").definition["proxy"]["listen_path"] == "/a/"
    parse(filled(made))


@pytest.mark.parametrize(("path", "method", "is_open"), [
    ("/pets/7", "GET", True),
    ("/pets/7", "POST", False),
    ("/pets/7/more", "GET", False),
    ("/x/pets/7", "GET", False),
    ("/pets/7.json", "DELETE", True),
    ("/pets/7xjson", "DELETE", False),
    ("/pets/new", "POST", True),
])  # fmt: skip
def test_only_its_paths_and_methods_are_open(path: str, method: str, is_open: bool) -> None:
    spec = parse(filled(definition_of(document(), listen_path="/api/").definition)).spec(path_lists.Spec)
    assert spec is not None
    lists = path_lists.build(spec, ports())
    asked = exchange(method, f"/api{path}")
    if is_open:
        assert lists.on_request(asked) is None
    else:
        with pytest.raises(Refusal):
            lists.on_request(asked)


def test_examples_are_answered_when_asked_for() -> None:
    made, notes = definition_of(document(), listen_path="/api/", mock=True)
    spec = parse(filled(made)).spec(path_lists.Spec)
    assert spec is not None
    reply = path_lists.build(spec, ports()).on_request(exchange("GET", "/api/pets/7"))
    assert reply is not None
    assert (reply.status, reply.body) == (200, b'{"id": 1}')
    assert [note.pointer for note in notes] == ["/paths/~1pets~1new/post"]


@pytest.mark.parametrize("openapi", ["3.0.3", "3.1.0"])
def test_bodies_are_checked_by_the_schema_and_those_it_names(openapi: str) -> None:
    made, _ = definition_of(document(openapi))
    spec = parse(filled(made)).spec(validate_json.Spec)
    assert spec is not None
    [entry] = spec.versions[0][1]
    assert (entry.path, entry.method) == ("^/pets/new$", "POST")
    assert entry.rule.schema.is_valid({"name": "a", "next": {"name": "b"}})
    assert not entry.rule.schema.is_valid({"name": "a", "next": {}})


def test_null_in_3_0() -> None:
    components = {
        **document()["components"],
        "schemas": {"Pet": {"type": "object", "properties": {"a": {"type": "string", "nullable": True}}}},
    }
    made, _ = definition_of(document("3.0.0", components=components))
    spec = parse(filled(made)).spec(validate_json.Spec)
    assert spec is not None
    schema = spec.versions[0][1][0].rule.schema
    assert schema.is_valid({"a": None})
    assert not schema.is_valid({"a": 1})


@pytest.mark.parametrize(("scheme", "said"), [
    ({"type": "apiKey", "in": "query", "name": "k"}, {"auth": {"disable_header": True, "use_param": True, "param_name": "k"}}),
    ({"type": "apiKey", "in": "cookie", "name": "k"}, {"auth": {"disable_header": True, "use_cookie": True, "cookie_name": "k"}}),
    ({"type": "http", "scheme": "Basic"}, {"use_basic_auth": True}),
    ({"type": "http", "scheme": "bearer"}, {"auth": {"auth_header_name": "Authorization"}}),
])  # fmt: skip
def test_security_schemes(scheme: dict[str, Any], said: dict[str, Any]) -> None:
    made, notes = definition_of(document(components={"schemas": {"Pet": PET}, "securitySchemes": {"key": scheme}}))
    assert said.items() <= made.items()
    assert made["use_keyless"] is False
    assert bool(notes) == (scheme.get("scheme") == "bearer")
    parse(filled(made))


def test_what_is_open_to_everybody_says_so() -> None:
    made, notes = definition_of(document(security=[]))
    assert made["use_keyless"] is True
    assert [note.pointer for note in notes] == ["/security"]


@pytest.mark.parametrize(("changes", "place"), [
    ({"openapi": "2.0"}, "/openapi"),
    ({"paths": {}}, "/paths"),
    ({"paths": {"a": {}}}, "/paths/a"),
    ({"servers": [{"url": "/v1"}]}, "/servers/0/url"),
    ({"servers": [{"url": "http://[::1/v1"}]}, "/servers/0/url"),
    ({"servers": [{"url": "http://{host}/v1", "variables": {"host": {"default": ["a"]}}}]}, "/servers/0/url"),
    ({"paths": {"/a": {"$ref": "http://elsewhere/a"}}}, "/paths/~1a"),
    ({"paths": {"/a": {"$ref": "#/paths/~1a"}}}, "/paths/~1a"),
    ({"components": {"schemas": {"Pet": {"$ref": "other.json"}}}}, "/components/schemas/Pet"),
    ({"components": {"schemas": {}}}, "/paths/~1pets~1new/post/requestBody/content/application~1json/schema"),
    ({"paths": 5}, "/paths"),
])  # fmt: skip
def test_what_cannot_be_read(changes: dict[str, Any], place: str) -> None:
    assert place in refused(document(**changes))


@pytest.mark.parametrize("reference", ["#/components/pathItems/one", "#/x-items/one"])
def test_a_path_elsewhere_asks_for_a_key_as_well(reference: str) -> None:
    """An API must not be open because its paths stand behind a reference."""
    item = {"get": {"security": [{"key": []}], "responses": {}}}
    given = document(paths={"/a": {"$ref": reference}}, security=[])
    given["components"]["pathItems"] = given["x-items"] = {"one": item}
    assert definition_of(given).definition["use_keyless"] is False


@pytest.mark.parametrize("security", [{"key": []}, "key", ["key"], None])
def test_security_that_cannot_be_read_opens_nothing(security: Any) -> None:
    assert "/security" in refused(document(security=security))
    assert "/paths" in refused(document(security=[], paths={"/a": {"get": {"security": security, "responses": {}}}}))


def test_schemas_that_many_calls_name_have_a_bound() -> None:
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}
    large = {"enum": list(range(1000))}
    given = document(paths={f"/{number}": {"post": {"requestBody": body, "responses": {}}} for number in range(400)})
    given["components"]["schemas"]["Pet"] = large
    assert any("more than" in message for message in refused(given).values())
