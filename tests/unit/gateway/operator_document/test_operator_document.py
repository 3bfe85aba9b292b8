"""The document of the operator's port, and the collection that is made from it. `tests/contract` compares the document with the calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.gateway.operator_api import rules
from services.gateway.operator_document.collection import collection
from services.gateway.operator_document.operations import OPERATIONS
from services.gateway.operator_document.operator_document import document, routes
from services.gateway.operator_document.written import described


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return document(described())


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, members in found["paths"].items():
        for method, operation in members.items():
            yield path, method, operation


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        for member in value.values():
            yield from refs(member)
    elif isinstance(value, list):
        for member in value:
            yield from refs(member)


def test_every_reference_leads_somewhere_and_every_schema_is_used(found: dict[str, Any]) -> None:
    named = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in found["components"][kind]}
    assert set(refs(found)) == named


def test_each_operation_has_a_name_of_its_own(found: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(found)]
    assert len(ids) == len(set(ids)) == len(list(routes(described())))


def test_a_call_without_a_row_is_an_error() -> None:
    app = described()
    app.add_url_rule("/api/new", "apis.new", lambda: "")
    with pytest.raises(KeyError, match=r"apis\.new"):
        document(app)


def test_what_needs_a_key_says_which_and_what_it_answers_without(found: dict[str, Any]) -> None:
    for path, _, operation in operations(found):
        if path.startswith("/tyk/"):
            assert operation["security"] == [{"tykOperatorKey": []}]
            assert "401" not in operation["responses"]
        elif path.startswith("/api/"):
            assert operation["security"] == [{"operatorKey": []}]
            assert operation["responses"]["401"] == {"$ref": "#/components/responses/ApiKeyWrong"}
        else:
            assert operation["security"] == []


def test_an_error_names_its_codes_in_the_schema(found: dict[str, Any]) -> None:
    answer = found["paths"]["/api/apis/{key}"]["put"]["responses"]["412"]
    assert answer["content"]["application/json"]["schema"]["allOf"][1] == {
        "type": "object",
        "properties": {"Code": {"enum": ["revision-conflict"]}},
    }
    assert "`revision-conflict`: Another change came first" in answer["description"]


def test_the_role_is_the_one_that_is_asked_for(found: dict[str, Any]) -> None:
    assert "role `reader`" in found["paths"]["/api/gatehouse/lint"]["post"]["description"]
    assert "role `admin`" in found["paths"]["/api/users"]["get"]["description"]
    for endpoint in OPERATIONS:
        rule = rules.rule_of(endpoint)
        assert rule is not None or endpoint in ("tyk_hello.hello", "health", "ready", "metrics")


def test_the_collection_has_each_call_once_with_its_key_and_its_body(found: dict[str, Any]) -> None:
    made = collection(found)
    requests = [(item["name"], item["request"]) for folder in made["item"] for item in folder["item"]]
    assert len(requests) == len(list(operations(found)))
    rotate = next(request for name, request in requests if name == "Give a key a new secret")
    assert rotate["url"]["raw"] == "{{base_url}}/api/keys/:name/rotate"
    assert rotate["url"]["variable"][0]["key"] == "name"
    assert rotate["header"] == [
        {"key": "Authorization", "value": "{{operator_key}}"},
        {"key": "Content-Type", "value": "application/json"},
    ]
    assert json.loads(rotate["body"]["raw"]) == {"overlap": 0}
    health = next(request for name, request in requests if name == "Tell whether the process runs")
    assert health["header"] == []
