"""An OpenAPI document from a definition."""

from __future__ import annotations

from services.gateway.compiler import interpret
from services.gateway.definitions.openapi_export import document_of
from services.gateway.definitions.openapi_import import definition_of
from services.gateway.operator_api.changes.filling import filled
from tests.unit.gateway.definitions.test_openapi_import import PET, document
from tests.unit.gateway.exchanges import definition, lists


def test_what_was_imported_comes_back() -> None:
    found = document_of(interpret(filled(definition_of(document()).definition)))
    assert {path: sorted(operations) for path, operations in found["paths"].items()} == {
        "/pets/new": ["post"],
        "/pets/{id}": ["get"],
        "/pets/{id}.json": ["delete", "get"],
    }
    assert found["servers"] == [{"url": "/pet-store"}]
    assert found["components"]["securitySchemes"] == {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
    schema = found["paths"]["/pets/new"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Pet"}
    assert found["components"]["schemas"] == {"Pet": PET}
    again = definition_of(found, target="http://a.example")
    assert again.definition["version_data"] == definition_of(document()).definition["version_data"]


def test_patterns_that_openapi_cannot_say_are_named() -> None:
    found = document_of(definition(version=lists(white=["^/a$", "/b", "^/c/[0-9]+$", "^/d/{id}"])))
    assert list(found["paths"]) == ["/a"]
    assert found["x-left-out"] == ["/b", "^/c/[0-9]+$", "^/d/{id}"]


def test_an_open_api_has_no_scheme() -> None:
    assert "security" not in document_of(definition(use_keyless=True))
