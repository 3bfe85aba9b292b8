"""`/api/gatehouse/import/openapi`, and the command that calls it."""

from __future__ import annotations

from tests.unit.gateway.definitions.test_openapi_import import document
from tests.unit.gateway.operators import Operator


def test_a_dry_run_then_the_api(operator: Operator) -> None:
    path = "/api/gatehouse/import/openapi?listen_path=/pets/&target=http://127.0.0.1:9/"
    shown = operator.json("POST", f"{path}&dry_run=true", document())
    assert shown["DryRun"] is True
    assert operator.json("GET", "/api/apis")["apis"] == []
    made = operator.json("POST", path, document())
    stored = operator.json("GET", f"/api/apis/{made['Meta']}")["api_definition"]
    assert stored == made["api_definition"]
    assert stored["proxy"] == {"listen_path": "/pets/", "target_url": "http://127.0.0.1:9/", "strip_listen_path": True}
    assert operator.gateway.published == ["definitions"]


def test_every_mistake_has_its_place_in_the_document(operator: Operator) -> None:
    answer = operator.json("POST", "/api/gatehouse/import/openapi", document(servers=[]), 400)
    assert answer["Code"] == "invalid-openapi"
    assert [error["pointer"] for error in answer["Errors"]] == ["/servers/0/url"]
    assert operator.json("POST", "/api/gatehouse/import/openapi", {}, 400)["Code"] == "invalid-openapi"


def test_an_api_as_a_document(operator: Operator) -> None:
    operator.json("POST", "/api/gatehouse/import/openapi?listen_path=/pets/", document())
    id = operator.json("GET", "/api/apis")["apis"][0]["api_definition"]["id"]
    assert "/pets/new" in operator.json("GET", f"/api/apis/{id}/openapi")["paths"]
    assert operator.json("GET", "/api/apis/none/openapi", status=404)["Code"] == "api-unknown"
